"""How lmms-eval compares short answers: SLAKE's equality, and the plain one of its other tasks."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

__all__ = ["loose_match", "slake_right"]

_MARKS = str.maketrans(
    dict.fromkeys(
        string.punctuation + "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～、《》【】", " "
    )
)
_YES = frozenset(("yes", "yeah", "yep", "true", "是", "是的", "有", "包含", "可以", "能", "会", "正常"))
_NO = frozenset(
    ("no", "nope", "false", "否", "不是", "没有", "无", "不包含", "不能", "不会", "不可以", "不正常", "异常")
)


def slake_right(answer: str, true: str) -> bool:
    """Whether the texts are equal without brackets and marks; all ways to say yes are one, and all to say no, so that
    "正常" (normal) is a yes and "异常" (abnormal) a no."""
    return _slake(answer) == _slake(true)


def loose_match(answer: str, true: Sequence[str]) -> bool:
    """Lower case, white space at the ends and one final point aside, the texts are equal."""

    def plain(text: str) -> str:
        return text.strip().lower().removesuffix(".")

    return plain(answer) in {plain(text) for text in true}


def _slake(text: str) -> str:
    text = re.sub(r"\([^)]*\)|（[^）]*）", " ", text.strip().lower())
    text = " ".join(text.translate(_MARKS).split())
    if text in ("x ray", "xray"):
        return "xray"
    return "yes" if text in _YES else "no" if text in _NO else text
