"""Reports: BLEU, ROUGE, METEOR, CIDEr-D and temporal F1 of the whole text, ROUGE-L of its two sections,
and where an item says so the F1 of the findings stated.

An empty, refused or cut-off report is not dropped: what was written is scored, nothing written scores 0. BLEU-n of a
reference shorter than n words is not defined and left out of its mean, which says over how many items it runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vesalius.dialogue.words import LANGUAGES
from vesalius.evaluation.metrics.bleu import sentence_bleu
from vesalius.evaluation.metrics.cider import cider
from vesalius.evaluation.metrics.meteor import meteor
from vesalius.evaluation.metrics.rouge import rouge
from vesalius.evaluation.metrics.temporal import temporal_f1
from vesalius.evaluation.scoring.answers import texts_of
from vesalius.evaluation.scoring.item import Pair
from vesalius.findings.dialects.statements import answer_part, is_refusal, without_thoughts
from vesalius.findings.sections import parse_report
from vesalius.phantoms.reports import finding_labels

__all__ = ["finding_f1", "read_report", "report_metrics", "score_reports"]

_REFUSAL_CHARS = 400
"""A text longer than this that says "cannot" somewhere is a report."""
SECTIONS = ("findings", "impression")


def read_report(pair: Pair) -> tuple[str | None, str]:
    """(text, status): the report without thoughts and tags; None where there is none."""
    _, prediction = pair
    if prediction.finish_reason == "error":
        return None, "error"
    shown, is_open = without_thoughts(prediction.raw)
    text = answer_part(shown).strip()
    if is_open:
        return None, "truncated"
    if not text.strip(" \n\t\r.…,;:!?。，-_*"):
        return None, "empty"
    if len(text) < _REFUSAL_CHARS and is_refusal(text) and parse_report(text) is None:
        return None, "refused"
    return text, "truncated" if prediction.finish_reason == "length" else "ok"


def report_metrics(said: Sequence[str | None], true: Sequence[str], lang: str) -> list[dict[str, float]]:
    """All text metrics per pair; texts of one language."""
    columns: dict[str, np.ndarray] = {}
    bleu = sentence_bleu(said, true).scores
    columns |= {f"bleu_{n + 1}": bleu[:, n] for n in range(bleu.shape[1])}
    language = "zh" if lang == "zh" else "ar" if lang == "ar" else "en"
    for kind, found in rouge(said, true, language=language).items():
        columns[f"rouge_{kind[5:].lower()}"] = found.f1
    columns["meteor_exact_stem"] = meteor(said, true)
    columns["cider_d"] = cider(said, true)
    # As published, two texts without a word of change agree; a text that is not there agrees with nothing.
    written = np.array([bool((text or "").strip()) for text in said], dtype=np.float64)
    columns["temporal_f1"] = temporal_f1(said, true) * written
    return [{key: float(col[k]) for key, col in columns.items() if not np.isnan(col[k])} for k in range(len(true))]


def score_reports(pairs: Sequence[Pair]) -> list[tuple[str | None, str, dict[str, float]]]:
    """(text, status, scores) of each; document frequencies and stems of each language apart."""
    read = [read_report(pair) for pair in pairs]
    found: list[tuple[str | None, str, dict[str, float]]] = [(text, status, {}) for text, status in read]
    for lang in sorted({sample.lang for sample, _ in pairs}):
        rows = [k for k, (sample, _) in enumerate(pairs) if sample.lang == lang]
        true = [texts_of(pairs[k][0].gold)[0] for k in rows]
        for k, scores in zip(rows, report_metrics([read[k][0] for k in rows], true, lang), strict=True):
            found[k][2].update(scores)
        for section in SECTIONS:
            having = [k for k in rows if pairs[k][0].extra.get(section)]
            if not having:
                continue
            said = [_section(read[k][0], section) for k in having]
            told = [str(pairs[k][0].extra[section]) for k in having]
            language = "zh" if lang == "zh" else "ar" if lang == "ar" else "en"
            scores = rouge(said, told, ("rougeL",), language=language)["rougeL"].f1
            for k, value in zip(having, scores.tolist(), strict=True):
                found[k][2][f"{section}.rouge_l"] = float(value)
    for k, (sample, _) in enumerate(pairs):
        if sample.extra.get("labelled") and sample.lang in LANGUAGES:
            found[k][2]["finding_f1"] = finding_f1(read[k][0] or "", texts_of(sample.gold)[0], sample.lang)
    return found


def finding_f1(said: str, true: str, lang: str) -> float:
    """F1 of the (label, side) pairs that two reports state as present, of the labels Vesalius knows; 1 when both state
    none. An answer without a word states nothing and scores 0."""
    if not said.strip():
        return 0.0
    told, meant = finding_labels(said, lang), finding_labels(true, lang)
    both = len(told) + len(meant)
    return 2 * len(told & meant) / both if both else 1.0


def _section(text: str | None, name: str) -> str | None:
    report = None if text is None else parse_report(text)
    return None if report is None else getattr(report, name)
