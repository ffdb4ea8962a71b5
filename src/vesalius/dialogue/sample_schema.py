"""The sample schema as JSON Schema, for programs that write samples without this package.

What a schema cannot say (x0 < x1 in a box, run lengths that add up, media that a target names) `vesalius data check`
says. `samples.schema.json` beside this file is what `sample_schema` returns, written by `vesalius data schema`.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["VERSION", "sample_schema", "schema_text"]

VERSION = 1
"""Raised when rows that were good become bad, or mean something else."""


def sample_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one row of training data."""
    from vesalius.dialogue.samples import Sample

    made = Sample.model_json_schema()
    kinds: dict[str, Any] = made["$defs"]
    # One of both, and null is as good as absent.
    kinds["MaskTarget"]["oneOf"] = [
        {"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("path", "rle")
    ]
    made["properties"]["turns"]["contains"] = {"properties": {"role": {"const": "assistant"}}, "required": ["role"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:vesalius:sample:{VERSION}",
        **made,
        "title": f"Vesalius training sample, version {VERSION}",
    }


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(sample_schema(), indent=1, ensure_ascii=False) + "\n"
