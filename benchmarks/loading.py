"""What loading a sharded checkpoint takes beside its weights: peak resident memory of a fresh process over what it held
after loading the family's tiny checkpoint (so imports do not count), divided by the bytes of the loaded weights.

Aim: 1.15 at most, for float32 and bfloat16 kept as stored, and for bfloat16 widened to float32. Beside it, in the same
run, the way that is usual in small projects: build the module, `load_file` every shard, `load_state_dict`.
Linux only (the kernel's own high-water mark).

With --quantize, beside the weights in 8 and 4 bits: how far the logits of a question are from those in float32 over the
same file, at every position. Random weights say what rounding does to numbers, not what it does to answers.

Run: python benchmarks/loading.py [--megabytes 800] [--families medmo hulumed …]
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.wide_checkpoint import FAMILIES, write_wide

QUESTION = "Is there a fracture, and where? Describe what is seen in the left lower lobe and beside the heart."
FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures"


@dataclass(frozen=True)
class Taken:
    """Of one process: `kept` bytes of the loaded weights, `peak` and `after` resident bytes over the start, seconds."""

    kept: int
    peak: int
    after: int
    seconds: float

    @property
    def ratio(self) -> float:
        """Peak over weights."""
        return self.peak / self.kept


def measured(tiny: Path, folder: Path, **options: Any) -> Taken:
    """Load `folder` in a fresh process that has loaded `tiny` before."""
    given = json.dumps({"tiny": str(tiny), "folder": str(folder), "options": options})
    done = subprocess.run([sys.executable, __file__, "--child", given], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return Taken(**json.loads(done.stdout.strip().splitlines()[-1]))


def child(given: dict[str, Any]) -> None:
    """Measure in this process and print it."""
    import vesalius

    options = given["options"]
    usual = options.pop("usual", False)
    vesalius.load(given["tiny"], device="cpu") if usual else vesalius.load(given["tiny"], **options)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before, started = _status("VmRSS"), time.perf_counter()
    module = _usual(Path(given["folder"])) if usual else _model(given["folder"], options)
    seconds = time.perf_counter() - started
    weights = {id(p): p for p in module.parameters() if p.device.type != "meta"}
    kept = sum(p.nbytes + _scales(p) for p in weights.values())
    print(json.dumps({
        "kept": kept, "peak": _status("VmHWM") - before, "after": _status("VmRSS") - before, "seconds": seconds,
    }))  # fmt: skip


@dataclass(frozen=True)
class Deviation:
    """Logits of quantized weights beside those of float32: least cosine of a position, largest difference over the
    largest logit, share of positions with the same first word."""

    cosine: float
    apart: float
    same: float


def deviations(folder: Path) -> dict[str, Deviation]:
    """8bit and 4bit → how far the logits of a question are off."""
    import vesalius

    asked = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    made: dict[str, torch.Tensor] = {}
    for bits in ("", "8bit", "4bit"):
        more: dict[str, Any] = {"quantize": bits} if bits else {}
        model: Any = vesalius.load(str(folder), device="cpu", dtype="float32", **more)
        made[bits] = model.logits(model.prepare(asked)).detach().float().flatten(0, -2)
    exact = made.pop("")
    return {
        bits: Deviation(
            float(torch.nn.functional.cosine_similarity(given, exact, dim=-1).min()),
            float((given - exact).abs().max() / exact.abs().max()),
            float((given.argmax(-1) == exact.argmax(-1)).float().mean()),
        )
        for bits, given in made.items()
    }


def _scales(weight: Any) -> int:
    """Bytes of the scales beside a quantized weight, without which it says nothing."""
    state = getattr(weight, "quant_state", None)
    beside = getattr(weight, "SCB", None) if state is None else state.absmax
    return 0 if beside is None else beside.nbytes


def _model(folder: str, options: dict[str, Any]) -> Any:
    import vesalius

    family: Any = vesalius.load(folder, **options).family
    return family.model


def _usual(folder: Path) -> Any:
    from safetensors.torch import load_file
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    module = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**config))
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    module.load_state_dict(tensors)
    return module


def _status(name: str) -> int:
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=800, help="size of each checkpoint, about")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--quantize", action="store_true", help="8 and 4 bits, too")
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        child(json.loads(args.child))
        return
    print(f"{'family':<11} {'stored':<9} {'loaded':<16} {'weights':>8} {'peak':>8} {'ratio':>6} {'seconds':>8}")
    for family in args.families:
        tiny = FIXTURES / FAMILIES[family]
        for stored in ("float32", "bfloat16"):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / "wide"
                dtype = getattr(torch, stored)
                size = sized(family, args.megabytes * 10**6, dtype)
                write_wide(tiny, folder, **size, dtype=dtype, shard_bytes=args.megabytes * 10**6 // 4)
                for options in _ways(family, stored, args.quantize):
                    taken = measured(tiny, folder, **options)
                    said = "usual way" if options.get("usual") else " ".join(options.values())
                    print(
                        f"{family:<11} {stored:<9} {said:<16} {taken.kept / 1e6:6.0f} M {taken.peak / 1e6:6.0f} M "
                        f"{taken.ratio:6.2f} {taken.seconds:8.2f}",
                        flush=True,
                    )
                if args.quantize and stored == "float32":
                    for bits, off in deviations(folder).items():
                        print(
                            f"{family:<11} {bits} beside float32: cosine at least {off.cosine:.4f}, difference at most "
                            f"{off.apart:.1%} of the largest logit, same first word at {off.same:.0%} of positions",
                            flush=True,
                        )


def sized(family: str, wanted: int, dtype: torch.dtype, layers: int = 6) -> dict[str, int]:
    """Width of six layers that make about `wanted` bytes."""
    config = json.loads((FIXTURES / FAMILIES[family] / "config.json").read_text(encoding="utf-8"))
    beside = FIXTURES / FAMILIES[family] / "llm_config.json"
    config = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else config
    text = config.get("text_config", config)
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    of_layer = 3 * hidden * hidden + 3 * hidden * inner  # key and value heads are half as many
    width = int((wanted / dtype.itemsize / layers / of_layer) ** 0.5)
    return {"width": width, "layers": layers}


def _ways(family: str, stored: str, quantize: bool) -> list[dict[str, Any]]:
    ways: list[dict[str, Any]] = [{"dtype": "float32"}] if stored == "float32" else [
        {"dtype": "bfloat16"}, {"dtype": "float32"},
    ]  # fmt: skip
    if quantize and stored == "bfloat16":
        ways += [{"dtype": "bfloat16", "quantize": bits} for bits in ("8bit", "4bit")]
    if family == "medmo" and stored == "float32":
        ways.append({"usual": True})
    return ways


if __name__ == "__main__":
    main()
