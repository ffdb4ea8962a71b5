"""Does reinforcement raise the overlap of written boxes, beside supervised training gone on with?

    python -m benchmarks.grpo [--folder runs/grpo] [--sft 140] [--steps 45]

A Qwen3-VL of 0.2 M random parameters (the tests' own) first learns, supervised, to write the box of the heart on
phantom chest radiographs. From that checkpoint two runs go on: GRPO on the box reward, and the control, supervised for
as many updates on the same samples. Mean IoU on held-out phantoms is printed, of greedy answers and of drawn ones: what
is drawn is what GRPO raises.

The starter is not the policy here: it writes which object it cites, and where an object lies comes from its eyes, which
no reward on words can move (see `docs/preference-and-reinforcement.md`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
POLICY = ROOT / "tests" / "fixtures" / "medmo" / "qwen3vl_tiny"
EDGE = 128


def draw(folder: Path, first: int, count: int) -> Path:
    """`count` phantom chest radiographs with a heart each, and the question for it; drawn once."""
    from PIL import Image

    from vesalius.dialogue.samples import BoxTarget, Media, Sample, Tags, Targets, Turn, write_samples
    from vesalius.phantoms.pictures import draw_picture

    target = folder / "samples.jsonl"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    seed = first
    while len(samples) < count:
        truth = draw_picture(seed, "xray", (EDGE, EDGE))
        seed += 1
        if len(truth.of("heart")) != 1:
            continue
        box: Any = tuple(float(v) for v in truth.of("heart")[0].box)
        Image.fromarray(truth.pixels).save(folder / f"{seed}.png")
        asked = Turn(role="user", text="Where is the heart?")
        written = [round(1000 * value / EDGE) for value in box]
        answer = Turn(
            role="assistant",
            text=f"heart <box>{[written]}</box>",
            targets=Targets(boxes=(BoxTarget(label="heart", box=box),)),
        )
        samples.append(
            Sample(
                id=f"heart-{seed}",
                media=(Media(kind="image", path=f"{seed}.png"),),
                turns=(asked, answer),
                tags=Tags(modality="xray", task="box"),
            )
        )
    write_samples(target, samples)
    return target


def held_out_iou(checkpoint: Path, samples: Path) -> dict[str, float]:
    """Mean IoU, F1 at 0.5 and box reward of greedy answers, and of four drawn for each prompt ("drawn_…")."""
    from vesalius.inference.model import load
    from vesalius.models.parts.token_stream import Sampling
    from vesalius.training.prompts import prompt_of, read_placed
    from vesalius.training.recipe_sft import Source
    from vesalius.training.rewards import REWARDS
    from vesalius.training.rollouts import roll_out

    model = load(str(checkpoint), device="cpu", dtype="float32")
    prompts = [prompt_of(one, dialect="medmo") for one in read_placed([Source(path=str(samples))], samples.parent)]
    batches = [model.prepare(list(one.messages)) for one in prompts]
    family: Any = model.family
    scores: dict[str, float] = {}
    for kind, temperature, copies in (("", 0.0, 1), ("drawn_", 1.0, 4)):
        truths = [prompt.truth for prompt in prompts for _ in range(copies)]
        rows = [batch for batch in batches for _ in range(copies)]
        drawn = Sampling(temperature=temperature)
        answers = roll_out(family, rows, truths, max_new_tokens=48, sampling=drawn, seeds=range(len(rows)), at_once=96)
        for name in ("box_mean_iou", "box_f1", "box_penalised"):
            values = [REWARDS[name](one.completion, truth) or 0.0 for one, truth in zip(answers, truths, strict=True)]
            scores[kind + name] = sum(values) / len(values)
    return scores


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


def main() -> None:
    """Draw, train three times, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/grpo"))
    parser.add_argument("--pictures", type=int, default=160)
    parser.add_argument("--sft", type=int, default=140, help="supervised updates of 8 samples before the two runs")
    parser.add_argument("--steps", type=int, default=45, help="updates of each of the two runs")
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate of GRPO")
    parser.add_argument("--control-rate", type=float, default=1e-3, help="learning rate of the control")
    parser.add_argument("--starter", type=int, default=0, help="measure the starter's ceiling on so many questions")
    given = parser.parse_args()
    if given.starter:
        reached, ceiling, boxes = starter_ceiling(given.starter)
        print(f"starter: mean box IoU {reached:.4f}; every object its eyes report under the label cited: {ceiling:.4f} "
              f"({boxes} boxes)")  # fmt: skip
        return
    folder: Path = given.folder
    from vesalius.phantoms.splits import HELD_OUT, TRAIN

    train = draw(folder / "train", TRAIN[0], given.pictures)
    held = draw(folder / "held", HELD_OUT[0], 48)
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", flush=True)

    sft = supervised(folder / "sft", train, POLICY, given.sft, 3e-3, "cosine", report)
    start = held_out_iou(sft, held)
    report(f"after {given.sft} supervised updates: {said(start)}")
    tuned = reinforced(folder / "grpo", train, held, sft, given.steps, given.rate, report)
    grpo = held_out_iou(tuned, held)
    report(f"and {given.steps} of GRPO: {said(grpo)}")
    control = supervised(folder / "control", train, sft, given.steps, given.control_rate, "constant", report, held=held)
    longer = held_out_iou(control, held)
    report(f"and {given.steps} supervised ones instead: {said(longer)}")
    summary = {"start": start, "grpo": grpo, "sft_longer": longer}
    (folder / "result.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(summary, indent=1))


def said(scores: dict[str, float]) -> str:
    """On one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def supervised(
    out: Path, train: Path, base: Path, steps: int, rate: float, shape: Any, report: Any, held: Path | None = None
) -> Path:
    """Every part learns; a row holds about 8 samples."""
    from vesalius.training.recipe_sft import PartPlan, SftRecipe, Source
    from vesalius.training.sft import train_sft

    del held
    if (out / "final").is_dir():
        return out / "final"
    recipe = SftRecipe(
        model=str(base), out=str(out), data=(Source(path=str(train)),), steps=steps, learning_rate=rate,
        schedule=shape, parts={part: PartPlan("train") for part in ("vision", "projector", "language")},
        max_length=600, precision="float32", device="cpu", log_every=50, check=8, report_to=(),
    )  # fmt: skip
    return train_sft(recipe, report).folder


def reinforced(out: Path, train: Path, held: Path, base: Path, steps: int, rate: float, report: Any) -> Path:
    """The same parts under the box reward."""
    from vesalius.training.grpo import train_grpo
    from vesalius.training.recipe_rl import GrpoRecipe, Rollouts
    from vesalius.training.recipe_sft import Evaluation, PartPlan, Source

    if (out / "final").is_dir():
        return out / "final"
    recipe = GrpoRecipe(
        model=str(base), out=str(out), data=(Source(path=str(train)),), steps=steps, learning_rate=rate,
        schedule="constant", parts={part: PartPlan("train") for part in ("vision", "projector", "language")},
        rewards={"box_penalised": {"weight": 0.5}, "box_mean_iou": 1.0, "format": 0.2}, dialect="medmo",
        rollouts=Rollouts(generations=8, max_new_tokens=48, at_once=64), prompts=6, kl=0.0,
        max_length=4096, precision="float32", device="cpu", log_every=5, check=8, report_to=(),
        eval=Evaluation(data=(Source(path=str(held)),), every=10, rows=48),
    )  # fmt: skip
    return train_grpo(recipe, report).folder


if __name__ == "__main__":
    main()
