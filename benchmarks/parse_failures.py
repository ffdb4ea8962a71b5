"""How often the starter's answers cannot be parsed on held-out phantoms, with and without a schema.

Asks for boxes in Qwen's JSON under a JSON schema (and once freely) and counts what `parse_grounding` calls malformed or
truncated, strictly. Every answer is a line of `--out`; stopped at any moment, the same command goes on there.

Run: python benchmarks/parse_failures.py [--out FILE] [--phantoms 500] [--batch 8]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
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


def failed(text: str, pixels: Any, fenced: bool) -> tuple[str, bool]:
    """(status, whether the answer could not be parsed)."""
    height, width = pixels.shape[:2]
    text = text if fenced else f"```json\n{text}\n```"
    found = vesalius.parse_grounding(text, "qwen-json", (width, height), coord="norm1000", strict=True)
    formless = not found.errors or set(found.errors) - GEOMETRY
    return found.status, found.status in ("malformed", "truncated", "empty", "refused") and bool(formless)


def stored(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """(way, seed) → row; an unfinished last line is cut away."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        path.write_bytes(whole)
    rows = [json.loads(line) for line in whole.splitlines()]
    return {(row["way"], row["seed"]): row for row in rows}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--phantoms", type=int, default=500)
    options.add_argument("--batch", type=int, default=8)
    options.add_argument(
        "--out", type=Path, default=Path("runs/parse_failures.jsonl"), help="one answer a line; is added to"
    )
    given = options.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    done = stored(given.out)
    seeds = HELD_OUT[: given.phantoms]
    model = None
    for way, schema in (("schema", SCHEMA), ("free", None)):
        asked = [seed for seed in seeds if (way, seed) not in done]
        for first in range(0, len(asked), given.batch):
            model = model or vesalius.load("starter")
            batch = asked[first : first + given.batch]
            pictures = [draw_picture(seed).pixels for seed in batch]
            started = time.perf_counter()
            requests: list[Any] = [(pixels, QUESTION) for pixels in pictures]
            answers = model.ask_batch(requests, schema=schema, max_new_tokens=160, batch_size=given.batch)
            spent = (time.perf_counter() - started) / len(batch)
            with given.out.open("a", encoding="utf-8") as file:
                for seed, pixels, answer in zip(batch, pictures, answers, strict=True):
                    status, is_failed = failed(answer.text, pixels, fenced=schema is None)
                    row = {"way": way, "seed": seed, "status": status, "failed": is_failed, "seconds": round(spent, 3)}
                    file.write(json.dumps(row | {"text": answer.text}) + "\n")
                    done[way, seed] = row
        rows = [done[way, seed] for seed in seeds]
        count, spent = sum(row["failed"] for row in rows), sum(row["seconds"] for row in rows)
        print(f"{way}: {count} of {len(rows)} not parsed ({100 * count / len(rows):.1f} %), {spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
