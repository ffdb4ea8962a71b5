"""Questions about surgical frames: Cholec80-VQA, EndoVis18-VQA, PSI-AVA-VQA. The layout is from general knowledge, not
checked against the files: a text file a frame with lines `question|answer`, beside its sequence's frames.

`<sequence>/vqa/**/<frame>_QA.txt` (or `<frame>.txt`) with the picture `<frame>.png|jpg` in the sequence's
`left_frames/`, `left_fr/`, `frames/` or the sequence itself. Which sequences are tested is told by `<split>.txt`, a
name a line; without it all count. Answers are labels: one closed question each, scored by exact match and macro F1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.prompts import Style, ask_closed, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables
from vesalius.evaluation.benchmarks.twin_files import write_bytes
from vesalius.evaluation.contract import Benchmark, Medium, Sample

__all__ = ["BENCHMARKS"]

_PLACES = ("left_frames", "left_fr", "frames", "images", "")
_SUFFIXES = (".png", ".jpg", ".jpeg")


def _read(style: Style, folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, ("*/vqa/**/*.txt", "*/*_QA.txt"))
    listed = folder / f"{split}.txt"
    wanted = set(_lines(listed)) if listed.is_file() else None
    asked = 0
    for path in paths:
        sequence = path.relative_to(folder).parts[0]
        if wanted is not None and sequence not in wanted:
            continue
        medium = _frame(folder, sequence, path)
        for number, line in enumerate(_lines(path), 1):
            yield _sample(style, Row(path, number, {"line": line}), f"{sequence}/{path.stem}", sequence, medium)
            asked += 1
    if not asked:
        raise InputError(f"no question of the split {split!r} counts.", file=folder, fix=f"Check {listed.name}.")


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("cannot be read as UTF-8 text.", file=path, fix="Get the file again.") from exc


def _frame(folder: Path, sequence: str, path: Path) -> Medium:
    stem = path.stem.removesuffix("_QA")
    row = Row(path, 0, {})
    for suffix in _SUFFIXES:
        if any((folder / sequence / place / f"{stem}{suffix}").is_file() for place in _PLACES):
            return picture_file(row, "frame", folder / sequence, f"{stem}{suffix}", _PLACES)
    places = ", ".join(place or "." for place in _PLACES)
    raise InputError(f"its frame is in none of {places} of {sequence}.", file=path, fix="Put the frames there.")


def _sample(style: Style, row: Row, name: str, sequence: str, medium: Medium) -> Sample:
    question, mark, answer = row.text("line").partition("|")
    if not mark or not question.strip() or not answer.strip():
        raise row.error("line", "it is not question|answer.")
    question, answer = question.strip(), answer.strip()
    return Sample(
        id=f"{name}-{row.number}",
        kind="closed",
        question=question,
        prompt=ask_closed(question, style),
        media=(medium,),
        gold=answer,
        cluster=sequence,
        tags={"sequence": sequence},
        extra={"label": answer},
    )


def _twin(name: str, folder: Path, count: int, seed: int) -> None:
    """Frames of generated endoscopies, three questions each, two frames a sequence."""
    import random

    from vesalius.dialogue.words import LABEL_NAMES
    from vesalius.phantoms.clips import draw_clip
    from vesalius.phantoms.splits import HELD_OUT
    from vesalius.phantoms.truth import LABELS
    from vesalius.phantoms.write_media import write_picture

    first = random.Random(f"{name}/{seed}").randrange(len(HELD_OUT) // 2)
    left = count
    for k in range(-(-count // 6)):
        clip = draw_clip(HELD_OUT[first + k], 2, (128, 128), "endoscopy")
        for n, frame in enumerate(clip.frames):
            shown = [one for one in frame.objects if LABELS[one.label] != "anatomy"]
            labels = sorted({LABEL_NAMES[one.label].en[0] for one in shown})
            lines = [
                f"What is seen first by name?|{labels[0] if labels else 'nothing'}",
                f"How many polyps are in the frame?|{len(frame.of('polyp'))}",
                f"Is an instrument in use?|{'yes' if frame.of('instrument') else 'no'}",
            ][: max(left, 0)]
            left -= len(lines)
            if lines:
                sequence = folder / f"seq_{k + 1}"
                write_picture(sequence / "left_frames" / f"frame{n:03}.png", frame.pixels)
                write_bytes(sequence / "vqa" / "Sentence" / f"frame{n:03}_QA.txt", ("\n".join(lines) + "\n").encode())


_TITLES = {
    "cholec80-vqa": ("Cholec80-VQA", "https://github.com/lalithjets/Surgical_VQA"),
    "endovis18-vqa": ("EndoVis18-VQA", "https://github.com/lalithjets/Surgical_VQA"),
    "psi-ava-vqa": ("PSI-AVA-VQA", "https://github.com/mobarakol/PitVQA"),
}


def _benchmark(name: str, style: Style) -> Benchmark:
    title, source = _TITLES[name]
    return Benchmark(
        name=name,
        title=title,
        group="video",
        splits=("test", "train"),
        template=template_id("cl", style),
        primary="accuracy",
        read=partial(_read, style),
        twin=partial(_twin, name),
        files="`<sequence>/vqa/**/<frame>_QA.txt`, `<sequence>/left_frames/`, `test.txt`",
        source=source,
        licence="under the terms of the videos' sources",
    )


BENCHMARKS = {name: in_styles(partial(_benchmark, name)) for name in _TITLES}
