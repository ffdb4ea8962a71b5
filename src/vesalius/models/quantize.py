"""Linear layers of a language tower in 8 or 4 bits, by bitsandbytes (extra `quantize`).

8 bits: whole rows scaled to int8, outlying activations kept apart (LLM.int8). 4 bits: NF4 in blocks of 64. Both
compute in the model's dtype, on CPU and on GPU.
"""

from __future__ import annotations

import importlib
import logging
import mmap
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from math import prod
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from vesalius.errors import OptionError, UnsupportedError
from vesalius.models.shards import StoredRows

__all__ = ["Quantization", "checked_quantization", "is_quantized", "quantize_linears", "quantized_bytes", "with_weight"]

Quantization = Literal["8bit", "4bit"]

_BLOCK = 64
"""Numbers that share a scale in 4 bits; also what the packed kernel on CPU asks of a layer's columns."""
_PACKED_ROWS = 32
_PORTION = 1 << 17
"""Numbers quantized at a time."""


def checked_quantization(given: str | None) -> Quantization | None:
    """OptionError for another word than 8bit or 4bit, UnsupportedError where bitsandbytes is not installed."""
    if given is None:
        return None
    for known in get_args(Quantization):
        if given == known:
            if find_spec("bitsandbytes") is None:
                raise UnsupportedError(
                    f"{given} weights need bitsandbytes, which is not installed.",
                    fix="Run: pip install 'vesalius[quantize]'.",
                )
            return known
    raise OptionError(f"quantize is {given!r}.", fix="Use 8bit or 4bit, or leave it out.")


def quantize_linears(towers: Iterable[nn.Module], bits: Quantization, dtype: torch.dtype) -> int:
    """Put quantized layers, still without weights, in the place of every Linear inside `towers` (in 4 bits: of those
    whose inputs are a multiple of 64, as all published ones are); how many there were.

    `dtype`: what the layers compute in."""
    layers = _bitsandbytes().nn
    count = 0
    for tower in towers:
        for module in list(tower.modules()):
            for name, child in list(module.named_children()):
                # bitsandbytes 0.50 restores 4 bits wrongly on CPU where a row does not end with a block.
                if type(child) is nn.Linear and (bits == "8bit" or child.in_features % _BLOCK == 0):
                    setattr(module, name, _empty(layers, child, bits, dtype))
                    count += 1
    return count


def is_quantized(module: nn.Module) -> bool:
    """Whether a layer is one of those `quantize_linears` puts in."""
    return type(module).__module__.startswith("bitsandbytes.")


def with_weight(layer: nn.Module, weight_OI: Tensor | StoredRows, device: torch.device) -> nn.Parameter:
    """The layer's weight quantized on `device`, ready to be put in. Rows come in portions: what is computed on the way
    takes many times the memory of the result."""
    library = _bitsandbytes()
    eight = isinstance(layer, library.nn.Linear8bitLt)
    return (_int8 if eight else _nf4)(library, layer, weight_OI, device)


def _portions(weight_OI: Tensor | StoredRows, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """Rows and their weights. Blocks stay where they are: a row of what goes into 4 bits ends with one."""
    step = max(1, _PORTION // weight_OI.shape[1])
    for first in range(0, len(weight_OI), step):
        yield slice(first, first + step), weight_OI[first : first + step].to(device)


def _lasting(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor that stays, empty. On a CPU it has pages of its own: in the heap it would lie between what is computed
    on the way, and the holes that leaves are never given back while the model lives."""
    num_bytes = prod(shape) * dtype.itemsize
    if device.type != "cpu" or num_bytes < mmap.PAGESIZE:
        return torch.empty(shape, dtype=dtype, device=device)
    # A private map: one that is shared would be written to by forked processes together.
    pages = mmap.mmap(-1, num_bytes) if sys.platform == "win32" else mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE)
    return torch.frombuffer(pages, dtype=dtype, count=prod(shape)).view(*shape)


def _int8(library: Any, layer: nn.Module, weight_OI: Tensor | StoredRows, device: torch.device) -> nn.Parameter:
    del layer
    whole = _lasting(weight_OI.shape, torch.int8, device)
    scales = _lasting(weight_OI.shape[:1], torch.float32, device)
    for rows, portion in _portions(weight_OI, device):
        whole[rows], scales[rows], _ = library.functional.int8_vectorwise_quant(portion.half())
    return library.nn.Int8Params(whole, requires_grad=False, has_fp16_weights=False, CB=whole, SCB=scales)


def _nf4(library: Any, layer: Any, weight_OI: Tensor | StoredRows, device: torch.device) -> nn.Parameter:
    count, columns = weight_OI.shape.numel(), weight_OI.shape[1]
    packed = _lasting((count // 2, 1), torch.uint8, device)
    scales = _lasting((count // _BLOCK,), torch.float32, device)
    state: Any = None
    for rows, portion in _portions(weight_OI, device):
        numbers, state = library.functional.quantize_4bit(
            portion, blocksize=_BLOCK, compress_statistics=False, quant_type="nf4"
        )
        first = rows.start * columns
        packed[first // 2 : first // 2 + len(numbers)] = numbers
        scales[first // _BLOCK : first // _BLOCK + len(state.absmax)] = state.absmax
    state.absmax, state.shape, layer.quant_state = scales, weight_OI.shape, state
    return library.nn.Params4bit(
        packed, requires_grad=False, quant_state=state, blocksize=_BLOCK, compress_statistics=False,
        quant_type="nf4", module=layer, bnb_quantized=True,
    )  # fmt: skip


def quantized_bytes(weight: Tensor, bits: Quantization) -> int:
    """Bytes a weight `[out, in]` takes: the numbers, and a float32 scale per row (8 bits) or block (4 bits)."""
    if bits == "8bit":
        return weight.numel() + 4 * weight.shape[0]
    return weight.numel() // 2 + 4 * (weight.numel() // _BLOCK)


def _empty(layers: Any, linear: nn.Linear, bits: Quantization, dtype: torch.dtype) -> nn.Module:
    sizes = (linear.in_features, linear.out_features, linear.bias is not None)
    if bits == "8bit":
        made = layers.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=6.0, device="meta")
    else:
        made = layers.Linear4bit(*sizes, compute_dtype=dtype, quant_type="nf4", device="meta")
        # The packed kernel computes in bfloat16 whatever was asked for, and refuses other sizes.
        fits = linear.out_features % _PACKED_ROWS == 0 and linear.in_features % _BLOCK == 0
        made.support_avx512bf16_for_cpu &= fits and dtype == torch.bfloat16
    made.bias = linear.bias
    return made.eval()


def _bitsandbytes() -> Any:
    """The library. On some processors its import fetches code from the hub where `kernels` is installed: not here."""
    if "bitsandbytes" in sys.modules:
        return sys.modules["bitsandbytes"]
    # It warns at every layer of every token that 8 bits are computed from half precision.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    before = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # pyright: ignore[reportArgumentType]  (an import of it fails)
    try:
        return importlib.import_module("bitsandbytes")
    finally:
        if before is None:
            del sys.modules["kernels"]
        else:
            sys.modules["kernels"] = before
