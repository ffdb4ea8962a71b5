"""The passes of a run: the questions as they are, and the same ones with something taken away or put in another order.

Each pass has its own file, so that what a model says without its pictures stands beside what it says with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vesalius.errors import OptionError

__all__ = ["MAIN", "Ablation", "Pass", "passes_of"]

Ablation = Literal["blank", "shuffle", "none"]
"""What the media become: mean-grey ones of equal size, another item's of the same modality, or nothing at all."""

_MOST = 20


@dataclass(frozen=True)
class Pass:
    """One way through a benchmark. `name`: "main", "blank", "shuffle", "none", "options1" …, "repeat2" ….

    `permutation`: 1 … k where the options of multiple-choice items are put in another order, else 0.
    `seed`: of sampling, of the derangement of pictures and of the order of options.
    """

    name: str
    seed: int = 0
    ablation: Ablation | None = None
    permutation: int = 0

    @property
    def file(self) -> str:
        """The file of its predictions."""
        return "predictions.jsonl" if self.name == MAIN else f"predictions.{self.name}.jsonl"


MAIN = "main"


def passes_of(
    ablations: Sequence[str] = (), option_shuffle: int = 0, repeats: int = 1, seed: int = 0
) -> tuple[Pass, ...]:
    """The main pass, then those asked for. `repeats` > 1 asks everything again with the next seeds.

    Raises OptionError for an unknown ablation or a number out of range.
    """
    for name, value, least in (("option-shuffle", option_shuffle, 0), ("repeats", repeats, 1)):
        if not least <= value <= _MOST:
            raise OptionError(f"{name} is {value}; it must be {least} to {_MOST}.")
    if not 0 <= seed < 2**31:
        raise OptionError(f"seed is {seed}; it must be 0 to {2**31 - 1}.")
    for one in ablations:
        if one not in get_args(Ablation):
            raise OptionError(f"image-ablation {one!r} is not one of {', '.join(get_args(Ablation))}.")
    wanted = [Pass(MAIN, seed)]
    wanted += [Pass(one, seed, ablation=one) for one in get_args(Ablation) if one in ablations]
    wanted += [Pass(f"options{k}", seed, permutation=k) for k in range(1, option_shuffle + 1)]
    wanted += [Pass(f"repeat{k}", seed + k - 1) for k in range(2, repeats + 1)]
    return tuple(wanted)
