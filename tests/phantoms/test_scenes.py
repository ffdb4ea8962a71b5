"""Pictures: the truth is what was drawn, the same bytes come everywhere, and nothing is invisible or always there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from functools import cache

import numpy as np
import pytest

from vesalius.errors import LimitError, OptionError
from vesalius.limits import Limits, using
from vesalius.phantoms import LABELS, MODALITIES, PLANES, REGIONS, PlacedObject, Truth, draw_picture
from vesalius.phantoms.contrast import stands_out
from vesalius.phantoms.shapes import strokes

SEEDS = 60


@cache
def pictures(modality: str) -> tuple[Truth, ...]:
    return tuple(draw_picture(seed, modality) for seed in range(SEEDS))


def everything() -> list[Truth]:
    return [truth for modality in MODALITIES for truth in pictures(modality)]


def things() -> list[tuple[Truth, PlacedObject]]:
    return [(truth, thing) for truth in everything() for thing in truth.objects]


def fingerprint(truth: Truth) -> str:
    digest = hashlib.sha256(truth.pixels.tobytes())
    for thing in truth.objects:
        digest.update(np.packbits(thing.mask).tobytes())
        digest.update(repr((thing.label, thing.box, thing.point, thing.side, round(thing.size_mm, 6))).encode())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    for modality in MODALITIES:
        first, again, other = draw_picture(5, modality), draw_picture(5, modality), draw_picture(6, modality)
        assert fingerprint(first) == fingerprint(again)
        assert fingerprint(first) != fingerprint(other)


def test_a_fresh_interpreter_draws_the_same_bytes_whatever_it_drew_before() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_scenes import fingerprint\n"
        "from vesalius.phantoms import draw_picture\n"
        "draw_picture(99, 'skin'); print([fingerprint(draw_picture(s, m)) for s, m in ((3, 'ct'), (4, 'fundus'))])"
    )
    folder = __file__.rsplit("/", 1)[0]
    out = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True).stdout
    assert out.strip() == str([fingerprint(draw_picture(3, "ct")), fingerprint(draw_picture(4, "fundus"))])


def test_pixels_are_bytes_grey_or_colour_as_the_modality_is() -> None:
    for truth in everything():
        colour = truth.modality in ("fundus", "skin", "endoscopy", "microscopy")
        assert truth.pixels.dtype == np.uint8
        assert truth.pixels.shape == ((224, 224, 3) if colour else (224, 224))
        assert truth.plane in PLANES
        assert truth.region in REGIONS
        assert truth.spacing_mm > 0


def test_boxes_are_tight_points_lie_inside_and_masks_are_large_enough() -> None:
    for truth, thing in things():
        ys, xs = np.nonzero(thing.mask)
        assert thing.mask.shape == truth.pixels.shape[:2]
        assert thing.mask.dtype == np.bool_
        assert xs.size >= 12, (truth.seed, thing)
        assert thing.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert thing.mask[int(thing.point[1]), int(thing.point[0])]


def test_the_longest_diameter_is_that_of_the_mask() -> None:
    for truth, thing in things()[::7]:
        x0, y0, x1, y1 = thing.box
        pixels = thing.size_mm / truth.spacing_mm
        assert 0.99 * max(x1 - x0, y1 - y0) <= pixels <= 1.01 * float(np.hypot(x1 - x0, y1 - y0)) + 1


def test_findings_hardly_overlap_and_keep_their_own_identity() -> None:
    for truth in everything():
        findings = [o for o in truth.objects if LABELS[o.label] != "anatomy"]
        seen = np.zeros(truth.pixels.shape[:2], np.int64)
        for thing in findings:
            seen += thing.mask
        assert seen.max(initial=0) <= 1
        numbers = [o.identity for o in truth.objects]
        assert len(set(numbers)) == len(numbers)


def test_patient_left_is_on_the_right_of_frontal_and_axial_pictures() -> None:
    seen = Counter[tuple[str, str | None]]()
    for truth in everything():
        spine = truth.of("spine")
        for thing in truth.objects:
            if truth.plane in ("sagittal", "lateral", "none"):
                assert thing.side is None
                continue
            assert thing.side in ("left", "right", "midline")
            seen[thing.label, thing.side] += 1
            if spine and thing.side != "midline" and spine[0].mask.sum() > 200:
                middle = (spine[0].box[0] + spine[0].box[2]) / 2
                assert (thing.point[0] > middle - 12) == (thing.side == "left") or abs(thing.point[0] - middle) < 26
    assert seen["heart", "right"] == 0
    assert seen["liver", "left"] == 0
    assert seen["lung", "left"] > 20
    assert seen["lung", "right"] > 20


def test_every_finding_can_be_seen() -> None:
    weak = total = 0
    for truth, thing in things():
        if LABELS[thing.label] == "anatomy":
            continue
        total += 1
        needed = float(np.clip(10 / np.sqrt(thing.mask.sum()), 1.0, 3.0))
        weak += stands_out(truth, thing) < needed
    assert total > 500
    assert weak <= 0.01 * total, f"{weak} of {total}"


def test_every_label_is_drawn_and_no_finding_is_on_more_than_65_percent_of_the_pictures_of_its_modality() -> None:
    drawn = {thing.label for _, thing in things()}
    assert drawn == set(LABELS)
    for modality in MODALITIES:
        for label, role in LABELS.items():
            if role == "finding":
                share = sum(bool(t.of(label)) for t in pictures(modality)) / SEEDS
                assert share <= 0.65, (modality, label, share)


def test_counts_vary_widely() -> None:
    cells = {len(t.of("cell")) for t in pictures("microscopy")}
    assert {0, 1, 2} <= cells
    assert max(cells) >= 7
    assert {0, 1, 2} <= {len(t.of("polyp")) for t in pictures("endoscopy")}
    assert max(len(t.of("microaneurysm")) for t in pictures("fundus")) >= 5


def test_any_size_can_be_drawn_and_keeps_its_findings() -> None:
    for height, width in ((96, 160), (512, 512), (300, 224)):
        for modality in MODALITIES:
            truth = draw_picture(11, modality, (height, width))
            assert truth.pixels.shape[:2] == (height, width)
            for thing in truth.objects:
                assert thing.mask.shape == (height, width)


def test_without_a_modality_all_of_them_come() -> None:
    assert {draw_picture(seed, size=(64, 64)).modality for seed in range(80)} == set(MODALITIES)


@pytest.mark.parametrize("wrong", [{"modality": "pet"}, {"size": (20, 224)}, {"seed": -1}])
def test_what_cannot_be_drawn_is_an_option_error(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        draw_picture(**({"seed": 1} | wrong))  # pyright: ignore[reportArgumentType]


def test_pictures_over_the_limit_are_refused() -> None:
    with using(Limits(max_pixels=10_000)), pytest.raises(LimitError):
        draw_picture(1)


def test_lines_that_lie_outside_the_picture_leave_it_empty() -> None:
    cover = strokes((40, 60), np.array([[-5.0, 3.0], [61.0, 39.5]]), np.array([1.0, 1.0]))
    assert cover.shape == (40, 60)
    assert not cover.any()
