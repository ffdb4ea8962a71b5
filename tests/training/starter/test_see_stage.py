"""The dense head learns, resumes to the bit, and its maps become objects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training.starter.pictures import CONFIG, tiny_shard
from vesalius.models.parts.see_head import SeeHead
from vesalius.training.recipe import SeeStage, StarterRecipe
from vesalius.training.starter import stages as starter
from vesalius.training.starter.calibrate import Candidate, calibrate, candidates, fit_line, fit_midline
from vesalius.training.starter.see import train_see
from vesalius.training.starter.see_cache import LABEL_NAMES
from vesalius.training.starter.see_loss import see_loss
from vesalius.training.starter.see_targets import collate_pictures


def head() -> SeeHead:
    torch.manual_seed(0)
    return SeeHead(CONFIG)


def trained(folder: Path, shard_folder: Path, steps: int, stop_after: int | None = None) -> tuple[SeeHead, list[float]]:
    shard = tiny_shard(shard_folder)
    network = head()
    log = train_see(
        network,
        [shard],
        folder,
        steps=steps,
        batch=4,
        learning_rate=3e-3,
        seed=1,
        save_steps=stop_after or 1000,
        bf16=False,
    )
    return network, [float(entry["loss"]) for entry in log["log"] if "loss" in entry]


def test_the_loss_falls_on_eight_pictures(tmp_path: Path):
    _, losses = trained(tmp_path / "run", tmp_path / "shard", 60)
    assert losses[-1] < 0.7 * losses[0]


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path):
    straight, _ = trained(tmp_path / "straight", tmp_path / "shard", 6, stop_after=3)
    newest = tmp_path / "straight" / "checkpoint-6"
    kept = tmp_path / "resumed"
    (tmp_path / "straight" / "checkpoint-3").rename(tmp_path / "checkpoint-3")
    kept.mkdir()
    (tmp_path / "checkpoint-3").rename(kept / "checkpoint-3")
    assert newest.is_dir()
    resumed, _ = trained(kept, tmp_path / "shard", 6, stop_after=3)
    for (name, a), b in zip(straight.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_damaged_checkpoint_is_passed_over_and_no_file_is_pickled(tmp_path: Path):
    straight, _ = trained(tmp_path / "run", tmp_path / "shard", 6, stop_after=3)
    files = {file.suffix for file in (tmp_path / "run").rglob("checkpoint-*/*")}
    assert files == {".json", ".safetensors"}
    damaged = tmp_path / "run" / "checkpoint-6" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    again, _ = trained(tmp_path / "run", tmp_path / "shard", 6, stop_after=3)
    for (name, a), b in zip(straight.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_labels_that_are_not_annotated_do_not_change_the_loss(tmp_path: Path):
    shard = tiny_shard(tmp_path / "shard", 4)
    batch = collate_pictures([(shard, i) for i in range(4)])
    seen = head().eval()(batch["pixels"], batch["features"])
    batch["known"][:, 3] = False
    before, _ = see_loss(seen, batch)
    changed = {**batch, "masks": batch["masks"].clone(), "centres": batch["centres"].clone()}
    changed["masks"][:, 3] = 1
    changed["centres"][:, 3] = 0.9
    after, _ = see_loss(seen, changed)
    assert torch.equal(before, after)


def test_candidates_count_what_was_drawn(tmp_path: Path):
    shard = tiny_shard(tmp_path / "shard", 4)
    found, counts = candidates(head(), shard)
    assert counts.sum() == len(shard.objects)
    thresholds, lines = calibrate(found, np.repeat(counts, 20, axis=0))
    assert "" in lines
    assert all(0.1 <= t <= 0.8 for t in thresholds.values())


def test_a_rare_label_that_is_seen_low_is_not_drowned_by_pictures_without_it():
    label = LABEL_NAMES[0]
    there = [Candidate(picture, label, 0.3, 0.5, right=True) for picture in range(20)]
    elsewhere = [Candidate(picture, label, 0.5, 0.5, right=False) for picture in range(20, 45)]
    counts = np.zeros((1000, len(LABEL_NAMES)), np.int64)
    counts[:20, 0] = 1
    # Silence everywhere would be right on 980 of 1,000 pictures, this on 975.
    assert calibrate(there + elsewhere, counts)[0][label] <= 0.3
    # A label nobody can tell from noise is better not said at all.
    noise = [Candidate(picture, label, 0.3, 0.5, right=False) for picture in range(1000)]
    assert calibrate(noise, counts)[0][label] > 0.3


def test_every_further_round_goes_on_from_the_weights_of_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shard = tiny_shard(tmp_path / "shard")
    for name in ("encode_real", "encode_volumes"):
        monkeypatch.setattr(starter, name, lambda *_: [])
    monkeypatch.setattr(starter, "encode_phantoms", lambda *_: [shard])
    for name in ("lean_encoder", "picture_encoder"):  # the shard is encoded already
        monkeypatch.setattr(starter, name, lambda *_, **__: None)
    monkeypatch.setattr(starter, "see_config", lambda _: CONFIG)
    see = SeeStage(steps=4, batch=4, restarts=2, restart_steps=3, restart_learning_rate=1e-12)
    recipe = StarterRecipe(out=str(tmp_path), stages=("see",), bf16=False, see=see)
    starter.train_starter(recipe, lambda _: None)
    first = load_file(tmp_path / "see" / "checkpoint-4" / "model.safetensors")
    last = load_file(tmp_path / "see.safetensors")
    assert (tmp_path / "see-restart-2" / "checkpoint-3").is_dir()
    # A round of no learning rate leaves every weight; only the running statistics of normalisation go on.
    for name, weight in last.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(weight.float(), first[f"head.{name}"], atol=2e-3, rtol=2e-3)
    log = json.loads((tmp_path / "see_log.json").read_text())
    assert log["steps"] == 10
    starter.train_starter(recipe, lambda _: None)  # all rounds are done: nothing is learnt
    assert json.loads((tmp_path / "see_log.json").read_text())["steps"] == 10
    again = load_file(tmp_path / "see.safetensors")
    assert all(torch.equal(weight, again[name]) for name, weight in last.items())
    assert not (tmp_path / "see" / "checkpoint-5").exists()


def test_the_midline_moves_to_where_most_sides_are_right():
    def seen(logits: tuple[float, float, float], side: int, height: float = 0.9) -> Candidate:
        return Candidate(0, "heart", height, 0.9, True, logits, side)

    left = [seen((0.0, 2.0, 1.0), 2), seen((0.0, 1.5, 1.0), 2), seen((1.2, 2.0, 0.0), 0)]
    middle = [seen((0.0, 5.0, 1.0), 1), seen((1.0, 5.5, 0.0), 1)]
    unseen = [seen((0.0, 0.0, 9.0), 1, height=0.1)] * 9
    moved = fit_midline(left + middle + unseen, {"heart": 0.5})
    assert -4 < moved < -1
    assert fit_midline(middle, {"heart": 0.5}) == 0
    assert fit_midline([], {}) == 0


def test_a_fitted_line_gives_back_the_chances_it_was_drawn_from():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.02, 0.98, 4000)
    chance = 1 / (1 + np.exp(-(2.0 * np.log(scores / (1 - scores)) - 0.5)))
    slope, intercept = fit_line(scores.tolist(), (rng.random(4000) < chance).tolist())
    assert abs(slope - 2.0) < 0.2
    assert abs(intercept + 0.5) < 0.15
