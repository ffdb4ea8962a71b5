"""Training samples survive a round trip, and a bad row is named by its number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vesalius.dialogue.samples import (
    BoxTarget,
    CountTarget,
    MaskTarget,
    Media,
    Rle,
    Sample,
    Tags,
    Targets,
    Turn,
    read_samples,
    write_samples,
)
from vesalius.errors import InputError


def sample(number: int = 0) -> Sample:
    targets = Targets(
        answer="yes",
        cites=(1,),
        boxes=(BoxTarget(label="nodule", box=(1.5, 2.0, 3.0, 4.0), number=1),),
        counts=(CountTarget(label="nodule", count=1),),
        masks=(MaskTarget(label="nodule", rle=Rle(size=(2, 3), counts=[2, 1, 3])),),
    )
    return Sample(
        id=f"s{number}",
        lang="zh",
        media=(Media(kind="image", path="images/1.png", meta={"spacing_mm": 0.5}),),
        turns=(Turn(role="user", text="有结节吗？"), Turn(role="assistant", text="有 [1]。", targets=targets)),
        tags=Tags(modality="ct", area="chest", task="present"),
    )


def row(**changes: Any) -> dict[str, Any]:
    return {**sample().model_dump(mode="json"), **changes}


def test_samples_survive_a_round_trip(tmp_path: Path) -> None:
    samples = [sample(k) for k in range(5)]
    path = tmp_path / "samples.jsonl"
    assert write_samples(path, samples) == 5
    assert list(read_samples(path)) == samples
    assert [p.name for p in tmp_path.iterdir()] == ["samples.jsonl"]


BOX = {"label": "nodule", "box": [1, 2, 3, 4]}
ASSISTANT = {"role": "assistant", "text": "x"}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        (row(colour=1), "colour"),
        (row(turns=[]), "turns"),
        (row(turns=[{"role": "user", "text": "x"}]), "no assistant turn"),
        (row(media=[{"kind": "audio", "path": "x"}]), "media.0.kind"),
        (row(media=[]), "there are none"),
        (row(turns=[{**ASSISTANT, "targets": {"boxes": [{**BOX, "box": [3, 2, 1, 4]}]}}]), "empty or reversed"),
        (row(turns=[{**ASSISTANT, "targets": {"boxes": [{**BOX, "media": 1}]}}]), "only 1"),
        (row(turns=[{**ASSISTANT, "targets": {"counts": [{"label": "x", "count": -1}]}}]), "count"),
        (row(turns=[{**ASSISTANT, "targets": {"masks": [{"label": "x"}]}}]), "path or rle"),
        (row(turns=[{**ASSISTANT, "targets": {"masks": [{"label": "x", "rle": {"size": [2, 2], "counts": [3]}}]}}]),
         "add up"),
        (row(turns=[{**ASSISTANT, "targets": {"changes": [{"label": "x", "change": "worse"}]}}]), "change"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_its_number(tmp_path: Path, bad: Any, says: str) -> None:
    path = tmp_path / "samples.jsonl"
    good = json.dumps(row())
    path.write_text(f"{good}\n\n{bad if isinstance(bad, str) else json.dumps(bad)}\n", encoding="utf-8")
    rows = read_samples(path)
    next(rows)
    with pytest.raises(InputError) as refused:
        next(rows)
    assert str(refused.value).startswith(f"{path}: row 3: ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_row_with_nan_or_a_repeated_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(row()).replace("1.5", "NaN"), encoding="utf-8")
    with pytest.raises(InputError, match="row 1"):
        list(read_samples(path))
    path.write_text(json.dumps(row()) + "\n" + json.dumps(row()), encoding="utf-8")
    with pytest.raises(InputError, match="row 2: its id"):
        list(read_samples(path))


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(read_samples(tmp_path / "none.jsonl"))
    binary = tmp_path / "b.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        list(read_samples(binary))


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Any:
        yield sample()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(tmp_path / "samples.jsonl", broken())
    assert list(tmp_path.iterdir()) == []
