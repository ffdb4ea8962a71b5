"""From YAML and `key=value` changes to frozen dataclasses; an unknown key names the nearest one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from vesalius.errors import OptionError

__all__ = ["changed", "filled", "read_mapping"]

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
"""A number YAML 1.1 reads as text, for lack of a point or a sign: 1e-5."""

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_mapping(path: str | Path, overrides: Sequence[str] = (), *, debug: bool = False) -> dict[str, Any]:
    """The recipe's keys: the file's, over them those of its `debug` variant where that is asked for (by `debug` or the
    change `debug=true`), over all the other changes. OptionError for what is no recipe or no change."""
    import yaml

    try:
        loaded: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as exc:
        raise OptionError(f"recipe cannot be read ({exc.strerror}).", file=path) from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise OptionError("recipe is not valid YAML.", file=path, fix="Check its indentation and colons.") from exc
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise OptionError("recipe must be a mapping of keys to values.", file=path)
    variant: Any = loaded.pop("debug", None)
    changes = [change for change in overrides if change.partition("=")[0] != "debug"]
    for change in overrides:
        if change not in changes:
            debug = _truth(change)
    if debug:
        if not isinstance(variant, dict):
            raise OptionError("the recipe has no debug variant.", file=path, fix="Add a mapping under debug.")
        loaded = changed(loaded, variant)
    for change in changes:
        _override(loaded, change)
    return loaded


def changed(given: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the values of `over` in their place, mappings key by key."""
    made = dict(given)
    for key, value in over.items():
        before: Any = made.get(key)
        made[key] = changed(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return made


def _truth(change: str) -> bool:
    said = change.partition("=")[2].strip().lower()
    if said not in _TRUTHS:
        raise OptionError(f"override {change!r} is neither true nor false.", fix="Write debug=true.")
    return _TRUTHS[said]


def _override(loaded: dict[str, Any], override: str) -> None:
    import yaml

    key, equals, text = override.partition("=")
    if not equals or not key:
        raise OptionError(f"override {override!r} is not key=value.", fix="Write for example steps=100.")
    *parents, last = key.split(".")
    place: Any = loaded
    for parent in parents:
        if isinstance(place, list):
            if not parent.isdigit() or int(parent) >= len(place):
                raise OptionError(f"override {override!r}: {parent!r} is no place in a list of {len(place)}.")
            place = place[int(parent)]
        else:
            held: Any = place.get(parent)
            # A part said in one word ("language: lora") may get settings of its own.
            place[parent] = {} if held is None else {"mode": held} if isinstance(held, str) else held
            place = place[parent]
        if not isinstance(place, dict | list):
            raise OptionError(f"override {override!r}: {parent!r} has no parts.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise OptionError(f"override {override!r}: the value is not valid YAML.") from exc
    if isinstance(place, list):
        if not last.isdigit() or int(last) >= len(place):
            raise OptionError(f"override {override!r}: {last!r} is no place in a list of {len(place)}.")
        place[int(last)] = value
    else:
        place[last] = value


def filled(kind: Any, values: Mapping[str, Any], path: str, prefix: str = "") -> Any:
    """The dataclass `kind` from a mapping. A field that is a word of Python ends with "_" (`from_` for `from`); a
    dataclass with a `short` class method takes a single string, too. OptionError naming the key."""
    hints = get_type_hints(kind)
    names = {_spelled(field.name): field.name for field in fields(kind)}
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1)
            fix = f"Did you mean {prefix}{near[0]}?" if near else f"Known: {', '.join(sorted(names))}."
            raise OptionError(f"unknown recipe key {prefix}{key!s}.", file=path, fix=fix)
        made[names[key]] = _convert(hints[names[key]], value, path, f"{prefix}{key}")
    for field in fields(kind):
        if field.name not in made and field.default is MISSING and field.default_factory is MISSING:
            raise OptionError(f"recipe key {prefix}{_spelled(field.name)} is missing.", file=path)
    return kind(**made)


def _spelled(name: str) -> str:
    return name[:-1] if name.endswith("_") and iskeyword(name[:-1]) else name


def _convert(hint: Any, value: Any, path: str, key: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _nested(hint, value, path, key)
    if origin is tuple and isinstance(value, list):
        return _several(inner, value, path, key)
    if origin in (dict, Mapping):
        return _named(inner[1], value, path, key)
    if origin is Literal:
        if value in inner and type(value) is str:
            return value
        allowed = " or ".join(str(one) or "nothing ('')" for one in inner)
        raise OptionError(f"{key} is {value!r}.", file=path, fix=f"Use {allowed}.")
    if type(None) in inner:
        return None if value is None else _convert(inner[0], value, path, key)
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is float and isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        if isinstance(value, int) and value < 0:
            raise OptionError(f"{key} is {value}; it must not be negative.", file=path)
        return value
    wanted = getattr(hint, "__name__", str(hint))
    raise OptionError(f"{key} is {value!r}; it must be of type {wanted}.", file=path)


def _nested(kind: Any, value: Any, path: str, key: str) -> Any:
    short: Any = getattr(kind, "short", None)
    if isinstance(value, str) and short is not None:
        return short(value)
    if not isinstance(value, dict):
        raise OptionError(f"{key} must be a mapping.", file=path)
    return filled(kind, value, path, f"{key}.")


def _several(kinds: tuple[Any, ...], values: list[Any], path: str, key: str) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(values)
    if len(kinds) != len(values):
        raise OptionError(f"{key} has {len(values)} values; it must have {len(kinds)}.", file=path)
    return tuple(_convert(kinds[place], one, path, f"{key}.{place}") for place, one in enumerate(values))


def _named(kind: Any, values: Any, path: str, key: str) -> dict[str, Any]:
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise OptionError(f"{key} must be a mapping of names to values.", file=path)
    return {name: one if kind is Any else _convert(kind, one, path, f"{key}.{name}") for name, one in values.items()}
