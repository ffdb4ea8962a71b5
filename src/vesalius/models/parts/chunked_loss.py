"""Cross entropy over a large vocabulary without ever holding the logits of a whole row.

Shape letters: N positions that predict something, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["summed_loss", "token_losses", "token_scores"]

_LOGITS_AT_ONCE = 4 * 2**20
"""Logits that exist at a time: 16 MiB of float32."""


def summed_loss(
    hidden_ND: Tensor, head: nn.Module, wanted_N: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """(sum of the cross entropies, a float32 scalar with gradient; each of them `[N]` float32 without).

    Gradients of states and head are made chunk by chunk in the forward pass and kept, so the memory is that of the
    head's own gradient and of `chunk` rows of logits (None: as many as are 16 MiB). A frozen head costs no gradient.
    `head`: D → V, a plain linear layer or any module (adapters, quantized). The sum can be differentiated once.
    """
    if not len(wanted_N):
        return hidden_ND.float().sum() * 0, hidden_ND.new_zeros(0, dtype=torch.float32)
    keeps = torch.is_grad_enabled()
    if _is_plain(head):
        rows = _rows(head.weight.shape[0], chunk)
        return _LinearLoss.apply(hidden_ND, head.weight, head.bias, wanted_N, rows, keeps)  # pyright: ignore[reportReturnType]
    trained = [parameter for parameter in head.parameters() if parameter.requires_grad]
    rows = _rows(_width(head, hidden_ND), chunk)
    return _HeadLoss.apply(hidden_ND, head, wanted_N, rows, keeps, *trained)  # pyright: ignore[reportReturnType]


def token_losses(hidden_ND: Tensor, head: nn.Module, wanted_N: Tensor, chunk: int | None = None) -> Tensor:
    """Cross entropy `[N]` float32 of each position, with gradient: logits are computed again in the backward pass, so
    that losses may be weighed against each other afterwards (preferences, sums of samples)."""
    from torch.utils.checkpoint import checkpoint

    if not len(wanted_N):
        return hidden_ND.float().sum(-1)

    def of(states: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy(head(states).float(), wanted, reduction="none")

    rows = _rows(_width(head, hidden_ND), chunk)
    parts: list[Any] = [
        checkpoint(of, states, wanted, use_reentrant=False)
        for states, wanted in zip(hidden_ND.split(rows), wanted_N.split(rows), strict=True)
    ]
    return torch.cat(parts)


def token_scores(
    hidden_ND: Tensor, head: nn.Module, wanted_N: Tensor, temperature: float = 1.0, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """(log-probability, entropy) `[N]` float32 of each position under logits divided by `temperature`, the first with
    gradient; logits are computed again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    if not len(wanted_N):
        nothing = hidden_ND.float().sum(-1)
        return nothing, nothing.detach()

    def of(states: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        logps = functional.log_softmax(head(states).float() / temperature, dim=-1)
        with torch.no_grad():
            entropy = -(logps.exp() * logps).sum(-1)
        return logps.gather(1, wanted[:, None])[:, 0], entropy

    rows = _rows(_width(head, hidden_ND), chunk)
    parts: list[Any] = [
        checkpoint(of, states, wanted, use_reentrant=False)
        for states, wanted in zip(hidden_ND.split(rows), wanted_N.split(rows), strict=True)
    ]
    return torch.cat([logps for logps, _ in parts]), torch.cat([entropy for _, entropy in parts])


def _rows(vocabulary: int, chunk: int | None) -> int:
    return chunk or max(16, _LOGITS_AT_ONCE // vocabulary)


def _width(head: nn.Module, hidden_ND: Tensor) -> int:
    known: Any = getattr(head, "out_features", None)
    if isinstance(known, int):
        return known
    with torch.no_grad():
        return head(hidden_ND[:1]).shape[-1]


def _is_plain(head: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether the head is its weight and bias and nothing else: no adapter, no hook, no shard."""
    return (
        type(head) is nn.Linear
        and type(head.weight) is nn.Parameter
        and not (head._forward_hooks or head._forward_pre_hooks)  # pyright: ignore[reportPrivateUsage]
        and "forward" not in vars(head)
    )


def _computing_dtype(weight: Tensor) -> torch.dtype:
    """What a linear layer with this weight computes in here."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def _scaled(ctx: Any, factor: Tensor) -> list[Tensor | None]:
    """The gradients made in the forward pass, in place and therefore once: a copy would double the head's."""
    made: list[Tensor | None] | None = ctx.made
    if made is None:
        raise RuntimeError("the chunked loss was differentiated twice; compute it again for a second gradient.")
    ctx.made = None
    return [None if one is None else one.mul_(factor.to(one.dtype)) for one in made]


class _LinearLoss(torch.autograd.Function):
    """The loss of a plain linear head, in one buffer of logits."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, wanted: Tensor, rows: int, keeps: bool
    ) -> tuple[Tensor, Tensor]:
        """See `summed_loss`."""
        dtype = _computing_dtype(weight)
        with torch.autocast(weight.device.type, enabled=False):
            states, table = hidden.to(dtype), weight.to(dtype)
            wants = [keeps and need for need in ctx.needs_input_grad[:3]]
            of_states = torch.empty_like(hidden) if wants[0] else None
            # The sum over many chunks is kept in float32 whatever the weight is stored in.
            of_table = torch.zeros_like(weight, dtype=torch.float32) if wants[1] else None
            of_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and wants[2] else None
            losses = torch.empty(len(wanted), dtype=torch.float32, device=hidden.device)
            buffer = torch.empty(min(rows, len(wanted)), len(weight), dtype=dtype, device=hidden.device)
            for first in range(0, len(wanted), rows):
                part = slice(first, first + rows)
                some = states[part]
                logits = torch.mm(some, table.T, out=buffer[: len(some)])
                if bias is not None:
                    logits += bias.to(dtype)
                error = _softmax_error(logits.float(), wanted[part], losses[part], any(wants))
                if of_bias is not None:
                    of_bias += error.sum(0)
                error = error.to(dtype)
                if of_states is not None:
                    of_states[part] = torch.mm(error, table)
                if of_table is not None:
                    if dtype == torch.float32:
                        of_table.addmm_(error.T, some)
                    else:
                        of_table += torch.mm(error.T, some)
        ctx.made = [
            of_states,
            None if of_table is None else of_table.to(weight.dtype),
            None if of_bias is None or bias is None else of_bias.to(bias.dtype),
        ]
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, *factors: Tensor) -> Any:
        """The gradients made in the forward pass, scaled."""
        return (*_scaled(ctx, factors[0]), None, None, None)


def _softmax_error(logits: Tensor, wanted: Tensor, losses: Tensor, keeps: bool) -> Tensor:
    """Fill `losses`; `logits` (overwritten) become the gradient of their sum."""
    largest = logits.amax(1, keepdim=True)
    losses.copy_((largest - logits.gather(1, wanted[:, None]))[:, 0])
    logits.sub_(largest).exp_()
    total = logits.sum(1, keepdim=True)
    losses += total.log()[:, 0]
    if keeps:
        logits.div_(total)
        logits[torch.arange(len(wanted), device=wanted.device), wanted] -= 1
    return logits


class _HeadLoss(torch.autograd.Function):
    """The loss of any head: autograd runs over one chunk at a time."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: nn.Module, wanted: Tensor, rows: int, keeps: bool, *trained: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `summed_loss`."""
        of_hidden = torch.empty_like(hidden) if keeps and hidden.requires_grad else None
        of_trained = [torch.zeros_like(one, dtype=torch.float32) for one in trained] if keeps else []
        losses: list[Tensor] = []
        for first in range(0, len(wanted), rows):
            part = slice(first, first + rows)
            states = hidden[part].detach().requires_grad_(of_hidden is not None)
            with torch.set_grad_enabled(keeps):
                found = functional.cross_entropy(head(states).float(), wanted[part], reduction="none")
                total = found.sum()
            losses.append(found.detach())
            sources = [*([] if of_hidden is None else [states]), *trained]
            if not keeps or not sources:
                continue
            gradients = list(torch.autograd.grad(total, sources, allow_unused=True))
            if of_hidden is not None:
                of_hidden[part] = gradients.pop(0)
            for kept, one in zip(of_trained, gradients, strict=True):
                if one is not None:
                    kept += one
        ctx.made = [of_hidden, *(one.to(kind.dtype) for one, kind in zip(of_trained, trained, strict=False))]
        each = torch.cat(losses)
        ctx.mark_non_differentiable(each)
        return each.sum(), each

    @staticmethod
    def backward(ctx: Any, *factors: Tensor) -> Any:
        """The gradients made in the forward pass, scaled."""
        of_hidden, *of_trained = _scaled(ctx, factors[0])
        return (of_hidden, None, None, None, None, *of_trained)
