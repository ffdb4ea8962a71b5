"""The JSON Schema of samples is that of the code, and takes and refuses what the reader does."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from vesalius.cli.main import main
from vesalius.dialogue.sample_schema import sample_schema, schema_text
from vesalius.dialogue.samples import Sample

SAID = {"role": "assistant", "text": "yes"}
MASK = {"label": "cyst", "path": "m.png"}


def row(**changes: Any) -> dict[str, Any]:
    media = [{"kind": "image", "path": "1.png"}]
    return {"id": "a", "media": media, "turns": [{"role": "user", "text": "Is it?"}, SAID], **changes}


def told(**targets: Any) -> dict[str, Any]:
    return row(turns=[{"role": "user", "text": "Where?"}, {**SAID, "targets": targets}])


def test_the_file_is_what_the_code_says(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stored = files("vesalius.dialogue").joinpath("samples.schema.json").read_text(encoding="utf-8")
    assert stored == schema_text()
    assert main(["data", "schema"]) == 0
    assert capsys.readouterr().out == stored
    assert main(["data", "schema", "--out", str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text(encoding="utf-8") == stored
    jsonschema.Draft202012Validator.check_schema(sample_schema())


@pytest.mark.parametrize(
    ("one", "good"),
    [
        (row(), True),
        (row(patient="p", lang="zh", tags={"task": "qa"}), True),
        (told(boxes=[{"label": "cyst", "box": [1, 2.5, 3, 4]}]), True),
        (told(masks=[MASK]), True),
        (told(masks=[{**MASK, "rle": None}]), True),
        (told(masks=[{**MASK, "rle": {"size": [1, 2], "counts": [2]}}]), False),
        (told(masks=[{"label": "cyst"}]), False),
        (told(boxes=[{"label": "cyst", "box": [1, 2, 3]}]), False),
        (row(id=""), False),
        (row(turns=[{"role": "user", "text": "Is it?"}]), False),
        (row(turns=[]), False),
        (row(modality="ct"), False),
        (row(media=[{"kind": "photo", "path": "1.png"}]), False),
    ],
)
def test_it_takes_and_refuses_what_the_reader_does(one: dict[str, Any], good: bool) -> None:
    import json

    try:
        Sample.model_validate_json(json.dumps(one))
        read = True
    except ValidationError:
        read = False
    assert read == good
    assert jsonschema.Draft202012Validator(sample_schema()).is_valid(one) == good
