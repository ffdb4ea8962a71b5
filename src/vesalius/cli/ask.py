"""`vesalius ask`: a question about files, the answer as it is made, findings in pixels and millimetres."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vesalius.cli.printing import print_json, waiting
from vesalius.cli.reading import AllowGaps, Modality, VolumeIndex
from vesalius.errors import OptionError

if TYPE_CHECKING:
    from vesalius.dialogue.messages import Message
    from vesalius.findings.findings import Mask
    from vesalius.findings.save import Format
    from vesalius.inference.answer import Answer
    from vesalius.study.items import Study
    from vesalius.study.windows import Window

__all__ = ["ask", "finding_lines"]


def ask(
    given: Annotated[
        list[str], typer.Argument(metavar="[SOURCE]... QUESTION", help="Files or folders, then the question in quotes.")
    ],
    model: Annotated[
        str, typer.Option(help="Model name, checkpoint folder or hub id (org/name@revision).")
    ] = "starter",
    out: Annotated[Path | None, typer.Option(help="Folder for overlays, findings.json, masks and reports.")] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="What --out writes, may be repeated: png, json, nifti, seg, markdown, html, coco, csv, sr, fhir. "
            "Without it, the first six as they fit."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    modality: Modality = None,
    volume_index: VolumeIndex = None,
    allow_gaps: AllowGaps = False,
    window: Annotated[
        str | None,
        typer.Option(help="Window of a volume: lung, bone, brain, …, or CENTRE,WIDTH.  [default: the model's]"),
    ] = None,
    axis: Annotated[
        str | None, typer.Option(help="How a volume is cut: axial, coronal or sagittal.  [default: the model's]")
    ] = None,
    num_slices: Annotated[
        int | None, typer.Option(metavar="N", help="How many slices of a volume are shown.  [default: the model's]")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 256,
    temperature: Annotated[float, typer.Option(help="0 always says the likeliest; above 0 samples.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Seed for sampling.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto (as stored), float32, bfloat16 or float16.")] = "auto",
    quantize: Annotated[str | None, typer.Option(help="Language layers in 8bit or 4bit.")] = None,
    device_map: Annotated[str | None, typer.Option(help="auto: GPUs, then main memory, then disk.")] = None,
) -> None:
    """Ask a question about pictures, volumes or clips."""
    *sources, question = given
    if not sources and Path(question).exists():
        raise OptionError(f"{question} is a file; no question follows.", fix='Add one: vesalius ask FILE "QUESTION".')
    formats = _formats(format, out)
    if out is not None:
        from vesalius.findings.writing import check_output_folder

        check_output_folder(out)
    from vesalius.study.read import gathered, read

    view = _view(window, axis, num_slices)
    with waiting("reading"):
        studies = [
            read(source, modality=modality, volume_index=volume_index, allow_gaps=allow_gaps)
            for source in gathered(sources)
        ]
    if view and not any(study.volumes for study in studies):
        raise OptionError(f"--{next(iter(view)).replace('_', '-')} is for volumes, and none was given.")
    from vesalius.cli.fetched import fetched

    place = fetched(model)
    with waiting("loading the model"):
        from vesalius.inference.model import load

        loaded = load(place, device=device, dtype=dtype, quantize=quantize, device_map=device_map)
    if loaded.notice and not json:
        print(f"Note: {loaded.notice}", file=sys.stderr)
    answer: Answer | None = None
    asked = (studies or None, question) if not view else (_conversation(studies, question, view), None)
    pieces = loaded.stream(*asked, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    with waiting("looking"):
        piece = next(pieces)
    while True:
        if not isinstance(piece, str):
            answer = piece
            break
        if not json:
            print(piece, end="", flush=True)
        piece = next(pieces)
    if not json:
        print()
    left_out: list[str] = []
    written = answer.save(out, formats=formats, left_out=left_out) if out is not None else []
    if json:
        print_json({**answer.to_json(), "files": [str(path) for path in written], "left_out": left_out})
        return
    for line in [*finding_lines(answer), *(f"wrote {path}" for path in written)]:
        print(line)
    for warning in [*answer.trace["warnings"], *left_out]:
        print(f"warning: {warning}", file=sys.stderr)


def _view(window: str | None, axis: str | None, num_slices: int | None) -> dict[str, Any]:
    """How volumes are to be shown, as far as it was said; checked before anything is read."""
    view: dict[str, Any] = {}
    if window is not None:
        view["window"] = _window(window)
    if axis is not None:
        if axis not in ("axial", "coronal", "sagittal"):
            raise OptionError(f"--axis is {axis!r}; it must be axial, coronal or sagittal.")
        view["axis"] = axis
    if num_slices is not None:
        if num_slices < 1:
            raise OptionError(f"--num-slices is {num_slices}; it must be 1 or more.")
        view["num_slices"] = num_slices
    return view


def _window(said: str) -> Window:
    from vesalius.study.windows import Window, preset

    centre, comma, width = said.partition(",")
    if not comma:
        return preset(said)
    try:
        numbers = float(centre), float(width)
    except ValueError:
        numbers = math.nan, math.nan
    if not (math.isfinite(numbers[0]) and math.isfinite(numbers[1]) and numbers[1] > 0):
        raise OptionError(f"--window is {said!r}.", fix="Give a name, or CENTRE,WIDTH with a positive width: 40,400.")
    return Window.from_centre_width(*numbers)


def _conversation(studies: Sequence[Study], question: str, view: dict[str, Any]) -> list[Message]:
    from vesalius.dialogue.messages import Message, TextPart, VolumePart

    return [Message("user", (*(VolumePart(study, **view) for study in studies), TextPart(question)))]


def _formats(named: Sequence[str] | None, out: Path | None) -> list[Format] | None:
    """The formats asked for, checked before anything is read; names may also be joined by commas."""
    if not named:
        return None
    if out is None:
        raise OptionError("--format needs --out, the folder to write to.")
    from vesalius.findings.save import known_formats

    return known_formats([name.strip() for one in named for name in one.split(",")])


def finding_lines(answer: Answer) -> list[str]:
    """One line per finding: citation, label, pixels, millimetres, confidence."""
    from vesalius.findings.findings import Box, Count, Mask, Measurement, Point

    lines: list[str] = []
    for found in answer.findings:
        number: int | None = getattr(found, "group", None)
        group = "" if number is None else f"[{number}] "
        sure = getattr(found, "confidence", None)
        tail = "" if sure is None else f"  confidence {sure:.2f}"
        match found:
            case Box():
                mm = "" if found.size_mm is None else f"  {found.size_mm[0]:.1f} x {found.size_mm[1]:.1f} mm"
                ras = _ras(found.centre_ras_mm, "centre ")
                place = f"box ({found.x0:.1f}, {found.y0:.1f}, {found.x1:.1f}, {found.y1:.1f}) px"
                lines.append(f"{group}{found.label}: {place}{mm}{ras}{_where(found)}{tail}")
            case Point():
                place = f"point ({found.x:.1f}, {found.y:.1f}) px{_ras(found.ras_mm, '')}"
                lines.append(f"{group}{found.label}: {place}{_where(found)}")
            case Count():
                lines.append(f"{found.label}: count {found.count}{tail}")
            case Mask():
                size = f"  {found.area_mm2:.0f} mm2" if found.area_mm2 is not None else ""
                size = f"  {found.volume_ml:.2f} ml" if found.volume_ml is not None else size
                lines.append(f"{group}{found.label}: mask {int(found.mask.sum())} {_unit(found)}{size}{_where(found)}")
            case Measurement():
                lines.append(f"{group}{found.label}: {found.name} {found.value:.1f} {found.unit}{_where(found)}")
            case _:
                pass
    return lines


def _unit(found: Mask) -> str:
    return "voxels" if found.mask.ndim == 3 else "px"


def _ras(point: Sequence[float] | None, name: str) -> str:
    return "" if point is None else f"  {name}RAS ({point[0]:.1f}, {point[1]:.1f}, {point[2]:.1f}) mm"


def _where(found: object) -> str:
    where = getattr(found, "where", None)
    if where is None:
        return ""
    if where.slice_index is not None:
        return f"  {where.axis} slice {where.slice_index}"
    if where.frame is not None:
        return f"  frame {where.frame}"
    return ""
