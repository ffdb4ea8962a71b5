"""Anyone's own data: files of the training schema (`dialogue.samples`), each question an item.

The folder holds `.jsonl`, `.jsonl.gz` or `.parquet` shards with media by path, as `vesalius phantom` and `vesalius data
convert` write them; a single file will do. Of a row with several questions each is an item of its own, with the row's
earlier questions and their right answers before it, so that no item depends on what the model said to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.dialogue.marks import MEDIA_MARK, mark_problems
from vesalius.dialogue.messages import KEYS
from vesalius.dialogue.sample_files import placed_samples
from vesalius.dialogue.target_sizes import target_size
from vesalius.errors import InputError, OptionError, VesaliusError
from vesalius.evaluation.benchmarks.sample_questions import plain_text, rule_of
from vesalius.evaluation.benchmarks.sample_twin import write_samples_twin
from vesalius.evaluation.contract import Benchmark, Medium, Sample

if TYPE_CHECKING:
    from vesalius.dialogue import samples as schema

__all__ = ["BENCHMARKS"]


def _read(folder: Path, split: str) -> Iterator[Sample]:
    """Every question of every row; `split` is always "all"."""
    for sample, number, file in placed_samples(folder):
        try:
            yield from _questions(sample, file.parent)
        except VesaliusError as exc:
            about = f"{Path(exc.file).name}: " if exc.file else ""
            raise InputError(f"row {number}: {about}{exc.problem}", file=file, fix=exc.fix) from exc


def _questions(sample: schema.Sample, folder: Path) -> Iterator[Sample]:
    if problem := next(mark_problems(sample), None):
        raise InputError(f"{problem.reason}.", fix=problem.fix)
    size_of = target_size(sample, folder)
    media, lead = _media(sample, folder)
    earlier: list[Mapping[str, str]] = []
    number = 0
    for k, turn in enumerate(sample.turns):
        before = sample.turns[k - 1] if k else None
        if turn.role == "assistant" and before is not None and before.role == "user":
            number += 1
            prompt = lead if number == 1 and lead is not None else plain_text(before.text, before.targets)
            rule = rule_of(
                sample.tags.task, prompt, turn, sample.lang, lambda t: size_of(t)[0], lambda path: folder / path
            )
            place: Any = next(iter((*turn_places(turn),)), None)
            yield Sample(
                id=sample.id if number == 1 else f"{sample.id}#{number}",
                kind=rule.kind,
                question=prompt,
                prompt=prompt,
                media=media,
                options=rule.options,
                gold=rule.gold,
                lang=sample.lang,
                size=size_of(place) if place is not None and rule.kind in ("box", "point") else None,
                cluster=sample.patient,
                tags=_tags(sample),
                extra=rule.extra,
                earlier=tuple(earlier[:-1]),
            )
        earlier.append({"role": turn.role, "content": _said(turn, size_of)})
    if not number:
        raise InputError("there is no question with an answer behind it.", fix="Begin with a user turn.")


def turn_places(turn: schema.Turn) -> Iterator[Any]:
    """Boxes and points of a turn."""
    if turn.targets is not None:
        yield from (*turn.targets.boxes, *turn.targets.points)


def _tags(sample: schema.Sample) -> dict[str, str]:
    told = sample.tags.model_dump()
    return {key: value for key, value in told.items() if value != "unknown"}


def _said(turn: schema.Turn, size_of: Any) -> str:
    """A turn of the history; one that holds targets alone as JSON, in pixels of the original picture."""
    text = plain_text(turn.text, turn.targets)
    if text or turn.targets is None:
        return text or "."
    from vesalius.dialogue.saying import Saying, said

    try:
        return said(turn, Saying("qwen-json", "abs_original"), size_of)
    except (InputError, OptionError):
        return turn.targets.answer or "."


def _media(sample: schema.Sample, folder: Path) -> tuple[tuple[Medium, ...], str | None]:
    """(media in the order they are shown, the first question's text where its marks place them among words)."""
    for number, medium in enumerate(sample.media):
        if medium.kind == "table":
            raise InputError(f"media {number} is a table.", fix="Put what it says into the question, or leave it out.")
    if sample.turns[0].role != "user" or not MEDIA_MARK.search(sample.turns[0].text):
        return tuple(_medium(one, folder) for one in sample.media), None
    waiting = list(sample.media)
    shown: list[Medium] = []
    text, at = sample.turns[0].text, 0
    for mark in MEDIA_MARK.finditer(text):
        one = next(medium for medium in waiting if medium.kind == mark[1])
        waiting.remove(one)
        words = plain_text(text[at : mark.start()], None)
        shown.append(_medium(one, folder, f"{words} " if words else ""))
        at = mark.end()
    rest = [_medium(one, folder) for one in waiting]
    prompt = plain_text(text[at:], sample.turns[0].targets)
    if not prompt:  # the question stands before its pictures
        shown = [Medium(one.kind, one.source, one.options) for one in shown]
        prompt = plain_text(text, sample.turns[0].targets)
    return (*shown, *rest), prompt


def _medium(medium: schema.Media, folder: Path, label: str = "") -> Medium:
    kind: Any = medium.kind
    options = {key: value for key, value in medium.meta.items() if key in KEYS[medium.kind] and key != medium.kind}
    return Medium(kind, folder / medium.path, options, label)


BENCHMARKS = {
    "samples": Benchmark(
        name="samples",
        title="Samples of your own",
        group="own",
        splits=("all",),
        template="as written",
        primary="accuracy",
        read=_read,
        twin=write_samples_twin,
        source="your own data, as `vesalius data convert` writes them",
        licence="yours",
        files="`*.jsonl`, `*.jsonl.gz` or `*.parquet` of training samples, media by their paths; or one such file",
        cites_findings=True,
        reads_file=True,
    )
}
