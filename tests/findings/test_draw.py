"""Overlays: findings where they belong, labels where they hide nothing."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vesalius.errors import InputError, OptionError
from vesalius.findings import Box, Count, Mask, Measurement, Point, Report
from vesalius.findings.draw import layout, overlay, scale_bar
from vesalius.findings.labels import place_labels
from vesalius.findings.legend import PALETTE, legend_entries, size_in_words
from vesalius.findings.lettering import text_size
from vesalius.findings.montage import clip_overlay, montage

GREY = np.full((96, 128), 90, dtype=np.uint8)


def coloured(image: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of all pixels of exactly this colour, outer corners."""
    ys, xs = np.nonzero((np.asarray(image) == colour).all(axis=-1))
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


@pytest.mark.parametrize("scale", [1.0, 2.5, 4.0, 7.0, 0.5, "auto"])
@pytest.mark.parametrize("corners", [(10.0, 12.0, 60.0, 50.0), (0.0, 0.0, 128.0, 96.0), (33.3, 40.7, 71.9, 66.1)])
def test_a_box_is_drawn_at_its_scaled_coordinates(scale: Any, corners: tuple[float, ...]) -> None:
    x0, y0, x1, y1 = corners
    box = Box(label="", x0=x0, y0=y0, x1=x1, y1=y1)
    plan = layout((128, 96), [box], scale=scale, legend=False)
    bare = Image.fromarray(np.asarray(overlay(GREY, [box], scale=scale, legend=False)).copy())
    for rect in (mark.label_rect for mark in plan.marks):
        if rect is not None:
            bare.paste((0, 0, 0), rect)
    found = coloured(bare, PALETTE[0])
    expected = [v * s for v, s in zip(corners, plan.scale * 2, strict=True)]
    # The line is centred on the edge, so its outer side stands half a line (1 px of 2) further out.
    outside = [expected[0] - 1, expected[1] - 1, expected[2] + 1, expected[3] + 1]
    limits = [0, 0, *plan.shown]
    clipped = [min(max(v, 0), limits[2 + n % 2]) for n, v in enumerate(outside)]
    assert np.abs(np.subtract(found, clipped)).max() <= 1


def test_a_mask_outline_follows_its_pixels() -> None:
    mask = np.zeros((96, 128), dtype=bool)
    mask[20:40, 30:70] = True
    image = overlay(GREY, [Mask(label="肝", mask=mask)], scale=5.0, legend=False)
    pixels = np.asarray(image)
    assert (pixels[100, 150] == PALETTE[0]).all(), "the first mask pixel's corner"
    assert (pixels[199, 349] == PALETTE[0]).all(), "the last mask pixel's corner"
    assert (pixels[150, 250] != PALETTE[0]).any(), "the fill is light"
    assert (pixels[150, 250] != 90).any(), "but there"
    assert (pixels[300, 500] == 90).all(), "elsewhere the picture is untouched"


def test_a_thin_mask_survives_reduction() -> None:
    mask = np.zeros((96, 128), dtype=bool)
    mask[50, :] = True
    pixels = np.asarray(overlay(GREY, [Mask(label="line", mask=mask)], scale=0.25, legend=False))
    assert (pixels[12] == PALETTE[0]).all()


def test_a_crosshair_is_centred_on_its_point_and_leaves_it_visible() -> None:
    image = overlay(GREY, [Point(label="", x=64.0, y=48.0)], scale=4.0, legend=False)
    pixels = np.asarray(image).astype(int)
    changed = np.abs(pixels - 90).sum(axis=-1) > 0
    ys, xs = np.nonzero(changed[192 - 15 : 192 + 15, 256 - 15 : 256 + 15])
    assert abs(xs.min() + xs.max() + 1 - 30) <= 1
    assert abs(ys.min() + ys.max() + 1 - 30) <= 1
    assert not changed[190:194, 254:258].any()


@st.composite
def crowds(draw: Any) -> tuple[tuple[int, int], list[Any]]:
    width, height = draw(st.integers(20, 300)), draw(st.integers(20, 300))
    findings: list[Any] = []
    for _ in range(draw(st.integers(1, 10))):
        label = draw(st.sampled_from(["mass", "pleural effusion", "x", "a very long label of a rare finding"]))
        x0, y0 = draw(st.floats(0, width - 4)), draw(st.floats(0, height - 4))
        if draw(st.booleans()):
            x1, y1 = draw(st.floats(x0 + 2, width)), draw(st.floats(y0 + 2, height))
            findings.append(Box(label=label, x0=x0, y0=y0, x1=x1, y1=y1))
        else:
            findings.append(Point(label=label, x=x0, y=y0))
    return (width, height), findings


@settings(max_examples=60, deadline=None)
@given(crowds())
def test_no_label_covers_a_finding_or_another_label(crowd: Any) -> None:
    size, findings = crowd
    plan = layout(size, findings)
    rects = [mark.label_rect for mark in plan.marks]
    for n, rect in enumerate(rects):
        if rect is None:
            continue
        assert rect[0] >= 0
        assert rect[1] >= 0
        assert rect[2] <= plan.shown[0]
        assert rect[3] <= plan.shown[1]
        for finding in findings:
            corners = (
                (finding.x0, finding.y0, finding.x1, finding.y1)
                if isinstance(finding, Box)
                else (finding.x, finding.y, finding.x, finding.y)
            )
            x0, y0, x1, y1 = (v * s for v, s in zip(corners, plan.scale * 2, strict=True))
            assert rect[2] <= x0 or rect[0] >= x1 or rect[3] <= y0 or rect[1] >= y1
        for other in rects[n + 1 :]:
            if other is not None:
                assert rect[2] <= other[0] or rect[0] >= other[2] or rect[3] <= other[1] or rect[1] >= other[3]


def test_a_label_finds_the_only_free_place() -> None:
    occupied = np.ones((60, 100), dtype=bool)
    occupied[40:52, 70:95] = False
    assert place_labels(occupied, [(0, 0, 10, 10)], [(20, 10)]) != [None]
    assert place_labels(np.ones((60, 100), dtype=bool), [(0, 0, 10, 10)], [(20, 10)]) == [None]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_a_label_is_left_out_only_where_no_place_is_left(seed: int, count: int) -> None:
    """Against a search of every place: whoever has none has none, and whoever stands covers nothing."""
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(12, 60, 2))
    occupied = np.zeros((height, width), dtype=bool)
    for _ in range(int(rng.integers(1, 9))):
        x, y, w, h = (int(n) for n in rng.integers(0, [width, height, width, height]))
        occupied[y : y + h + 1, x : x + w // 2 + 1] = True
    sizes = [(int(w), int(h)) for w, h in rng.integers(3, 20, (count, 2))]
    placed = place_labels(occupied, [(0, 0, 5, 5)] * count, sizes, gap=4)
    blocked = occupied.copy()
    for (w, h), rect in zip(sizes, placed, strict=True):
        if rect is None:
            spots = [(x, y) for y in range(height - h + 1) for x in range(width - w + 1)]
            assert all(blocked[y : y + h, x : x + w].any() for x, y in spots)
            continue
        x0, y0, x1, y1 = rect
        assert (x1 - x0, y1 - y0) == (w, h)
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert not blocked[y0:y1, x0:x1].any()
        # Labels keep half the gap off each other.
        blocked[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = True


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 4000), st.integers(8, 4000), st.booleans(), st.floats(0.01, 20))
def test_the_scale_bar_and_its_words_are_on_the_canvas_and_not_under_the_legend(
    width: int, height: int, legend: bool, spacing: float
) -> None:
    width, height = (width, height) if max(width, height) / min(width, height) < 40 else (width, width)
    box = Box(label="a finding", x0=1, y0=1, x1=4, y1=4)
    spacings = (spacing, spacing)
    plan = layout((width, height), [box], spacing_mm=spacings, legend=legend)
    picture = np.zeros((height, width), dtype=np.uint8)
    image = np.asarray(overlay(picture, [box], spacing_mm=spacings, legend=legend)).astype(int)
    below = image[plan.origin[1] + plan.shown[1] :]
    bare = np.asarray(overlay(picture, [], spacing_mm=spacings, legend=False)).astype(int)
    alone = bare[plan.shown[1] :]
    rows, columns = alone.shape[:2]
    columns = min(columns, below.shape[1])
    lit = (alone != alone[-1, -1]).any(axis=-1)
    assert not lit[:, columns:].any(), "the words end within the canvas"
    assert not lit[:, -1].any(), "nothing is cut at its right edge"
    assert (below[:rows, :columns][lit[:, :columns]] == alone[:, :columns][lit[:, :columns]]).all(), "nor covered"


def test_a_long_name_takes_half_the_picture_at_most_and_stands_whole_in_the_answer() -> None:
    name = "a consolidation with air bronchogram in the posterior basal segment of the right lower lobe"
    plan = layout((600, 400), [Box(label=name, x0=200, y0=150, x1=300, y1=250)])
    (mark,) = plan.marks
    assert mark.label_rect is not None
    assert mark.label_rect[2] - mark.label_rect[0] <= plan.shown[0] // 2 + plan.font
    assert mark.text.endswith("…")
    assert name.startswith(mark.text[:-1].rstrip())
    assert mark.entry.name == name


def test_labels_keep_off_mask_pixels_but_may_stand_in_a_mask_s_hollow() -> None:
    mask = np.ones((200, 300), dtype=bool)
    mask[60:140, 60:240] = False
    plan = layout((300, 200), [Mask(label="ring", mask=mask)], scale=2.0)
    rect = plan.marks[0].label_rect
    assert rect is not None
    x0, y0, x1, y1 = (v // 2 for v in rect)
    assert not mask[y0 : y1 + 1, x0 : x1 + 1].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 0.6), st.booleans())
def test_no_label_covers_a_pixel_of_any_mask(seed: int, share: float, blocky: bool) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(n) for n in rng.integers(8, 120, 2))
    masks: list[Mask] = []
    for n in range(int(rng.integers(1, 5))):
        mask = rng.random((height, width)) < share
        if blocky:
            mask = np.zeros((height, width), dtype=bool)
            x, y = int(rng.integers(width)), int(rng.integers(height))
            mask[y : y + height // 2 + 1, x : x + width // 2 + 1] = True
        masks.append(Mask(label=f"finding {n}", mask=mask))
    plan = layout((width, height), masks)
    for mark in plan.marks:
        if mark.label_rect is None:
            continue
        x0, y0, x1, y1 = mark.label_rect
        # The picture's pixels whose shown squares the label touches.
        columns = slice(int(x0 / plan.scale[0]), -int(-x1 // plan.scale[0]))
        rows = slice(int(y0 / plan.scale[1]), -int(-y1 // plan.scale[1]))
        assert not any(mask.mask[rows, columns].any() for mask in masks)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 20), st.floats(0.5, 2), st.integers(20, 700), st.integers(20, 700))
def test_the_scale_bar_is_as_long_as_it_says(spacing: float, ratio: float, width: int, height: int) -> None:
    length, pixels = scale_bar(layout((width, height), [], spacing_mm=(spacing, spacing * ratio)), spacing)
    plan = layout((width, height), [], spacing_mm=(spacing, spacing * ratio))
    assert 0 < pixels <= max(1, plan.shown[0] * 0.25 + 1)
    assert abs(pixels * spacing / plan.scale[0] - length) <= spacing / plan.scale[0]
    assert f"{length:.0e}"[0] in "125"


def test_small_pictures_are_enlarged_and_large_ones_reduced() -> None:
    assert layout((64, 48), []).scale == (8.0, 8.0)
    assert layout((512, 400), []).scale == (1.0, 1.0)
    assert max(layout((5000, 4000), []).shown) == 1600


def test_unequal_spacing_is_shown_in_true_proportion() -> None:
    plan = layout((200, 40), [], spacing_mm=(0.5, 5.0))
    assert plan.shown[1] / plan.shown[0] == pytest.approx(40 * 5.0 / (200 * 0.5), rel=0.01)


def test_everything_but_findings_and_labels_stays_outside_the_picture() -> None:
    full = {"title": "A title", "spacing_mm": (0.7, 0.7), "orientation": ("R", "L", "A", "P")}
    numbers = [Count(label="cells", count=4), Report(findings="f", impression="i")]
    plan = layout((128, 96), numbers, **full)  # pyright: ignore[reportArgumentType]
    image = overlay(GREY, numbers, **full)  # pyright: ignore[reportArgumentType]
    x, y = plan.origin
    shown = np.asarray(image)[y : y + plan.shown[1], x : x + plan.shown[0]]
    assert (shown == 90).all()
    assert image.size == plan.canvas


def test_crowded_pictures_group_their_legend() -> None:
    points = [Point(label="cell", x=n, y=n) for n in range(30)]
    plan = layout((128, 96), points)
    assert [(row.name, row.detail) for row in plan.rows] == [("cell", "30 points")]
    assert all(mark.label_rect is None for mark in plan.marks)


def test_equal_labels_share_a_colour_and_are_numbered() -> None:
    entries = legend_entries(
        [Point(label="cyst", x=1, y=1), Point(label="mass", x=1, y=1), Point(label="cyst", x=2, y=2)]
    )
    assert [e.name for e in entries] == ["cyst 1", "mass", "cyst 2"]
    assert entries[0].colour == entries[2].colour != entries[1].colour


def test_labels_no_font_writes_show_the_english_name() -> None:
    point = Point(label="종양", x=1, y=1)
    assert legend_entries([point], {"종양": "tumour"})[0].name == "tumour"
    assert legend_entries([point])[0].name == "point"
    chinese = Point(label="肿瘤", x=1, y=1)
    assert legend_entries([chinese], {"肿瘤": "tumour"})[0].name == "肿瘤"


def test_sizes_are_told_in_clinical_units() -> None:
    pixels = np.ones((1, 1), dtype=bool)
    box = Box(label="b", x0=0, y0=0, x1=1, y1=1)
    assert size_in_words(box) == ""
    assert size_in_words(Mask(label="m", mask=pixels, area_mm2=1234.0)) == "12.3 cm²"
    assert size_in_words(Mask(label="m", mask=pixels, volume_ml=1500.0)) == "1.50 l"
    assert size_in_words(Measurement(label="m", name="diameter", value=12.34, unit="mm")) == "diameter 12.34 mm"


def test_a_superscript_is_narrower_than_a_letter() -> None:
    assert text_size("mm", 20)[0] < text_size("mm²", 20)[0] < text_size("mm2", 20)[0]


@pytest.mark.parametrize("bad", [GREY.astype(np.int16), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)])
def test_only_bytes_can_be_drawn_on(bad: np.ndarray) -> None:
    with pytest.raises(InputError):
        overlay(bad, [])


def test_masks_and_scales_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="does not match"):
        overlay(GREY, [Mask(label="m", mask=np.ones((3, 3), dtype=bool))])
    for scale in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(OptionError):
            overlay(GREY, [], scale=scale)


def test_a_montage_has_all_its_tiles() -> None:
    tiles = [Image.new("RGB", (100, 50), (10 * n + 50, 0, 0)) for n in range(5)]
    sheet = montage(tiles, 2)
    assert sheet.size == (2 * 108 + 8, 3 * 58 + 8)
    pixels = np.asarray(sheet)
    assert set(pixels[..., 0][pixels[..., 1] == 0]) == {50, 60, 70, 80, 90}
    with pytest.raises(InputError):
        montage([])
    with pytest.raises(OptionError):
        montage(tiles, 0)


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_a_clip_becomes_a_moving_picture(form: Any) -> None:
    frames = [np.full((32, 48, 3), 60 * n, dtype=np.uint8) for n in range(3)]
    boxes = [[Box(label="polyp", x0=4.0 + n, y0=4, x1=20, y1=20)] for n in range(3)]
    with Image.open(io.BytesIO(clip_overlay(frames, boxes, format=form))) as moving:
        assert getattr(moving, "n_frames", 1) == 3
        assert moving.size == (528, 352)
    with pytest.raises(InputError):
        clip_overlay(frames, boxes[:2])
