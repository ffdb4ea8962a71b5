"""What is trained: a tiny network of the tests, or the starter that is not told what its eyes found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vesalius.training.recipe_sft import Evaluation, PartPlan, Source

__all__ = ["POLICIES", "Policy", "reinforced", "supervised"]

ROOT = Path(__file__).resolve().parents[2]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Policy:
    """A policy and its task. `parts`: what learns in supervised runs; `rewarded`: under GRPO, the same unless given.
    `copies`: answers drawn for every held-out picture. `sft`, `steps`: updates before the two runs, and of each of
    them. `rates`: of the first supervised run, of GRPO, of the control. `row`: positions of a supervised row, which
    hold about 8 samples. `curve`: held-out pictures that GRPO is asked after `every` updates; runs are saved then."""

    model: str
    modality: str
    label: str
    edge: int
    parts: Mapping[str, PartPlan]
    dialect: str
    pictures: int
    held_out: int
    copies: int
    sft: int
    steps: int
    rates: tuple[float, float, float]
    row: int
    prompts: int
    precision: Literal["float32", "bfloat16"]
    prepare: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rewarded: Mapping[str, PartPlan] | None = None
    generations: int = 8
    max_new_tokens: int = 48
    curve: int = 48
    every: int = 10


UPPER_HALF = tuple(
    f"layers.{layer}.{name}"
    for layer in range(15, 30)
    for name in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
)
"""Of the starter's 30 layers: below them nothing has to be kept or sent back, which makes an update cheaper."""

POLICIES = {
    "tiny": Policy(
        model=str(ROOT / "tests" / "fixtures" / "medmo" / "qwen3vl_tiny"),
        modality="xray", label="heart", edge=128,
        parts={part: PartPlan("train") for part in ("vision", "projector", "language")},
        dialect="medmo", pictures=160, held_out=48, copies=4, sft=140, steps=45, rates=(3e-3, 5e-4, 1e-3), row=600,
        prompts=6, precision="float32",
    ),
    "starter": Policy(
        model="starter",
        modality="fundus", label="optic disc", edge=224,
        parts={
            "projector": PartPlan("train", fresh=True),  # the starter's own makes every token much the same
            "language": PartPlan("lora", rank=16, alpha=32, targets=("q_proj", "v_proj", "down_proj")),
        },
        dialect="box1000", pictures=2000, held_out=150, copies=2, sft=400, steps=120, rates=(1e-3, 3e-4, 3e-4), row=800,
        prompts=8, precision="bfloat16", prepare={"scene": False, "visual_tokens": 36}, max_new_tokens=32, curve=64,
        rewarded={"language": PartPlan("lora", rank=16, alpha=32, targets=UPPER_HALF)},
    ),
}  # fmt: skip


def supervised(
    policy: Policy, out: Path, train: Path, base: str, steps: int, rate: float, shape: Any, report: Report
) -> Path:
    """The policy's parts learn the answers; the checkpoint or adapter."""
    from vesalius.training.recipe_sft import SftRecipe
    from vesalius.training.sft import train_sft

    if (out / "final").is_dir():
        return out / "final"
    parts = policy.parts if base == policy.model else _going_on(policy.parts)
    recipe = SftRecipe(
        **_common(policy, out, train, base, steps, rate), schedule=shape, parts=parts, max_length=policy.row,
        log_every=max(1, steps // 15),
    )  # fmt: skip
    return train_sft(recipe, report).folder


def reinforced(
    policy: Policy, out: Path, train: Path, held: Path, base: str, steps: int, rate: float, report: Report
) -> Path:
    """What is rewarded learns under the box reward."""
    from vesalius.training.grpo import train_grpo
    from vesalius.training.recipe_rl import GrpoRecipe, Rollouts

    if (out / "final").is_dir():
        return out / "final"
    recipe = GrpoRecipe(
        **_common(policy, out, train, base, steps, rate), schedule="constant",
        parts=_going_on(policy.rewarded or policy.parts),
        rewards={"box_penalised": {"weight": 0.5}, "box_mean_iou": 1.0, "format": 0.2}, dialect=policy.dialect,
        rollouts=Rollouts(generations=policy.generations, max_new_tokens=policy.max_new_tokens, at_once=64),
        prompts=policy.prompts, kl=0.0, max_length=4096, log_every=5,
        eval=Evaluation(data=(Source(path=str(held)),), every=policy.every, rows=policy.curve),
    )  # fmt: skip
    return train_grpo(recipe, report).folder


def _going_on(parts: Mapping[str, PartPlan]) -> dict[str, PartPlan]:
    """The parts of a run that begins with what another has learnt."""
    return {name: replace(plan, fresh=False) for name, plan in parts.items()}


def _common(policy: Policy, out: Path, train: Path, base: str, steps: int, rate: float) -> dict[str, Any]:
    """What both kinds of recipe say. A run goes on from the checkpoint or adapter `base`, or begins at the policy's own
    weights."""
    begun = {} if base == policy.model else {"from_": base}
    return {
        "model": policy.model, **begun, "out": str(out), "data": (Source(path=str(train)),), "steps": steps,
        "learning_rate": rate, "prepare": policy.prepare, "precision": policy.precision, "device": "cpu",
        "save_every": policy.every, "check": 8, "report_to": (),
    }  # fmt: skip
