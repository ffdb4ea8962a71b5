"""Every item of a run scored under a profile: which rule each task kind is scored by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vesalius.errors import OptionError
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.profiles import Profile
from vesalius.evaluation.scoring import answers, changes, historic, masks, measures, places, reports, trees
from vesalius.evaluation.scoring.cited import without_citations
from vesalius.evaluation.scoring.item import ItemScore, Pair

__all__ = ["groups_of", "score_items"]


def groups_of(sample: Sample) -> tuple[str, ...]:
    """The sub-tables an item belongs to: kind, open or closed, language, and the benchmark's tags."""
    form = ("form=open",) if sample.kind == "open" else ()
    form = ("form=closed",) if sample.kind in ("mcq", "yesno", "closed") else form
    tags = [f"{key}={value}" for key, value in sample.tags.items() if key not in ("lang", "kind", "form")]
    return (f"kind={sample.kind}", *form, f"lang={sample.lang}", *dict.fromkeys(tags))


def score_items(pairs: Sequence[Pair], benchmark: Benchmark, profile: Profile) -> list[ItemScore]:
    """Scores of items, in their order; a score depends on no other item save CIDEr-D's document frequencies.

    Raises InputError for a truth that cannot be read, OptionError for a profile that has no rule for the task kind.
    """
    if benchmark.cites_findings:
        pairs = [(sample, without_citations(prediction)) for sample, prediction in pairs]
    found: list[ItemScore | None] = [None] * len(pairs)
    texts = [k for k, (sample, _) in enumerate(pairs) if sample.kind == "report"]
    if texts:
        for k, (text, status, scores) in zip(texts, reports.score_reports([pairs[k] for k in texts]), strict=True):
            found[k] = _item(pairs[k], text, status, scores=scores)
    for k, pair in enumerate(pairs):
        if found[k] is None:
            found[k] = _one(pair, benchmark, profile)
    items = [item for item in found if item is not None]
    nodes = [k for k, (sample, _) in enumerate(pairs) if sample.kind == "tree"]
    if nodes:
        whole = trees.with_reports([items[k] for k in nodes], [pairs[k][0] for k in nodes])
        for k, item in zip(nodes, whole, strict=True):
            items[k] = item
    return historic.rescored(items, pairs, benchmark, profile)


def _one(pair: Pair, benchmark: Benchmark, profile: Profile) -> ItemScore:
    sample, prediction = pair
    if sample.kind in answers.KINDS:
        said = answers.parsed(sample, prediction)
        if said is None:
            return _item(pair, None, "error", "the model failed", answers.score_answer(sample, None))
        return _item(pair, said.answer, said.status, said.rule, answers.score_answer(sample, said.answer))
    if sample.kind in places.KINDS:
        return _placed(pair, benchmark, profile)
    if sample.kind == "measure":
        mode = "strict" if profile.codec == "strict" else "tolerant"
        measuring = measures.longest_mm if benchmark.cites_findings else measures.measured
        numbers, status, rule = measuring(sample, prediction, mode)
        return _item(pair, numbers, status, rule, *measures.score_measure(sample, numbers))
    if sample.kind == "mask":
        found = masks.score_mask(sample, prediction)
        return _item(pair, found.marked, found.status, found.rule, found.scores, found.ratios)
    if sample.kind == "tree":
        chosen, status, rule = trees.chosen(sample, prediction)
        scores, ratios = trees.score_node(sample, chosen)
        return _item(pair, None if chosen is None else list(chosen), status, rule, scores, ratios)
    if sample.kind == "change":
        told, status, rule, scores = changes.score_changes(sample, prediction)
        return _item(pair, told, status, rule, scores)
    if sample.kind == "chat":
        failed = prediction.finish_reason == "error"
        return _item(pair, None, "error" if failed else "not judged", "needs a judge")
    raise OptionError(f"items of kind {sample.kind!r} cannot be scored.")


def _placed(pair: Pair, benchmark: Benchmark, profile: Profile) -> ItemScore:
    sample, prediction = pair
    truth = places.truth_of(sample)
    lead, other = ("strict", "tolerant") if profile.codec == "strict" else ("tolerant", "strict")
    if benchmark.cites_findings:
        said = places.cited(sample, prediction)
        scores, ratios = places.score_places(sample, said, truth)
        if sample.kind == "box":
            ratios |= places.iou_per_true_box(said, truth)
        return _item(pair, {"places": said.rows, "count": said.count}, said.status, "findings", scores, ratios)
    said = places.grounded(sample, prediction, benchmark.dialect, benchmark.coord, lead)
    scores, ratios = places.score_places(sample, said, truth)
    second = places.grounded(sample, prediction, benchmark.dialect, benchmark.coord, other)
    more, more_ratios = places.score_places(sample, second, truth)
    scores |= {f"{key} ({other})": value for key, value in more.items()}
    ratios |= {f"{key} ({other})": value for key, value in more_ratios.items()}
    for which, one in ((lead, said), (other, second)):
        scores[f"unreadable ({which})"] = float(one.status in places.UNREAD)
    answer: dict[str, Any] = {"places": said.rows, "count": said.count, other: second.rows}
    return _item(pair, answer, said.status, f"{lead} codec", scores, ratios)


def _item(
    pair: tuple[Sample, Prediction],
    answer: Any,
    status: str,
    rule: str = "",
    scores: dict[str, float] | None = None,
    ratios: dict[str, tuple[float, float]] | None = None,
) -> ItemScore:
    sample, prediction = pair
    return ItemScore(
        sample.id, sample.kind, answer, status, rule, scores or {}, ratios or {}, groups_of(sample), sample.cluster,
        prediction.images,
    )  # fmt: skip
