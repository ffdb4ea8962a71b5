"""Foreign training data to samples and back: row by row, every bad row told, nothing half written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vesalius.dialogue.convert.contract import BadRow, Format, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.table import FORMATS, detect, format_named
from vesalius.dialogue.samples import Sample
from vesalius.errors import InputError, OptionError

__all__ = ["Converted", "convert", "read_foreign"]


@dataclass(frozen=True)
class Converted:
    """What a conversion did. `bad`: rows that are no samples. `notes`: remark → how many rows it is about. `written`:
    False when bad rows kept the file from being written."""

    source_format: str
    target_format: str
    rows: int
    samples: int
    written: bool
    bad: list[BadRow] = field(default_factory=list[BadRow])
    notes: Mapping[str, int] = field(default_factory=dict[str, int])


class _Refused(Exception):
    """There were bad rows: what was written so far is thrown away."""


def read_foreign(
    source: str | Path, name: str = "auto", options: Options | None = None, *, bad: list[BadRow] | None = None
) -> Iterator[Sample]:
    """Stream the samples of foreign data. `name`: a format or "auto". Bad rows go to `bad`; without such a list the first
    one raises InputError. Media paths are relative to `options.out`."""
    path = Path(source)
    form = detect(path) if name == "auto" else format_named(name)
    return _samples(form, Places(path, options or Options()), bad, [0])


def convert(
    source: str | Path,
    target: str | Path,
    *,
    source_format: str = "auto",
    target_format: str = "auto",
    options: Options | None = None,
    skip_bad: bool = False,
) -> Converted:
    """Write `source` as `target`. `target_format` "auto" is samples of this package, by the ending of `target`.

    With bad rows nothing is written unless `skip_bad`. Raises InputError when nothing is a sample or the source is not
    understood, OptionError for a format that cannot be written.
    """
    path, goal = Path(source), Path(target)
    chosen = options or Options()
    chosen = replace(chosen, out=goal if target_format == "yolo" else goal.parent)
    form = detect(path) if source_format == "auto" else format_named(source_format)
    to = format_named("vesalius" if target_format == "auto" else target_format)
    if to.write is None:
        known = ", ".join(one.name for one in FORMATS.values() if one.write is not None)
        raise OptionError(f"{to.name} is read, not written.", fix=f"Write one of {known}.")
    if path.exists() and goal.exists() and path.samefile(goal):
        raise OptionError("source and target are the same file.", file=target, fix="Name another target.")
    places = Places(path, replace(chosen, dialect=_read_dialect(form, to, chosen)))
    bad: list[BadRow] = []
    rows = [0]
    made = 0

    def checked() -> Iterator[Sample]:
        nonlocal made
        for sample in _samples(form, places, bad, rows):
            made += 1
            yield sample
        if bad and not skip_bad:
            raise _Refused
        if not made:
            raise InputError(_nothing(rows[0], bad), file=path)

    written = True
    try:
        to.write(checked(), goal if target_format == "yolo" else goal.parent, goal, chosen)
    except _Refused:
        written = False
    return Converted(form.name, to.name, rows[0], made, written, bad, dict(places.notes))


def _read_dialect(form: Format, to: Format, options: Options) -> str | None:
    """`--dialect` names how texts are spelt on the side that leaves it open: the source's unless that is ours."""
    return None if form.name == "vesalius" or (form.name == "ms-swift" and to.name != "vesalius") else options.dialect


def _nothing(rows: int, bad: list[BadRow]) -> str:
    if not rows:
        return "holds no rows."
    if bad:
        return f"none of its {rows} rows is a sample; the first: {bad[0].reason}."
    return f"its {rows} rows hold nothing to learn."


def _samples(form: Format, places: Places, bad: list[BadRow] | None, rows: list[int]) -> Iterator[Sample]:
    used: dict[str, int] = {}
    for row in form.rows(places.source, places.options):
        rows[0] += 1
        try:
            if isinstance(row.values, RowError):
                raise row.values
            found = form.samples(row, places)
        except RowError as exc:
            _note(exc, row, places, bad)
            continue
        except InputError as exc:
            _note(RowError(exc.problem.rstrip("."), exc.fix or "Correct the row."), row, places, bad)
            continue
        for sample in found:
            again = used[sample.id] = used.get(sample.id, 0) + 1
            if again > 1:
                places.notes["ids that were there before got a number behind them"] += 1
                sample = sample.model_copy(update={"id": f"{sample.id[:190]}#{again}"})
            yield sample


def _note(error: RowError, row: RawRow, places: Places, bad: list[BadRow] | None) -> None:
    told = BadRow(row.number, error.reason, error.fix, error.kind)
    if bad is None:
        raise InputError(f"row {told.row}: {told.reason}.", file=places.source, fix=told.fix)
    bad.append(told)
