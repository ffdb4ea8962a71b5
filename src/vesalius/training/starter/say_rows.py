"""Rows of stage "say": scenes of training phantoms with questions in three languages, as token ids.

A scene is what a perfect detector would report, then made imperfect the way detectors and files are (sizes unknown,
objects unsure), so the model learns to trust the scene text and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from vesalius.dialogue.focus import point_out
from vesalius.dialogue.scene_text import (
    ANATOMY,
    SURE,
    Scene,
    SceneSet,
    SeenObject,
    compare_groups,
    group_objects,
    write_scene,
)
from vesalius.models.parts.see_objects import SIDES
from vesalius.models.starter.config import StarterConfig
from vesalius.models.starter.eyes import pool_tokens
from vesalius.models.starter.prompt import build_prompt
from vesalius.phantoms.questions import applicable, questions_from_scene
from vesalius.phantoms.truth import MODALITIES, PLANES, REGIONS
from vesalius.training.recipe import StarterRecipe
from vesalius.training.starter.say import Row, SayRows
from vesalius.training.starter.see_cache import LABEL_NAMES, Shard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Drawn", "drawn_on", "picture_rows", "row_scene"]

KINDS = (("picture", 0.62), ("pair", 0.15), ("volume", 0.1), ("clip", 0.09), ("none", 0.04))
LANGUAGES = (("en", 0.34), ("zh", 0.3), ("ar", 0.36))
TASK_WEIGHTS = {"present": 3.0, "report": 3.0, "count": 2.0, "side": 2.0, "box": 2.0, "mask": 1.5, "size": 1.5}
"""Every other task weighs 1."""

_CLIP_MODALITIES = frozenset({"endoscopy", "ultrasound", "microscopy"})


def picture_rows(
    recipe: StarterRecipe, config: StarterConfig, shards: Sequence[Shard], tokenizer: Tokenizer
) -> SayRows:
    """`recipe.say.rows` rows, each made from its index alone, so training resumes on the same data."""
    starts = [0]
    for shard in shards:
        starts.append(starts[-1] + len(shard))

    def make(index: int) -> Row:
        rng = random.Random(f"{recipe.seed}:{index}")
        picked = rng.randrange(starts[-1])
        number = next(n for n, start in enumerate(starts[1:]) if picked < start)
        shard, offset = shards[number], picked - starts[number]
        kind = _choose(KINDS, rng)
        scene = row_scene(drawn_on(shard, offset), kind, rng)
        tokens = torch.zeros(0, shard.features.shape[2])
        if kind == "picture" and rng.random() < 0.85:
            features = torch.from_numpy(shard.features[offset].astype("float32"))
            tokens = pool_tokens(features[None], config.visual_tokens, len(config.encoder_layers))[0]
        return _row(scene, rng, recipe.say.questions, tokens, tokenizer)

    return SayRows(make, recipe.say.rows)


def _row(
    scene: Scene | SceneSet | None, rng: random.Random, count: int, tokens: torch.Tensor, tokenizer: Tokenizer
) -> Row:
    tasks = applicable(scene)
    weights = [TASK_WEIGHTS.get(task, 1.0) for task in tasks]
    turns: list[tuple[str, str]] = []
    while len(turns) < count:
        task = rng.choices(tasks, weights)[0]
        made = questions_from_scene(scene, rng, _choose(LANGUAGES, rng), [task])
        question = rng.choice(made)
        turns.append((question.prompt, question.answer))
    asked = [(f"{prompt}\n{point_out(scene, prompt)}", answer) for prompt, answer in turns]
    prompt = build_prompt(tokenizer, write_scene(scene), asked, len(tokens))
    return {
        "ids": torch.tensor(prompt.ids),
        "labels": torch.tensor(prompt.labels),
        "visual": torch.tensor(prompt.visual, dtype=torch.long),
        "tokens": tokens,
    }


@dataclass(frozen=True)
class Drawn:
    """What a shard remembers of one picture: names, and its objects as a perfect detector would report them."""

    modality: str
    plane: str
    region: str
    objects: tuple[SeenObject, ...]
    size: int


def drawn_on(shard: Shard, index: int) -> Drawn:
    """The objects of a shard's picture, in the square's pixel frame."""
    picture = shard.pictures[index]
    rows, _ = shard.objects_of(index)
    objects = tuple(
        SeenObject(
            LABEL_NAMES[int(row["label"])],
            SIDES[int(row["side"])] if row["side"] >= 0 else None,
            float(row["size_mm"]),
            tuple(float(v) for v in row["box"]),  # pyright: ignore[reportArgumentType]  (four of them)
        )
        for row in rows
    )
    names = (MODALITIES[picture["modality"]], PLANES[picture["plane"]], REGIONS[picture["region"]])
    return Drawn(*names, objects, shard.pixels.shape[1])


def row_scene(truth: Drawn, kind: str, rng: random.Random) -> Scene | SceneSet | None:
    """The scene of one row: `truth` as a picture, as one slice's worth of a volume, as a clip, or before and after."""
    if kind == "none":
        return None
    objects = _imperfect(truth.objects, rng)
    if kind == "volume" and truth.modality in ("ct", "mr"):
        return _volume_scene(truth, objects, rng)
    if kind == "clip" and truth.modality in _CLIP_MODALITIES:
        moved = [replace(o, motion="moving" if rng.random() < 0.5 else "still") for o in objects]
        return replace(_scene(truth, moved), num_frames=rng.randint(4, 16))
    if kind == "pair":
        return _pair_scene(truth, objects, rng)
    return _scene(truth, objects)


def _scene(truth: Drawn, objects: Sequence[SeenObject], start: int = 1) -> Scene:
    grouping = group_objects(objects, (truth.size, truth.size), plane=truth.plane, start=start)
    return Scene(truth.modality, truth.plane, truth.region, grouping.groups, grouping.maybe)


def _imperfect(objects: Sequence[SeenObject], rng: random.Random) -> list[SeenObject]:
    sized = rng.random() < 0.75
    made: list[SeenObject] = []
    for one in objects:
        if rng.random() < 0.04:  # missed
            continue
        confidence = SURE * rng.uniform(0.4, 0.98) if rng.random() < 0.05 else rng.uniform(0.6, 1.0)
        made.append(replace(one, size_mm=one.size_mm if sized else None, confidence=confidence))
    return made


def _volume_scene(truth: Drawn, objects: Sequence[SeenObject], rng: random.Random) -> Scene:
    count = rng.randint(16, 300)
    placed: list[SeenObject] = []
    for one in objects:
        first = rng.randrange(count)
        last = min(count - 1, first + int(rng.expovariate(0.15)))
        if one.label in ANATOMY:
            first, last = rng.randrange(count // 3), rng.randrange(2 * count // 3, count)
        placed.append(replace(one, slices=(first, last)))
    return replace(_scene(truth, placed), num_slices=count)


def _pair_scene(truth: Drawn, objects: Sequence[SeenObject], rng: random.Random) -> SceneSet:
    """An earlier and a later look at the same patient: findings resolved, new, grown, shrunk or unchanged."""
    before: list[SeenObject] = []
    after: list[SeenObject] = []
    for one in objects:
        draw = rng.random()
        jitter = replace(one, size_mm=one.size_mm and one.size_mm * rng.uniform(0.97, 1.03))
        if one.label in ANATOMY or draw < 0.3:
            before.append(one)
            after.append(jitter)
        elif draw < 0.48:
            before.append(one)
        elif draw < 0.66:
            after.append(one)
        else:
            factor = rng.uniform(1.25, 2.0)
            larger = replace(one, size_mm=one.size_mm and one.size_mm * factor)
            before.append(one if draw < 0.83 else larger)
            after.append(larger if draw < 0.83 else one)
    first = _scene(truth, before)
    second = _scene(truth, after, start=1 + len(first.groups))
    return SceneSet((first, second), compare_groups(first.groups, second.groups))


def _choose(options: Sequence[tuple[str, float]], rng: random.Random) -> str:
    return rng.choices([name for name, _ in options], [weight for _, weight in options])[0]
