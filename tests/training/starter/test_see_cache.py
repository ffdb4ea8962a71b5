"""Encoded pictures come back as they were drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.training.starter.pictures import SIZE, encode, tiny_shard
from vesalius.phantoms.pictures import draw_picture
from vesalius.training.starter.see_cache import LABEL_NAMES, open_shard, square_truth, write_shard
from vesalius.training.starter.see_targets import collate_pictures


def test_a_shard_holds_each_object_with_its_mask(tmp_path: Path):
    shard = tiny_shard(tmp_path / "shard")
    for index in range(len(shard)):
        truth = draw_picture(1_000_000 + index, "microscopy", size=(SIZE, SIZE))
        rows, masks = shard.objects_of(index)
        assert [LABEL_NAMES[row["label"]] for row in rows] == [o.label for o in truth.objects]
        for mask, placed in zip(masks, truth.objects, strict=True):
            assert (mask == placed.mask).all()


def test_a_shard_without_its_manifest_is_made_again(tmp_path: Path):
    tiny_shard(tmp_path / "shard")
    (tmp_path / "shard" / "shard.json").unlink()
    assert open_shard(tmp_path / "shard") is None
    assert len(tiny_shard(tmp_path / "shard")) == 8


def test_a_complete_shard_of_the_same_recipe_is_not_encoded_again(tmp_path: Path):
    tiny_shard(tmp_path / "shard")

    def refuse(_: object) -> np.ndarray:
        raise AssertionError("encoded again")

    again = write_shard(tmp_path / "shard", iter(()), 8, refuse, size=SIZE, note={"count": 8})
    assert len(again) == 8


def test_letterboxing_a_truth_moves_its_masks_with_its_pixels():
    truth = draw_picture(5, "skin", size=(64, 96))
    square = square_truth(truth, SIZE)
    assert square.pixels.shape == (SIZE, SIZE, 3)
    for before, after in zip(truth.objects, square.objects, strict=False):
        if before.label == after.label:
            share = before.mask.mean() * (2 / 3)
            assert abs(after.mask.mean() - share) < 0.02


def test_targets_put_a_peak_on_every_object_and_offsets_point_at_it(tmp_path: Path):
    shard = tiny_shard(tmp_path / "shard", 12)
    batch = collate_pictures([(shard, i) for i in range(12)])
    grid = SIZE // 2
    assert batch["masks"].shape == (12, len(LABEL_NAMES), grid, grid)
    for index in range(12):
        rows, masks = shard.objects_of(index)
        for row, mask in zip(rows, masks, strict=True):
            x, y = (int(v / 2) for v in row["centre"])
            assert batch["centres"][index, row["label"], min(y, grid - 1), min(x, grid - 1)] == 1
            ys, xs = np.nonzero(mask)
            cell = (int(ys[0] / 2), int(xs[0] / 2))
            if len(rows) == 1 and bool(batch["owned"][index, cell[0], cell[1]]):
                offset = batch["offsets"][index, :, cell[0], cell[1]].numpy() * 16
                aimed = (2 * cell[1] + 1 + offset[0], 2 * cell[0] + 1 + offset[1])
                assert np.allclose(aimed, row["centre"], atol=1e-3)
    assert batch["known"].all()
    assert encode(shard.pixels[:2]).shape == (2, 16, 16)
