"""Boxes over many images, masks, instances and image quality against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vesalius.errors import GeometryError, InputError
from vesalius.evaluation.metrics.detection import (
    FoundBoxes,
    box_detection,
    check_frame,
    coco_map,
    first_box_ious,
    point_detection,
    sensitivity_at_false_positives,
    share_at_iou,
)
from vesalius.evaluation.metrics.image_quality import frechet_distance, psnr, ssim
from vesalius.evaluation.metrics.instances import aggregated_jaccard, panoptic_quality
from vesalius.evaluation.metrics.segmentation import dice, mask_iou, soft_dice, surface_scores

A, B, C = [0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 90, 90]
masks = arrays(bool, (6, 7), elements=st.booleans())
maps = arrays(np.int64, (6, 6), elements=st.integers(0, 3))


def test_detection_adds_up_over_images():
    found = box_detection([[A, B], [], [C]], [[A], [B], []])
    assert (found.matched.tolist(), found.precision, found.recall) == ([1, 0, 0], pytest.approx(1 / 3), 0.5)
    assert found.image_f1.tolist() == [pytest.approx(2 / 3), 0, 0]
    assert box_detection([[]], [[]]).f1 == 1
    assert point_detection([[[1, 1]]], [[[1, 1]]]).f1 == 1


def test_the_first_box_counts_and_none_is_zero():
    ious = first_box_ious([[A, B], None, []], [A, A, A])
    assert ious.tolist() == [1, 0, 0]
    assert share_at_iou(ious, 1.0) == pytest.approx(1 / 3)


def test_mean_average_precision():
    truth = [FoundBoxes([A, B], [1, 2]), FoundBoxes([C], [1])]
    assert set(coco_map(truth, truth).values()) == {1.0}
    found = coco_map([FoundBoxes([A], [1], [0.9]), FoundBoxes([C, A], [1, 1], [0.8, 0.95])], truth, (0.5,))
    # class 1: false at .95, hits at .9 and .8 -> 101 recalls at precision 2/3; class 2 is never found.
    assert found["map@0.5"] == pytest.approx((2 / 3 + 0) / 2)
    assert coco_map([FoundBoxes([], [])] * 2, truth)["map"] == 0
    with pytest.raises(InputError, match="no true box"):
        coco_map(truth, [FoundBoxes([], [])] * 2)


def test_sensitivity_at_false_positives_per_image():
    predicted = [FoundBoxes([A, C, A], [0, 0, 0], [0.9, 0.8, 0.7]), FoundBoxes([B], [0], [0.6])]
    found = sensitivity_at_false_positives(predicted, [[A], [B]], (0, 0.5, 1))
    assert found == {0: 0.5, 0.5: 0.5, 1: 1}


def test_boxes_of_another_frame_are_pointed_out():
    truth, sizes = [[[100, 100, 300, 300]]] * 4, [(640, 480)] * 4
    assert check_frame(truth, truth, sizes).warning is None
    unit = check_frame([[[0.1, 0.1, 0.5, 0.5]]] * 4, truth, sizes)
    assert unit.warning is not None
    assert "area" in unit.warning
    outside = check_frame([[[100, 100, 990, 990]]] * 4, truth, sizes)
    assert outside.warning is not None
    assert outside.outside == 1
    assert check_frame([[]] * 4, truth, sizes).warning is None


@given(masks, masks)
def test_dice_and_iou_count_pixels(a, b):
    shared, both = (a & b).sum(), a.sum() + b.sum()
    assert dice(a, b) == (pytest.approx(2 * shared / both) if both else 1)
    assert mask_iou(a, b) == (pytest.approx(shared / (a | b).sum()) if both else 1)
    assert dice(a, a) == mask_iou(a, a) == soft_dice(a, a) == 1


def test_an_empty_mask_has_no_distance():
    empty, full = np.zeros((5, 5), bool), np.ones((5, 5), bool)
    assert (surface_scores(empty, empty, (1, 1)).nsd, surface_scores(empty, empty, (1, 1)).hd95_mm) == (1, None)
    assert (surface_scores(empty, full, (1, 1)).nsd, surface_scores(empty, full, (1, 1)).hd95_mm) == (0, None)
    assert dice(empty, full) == 0
    with pytest.raises(GeometryError):
        surface_scores(full, full, (1, 0))
    with pytest.raises(InputError):
        dice(full, full[:3])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_surface_distances_are_millimetres_along_each_axis(axis):
    spacing = (0.5, 1.25, 3.0)
    a = np.zeros((24, 24, 24), bool)
    a[6:14, 6:14, 6:14] = True
    b = np.roll(a, 2, axis=axis)
    found = surface_scores(b, a, spacing, tolerance_mm=2 * spacing[axis] + 1e-6)
    assert found.hd95_mm == pytest.approx(2 * spacing[axis], abs=1e-6)
    assert found.nsd == 1
    assert surface_scores(b, a, spacing, tolerance_mm=0.01).nsd < 0.9
    assert surface_scores(a, a, spacing, tolerance_mm=0).nsd == 1


@given(masks, masks, st.sampled_from([0.5, 1.0, 1.5, 2.5]))
def test_surface_distances_by_brute_force(a, b, tolerance):
    spacing = np.array([1.5, 0.75])

    def surface(mask):
        grown = np.pad(mask, 1)
        inner = grown[:-2, 1:-1] & grown[2:, 1:-1] & grown[1:-1, :-2] & grown[1:-1, 2:]
        return np.argwhere(mask & ~inner) * spacing

    if not a.any() or not b.any() or (a == b).all():
        return
    apart = np.linalg.norm(surface(a)[:, None] - surface(b)[None], axis=2)
    there, back = apart.min(axis=1), apart.min(axis=0)
    found = surface_scores(a, b, spacing.tolist(), tolerance_mm=tolerance)
    assert found.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    near = (there <= tolerance).sum() + (back <= tolerance).sum()
    assert found.nsd == pytest.approx(near / (len(there) + len(back)))


@given(maps, maps)
def test_panoptic_quality_and_jaccard_by_the_book(a, b):
    said = [a == k for k in range(1, 4) if (a == k).any()]
    truth = [b == k for k in range(1, 4) if (b == k).any()]
    ious = [[(p & g).sum() / (p | g).sum() for g in truth] for p in said]
    hits = [v for row in ious for v in row if v > 0.5]
    found = panoptic_quality(a, b)
    if said or truth:
        assert found.pq == pytest.approx(sum(hits) / ((len(said) + len(truth)) / 2))
    else:
        assert found.pq == 1
    assert panoptic_quality(b, b).pq == 1
    assert aggregated_jaccard(b, b) == 1
    assert aggregated_jaccard(a, b) == pytest.approx(jaccard(said, truth, ious))


def jaccard(said, truth, ious):
    if not said or not truth:
        return float(not said and not truth)
    shared = total = 0
    taken = set()
    for j, g in enumerate(truth):
        i = int(np.argmax([row[j] for row in ious]))
        if ious[i][j] > 0:
            shared, total = shared + (said[i] & g).sum(), total + (said[i] | g).sum()
            taken.add(i)
        else:
            total += g.sum()
    return shared / (total + sum(p.sum() for i, p in enumerate(said) if i not in taken))


def test_image_quality():
    rng = np.random.default_rng(5)
    image = rng.random((32, 40))
    noisy = np.clip(image + rng.normal(0, 0.1, image.shape), 0, 1)
    assert ssim(image, image, 1.0) == pytest.approx(1, abs=1e-12)
    assert psnr(image, image, 1.0) == np.inf
    assert psnr(noisy, image, 1.0) == pytest.approx(10 * np.log10(1 / ((noisy - image) ** 2).mean()))
    assert ssim(noisy, image, 1.0) == pytest.approx(direct_ssim(noisy, image))
    with pytest.raises(InputError):
        psnr(image, image[:5], 1.0)


def direct_ssim(a, b):
    """Every 7 x 7 window that lies inside, one by one."""
    values = []
    for y in range(a.shape[0] - 6):
        for x in range(a.shape[1] - 6):
            p, q = a[y : y + 7, x : x + 7].ravel(), b[y : y + 7, x : x + 7].ravel()
            c = np.cov(p, q)
            low, high = 1e-4, 9e-4
            top = (2 * p.mean() * q.mean() + low) * (2 * c[0, 1] + high)
            values.append(top / ((p.mean() ** 2 + q.mean() ** 2 + low) * (c[0, 0] + c[1, 1] + high)))
    return np.mean(values)


def test_frechet_distance_in_closed_form():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 4))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(features, features + 2) == pytest.approx(16)
    assert frechet_distance(features, 3 * (features - features.mean(0)) + features.mean(0)) == pytest.approx(
        4 * np.trace(np.cov(features, rowvar=False))
    )
