"""The recipe of supervised training: what is learnt from, which parts learn how fast, and for how long."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from vesalius.errors import OptionError

__all__ = ["Benchmarks", "Evaluation", "PartPlan", "SftRecipe", "Source", "check_recipe", "sft_hash"]

Mode = Literal["train", "freeze", "lora"]


@dataclass(frozen=True)
class PartPlan:
    """How one part learns. What is None is the recipe's own."""

    mode: Mode
    learning_rate: float | None = None
    weight_decay: float | None = None
    """Of matrices; biases and norms never decay."""
    warmup: float | None = None
    """Below 1 a share of all steps, else steps."""
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    """Linear layers that get an adapter, by the end of their names; none given: all of the part but the head."""
    fresh: bool = False
    """Begin with new random weights, not with the checkpoint's; for a part that is trained."""

    @classmethod
    def short(cls, mode: str) -> PartPlan:
        """From one word."""
        if mode not in ("train", "freeze", "lora"):
            raise OptionError(f"a part's mode is {mode!r}.", fix="Use train, freeze or lora.")
        return cls(mode)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Source:
    """Samples: a JSONL or Parquet `path`, or `count` phantoms of a kind drawn for the run."""

    path: str = ""
    weight: float = 1.0
    """How often its samples are drawn, beside the other sources'."""
    phantoms: Literal["", "picture", "volume", "clip", "pair"] = ""
    count: int = 16
    seed: int = 0
    size: int = 64
    """Edge of the phantoms in pixels."""
    langs: tuple[str, ...] = ("en",)
    tasks: tuple[str, ...] = ()
    """Only phantoms' samples of these tasks; none given: all."""


@dataclass(frozen=True)
class Evaluation:
    """The loss on samples that are not learnt from, now and then."""

    data: tuple[Source, ...] = ()
    every: int = 0
    """Steps; 0: never."""
    rows: int = 16
    """At most so many rows each time."""


@dataclass(frozen=True)
class Benchmarks:
    """Benchmarks that the trained model is asked at the end, for the run card, as `vesalius evaluate` asks them."""

    names: tuple[str, ...] = ()
    data: str = ""
    """Folder of the benchmark's files, or one with a folder for each."""
    limit: int = 0
    """Only the first so many items; 0: all."""
    max_new_tokens: int = 512
    batch: int = 8
    baseline: bool = False
    """Ask the model that was started from, too."""
    ablation_sample: int = 50
    """Items, drawn by seed, asked again with blank, exchanged and no pictures; 0: none."""


@dataclass(frozen=True)
class SftRecipe:
    """Supervised training of any family, part by part, on packed rows."""

    model: str
    """Known name, checkpoint folder or hub id."""
    parts: Mapping[str, PartPlan]
    """By name of the part; those not named are frozen."""
    data: tuple[Source, ...]
    from_: str = ""
    """Start from what an earlier run wrote: its folder, or the checkpoint or adapter in it."""
    out: str = "runs/sft"
    quirks: Literal["published", "off"] = "published"
    prepare: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The family's own options of `prepare` (max_pixels, conv_version, …)."""
    temperature: float = 1.0
    """Sources are drawn by weight x rows^(1/temperature): 1 mixes by size, larger evens them out."""
    modality_temperature: float = 1.0
    """The same for modalities: larger draws rare ones more often."""
    max_length: int = 2048
    """Positions of a packed row."""
    look_ahead: int = 64
    """Prepared samples that wait for the row they fit best."""
    epochs: float = 1.0
    steps: int = 0
    """Optimiser steps; 0: as many as the epochs take."""
    accumulate: int = 1
    """Rows per step, of all processes together: another number of them changes nothing but the time."""
    learning_rate: float = 1e-5
    weight_decay: float = 0.0
    warmup: float = 0.03
    """Below 1 a share of all steps, else steps."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    gradient_factor: Mapping[str, float] = field(default_factory=dict[str, float])
    """Part → factor on what its loss sends back into the rest (mask_head)."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    device: str = "auto"
    activation_checkpointing: bool = False
    seed: int = 42
    check: int = 512
    """Samples that are prepared before the first step, so that bad ones are told at once; 0: all."""
    bad_samples: float = 0.01
    """Share of the samples that may be skipped as bad or too long before the run is ended."""
    save_every: int = 0
    """Steps; 0: at the end alone."""
    keep: int = 2
    """Checkpoints kept on the way."""
    nonfinite: Literal["stop", "skip"] = "stop"
    """A step whose loss or gradient is NaN or infinite ends the run, or is left out; not_finite.jsonl names it."""
    nonfinite_limit: int = 10
    """So many steps may be left out in a run."""
    log_every: int = 10
    report_to: tuple[str, ...] = ("tensorboard",)
    eval: Evaluation = field(default_factory=Evaluation)
    evaluate: Benchmarks = field(default_factory=Benchmarks)


_NO_RESULT = ("out", "device", "report_to", "log_every", "save_every", "keep", "check", "eval", "evaluate",
              "nonfinite", "nonfinite_limit")  # fmt: skip


def sft_hash(recipe: SftRecipe) -> str:
    """SHA-256 of what decides the result: everything but folders, places and what is reported."""
    kept = {name: value for name, value in asdict(recipe).items() if name not in _NO_RESULT}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def check_recipe(recipe: SftRecipe, path: str) -> SftRecipe:
    """The recipe itself. OptionError for values that cannot be, before anything is loaded."""
    numbers = {
        "max_length": recipe.max_length,
        "accumulate": recipe.accumulate,
        "look_ahead": recipe.look_ahead,
        "keep": recipe.keep,
        "log_every": recipe.log_every,
    }
    for name, value in numbers.items():
        if value < 1:
            raise OptionError(f"{name} is {value}; it must be at least 1.", file=path)
    if not recipe.data:
        raise OptionError("data names no source.", file=path, fix="Add - path: FILE.jsonl under data.")
    for place, source in enumerate((*recipe.data, *recipe.eval.data)):
        if bool(source.path) == bool(source.phantoms):
            raise OptionError(f"source {place} needs either path or phantoms.", file=path)
        if source.path and source.tasks:
            raise OptionError(f"source {place} names tasks, which are chosen of phantoms alone.", file=path)
        if not (source.weight > 0 and math.isfinite(source.weight)):
            raise OptionError(f"source {place} has weight {source.weight}; it must be positive.", file=path)
    if not recipe.steps and not (recipe.epochs > 0 and math.isfinite(recipe.epochs)):
        raise OptionError(f"epochs is {recipe.epochs}; it must be positive, or steps be given.", file=path)
    if recipe.eval.every and not recipe.eval.data:
        raise OptionError("eval.every is set, and eval.data names no source.", file=path)
    if recipe.evaluate.names and not recipe.evaluate.data:
        raise OptionError("evaluate.names is set, and evaluate.data names no folder.", file=path)
    if min(recipe.evaluate.max_new_tokens, recipe.evaluate.batch) < 1:
        raise OptionError("evaluate.max_new_tokens and evaluate.batch must be at least 1.", file=path)
    if recipe.evaluate.ablation_sample < 0:
        raise OptionError("evaluate.ablation_sample must be 0 or more.", file=path)
    if not 0 <= recipe.bad_samples <= 1:
        raise OptionError(f"bad_samples is {recipe.bad_samples}; it must be 0 to 1.", file=path)
    for name, value in {"temperature": recipe.temperature, "modality_temperature": recipe.modality_temperature}.items():
        if not value > 0:
            raise OptionError(f"{name} is {value}; it must be positive.", file=path)
    for part, factor in recipe.gradient_factor.items():
        if part != "mask_head" or not (factor >= 0 and math.isfinite(factor)):
            raise OptionError(f"gradient_factor says {part}: {factor}.", file=path, fix="Write {mask_head: 0.001}.")
    _check_rates(recipe, path)
    if all(plan.mode == "freeze" for plan in recipe.parts.values()):
        raise OptionError(
            "every part is frozen; there is nothing to train.", file=path, fix="Set one to train or lora."
        )
    return recipe


def _check_rates(recipe: SftRecipe, path: str) -> None:
    whole = PartPlan("train", recipe.learning_rate, recipe.weight_decay, recipe.warmup)
    for part, plan in {"": whole, **recipe.parts}.items():
        place = f"parts.{part}." if part else ""
        if plan.learning_rate is not None and not (0 < plan.learning_rate < 1):
            raise OptionError(f"{place}learning_rate is {plan.learning_rate}; it must be above 0, below 1.", file=path)
        if plan.weight_decay is not None and not (0 <= plan.weight_decay < 1):
            raise OptionError(f"{place}weight_decay is {plan.weight_decay}; it must be 0 or more, below 1.", file=path)
        if plan.warmup is not None and not (plan.warmup >= 0 and math.isfinite(plan.warmup)):
            raise OptionError(f"{place}warmup is {plan.warmup}; it must not be negative.", file=path)
        if plan.rank < 1 or not plan.alpha > 0 or not 0 <= plan.dropout < 1:
            raise OptionError(f"{place}rank, alpha or dropout is out of range.", file=path)
        if plan.mode == "freeze" and plan.learning_rate is not None:
            raise OptionError(f"{place}learning_rate is given, and the part is frozen.", file=path)
    if len({plan.dropout for plan in recipe.parts.values() if plan.mode == "lora"}) > 1:
        raise OptionError("parts under lora differ in dropout; PEFT knows one.", file=path)
