"""How well boxes are written: greedy and drawn, with intervals; and what the starter's words could reach at most."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.grpo.policies import Policy

__all__ = ["held_out_iou", "mean_and_interval", "starter_ceiling", "summary_of"]

REWARDS_SHOWN = ("box_mean_iou", "box_f1", "box_penalised", "format")


def held_out_iou(policy: Policy, checkpoint: Path, samples: Path) -> dict[str, list[float]]:
    """Of every held-out picture, in order: IoU, F1 at 0.5, box reward and form of its greedy answer and, as the mean of
    several, of those drawn at temperature 1 ("drawn_…")."""
    import torch

    from vesalius.inference.model import load
    from vesalius.models.parts.token_stream import Sampling
    from vesalius.training.prompts import prompt_of, read_placed
    from vesalius.training.recipe_sft import Source
    from vesalius.training.rewards import REWARDS
    from vesalius.training.rollouts import roll_out

    model = load(str(checkpoint), device="cpu", dtype="float32" if policy.precision == "float32" else "auto")
    placed = read_placed([Source(path=str(samples))], samples.parent)
    prompts = [prompt_of(one, dialect=policy.dialect) for one in placed]
    batches = [model.prepare(list(one.messages), **dict(policy.prepare)) for one in prompts]
    family: Any = model.family
    if policy.precision == "bfloat16":
        family.model.to(torch.bfloat16)  # what was frozen while it learnt was so, too
    scores: dict[str, list[float]] = {}
    for kind, temperature, copies in (("", 0.0, 1), ("drawn_", 1.0, policy.copies)):
        truths = [prompt.truth for prompt in prompts for _ in range(copies)]
        rows = [batch for batch in batches for _ in range(copies)]
        with torch.autocast("cpu", torch.bfloat16, enabled=policy.precision == "bfloat16"):  # as it was trained
            answers = roll_out(
                family, rows, truths, max_new_tokens=policy.max_new_tokens, sampling=Sampling(temperature=temperature),
                seeds=range(len(rows)), at_once=96,
            )  # fmt: skip
        for name in REWARDS_SHOWN:
            values = [REWARDS[name](one.completion, truth) or 0.0 for one, truth in zip(answers, truths, strict=True)]
            scores[kind + name] = np.reshape(values, (-1, copies)).mean(1).tolist()
    return scores


def mean_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, lower, upper): the 95 % interval of the mean over pictures."""
    from vesalius.evaluation.statistics.bootstrap import bootstrap_mean

    found = bootstrap_mean(values)
    return found.value, found.low, found.high


def summary_of(runs: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Run → measure → mean and interval; and of every run but the first its gain on it, picture by picture."""
    made = {name: {key: mean_and_interval(one) for key, one in scores.items()} for name, scores in runs.items()}
    first, *others = runs
    for name in others:
        for key in ("box_mean_iou", "drawn_box_mean_iou"):
            gain = np.subtract(runs[name][key], runs[first][key]).tolist()
            made[name][f"gain_of_{key}"] = mean_and_interval(gain)
    return made


def starter_ceiling(count: int) -> tuple[float, float, int]:
    """(mean box IoU, the same if its words cited every object that its eyes report under the label asked for and no
    other, boxes) of the starter on `count` box questions of its model card: what words reach, and at most could."""
    from benchmarks.starter.harness import METRICS, Bench, row_of
    from benchmarks.starter.held_out import held_out_items, picture_of, write_items
    from vesalius.dialogue.words import ABNORMALITY
    from vesalius.evaluation.scoring.places import Places, Truth, iou_per_true_box
    from vesalius.findings.findings import Box
    from vesalius.inference.model import load

    model = load("starter")
    family: Any = model.family
    total = boxes_asked = 0.0
    items = held_out_items(count, "en", tasks=("box",))
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(model, "starter", Path(scratch))
        write_items(bench.data("box"), items, 0)
        reached = row_of(bench.scored("box"), "box", METRICS["box"])["mean"]
    for item in items["box"]:
        batch = model.prepare(picture_of(item.truth), item.question.prompt)
        scene, label = batch.seen.scene, item.question.truth["label"]
        groups = () if scene is None else scene.findings if label == ABNORMALITY else scene.of(label)
        found = family.findings(batch, " ".join(f"[{group.number}]" for group in groups))
        boxes = [[one.x0, one.y0, one.x1, one.y1] for one in found if isinstance(one, Box)]
        for iou, true in iou_per_true_box(
            Places(boxes, None, "ok"), Truth(item.question.truth["boxes"], None)
        ).values():
            total, boxes_asked = total + iou, boxes_asked + true
    return reached, total / boxes_asked, int(boxes_asked)
