"""The command line as a whole: how commands are found, and what every outcome looks like from outside."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import pytest
import typer

from vesalius import errors
from vesalius.cli import main as cli
from vesalius.cli.main import COMMANDS, Command, main

HEAVY = ("torch", "transformers", "numpy", "rich", "typer", "pydicom", "PIL")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Put a function (or typer app) in as the command `try`."""

    def put(target: Any) -> None:
        module = ModuleType("vesalius_command_under_test")
        module.target = target  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COMMANDS, "try", Command(module.__name__, "target", "Under test."))

    return put


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The single line on stderr; nothing may be on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vesalius: ")
    assert err.count("\n") == 1
    return err


def test_help_lists_every_command_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in out
        assert command.summary in out


def test_no_arguments_print_the_same_help(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    wanted = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out == wanted


def test_version_is_the_package_version(capsys: pytest.CaptureFixture[str]) -> None:
    import vesalius

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vesalius {vesalius.__version__}\n"


def test_help_imports_only_the_standard_library() -> None:
    script = (
        "import sys; from vesalius.cli.main import main; main(['--help']);"
        f"print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


def test_help_answers_in_under_half_a_second() -> None:
    def seconds() -> float:  # of processor time: what else the machine does is not counted
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "vesalius", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.4


def test_an_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docter"]) == 2
    assert "'doctor'" in one_line(capsys)


def test_an_option_before_the_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "doctor"]) == 2
    assert "--json" in one_line(capsys)


def test_a_wrong_option_of_a_command_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--jsn"]) == 2
    line = one_line(capsys)
    assert "--jsn" in line
    assert "vesalius doctor --help" in line


def test_a_value_of_the_wrong_type_is_one_line_and_exit_2(
    install: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def command(count: Annotated[int, typer.Option()] = 1) -> None:
        raise AssertionError(f"must not run with {count}")

    install(command)
    assert main(["try", "--count", "many"]) == 2
    assert "'--count'" in one_line(capsys)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("too short.", file="a.dcm", fix="Copy it again."), 2),
        (errors.GeometryError("no such scan."), 2),
        (errors.LimitError("too large."), 2),
        (errors.OptionError("no such key."), 2),
        (errors.WeightsMissingError("not here."), 3),
        (errors.CheckpointError("damaged."), 3),
        (FileNotFoundError(2, "No such file or directory", "missing.png"), 2),
        (OSError(28, "No space left on device", "out.png"), 2),
        (MemoryError(), 2),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
        (typer.Exit(7), 7),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_every_way_to_fail_has_its_exit_code(
    error: BaseException, code: int, install: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    install(raising(error))
    assert main(["try"]) == code
    if not isinstance(error, typer.Exit):
        one_line(capsys)


def test_our_error_is_printed_as_it_is(install: Callable[[Any], None], capsys: pytest.CaptureFixture[str]) -> None:
    install(raising(errors.InputError("too short.", file="a.dcm", fix="Copy it again.")))
    main(["try"])
    assert one_line(capsys) == "vesalius: a.dcm: too short. Copy it again.\n"


def test_a_bug_is_one_line_that_quotes_no_data(
    install: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    install(raising(ValueError("could not convert 'Doe^Jane'")))
    assert main(["try"]) == 1
    line = one_line(capsys)
    assert "ValueError" in line
    assert "report" in line
    assert "Doe" not in line


def test_debug_raises_a_bug_in_full(install: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VESALIUS_DEBUG", "1")
    install(raising(ValueError("details")))
    with pytest.raises(ValueError, match="details"):
        main(["try"])


def test_the_number_a_command_returns_is_the_exit_code(install: Callable[[Any], None]) -> None:
    install(lambda: 3)
    assert main(["try"]) == 3


def test_a_typer_application_is_run_with_its_own_commands(
    install: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    application = typer.Typer()

    @application.command()
    def first() -> None:
        print("first ran")

    @application.command()
    def second() -> None:
        raise AssertionError("the other one")

    assert callable(second)
    install(application)
    assert main(["try", "first"]) == 0
    assert capsys.readouterr().out == "first ran\n"
    assert main(["try"]) == 0
    assert "second" in capsys.readouterr().out


def test_a_command_whose_module_is_absent_does_not_break_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "later", Command("vesalius.cli.not_written", "later", "Not here."))
    assert main(["later"]) == 2
    assert "'later'" in one_line(capsys)
    assert main(["--version"]) == 0


def test_a_missing_third_party_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def absent(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named 'highdicom' ({name})", name="highdicom")

    monkeypatch.setattr(cli.importlib, "import_module", absent)
    assert main(["doctor"]) == 2
    assert "'highdicom'" in one_line(capsys)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = "import sys; from vesalius.cli.main import main; sys.exit(main(['doctor', '--json']))"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"vesalius {name}" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii:strict", "utf-8:strict", "utf-8:surrogateescape"])
def test_names_that_standard_output_cannot_write_are_no_bug(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode("Röntgen 骨 ".encode() + b"\xff.npy")
    np.save(path, np.zeros((4, 5), np.uint8))
    for more in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "vesalius", "info", os.fsencode(path), *more],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode("utf-8"))["items"][0]["file"] == str(path)
