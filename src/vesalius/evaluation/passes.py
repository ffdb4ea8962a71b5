"""The passes of a run: the questions as they are, and the same ones with something taken away, spoilt or put in another
order.

Each pass has its own file, so that what a model says without its pictures stands beside what it says with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vesalius.errors import OptionError
from vesalius.evaluation.corruptions import Corruption, corruptions_named
from vesalius.evaluation.packages import package

__all__ = ["MAIN", "SAMPLE", "Ablation", "Pass", "passes_of"]

Ablation = Literal["blank", "shuffle", "none"]
"""What the media become: mean-grey ones of equal size, another item's of the same modality, or nothing at all."""

SAMPLE = 50
"""Items an ablation asks that nobody named: enough to see a model that does not look, few beside a benchmark."""

_MOST = 20


@dataclass(frozen=True)
class Pass:
    """One way through a benchmark. `name`: "main", "blank", "shuffle", "none", "blur-high" …, "options1" …,
    "repeat2" …, "blur-high.repeat2" ….

    `permutation`: 1 … k where the options of multiple-choice items are put in another order, else 0.
    `corruption`: how the media are spoilt, None where they are not.
    `limit`: only the first so many items are asked. `sample`: only so many, drawn by the seed, the same ones in every
    ablation; such a pass gives way to one that was asked for by name.
    `seed`: of sampling, of the derangement of pictures, of corruptions and of the order of options.
    """

    name: str
    seed: int = 0
    ablation: Ablation | None = None
    permutation: int = 0
    corruption: Corruption | None = None
    limit: int | None = None
    sample: int | None = None

    @property
    def plain(self) -> bool:
        """Whether the questions are asked as they stand: the main pass and its repeats."""
        return self.ablation is None and self.corruption is None and not self.permutation

    @property
    def needs_media(self) -> bool:
        """Whether only items with pictures, volumes or clips are asked."""
        return self.ablation is not None or self.corruption is not None

    @property
    def file(self) -> str:
        """The file of its predictions."""
        return "predictions.jsonl" if self.name == MAIN else f"predictions.{self.name}.jsonl"


MAIN = "main"


def passes_of(
    ablations: Sequence[str] = (),
    option_shuffle: int = 0,
    repeats: int = 1,
    seed: int = 0,
    corruptions: Sequence[str] = (),
    ablation_limit: int | None = None,
    ablation_sample: int = 0,
) -> tuple[Pass, ...]:
    """The main pass, then those asked for. `repeats` > 1 asks the plain and the corrupted questions again with the next
    seeds. `ablations`: names of `Ablation`, or "all". `corruptions`: "blur:high", "blur" (all severities) or "all".
    `ablation_limit`: the ablations named ask the first so many items only. `ablation_sample`: those not named ask so
    many items, drawn by the seed; 0: they ask nothing.

    Raises OptionError for an unknown ablation or corruption or a number out of range, UnsupportedError where pictures
    cannot be blurred because a package is missing.
    """
    for name, value, least in (("option-shuffle", option_shuffle, 0), ("repeats", repeats, 1)):
        if not least <= value <= _MOST:
            raise OptionError(f"{name} is {value}; it must be {least} to {_MOST}.")
    if ablation_limit is not None and ablation_limit < 1:
        raise OptionError(f"ablation-limit is {ablation_limit}; it must be 1 or more.")
    if ablation_sample < 0:
        raise OptionError(f"ablation-sample is {ablation_sample}; it must be 0 or more.")
    if not 0 <= seed < 2**31:
        raise OptionError(f"seed is {seed}; it must be 0 to {2**31 - 1}.")
    known = get_args(Ablation)
    for one in ablations:
        if one not in (*known, "all"):
            raise OptionError(f"image-ablation {one!r} is not one of {', '.join(known)}, all.")
    wanted = [Pass(MAIN, seed)]
    for one in known:
        if one in ablations or "all" in ablations:
            wanted.append(Pass(one, seed, ablation=one, limit=ablation_limit))
        elif ablation_sample:
            wanted.append(Pass(one, seed, ablation=one, sample=ablation_sample))
    spoilt = corruptions_named(corruptions)
    if any(one.name in ("blur", "mixed") for one in spoilt):
        package("scipy.ndimage", "blurred pictures")  # told now, not in every row
    wanted += [Pass(one.file_name, seed, corruption=one) for one in spoilt]
    wanted += [Pass(f"options{k}", seed, permutation=k) for k in range(1, option_shuffle + 1)]
    for k in range(2, repeats + 1):
        wanted.append(Pass(f"repeat{k}", seed + k - 1))
        wanted += [Pass(f"{one.file_name}.repeat{k}", seed + k - 1, corruption=one) for one in spoilt]
    return tuple(wanted)
