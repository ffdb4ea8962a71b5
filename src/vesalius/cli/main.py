"""The `vesalius` command: finds the command's module, runs it, and turns every outcome into an exit code and one line.

Commands are loaded when they are called, so `vesalius --help` imports nothing but the standard library.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vesalius.cli.printing import print_anything
from vesalius.errors import OptionError, UnsupportedError, VesaliusError

__all__ = ["COMMANDS", "Command", "main"]


@dataclass(frozen=True)
class Command:
    """Where a command lives. `attribute` names a plain function with typer annotations, or a `typer.Typer`."""

    module: str
    attribute: str
    summary: str


COMMANDS: dict[str, Command] = {
    "ask": Command("vesalius.cli.ask", "ask", "Ask a question about files; answers with findings in place."),
    "info": Command("vesalius.cli.info", "info", "Say what files hold: kind, size, geometry, oddities."),
    "models": Command("vesalius.cli.models", "models", "List the models and whether their weights are here."),
    "convert": Command("vesalius.cli.convert", "convert", "Write a checkpoint in one clean layout, or as published."),
    "data": Command("vesalius.cli.data", "app", "Check training data, convert it, split it by patient."),
    "train": Command("vesalius.cli.train", "train", "Train from a recipe file."),
    "evaluate": Command("vesalius.cli.evaluate", "evaluate", "Ask a model the questions of benchmarks and score it."),
    "score": Command("vesalius.cli.score", "score", "Score stored answers, with intervals and baselines."),
    "compare": Command("vesalius.cli.compare", "compare", "Say whether two runs differ by more than chance."),
    "contamination": Command(
        "vesalius.cli.contamination", "contamination", "Say how much of a benchmark a training set holds."
    ),
    "phantom": Command("vesalius.cli.phantom", "phantom", "Make generated studies with exact truth."),
    "starter": Command("vesalius.cli.starter", "app", "Install, check or remove the embedded model's base weights."),
    "deidentify": Command("vesalius.cli.deidentify", "deidentify", "Write copies of DICOM files without identity."),
    "doctor": Command("vesalius.cli.doctor", "doctor", "Check this machine and say what to fix."),
}

DONE, BUG, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 a bug of ours, 2 wrong input, 3 weights missing, 130 Ctrl-C.

    `arguments`: without the program's name; the process's own by default. With VESALIUS_DEBUG=1 an unexpected
    exception is raised instead of being reported in one line.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = os.environ.get("VESALIUS_DEBUG", "") not in ("", "0")
    if not debug:
        _silence_third_parties()
    print_anything()
    # Threads that wait for work asleep instead of spinning: on busy cores answers come several times sooner.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = _run(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python flushes stdout at exit, so give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _fail("interrupted.", INTERRUPTED)
    except VesaliusError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        if debug or error.strerror is None:
            return _report_bug(error, debug)
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return _fail(f"{where}{error.strerror}.", WRONG_INPUT)
    except MemoryError:
        return _fail("out of memory. Give fewer or smaller inputs.", WRONG_INPUT)
    except Exception as error:
        return _report_bug(error, debug)


def _run(arguments: list[str]) -> int:
    """Answer --help and --version ourselves; load and run anything else."""
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h", "help"):
        print(_help_text())
        return DONE
    if name in ("--version", "-V"):
        from vesalius import __version__

        print(f"vesalius {__version__}")
        return DONE
    if name.startswith("-"):
        raise OptionError(f"no such option: {name}.", fix="Options follow the command; see vesalius --help.")
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, n=1)
        fix = f"Did you mean {near[0]!r}?" if near else "See vesalius --help."
        raise OptionError(f"there is no command {name!r}.", fix=fix)
    return _call(name, arguments[1:])


def _help_text() -> str:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    return (
        "Usage: vesalius COMMAND [OPTIONS] [ARGUMENTS]\n\n"
        "Ask medical images, volumes and clips questions and get answers located in pixels and millimetres.\n"
        "For research; not a medical device.\n\n"
        f"Commands:\n{listed}\n\n"
        "Options:\n  --version  Print the version.\n"
        "  --help     Print this; vesalius COMMAND --help prints a command's options.\n\n"
        "Exit codes: 0 done, 1 internal error, 2 wrong input or option, 3 model or weights missing, 130 interrupted."
    )


def _call(name: str, arguments: list[str]) -> int:
    target = _load(name)
    import typer
    from typer.main import get_command

    if isinstance(target, typer.Typer):
        application = target
        application.rich_markup_mode = None
        arguments = arguments or ["--help"]  # a command of commands called alone, as `vesalius` itself
    else:
        application = typer.Typer(add_completion=False, rich_markup_mode=None)
        application.command(name)(target)
    try:
        # Not `.main()`: it would turn a closed pipe into exit 1 and swallow Ctrl-C; both are ours to report.
        command = get_command(application)
        with command.make_context(f"vesalius {name}", arguments) as context:
            outcome = command.invoke(context)
    except typer.Exit as left:
        return left.exit_code
    except typer.Abort:
        return _fail("interrupted.", INTERRUPTED)
    except typer.TyperException as error:
        raise OptionError(_sentence(error.format_message()), fix=f"See vesalius {name} --help.") from error
    return outcome if isinstance(outcome, int) else DONE


def _load(name: str) -> Callable[..., Any]:
    command = COMMANDS[name]
    try:
        return getattr(importlib.import_module(command.module), command.attribute)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == command.module:
            raise UnsupportedError(f"this build has no {name!r} command.", fix="See vesalius --help.") from error
        if missing.partition(".")[0] == "vesalius":
            raise
        raise UnsupportedError(
            f"{name} needs the package {missing!r}, which is not installed.", fix="Run vesalius doctor."
        ) from error


def _silence_third_parties() -> None:
    """Warnings and log lines of libraries may quote header values, which may be patient data: keep them off stderr."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "?", "!")) else f"{line}."


def _fail(message: str, code: int) -> int:
    print(f"vesalius: {' '.join(message.split())}", file=sys.stderr)
    return code


def _report_bug(error: Exception, debug: bool) -> int:
    """One line naming the kind and place; not the message, which may quote the data."""
    if debug:
        raise error
    trace, place = error.__traceback__, "unknown place"
    while trace is not None:
        if "vesalius" in trace.tb_frame.f_globals.get("__name__", ""):
            place = f"{trace.tb_frame.f_globals['__name__']}:{trace.tb_lineno}"
        trace = trace.tb_next
    return _fail(
        f"internal error ({type(error).__name__} in {place}). Please report it; VESALIUS_DEBUG=1 shows the details.",
        BUG,
    )
