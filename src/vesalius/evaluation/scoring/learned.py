"""Metrics that need weights or data of their own, added to the scores of reports and other texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vesalius.errors import OptionError
from vesalius.evaluation.metrics.learned import LEARNED, learned_scores
from vesalius.evaluation.metrics.meteor import METEOR_WORDNET, meteor_wordnet
from vesalius.evaluation.scoring.answers import texts_of
from vesalius.evaluation.scoring.item import ItemScore, Pair

__all__ = ["with_learned"]

KNOWN = (*LEARNED, METEOR_WORDNET)
KINDS = ("report", "open", "closed")


def with_learned(items: list[ItemScore], pairs: Sequence[Pair], metrics: Sequence[str]) -> list[ItemScore]:
    """The items with a score for each metric; the first of several true texts counts.

    `metrics`: names of `KNOWN`, with "=DIR" behind where weights or data lie in a folder. Raises OptionError for an
    unknown name or a run without texts, and what `learned_scores` and `meteor_wordnet` raise.
    """
    asked = [one.partition("=") for one in metrics]
    for name, _, _ in asked:
        if name not in KNOWN:
            raise OptionError(f"no metric is called {name!r}.", fix=f"Known: {', '.join(KNOWN)}.")
    places = [k for k, item in enumerate(items) if item.kind in KINDS]
    if asked and not places:
        raise OptionError(f"{asked[0][0]} scores texts, and this run has none.")
    found = list(items)
    for name, _, folder in asked:
        said = [None if items[k].answer is None else str(items[k].answer) for k in places]
        true = [texts_of(pairs[k][0].gold)[0] for k in places]
        if name == METEOR_WORDNET:
            scores = meteor_wordnet(said, true, folder or None)
        else:
            scores = learned_scores(name, said, true, folder or None)
        for k, score in zip(places, scores.tolist(), strict=True):
            found[k] = replace(found[k], scores={**found[k].scores, name: float(score)})
    return found
