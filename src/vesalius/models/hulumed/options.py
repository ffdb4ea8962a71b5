"""The preprocessing options of Hulu-Med's `prepare`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from vesalius.errors import OptionError
from vesalius.models.hulumed.config import HuluMedConfig, Layout
from vesalius.models.hulumed.volumes import Loader

__all__ = ["PrepareOptions", "read_options"]


@dataclass(frozen=True)
class PrepareOptions:
    """How a conversation is prepared.

    `layout`: whose call rules apply.  `volume_loader`: whose volume reader.  `image_from`: "pil" or "array" for the
    size rule, None by what was given.  `merge_size`: pooling, one number or one per item (per sample of a packed row),
    None by the layout's rule.  `token_reduction`, `reduction_rule`, `reduction_threshold`: whether, by which strategy
    and from which change on (the strategy's own unit).  `max_tokens`, `min_tokens`: budgets in place of the
    preprocessor's.  `max_frames`: most frames of a clip.  `timestamps`: whether the prompt names frames' times.
    `packing`: several conversations in one row.  `add_system_prompt`: the checkpoint's own sentence first.
    `add_generation_prompt`: None where the conversation waits for an answer.
    """

    layout: Layout
    volume_loader: Loader
    token_reduction: bool
    max_tokens: int
    min_tokens: int
    image_from: Literal["pil", "array"] | None = None
    merge_size: int | tuple[int, ...] | None = None
    reduction_rule: str = "hulumed"
    reduction_threshold: float | None = None
    max_frames: int | None = None
    timestamps: bool | None = None
    packing: bool | None = None
    add_system_prompt: bool = False
    add_generation_prompt: bool | None = None


def read_options(given: dict[str, Any], config: HuluMedConfig) -> PrepareOptions:
    """Check what the caller gave and fill in the checkpoint's defaults. OptionError names what is wrong."""
    known = [one.name for one in fields(PrepareOptions)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
            raise OptionError(f"Hulu-Med's prepare has no option {name!r}.", fix=hint)
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    layout = _one_of(values, "layout", ("hf", "original")) or config.layout
    merge = values.get("merge_size")
    if isinstance(merge, Sequence) and not isinstance(merge, str):
        merge = tuple(cast("Sequence[Any]", merge))
    for number in merge if isinstance(merge, tuple) else () if merge is None else (merge,):
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 8:
            raise OptionError(f"merge_size is {number!r}; whole numbers 1 to 8 are allowed.")
    for name in ("token_reduction", "timestamps", "packing", "add_system_prompt", "add_generation_prompt"):
        if not isinstance(values.get(name, False), bool):
            raise OptionError(f"{name} is {values[name]!r}; it must be true or false.")
    for name in ("max_tokens", "min_tokens", "max_frames"):
        number = values.get(name, 1)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise OptionError(f"{name} is {number!r}; it must be a whole number above 0.")
    threshold = values.get("reduction_threshold", 0.0)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < float("inf"):
        raise OptionError(f"reduction_threshold is {threshold!r}; it must be a number, 0 or more.")
    _one_of(values, "image_from", ("pil", "array"))
    values["layout"] = layout
    values["volume_loader"] = _one_of(values, "volume_loader", ("hf", "original")) or layout
    values.setdefault("token_reduction", config.token_reduction)
    values.setdefault("max_tokens", config.rules.max_tokens)
    values.setdefault("min_tokens", config.rules.min_tokens)
    values["merge_size"] = merge
    return PrepareOptions(**values)


def _one_of(values: dict[str, Any], name: str, allowed: tuple[str, ...]) -> Any:
    value = values.get(name)
    if value is not None and value not in allowed:
        raise OptionError(f"{name} is {value!r}, not one of {', '.join(allowed)}.")
    return value
