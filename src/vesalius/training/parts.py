"""Which parts of a network learn, how fast, and whether the gradient reaches them.

A part is frozen, trained whole, or given LoRA adapters (PEFT). Freezing takes the gradient away; a part declared to
learn whose gradient stays nothing is an error, for a published trainer once detached its 3D encoder and nobody saw.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import OptionError
from vesalius.models.contract import Trainable
from vesalius.training.fresh_part import begin_afresh
from vesalius.training.recipe_sft import PartPlan, SftRecipe
from vesalius.training.shards import is_shard, own_shard

__all__ = [
    "Learning",
    "check_parts",
    "followed",
    "gradient_norms",
    "learning_parts",
    "parameter_groups",
    "schedule",
    "unreached",
]


@dataclass(frozen=True)
class Learning:
    """What of a network learns. `parameters`: part → (name in the network, parameter) of what takes a gradient;
    `plans`: the plan of every part of the family; `lora`: PEFT's config where a part has adapters."""

    network: nn.Module
    plans: Mapping[str, PartPlan]
    parameters: Mapping[str, Sequence[tuple[str, nn.Parameter]]]
    lora: Any = field(default=None, repr=False)

    @property
    def whole(self) -> list[str]:
        """Parts that are trained as they are."""
        return [part for part, plan in self.plans.items() if plan.mode == "train"]

    def lines(self) -> list[str]:
        """One line a part: its mode and how many of its values learn."""
        made: list[str] = []
        for part, plan in self.plans.items():
            learning = sum(value.numel() for _, value in self.parameters.get(part, ()))
            made.append(f"{part}: {plan.mode}, {learning:,} values learn")
        return made


def check_parts(family: Any, recipe: SftRecipe) -> None:
    """OptionError for a family that cannot be trained so, or a part it does not have."""
    if not hasattr(family, "parts") or not hasattr(family, "row_loss"):
        raise OptionError(f"{family.name} cannot be trained by parts.")
    own = list(family.parts())
    for named in (*recipe.parts, *recipe.gradient_factor):
        if named not in own:
            near = difflib.get_close_matches(named, own, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise OptionError(f"{family.name} has no part {named!r}.", fix=f"{hint}It has {', '.join(own)}.")
    for part, plan in recipe.parts.items():
        if plan.fresh and plan.mode != "train":
            raise OptionError(
                f"parts.{part} is to begin afresh, and its mode is {plan.mode}: what is new would never be learnt.",
                fix="Set its mode to train, or leave fresh out.",
            )


def learning_parts(family: Trainable, recipe: SftRecipe) -> Learning:
    """Freeze, adapt and open the parts of a loaded family as the recipe says, in place. What learns is float32; what
    is frozen is of the recipe's precision. Errors as `check_parts` and `begin_afresh`, and OptionError for LoRA targets
    that are not."""
    check_parts(family, recipe)
    network: nn.Module = family.model
    plans = {part: recipe.parts.get(part, PartPlan("freeze")) for part in family.parts()}
    network.requires_grad_(False)
    for part, plan in plans.items():
        if plan.fresh:
            begin_afresh(part, family.parts()[part], recipe.seed)
    lora = _adapted(family, plans)
    parameters: dict[str, list[tuple[str, nn.Parameter]]] = {}
    names = {id(value): name for name, value in network.named_parameters()}
    kept = torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32
    for part, modules in family.parts().items():
        mode = plans[part].mode
        for value in modules.parameters():
            learns = mode == "train" or (mode == "lora" and "lora_" in names[id(value)])
            if value.is_floating_point():
                value.data = value.data.to(torch.float32 if learns else kept)
                value.requires_grad_(learns)
            if learns:
                parameters.setdefault(part, []).append((names[id(value)], value))
    return Learning(network, plans, parameters, lora)


def followed(learning: Learning, network: nn.Module) -> Learning:
    """The same, of a network that was cut up (FSDP2) and has other parameters of the same names."""
    now = dict(network.named_parameters())
    parameters = {part: [(name, now[name]) for name, _ in named] for part, named in learning.parameters.items()}
    return replace(learning, parameters=parameters)


def _adapted(family: Trainable, plans: Mapping[str, PartPlan]) -> Any:
    """Put LoRA layers into the parts that ask for them; PEFT's config, None where none does."""
    ranks: dict[str, int] = {}
    alphas: dict[str, float] = {}
    dropout = 0.0
    for part, plan in plans.items():
        if plan.mode == "lora":
            dropout = plan.dropout
            for name in lora_targets(family, part, plan.targets):
                ranks[name], alphas[name] = plan.rank, plan.alpha
    if not ranks:
        return None
    from peft import LoraConfig, inject_adapter_in_model

    first = next(iter(ranks))
    config: Any = LoraConfig(
        r=ranks[first],
        lora_alpha=alphas[first],  # pyright: ignore[reportArgumentType]
        lora_dropout=dropout,
        target_modules=list(ranks),
        rank_pattern={name: rank for name, rank in ranks.items() if rank != ranks[first]},
        alpha_pattern={name: alpha for name, alpha in alphas.items() if alpha != alphas[first]},
        bias="none",
    )
    inject_adapter_in_model(config, family.model)
    return config


def lora_targets(family: Trainable, part: str, wanted: Sequence[str] = ()) -> list[str]:
    """Names of the linear layers of a part that can carry an adapter: all but the head, or those whose names end in one
    of `wanted`. Layers inside torch's fused attention and encoder layers cannot, for these read the weight past the
    adapter; the head's weight is read by the chunked loss. OptionError naming what is there."""
    fused = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
    inside = {id(child) for module in family.model.modules() if isinstance(module, fused) for child in module.modules()}
    held = {id(module) for module in family.parts()[part].modules()}
    able = [
        name
        for name, module in family.model.named_modules()
        if type(module) is nn.Linear and id(module) in held and id(module) not in inside
        and name.rpartition(".")[2] != "lm_head"
    ]  # fmt: skip
    if not able:
        raise OptionError(f"{part} has no layer that carries an adapter.", fix=f"Set parts.{part} to train or freeze.")
    if not wanted:
        return able
    ends = sorted({name.rpartition(".")[2] for name in able})
    for target in wanted:
        if not any(name == target or name.endswith(f".{target}") for name in able):
            raise OptionError(f"{part} has no linear layer {target!r} for LoRA.", fix=f"It has {', '.join(ends)}.")
    return [name for name in able if any(name == t or name.endswith(f".{t}") for t in wanted)]


def parameter_groups(learning: Learning, recipe: SftRecipe) -> list[dict[str, Any]]:
    """AdamW's groups: each part twice, with decay (matrices) and without (biases, norms, single vectors). `part` and
    `warmup` are for the schedule and the log."""
    norms = {
        f"{place}.{name}" if place else name
        for place, module in learning.network.named_modules()
        if "norm" in type(module).__name__.lower()
        for name, _ in module.named_parameters(recurse=False)
    }
    groups: list[dict[str, Any]] = []
    for part, named in learning.parameters.items():
        plan = learning.plans[part]
        decay = recipe.weight_decay if plan.weight_decay is None else plan.weight_decay
        rate = recipe.learning_rate if plan.learning_rate is None else plan.learning_rate
        warmup = recipe.warmup if plan.warmup is None else plan.warmup
        plain = [value for name, value in named if value.ndim < 2 or name in norms or name.endswith("bias")]
        spared = {id(value) for value in plain}
        decayed = [value for _, value in named if id(value) not in spared]
        for values, weight_decay in ((decayed, decay), (plain, 0.0)):
            if values:
                groups.append(
                    {"params": values, "lr": rate, "weight_decay": weight_decay, "part": part, "warmup": warmup}
                )
    return groups


def schedule(shape: str, warmup: float, steps: int) -> Callable[[int], float]:
    """Step → factor on the learning rate: a linear rise over `warmup` (below 1 a share of `steps`, else steps), then
    `shape` down to 0 ("constant" stays)."""
    rise = math.ceil(warmup * steps) if warmup < 1 else int(warmup)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        done = min(1.0, (step - rise) / max(1, steps - rise))
        if shape == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        return 1 - done if shape == "linear" else 1.0

    return factor


def gradient_norms(learning: Learning) -> dict[str, float]:
    """Part → Euclidean norm of its gradient now, of all slices where processes hold one each."""
    squares = [_square(value.grad for _, value in named) for named in learning.parameters.values()]
    total = torch.stack(squares) if squares else torch.zeros(0)
    if any(is_shard(value) for named in learning.parameters.values() for _, value in named):
        torch.distributed.all_reduce(total)
    return dict(zip(learning.parameters, total.sqrt().tolist(), strict=True))


def _square(gradients: Iterable[Tensor | None]) -> Tensor:
    norms = [own_shard(gradient).detach().float().norm() for gradient in gradients if gradient is not None]
    return torch.stack(norms).norm().square() if norms else torch.zeros(())


def unreached(learning: Learning) -> dict[str, list[str]]:
    """Part → names of its learning parameters whose gradient is nothing (None, or zero everywhere), in any process."""
    every = [(part, name, value) for part, named in learning.parameters.items() for name, value in named]
    reached = torch.tensor([value.grad is not None and bool(own_shard(value.grad).any()) for _, _, value in every])
    if any(is_shard(value) for _, _, value in every):
        counts = reached.to(device=own_shard(every[0][2]).device, dtype=torch.int32)
        torch.distributed.all_reduce(counts)
        reached = counts > 0
    missing: dict[str, list[str]] = {part: [] for part in learning.parameters}
    for (part, name, _), found in zip(every, reached.tolist(), strict=True):
        if not found:
            missing[part].append(name)
    return missing
