"""Volumes, clips and pairs: geometry, identity and change are as their truth says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vesalius.errors import LimitError, OptionError
from vesalius.limits import Limits, using
from vesalius.phantoms import LABELS, VolumeTruth, draw_clip, draw_pair, draw_volume, slice_truth
from vesalius.study.geometry import canonical_orientation
from vesalius.study.windows import PRESETS

SHAPE = (96, 96, 24)


def some_volumes() -> list[VolumeTruth]:
    regions = ("chest", "abdomen", "head")
    return [draw_volume(seed, region=regions[seed % 3], shape=SHAPE) for seed in range(12)]


def test_a_volume_is_the_same_every_time_and_canonical() -> None:
    for region in ("chest", "abdomen", "head"):
        volume, again = draw_volume(4, region=region, shape=SHAPE), draw_volume(4, region=region, shape=SHAPE)
        assert volume.values.tobytes() == again.values.tobytes()
        assert volume.labels.tobytes() == again.labels.tobytes()
        assert volume.values.dtype == np.int16
        assert volume.labels.dtype == np.uint8
        orientation = canonical_orientation(volume.affine_ras)
        assert orientation.order == (0, 1, 2)
        assert orientation.flips == (False, False, False)


def test_instances_are_labelled_sized_and_sided() -> None:
    seen = 0
    for volume in some_volumes():
        assert volume.values.shape == SHAPE
        numbers = np.unique(volume.instances[volume.instances > 0]).tolist()
        assert numbers == list(range(1, len(volume.instance_labels) + 1))
        for number in numbers:
            where = volume.instances == number
            label = volume.instance_labels[number - 1]
            assert (volume.labels[where] == volume.names.index(label) + 1).all()
            x = np.nonzero(where)[0].mean() * volume.affine_ras[0, 0] + volume.affine_ras[0, 3]
            side = volume.instance_sides[number - 1]
            assert side == "midline" or side == ("right" if x > 0 else "left")
            extent = np.ptp(np.nonzero(where)[0]) * volume.affine_ras[0, 0]
            assert volume.instance_sizes_mm[number - 1] >= extent
            seen += 1
    assert seen >= 8


def test_nodules_are_6_to_30_mm_and_masses_larger() -> None:
    for seed in range(6):
        volume = draw_volume(seed, region="chest", shape=SHAPE)
        for label, size in zip(volume.instance_labels, volume.instance_sizes_mm, strict=True):
            assert 5 <= size <= 36 if label == "nodule" else 28 <= size <= 80


def test_a_slice_is_shown_with_the_patients_right_at_the_left_edge() -> None:
    volume = draw_volume(2, region="abdomen", shape=SHAPE)
    best = int(np.argmax((volume.labels == volume.names.index("liver") + 1).sum((0, 1))))
    truth = slice_truth(volume, "axial", best)
    (liver,) = truth.of("liver")
    assert liver.side == "right"
    assert liver.point[0] < SHAPE[0] / 2
    (spine,) = truth.of("spine")
    assert spine.side == "midline"
    assert spine.point[1] > SHAPE[1] / 2
    shown = slice_truth(volume, "axial", best, PRESETS["full"]).pixels
    x, y = 10, 70
    value = int(volume.values[SHAPE[0] - 1 - x, SHAPE[1] - 1 - y, best])
    assert shown[y, x] == round((value + 2000) * 255 / 4000)


def test_slices_of_every_axis_carry_their_findings_with_identity() -> None:
    found = 0
    for volume in some_volumes():
        for number, label in enumerate(volume.instance_labels, 1):
            for canonical, axis in enumerate(("sagittal", "coronal", "axial")):
                other = tuple(c for c in range(3) if c != canonical)
                index = int(np.argmax((volume.instances == number).sum(other)))
                truth = slice_truth(volume, axis, index)  # pyright: ignore[reportArgumentType]
                assert truth.plane == axis
                (thing,) = [o for o in truth.objects if o.identity == number and o.label == label]
                assert thing.mask[int(thing.point[1]), int(thing.point[0])]
                assert (thing.side is None) == (axis == "sagittal")
                found += 1
    assert found >= 20


def test_organs_include_the_findings_inside_them() -> None:
    for seed in range(20):
        volume = draw_volume(seed, region="chest", shape=SHAPE)
        if "nodule" not in volume.instance_labels:
            continue
        number = volume.instance_labels.index("nodule") + 1
        index = int(np.argmax((volume.instances == number).sum((0, 1))))
        truth = slice_truth(volume, "axial", index)
        nodule = next(o for o in truth.objects if o.identity == number)
        lungs = np.logical_or.reduce([o.mask for o in truth.of("lung")])
        assert lungs[nodule.mask].all()
        return
    raise AssertionError("no nodule in twenty volumes")


@pytest.mark.parametrize(
    "wrong", [{"shape": (8, 8, 8)}, {"modality": "xray"}, {"region": "head", "modality": "ct"}, {"seed": -1}]
)
def test_volumes_that_cannot_be_drawn_are_option_errors(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        draw_volume(**({"seed": 1} | wrong))  # pyright: ignore[reportArgumentType]


def test_volumes_over_the_limit_and_slices_outside_are_refused() -> None:
    with using(Limits(max_voxels=1000)), pytest.raises(LimitError):
        draw_volume(1)
    with pytest.raises(OptionError):
        slice_truth(draw_volume(1, shape=SHAPE), "axial", SHAPE[2])


def test_clips_keep_identities_and_move_as_they_say() -> None:
    moved = still = 0
    for seed in range(24):
        clip = draw_clip(seed, 6, (128, 128))
        assert len(clip.frames) == 6 == len(clip.times_s)
        assert list(clip.times_s) == sorted(set(clip.times_s))
        labels = {o.label for frame in clip.frames for o in frame.objects if LABELS[o.label] != "anatomy"}
        assert set(clip.motion) == labels
        for label, motion in clip.motion.items():
            tracks: dict[int, list[np.ndarray]] = {}
            for frame in clip.frames:
                for thing in frame.of(label):
                    tracks.setdefault(thing.identity, []).append(thing.mask)
            whole = [track for track in tracks.values() if len(track) == 6]
            if motion == "still":
                assert all((track[0] == track[-1]).mean() > 0.97 for track in whole), (seed, label)
                still += 1
            elif whole:
                assert any((a != b).any() for track in whole for a, b in itertools.pairwise(track))
                moved += 1
    assert moved >= 4
    assert still >= 4


def test_a_clip_is_the_same_every_time_and_its_noise_changes_from_frame_to_frame() -> None:
    clip, again = draw_clip(3, 4, (96, 96)), draw_clip(3, 4, (96, 96))
    for one, two in zip(clip.frames, again.frames, strict=True):
        assert one.pixels.tobytes() == two.pixels.tobytes()
    assert clip.frames[0].pixels.tobytes() != clip.frames[1].pixels.tobytes()


def test_pairs_change_as_they_say() -> None:
    seen = set[str]()
    for seed in range(40):
        pair = draw_pair(seed)
        assert pair.prior.modality == pair.current.modality in ("xray", "ct", "mr")
        assert pair.prior.plane == pair.current.plane
        assert pair.prior.region == pair.current.region
        assert pair.prior.pixels.tobytes() != pair.current.pixels.tobytes()
        before = {o.identity: o for o in pair.prior.objects if LABELS[o.label] == "finding"}
        after = {o.identity: o for o in pair.current.objects if LABELS[o.label] == "finding"}
        assert {identity for _, identity, _ in pair.changes} == before.keys() | after.keys()
        for label, identity, change in pair.changes:
            seen.add(change)
            assert (after.get(identity) or before[identity]).label == label
            if change in ("new", "resolved"):
                assert (identity in before, identity in after) == (change == "resolved", change == "new")
                continue
            ratio = after[identity].size_mm / before[identity].size_mm
            assert {"grown": ratio >= 1.25, "shrunk": ratio <= 0.8, "unchanged": abs(ratio - 1) <= 0.05}[change]
            assert after[identity].side == before[identity].side or "midline" in (
                after[identity].side,
                before[identity].side,
            )
    assert seen == {"new", "resolved", "grown", "shrunk", "unchanged"}


def test_pairs_and_clips_that_cannot_be_drawn_are_option_errors() -> None:
    with pytest.raises(OptionError):
        draw_pair(1, "skin")
    with pytest.raises(OptionError):
        draw_clip(1, 1)
    with pytest.raises(OptionError):
        draw_clip(1, modality="ct")
