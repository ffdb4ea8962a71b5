"""How often the starter's answers cannot be parsed on held-out phantoms, with and without a schema.

Asks for boxes in Qwen's JSON under a JSON schema (and once freely) and counts what `parse_grounding` calls malformed or
truncated, strictly.

Run: python benchmarks/parse_failures.py [--phantoms 500] [--batch 8]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import vesalius
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.splits import HELD_OUT

BOX = {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "integer", "minimum": 0, "maximum": 999}}
ITEM = {
    "type": "object",
    "properties": {"bbox_2d": BOX, "label": {"type": "string", "pattern": "^[a-z ]{1,20}$"}},
    "required": ["bbox_2d", "label"],
    "additionalProperties": False,
}
SCHEMA = {"type": "array", "items": ITEM, "maxItems": 3}
QUESTION = "Locate every finding. Answer in JSON with bbox_2d and label."
GEOMETRY = {"a box has no extent in the picture", "corners are swapped"}
"""Well-formed boxes that name no place; a schema cannot rule them out and they are no failure to parse."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--phantoms", type=int, default=500)
    options.add_argument("--batch", type=int, default=8)
    given = options.parse_args()
    model = vesalius.load("starter")
    truths = [draw_picture(seed) for seed in HELD_OUT[: given.phantoms]]
    requests: list[Any] = [(truth.pixels, QUESTION) for truth in truths]
    for name, schema in (("schema", SCHEMA), ("free", None)):
        started = time.perf_counter()
        answers = model.ask_batch(requests, schema=schema, max_new_tokens=160, batch_size=given.batch)
        failed = 0
        for truth, answer in zip(truths, answers, strict=True):
            height, width = truth.pixels.shape[:2]
            text = f"```json\n{answer.text}\n```" if schema else answer.text
            found = vesalius.parse_grounding(text, "qwen-json", (width, height), coord="norm1000", strict=True)
            formless = not found.errors or set(found.errors) - GEOMETRY
            failed += found.status in ("malformed", "truncated", "empty", "refused") and bool(formless)
        spent = time.perf_counter() - started
        print(f"{name}: {failed} of {len(answers)} not parsed ({100 * failed / len(answers):.1f} %), {spent:.0f} s")


if __name__ == "__main__":
    main()
