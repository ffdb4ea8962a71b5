"""Reinforcement: rewards rise, log-probabilities do not depend on company, and TRL's rules hold over our families."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import tiny
from vesalius.errors import InputError, OptionError
from vesalius.inference.model import Model
from vesalius.training.grpo import train_grpo
from vesalius.training.parts import learning_parts
from vesalius.training.prompts import Prompt, read_placed, truth_of
from vesalius.training.recipe import load_recipe
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_rl import GrpoRecipe, check_grpo
from vesalius.training.recipe_sft import Source
from vesalius.training.rewards import Truth, WeightedReward, registry

FIXTURES = tiny.FIXTURES
PICTURE = {"type": "image", "image": str(FIXTURES / "medmo" / "inputs" / "img0.png")}
OTHER = {"type": "image", "image": str(FIXTURES / "medmo" / "inputs" / "img1.png")}
VIDEO = {"type": "video", "video": str(FIXTURES / "medmo" / "inputs" / "video0.npy"), "fps": 2.0}
VOLUME = {"type": "volume", "volume": str(FIXTURES / "hulumed" / "inputs" / "volume_44x60x10.nii.gz"), "num_slices": 3}


def asked(*parts: Any) -> list[dict[str, Any]]:
    text = {"type": "text", "text": "What is shown?"}
    return [{"role": "user", "content": [*parts, text]}]


MIXED = [asked(PICTURE), asked(), asked(VIDEO, OTHER), asked(VOLUME)]


def letters(completion: Any, truth: Truth) -> float:
    """Share of what was written that is ASCII letters: a reward that a random network can feel."""
    del truth
    text = completion.text
    return sum(one.isascii() and one.isalpha() for one in text) / max(1, len(text))


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    from vesalius.training.grpo_trainer import PromptTrainer, arguments_of

    monkeypatch.setattr(registry, "REWARDS", {**registry.REWARDS, "letters": letters})

    def make(name: str = "medmo", conversations: Any = MIXED, **keys: Any) -> Any:
        given = {
            "model": "tiny", "out": str(tmp_path / "run"), "data": [{"path": "none.jsonl"}], "steps": 2,
            "parts": {"language": "train"}, "rewards": {"letters": 1.0}, "prompts": 2, "kl": 0.0, "log_every": 1,
            "rollouts": {"generations": 4, "max_new_tokens": 6}, "learning_rate": 1e-2, "schedule": "constant",
            "precision": "float32", "device": "cpu", "report_to": [], "dialect": "medmo", "max_length": 512,
        }  # fmt: skip
        recipe = check_grpo(filled(GrpoRecipe, {**given, **keys}, "recipe"), "recipe")
        model: Model = tiny.load(name)
        learning = learning_parts(model.family, recipe)  # pyright: ignore[reportArgumentType]
        rewards = [WeightedReward("letters", 1.0)]
        prompts = [Prompt(str(k), "qa", one, Truth(dialect="medmo")) for k, one in enumerate(conversations)]
        arguments = arguments_of(recipe, rewards, on_cpu=True)
        return PromptTrainer(model.family, model, learning, recipe, arguments, prompts, rewards)  # pyright: ignore[reportArgumentType]

    return make


def scored(trainer: Any, numbers: list[int], answers: list[list[int]]) -> torch.Tensor:
    """Log-probabilities `[B, C]` as TRL asks for them: prompts as numbers, answers padded on the right."""
    width = max(map(len, answers))
    ids = torch.tensor(
        [[number, *said, *[-1] * (width - len(said))] for number, said in zip(numbers, answers, strict=True)]
    )
    mask = torch.tensor([[1] * (1 + len(said)) + [0] * (width - len(said)) for said in answers])
    with torch.no_grad():
        logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, width, compute_entropy=True
        )
    assert logps.shape == entropies.shape == (len(numbers), width)
    assert not bool(logps[mask[:, 1:] == 0].any())
    return logps


def test_log_probabilities_of_two_are_those_of_one_and_one(trainer: Any) -> None:
    made = trainer()
    answers = [[5, 6, 7], [9], [11, 12, 13, 14], [21, 22]]
    for first, second in ((0, 1), (1, 2), (2, 0), (3, 0)):
        both = scored(made, [first, second], [answers[first], answers[second]])
        for row, k in enumerate((first, second)):
            alone = scored(made, [k], [answers[k]])[0]
            assert float((both[row, : len(answers[k])] - alone).abs().max()) < 1e-5


def test_reinforcement_raises_its_reward_on_pictures_text_volumes_and_clips(trainer: Any) -> None:
    made = trainer(steps=12, prompts=4)
    made.train()
    rewards = [entry["rewards/letters/mean"] for entry in made.state.log_history if "reward" in entry]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.1, rewards
    told = {"num_tokens", "grad_norm/language", "tokens_per_s", "memory_gb"}
    assert all(told <= entry.keys() for entry in made.state.log_history if "reward" in entry)


def test_equal_rewards_move_nothing(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(steps=1)
    monkeypatch.setitem(registry.REWARDS, "letters", lambda completion, truth: 0.5)  # pyright: ignore[reportArgumentType]
    before = {name: value.clone() for name, value in made.family.model.named_parameters()}
    made.train()
    entry = next(entry for entry in made.state.log_history if "reward" in entry)
    assert entry["frac_reward_zero_std"] == 1
    assert entry["grad_norm"] == 0
    for name, value in made.family.model.named_parameters():
        assert torch.equal(value, before[name]), name


def test_completions_that_did_not_end_are_left_out_where_it_is_asked(trainer: Any) -> None:
    made = trainer(steps=1, mask_truncated=True)
    made.train()
    entry = next(entry for entry in made.state.log_history if "reward" in entry)
    # A random network hardly ever ends within six tokens.
    assert entry["completions/clipped_ratio"] > 0.8
    wide = made._generate_and_score_completions([{"prompt": 0}] * 4)
    cut = torch.tensor([one.completion.finish != "stop" for one in made._rollouts])
    assert not bool(wide["completion_mask"][cut].any())


def test_the_reference_is_the_start_and_stays_it(trainer: Any) -> None:
    made = trainer(kl=0.1, steps=3)
    answers = [[5, 6, 7], [9, 10]]
    with made.reference.in_place():
        start = scored(made, [0, 1], answers)
    assert torch.equal(start, scored(made, [0, 1], answers))
    made.train()
    assert not torch.equal(start, scored(made, [0, 1], answers))
    with made.reference.in_place():
        assert torch.equal(start, scored(made, [0, 1], answers))
    kl = [entry["kl"] for entry in made.state.log_history if "kl" in entry]
    assert kl[0] == pytest.approx(0, abs=1e-6)
    assert kl[-1] > 0


def test_clip_higher_and_the_token_loss_reach_trl(trainer: Any) -> None:
    made = trainer(loss="grpo", clip_low=0.1, clip_high=0.3, scale="none", iterations=2)
    assert (made.loss_type, made.epsilon_low, made.epsilon_high) == ("grpo", 0.1, 0.3)
    assert (made.scale_rewards, made.num_iterations) == ("none", 2)
    assert trainer().loss_type == "dapo"


def test_truth_of_drawn_samples(tmp_path: Path) -> None:
    source = Source(phantoms="picture", count=3, size=64, tasks=("box", "count", "present", "mask"))
    kinds: dict[str, list[Any]] = {}
    for placed in read_placed([source], tmp_path):
        kinds.setdefault(placed.sample.tags.task, []).append((placed.sample, truth_of(placed.sample, placed.folder)))
    for sample, truth in kinds["box"]:
        assert truth.size == (64, 64)
        assert [box for _, box in truth.boxes] == [one.box for one in sample.turns[-1].targets.boxes]
    assert all(
        truth.count == sum(one.count for one in sample.turns[-1].targets.counts) for sample, truth in kinds["count"]
    )
    assert {truth.answer for _, truth in kinds["present"]} <= {"yes", "no"}
    assert {truth.kind for _, truth in kinds["present"]} == {"yesno"}
    assert all(mask.shape == (64, 64) for _, truth in kinds["mask"] for mask in truth.masks)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rewards": {"box_medmoo": 1}}, "Did you mean box_medmo"),
        ({"rewards": {}}, "rewards"),
        ({"steps": 0}, "steps is missing"),
        ({"rollouts": {"generations": 1}}, "at least 2"),
        ({"rollouts": {"temperature": 0.0}}, "temperature"),
        ({"accumulate": 3}, "does not divide"),
        ({"kl": -1.0}, "kl is -1"),
        ({"clip_low": 1.5}, "clip_low"),
        ({"loss": "ppo"}, "dapo or grpo"),
        ({"reward": {"answer": 1}}, "Did you mean rewards"),
        ({"dialect": "medmoo"}, "medmoo"),
    ],
)
def test_recipes_that_cannot_be(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    given = {
        "recipe": "grpo", "model": "tiny", "data": [{"path": "none.jsonl"}], "parts": {"language": "train"},
        "rewards": {"answer": 1}, "steps": 2, "prompts": 2, **keys,
    }  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(given))
    with pytest.raises(OptionError, match=said):
        load_recipe(path)


@pytest.mark.parametrize(
    ("keys", "kind", "said"),
    [
        ({"rewards": {"box_penalised": 1}}, OptionError, "no prompt has a truth"),
        ({"prompts": 9}, OptionError, "a step asks 9"),
        ({"max_length": 20}, InputError, "sample 1"),
    ],
)
def test_data_that_cannot_be_rewarded(keys: dict[str, Any], kind: Any, said: str, tmp_path: Path) -> None:
    data = tiny.write_samples(tmp_path / "data")
    given = {
        "model": str(FIXTURES / "medmo" / "qwen3vl_tiny"), "out": str(tmp_path / "run"), "data": [{"path": str(data)}],
        "parts": {"language": "train"}, "rewards": {"answer": 1}, "steps": 2, "prompts": 2, "max_length": 512,
        "rollouts": {"generations": 2, "max_new_tokens": 4}, "precision": "float32", "device": "cpu", "report_to": [],
    }  # fmt: skip
    lines: list[str] = []
    with pytest.raises(kind, match=said), warnings.catch_warnings():
        train_grpo(check_grpo(filled(GrpoRecipe, {**given, **keys}, "recipe"), "recipe"), lines.append)
    assert not any(line.startswith("step") for line in lines)
