"""Attention inside segments equals each segment on its own, windows and grouped heads included."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from vesalius.models.parts import segment_attention as room
from vesalius.models.parts.segment_attention import NAME, segment_attention, segment_keywords

LENGTHS = (5, 1, 12, 7)


def heads(total: int, seed: int = 0, *, shared: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(1, count, total, 8) for count in (4, 4 // shared, 4 // shared)]


def dense(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: tuple[int, ...], window: int | None) -> Any:
    """The same by one mask of the whole row, which the package never builds."""
    total = sum(lengths)
    sample = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    back = torch.arange(total)[:, None] - torch.arange(total)
    mask = (sample[:, None] == sample) & (back >= 0)
    if window is not None:
        mask &= back < window
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True, scale=0.3).transpose(1, 2)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6), st.sampled_from([None, 1, 3, 8]), st.sampled_from([1, 2, 4])
)
@settings(max_examples=40, deadline=None)
def test_segments_see_themselves_alone(lengths: list[int], window: int | None, shared: int) -> None:
    q, k, v = heads(sum(lengths), shared=shared)
    found, _ = segment_attention(
        None, q, k, v, None, scaling=0.3, segment_lengths=tuple(lengths), sliding_window=window
    )
    torch.testing.assert_close(found, dense(q, k, v, tuple(lengths), window), rtol=1e-5, atol=1e-5)


def test_gradients_stay_in_their_segment() -> None:
    q, k, v = (one.requires_grad_() for one in heads(sum(LENGTHS)))
    found, _ = segment_attention(None, q, k, v, None, segment_lengths=LENGTHS)
    found[:, 6:18].sum().backward()
    for one in (q, k, v):
        assert one.grad is not None
        assert not one.grad[:, :, :6].any()
        assert not one.grad[:, :, 18:].any()
        assert one.grad[:, :, 6:18].any()


def test_bfloat16_is_computed_in_float32_on_a_cpu_under_autocast_too() -> None:
    q, k, v = (one.to(torch.bfloat16).requires_grad_() for one in heads(sum(LENGTHS)))
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = segment_attention(None, q, k, v, None, scaling=0.3, segment_lengths=LENGTHS)
    wide = (q.detach().float(), k.detach().float(), v.detach().float())
    expected, _ = segment_attention(None, *wide, None, scaling=0.3, segment_lengths=LENGTHS)
    assert torch.equal(found, expected.bfloat16())
    found.float().sum().backward()
    assert all(one.grad is not None and one.grad.dtype == torch.bfloat16 for one in (q, k, v))


@pytest.mark.parametrize("window", [None, 3])
def test_the_kernel_of_a_gpu_is_given_what_it_reads(window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel itself runs on a GPU alone: here a stand-in by its documented meaning takes its arguments."""

    def stand_in(q: Any, k: Any, v: Any, ends_q: Any, ends_k: Any, most_q: int, most_k: int, **named: Any) -> Any:
        assert ends_q.dtype == torch.int32
        assert torch.equal(ends_q, ends_k)
        assert most_q == most_k == max(LENGTHS)
        assert named["enable_gqa"]
        behind, ahead = named["window_size"]
        assert ahead == 0
        lengths = tuple(ends_q.diff().tolist())
        queries, keys, values = (one.transpose(0, 1)[None] for one in (q, k, v))
        return dense(queries, keys, values, lengths, None if behind < 0 else behind + 1)[0]

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", stand_in)
    monkeypatch.setattr(room, "_has_varlen", lambda _: True)
    q, k, v = heads(sum(LENGTHS))
    ends = torch.tensor([0, *LENGTHS]).cumsum(0).int()
    found, _ = segment_attention(
        None, q, k, v, None, scaling=0.3, segment_lengths=LENGTHS, sliding_window=window, cu_seq_lens_q=ends
    )
    torch.testing.assert_close(found, dense(q, k, v, LENGTHS, window))


def tiny(**more: Any) -> Any:
    from transformers import Qwen2Config, Qwen2Model

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 50,
                             "num_attention_heads": 4, "num_key_value_heads": 2, **more}  # fmt: skip
    return Qwen2Model(Qwen2Config(**sizes)).eval()


@pytest.mark.parametrize("sliding", [False, True])
def test_a_model_reads_a_row_as_it_reads_its_samples(sliding: bool) -> None:
    window = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0} if sliding else {}
    model = tiny(**window)
    rows = [torch.randint(0, 50, (1, length)) for length in LENGTHS]
    with torch.no_grad():
        alone = torch.cat([model(input_ids=row, use_cache=False).last_hidden_state for row in rows], 1)
        positions = torch.cat([torch.arange(length) for length in LENGTHS])[None]
        keywords = segment_keywords(model, LENGTHS)
        packed = model(input_ids=torch.cat(rows, 1), position_ids=positions, use_cache=False, **keywords)
    torch.testing.assert_close(packed.last_hidden_state, alone, rtol=1e-5, atol=1e-5)


def test_a_model_that_has_packed_pads_and_answers_as_before() -> None:
    model, fresh = tiny(), tiny()
    segment_keywords(model, LENGTHS)
    assert model.config._attn_implementation == NAME
    ids = torch.randint(0, 50, (2, 6))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6])
    with torch.no_grad():
        ours, theirs = (one(input_ids=ids, attention_mask=mask, use_cache=True) for one in (model, fresh))
        torch.testing.assert_close(ours.last_hidden_state[:, 2:], theirs.last_hidden_state[:, 2:])
        again = torch.cat([mask, torch.ones(2, 1, dtype=torch.long)], 1)
        more = [
            one(input_ids=ids[:, :1], attention_mask=again, past_key_values=read.past_key_values)
            for one, read in ((model, ours), (fresh, theirs))
        ]
    torch.testing.assert_close(more[0].last_hidden_state, more[1].last_hidden_state)


def test_a_flash_attention_of_transformers_is_left_to_read_segments_itself() -> None:
    model = tiny()
    model.config._attn_implementation_internal = "flash_attention_2"
    keywords = segment_keywords(model, LENGTHS)
    assert model.config._attn_implementation == "flash_attention_2"
    assert keywords["attention_mask"] is None
    assert keywords["cu_seq_lens_q"].tolist() == [0, 5, 6, 18, 25]
    assert keywords["max_length_q"] == 12
    assert "segment_lengths" not in keywords
