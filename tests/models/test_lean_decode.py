"""Our pass after the prompt says what transformers says, alone and in batches whose rows end at different times."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vesalius.models.parts.hf_decode import HfDecoder
from vesalius.models.parts.lean_decode import lean_decoder
from vesalius.models.parts.narrow_linear import narrow_linear
from vesalius.models.parts.speak import pad_left
from vesalius.models.parts.token_stream import Sampling, stream_tokens

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
KINDS = ("Llama", "Qwen2", "Qwen3")


def network(kind: str, **changes: Any) -> Any:
    import transformers

    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(**{**SHAPE, **changes})
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval().requires_grad_(False)
    for name, value in model.named_parameters():
        if "norm" in name or "bias" in name:
            nn.init.normal_(value, 1.0 if "norm" in name else 0.0, 0.3)
    return model


def decoder_of(model: Any) -> HfDecoder:
    return HfDecoder(model.model, model.lm_head, max_positions=512)


PROMPTS = [torch.arange(3, 3 + length) * 7 % 97 for length in (9, 4, 12, 6, 11)]


def said_by(decoder: HfDecoder, prompts: list[Tensor], **options: Any) -> list[list[int]]:
    ids, mask = pad_left(prompts)
    said: list[list[int]] = [[] for _ in prompts]
    for step in stream_tokens(decoder, decoder.embed(ids), mask_BL=mask, guard=False, **options):
        for row, token in enumerate(step.ids):
            if token is not None:
                said[row].append(token)
    return said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 5])
def test_greedy_tokens_are_those_of_generate(kind: str, rows: int) -> None:
    model = network(kind)
    decoder = decoder_of(model)
    assert decoder.lean is not None
    ids, mask = pad_left(PROMPTS[:rows])
    theirs = model.generate(
        input_ids=ids, attention_mask=mask.long(), do_sample=False, max_new_tokens=24, pad_token_id=0
    )
    assert said_by(decoder, PROMPTS[:rows], max_new_tokens=24) == theirs[:, ids.shape[1] :].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_states_after_the_prompt_are_those_of_transformers(kind: str) -> None:
    model = network(kind)
    decoder = decoder_of(model)
    ids = torch.stack([torch.arange(14), torch.arange(14).flip(0), torch.arange(14) * 3, torch.arange(2, 16)])
    state = decoder.start(4, 8)
    embeds = decoder.embed(ids)
    found = torch.cat(
        [decoder.read(embeds[:, :9], state)] + [decoder.read(embeds[:, at : at + 1], state) for at in range(9, 14)], 1
    )
    torch.testing.assert_close(found, model.model(ids).last_hidden_state, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lean", [True, False])
def test_rows_that_end_leave_and_the_others_go_on_as_alone(lean: bool) -> None:
    decoder = decoder_of(network("Qwen2"))
    if not lean:
        decoder.lean = None
    options: dict[str, Any] = {"max_new_tokens": 30, "stop_ids": range(0, 97, 6)}
    together = said_by(decoder, PROMPTS, **options)
    assert together == [said_by(decoder, [prompt], **options)[0] for prompt in PROMPTS]
    assert len({len(said) for said in together}) > 2


def test_a_sampled_batch_says_what_each_row_says_alone() -> None:
    decoder = decoder_of(network("Llama"))
    options: dict[str, Any] = {"max_new_tokens": 12, "sampling": Sampling(temperature=0.7, top_k=20, seed=4)}
    together = said_by(decoder, PROMPTS, **options)
    assert together == [said_by(decoder, [prompt], **options)[0] for prompt in PROMPTS]


def test_what_is_unusual_is_left_to_transformers() -> None:
    assert lean_decoder(network("Llama", hidden_act="gelu").model, 512) is None
    assert lean_decoder(network("Llama").to(torch.bfloat16).model, 512) is None
    far = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    assert lean_decoder(network("Llama", rope_parameters=far).model, 512) is None
    window = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}
    assert lean_decoder(network("Qwen2", **window).model, 512) is None
    hooked = network("Qwen2").model
    hooked.layers[1].mlp.register_forward_hook(lambda *given: None)
    assert lean_decoder(hooked, 512) is None


def test_adapters_are_left_to_transformers() -> None:
    peft = pytest.importorskip("peft")
    model = network("Qwen2")
    plain = said_by(decoder_of(model), PROMPTS[:1], max_new_tokens=8)
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    decoder = HfDecoder(adapted.base_model.model.model, model.lm_head, max_positions=512)
    assert decoder.lean is None
    assert said_by(decoder, PROMPTS[:1], max_new_tokens=8) != plain


@pytest.mark.parametrize("rows", [1, 3, 4, 8, 9, 17, 64, 65])
@pytest.mark.parametrize("outputs", [10, 256, 290, 352])
def test_a_narrow_product_is_the_plain_one(rows: int, outputs: int) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(rows, 1, 24), torch.randn(outputs, 24), torch.randn(outputs)
    torch.testing.assert_close(narrow_linear(x, weight, bias), nn.functional.linear(x, weight, bias))
    torch.testing.assert_close(narrow_linear(x, weight), nn.functional.linear(x, weight))
    strided = torch.randn(24, outputs).T
    torch.testing.assert_close(narrow_linear(x, strided, bias), nn.functional.linear(x, strided, bias))


def test_a_narrow_product_keeps_no_weights() -> None:
    """Eight rows through a weight of 4 MB: what is new is the answer, not a rearranged weight."""
    x, weight = torch.randn(8, 1, 512), torch.randn(2048, 512)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as seen:
        made = narrow_linear(x, weight)
    events = seen.events() or []
    taken = sum(event.self_cpu_memory_usage for event in events if event.self_cpu_memory_usage > 0)
    assert made.nbytes <= taken < weight.nbytes // 4
