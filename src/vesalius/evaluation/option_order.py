"""The same multiple-choice question with its options in another order."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from vesalius.errors import InputError
from vesalius.evaluation.contract import Sample

__all__ = ["option_body", "permuted", "permuted_prompt"]

_ABOUT_OTHERS = re.compile(
    r"\b(?:all|none|any|both|neither|either) of the (?:above|other|following|these)\b"
    r"|\b(?:both )?[A-J] (?:and|or|&) [A-J]\b|以上|以下都",
    re.IGNORECASE,
)
"""Options that speak of other options by their place or letter: such an item keeps its order."""


def permuted(sample: Sample, number: int, seed: int) -> tuple[str, str]:
    """(prompt, order): permutation `number` (from 1) of a sample's options, seeded by its id.

    `order`: the published letters in the order shown: "CAB" means that what is shown as A is published as C. An item
    with an option like "both of the above" keeps the published order. Raises InputError where the prompt does not show
    the options.
    """
    options = dict(sample.options or {})
    letters = list(options)
    order = list(letters)
    if not any(_ABOUT_OTHERS.search(text) for text in options.values()):
        random.Random(f"{seed}/{number}/{sample.id}").shuffle(order)
    return permuted_prompt(sample.prompt, options, order), "".join(order)


def permuted_prompt(prompt: str, options: Mapping[str, str], order: list[str]) -> str:
    """The prompt with the options' texts put in another order under the letters that stand there.

    However a template writes them ("A. x", "A.x", "(A) x", text that holds its letter): the last place where all
    letters follow each other with their texts is taken. Raises InputError when there is none.
    """
    bodies = {letter: option_body(letter, text) for letter, text in options.items()}
    lead = r"[(（]?{}\s*[)）.:：、．]?\s*"
    pattern = r"\s*[,;，；]?\s*".join(
        f"({lead.format(re.escape(letter))})({re.escape(body)})" for letter, body in bodies.items()
    )
    found = list(re.finditer(rf"(?<![A-Za-z0-9]){pattern}", prompt))
    if not found:
        raise InputError("the prompt does not show the options one after the other; they cannot be permuted.")
    match = found[-1]
    pieces = [prompt[: match.start()]]
    end = match.start()
    for k, letter in enumerate(order):
        pieces += [prompt[end : match.start(2 * k + 2)], bodies[letter]]
        end = match.end(2 * k + 2)
    return "".join([*pieces, prompt[end:]])


def option_body(letter: str, text: str) -> str:
    """The text without the letter some published files put before it."""
    return re.sub(rf"^\s*[(（]?{re.escape(letter)}[)）.:：、．]\s*", "", text).strip()
