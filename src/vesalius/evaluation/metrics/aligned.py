"""Predicted and true answers side by side: equal in number, at least one, a missing prediction is an empty one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from vesalius.errors import InputError

__all__ = ["aligned", "aligned_texts"]

T = TypeVar("T")
U = TypeVar("U")


def aligned(predicted: Sequence[T], true: Sequence[U]) -> tuple[Sequence[T], Sequence[U]]:
    """Both sequences. Raises InputError when they differ in length or hold nothing: no score exists for no items."""
    if len(predicted) != len(true):
        raise InputError(
            f"{len(predicted)} predictions for {len(true)} items; every item needs one, None if it failed."
        )
    if not len(true):
        raise InputError("there is no item to score.")
    return predicted, true


def aligned_texts(predicted: Sequence[str | None], reference: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both as lists of strings; None becomes "", which scores 0. Raises InputError as `aligned`."""
    aligned(predicted, reference)
    return [text or "" for text in predicted], list(reference)
