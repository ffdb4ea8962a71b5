"""The chunked cross entropy: the plain loss and gradients at any chunk size, and none of its memory."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from vesalius.models.parts.chunked_loss import summed_loss, token_losses

T, D, V = 23, 12, 41
Made = tuple[Tensor, dict[str, Tensor]]


def states(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(T, D, generator=torch.Generator().manual_seed(1)).to(dtype)


def wanted() -> Tensor:
    return torch.randint(0, V, (T,), generator=torch.Generator().manual_seed(2))


def linear(dtype: torch.dtype = torch.float32, *, bias: bool = False) -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(D, V, bias=bias).to(dtype)


def differentiated(head: nn.Module, hidden: Tensor, loss: Any, factor: float = 0.37) -> Made:
    """(the loss, gradients of the states and of what the head trains) of `factor` times the loss."""
    head.zero_grad(set_to_none=True)
    hidden = hidden.clone().requires_grad_()
    found = loss(hidden)
    (found * factor).backward()
    made = {name: one.grad for name, one in head.named_parameters() if one.grad is not None}
    assert hidden.grad is not None
    return found.detach(), {"hidden": hidden.grad, **made}


def plain(head: nn.Module) -> Any:
    return lambda hidden: functional.cross_entropy(head(hidden).float(), wanted(), reduction="sum")


def same(found: Made, expected: Made, tolerance: float = 1e-5) -> None:
    assert found[1].keys() == expected[1].keys()
    torch.testing.assert_close(found[0], expected[0], rtol=tolerance, atol=tolerance)
    for name, one in expected[1].items():
        assert found[1][name].dtype == one.dtype
        torch.testing.assert_close(found[1][name], one, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("chunk", [1, 7, T, None])
@pytest.mark.parametrize("bias", [False, True])
def test_loss_and_gradients_are_the_plain_ones(chunk: int | None, bias: bool) -> None:
    head = linear(bias=bias)
    expected = differentiated(head, states(), plain(head))
    same(differentiated(head, states(), lambda h: summed_loss(h, head, wanted(), chunk)[0]), expected)
    same(differentiated(head, states(), lambda h: token_losses(h, head, wanted(), chunk).sum()), expected)


@given(
    st.integers(1, 9), st.integers(1, 5), st.integers(2, 12), st.integers(1, 12), st.floats(0.1, 30), st.integers(0, 99)
)
@settings(max_examples=40, deadline=None)
def test_any_shape_and_scale(rows: int, width: int, vocabulary: int, chunk: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    head, target = nn.Linear(width, vocabulary), torch.randint(0, vocabulary, (rows,))
    hidden = torch.randn(rows, width) * scale
    found = differentiated(head, hidden, lambda h: summed_loss(h, head, target, chunk)[0])
    same(
        found, differentiated(head, hidden, lambda h: functional.cross_entropy(head(h), target, reduction="sum")), 2e-4
    )


def test_each_loss_is_told_and_each_may_be_weighed() -> None:
    head = linear()
    each = functional.cross_entropy(head(states()), wanted(), reduction="none").detach()
    torch.testing.assert_close(summed_loss(states(), head, wanted(), 7)[1], each)
    weights = torch.linspace(-1, 2, T)
    expected = differentiated(
        head, states(), lambda h: (functional.cross_entropy(head(h), wanted(), reduction="none") * weights).sum()
    )
    same(differentiated(head, states(), lambda h: (token_losses(h, head, wanted(), 7) * weights).sum()), expected)


def test_a_frozen_head_gets_no_gradient() -> None:
    head = linear().requires_grad_(False)
    found = differentiated(head, states(), lambda h: summed_loss(h, head, wanted(), 7)[0])
    same(found, differentiated(head, states(), plain(head)))
    assert head.weight.grad is None


def test_a_head_tied_to_the_embeddings_sums_both_gradients() -> None:
    head, table = linear(), nn.Embedding(V, D)
    table.weight = head.weight
    read = torch.arange(T) % V

    def loss(of: Any) -> Made:
        head.zero_grad(set_to_none=True)
        of(table(read) + states()).backward()
        assert head.weight.grad is not None
        return torch.zeros(()), {"weight": head.weight.grad}

    same(loss(lambda h: summed_loss(h, head, wanted(), 7)[0]), loss(plain(head)))


@pytest.mark.parametrize("chunk", [1, 7, T])
def test_adapters_on_the_head(chunk: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    holder = nn.ModuleDict({"lm_head": linear()})
    inject_adapter_in_model(LoraConfig(r=4, target_modules=["lm_head"], init_lora_weights=False), holder)
    head = holder["lm_head"]
    expected = differentiated(head, states(), plain(head))
    assert len(expected[1]) == 3
    same(differentiated(head, states(), lambda h: summed_loss(h, head, wanted(), chunk)[0]), expected)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("adapted", [False, True])
def test_bfloat16(autocast: bool, adapted: bool) -> None:
    """Half precision rounds: the chunked loss is as near to the exact one as the plain loss is."""
    head: nn.Module = linear(torch.float32 if autocast else torch.bfloat16)
    if adapted:
        head = nn.Sequential(head)
    hidden = states(torch.float32 if autocast else torch.bfloat16)
    exact_head = linear(torch.float64)
    exact = differentiated(exact_head, states().double(), plain(exact_head))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = differentiated(head, hidden, lambda h: summed_loss(h, head, wanted(), 7)[0])
        rounded = differentiated(head, hidden, plain(head))
    assert [one.dtype for one in found[1].values()] == [one.dtype for one in rounded[1].values()]
    for ours, theirs, true in zip(found[1].values(), rounded[1].values(), exact[1].values(), strict=True):
        assert (ours.double() - true).norm() <= 1.3 * (theirs.double() - true).norm() + 1e-3 * true.norm()


def test_nothing_to_learn_is_nought_with_a_gradient() -> None:
    head = linear()
    hidden = states()[:0].requires_grad_()
    found, each = summed_loss(hidden, head, wanted()[:0])
    found.backward()
    assert float(found.detach()) == 0
    assert len(each) == 0


def test_without_gradients_none_are_made() -> None:
    head = linear()
    with torch.no_grad():
        assert float(summed_loss(states(), head, wanted())[0]) == pytest.approx(float(plain(head)(states())))


def test_the_second_gradient_is_refused() -> None:
    found, _ = summed_loss(states().requires_grad_(), linear(), wanted())
    found.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="differentiated twice"):
        found.backward()


MEASURED = """
    import json, sys, torch
    from pathlib import Path
    from torch import nn
    from vesalius.models.parts.chunked_loss import summed_loss
    torch.manual_seed(0)
    hidden = torch.randn(2048, 256, requires_grad=True)
    head = nn.Linear(256, 49152, bias=False)
    wanted = torch.randint(0, 49152, (2048,))
    warm = nn.Linear(8, 8)
    summed_loss(torch.randn(4, 8, requires_grad=True), warm, torch.zeros(4, dtype=torch.long))[0].backward()
    def memory(name):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = memory("VmRSS")
    if sys.argv[1] == "chunked":
        loss = summed_loss(hidden, head, wanted)[0] / 2048
    else:
        loss = nn.functional.cross_entropy(head(hidden), wanted)
    loss.backward()
    extra = memory("VmHWM") - before
    print(json.dumps([extra, float(loss), float(head.weight.grad.norm()), float(hidden.grad.norm())]))
"""


def measured(kind: str) -> list[float]:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURED), kind], capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_an_eighth_of_the_memory_at_a_vocabulary_of_49152() -> None:
    (ours, *numbers), (theirs, *expected) = measured("chunked"), measured("plain")
    assert numbers == pytest.approx(expected, rel=1e-5)
    assert theirs / ours >= 8, f"{theirs:.0f} MiB plain, {ours:.0f} MiB chunked"
