"""MedFrameQA (SuhaoYu1020/MedFrameQA): `data/test-*.parquet` with two to five frames of one video embedded in
`image_1` … `image_5`. The video is the cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import ChoiceTable, gold_letter, options_in
from vesalius.evaluation.benchmarks.pictures import embedded_picture, numbered
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.benchmarks.twin_files import write_parquet
from vesalius.evaluation.benchmarks.twin_questions import pictured_choices, png, truths
from vesalius.evaluation.contract import Benchmark, Medium

__all__ = ["BENCHMARKS"]

_IMAGES = tuple(f"image_{k}" for k in range(1, 6))


def _frames(row: Row, folder: Path) -> tuple[Medium, ...]:
    there = [column for column in _IMAGES if row.values.get(column) is not None]
    if not there:
        raise row.error("image_1", "there is no picture.")
    return numbered([embedded_picture(row, column, folder) for column in there])


def _frame_count(row: Row, media: tuple[Medium, ...]) -> dict[str, str]:
    return {"frames": str(len(media))}


def _video(row: Row) -> str | None:
    return row.maybe("video_id") or None


_TABLE = ChoiceTable(
    files={"test": ("data/test-*.parquet", "test-*.parquet", "data/train-*.parquet")},
    columns=("question_id", "question", "options", "correct_answer", "image_1"),
    options=partial(options_in, "options"),
    gold=partial(gold_letter, "correct_answer"),
    prefix="A.x",
    id="question_id",
    tags=("modality", "system", "organ"),
    media=_frames,
    cluster=_video,
    more_tags=_frame_count,
)


def _twin(folder: Path, count: int, seed: int) -> None:
    """Two to five pictures a question; the first is the one asked about."""
    others = [png(truth) for truth in truths("medframeqa/others", 4, seed, ("ultrasound",))]
    rows: list[dict[str, Any]] = []
    for k, made in enumerate(pictured_choices("medframeqa", count, seed, 5, ("ultrasound", "ct"))):
        frames = [png(made.truth), *others[: 1 + k % 4]]
        rows.append(
            {
                "question_id": f"mfqa_{seed}_{k:04}",
                "system": "Digestive",
                "organ": made.truth.region,
                "keyword": "",
                "modality": made.truth.modality,
                "video_id": f"video{k // 3}",
                "question": f"{made.question} (Image 1 is meant.)",
                "options": list(made.texts),
                "correct_answer": made.letter,
                **{
                    column: {"bytes": frames[n], "path": None} if n < len(frames) else None
                    for n, column in enumerate(_IMAGES)
                },
            }
        )
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", rows)


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="medframeqa",
        title="MedFrameQA",
        group="2d",
        splits=tuple(_TABLE.files),
        template=template_id("mcq", style, prefix="A.x"),
        primary="accuracy",
        read=_TABLE.reader(style),
        twin=_twin,
        files="`data/test-*.parquet`",
        source="https://huggingface.co/datasets/SuhaoYu1020/MedFrameQA",
        licence="CC BY 4.0",
    )


BENCHMARKS = {"medframeqa": in_styles(_benchmark)}
