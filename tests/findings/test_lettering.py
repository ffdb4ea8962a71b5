"""Text on overlays: Chinese, Arabic and accented letters are written, what no font has is never an empty box."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from vesalius.dialogue.words import LABEL_NAMES, english_names
from vesalius.findings import lettering
from vesalius.findings.findings import Point
from vesalius.findings.legend import legend_entries
from vesalius.findings.lettering import draw_text, drawable, shortened, text_size

needs_shaping = pytest.mark.skipif(not features.check("raqm"), reason="FriBiDi is not installed")


def ink(text: str, size: int = 24) -> np.ndarray:
    """The drawn line with as much room around it as it is wide and high."""
    width, height = text_size(text, size)
    canvas = Image.new("RGB", (width + 2 * size, 3 * height))
    draw_text(ImageDraw.Draw(canvas), (size, height), text, size, (255, 255, 255))
    return np.asarray(canvas)[..., 0]


@pytest.fixture
def without_shaping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lettering, "_joins_letters", lambda: False)
    lettering._face.cache_clear()
    lettering._has_arabic_form.cache_clear()
    yield
    lettering._face.cache_clear()
    lettering._has_arabic_form.cache_clear()


def test_all_chinese_names_are_written_as_they_are() -> None:
    for name in LABEL_NAMES.values():
        assert [drawable(form) for form in name.zh] == list(name.zh)


@needs_shaping
def test_all_arabic_names_are_written_as_they_are() -> None:
    for name in LABEL_NAMES.values():
        forms = [*name.ar, *name.ar_the, name.ar_all]
        assert [drawable(form) for form in forms] == forms


@needs_shaping
@pytest.mark.parametrize("text", ["肺结节（右上叶） 1", "عقدة جبئ 2", "œdème", "ورم في الرئة (T2)", "Ågjy|"])
@pytest.mark.parametrize("size", [14, 26])
def test_a_line_keeps_to_its_box(text: str, size: int) -> None:
    drawn = ink(drawable(text), size)
    width, height = text_size(text, size)
    rows, columns = np.nonzero(drawn > 60)
    assert drawn.max() > 200
    assert height - 2 <= rows.min() <= rows.max() <= 2 * height + 1
    assert size - 2 <= columns.min() <= columns.max() <= size + width + 1


def test_different_characters_have_different_pictures() -> None:
    assert len({ink(letter).tobytes() for letter in "肺结节囊肿肿瘤"}) == len(set("肺结节囊肿肿瘤"))


@needs_shaping
def test_arabic_letters_join_and_read_leftwards() -> None:
    assert text_size("عقدة", 26)[0] < sum(text_size(letter, 26)[0] for letter in "عقدة")
    number = ink("1", 26)[:, 26:-26]
    line = ink("عقدة 1", 26)[:, 26:-26]
    narrow = int(np.nonzero(line.max(axis=0) > 60)[0][0])
    assert narrow < number.shape[1]
    left, right = line[:, : number.shape[1]], line[:, -number.shape[1] :]
    assert left.astype(int).sum() != right.astype(int).sum()
    runs = [run.text for run in lettering._runs("ورم (T2)")]
    assert runs == [")", "T2", "ورم ("]


def test_what_no_font_has_is_told_and_not_drawn() -> None:
    assert drawable("종양") == ""
    assert drawable("肿瘤종") == ""
    assert drawable("nodule 😀") == "nodule"
    assert drawable("  a\u202e b\t") == "a b"
    assert drawable("…") == ""
    assert drawable("ḡ") == "g"


def test_without_shaping_arabic_labels_show_their_english_name(without_shaping: None) -> None:
    assert drawable("عقدة") == ""
    point = Point(label="عقدة", x=1, y=1)
    assert legend_entries([point], english_names())[0].name == "nodule"


def test_a_long_line_is_cut_to_its_width() -> None:
    short = shortened("肺结节肺结节肺结节肺结节", 20, 100)
    assert short.endswith("…")
    assert text_size(short, 20)[0] <= 100
