"""Rewards by name, and the weighted choice of them that a recipe makes."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vesalius.errors import OptionError
from vesalius.training.rewards import boxes, form, places, words
from vesalius.training.rewards.truth import Completion, Truth

__all__ = ["REWARDS", "Reward", "WeightedReward", "combined", "weighted_rewards"]

Reward = Callable[..., float | None]
"""(completion, truth, **settings) → the reward, None where it does not apply to the prompt."""

REWARDS: Mapping[str, Reward] = {
    "answer": words.answer,
    "label": words.label_accuracy,
    "finding_f1": words.finding_f1,
    "box_medmo": boxes.box_medmo,
    "box_penalised": boxes.box_penalised,
    "box_iou_threshold": boxes.box_iou_threshold,
    "box_chance_corrected": boxes.box_chance_corrected,
    "box_mean_iou": boxes.box_mean_iou,
    "box_f1": boxes.box_f1,
    "point": places.point_f1,
    "count": places.count,
    "mask": places.mask_dice,
    "tags": form.box_tags,
    "format": form.grammar,
    "think_format": form.think_format,
    "length": form.length,
    "overlong": form.soft_overlong,
}


@dataclass(frozen=True)
class WeightedReward:
    """One reward of a recipe."""

    name: str
    weight: float
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __call__(self, completion: Completion | str, truth: Truth) -> float | None:
        """Unweighted; None where it does not apply."""
        return REWARDS[self.name](completion, truth, **self.settings)


def weighted_rewards(given: Mapping[str, Any]) -> tuple[WeightedReward, ...]:
    """`{name: weight}` or `{name: {weight: 1.0, setting: value}}` → rewards, in order.

    OptionError, before anything is computed, for a name or setting that is not known (with the nearest), a weight that
    is no finite number, or when nothing has weight.
    """
    if not isinstance(given, Mapping) or not given:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError("rewards names none.", fix="Write for example rewards: {box_penalised: 1.0}.")
    made = tuple(_weighted(name, value) for name, value in given.items())
    if not any(one.weight for one in made):
        raise OptionError("no reward has a weight.", fix="Give one a weight other than 0.")
    return made


def _weighted(name: str, value: Any) -> WeightedReward:
    if name not in REWARDS:
        raise OptionError(f"there is no reward {name!r}.", fix=_nearest(name, list(REWARDS)))
    settings: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"weight": value}  # pyright: ignore[reportUnknownArgumentType]
    weight = settings.pop("weight", 1.0)
    if type(weight) not in (int, float) or not math.isfinite(weight):
        raise OptionError(f"the weight of reward {name} is {weight!r}; it must be a finite number.")
    known = [one.name for one in inspect.signature(REWARDS[name]).parameters.values() if one.kind is one.KEYWORD_ONLY]
    for setting, number in settings.items():
        if setting not in known:
            raise OptionError(f"reward {name} has no setting {setting!r}.", fix=_nearest(setting, known))
        if type(number) not in (int, float) or not math.isfinite(number):
            raise OptionError(f"{setting} of reward {name} is {number!r}; it must be a finite number.")
    return WeightedReward(name, float(weight), settings)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."


def combined(rewards: tuple[WeightedReward, ...], completion: Completion | str, truth: Truth) -> float | None:
    """The weighted sum of the rewards that apply; None where none does."""
    found = [(one.weight, value) for one in rewards if (value := one(completion, truth)) is not None]
    return sum(weight * value for weight, value in found) if found else None
