"""Preference pairs as packed rows: chosen and rejected stand side by side, and each answer is scored as a whole."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.dialogue.preferences import Preference
from vesalius.errors import InputError, VesaliusError
from vesalius.inference.model import Model
from vesalius.models.contract import RowLoss, Trainable
from vesalius.training.data.conversation import conversation_of, saying_of
from vesalius.training.learned_rows import Learned, Row, learned_tokens, packed_row
from vesalius.training.recipe_rl import DpoRecipe
from vesalius.training.reference import Reference
from vesalius.training.trainer import RowLosses, RowScores, RowTrainer

__all__ = ["PairData", "PairTrainer", "PlacedPair", "dpo_losses"]

_MEASURES = ("preferred", "margin", "gain/chosen", "gain/rejected")


def dpo_losses(policy_2P: Tensor, reference_2P: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """(loss `[P]`, margin `[P]`) of P pairs. Inputs `[2, P]`: log-probabilities of the chosen and of the rejected
    answers, summed over their tokens.

    loss = -log sigmoid(margin), margin = beta ((chosen - its reference) - (rejected - its reference)).
    """
    gains = beta * (policy_2P - reference_2P)
    margin = gains[0] - gains[1]
    return -functional.logsigmoid(margin), margin


@dataclass(frozen=True)
class PlacedPair:
    """A pair and where it stands."""

    pair: Preference
    file: Path
    number: int

    @property
    def place(self) -> str:
        return f"{self.file.name}, row {self.number} ({self.pair.id})"


class PairData:
    """Pairs as rows (a `RowSource`): samples 0, 2, … of a row are chosen, 1, 3, … their rejected."""

    def __init__(self, model: Model, recipe: DpoRecipe, placed: Sequence[PlacedPair]) -> None:
        self.model, self.recipe, self.placed = model, recipe, list(placed)
        self._saying = saying_of(model, **dict(recipe.prepare))
        self._epoch = self._taken = 0

    def __iter__(self) -> Iterator[Row]:
        """Rows without end, pass after pass."""
        while True:
            for row in self._filled(self._order(self._epoch)[self._taken :]):
                self._taken += len(row) // 2
                yield row
            self._epoch, self._taken = self._epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Behind the last row: the pass, and how many of its pairs were given."""
        return {"epoch": self._epoch, "taken": self._taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on there."""
        self._epoch, self._taken = int(state["epoch"]), int(state["taken"])

    @property
    def rows_of_a_pass(self) -> int:
        """How many rows the first pass makes."""
        return sum(1 for _ in self._filled(self._order(0)))

    def _order(self, epoch: int) -> list[PlacedPair]:
        order = list(self.placed)
        random.Random(f"{self.recipe.seed}:{epoch}").shuffle(order)
        return order

    def held_out(self) -> Iterator[Row]:
        """One pair a row, in the order of the file."""
        for one in self.placed:
            yield packed_row(self.model.family, self.learned(one))

    def _filled(self, order: Sequence[PlacedPair]) -> Iterator[Row]:
        waiting: list[Learned] = []
        for one in order:
            both = self.learned(one)
            if waiting and sum(sample.length for sample in (*waiting, *both)) > self.recipe.max_length:
                yield packed_row(self.model.family, waiting)
                waiting = []
            waiting += both
        if waiting:
            yield packed_row(self.model.family, waiting)

    def learned(self, placed: PlacedPair) -> list[Learned]:
        """Chosen and rejected, prepared. InputError naming the row for one that cannot be."""
        family: Any = self.model.family
        made: list[Learned] = []
        try:
            for which in ("chosen", "rejected"):
                sample = placed.pair.sample(which)
                messages = conversation_of(sample, placed.file.parent, self._saying)
                batch = self.model.prepare(messages, **dict(self.recipe.prepare))
                tokens = learned_tokens(batch)
                if not tokens:
                    raise InputError(f"nothing of the {which} answer is learnt: every label is masked.")
                shows = any("pixel" in name for name in batch)
                length = family.length(batch)
                made.append(Learned(batch, sample.id, placed.pair.tags.task, length, tokens, 0, shows))
        except VesaliusError as exc:
            raise InputError(f"{placed.place}: {exc}") from exc
        if (length := sum(one.length for one in made)) > self.recipe.max_length:
            raise InputError(
                f"{placed.place}: both answers take {length} positions, max_length is {self.recipe.max_length}.",
                fix="Raise max_length, or show fewer or smaller pictures (prepare.max_pixels).",
            )
        return made


class PairTrainer(RowTrainer):
    """Direct preference over packed pairs."""

    def __init__(self, family: Trainable, learning: Any, recipe: DpoRecipe, *args: Any, **own: Any) -> None:
        self.beta = recipe.beta
        self.reference = Reference(p for named in learning.parameters.values() for _, p in named)
        self._seen: dict[str, list[float]] = {}
        super().__init__(family, learning, recipe, *args, **own)

    def own_state(self) -> dict[str, Any]:
        """See `RowTrainer`."""
        return {**super().own_state(), "pairs": self._seen}

    def take_own_state(self, state: Mapping[str, Any]) -> None:
        """See `RowTrainer`."""
        super().take_own_state(state)
        self._seen = {name: list(values) for name, values in state.get("pairs", {}).items()}

    @staticmethod
    def network_of(family: Trainable, options: Any) -> RowLosses:
        """See `RowTrainer`."""
        del options
        return RowScores(family)

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: Any) -> Any:
        """See `RowTrainer`; where the model was cut up, so is the reference."""
        made = super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        if self.args.world_size > 1:
            network: Any = self.model
            self.reference.follow((p for named in self.learning.parameters.values() for _, p in named), network)
        return made

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Pairs of this step, over all processes."""
        pairs = sum(len(row) // 2 for row in batch_samples)
        if self.args.world_size > 1:
            gathered: Any = self.accelerator.gather(torch.tensor([pairs], device=device))
            pairs = int(gathered.sum())
        return pairs

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The row's share of the step's mean over pairs."""
        row: Row = inputs
        losses, made = self.judged(model, row)
        if model.training:
            self.meters.add(row, made)
            self._showed |= self._waiting if any(one.shows for one in row.samples) else self._waiting & {"language"}
        loss = losses.sum() / (num_items_in_batch or len(losses)) * self.accelerator.num_processes
        return (loss, made) if return_outputs else loss

    def judged(self, model: nn.Module, row: Row) -> tuple[Tensor, RowLoss]:
        """(loss of each pair, the plain cross entropy of the row without gradient); notes accuracy and margin."""
        network: Any = self.model
        with self.reference.in_place():  # first: the policy's backward follows its forward
            before = torch.stack([logps.sum() for logps, _ in network(row.batch)])
        sums = torch.stack([logps.sum() for logps, _ in model(row.batch)])
        losses, margin = dpo_losses(sums.view(-1, 2).T, before.view(-1, 2).T, self.beta)
        gains = self.beta * (sums.detach() - before).view(-1, 2)
        measures = ((margin > 0).float(), margin.detach(), gains[:, 0], gains[:, 1])
        for name, values in zip(_MEASURES, measures, strict=True):
            self._seen.setdefault(name, []).extend(values.tolist())
        tokens = tuple(one.tokens for one in row.samples)
        return losses, RowLoss(-sums.detach().sum(), sum(tokens), -sums.detach(), tokens)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the share of pairs whose chosen answer gained more than the rejected one (`preferred`), the mean margin
        and both gains, over the pairs of all processes."""
        if "loss" in logs:
            logs = {**logs, **self._means()}
            self._seen = {}
        super().log(logs, start_time)

    def _means(self) -> dict[str, float]:
        own = [(sum(all_), len(all_)) for all_ in (self._seen.get(name, []) for name in _MEASURES)]
        totals = torch.tensor(own, dtype=torch.float64)
        if self.args.world_size > 1:
            totals = totals.to(self.args.device)
            torch.distributed.all_reduce(totals)
        return {name: total / count for name, (total, count) in zip(_MEASURES, totals.tolist(), strict=True) if count}

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The mean loss of held-out pairs, and the share that is preferred rightly."""
        del ignore_keys
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        before, self._seen = self._seen, {}
        losses: list[float] = []
        network: Any = self.model
        network.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for place, row in enumerate(rows):
                if place >= self.recipe.eval.rows:
                    break
                losses += self.judged(network, row)[0].tolist()
        preferred, self._seen = self._seen.get("preferred", []), before
        metrics = {
            f"{metric_key_prefix}_loss": sum(losses) / max(1, len(losses)),
            f"{metric_key_prefix}_preferred": sum(preferred) / max(1, len(preferred)),
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
