"""`vesalius models`: which models there are, what each can do, what it needs and where its weights are from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vesalius.cli.printing import print_json

if TYPE_CHECKING:
    from vesalius.models.family_card import FamilyCard

__all__ = ["models", "starter_lacks"]

_HEAD = ("family", "checkpoint", "size", "float32", "bfloat16", "4-bit", "can", "licence", "weights from")


def models(
    family: Annotated[str | None, typer.Argument(help="One family in full, with its quirks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the models: sizes, what each can do, memory of the weights, licence, where the weights are from."""
    from vesalius.models.family_card import CAPABILITIES, MEMORY_RULE
    from vesalius.models.registry import FAMILIES

    cards = list(FAMILIES.values()) if family is None else [_named(family, FAMILIES)]
    here = _in_the_hub_cache()
    if as_json:
        told = [_told(card, here) for card in cards]
        print_json(told if family is None else told[0], indent=2)
        return
    if family is not None:
        _print_family(cards[0], here)
    else:
        _print_table(_HEAD, [row for card in cards for row in _rows(card)])
    print(f"\nCan: {'; '.join(f'{name} {says}' for name, says in CAPABILITIES.items())}.")
    print(MEMORY_RULE)
    if family is None:
        for names in here.values():
            print(f"In the hub cache: {', '.join(names)}")
        print("A checkpoint is loaded by its folder or hub id. vesalius models FAMILY says more.")
        if lacks := starter_lacks():
            print(f"starter: {lacks}")


def _named(family: str, families: dict[str, FamilyCard]) -> FamilyCard:
    from difflib import get_close_matches

    from vesalius.errors import OptionError

    if family not in families:
        near = get_close_matches(family, families, 1)
        fix = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(families)}."
        raise OptionError(f"no family is called {family!r}.", fix=fix)
    return families[family]


def _told(card: FamilyCard, here: dict[str, list[str]]) -> dict[str, Any]:
    """A family's card as JSON holds it."""
    return {
        "name": card.name,
        "about": card.about,
        "can": list(card.can),
        "state": _state(card, here),
        "converts": card.layout is not None,
        "checkpoints": [
            {
                "name": one.name,
                "source": one.source,
                "parameters": one.parameters,
                "memory_bytes": {precision: one.memory_bytes(precision) for precision in one.precisions},
                "can": list(one.can or card.can),
                "licence": one.licence,
            }
            for one in card.weights
        ],
        "quirks": card.quirks().explained(),
    }


def _state(card: FamilyCard, here: dict[str, list[str]]) -> str:
    if card.name == "starter":
        return starter_lacks() or "ready"
    return ", ".join(here.get(card.name, ())) or "give its checkpoint folder or hub id"


def _rows(card: FamilyCard) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in card.weights:
        memory = [one.memory_bytes(precision) for precision in ("float32", "bfloat16", "4-bit")]
        rows.append(
            (
                card.name,
                one.name,
                f"{one.parameters / 1e9:.2f} B",
                *("-" if number is None else f"{number / 1e9:.1f} GB" for number in memory),
                " ".join(one.can or card.can),
                one.licence,
                one.source,
            )
        )
    return rows


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A rich table on a terminal, else one line a row in aligned columns, none of it cut."""
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in head:
            table.add_column(name, justify="right" if name in ("size", "float32", "bfloat16", "4-bit") else "left")
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _print_family(card: FamilyCard, here: dict[str, list[str]]) -> None:
    print(f"{card.name}: {card.about}")
    print(f"State: {_state(card, here)}")
    _print_table(_HEAD[1:], [row[1:] for row in _rows(card)])
    quirks = card.quirks().explained()
    if quirks:
        print('\nQuirks, as published by default; quirks="off" or quirks={"name": False} corrects them:')
    for name, does in quirks.items():
        print(f"  {name}: {does}")


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
