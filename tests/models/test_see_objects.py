"""Maps become separate objects, and objects lead back to the original picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vesalius.models.parts.see_objects import SeenMaps, find_objects
from vesalius.models.starter.config import StarterConfig
from vesalius.models.starter.eyes import Sight
from vesalius.models.starter.link import linked, whole_organs
from vesalius.models.starter.locate import Located, confidence_of, locate, source_mask
from vesalius.vision.letterbox import fit_square

LABELS = ("cell", "nodule")
GRID = 112


def maps_of(discs: list[tuple[float, float, float]], label: int = 0, side: int = 0) -> SeenMaps:
    """Perfect maps of discs (x, y, radius in grid cells); a cell between two belongs to the nearer centre."""
    ys, xs = np.mgrid[:GRID, :GRID] + 0.5
    masks = np.full((len(LABELS), GRID, GRID), -8.0, np.float32)
    centres = np.full_like(masks, -8.0)
    offsets = np.zeros((2, GRID, GRID), np.float32)
    sides = np.full((3, GRID, GRID), -4.0, np.float32)
    distances = np.stack([np.hypot(xs - x, ys - y) for x, y, _ in discs])
    owner = distances.argmin(0)
    for n, (x, y, radius) in enumerate(discs):
        masks[label] = np.maximum(masks[label], (radius - distances[n]) * 4)
        centres[label, int(y), int(x)] = 4
        own = owner == n
        offsets[0][own] = (x - xs[own]) / 8
        offsets[1][own] = (y - ys[own]) / 8
        sides[side][distances[n] < radius] = 4
    return SeenMaps(masks, centres, offsets, sides, np.zeros(len(LABELS), np.float32))


def test_two_touching_discs_are_two_objects_with_tight_boxes():
    found = find_objects(maps_of([(40, 50, 8), (55, 50, 8)]), LABELS, {})
    assert [o.label for o in found] == ["cell", "cell"]
    boxes = sorted(o.box for o in found)
    assert boxes[0] == pytest.approx((64, 84, 96, 116), abs=3)
    assert boxes[1] == pytest.approx((94, 84, 126, 116), abs=3)


def test_a_second_centre_that_points_to_the_first_is_the_same_object():
    maps = maps_of([(40, 50, 14)])
    maps.centres[0, 52, 48] = 3  # the offset there leads eight cells back
    (found,) = find_objects(maps, LABELS, {})
    assert found.box == pytest.approx((52, 72, 108, 128), abs=3)


def test_a_centre_below_its_threshold_or_without_a_mask_is_nothing():
    maps = maps_of([(40, 50, 8)])
    assert find_objects(maps, LABELS, {"cell": 0.99}) == []
    maps.masks[:] = -8
    assert find_objects(maps, LABELS, {}) == []


def test_only_the_labels_asked_for_are_read():
    assert find_objects(maps_of([(40, 50, 8)]), LABELS, {}, only=frozenset({"nodule"})) == []


def test_the_midline_can_be_made_less_likely():
    maps = maps_of([(40, 50, 8)], side=1)
    maps.sides[2] = 3.5
    assert [find_objects(maps, LABELS, {}, midline=shift)[0].side for shift in (0.0, -1.0)] == ["midline", "left"]


def located(width: int, height: int, side: int = 0) -> list[Located]:
    config = StarterConfig(LABELS, ("ct",), ("axial",), ("chest",))
    sight = Sight(
        np.zeros((16, 8), np.float32), maps_of([(56, 56, 10)], side=side), ("ct", 1), ("axial", 1), ("chest", 1)
    )
    return locate(sight, fit_square(width, height, 224), config)


@pytest.mark.parametrize(("width", "height"), [(224, 224), (512, 512), (300, 200), (97, 640)])
def test_an_object_lies_in_the_original_picture(width: int, height: int):
    one = located(width, height)[0]
    scale = 224 / max(width, height)
    radius = 20 / scale
    assert one.point == pytest.approx((width / 2, height / 2), abs=1.5 / scale)
    expected = (
        max(width / 2 - radius, 0),
        max(height / 2 - radius, 0),
        min(width / 2 + radius, width),
        min(height / 2 + radius, height),
    )
    assert one.box == pytest.approx(expected, abs=2.5 / scale)
    mask = source_mask(one.logits, one.fit)
    assert mask.shape == (height, width)
    if min(width, height) > 2 * radius:
        assert mask.sum() == pytest.approx(np.pi * radius**2, rel=0.12)


@pytest.mark.parametrize(("number", "name"), [(0, "right"), (1, "midline"), (2, "left")])
def test_the_side_is_the_patients(number: int, name: str):
    assert located(224, 224, side=number)[0].side == name


def test_confidence_follows_the_fitted_line_of_its_label():
    config = StarterConfig(LABELS, (), (), (), calibration={"": (1.0, 0.0), "cell": (2.0, -1.0)})
    assert confidence_of(0.5, "nodule", config) == pytest.approx(0.5)
    assert confidence_of(0.5, "cell", config) == pytest.approx(1 / (1 + np.e))


def test_objects_on_neighbouring_slices_are_linked_and_others_are_not():
    one, other = located(224, 224)[0], located(224, 224)[0]
    far = Located("cell", 0.9, (0, 0, 5, 5), (2, 2), None, one.fit, np.full((GRID, GRID), -6.0, np.float32))
    far.logits[:3, :3] = 6
    chains = linked([(3, [one]), (4, [other, far]), (7, [])])
    assert sorted([i for i, _ in chain] for chain in chains) == [[3, 4], [4]]


def test_pieces_of_one_organ_are_joined_and_findings_are_not():
    shape = located(224, 224)[0]

    def piece(label: str, side: str | None, *indices: int) -> list[tuple[int, Located]]:
        return [(i, replace(shape, label=label, side=side)) for i in indices]

    chains = [
        piece("lung", "left", 1, 2),
        piece("spine", "midline", 6),
        piece("lung", "right", 3),
        piece("lung", "left", 7, 8),
        piece("mass", None, 2),
        piece("spine", "left", 2),
        piece("mass", None, 9),
    ]
    joined = [(chain[0][1].label, chain[0][1].side, [i for i, _ in chain]) for chain in whole_organs(chains)]
    assert joined == [
        ("lung", "left", [1, 2, 7, 8]),
        ("spine", "left", [2, 6]),
        ("lung", "right", [3]),
        ("mass", None, [2]),
        ("mass", None, [9]),
    ]
