"""How many real tokens a second are learned: packed rows beside padded batches, and TRL's trainer on the same samples.

  random    padded batches of 8 in random order, full logits, the model's own loss
  grouped   the same, of samples of like length within windows of 50 batches: the fair rival
  trl       TRL's SFTTrainer, batches of 8 (it refuses to pack pictures; text it packs for flash attention alone)
  ours      rows packed to `max_length`, attention per segment, chunked loss on answers

  starter   SmolLM2-135M of the starter, frozen in bfloat16 with LoRA as its recipe trains it; the mix over 16
  qwen3vl   a random Qwen3-VL (4 layers of 192, deepstack, vocabulary 8192), float32, with pictures; the mix over 8

The mix: 35 % text, half one picture of 256 tokens, 10 % of 1024, 5 % volumes of 4096; 15 % of a sample is answer. Timed
are forward and backward passes of all samples, batches being made before; contenders take turns. Rates are by processor
seconds, which a busy machine disturbs least; the ratio by the clock is told, too.

Run: OMP_NUM_THREADS=1 python benchmarks/packing.py [--models starter qwen3vl] [--rounds 3] [--samples 96] [--memory]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vesalius.models.parts.packed_rows import row_loss
from vesalius.models.parts.segment_attention import segment_keywords
from vesalius.training.packing import rows_of_lengths

BATCH, WINDOW = 8, 50
RIVALS = ["random", "grouped", "trl"]
Step = Callable[[], None]


@dataclass(frozen=True)
class Kind:
    """One sample of the mix: `seen` visual tokens and `words`, `answer` of them at the end."""

    seen: int
    words: int
    answer: int

    @property
    def length(self) -> int:
        return self.seen + self.words


def mix(count: int, scale: int, seed: int = 0) -> list[Kind]:
    """Samples of the mix, every length divided by `scale`."""
    draw = random.Random(seed)
    made: list[Kind] = []
    for seen in draw.choices([0, 256, 1024, 4096], [35, 50, 10, 5], k=count):
        words = max(6, int(min(2000, draw.lognormvariate(4.7, 0.7))) // scale)
        answer = min(words - 4, max(2, round(0.15 * (seen // scale + words))))
        made.append(Kind(seen // scale, words, answer))
    return made


def random_batches(lengths: Sequence[int], seed: int) -> list[list[int]]:
    order = list(range(len(lengths)))
    random.Random(seed).shuffle(order)
    return [order[at : at + BATCH] for at in range(0, len(order), BATCH)]


def grouped_batches(lengths: Sequence[int], seed: int) -> list[list[int]]:
    order = list(range(len(lengths)))
    random.Random(seed).shuffle(order)
    windows = [order[at : at + BATCH * WINDOW] for at in range(0, len(order), BATCH * WINDOW)]
    order = [place for window in windows for place in sorted(window, key=lambda at: -lengths[at])]
    return [order[at : at + BATCH] for at in range(0, len(order), BATCH)]


def padded_share(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    return sum(max(lengths[at] for at in batch) * len(batch) for batch in batches) / sum(lengths)


@dataclass(frozen=True)
class Task:
    """A model and its samples. `padded(places)` and `packed(places)`: passes forward and back over these samples;
    `trl(seed)`: those of TRL's trainer over all; `zero`: forget gradients."""

    lengths: list[int]
    max_length: int
    padded: Callable[[Sequence[int]], Step]
    packed: Callable[[Sequence[int]], Step]
    trl: Callable[[int], Iterator[tuple[float, float]]]
    zero: Step


def timed(step: Step) -> tuple[float, float]:
    """(processor seconds, seconds)."""
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    return time.process_time() - cpu, time.perf_counter() - wall


def starter(count: int) -> Task:
    """The starter's language side over random words."""
    from peft import LoraConfig, get_peft_model

    from vesalius.models.starter_base.smollm2 import load_language
    from vesalius.training.starter.say import LORA_TARGETS

    torch.manual_seed(0)
    language: Any = load_language()
    language.to(torch.bfloat16)
    lora = LoraConfig(r=16, lora_alpha=32, target_modules=LORA_TARGETS, lora_dropout=0.0, bias="none")
    adapted: Any = get_peft_model(language, lora)
    causal = adapted.get_base_model()
    kinds = mix(count, 16)
    ids = [torch.randint(0, 49152, (kind.length,)) for kind in kinds]
    labels = [
        torch.where(torch.arange(k.length) < k.length - k.answer, -100, i) for i, k in zip(ids, kinds, strict=True)
    ]

    def padded(places: Sequence[int]) -> Step:
        batch = right_padded([ids[at] for at in places], [labels[at] for at in places])

        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16):
                loss = causal(**batch, use_cache=False).loss
            loss.backward()

        return step

    def packed(places: Sequence[int]) -> Step:
        row, wanted = torch.cat([ids[at] for at in places])[None], torch.cat([labels[at] for at in places])[None]
        lengths = [len(ids[at]) for at in places]
        positions = torch.cat([torch.arange(length) for length in lengths])[None]

        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16):
                apart = segment_keywords(causal.model, lengths)
                read = causal.model(input_ids=row, position_ids=positions, use_cache=False, **apart)
                made = row_loss(read.last_hidden_state[0], causal.lm_head, wanted, lengths)
                loss = made.summed / made.tokens
            loss.backward()

        return step

    def trl(seed: int) -> Iterator[tuple[float, float]]:
        from vesalius.models.starter_base.smollm2 import load_transformers_tokenizer

        rows = [{"input_ids": i.tolist(), "labels": one.tolist()} for i, one in zip(ids, labels, strict=True)]
        return trl_steps(adapted, load_transformers_tokenizer(), rows, seed, bf16=True)

    return Task([k.length for k in kinds], 1024, padded, packed, trl, lambda: adapted.zero_grad(set_to_none=True))


def right_padded(ids: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, Tensor]:
    from torch.nn.utils.rnn import pad_sequence

    return {
        "input_ids": pad_sequence(list(ids), True, 0),
        "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], True, 0),
        "labels": pad_sequence(list(labels), True, -100),
    }


VL_FILES = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "medmo" / "qwen3vl_tiny"


def qwen3vl(count: int) -> Task:
    """A small random Qwen3-VL over noise and words, prepared by its own processor."""
    from safetensors.torch import save_file
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    import vesalius

    torch.manual_seed(0)
    raw = json.loads((VL_FILES / "config.json").read_text(encoding="utf-8"))
    raw["text_config"] |= {"hidden_size": 192, "intermediate_size": 576, "num_hidden_layers": 4, "vocab_size": 8192,
                           "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32}  # fmt: skip
    raw["text_config"]["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [6, 5, 5],
                                             "mrope_interleaved": True}  # fmt: skip
    raw["text_config"].pop("rope_scaling", None)
    raw["vision_config"]["out_hidden_size"] = 192
    with tempfile.TemporaryDirectory() as folder:
        for file in VL_FILES.glob("*.json"):
            shutil.copy(file, folder)
        (Path(folder) / "config.json").write_text(json.dumps(raw), encoding="utf-8")
        shutil.copy(VL_FILES / "merges.txt", folder)
        built: Any = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**raw))
        save_file({name: value.contiguous() for name, value in built.state_dict().items()
                   if name != "lm_head.weight" or not raw.get("tie_word_embeddings")},
                  Path(folder) / "model.safetensors", {"format": "pt"})  # fmt: skip
        model: Any = vesalius.load(folder, device="cpu", dtype="float32")
    family, network = model.family, model.family.model
    network.requires_grad_(True)
    rng = np.random.default_rng(0)
    samples: list[Any] = []
    for kind in mix(count, 8):
        edge = 32 * round(min(kind.seen, 128) ** 0.5)
        pictures = max(1, kind.seen // 128) if kind.seen else 0
        shown = [{"type": "image", "image": rng.integers(0, 256, (edge, edge, 3), dtype=np.uint8)}] * pictures
        asked = "".join(rng.choice(list("abcdefgh "), max(2, kind.words - kind.answer)))
        said = "".join(rng.choice(list("abcdefgh "), kind.answer))
        turns = [{"role": "user", "content": [*shown, {"type": "text", "text": asked}]},
                 {"role": "assistant", "content": said}]  # fmt: skip
        samples.append(model.prepare(turns, min_pixels=1024, max_pixels=2**20))
    names = ("input_ids", "attention_mask", "position_ids", "labels", "pixel_values", "image_grid_thw")

    def batch_of(places: Sequence[int]) -> dict[str, Tensor]:
        batch = family.padded([samples[at] for at in places])
        kept = {name: batch[name] for name in names if name in batch}
        return {**kept, "mm_token_type_ids": batch["mm_token_type_ids"].int()}

    def padded(places: Sequence[int]) -> Step:
        batch = batch_of(places)
        return lambda: network(**batch, use_cache=False).loss.backward()

    def packed(places: Sequence[int]) -> Step:
        row = family.pack([samples[at] for at in places])

        def step() -> None:
            made = family.row_loss(row)
            (made.summed / made.tokens).backward()

        return step

    def trl(seed: int) -> Iterator[tuple[float, float]]:
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=family.tokens.tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>"
        )
        rows = [{"place": place, "input_ids": [0]} for place in range(len(samples))]
        return trl_steps(
            network, tokenizer, rows, seed, bf16=False, collate=lambda given: batch_of([one["place"] for one in given])
        )

    lengths = [family.length(one) for one in samples]
    return Task(lengths, 2048, padded, packed, trl, lambda: network.zero_grad(set_to_none=True))


def trl_steps(
    model: Any, tokenizer: Any, rows: list[dict[str, Any]], seed: int, *, bf16: bool, collate: Any = None
) -> Iterator[tuple[float, float]]:
    """Seconds of each forward and backward pass of TRL's trainer over the rows."""
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=0.0, seed=seed,
            use_cpu=True, bf16=bf16, report_to=[], save_strategy="no", logging_strategy="no", max_length=None,
            disable_tqdm=True, remove_unused_columns=collate is None, dataset_kwargs={"skip_prepare_dataset": True},
            completion_only_loss=True if collate is None else None, activation_checkpointing=False,
        )  # fmt: skip
        trainer: Any = SFTTrainer(
            model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
            data_collator=collate,
        )  # fmt: skip
        plain, taken = trainer.training_step, []

        def step(*given: Any, **named: Any) -> Any:
            made: list[Any] = []
            taken.append(timed(lambda: made.append(plain(*given, **named))))
            return made[0]

        trainer.training_step = step
        trainer.train()
    yield from taken


def measure(name: str, task: Task, rounds: int, chosen: Sequence[str]) -> None:
    """Run the contenders in turn and print their table."""
    lengths = task.lengths
    contenders: dict[str, list[list[int]]] = {}
    rates: dict[str, list[tuple[float, float]]] = {who: [] for who in [*RIVALS, "ours"]}
    for number in range(rounds):
        contenders = {
            "random": random_batches(lengths, number),
            "grouped": grouped_batches(lengths, number),
            "trl": random_batches(lengths, number + 100),
            "ours": rows_of_lengths(lengths, task.max_length, 128),
        }
        contenders = {who: batches for who, batches in contenders.items() if who in chosen}
        for who in contenders:
            task.zero()
            if who == "trl":
                taken = list(task.trl(number))
            else:
                steps = [(task.packed if who == "ours" else task.padded)(places) for places in contenders[who]]
                taken = [timed(step) for step in steps]
            cpu, wall = (sum(each) for each in zip(*taken, strict=True))
            rates[who].append((sum(lengths) / cpu, sum(lengths) / wall))
            print(f"  round {number + 1} {who:8} {cpu:7.1f} processor s {wall:7.1f} s", file=sys.stderr, flush=True)
    print(f"\n{name}: {len(lengths)} samples, {sum(lengths)} tokens, mean {statistics.mean(lengths):.0f}, "
          f"longest {max(lengths)}, median of {rounds} rounds")  # fmt: skip
    print("| contender | passes | padded / real | real tokens / processor s | ours is faster by | by the clock |")
    print("|---|---|---|---|---|---|")
    for who, batches in contenders.items():
        share = 1.0 if who == "ours" else padded_share(lengths, batches)
        faster = statistics.median(o[0] / r[0] for o, r in zip(rates["ours"], rates[who], strict=True))
        clock = statistics.median(o[1] / r[1] for o, r in zip(rates["ours"], rates[who], strict=True))
        rate = statistics.median(cpu for cpu, _ in rates[who])
        print(f"| {who} | {len(batches)} | {share:.2f} | {rate:.0f} | {faster:.2f}x | {clock:.2f}x |")


MEMORY = """
import json, sys, time, torch
from pathlib import Path
from torch import nn
from vesalius.models.parts.chunked_loss import summed_loss
torch.manual_seed(0)
hidden = torch.randn(2048, 576, requires_grad=True)
head = nn.Linear(576, 49152, bias=False)
wanted = torch.randint(0, 49152, (2048,))
summed_loss(torch.randn(4, 8, requires_grad=True), nn.Linear(8, 8), torch.zeros(4, dtype=torch.long))[0].backward()
def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
Path("/proc/self/clear_refs").write_text("5")
before, cpu = memory("VmRSS"), time.process_time()
kept = slice(None) if sys.argv[1] != "answers" else slice(2048 - 307, None)
if sys.argv[1] == "plain":
    loss = nn.functional.cross_entropy(head(hidden), wanted)
else:
    loss = summed_loss(hidden[kept], head, wanted[kept])[0] / len(wanted[kept])
loss.backward()
print(json.dumps([memory("VmHWM") - before, time.process_time() - cpu, float(loss), float(head.weight.grad.norm())]))
"""


def memory(rounds: int) -> None:
    """Print what the loss alone takes at 2048 tokens of 576 and a vocabulary of 49152."""
    made: dict[str, list[list[float]]] = {"plain": [], "chunked": [], "answers": []}
    for _ in range(rounds):
        for kind in made:
            ran = subprocess.run([sys.executable, "-c", MEMORY, kind], capture_output=True, text=True, check=True)
            made[kind].append(json.loads(ran.stdout))
    print(f"\nloss of 2048 tokens, width 576, vocabulary 49152, float32, median of {rounds} processes")
    print("| loss | extra memory, MiB | less by | processor s | loss value | norm of the head's gradient |")
    print("|---|---|---|---|---|---|")
    names = {"plain": "all logits at once", "chunked": "chunked", "answers": "chunked, the 15 % answers alone"}
    full = statistics.median(one[0] for one in made["plain"])
    for kind, runs in made.items():
        extra, cpu, loss, norm = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"| {names[kind]} | {extra:.0f} | {full / extra:.1f}x | {cpu:.1f} | {loss:.6f} | {norm:.6f} |")


def main() -> None:
    """Measure and print."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--models", nargs="*", default=["starter", "qwen3vl"], choices=["starter", "qwen3vl"])
    reader.add_argument("--rounds", type=int, default=3)
    reader.add_argument("--samples", type=int, default=96)
    reader.add_argument("--rivals", nargs="*", default=RIVALS, choices=RIVALS)
    reader.add_argument("--memory", action="store_true")
    given = reader.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"{time.strftime('%Y-%m-%d')}, commit {commit.stdout.strip()}, {platform.machine()}, "
          f"{os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} thread")  # fmt: skip
    whole = [kind.length for kind in mix(6000, 1)]
    rows = rows_of_lengths(whole, 16384)
    print(f"the whole mix: mean {statistics.mean(whole):.0f}; padded / real tokens, batches of 8: random "
          f"{padded_share(whole, random_batches(whole, 0)):.2f}, grouped "
          f"{padded_share(whole, grouped_batches(whole, 0)):.2f}; room / real tokens, rows of 16384: "
          f"{len(rows) * 16384 / sum(whole):.3f}")  # fmt: skip
    makers = {"starter": starter, "qwen3vl": qwen3vl}
    for name in given.models:
        measure(name, makers[name](given.samples), given.rounds, [*given.rivals, "ours"])
    if given.memory:
        memory(min(3, given.rounds))


if __name__ == "__main__":
    main()
