"""The forward passes that need torch alone give the numbers of transformers' classes, at tiny random size."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from transformers.models.dinov2.configuration_dinov2 import Dinov2Config
from transformers.models.dinov2.modeling_dinov2 import Dinov2Model
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from vesalius.errors import CheckpointError, LimitError, OptionError
from vesalius.models.parts.dinov2_encode import Dinov2Encoder
from vesalius.models.parts.llama_decode import LlamaDecoder, Lora, merge_lora
from vesalius.models.parts.token_stream import Sampling, TokenStep, repeats_itself, stream_tokens

LLAMA: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
    "tie_word_embeddings": True,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
DINOV2: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 56,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
    "initializer_range": 0.3,
}


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    torch.manual_seed(3)
    return LlamaForCausalLM(LlamaConfig(**LLAMA)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def decoder(llama: LlamaForCausalLM) -> LlamaDecoder:
    return LlamaDecoder(tied(llama), LLAMA)


def tied(model: LlamaForCausalLM) -> dict[str, torch.Tensor]:
    return {key: value for key, value in model.state_dict().items() if key != "lm_head.weight"}


def ids_of(*lengths: int) -> list[list[int]]:
    random = torch.Generator().manual_seed(7)
    return [torch.randint(3, 97, (length,), generator=random).tolist() for length in lengths]


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, padded on the left."""
    length = max(map(len, rows))
    ids = torch.tensor([[2] * (length - len(row)) + row for row in rows])
    mask = torch.tensor([[False] * (length - len(row)) + [True] * len(row) for row in rows])
    return ids, mask


def greedy(decoder: LlamaDecoder, ids: list[int], count: int, **options: Any) -> list[TokenStep]:
    embeds = decoder.embed(torch.tensor([ids]))
    return list(stream_tokens(decoder, embeds, max_new_tokens=count, guard=False, **options))


def test_decoder_logits_are_those_of_transformers(llama: LlamaForCausalLM, decoder: LlamaDecoder) -> None:
    ids = torch.tensor(ids_of(37))
    hidden = decoder.read(decoder.embed(ids), decoder.start())
    assert_close(decoder.logits(hidden), llama(ids).logits)


def test_embeddings_that_are_no_words_are_read_like_transformers_reads_them(
    llama: LlamaForCausalLM, decoder: LlamaDecoder
) -> None:
    embeds = torch.randn(2, 9, 48, generator=torch.Generator().manual_seed(1))
    hidden = decoder.read(embeds, decoder.start(batch=2))
    assert_close(decoder.logits(hidden), llama(inputs_embeds=embeds).logits)


def test_reading_in_pieces_is_reading_at_once(decoder: LlamaDecoder) -> None:
    embeds = decoder.embed(torch.tensor(ids_of(30)))
    whole = decoder.read(embeds, decoder.start(capacity=30))
    state = decoder.start(capacity=4)  # has to grow on the way
    pieces = [decoder.read(embeds[:, start:end], state) for start, end in pairwise((0, 3, 4, 17, 18, 30))]
    assert_close(torch.cat(pieces, dim=1), whole)


def test_greedy_words_are_those_of_transformers(llama: LlamaForCausalLM, decoder: LlamaDecoder) -> None:
    for ids in ids_of(1, 5, 23):
        said = [step.ids[0] or 0 for step in greedy(decoder, ids, 20)]
        whole = torch.tensor([ids + said[:-1]])
        assert said == llama(whole).logits[0, len(ids) - 1 :].argmax(-1).tolist()


def test_a_padded_batch_gives_what_each_row_gives_alone(decoder: LlamaDecoder) -> None:
    rows = ids_of(11, 1, 6)
    ids, mask = padded(rows)
    together = list(
        stream_tokens(decoder, decoder.embed(ids), mask_BL=mask, max_new_tokens=12, stop_ids=[40, 41, 42], guard=False)
    )
    for number, row in enumerate(rows):
        alone = greedy(decoder, row, 12, stop_ids=[40, 41, 42])
        mine = [step for step in together if step.ids[number] is not None]
        assert [step.ids[number] for step in mine] == [step.ids[0] for step in alone]
        assert mine[-1].finished[number] == alone[-1].finished[0]
        for ours, theirs in zip(mine, alone, strict=True):
            assert_close(ours.logits[number], theirs.logits[0])
            assert_close(ours.hidden[number], theirs.hidden[0])


def test_low_rank_additions_applied_and_merged_agree(llama: LlamaForCausalLM) -> None:
    random = torch.Generator().manual_seed(11)
    tensors = tied(llama)
    lora = {
        name: Lora(
            torch.randn(4, value.shape[1], generator=random), torch.randn(value.shape[0], 4, generator=random), 0.05
        )
        for name, value in tensors.items()
        if "_proj" in name
    }
    embeds = torch.randn(1, 8, 48, generator=random)
    plain, applied, merged = (
        decoder.read(embeds, decoder.start())
        for decoder in (
            LlamaDecoder(tensors, LLAMA),
            LlamaDecoder(tensors, LLAMA, lora),
            LlamaDecoder(merge_lora(tensors, lora), LLAMA),
        )
    )
    assert_close(applied, merged)
    assert (plain - merged).abs().max() > 0.1
    with pytest.raises(CheckpointError, match="nobody"):
        LlamaDecoder(tensors, LLAMA, {"nobody": next(iter(lora.values()))})


def test_an_untied_head_is_used(llama: LlamaForCausalLM) -> None:
    head = torch.randn(5, 48)
    decoder = LlamaDecoder({**tied(llama), "lm_head.weight": head}, LLAMA)
    assert decoder.logits(torch.ones(1, 48)).shape == (1, 5)


def test_a_missing_decoder_tensor_is_named(llama: LlamaForCausalLM) -> None:
    tensors = tied(llama)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match=r"layers\.1\.mlp\.up_proj"):
        LlamaDecoder(tensors, LLAMA)


def test_more_tokens_than_the_context_holds_are_refused(decoder: LlamaDecoder) -> None:
    with pytest.raises(LimitError, match=r"513 tokens.*512"):
        decoder.read(torch.zeros(1, 513, 48), decoder.start())


# --- choosing tokens ----------------------------------------------------------------------------------------------


def test_the_same_seed_says_the_same_and_another_seed_something_else(decoder: LlamaDecoder) -> None:
    ids = ids_of(5)[0]
    first, again, other = (
        [step.ids[0] for step in greedy(decoder, ids, 12, sampling=Sampling(temperature=5.0, seed=seed))]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_sampling_from_the_best_one_only_is_greedy(decoder: LlamaDecoder) -> None:
    ids = ids_of(5)[0]
    expected = [step.ids for step in greedy(decoder, ids, 8)]
    for cut in (Sampling(temperature=2.0, top_k=1), Sampling(temperature=2.0, top_p=1e-6)):
        assert [step.ids for step in greedy(decoder, ids, 8, sampling=cut)] == expected


def test_sampled_tokens_stay_within_the_best_k(decoder: LlamaDecoder) -> None:
    for step in greedy(decoder, ids_of(5)[0], 20, sampling=Sampling(temperature=50.0, top_k=3, seed=0)):
        assert step.ids[0] in step.logits[0].topk(3).indices.tolist()


def test_a_repetition_penalty_keeps_said_tokens_from_coming_again(decoder: LlamaDecoder) -> None:
    said = [step.ids[0] for step in greedy(decoder, ids_of(4)[0], 24, sampling=Sampling(repetition_penalty=10.0))]
    plain = [step.ids[0] for step in greedy(decoder, ids_of(4)[0], 24)]
    assert len(set(said)) > len(set(plain))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([7] * 16, True),
        ([7] * 15, False),
        ([1, 2, 3, 4, 5] * 4, True),
        ([9, 9, 1, 2, 3, 4, 5] + [1, 2, 3, 4, 5] * 3, True),
        ([1, 2, 3, 4, 5] * 3 + [1, 2, 3, 4], False),
        ([*range(32)] * 4, True),
        ([*range(33)] * 4, False),
        ([*range(100)], False),
        ([], False),
    ],
)
def test_a_phrase_said_four_times_over_sixteen_tokens_is_a_repetition(ids: list[int], expected: bool) -> None:
    assert repeats_itself(ids) is expected


def test_a_row_that_only_repeats_itself_is_ended(llama: LlamaForCausalLM) -> None:
    tensors = {key: torch.zeros_like(value) if "_proj" in key else value for key, value in tied(llama).items()}
    echo = LlamaDecoder(tensors, LLAMA)  # without attention and MLP it can only say its last word again
    steps = list(stream_tokens(echo, echo.embed(torch.tensor([[5]])), max_new_tokens=100))
    assert steps[-1].finished == ["repetition"]
    assert len(steps) == 16


@pytest.mark.parametrize(
    "options", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"repetition_penalty": 0.0}]
)
def test_sampling_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        Sampling(**options)


def test_no_new_tokens_are_refused(decoder: LlamaDecoder) -> None:
    with pytest.raises(OptionError, match="max_new_tokens"):
        greedy(decoder, [5], 0)


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dinov2() -> Dinov2Model:
    torch.manual_seed(4)
    model = Dinov2Model(Dinov2Config(**DINOV2)).eval().requires_grad_(False)
    for value in model.parameters():  # biases and scales start at 0 and 1, which would hide a mistake
        value.add_(torch.randn_like(value) * 0.1)
    return model


@pytest.fixture(scope="module")
def encoder(dinov2: Dinov2Model) -> Dinov2Encoder:
    names = {"q_proj": "attention.query", "k_proj": "attention.key", "v_proj": "attention.value"}
    tensors: dict[str, torch.Tensor] = {}
    for key, value in dinov2.state_dict().items():
        for ours, published in {**names, "o_proj": "output.dense"}.items():
            key = key.replace(f"attention.{ours}", f"attention.{published}")
        tensors[key] = value
    return Dinov2Encoder(tensors, DINOV2)


@pytest.mark.parametrize("size", [(56, 56), (28, 28), (70, 42), (112, 84)])
def test_encoder_features_are_those_of_transformers(
    dinov2: Dinov2Model, encoder: Dinov2Encoder, size: tuple[int, int]
) -> None:
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))
    expected = dinov2(pixels, output_hidden_states=True)
    found = encoder.encode(pixels, layers=(0, 1, 3))
    assert_close(found.last, expected.last_hidden_state)
    assert found.layers.keys() == {0, 1, 3}
    for number, state in found.layers.items():
        assert_close(state, expected.hidden_states[number])


def test_a_missing_encoder_tensor_is_named() -> None:
    with pytest.raises(CheckpointError, match="cls_token"):
        Dinov2Encoder({}, DINOV2)
