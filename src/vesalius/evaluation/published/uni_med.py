"""Uni-Med (MedM-VL 2D) as published: short answers in the VQA challenge's form, captions as a corpus of those answered,
referring boxes with one pixel added per side."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.evaluation.metrics.aligned import aligned
from vesalius.evaluation.metrics.bleu import corpus_bleu
from vesalius.evaluation.packages import package
from vesalius.evaluation.published.medevalkit import nltk_bleu
from vesalius.evaluation.published.vqa_words import normalise_vqa, word_f1
from vesalius.findings.box_overlap import as_boxes, iou_pairs

__all__ = ["caption_bleu", "is_left_out", "mean_of_answered", "percent_box", "refer_ious", "short_answer_scores"]

BOX = re.compile(r"\{<(\d{1,3})><(\d{1,3})><(\d{1,3})><(\d{1,3})>\}")

_WEIGHTS = tuple((1 / n,) * n for n in (1, 2, 3, 4))
_NO_WORDS = frozenset(("''", "'", "``", "`", "(", ")", "{", "}", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
"""Tokens the COCO captions scorer throws away."""


def short_answer_scores(answer: str, true: str) -> dict[str, float]:
    """`accuracy` (the same after normalising: MedMNIST's figure), `bleu_1` to `bleu_4` (unsmoothed; the figure of
    SLAKE, PathVQA and identification is BLEU-1) and `token_f1`, all of the normalised words. Empty answers
    stay in these means."""
    said, truth = normalise_vqa(answer), normalise_vqa(true)
    bleus = [nltk_bleu(said.split(), truth.split(), weights) for weights in _WEIGHTS]
    found = {f"bleu_{n}": value for n, value in enumerate(bleus, 1)}
    return {"accuracy": float(said == truth), **found, "token_f1": word_f1(answer, true)[0]}


def is_left_out(answer: str | None, true: str) -> bool:
    """Whether a caption is not counted: nothing was answered, or there is no reference. White space counts as text."""
    return not answer or not true


def caption_bleu(answers: Sequence[str | None], reference: Sequence[str]) -> tuple[float, ...] | None:
    """BLEU-1 to BLEU-4 of the answered captions as one corpus, COCO's scorer; None when none is answered. Treebank
    tokens of nltk stand for the Java tokenizer's."""
    said, truth = aligned(answers, reference)
    pairs = [(one or "", true) for one, true in zip(said, truth, strict=True) if not is_left_out(one, true)]
    if not pairs:
        return None
    tokenizer = package("nltk.tokenize", "BLEU").TreebankWordTokenizer()
    sides = [[_words(tokenizer.tokenize(text.lower())) for text in side] for side in zip(*pairs, strict=True)]
    return corpus_bleu(sides[0], sides[1], split=True)


def _words(tokens: Sequence[str]) -> str:
    return " ".join(token for token in tokens if token not in _NO_WORDS)


def percent_box(answer: str | None, image_size: tuple[float, float]) -> tuple[float, float, float, float] | None:
    """`{<x0><y0><x1><y1>}` (percent of width and height) at the start of an answer → pixels; None when it is not."""
    found = BOX.match(re.sub(r"<unk>| ", "", answer or "").strip())
    if not found:
        return None
    x0, y0, x1, y1 = (int(value) / 100 for value in found.groups())
    return x0 * image_size[0], y0 * image_size[1], x1 * image_size[0], y1 * image_size[1]


def refer_ious(
    answers: Sequence[str | None], true_xywh: ArrayLike, image_sizes: Sequence[tuple[float, float]]
) -> NDArray[np.float64]:
    """IoU per item with a pixel added to every extent; true boxes [n, 4] are x, y, width, height in pixels. An answer
    without a box scores 0; accuracy counts IoU > 0.5."""
    corner = as_boxes(true_xywh).copy()
    corner[:, 2:] += corner[:, :2]
    aligned(answers, image_sizes)
    aligned(answers, corner.tolist())
    boxes = [percent_box(answer, size) for answer, size in zip(answers, image_sizes, strict=True)]
    known = np.array([box or (0.0, 0.0, -1.0, -1.0) for box in boxes])
    grown = [np.concatenate([side[:, :2], side[:, 2:] + 1.0], axis=1) for side in (known, corner)]
    return iou_pairs(*grown)


def mean_of_answered(scores: ArrayLike, answers: Sequence[str | None], reference: Sequence[str]) -> float | None:
    """Mean score over the items whose answer and reference are not empty: the published average, which rises when hard
    items go unanswered. None when no item is left."""
    aligned(answers, reference)
    kept = [not is_left_out(a, b) for a, b in zip(answers, reference, strict=True)]
    values = np.asarray(scores, dtype=np.float64)[kept]
    return float(values.mean()) if values.size else None
