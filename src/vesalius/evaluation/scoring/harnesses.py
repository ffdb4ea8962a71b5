"""Questions and reports as three harnesses score them: MedEvalKit, MedUniEval and lmms-eval.

Their language-model judge is an exact match after normalising here, or the polarity of a yes/no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.published import lmms_eval, medevalkit, meduni_eval, mmmu
from vesalius.evaluation.scoring.answers import (
    published_letter,
    shown_options,
    texts_of,
    true_letter,
    written_answer,
)
from vesalius.evaluation.scoring.item import ItemScore, Pair

__all__ = ["lmms_eval_item", "medevalkit_item", "medunieval_item"]

_CUT_FIRST = ("vqarad", "pathvqa", "slake", "radrestruct")
"""Benchmarks whose answers are cut to their box or tags before any rule."""
_TAGS_STAY = ("pmcvqa", "medframeqa", "medmnist")
"""Multiple choice whose answer tags are not looked at before a box is."""
_EXAMS = ("medqa", "medmcqa", "pubmedqa", "mmlu", "medbullets", "supergpqa", "cmb", "cmexam", "cmmlu")
_VOLUMES = ("m3dvqa", "3drad")
_TEXTS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_1", "rouge_2", "rouge_l")


def medevalkit_item(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    """An item under MedEvalKit, state 9b12e3b, its judge at work."""
    sample, prediction = pair
    name = _plain(benchmark.name)
    if sample.kind == "report":
        true = texts_of(sample.gold)[0]
        return _report(item, medevalkit.report_scores(prediction.raw, true), prediction.raw, "medevalkit")
    if name.startswith("mmmu") and sample.kind in ("mcq", "closed"):
        return _mmmu(item, pair, mmmu.MEDEVALKIT, "medevalkit")
    if sample.kind == "mcq" and sample.options:
        return _liked(item, pair, name, "medevalkit")
    if sample.kind not in ("yesno", "closed", "open"):
        return item
    by_rule, others = _by_rule(pair, name, name.startswith("slake"))
    judged = item.scores["accuracy"]
    if sample.kind == "open":
        accuracy = judged
    elif name.startswith("slake"):
        accuracy = by_rule + judged
    else:
        accuracy = 0.0 if name.startswith("pathvqa") else by_rule
    return replace(item, rule="medevalkit", scores={**others, "accuracy": accuracy})


def medunieval_item(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    """An item under MedUniEval without its judge."""
    sample, prediction = pair
    name, raw = _plain(benchmark.name), prediction.raw
    if name.startswith("slake") and sample.lang == "zh":
        return replace(item, rule="left out: Chinese", scores={}, ratios={})
    if sample.kind == "report":
        found = meduni_eval.report_text_scores(raw, texts_of(sample.gold)[0])
        return _report(item, found, "", "medunieval")
    if name.startswith("mmmu") and sample.kind in ("mcq", "closed"):
        return _mmmu(item, pair, mmmu.MEDEVALKIT, "medunieval")
    if name.startswith(_VOLUMES):
        if sample.kind == "mcq":
            right = meduni_eval.same_letter(raw, _as_shown(sample, prediction.option_order))
            return replace(item, rule="medunieval", scores={"accuracy": float(right)})
        if sample.kind == "open":
            found = meduni_eval.open_3d_scores(raw, texts_of(sample.gold)[0])
            return replace(item, rule="medunieval", scores={**item.scores, **found})
    if sample.kind == "mcq" and sample.options:
        return _liked(item, pair, name, "medunieval")
    if sample.kind not in ("yesno", "closed", "open"):
        return item
    by_rule, others = _by_rule(pair, name, False)
    return replace(item, rule="medunieval", scores={**others, "accuracy": by_rule})


def lmms_eval_item(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    """An item under lmms-eval: its SLAKE, MedQA and MMMU; other choices as MMMU's, other texts by a plain equality."""
    sample, prediction = pair
    name = _plain(benchmark.name)
    if sample.kind == "mcq" and sample.options:
        rule = mmmu.LMMS_EVAL_MEDQA if name.startswith(_EXAMS) else mmmu.LMMS_EVAL
        return _mmmu(item, pair, rule, "lmms-eval")
    if sample.kind not in ("yesno", "closed", "open"):
        return item
    true = texts_of(sample.gold)
    if name.startswith("slake"):
        right = lmms_eval.slake_right(prediction.raw, written_answer(sample))
        return replace(item, rule="lmms-eval", scores={"accuracy": float(right)})
    if sample.kind == "yesno":
        return item
    if name.startswith("mmmu"):
        return _mmmu(item, pair, mmmu.LMMS_EVAL, "lmms-eval")
    right = lmms_eval.loose_match(prediction.raw, true)
    return replace(item, rule="lmms-eval", scores={**item.scores, "accuracy": float(right)})


def _by_rule(pair: Pair, name: str, case_counts: bool) -> tuple[float, dict[str, float]]:
    """(right without a judge, other figures) of a short answer. `case_counts`: only a lower-case yes or no in the file
    makes a yes/no item, as on SLAKE, whose "Yes" is compared as a text."""
    sample, prediction = pair
    answer, true = prediction.raw, written_answer(sample)
    if name.startswith(_CUT_FIRST):
        answer = medevalkit.unwrapped(answer)
    if name.startswith(("vqarad", "pathvqa")):
        answer, true = answer.lower().strip(), true.lower().strip()
    if sample.kind == "open":
        scores = medevalkit.open_scores(answer, true)
        return scores["exact_match"], scores
    polar = true in ("yes", "no") if case_counts else true.lower() in ("yes", "no")
    rule = medevalkit.yes_no_right if polar else medevalkit.closed_right
    return float(rule(answer, true)), {}


def _liked(item: ItemScore, pair: Pair, name: str, rule: str) -> ItemScore:
    """Multiple choice: the letter, else the option most like the answer."""
    sample, prediction = pair
    shown = shown_options(sample, prediction.option_order) or sample.options or {}
    answer = prediction.raw if name.startswith(_TAGS_STAY) else medevalkit.tagged(prediction.raw)
    index = medevalkit.choice(answer, _listed(sample, shown, name))
    letter = published_letter(sample, list(shown)[index], prediction.option_order)
    return replace(item, answer=letter, rule=rule, scores={"accuracy": float(letter == true_letter(sample))})


def _mmmu(item: ItemScore, pair: Pair, rule: mmmu.ChoiceRule, name: str) -> ItemScore:
    sample, prediction = pair
    if sample.kind != "mcq" or not sample.options:
        right = mmmu.open_right(prediction.raw, texts_of(sample.gold))
        return replace(item, rule=name, scores={**item.scores, "accuracy": float(right)})
    shown = shown_options(sample, prediction.option_order) or sample.options
    letter = mmmu.choice(prediction.raw, shown, rule)
    if letter is None:
        expected = {"accuracy": 1.0 / len(shown)}
        return replace(item, answer=None, rule="expected value of a random choice", scores=expected)
    letter = published_letter(sample, letter, prediction.option_order)
    return replace(item, answer=letter, rule=name, scores={"accuracy": float(letter == true_letter(sample))})


def _report(item: ItemScore, found: Mapping[str, float], raw: str, rule: str) -> ItemScore:
    """CIDEr leaves empty answers out of its mean, BLEU and ROUGE do not; where there is no CIDEr it goes for all."""
    left = {key for key in item.scores if key in _TEXTS or (key == "cider_d" and not raw)}
    kept = {key: value for key, value in item.scores.items() if key not in left}
    return replace(item, rule=rule, scores={**kept, **found})


def _listed(sample: Sample, shown: Mapping[str, str], name: str) -> list[str]:
    """The options as the harness compares them: with the letters the prompt puts before them, save MMLU's."""
    forms = () if name.startswith(("mmlumed", "mmlu6", "mmlu9")) else ("{}. {}", "{}.{}")
    for form in forms:
        if all(form.format(*option) in sample.prompt for option in (sample.options or {}).items()):
            return [form.format(*option) for option in shown.items()]
    return list(shown.values())


def _as_shown(sample: Sample, order: str | None) -> str:
    """The letter under which the right option was shown."""
    true = true_letter(sample)
    return dict(zip(order, sample.options or {}, strict=True)).get(true, true) if order else true


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
