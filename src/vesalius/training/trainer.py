"""Trainer over packed rows: the loss of a step is the sum over its rows divided by what they all learn,
parts have their own rates and schedules, and the first step shows whether the gradient reaches them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainingArguments

from vesalius.errors import OptionError
from vesalius.models.contract import RowLoss, Trainable
from vesalius.models.parts.packed_rows import row_scores
from vesalius.training.learned_rows import Counts, Row, RowStream, counts_of
from vesalius.training.meters import Meters
from vesalius.training.parts import Learning, followed, gradient_norms, parameter_groups, schedule, unreached
from vesalius.training.positions import PositionedRows
from vesalius.training.recipe_sft import SftRecipe
from vesalius.training.resumable import ResumableTrainer, as_it_is

__all__ = ["RowLosses", "RowScores", "RowTrainer"]

_READS: Mapping[str, Callable[[Row], bool]] = {
    "vision": lambda row: any(sample.shows for sample in row.samples),
    "projector": lambda row: any(sample.shows for sample in row.samples),
    "mask_head": lambda row: row.masks > 0,
}
"""What a row must hold for a part to get a gradient of it; other parts read every row."""


class RowLosses(nn.Module):
    """The family as Trainer calls it: a row in, its losses out. A checkpoint holds what learns and nothing else.

    Processes that train together meet wherever weights are gathered and gradients added up, so all must compute the
    same modules forth and back (`meet`), also one whose row shows no picture.
    """

    def __init__(self, family: Trainable, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.network: nn.Module = family.model
        self._family, self._options = family, dict(options)
        self._meets = False

    def meet(self) -> None:
        """From now on every learning value takes part in every row, and the gradient goes through every language layer,
        as it does where a row shows a picture and its tower learns."""
        self._meets = True
        for part in self._family.parts()["language"]:
            for module in part.modules():
                if isinstance(module, nn.Embedding):
                    module.register_forward_hook(_with_gradient)

    def forward(self, row: Any) -> dict[str, Any]:
        """What the packed `row` costs: the fields of a RowLoss, where wrappers of the network find the tensors."""
        made = self._family.row_loss(row, **self._options)
        return {**vars(made), "summed": self.met(made.summed)}

    def met(self, value: Tensor) -> Tensor:
        """`value` as it is, with a gradient, zeros, to what learns outside the language model (`meet`)."""
        if not (self._meets and self.training and torch.is_grad_enabled()):
            return value
        own = {id(one) for module in self._family.parts()["language"] for one in module.parameters()}
        others = [one for one in self.parameters() if one.requires_grad and id(one) not in own]
        return value + 0.0 * sum((one.sum() for one in others), torch.zeros((), device=value.device))

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What learns, tied weights once."""
        learns = {name for name, value in self.named_parameters() if value.requires_grad}
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if name in learns}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what `state_dict` gave; what is frozen is not missed."""
        loaded: Any = super().load_state_dict(state_dict, strict=False, assign=assign)
        learns = {name for name, value in self.named_parameters() if value.requires_grad}
        return type(loaded)([name for name in loaded.missing_keys if name in learns], loaded.unexpected_keys)


class RowScores(RowLosses):
    """The family as trainers call it that compare answers."""

    def __init__(self, family: Trainable) -> None:
        super().__init__(family, {})

    def forward(self, row: Any, temperature: float = 1.0) -> Any:
        """(log-probabilities, entropies) of each sample of the packed `row`, as `row_scores`."""
        scores = row_scores(*self._family.row_states(row), temperature)
        # FSDP2 marks what leaves the module; views of one tensor cannot be marked.
        return [(self.met(logps).clone() if place == 0 else logps.clone(), entropies.clone())
                for place, (logps, entropies) in enumerate(scores)]  # fmt: skip


def _with_gradient(module: nn.Module, given: Any, embedded: Tensor) -> Tensor:
    """A hook: what a frozen table gave, as if it had learnt."""
    del module, given
    if embedded.requires_grad or not torch.is_grad_enabled():
        return embedded
    return embedded + torch.zeros((), dtype=embedded.dtype, device=embedded.device, requires_grad=True)


class RowTrainer(ResumableTrainer):
    """Trains what `learning` names on `rows`. `meters` gathers what the log shows beside the loss."""

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        family: Trainable,
        learning: Learning,
        recipe: SftRecipe,
        arguments: TrainingArguments,
        rows: RowStream | PositionedRows,
        *,
        held_out: RowStream | None = None,
        meters: Meters,
        **own: Any,
    ) -> None:
        options = {"seg_grad_hook": factor} if (factor := recipe.gradient_factor.get("mask_head")) is not None else {}
        self.recipe, self.learning, self.meters = recipe, learning, meters
        self._waiting = set(learning.parameters)
        self._showed: set[str] = set()
        losses = self.network_of(family, options)
        super().__init__(model=losses, args=arguments, train_dataset=rows, eval_dataset=held_out, **own)
        if self.args.world_size > 1:
            losses.meet()
        self.model_accepts_loss_kwargs = True

    @staticmethod
    def network_of(family: Trainable, options: Mapping[str, Any]) -> RowLosses:
        """The family as Trainer calls it."""
        return RowLosses(family, options)

    def own_state(self) -> dict[str, Any]:
        """What was gathered since the last log."""
        return {"meters": self.meters.state_dict()}

    def take_own_state(self, state: Mapping[str, Any]) -> None:
        """See `own_state`."""
        if "meters" in state:
            self.meters.load_state_dict(state["meters"])

    # --- data ---------------------------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Rows one by one, as they are made."""
        return DataLoader(self.train_dataset, batch_size=None, collate_fn=as_it_is)  # pyright: ignore[reportArgumentType]

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """What the rows of this step learn, over all processes."""
        counts = counts_of(batch_samples)
        if self.args.world_size > 1:
            both = torch.tensor([[counts.tokens, counts.masks]], device=device)
            gathered: Any = self.accelerator.gather(both)
            counts = Counts(*(int(number) for number in gathered.sum(0)))
        return counts

    def sample_ids(self, inputs: Any) -> Sequence[str]:
        """Of the row."""
        return [sample.id for sample in inputs.samples]

    # --- loss ---------------------------------------------------------------------------------------------------------

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The row's share of the step's loss: its sums over the counts of all rows of the step."""
        row: Row = inputs
        counts: Counts = num_items_in_batch or counts_of([row])
        made = RowLoss(**model(row.batch))
        loss = made.summed / max(1, counts.tokens)
        for total, _ in made.others.values():
            loss = loss + total / max(1, counts.masks)
        if model.training:
            self.meters.add(row, made)
            self._showed |= {part for part in self._waiting if part not in _READS or _READS[part](row)}
        loss = loss * self.accelerator.num_processes  # what is averaged over processes is a sum
        return (loss, made) if return_outputs else loss

    # --- optimiser ----------------------------------------------------------------------------------------------------

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW over the groups of the parts."""
        del model
        if self.optimizer is None:
            groups = parameter_groups(self.learning, self.recipe)
            self.optimizer = torch.optim.AdamW(groups, betas=self.recipe.betas, eps=1e-8)
        return self.optimizer

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: Any) -> Any:
        """Trainer's; a model that was cut up has other parameters of the same names."""
        made = super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        self.learning = followed(self.learning, self._inner(self.model).network)
        return made

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Each group with its own warm-up."""
        if self.lr_scheduler is None:
            chosen: Any = self.optimizer if optimizer is None else optimizer
            factors = [schedule(self.recipe.schedule, one["warmup"], num_training_steps) for one in chosen.param_groups]
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, factors)
        return self.lr_scheduler

    def _clip_grad_norm(self, model: Any) -> Any:
        """Before clipping: does every part learn, and how strongly."""
        if showed := self._showed_anywhere():
            self._check_reach(showed)
        self.meters.gradients(gradient_norms(self.learning))
        return super()._clip_grad_norm(model)

    def _showed_anywhere(self) -> set[str]:
        """Parts not yet looked at that a row of any process has shown what they read."""
        parts = sorted(self._waiting)
        if self.args.world_size > 1 and parts:
            flags = torch.tensor([part in self._showed for part in parts], dtype=torch.int32, device=self.args.device)
            torch.distributed.all_reduce(flags)
            return {part for part, seen in zip(parts, flags.tolist(), strict=True) if seen}
        return self._showed & self._waiting

    def _check_reach(self, parts: set[str]) -> None:
        """OptionError where nothing of a part that is to learn gets a gradient."""
        for part, names in unreached(self.learning).items():
            if part not in parts:
                continue
            self._waiting.discard(part)
            every = self.learning.parameters[part]
            if len(names) == len(every):
                raise OptionError(
                    f"no gradient reaches {part}: all {len(every)} of its learning tensors have none after a step.",
                    fix=f"Set parts.{part} to freeze, or see what detaches it.",
                )
            if names and self.learning.plans[part].mode == "train":
                self.meters.note(f"{part}: no gradient reaches {len(names)} of {len(every)} tensors ({names[0]}).")

    # --- log and evaluation -------------------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Trainer's numbers and those of the meters."""
        if "loss" in logs:
            rates: dict[str, float] = {}
            if self.lr_scheduler is not None:
                groups: Any = self.optimizer.param_groups if self.optimizer is not None else []
                rates = {f"learning_rate/{group['part']}": float(group["lr"]) for group in groups}
            logs = {**logs, **rates, **self.meters.read()}
            self.meters.show(self.state.global_step, self.state.max_steps, logs)
        super().log(logs, start_time)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The mean loss of held-out rows by token (`eval_loss`) and by task."""
        del ignore_keys
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        meters, network = Meters(self.recipe.max_length), cast(nn.Module, self.model)
        network.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for place, row in enumerate(rows):
                if place >= self.recipe.eval.rows:
                    break
                meters.add(row, RowLoss(**network(row.batch)))
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in meters.losses().items()}
        self.log(metrics)
        self.meters.note(f"step {self.state.global_step}: held-out loss {metrics[f'{metric_key_prefix}_loss']:.4f}")
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
