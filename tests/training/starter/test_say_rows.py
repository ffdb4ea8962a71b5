"""Rows of the language stage: built from the scene, reproducible, learnt only on answers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from tests.training.starter.pictures import SIZE, tiny_shard
from vesalius.dialogue.scene_text import Scene, SceneSet, write_scene
from vesalius.models.starter.config import StarterConfig
from vesalius.models.starter.prompt import build_prompt
from vesalius.models.starter_base import load_tokenizer, present_base
from vesalius.training.recipe import SayStage, StarterRecipe
from vesalius.training.starter.say_rows import drawn_on, picture_rows, row_scene

needs_starter = pytest.mark.skipif(present_base() is None, reason="no base weights (`make starter`)")


def test_each_kind_of_row_has_its_scene(tmp_path: Path):
    shard = tiny_shard(tmp_path / "shard", 6, "ct")
    drawn = drawn_on(shard, 0)
    assert drawn.size == SIZE
    rng = random.Random(0)
    assert row_scene(drawn, "none", rng) is None
    assert isinstance(row_scene(drawn, "pair", rng), SceneSet)
    volume = row_scene(drawn, "volume", rng)
    assert isinstance(volume, Scene)
    assert volume.num_slices is not None
    assert "volume of" in write_scene(volume)


@needs_starter
def test_a_row_depends_on_its_index_alone_and_learns_only_answers(tmp_path: Path):
    shard = tiny_shard(tmp_path / "shard", 6)
    config = StarterConfig((), (), (), (), visual_tokens=4)
    recipe = StarterRecipe(say=SayStage(rows=12, questions=3))
    tokenizer = load_tokenizer()
    rows = picture_rows(recipe, config, [shard], tokenizer)
    for index in range(12):
        row, again = rows[index], rows[index]
        assert all(torch.equal(row[name], again[name]) for name in row)
        kept = row["labels"] != -100
        assert (row["labels"][kept] == row["ids"][kept]).all()
        assert int((row["labels"] == tokenizer.token_to_id("<|im_end|>")).sum()) == 3
        assert len(row["visual"]) == len(row["tokens"])
        learnt = tokenizer.decode(row["labels"][kept].tolist())
        assert "Vesalius" not in learnt
        assert "user" not in learnt


@needs_starter
def test_an_open_prompt_ends_where_the_answer_begins():
    tokenizer = load_tokenizer()
    prompt = build_prompt(tokenizer, "skin | none: mole", [("Is there a mole?", None)], 4)
    text = tokenizer.decode(prompt.ids, skip_special_tokens=False)
    assert text.endswith("<|im_start|>assistant\n")
    assert text.count("<file_sep>") == 4
    assert set(prompt.labels) == {-100}
