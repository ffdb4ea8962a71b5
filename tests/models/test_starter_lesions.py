"""The findings of a volume become whole: joined, told from organ ends, and followed from slice to slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from vesalius.models.parts.see_objects import SeenMaps
from vesalius.models.starter.eyes import Sight
from vesalius.models.starter.lesions import Body, followed, is_flat, joined, sureness
from vesalius.models.starter.link import Chain
from vesalius.models.starter.locate import Located, reshaped
from vesalius.vision.letterbox import fit_square

LABELS = ("nodule", "mass")
GRID = 112


def disc(radius: float, level: float, x: float = 56, ground: float = -8.0) -> NDArray[np.float32]:
    """Logits of a disc: `level` in it, `ground` outside, with an edge three cells wide."""
    ys, xs = np.mgrid[:GRID, :GRID] + 0.5
    share = np.clip((radius + 1.5 - np.hypot(xs - x, ys - 56)) / 3, 0, 1)
    return (ground + (level - ground) * share).astype(np.float32)


def seen(label: str, logits: NDArray[np.float32], confidence: float = 0.9) -> Located:
    blank = Located(label, confidence, (0, 0, 0, 0), (0, 0), "left", fit_square(224, 224, 224), logits)
    found = reshaped(blank, logits)
    assert found is not None
    return found


def chain(label: str, radii: dict[int, float], confidence: float = 0.9, x: float = 56) -> Chain:
    return [(n, seen(label, disc(radius, 4, x), confidence)) for n, radius in radii.items()]


@dataclass(frozen=True)
class Slice:
    sight: Sight


def slices(maps: Sequence[NDArray[np.float32]]) -> list[Slice]:
    """Glances whose map of masses is given; nothing is a nodule."""
    blank = np.full((GRID, GRID), -8, np.float32)
    rest = tuple(np.zeros(shape, np.float32) for shape in ((2, GRID, GRID), (2, GRID, GRID), (3, GRID, GRID), (2,)))
    told = (("ct", 1.0), ("axial", 1.0), ("chest", 1.0))
    return [Slice(Sight(np.zeros((1, 1), np.float32), SeenMaps(np.stack([blank, one]), *rest), *told)) for one in maps]


def cells(located: Located) -> int:
    return int((located.logits > 0).sum())


def test_pieces_of_one_lesion_are_one_and_called_what_they_are_where_they_are_widest():
    pieces = [
        chain("nodule", {3: 6, 4: 8}, 0.95),
        chain("mass", {5: 12, 6: 14, 7: 11}, 0.7),
        chain("nodule", {7: 9, 8: 7}, 0.95),
        chain("nodule", {5: 6}, x=90),
    ]
    one, other = sorted(joined(pieces), key=lambda body: -len(body.chain))
    assert one.labels == ("mass", "nodule")
    assert [n for n, _ in one.chain] == [3, 4, 5, 6, 7, 8]
    assert {located.label for _, located in one.chain} == {"mass"}
    assert (other.labels, [n for n, _ in other.chain]) == (("nodule",), [5])


def test_a_lesion_that_is_away_on_a_slice_and_one_that_only_touches_stay_apart():
    assert len(joined([chain("mass", {2: 8, 3: 8}), chain("mass", {5: 8})])) == 2
    assert len(joined([chain("mass", {2: 8}), chain("nodule", {3: 8}, x=68)])) == 2
    assert len(joined([chain("mass", {2: 8}), chain("nodule", {3: 8}, x=60)])) == 1


def test_a_piece_elsewhere_on_one_slice_is_no_part_of_a_lesion():
    strayed = np.maximum(disc(8, 4), disc(6, 4, x=95))
    core = chain("mass", {2: 8, 4: 8})
    (body,) = joined([[core[0], (3, seen("mass", strayed)), core[1]]])
    assert [cells(located) for _, located in body.chain] == [cells(core[0][1])] * 3
    assert body.chain[1][1].box == body.chain[0][1].box
    both = [(n, seen("mass", strayed)) for n in (2, 3)]  # what goes on beside stays
    assert cells(joined([both])[0].chain[0][1]) == cells(both[0][1])


def test_a_disc_is_no_lesion_but_a_ball_is():
    body = Body(("mass",), chain("mass", {4: 15, 5: 15}))  # 58 px wide
    assert is_flat(body, range(10), (1.0, 1.0, 1.0))
    assert not is_flat(body, range(10), (1.0, 1.0, 8.0))
    assert not is_flat(body, range(0, 80, 8), (1.0, 1.0, 1.0))
    assert not is_flat(body, range(10), (0.1, 0.1, 1.0))


def test_what_the_end_of_the_volume_cuts_off_is_not_flat():
    for first in (0, 8):
        body = Body(("mass",), chain("mass", {first: 15, first + 1: 15}))
        assert not is_flat(body, range(10), (1.0, 1.0, 1.0))


def test_a_lesion_goes_on_where_its_mask_does_and_no_further():
    levels = [-8, -1, -1, 1, 1, -1, 1, -1, -8, -1]
    maps = [disc(10, level) for level in levels]
    body = Body(("mass",), [(n, seen("mass", maps[n])) for n in (3, 4, 6)])
    whole = followed(body, slices(maps), LABELS)
    assert [n for n, _ in whole] == [1, 2, 3, 4, 5, 6, 7]
    assert {n for n, located in whole if located.confidence == 0 and located.side is None} == {1, 2, 5, 7}
    assert {located.label for _, located in whole} == {"mass"}
    assert sureness(whole) == sureness(body.chain) == pytest.approx(0.9)


def test_an_unsure_outline_grows_to_its_edge_and_a_sure_one_stays():
    grown: dict[float, float] = {}
    for level in (0.5, 2.0, 6.0):
        maps = [disc(10, level)]
        body = Body(("mass",), [(0, seen("mass", maps[0]))])
        ((_, after),) = followed(body, slices(maps), LABELS)
        grown[level] = cells(after) / cells(body.chain[0][1])
        assert after.box[2] - after.box[0] == pytest.approx(2 * (cells(after) / np.pi) ** 0.5 * 2, rel=0.1)
    assert grown[0.5] > grown[2.0] > grown[6.0] == 1


def test_what_belongs_to_another_lesion_is_left_to_it():
    both = np.maximum(disc(8, 1), disc(8, 1, x=72))
    one, other = (Body(("mass",), [(0, seen("mass", disc(8, 1, x=x)))]) for x in (56, 72))
    ((_, after),) = followed(one, slices([both, both]), LABELS, [other])[:1]
    assert cells(after) > cells(one.chain[0][1])
    assert not ((after.logits > 0) & (other.chain[0][1].logits > 0)).any()
