"""MeCoVQA-G+: JSON lists of rows `id "ct_…", image, conversations [question, "<SEG><mask>PATH</mask>"]`; pictures and
masks by their paths. The modality is the id's first part. `gold` is the mask's file, of the picture's size; a mask may
be empty. Several masks in one answer: the first is scored, as published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from vesalius.evaluation.benchmarks.boxes import picture_size
from vesalius.evaluation.benchmarks.choices import distinct
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_json
from vesalius.evaluation.benchmarks.twin_questions import png, truths
from vesalius.evaluation.benchmarks.volumes import without_media_marks
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_MASK = re.compile(r"<mask>\s*(.+?)\s*</mask>")


def _read(folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, (f"*{split}*.json", f"*/*{split}*.json", "*.json"))
    return distinct(_samples(folder, paths), folder, "id")


def _samples(folder: Path, paths: list[Path]) -> Iterator[tuple[Row, Sample]]:
    for row in rows_of(paths, ("id", "image", "conversations")):
        question, told = _turns(row)
        found = _MASK.search(told)
        if found is None:
            raise row.error("conversations", "the answer names no mask.")
        medium = picture_file(row, "image", folder, row.text("image"), ("", "images"))
        named = Row(row.path, row.number, {"conversations": found[1]})
        mask = picture_file(named, "conversations", folder, found[1], ("", "masks"))
        size = picture_size(medium)
        if picture_size(mask) != size:
            raise row.error("conversations", "the mask is not of the picture's size.")
        name = row.text("id")
        sample = Sample(
            id=name,
            kind="mask",
            question=question,
            prompt=question,
            media=(medium,),
            gold=mask.source,
            size=size,
            # modality--set--case--slice: slices of a case belong together.
            cluster=name.rpartition("--")[0] or None,
            tags={"modality": name.split("_")[0]},
        )
        yield row, sample


def _turns(row: Row) -> tuple[str, str]:
    turns = row.value("conversations")
    texts: list[str] = []
    for turn in cast("list[Any]", turns) if isinstance(turns, list) else []:
        value: Any = cast("dict[str, Any]", turn).get("value") if isinstance(turn, dict) else turn
        if isinstance(value, str) and value.strip():
            texts.append(value)
    if len(texts) != 2:
        raise row.error("conversations", "they are not one question and one answer.")
    return without_media_marks(texts[0]), texts[1]


def _twin(folder: Path, count: int, seed: int) -> None:
    """One object a picture."""
    import io

    import numpy as np
    from PIL import Image

    from vesalius.dialogue.words import LABEL_NAMES
    from vesalius.phantoms.truth import LABELS

    short = {"ct": "ct", "mr": "mr", "xray": "x", "endoscopy": "end", "ultrasound": "us", "skin": "der"}
    rows: list[dict[str, Any]] = []
    for truth in truths("mecovqa-g", 1_000_000, seed, tuple(short)):
        if len(rows) == count:
            break
        found = [one for one in truth.objects if LABELS[one.label] != "object"]
        if not found:
            continue
        label = found[0].label
        mask = np.any([one.mask for one in truth.of(label)], axis=0)
        name = f"{short[truth.modality]}_00--phantom--{truth.seed}--0"
        buffer = io.BytesIO()
        Image.fromarray((mask * 255).astype(np.uint8)).save(buffer, format="PNG")
        write_bytes(folder / "images" / f"{name}.png", png(truth))
        write_bytes(folder / "masks" / f"{name}.png", buffer.getvalue())
        asked = f"<image>\nPlease segment the {LABEL_NAMES[label].en[0]}."
        turns = [
            {"from": "human", "value": asked},
            {"from": "gpt", "value": f"<SEG><mask>masks/{name}.png</mask>"},
        ]
        rows.append({"id": name, "image": f"images/{name}.png", "conversations": turns})
    write_json(folder / "MeCoVQA_G_plus_test.json", rows)


_BENCHMARK = Benchmark(
    name="mecovqa-g",
    title="MeCoVQA-G+",
    group="grounding",
    splits=("test",),
    template="segment",
    primary="dice",
    read=_read,
    twin=_twin,
    files="`*test*.json`, pictures and masks by their paths",
    source="https://github.com/ShawnHuang497/MedPLIB",
    licence="under the terms of the masks' sources",
)

BENCHMARKS = {"mecovqa-g": _BENCHMARK}
