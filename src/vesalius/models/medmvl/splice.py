"""Visual tokens in the place of their placeholders.

Shape letters: B rows, L ids, P positions after splicing, T tokens of a picture or volume, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vesalius.errors import InputError
from vesalius.models.medmvl.prompt import IGNORE, PICTURE, VOLUME, WORDS

__all__ = ["padded", "real_rows", "spliced_embeds", "spliced_labels"]


def real_rows(rows_BL: Tensor, mask_BL: Tensor) -> list[Tensor]:
    """Each row without its padding."""
    return [row[mask] for row, mask in zip(rows_BL, mask_BL.bool(), strict=True)]


def spliced_embeds(
    ids: Sequence[Tensor], embed: Callable[[Tensor], Tensor], pictures: Sequence[Tensor], volumes: Sequence[Tensor]
) -> list[Tensor]:
    """`[P, D]` of each row of `ids`. `pictures`, `volumes`: `[T, D]` each, taken in order over all rows. InputError
    when there are more or fewer of them than placeholders."""
    for kind, seen in ((PICTURE, pictures), (VOLUME, volumes)):
        if (placed := sum(int((row == kind).sum()) for row in ids)) != len(seen):
            raise InputError(
                f"the prompt has {placed} {WORDS[kind]} placeholders, the batch {len(seen)} such media.",
                fix="Prepare the batch again.",
            )
    waiting = {PICTURE: iter(pictures), VOLUME: iter(volumes)}
    made: list[Tensor] = []
    for row in ids:
        texts = embed(row.clamp_min(0))
        parts: list[Tensor] = []
        at = 0
        for place in (row < 0).nonzero()[:, 0].tolist():
            parts += [texts[at:place], next(waiting[int(row[place])])]
            at = place + 1
        made.append(torch.cat([*parts, texts[at:]]))
    return made


def spliced_labels(
    ids: Sequence[Tensor], labels: Sequence[Tensor], num_tokens: Mapping[int, Sequence[int]]
) -> list[Tensor]:
    """`[P]` of each row: -100 at visual tokens. `num_tokens`: of each picture and volume, in order over all rows."""
    waiting = {kind: iter(numbers) for kind, numbers in num_tokens.items()}
    made: list[Tensor] = []
    for row, learned in zip(ids, labels, strict=True):
        spliced: list[int] = []
        for number, label in zip(row.tolist(), learned.tolist(), strict=True):
            spliced += [label] if number >= 0 else [IGNORE] * next(waiting[number])
        made.append(torch.tensor(spliced))
    return made


def padded(rows: Sequence[Tensor], value: float, *, left: bool) -> Tensor:
    """Rows `[P]` or `[P, D]` of different lengths in one tensor, `value` on one side of the shorter ones."""
    longest = max(len(row) for row in rows)
    made: list[Tensor] = []
    for row in rows:
        gap = longest - len(row)
        sides = (gap, 0) if left else (0, gap)
        made.append(functional.pad(row, (0, 0, *sides) if row.dim() == 2 else sides, value=value))
    return torch.stack(made)
