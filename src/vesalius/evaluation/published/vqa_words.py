"""Short answers as the VQA challenge normalises them, and the word scores of LLaVA-Med, Uni-Med and MedUniEval.

Marks go, number words to ten become digits, articles go, contractions without their apostrophe regain it. Two slips of
the published code are kept: a mark is deleted where a blank stands beside it anywhere in the text, or a comma between
digits, and is a blank otherwise; and no more than 32 points are removed, those before a digit never.
"""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["normalise_vqa", "word_exact_match", "word_f1"]

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_POINT = re.compile(r"\.(?!\d)")
_MOST_POINTS = 32
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = ("a", "an", "the")
_SPELLED = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd "
    "he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've "
    "needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll "
    "somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd "
    "there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't "
    "what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll "
    "why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
).split()


def _contractions() -> dict[str, str]:
    """A form that lacks one apostrophe → the whole form. Three stand otherwise in the published table."""
    table = {form[:k] + form[k + 1 :]: form for form in _SPELLED for k, one in enumerate(form) if one == "'"}
    shout = "'ow's'at"
    table |= {"ow's'at": shout, "'ows'at": shout, "'ow'sat": shout}
    return table | {"somebody'd": "somebodyd"}


_CONTRACTIONS = _contractions()


def normalise_vqa(text: str) -> str:
    """An answer in the challenge's form: lower-case words with one blank between them."""
    kept = text
    for mark in _MARKS:
        beside = f"{mark} " in text or f" {mark}" in text or _DIGIT_COMMA.search(text)
        kept = kept.replace(mark, "" if beside else " ")
    kept = _POINT.sub("", kept, count=_MOST_POINTS)
    words = [_NUMBERS.get(word, word) for word in kept.lower().split()]
    words = [_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES]
    return " ".join(words)


def word_exact_match(answer: str, true: str) -> float:
    """LLaVA-Med's "exact match": different words of the reference that the answer has, over the answer's words. A
    longer answer loses, a shorter one does not: "lung" for "left lung" is 1."""
    said, truth = _counted(answer), _counted(true)
    return sum(word in said for word in truth) / said.total() if said else 0.0


def word_f1(answer: str, true: str) -> tuple[float, float, float]:
    """(F1, precision, recall) of words, hits counted as often as the *answer* says them: a repeated right word raises
    both. (0, 0, 0) where a side is empty or nothing is shared."""
    said, truth = _counted(answer), _counted(true)
    hits = sum(number for word, number in said.items() if word in truth)
    if not hits:
        return 0.0, 0.0, 0.0
    missed = sum(number for word, number in truth.items() if word not in said)
    precision, recall = hits / said.total(), hits / (hits + missed)
    return 2 * precision * recall / (precision + recall), precision, recall


def _counted(text: str) -> Counter[str]:
    return Counter(normalise_vqa(text).split())
