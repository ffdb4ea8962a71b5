"""How much of a score is left off the beaten track: shift robustness, ablations, consistency under shuffled options."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from vesalius.errors import InputError
from vesalius.evaluation.metrics.aligned import aligned

__all__ = ["kept_share", "option_consistency", "relative_robustness"]


def relative_robustness(iid: float, ood: float) -> float | None:
    """RR = 1 - (iid - ood) / iid of a score on familiar and on shifted data; 1 = nothing lost, None when iid is 0."""
    return None if _finite(iid, ood) == 0 else 1.0 - (iid - ood) / iid


def kept_share(full: float, ablated: float) -> float | None:
    """Share of the full score that is left without the image, with a blank or with another one; None when full is 0."""
    return None if _finite(full, ablated) == 0 else ablated / full


def _finite(first: float, second: float) -> float:
    if not (math.isfinite(first) and math.isfinite(second)):
        raise InputError(f"scores {first} and {second} are not both finite.")
    return first


def option_consistency(answers: Sequence[Sequence[Hashable | None]]) -> float:
    """Share of items whose answer, as the option's text, is the same under every order of options. `answers`: one list
    over items per order. An item unparsed once is inconsistent. Raises InputError for lists of different lengths."""
    if len(answers) < 2:
        raise InputError(f"{len(answers)} orders of options; consistency needs at least 2.")
    for other in answers[1:]:
        aligned(other, answers[0])
    same = [len(set(given)) == 1 and given[0] is not None for given in zip(*answers, strict=True)]
    return sum(same) / len(same)
