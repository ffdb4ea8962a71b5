"""Several processes on one recipe (`torchrun`, `accelerate launch`, Slurm): who is first, and how the model is cut."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from vesalius.errors import OptionError

__all__ = ["Processes", "sharding"]


@dataclass(frozen=True)
class Processes:
    """This process is number `index` of `number` that train together; one alone is 0 of 1."""

    index: int = 0
    number: int = 1

    @classmethod
    def here(cls) -> Processes:
        """As the launcher told it (RANK, WORLD_SIZE). OptionError where it told nonsense."""
        try:
            made = cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
        except ValueError as exc:
            raise OptionError("RANK or WORLD_SIZE in the environment is no number.") from exc
        if not 0 <= made.index < made.number:
            raise OptionError(f"RANK is {made.index} of WORLD_SIZE {made.number}; ranks count from 0.")
        return made

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.index == 0

    def rows_each(self, rows: int) -> int:
        """How many of the `rows` of a step each process takes. OptionError where they cannot be shared out."""
        if rows % self.number:
            near = max(1, round(rows / self.number)) * self.number
            raise OptionError(
                f"accumulate is {rows} rows a step, which {self.number} processes cannot share.",
                fix=f"Set accumulate={near}, or start another number of processes.",
            )
        return rows // self.number

    def meet(self, device: str) -> None:
        """Connect the processes (`device`: cpu or cuda), so that they can wait for each other."""
        if self.number > 1:
            from accelerate import PartialState

            # The others wait while the first writes a checkpoint, which may be large.
            PartialState(cpu=device == "cpu", timeout=timedelta(hours=2))

    @contextmanager
    def first_then_others(self) -> Generator[None]:
        """A block that the first process runs before the others, which then find what it wrote."""
        if self.number == 1:
            yield
            return
        from accelerate import PartialState

        with PartialState().main_process_first():
            yield


def sharding(family: Any) -> dict[str, Any]:
    """Trainer's arguments for FSDP2: each layer of the language model is a unit of its own, all else is one.

    Every row runs every language layer once, so all processes gather in the same order; a tower that only rows with
    pictures run may not be a unit, for a process without one would not come to the meeting.
    """
    from transformers import PreTrainedModel

    parts = {part: list(modules) for part, modules in family.parts().items()}
    language = [module for top in parts["language"] for module in top.modules()]
    inside = {id(module) for module in language}
    named: set[str] = set()
    for module in family.model.modules():
        if isinstance(module, PreTrainedModel):
            named |= set(getattr(module, "_no_split_modules", None) or ())
    here = {type(module).__name__ for module in language}
    elsewhere = {type(module).__name__ for module in family.model.modules() if id(module) not in inside}
    units = sorted((named & here) - elsewhere)
    policy = {"auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "transformer_layer_cls_to_wrap": units}
    return {"fsdp": True, "fsdp_config": {"version": 2, **(policy if units else {"auto_wrap_policy": "NO_WRAP"})}}
