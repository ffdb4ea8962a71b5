"""Questions about clips: MLV-Bench and MedVidBench. Neither layout is checked against the files: JSON or JSON Lines,
`<split>.json(l)`, with `video` (a path) and `question`; MLV-Bench with `options` and `answer`, MedVidBench with `task`
and, where it is told, `answer`. The truth of MedVidBench's test part is hidden: without an answer `gold` is None, and
the predictions are what its site scores."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import distinct, gold_letter, options_in
from vesalius.evaluation.benchmarks.prompts import template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.benchmarks.volumes import ask_letter, media_file, without_media_marks
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_COLUMNS = {"mlv-bench": ("video", "question", "options", "answer"), "medvidbench": ("video", "question", "task")}


def _read(name: str, folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, (f"{split}.json", f"{split}.jsonl"))
    return distinct(_samples(name, folder, split, paths), folder, "id")


def _samples(name: str, folder: Path, split: str, paths: list[Path]) -> Iterator[tuple[Row, Sample]]:
    for number, row in enumerate(rows_of(paths, _COLUMNS[name]), 1):
        question = without_media_marks(row.text("question"))
        prompt, options = question, None
        gold: str | None = row.maybe("answer") or None
        if name == "mlv-bench":
            options = options_in("options", row)
            prompt, gold = ask_letter(question, options), gold_letter("answer", row, options)
        video = row.text("video")
        sample = Sample(
            id=row.maybe("id") or f"{split}-{number}",
            kind="open" if options is None else "mcq",
            question=question,
            prompt=prompt,
            media=(media_file(row, "video", folder, video, "video", ("", "videos")),),
            options=options,
            gold=gold,
            cluster=video,
            tags=row.tags(("task", "dataset")),
        )
        yield row, sample


def _twin(name: str, folder: Path, count: int, seed: int) -> None:
    """Does something move, what is seen, in generated clips of six frames; two questions a clip."""
    import random

    from vesalius.dialogue.words import LABEL_NAMES, MODALITY_NAMES
    from vesalius.phantoms.clips import CLIP_MODALITIES, draw_clip
    from vesalius.phantoms.splits import HELD_OUT
    from vesalius.phantoms.truth import LABELS
    from vesalius.phantoms.write_media import write_clip

    rng = random.Random(f"{name}/{seed}")
    first = rng.randrange(len(HELD_OUT) // 2)
    rows: list[dict[str, Any]] = []
    for k in range(-(-count // 2)):
        modality = CLIP_MODALITIES[k % len(CLIP_MODALITIES)]
        clip = draw_clip(HELD_OUT[first + k], 6, (96, 96), modality)
        write_clip(folder / "videos" / f"clip{k:03}.webm", [frame.pixels for frame in clip.frames], clip.times_s)
        seen = sorted({one.label for frame in clip.frames for one in frame.objects})
        right = (seen or ["debris"])[0]
        wrong = rng.sample([label for label in LABELS if label not in seen and label != right], 3)
        modalities = [said.en[0] for said in MODALITY_NAMES.values()]
        made = MODALITY_NAMES[modality].en[0]
        asked = [
            ("finding", "What does the clip show?", [LABEL_NAMES[label].en[0] for label in (right, *wrong)]),
            ("modality", "How was the clip made?", [made, *rng.sample([m for m in modalities if m != made], 3)]),
        ]
        for task, question, texts in asked[: count - len(rows)]:
            answer = texts[0]
            rng.shuffle(texts)
            row: dict[str, Any] = {
                "id": f"{len(rows)}",
                "video": f"clip{k:03}.webm",
                "question": f"<video>\n{question}",
            }
            told: dict[str, Any] = {"answer": answer}
            if name == "mlv-bench":
                told = {"options": texts, "answer": "ABCD"[texts.index(answer)]}
            rows.append(row | {"task": task} | told)
    write_json(folder / "test.json", rows)


def _benchmark(name: str, title: str, source: str) -> Benchmark:
    choices = name == "mlv-bench"
    return Benchmark(
        name=name,
        title=title,
        group="video",
        splits=("test",),
        template=template_id("mcq3d[A. x]" if choices else "op3d"),
        primary="accuracy" if choices else "rouge_1",
        read=partial(_read, name),
        twin=partial(_twin, name),
        files="`test.json`, `videos/`",
        source=source,
        licence="under the terms of the videos' sources",
    )


BENCHMARKS = {
    "mlv-bench": _benchmark("mlv-bench", "MLV-Bench", "the authors' pages"),
    "medvidbench": _benchmark("medvidbench", "MedVidBench", "the authors' pages"),
}
