"""`vesalius models`: which models there are and whether they can run here."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Annotated

import typer

__all__ = ["models", "starter_lacks"]


def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False) -> None:
    """List the models and whether their weights are on this machine."""
    from vesalius.models.registry import FAMILIES, FamilyCard

    shown = [field.name for field in fields(FamilyCard) if field.name not in ("recognises", "load")]
    lines = [{name: str(getattr(card, name)) for name in shown} for card in FAMILIES.values()]
    here = _in_the_hub_cache()
    for line in lines:
        if line["name"] == "starter":
            line["state"] = starter_lacks() or "ready"
        else:
            line["state"] = ", ".join(here.get(line["name"], ())) or "give its checkpoint folder or hub id"
    if as_json:
        print(json.dumps(lines, indent=2, ensure_ascii=False))
        return
    for line in lines:
        print(f"{line['name']}: {line['state']}")
        for name in shown[1:]:
            print(f"  {name:<8} {line[name]}")


def _in_the_hub_cache() -> dict[str, list[str]]:
    """Family → complete checkpoints in the hub cache, as `--model` takes them."""
    from vesalius.errors import VesaliusError
    from vesalius.models.hub import HubAccess, cached_snapshots
    from vesalius.models.registry import recognise

    found: dict[str, list[str]] = {}
    for snapshot in cached_snapshots(HubAccess().folder):
        try:
            family = recognise(snapshot.folder).name
        except VesaliusError:  # another program's model, or one of a later version
            continue
        found.setdefault(family, []).append(f"{snapshot.repo}@{snapshot.commit}")
    return found


def starter_lacks() -> str:
    """What the starter still needs on this machine, with the command that brings it; empty if nothing."""
    from importlib.resources import files

    from vesalius.errors import VesaliusError
    from vesalius.models.starter_base.place import present_base

    try:
        base = present_base()
    except VesaliusError as error:
        return str(error)
    if base is None:
        return "Base weights are not here (183 MB to fetch, once). Run: vesalius starter install"
    trained = files("vesalius.models") / "starter_weights"
    if not trained.is_dir() or not any(entry.name.endswith(".safetensors") for entry in trained.iterdir()):
        return "This build carries no trained starter weights. Run: make train-starter"
    return ""
