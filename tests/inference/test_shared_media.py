"""Conversations answered together read a file once and show the very same item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vesalius.dialogue.messages import read_conversation
from vesalius.inference.media import spoken_of
from vesalius.study.items import Picture, Study


def picture(source: Any, known: dict[Any, Study] | None, **options: Any) -> Picture:
    content = [{"type": "image", "image": source, **options}, {"type": "text", "text": "What is it?"}]
    spoken, _ = spoken_of(read_conversation([{"role": "user", "content": content}]), known=known)
    item = spoken[0].parts[0].item  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(item, Picture)
    return item


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_what_is_shared_is_the_same_item(path: Path, kind: str) -> None:
    known: dict[Any, Study] = {}
    sources = [str(path), str(path)] if kind == "path" else [path.read_bytes(), path.read_bytes()]
    first, second = (picture(source, known) for source in sources)
    assert first is second
    assert picture(sources[0], None) is not first


def test_a_told_spacing_is_the_pictures_and_another_one_another_picture(path: Path) -> None:
    known: dict[Any, Study] = {}
    bare, half, again = picture(path, known), picture(path, known, spacing_mm=0.5), picture(path, known, spacing_mm=0.5)
    assert (bare.spacing_mm, half.spacing_mm) == (None, (0.5, 0.5))
    assert half is again
    assert half is not bare
