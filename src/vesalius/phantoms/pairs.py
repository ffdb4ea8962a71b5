"""Prior and current pictures of one patient: the same anatomy, a new pose and exposure, changed findings."""

from __future__ import annotations

from vesalius.errors import OptionError
from vesalius.phantoms.canvas import Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.pictures import draw_plan, plan_of
from vesalius.phantoms.truth import LABELS, PairTruth, Truth

__all__ = ["CHANGES", "PAIR_MODALITIES", "draw_pair"]

PAIR_MODALITIES = ("xray", "ct", "mr")
CHANGES = ("new", "resolved", "grown", "shrunk", "unchanged")

_GROWN = 1.25
"""Smallest ratio of longest diameters that counts as growth."""
_UNCHANGED = 0.05
"""Largest relative difference of longest diameters that counts as none."""
_TRIES = 12


def draw_pair(seed: int, modality: str | None = None, size: tuple[int, int] = (224, 224)) -> PairTruth:
    """Draw pair number `seed`: the same arguments give the same bytes everywhere.

    `modality`: one of `PAIR_MODALITIES`, None for any.  `size`: (height, width).  Every finding of either picture has
    one entry in `changes`: "new" and "resolved" are on one picture only, "grown" and "shrunk" differ by 25 % or more in
    measured longest diameter, "unchanged" by 5 % or less.  Raises OptionError for what cannot be drawn.
    """
    if modality is not None and modality not in PAIR_MODALITIES:
        raise OptionError(f"no pair of modality {modality!r} can be drawn.", fix=f"Use {', '.join(PAIR_MODALITIES)}.")
    (dice,) = Dice.rows(seed, 9001, 1, 400)
    chosen = modality or dice.pick(PAIR_MODALITIES)
    for attempt in range(_TRIES):
        rest = plan_of(seed, size)
        salted = Plan(seed, rest.size, salt=attempt)
        reference = draw_plan(salted, chosen)
        wanted = _wanted(dice, reference, attempt)
        prior_scales, current_scales = _scales(dice, wanted)
        # The turned and zoomed visit is tried first; small findings then often change by a pixel, so shifts come next.
        for rigid in (True, False):
            prior = draw_plan(
                Plan(seed, rest.size, salt=attempt, scales=prior_scales, attempts=salted.attempts, follow=True), chosen
            )
            plan = Plan(seed, rest.size, salt=attempt, visit=1, scales=current_scales, attempts=salted.attempts,
                        follow=True, rigid=rigid)  # fmt: skip
            now = draw_plan(plan, chosen)
            changes = _measured(prior, now)
            if changes is not None:
                return PairTruth(prior, now, changes, seed)
    # What is left is certain: the same picture with new noise, where every finding keeps its pixels.
    rest = plan_of(seed, size)
    draw_plan(rest, chosen)
    prior = draw_plan(Plan(seed, rest.size, attempts=rest.attempts, follow=True), chosen)
    now = draw_plan(Plan(seed, rest.size, attempts=rest.attempts, follow=True, noise=1), chosen)
    return PairTruth(prior, now, _measured(prior, now) or (), seed)


def _findings(truth: Truth) -> dict[int, tuple[str, float]]:
    return {o.identity: (o.label, o.size_mm) for o in truth.objects if LABELS[o.label] == "finding"}


def _wanted(dice: Dice, reference: Truth, attempt: int) -> dict[int, str]:
    """What shall happen to each finding; after some failures nothing changes any more."""
    calm = dice.chance(0.25) or attempt > 8
    return {identity: "unchanged" if calm else dice.pick(CHANGES) for identity in _findings(reference)}


def _scales(dice: Dice, wanted: dict[int, str]) -> tuple[dict[int, float], dict[int, float]]:
    prior: dict[int, float] = {}
    current: dict[int, float] = {}
    for identity, change in wanted.items():
        factor = dice.between(1.45, 1.9)
        prior[identity] = {"new": 0.0, "grown": 0.8, "shrunk": 0.8 * factor}.get(change, 1.0)
        current[identity] = {"resolved": 0.0, "grown": 0.8 * factor, "shrunk": 0.8}.get(change, 1.0)
    return prior, current


def _measured(prior: Truth, current: Truth) -> tuple[tuple[str, int, str], ...] | None:
    """The changes as the truth measures them, or None when one is in between."""
    before, after = _findings(prior), _findings(current)
    changes: list[tuple[str, int, str]] = []
    for identity in sorted(before.keys() | after.keys()):
        if identity not in before:
            changes.append((after[identity][0], identity, "new"))
        elif identity not in after:
            changes.append((before[identity][0], identity, "resolved"))
        else:
            ratio = after[identity][1] / before[identity][1]
            if ratio >= _GROWN:
                change = "grown"
            elif ratio <= 1.0 / _GROWN:
                change = "shrunk"
            elif abs(ratio - 1.0) <= _UNCHANGED:
                change = "unchanged"
            else:
                return None
            changes.append((after[identity][0], identity, change))
    return tuple(changes)
