"""Log-probabilities of answers as they were said: the same alone and in company, and those they were sampled from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.models.parity import loaded
from tests.models.test_packed_rows import CHECKPOINTS, FIXTURES, KINDS, MEDMVL, MIXED
from vesalius.models.parts.packed_rows import row_scores
from vesalius.models.parts.token_stream import Sampling


def prompts_of(name: str) -> list[Any]:
    """Prompts without, with one and with two pictures, of a clip or of volumes, by what the checkpoint reads."""
    conversations = MEDMVL[KINDS[name]] if name in KINDS else MIXED
    return [one[:-1] for one in conversations]


def said_by(model: Any, batches: list[Any], seeds: list[int]) -> list[list[int]]:
    copies = [replace(one, new_tokens=[]) if "new_tokens" in vars(one) else replace(one) for one in batches]
    model.family.say_batch(copies, max_new_tokens=7, sampling=Sampling(temperature=1.0, seed=seeds))
    return [one.new_tokens[0] for one in copies]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_answers_score_alone_what_they_score_in_a_row(name: str) -> None:
    model = loaded(FIXTURES / name)
    family = model.family
    prompts = [model.prepare(one) for one in prompts_of(name)]
    ids = said_by(model, prompts, [3, 5, 7, 11])
    made = [family.answered(prompt, said) for prompt, said in zip(prompts, ids, strict=True)]
    with torch.no_grad():
        alone = [row_scores(*family.row_states(one))[0] for one in made]
        for pair in ((0, 1), (2, 3), (3, 0)):
            both = row_scores(*family.row_states(family.pack([made[k] for k in pair])))
            for (logps, entropies), k in zip(both, pair, strict=True):
                assert len(logps) == len(ids[k])
                assert float((logps - alone[k][0]).abs().max()) < 1e-5
                assert float((entropies - alone[k][1]).abs().max()) < 1e-4
    for prompt, said, one, (logps, _) in zip(prompts, ids, made, alone, strict=True):
        start = family.length(prompt)
        assert family.length(one) == start + len(said)
        logits = model.logits(one)[0, start - 1 : start - 1 + len(said)].log_softmax(-1)
        assert float((logits[torch.arange(len(said)), said] - logps).abs().max()) < 1e-4


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_an_answer_put_behind_its_prompt_is_what_prepare_makes(name: str) -> None:
    model = loaded(FIXTURES / name)
    for conversation in MEDMVL[KINDS[name]] if name in KINDS else MIXED:
        whole = model.prepare(conversation)
        key = "spliced_labels" if "spliced_labels" in whole else "labels"
        labels = whole[key][0]
        learned = labels[labels != -100]
        made = model.family.answered(model.prepare(conversation[:-1]), learned.tolist())
        with torch.no_grad():
            wanted = row_scores(*model.family.row_states(whole))[0][0]
            found = row_scores(*model.family.row_states(made))[0][0]
        assert float((wanted - found).abs().max()) < 1e-5


def test_temperature_divides_the_logits_and_gradients_reach_the_network() -> None:
    model = loaded(FIXTURES / "medmo/qwen3vl_tiny")
    prompt = model.prepare(MIXED[0][:-1])
    made = model.family.answered(prompt, [5, 6, 7])
    logps, _ = row_scores(*model.family.row_states(made), temperature=2.0)[0]
    start = model.family.length(prompt)
    wanted = (model.logits(made)[0, start - 1 : start + 2] / 2).log_softmax(-1)[torch.arange(3), [5, 6, 7]]
    assert float((logps.detach() - wanted).abs().max()) < 1e-5
    model.family.model.zero_grad()
    logps.sum().backward()
    assert float(model.family.model.model.visual.patch_embed.proj.weight.grad.abs().max()) > 0
    model.family.model.zero_grad(set_to_none=True)


def test_rows_draw_their_own_numbers() -> None:
    model = loaded(FIXTURES / "medmo/qwen3vl_tiny")
    batch = model.prepare(MIXED[1][:-1])
    first, second, third = said_by(model, [batch] * 3, [1, 2, 1])
    assert first == third != second
