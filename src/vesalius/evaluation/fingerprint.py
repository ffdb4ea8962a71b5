"""The manifest of a run: everything its numbers depend on, and what differs when a run is taken up again."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vesalius.errors import OptionError
from vesalius.evaluation.contract import Benchmark
from vesalius.evaluation.passes import Pass
from vesalius.evaluation.survey import Survey
from vesalius.inference.identity import Identity

__all__ = ["VERSION", "Sampling", "differences", "manifest_of", "merged"]

VERSION = 1

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pillow", "pydicom", "nibabel", "av")
_MAY_DIFFER = ("created", "data", "passes")
"""Where and when, and which passes: a folder may be moved, a pass added."""


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn. `options`: the family's own (pixel budget and the like)."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """OptionError for numbers no model can answer with; an endpoint might take them and say anything."""
        if self.max_new_tokens < 1:
            raise OptionError(f"max-new-tokens is {self.max_new_tokens}; it must be 1 or more.")
        if not 0 <= self.temperature <= 100:
            raise OptionError(f"temperature is {self.temperature:g}; it must be 0 to 100.")


def manifest_of(
    benchmark: Benchmark,
    data: Path,
    split: str,
    limit: int | None,
    found: Survey,
    model: Identity,
    sampling: Sampling,
    passes: Sequence[Pass],
) -> dict[str, Any]:
    """The fingerprint of a run, as JSON. How it is scored stands in the summary: one run is scored in many ways."""
    from vesalius import __version__

    return {
        "vesalius_run": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "benchmark": benchmark.name,
        **({"derived": dict(benchmark.derived)} if benchmark.derived else {}),
        "split": split,
        "limit": limit,
        "items": len(found.ids),
        "data": str(data.resolve()),
        "dataset_sha256": found.sha256,
        "template": benchmark.template,
        "coordinates": {
            "findings": "pixels of the original picture",
            "dialect": benchmark.dialect,
            "coord": benchmark.coord,
        },
        "model": asdict(model),
        "image_budget": {"policy": "the model's own processor", **sampling.options},
        "sampling": {"max_new_tokens": sampling.max_new_tokens, "temperature": sampling.temperature},
        "packages": {"python": platform.python_version(), "vesalius": __version__, **_versions()},
        "seeds": sorted({one.seed for one in passes}),
        "passes": {one.name: _told(one, len(found.asked(one))) for one in passes},
    }


def _told(one: Pass, count: int) -> dict[str, Any]:
    corruption = None if one.corruption is None else str(one.corruption)
    known = {
        "ablation": one.ablation,
        "permutation": one.permutation or None,
        "corruption": corruption,
        "limit": one.limit,
        "sample": one.sample,
    }
    return {"file": one.file, "items": count, "seed": one.seed} | {k: v for k, v in known.items() if v is not None}


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One phrase per entry that differs, the nearest cause first ("split: test, now train")."""
    found: list[str] = []
    for key in (*(k for k in before if k in now), *(k for k in before if k not in now), *now):
        if key in _MAY_DIFFER or key == "seeds" or before.get(key) == now.get(key):
            continue
        found += list(_phrases(key, before.get(key), now.get(key)))
    for name, one in before["passes"].items():
        after = now["passes"].get(name)
        if after is not None and after["seed"] != one["seed"]:
            found.append(f"seed: {one['seed']}, now {after['seed']}")
        if after is not None and "sample" not in {**one, **after} and after.get("limit") != one.get("limit"):
            found.append(f"limit of {name}: {_short(one.get('limit'))}, now {_short(after.get('limit'))}")
    return list(dict.fromkeys(found))


def _phrases(key: str, before: Any, now: Any) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for inner in dict.fromkeys([*before, *now]):
            if before.get(inner) != now.get(inner):
                yield from _phrases(f"{key}.{inner}", before.get(inner), now.get(inner))
        return
    yield f"{key}: {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] + "…" if len(text) == 64 and " " not in text else text[:60]


def merged(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The manifest a run that is taken up again goes on with: the old one, passes added, the data where they lie now.
    A pass on a sample of the items becomes the larger one asked for; it makes none smaller that is there.

    Raises OptionError naming what differs.
    """
    changed = differences(before, now)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise OptionError(
            f"the run was begun with other settings ({'; '.join(changed[:3])}{more}).",
            file=folder,
            fix="Run with the old ones, or choose another --out.",
        )
    passes = {**now["passes"], **before["passes"]}
    for name, one in before["passes"].items():
        after = now["passes"].get(name)
        if after is not None and "sample" in one and after.get("sample", one["sample"] + 1) > one["sample"]:
            passes[name] = after
    seeds = sorted({one["seed"] for one in passes.values()})
    return {**now, "created": before["created"], "seeds": seeds, "passes": passes}
