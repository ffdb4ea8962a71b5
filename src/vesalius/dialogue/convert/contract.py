"""What every format of foreign training data offers, and what a converter is told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from vesalius.errors import InputError

if TYPE_CHECKING:
    from vesalius.dialogue.samples import Media, Sample

__all__ = ["BadRow", "Format", "Options", "Places", "RawRow", "RowError"]

Kind = Literal["image", "volume", "video", "table"]


class RowError(Exception):
    """A row that cannot become a sample. `reason`: what was seen, never the row's own words. `fix`: what to do."""

    def __init__(self, reason: str, fix: str = "Correct the row.", kind: str = "row") -> None:
        super().__init__(reason)
        self.reason, self.fix, self.kind = reason, fix, kind


@dataclass(frozen=True)
class BadRow:
    """A row by its number (from 1; in a folder, the position in the sorted list), why it is bad, and what to do."""

    row: int
    reason: str
    fix: str
    kind: str = "row"
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file + ': ' if self.file else ''}row {self.row}: {self.reason}. {self.fix}"


@dataclass(frozen=True)
class RawRow:
    """A row as it stands in the foreign file. `name`: a stem for ids of rows that have none."""

    number: int
    values: Any
    name: str = ""


@dataclass(frozen=True)
class Options:
    """What the caller says about foreign data; whatever is None is what the format itself fixes.

    `media`: folder that media paths start from (None: the data file's folder).  `out`: folder of the samples file that
    is written; media paths become relative to it.  `dialect`, `coord`: how texts spell places; without a dialect, texts
    of formats that fix none stay as they are.  `labels`: value or class number → name.  `question`: in place of
    the format's or our standard question, `{label}` for the label.  `columns`: role ("path", "label", "patient",
    "split") → column of a CSV.  `lang`, `modality`, `area`, `task`: written into every sample.  `series`: the folder of
    the images a DICOM SEG was drawn on.
    """

    media: Path | None = None
    out: Path = Path()
    dialect: str | None = None
    coord: str | None = None
    labels: Mapping[int, str] = field(default_factory=dict[int, str])
    question: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    lang: str = "en"
    modality: str = "unknown"
    area: str = "unknown"
    task: str | None = None
    series: Path | None = None


@dataclass
class Places:
    """Where media lie, their sizes, and remarks for the caller: the state of one conversion."""

    source: Path
    options: Options
    notes: Counter[str] = field(default_factory=Counter[str])
    _sizes: dict[Path, tuple[int, int]] = field(default_factory=dict[Path, tuple[int, int]])
    _found: dict[str, Path] = field(default_factory=dict[str, Path])

    @property
    def root(self) -> Path:
        """The folder media paths start from."""
        if self.options.media is not None:
            return self.options.media
        return self.source if self.source.is_dir() else self.source.parent

    def find(self, name: object) -> Path:
        """A medium's file by the path a row gives. RowError when it names none or it is not there."""
        if not isinstance(name, str) or not name.strip():
            raise RowError("a medium has no path", "Give the path of its file.", "media")
        if name in self._found:
            return self._found[name]
        path = Path(name)
        if not path.is_absolute():
            path = self.root / PurePosixPath(name)
        if not path.exists():
            raise RowError(
                "a medium's file is not there", "Put it where the row says, or name its folder with --media.", "media"
            )
        if len(self._found) > 200_000:
            self._found.clear()
        self._found[name] = path
        return path

    def medium(self, kind: Kind, name: object, **meta: Any) -> Media:
        """A medium by the path a row gives, its path rewritten relative to where the samples go."""
        from vesalius.dialogue.samples import Media

        return Media(kind=kind, path=self.told(self.find(name)), meta=meta)

    def told(self, path: Path) -> str:
        """How the samples file names a file."""
        return PurePosixPath(os.path.relpath(path.absolute(), self.options.out.absolute())).as_posix()

    def size(self, path: Path) -> tuple[int, int]:
        """(width, height) of a picture, from its header. RowError when it cannot be read."""
        from vesalius.study.picture_size import picture_size

        if path not in self._sizes:
            try:
                self._sizes[path] = picture_size(path)
            except InputError as exc:
                raise RowError(f"a picture {exc.problem.rstrip('.')}", "Copy or export it again.", "media") from exc
        return self._sizes[path]


@dataclass(frozen=True)
class Format:
    """One foreign format.

    `recognises`: (source, first row or None for a folder) → whether it is this one, by content.  `rows`: the rows of a
    source.  `samples`: one row → samples; raises RowError.  `write`: (samples, source folder of their media, file or
    folder to write, options) → number of rows; None where writing makes no sense.  `places`: how texts spell
    places, in words, for the documentation.
    """

    name: str
    about: str
    places: str
    recognises: Callable[[Path, Any], bool]
    rows: Callable[[Path, Options], Iterator[RawRow]]
    samples: Callable[[RawRow, Places], Sequence[Sample]]
    write: Callable[[Iterator[Sample], Path, Path, Options], int] | None = None
