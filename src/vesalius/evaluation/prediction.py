"""One answer of a model to one item of a benchmark, as a line of `predictions.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from vesalius.errors import InputError

__all__ = ["FinishReason", "Prediction", "read_line", "write_line"]

FinishReason = Literal["stop", "length", "error"]


@dataclass(frozen=True)
class Prediction:
    """All that scoring needs of one answer.

    `prompt_sha256`: of the text asked, UTF-8.  `images`: sha256 of each medium shown, in order.  `raw`: all the model
    wrote, thoughts included.  `tokens_in`, `tokens_out`, `latency_s`: 0 where nothing was measured.
    `finish_reason`: "length" also for an answer cut off because it only repeated itself.  `seed`: the pass's seed.
    `model`, `adapter`: names; their hashes stand in the manifest.  `thinking`: the part of `raw` before the answer.
    `findings`: as in `findings.json`, pixels of the original pictures.  `error`: why a failed item failed.
    `option_order`: where options were permuted, the published letters in the order shown ("CAB": shown A is C).
    """

    id: str
    prompt_sha256: str = ""
    images: tuple[str, ...] = ()
    raw: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    latency_s: float = 0.0
    finish_reason: FinishReason = "stop"
    seed: int = 0
    model: str = ""
    adapter: str | None = None
    thinking: str = ""
    findings: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    error: str | None = None
    option_order: str | None = None


_ALWAYS = (
    "id", "prompt_sha256", "images", "raw", "tokens_in", "tokens_out", "latency_s", "finish_reason", "seed", "model",
    "adapter",
)  # fmt: skip
_KINDS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "prompt_sha256": (str,),
    "images": (list,),
    "raw": (str,),
    "tokens_in": (int,),
    "tokens_out": (int,),
    "latency_s": (int, float),
    "finish_reason": (str,),
    "seed": (int,),
    "model": (str,),
    "adapter": (str, type(None)),
    "thinking": (str,),
    "findings": (list,),
    "error": (str, type(None)),
    "option_order": (str, type(None)),
}


def write_line(prediction: Prediction) -> bytes:
    """One JSON object and a newline, UTF-8. Fields that say nothing are left out, save those every row has."""
    row = {key: getattr(prediction, key) for key in _KINDS}
    kept = {key: value for key, value in row.items() if key in _ALWAYS or value not in (None, "", ())}
    # A tokenizer may hand out half a surrogate pair; it has no UTF-8 form.
    text = json.dumps(kept, ensure_ascii=False, separators=(", ", ": "))
    return text.encode("utf-8", "replace") + b"\n"


def read_line(line: bytes, where: str) -> Prediction:
    """The prediction of a line; only `id` and `raw` must be there, unknown keys are passed over.

    `where`: file and line, for the message. Raises InputError for what is no prediction.
    """
    try:
        given: Any = json.loads(line)
    except ValueError as exc:
        raise InputError(f"{where} is not JSON.", fix="Remove the line and run again to ask the item anew.") from exc
    if not isinstance(given, dict):
        raise InputError(f"{where} is no JSON object.")
    row = cast("dict[str, Any]", given)
    for key in ("id", "raw"):
        if key not in row:
            raise InputError(f"{where} has no {key!r}.")
    values: dict[str, Any] = {key: row[key] for key in _KINDS if key in row}
    for key, value in values.items():
        if not isinstance(value, _KINDS[key]) or isinstance(value, bool):
            raise InputError(f"{where}: {key} is {type(value).__name__}.")
    if (finish := values.get("finish_reason", "stop")) not in get_args(FinishReason):
        known = ", ".join(get_args(FinishReason))
        raise InputError(f"{where}: finish_reason is {finish!r:.40}, not one of {known}.")
    for key in ("images", "findings"):
        if key in values:
            values[key] = tuple(values[key])
    return Prediction(**values)
