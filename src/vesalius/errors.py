"""Every error Vesalius raises on purpose.

    VesaliusError                      exit 1
    ├── InputError                     exit 2   a file, array or text cannot be used
    │   ├── GeometryError              exit 2   affine, spacing or slice positions make no sense
    │   ├── LimitError                 exit 2   larger than `vesalius.limits` allows
    │   └── UnsupportedError           exit 2   a format, codec or optional package that is not here
    ├── OptionError                    exit 2   a command, keyword or recipe key is wrong
    ├── ModelError                     exit 3   a model cannot be loaded or used
    │   ├── WeightsMissingError        exit 3   its weights are not on this machine
    │   └── CheckpointError            exit 3   its files are damaged or of another kind
    └── StoppedError                    exit 130 or 143   a signal ended it, after its work was saved

A message is one line: what was wrong, the value seen, the limit, the fix. It never holds patient data
(no header text, no pixel values), only file names the caller gave, sizes and tag keywords.
"""

from __future__ import annotations

from os import PathLike, fspath

__all__ = [
    "CheckpointError",
    "GeometryError",
    "InputError",
    "LimitError",
    "ModelError",
    "OptionError",
    "StoppedError",
    "UnsupportedError",
    "VesaliusError",
    "WeightsMissingError",
]


class VesaliusError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, problem: str, *, file: str | PathLike[str] | None = None, fix: str | None = None) -> None:
        """`problem`: what was seen and the limit. `file`: the file as the caller named it. `fix`: what to do."""
        self.problem = problem
        self.file = None if file is None else fspath(file)
        self.fix = fix
        where = "" if self.file is None else f"{self.file}: "
        remedy = "" if fix is None else f" {fix}"
        super().__init__(" ".join(f"{where}{problem}{remedy}".split()))


class InputError(VesaliusError):
    """A file, array or text the caller gave cannot be used."""

    exit_code = 2


class GeometryError(InputError):
    """An affine, spacing or set of slice positions describes no possible scan."""


class LimitError(InputError):
    """The input is larger than `vesalius.limits` allows; it was not decoded."""


class UnsupportedError(InputError):
    """A format, codec or optional package that is not available here; the message says what to install."""


class OptionError(VesaliusError):
    """A command-line option, keyword argument or recipe key is wrong."""

    exit_code = 2


class ModelError(VesaliusError):
    """A model cannot be loaded or used."""

    exit_code = 3


class WeightsMissingError(ModelError):
    """The weights are not on this machine; the message names the command that installs them."""


class CheckpointError(ModelError):
    """Checkpoint files are damaged, incomplete or of another kind."""


class StoppedError(VesaliusError):
    """A signal ended a long task after its work was saved. Exit code: 128 + the signal's number, as shells count
    (SIGINT 130, SIGTERM 143)."""

    def __init__(self, problem: str, *, signal: int, file: str | PathLike[str] | None = None, fix: str | None = None):
        super().__init__(problem, file=file, fix=fix)
        self.signal = signal
        self.exit_code = 128 + signal
