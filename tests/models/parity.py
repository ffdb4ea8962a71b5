"""Parity cases: a conversation, options, and the numbers the published code gave. Two places hold them, in one layout:
`tests/fixtures/<family>` (a small copy, always there) and `../shared/fixtures/<family>` (all of them, where it is)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

import vesalius

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """One case of a checkpoint. Media paths in `conversation` are absolute."""

    checkpoint: Path
    name: str

    @cached_property
    def _json(self) -> dict[str, Any]:
        return json.loads((self.checkpoint / "cases" / f"{self.name}.json").read_text(encoding="utf-8"))

    @property
    def conversation(self) -> Any:
        """The conversation, or the list of them of a batch or packed case."""
        raw = self._json
        several = raw.get("conversations") or raw.get("batch_conversations")
        family = self.checkpoint.parent
        if several:
            return [[_absolute(message, family) for message in one] for one in several]
        return [_absolute(message, family) for message in raw["conversation"]]

    @property
    def options(self) -> dict[str, Any]:
        return self._json["options"]

    @property
    def tolerance(self) -> dict[str, Any]:
        return self._json["tolerance"]

    @property
    def expected(self) -> dict[str, Any]:
        """The facts of the JSON file."""
        return self._json["expected"]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Expected tensors, named without `expected.`."""
        stored = load_file(self.checkpoint / "cases" / f"{self.name}.safetensors")
        return {name.removeprefix("expected."): value for name, value in stored.items()}


def _absolute(message: dict[str, Any], family: Path) -> dict[str, Any]:
    parts: Any = message["content"]
    if isinstance(parts, str):
        return message
    made = [
        {**part, part["type"]: str(family / part[part["type"]])}
        if part["type"] in ("image", "volume", "video")
        else part
        for part in parts
    ]
    return {**message, "content": made}


def cases_of(family: str) -> list[Any]:
    """Every case of a family as pytest parameters: those of the shared folder where it is, else the small copy."""
    import pytest

    folders = [ROOT.parent / "shared" / "fixtures" / family, ROOT / "tests" / "fixtures" / family]
    folder = next((one for one in folders if one.is_dir()), folders[-1])
    found = sorted(folder.glob("*/cases/*.json"))
    return [pytest.param(Case(p.parent.parent, p.stem), id=f"{p.parent.parent.name}-{p.stem}") for p in found]


@cache
def loaded(checkpoint: Path, quirks: Any = "published") -> Any:
    """A checkpoint on the CPU in float32, loaded once."""
    return vesalius.load(str(checkpoint), device="cpu", dtype="float32", quirks=quirks)


def largest(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two tensors of one shape."""
    assert ours.shape == theirs.shape
    return float((ours.double() - theirs.double()).abs().max()) if theirs.numel() else 0.0


def user(*parts: Any) -> list[dict[str, Any]]:
    """A conversation of one message; strings are text parts."""
    made = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return [{"role": "user", "content": made}]
