"""8 and 4 bits: which layers, how far off, how much smaller, and what is said without the library."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

import vesalius
from benchmarks.loading import deviations
from benchmarks.wide_checkpoint import write_wide
from tests.models.sharded import TINY, question, tiny
from tests.models.test_placement import TOWERS
from vesalius.errors import OptionError, UnsupportedError
from vesalius.models.quantize import is_quantized, quantize_linears, quantized_bytes, with_weight

CPU = torch.device("cpu")


def load(family: str, **options: Any) -> Any:
    told: dict[str, Any] = {"device": "cpu", "dtype": "float32"} | options
    return vesalius.load(str(tiny(family)), **told)


def restored(layer: Any) -> torch.Tensor:
    """The weight a quantized layer stands for."""
    from bitsandbytes.functional import dequantize_4bit

    if layer.weight.dtype == torch.int8:
        return layer.weight.data.float() * layer.weight.SCB[:, None] / 127
    return dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()


def step(weight: torch.Tensor, bits: str) -> torch.Tensor:
    """How far a quantized number may be off: half of the widest step of its row (8 bits; and half precision before) or
    of its block of 64 (NF4: from -1 to -0.6962)."""
    if bits == "8bit":
        return weight.abs().amax(1, keepdim=True) * (0.5 / 127 + 2**-10)
    flat = weight.reshape(-1)
    rest = -len(flat) % 64
    blocks = torch.nn.functional.pad(flat, (0, rest)).reshape(-1, 64).abs().amax(1)
    return (blocks * 0.1520).repeat_interleave(64)[: len(flat)].reshape(weight.shape)


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
@pytest.mark.parametrize("family", list(TINY))
def test_the_layers_of_the_language_model_and_no_others_are_quantized(family: str, bits: Any) -> None:
    plain, model = load(family), load(family, quantize=bits)
    own = dict(plain.family.model.named_modules())
    prefix = f"{TOWERS[family][0]}.layers."
    quantized = {name: layer for name, layer in model.family.model.named_modules() if is_quantized(layer)}
    linears = {n: one for n, one in own.items() if n.startswith(prefix) and isinstance(one, nn.Linear)}
    assert set(quantized) == {n for n, one in linears.items() if bits == "8bit" or one.in_features % 64 == 0}
    batch = plain.prepare(question(family))
    exact = plain.logits(batch)
    for name, layer in quantized.items():
        weight = own[name].weight.detach()
        error = (restored(layer) - weight).abs()
        assert error.max() > 0
        assert (error <= step(weight, bits)).all()
        own[name].weight.data = restored(layer)
    same, given = plain.logits(batch), model.logits(batch)
    # 8 bits round activations, too; 4 bits compute with exactly the weights they stand for.
    assert (given - same).norm() / same.norm() < (0.06 if bits == "8bit" else 1e-4)
    assert bool((given - exact).norm() > 0) == bool(quantized)
    assert model.ask(question(family), max_new_tokens=2).usage.new_tokens <= 2


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_quantized_layers_compute_in_half_precision(dtype: str, bits: Any) -> None:
    wide, half = load("medmo", quantize=bits), load("medmo", quantize=bits, dtype=dtype)
    batch = wide.prepare(question("medmo"))
    exact = wide.logits(batch)
    assert (half.logits(batch) - exact).norm() / exact.norm() < 0.06


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
@pytest.mark.parametrize("rows_columns", [(96, 128), (48, 64), (7, 192), (3000, 704)])
def test_rows_in_portions_are_the_rows_at_once(bits: Any, rows_columns: tuple[int, int]) -> None:
    from bitsandbytes.functional import int8_vectorwise_quant, quantize_4bit

    torch.manual_seed(0)
    rows, columns = rows_columns
    tower: Any = nn.Sequential(nn.Linear(columns, rows, bias=False))
    weight = tower[0].weight.detach().clone()
    assert quantize_linears([tower], bits, torch.float32) == 1
    layer: Any = tower[0]
    layer.weight = held = cast("Any", with_weight(layer, weight, CPU))
    if bits == "8bit":
        whole, scales, _ = int8_vectorwise_quant(weight.half())
        assert torch.equal(held.data, whole)
        assert torch.equal(held.SCB, scales)
    else:
        whole, state = quantize_4bit(weight, blocksize=64, compress_statistics=False, quant_type="nf4")
        assert torch.equal(held.data, whole)
        assert torch.equal(held.quant_state.absmax, state.absmax)
        scales = state.absmax
    taken = held.data.nbytes + scales.nbytes
    assert abs(taken - quantized_bytes(weight, bits)) <= 8
    x = torch.randn(2, columns)
    assert (layer(x) - x @ weight.T).norm() / (x @ weight.T).norm() < (0.02 if bits == "8bit" else 0.15)


def test_packed_and_unpacked_layers_agree() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(64, 128).bfloat16().float(), torch.randn(3, 128).bfloat16().float()
    made: list[torch.Tensor] = []
    for dtype in (torch.float32, torch.bfloat16):
        tower = nn.Sequential(nn.Linear(128, 64, bias=False)).to(dtype)
        quantize_linears([tower], "4bit", dtype)
        layer: Any = tower[0]
        layer.weight = with_weight(layer, weight.to(dtype), CPU)
        with torch.inference_mode():
            made.append(layer(x.to(dtype)).float())
    assert (made[0] - made[1]).norm() / made[0].norm() < 0.02


def test_logits_of_a_wider_network_stay_near_float32(tmp_path: Path) -> None:
    """Random weights, for which rounding errors are as bad as they get; printed: 0.998 and 0.873."""
    write_wide(tiny("medmo"), tmp_path / "wide", width=4, layers=3, dtype=torch.float32, shard_bytes=10**8)
    off = deviations(tmp_path / "wide")
    assert 0.99 < off["8bit"].cosine < 1
    assert 0.75 < off["4bit"].cosine < off["8bit"].cosine
    assert 0 < off["8bit"].apart < 0.1
    assert off["8bit"].apart < off["4bit"].apart < 0.7


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantized_weight_keeps_out_of_the_heap(bits: Any) -> None:
    """It has pages of its own: what is computed beside it leaves no holes."""
    tower: Any = nn.Sequential(nn.Linear(256, 320, bias=False))
    quantize_linears([tower], bits, torch.float32)
    held: Any = with_weight(tower[0], torch.randn(320, 256), CPU)
    assert held.data_ptr() % mmap.PAGESIZE == 0
    assert held.is_contiguous()


def test_another_word_is_refused() -> None:
    with pytest.raises(OptionError, match="8bit or 4bit"):
        load("medmo", quantize="2bit")
    with pytest.raises(OptionError, match="starter"):
        vesalius.load("starter", quantize="8bit")


def test_quantized_layers_stay_where_they_are() -> None:
    with pytest.raises(OptionError, match="quantized layers cannot"):
        load("medmo", quantize="8bit", device="auto", device_map={"": "cpu", "lm_head": "disk"})


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'vesalius\[quantize\]'"):
        load("medmo", quantize="4bit")


def test_importing_the_library_fetches_no_code(tmp_path: Any) -> None:
    """bitsandbytes asks a package called kernels for code of the hub, where there is one."""
    (tmp_path / "kernels.py").write_text("raise SystemExit('asked for code of the hub')")
    code = "from vesalius.models.quantize import _bitsandbytes as get; get(); print('kernels' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
