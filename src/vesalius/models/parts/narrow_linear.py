"""A matrix product for the few rows that a batch has while it decodes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["narrow_linear"]

_NARROW = range(4, 65)
"""Numbers of rows for which the plain product is not the quickest."""
_FEW = range(4, 9)
"""Of these, the ones for which a block of the weights is best multiplied on its own."""
_BLOCK = 32
"""Outputs of a block: small enough for the library's kernel for small products, which rearranges nothing."""
_LEAST_OUTPUTS = 256


def narrow_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`, [..., in] → [..., out], equal to `functional.linear` within rounding.

    For 4 to 64 rows of float32 on a CPU the matrix library spends its time on rearranging the weights; with the
    rows as columns it reads them as they lie and is about twice as fast. For up to 8 rows a batch of small products,
    each over some rows of the same weights, is faster still. Nothing is kept: the weights are only looked at otherwise.
    The result may be a transposed view.
    """
    rows = x.numel() // x.shape[-1]
    if rows not in _NARROW or x.dtype != torch.float32 or x.device.type != "cpu":
        return functional.linear(x, weight, bias)
    if rows in _FEW and _in_blocks(weight):
        made = _block_by_block(x.reshape(rows, -1), weight)
        made = made if bias is None else made.add_(bias)
        return made.reshape(*x.shape[:-1], -1)
    columns = x.reshape(rows, -1).T
    made = weight @ columns if bias is None else torch.addmm(bias[:, None], weight, columns)
    return made.T.reshape(*x.shape[:-1], -1)


def _in_blocks(weight: Tensor) -> bool:
    outputs = weight.shape[0]
    # Other libraries take a batch of products one after the other.
    return (
        outputs >= _LEAST_OUTPUTS
        and outputs % _BLOCK == 0
        and weight.is_contiguous()
        and torch.backends.mkl.is_available()
    )


def _block_by_block(x_RI: Tensor, weight_OI: Tensor) -> Tensor:
    """[R, in] → [R, out], new and contiguous."""
    rows, inputs = x_RI.shape
    blocks = weight_OI.view(-1, _BLOCK, inputs)
    made = torch.bmm(x_RI.expand(len(blocks), rows, inputs), blocks.transpose(1, 2))
    return made.transpose(0, 1).reshape(rows, -1)
