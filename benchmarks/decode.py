"""How fast words come: our decoding beside transformers' `generate`, in turn, same weights, prompts and threads.

  starter   SmolLM2-135M as `vesalius starter install` converted it
  qwen      a random network of the shape of Qwen2.5-0.5B

Greedy, float32, prompts of different lengths, padded on the left, every row to the last token; the tokens of both
must be the same. The rate is that of the tokens after the first; reading the prompt is told apart. The processor
time of both sides is compared as well: it is the steadier figure where cores are shared.

Run: OMP_NUM_THREADS=2 python benchmarks/decode.py [--tokens 64] [--pairs 5] [--batches 1 8] [--models starter qwen]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vesalius.models.parts.hf_decode import HfDecoder
from vesalius.models.parts.speak import pad_left
from vesalius.models.parts.token_stream import Decoder, stream_tokens
from vesalius.models.starter_base.lean import lean_language
from vesalius.models.starter_base.smollm2 import load_language

LENGTHS = (96, 41, 77, 58, 120, 33, 64, 101)
QWEN = {
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def starter() -> tuple[Any, Decoder]:
    """(transformers' model, ours) of the starter's language model."""
    return load_language(), lean_language()


def qwen() -> tuple[Any, Decoder]:
    """The same of a random network; every family's text model goes the way this one does."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    sizes: dict[str, Any] = QWEN
    model = Qwen2ForCausalLM(Qwen2Config(**sizes)).eval()
    return model, HfDecoder(model.model, model.lm_head, max_positions=32768)


@dataclass(frozen=True)
class Told:
    """What was said by each row, and (wall, processor) seconds at the start and whenever logits were ready."""

    words: list[list[int]]
    marks: list[tuple[float, float]]

    def figures(self) -> tuple[float, float, float]:
        """Seconds and processor seconds per token after the first, seconds to the first."""
        (start, _), (first, first_cpu), (last, last_cpu) = self.marks[0], self.marks[1], self.marks[-1]
        steps = len(self.marks) - 2
        return (last - first) / steps, (last_cpu - first_cpu) / steps, first - start


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def theirs(model: Any, prompts: list[Tensor], count: int) -> Told:
    """`generate`, greedy, without an end token."""
    ids, mask = pad_left(prompts)
    marks = [now()]

    def mark(_: Tensor, scores: Tensor) -> Tensor:
        marks.append(now())
        return scores

    with torch.inference_mode():
        made = model.generate(
            input_ids=ids,
            attention_mask=mask.long(),
            do_sample=False,
            max_new_tokens=count,
            min_new_tokens=count,
            eos_token_id=None,
            pad_token_id=0,
            logits_processor=[mark],
        )
    return Told(made[:, ids.shape[1] :].tolist(), marks)


def ours(decoder: Decoder, prompts: list[Tensor], count: int) -> Told:
    """The loop behind `ask` and `ask_batch`."""
    ids, mask = pad_left(prompts)
    marks = [now()]
    said: list[list[int]] = [[] for _ in prompts]
    padded = None if bool(mask.all()) else mask
    for step in stream_tokens(decoder, decoder.embed(ids), mask_BL=padded, max_new_tokens=count, guard=False):
        marks.append(now())
        for row, token in enumerate(step.ids):
            if token is not None:
                said[row].append(token)
    return Told(said, marks)


def compare(name: str, model: Any, decoder: Decoder, batch: int, count: int, pairs: int, aim: float) -> None:
    """Print one line: tokens per second of both, and the ratio of each pair."""
    random = torch.Generator().manual_seed(batch)
    prompts = [torch.randint(3, model.config.vocab_size - 1, (length,), generator=random) for length in LENGTHS[:batch]]
    sides: dict[str, Callable[[int], Told]] = {
        "theirs": lambda n: theirs(model, prompts, n),
        "ours": lambda n: ours(decoder, prompts, n),
    }
    for say in sides.values():
        say(2)
    told: dict[str, list[Told]] = {side: [] for side in sides}
    for pair in range(pairs):
        for side in sorted(sides, reverse=bool(pair % 2)):
            told[side].append(sides[side](count))
    if any(one.words != told["theirs"][0].words for all_told in told.values() for one in all_told):
        raise SystemExit(f"{name}, batch {batch}: the tokens differ; no figures.")
    figures = {side: [one.figures() for one in all_told] for side, all_told in told.items()}
    wall, cpu, first = (
        [a[part] / b[part] for a, b in zip(figures["theirs"], figures["ours"], strict=True)] for part in range(3)
    )
    rate = {side: batch / statistics.median(step for step, _, _ in of_side) for side, of_side in figures.items()}
    print(
        f"{name:8} batch {batch}: {_spread(wall)}, {rate['ours']:.1f} tokens/s beside {rate['theirs']:.1f}; "
        f"processor time {_spread(cpu)}; first token {_spread(first)}   aim {aim}x; tokens equal",
        flush=True,
    )


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} … {max(ratios):.2f})"


def main() -> None:
    """Load, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--models", nargs="+", default=["starter", "qwen"], choices=["starter", "qwen"])
    given = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(
        f"commit {commit.stdout.strip() or '?'}; load {', '.join(f'{value:.1f}' for value in os.getloadavg())}; "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads; {given.tokens} tokens, {given.pairs} pairs"
    )
    for name in given.models:
        model, decoder = {"starter": starter, "qwen": qwen}[name]()
        for batch in given.batches:
            compare(name, model, decoder, batch, given.tokens, given.pairs, 1.3 if batch >= 8 else 1.0)


if __name__ == "__main__":
    main()
