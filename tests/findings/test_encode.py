"""Places written and read back: at most half a step of the frame apart, whatever the sizes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius
from vesalius.errors import InputError, OptionError
from vesalius.findings.findings import Box, Point

STEPS = {"box999": 999, "box1000": 1000, "medmo": 1000, "medmvl": 100}
SIDES = st.integers(8, 5000)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int] | None, tuple[int, int, int, int] | None]:
    """(original size, processed size or None, padding or None)."""
    size = (draw(SIDES), draw(SIDES))
    shape = draw(st.sampled_from(["none", "resized", "letterbox"]))
    if shape == "none":
        return size, None, None
    inner = (draw(SIDES), draw(SIDES))
    if shape == "resized":
        return size, inner, None
    pads = tuple(draw(st.integers(0, 400)) for _ in range(4))
    return size, (inner[0] + pads[0] + pads[2], inner[1] + pads[1] + pads[3]), pads  # pyright: ignore[reportReturnType]


@settings(max_examples=200, deadline=None)
@given(
    picture=pictures(),
    dialect=st.sampled_from(["qwen-json", "box999", "box1000", "unit", "parens", "medmo", "citrus-inline", "medmvl"]),
    corners=st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=4),
    strict=st.booleans(),
)
def test_round_trip_is_exact_to_half_a_step(picture, dialect: str, corners, strict: bool) -> None:
    size, processed, padding = picture
    shown = processed or size
    pads = padding or (0, 0, 0, 0)
    inner = (shown[0] - pads[0] - pads[2], shown[1] - pads[1] - pads[3])
    if dialect == "unit":
        steps = [1e-4 * shown[axis] * size[axis] / inner[axis] for axis in (0, 1)]
    else:
        units = [STEPS.get(dialect, shown[axis]) for axis in (0, 1)]
        steps = [shown[axis] / units[axis] * size[axis] / inner[axis] for axis in (0, 1)]
    boxes = []
    for x0, y0, x1, y1 in corners:
        x0, x1 = sorted((x0 * size[0], x1 * size[0]))
        y0, y1 = sorted((y0 * size[1], y1 * size[1]))
        if x1 - x0 > 1.5 * steps[0] and y1 - y0 > 1.5 * steps[1]:
            boxes.append({"kind": "box", "coords": [x0, y0, x1, y1], "label": "a lesion"})
    text = vesalius.encode(boxes, dialect, size, processed, padding=padding)
    found = vesalius.parse_grounding(text, dialect, size, processed, strict=strict, padding=padding)
    assert len(found.items) == len(boxes)
    assert found.repaired == []
    for made, one in zip(boxes, found.items, strict=True):
        assert one.label == (None if dialect in ("unit", "medmvl") else "a lesion")
        for at, (a, b) in enumerate(zip(made["coords"], one.coords, strict=True)):
            assert abs(a - b) <= steps[at % 2] / 2 * 1.0001 + 1e-9


@settings(max_examples=100, deadline=None)
@given(
    size=st.tuples(SIDES, SIDES),
    dialect=st.sampled_from(["qwen-json", "box1000", "medmo", "parens", "citrus-inline", "unit"]),
    x=st.floats(0, 0.99),
    width=st.floats(1e-4, 1e-2),
)
def test_a_box_thinner_than_a_step_keeps_its_extent(
    size: tuple[int, int], dialect: str, x: float, width: float
) -> None:
    made = {"kind": "box", "coords": [x * size[0], 0.0, min(x + width, 1.0) * size[0], float(size[1])], "label": "a"}
    found = vesalius.parse_grounding(vesalius.encode([made], dialect, size), dialect, size, strict=True)
    assert len(found.items) == 1
    step = size[0] / 1000 if dialect in ("box1000", "medmo") else 1.0
    assert found.items[0].coords == pytest.approx(made["coords"], abs=step / 2 * 1.0001)


def test_medmvl_widens_to_its_next_step() -> None:
    text = vesalius.encode([{"kind": "box", "coords": [10.1, 0, 10.3, 50], "label": None}], "medmvl", (100, 100))
    assert text == "{<10><0><11><50>}"


def test_each_dialect_as_its_model_writes_it() -> None:
    boxes = [Box(label="liver", x0=64, y0=96, x1=192, y1=192), Box(label="liver", x0=0, y0=0, x1=640, y1=480)]
    size = (640, 480)
    assert (
        vesalius.encode(boxes, "box1000", size)
        == "<ref>liver</ref><box>[[100, 200, 300, 400], [0, 0, 1000, 1000]]</box>"
    )
    assert vesalius.encode(boxes, "medmo", size) == "liver <box>[[100, 200, 300, 400], [0, 0, 1000, 1000]]</box>"
    assert vesalius.encode(boxes[:1], "unit", size) == "[0.1, 0.2, 0.3, 0.4]"
    assert vesalius.encode(boxes[:1], "medmvl", size) == "{<10><20><30><40>}"
    assert (
        vesalius.encode(boxes[:1], "citrus-inline", size)
        == '<bbox>{"Part": "liver", "bbox": [64, 96, 192, 192]}</bbox>'
    )
    assert (
        vesalius.encode(boxes[:1], "parens", size)
        == "<|object_ref_start|>liver<|object_ref_end|><|box_start|>(64,96),(192,192)<|box_end|>"
    )
    points = [Point(label="cell", x=5, y=6), Point(label="cell", x=7, y=8)]
    said = vesalius.encode(points, "qwen-json", size, count=2)
    assert said == '```json\n{"counts": 2, "point_2d": [[5, 6], [7, 8]], "label": "cell"}\n```'
    assert vesalius.parse_grounding(said, "qwen-json", size, strict=True).count == 2
    assert vesalius.encode([], "qwen-json", size) == "```json\n[]\n```"


def test_volumes_and_masks_round_trip() -> None:
    made = {"kind": "box3d", "coords": [10.0, 10.0, 3.0, 50.0, 30.0, 7.0], "label": None}
    found = vesalius.parse_grounding(vesalius.encode([made], "m3d", (100, 50, 10)), "m3d", (100, 50, 10), strict=True)
    assert found.items[0].coords == pytest.approx(made["coords"])
    runs = {"size": [2, 2], "counts": "112"}
    text = vesalius.encode([{"kind": "mask", "coords": [], "label": "liver", "rle": runs}], "seg", (2, 2))
    again = vesalius.parse_grounding(text, "seg", (2, 2))
    assert (again.items[0].label, again.items[0].rle["size"]) == ("liver", [2, 2])


def test_what_a_dialect_cannot_say_is_an_error() -> None:
    with pytest.raises(OptionError, match="cannot say a point"):
        vesalius.encode([Point(label="a", x=1, y=1)], "medmo", (10, 10))
    with pytest.raises(InputError, match="not finite"):
        vesalius.encode([{"kind": "box", "coords": [0, 0, float("nan"), 1]}], "unit", (10, 10))
