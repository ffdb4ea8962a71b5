"""transformers' Trainer that never loses work: whole checkpoints, resumed to the bit, ended by signals after saving."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import distributed
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, set_seed
from transformers.trainer_callback import ExportableState, TrainerState

from vesalius.errors import CheckpointError, OptionError, StoppedError, VesaliusError
from vesalius.training.checkpoint import keep_newest, newest_valid, sweep, writing_checkpoint
from vesalius.training.interruption import Interruption
from vesalius.training.loss_guard import LossGuard, NonFinite
from vesalius.training.positions import PositionedRows
from vesalius.training.run_lock import held_run
from vesalius.training.saved_state import (
    generators_of,
    optimizer_of,
    read_optimizer,
    read_processes,
    read_schedule,
    read_weights,
    set_generators,
    weights_of,
    write_optimizer,
    write_processes,
    write_schedule,
    write_weights,
)

__all__ = ["ResumableTrainer", "Safety"]

ABOUT = "about.json"
STATE = "trainer_state.json"


@dataclass(frozen=True)
class Safety:
    """How a run is kept safe. `hashes` (of recipe and data, by name) are written into every checkpoint, and one with
    others is refused. `nonfinite`, `nonfinite_limit`: what becomes of a step whose loss is NaN or infinite."""

    hashes: Mapping[str, str] = field(default_factory=dict[str, str])
    nonfinite: NonFinite = "stop"
    nonfinite_limit: int = 10
    report: Callable[[str], None] = lambda line: None


class ResumableTrainer(Trainer):
    """Trainer with checkpoints of `vesalius.training.checkpoint`. `safety` first, then Trainer's own arguments.

    A checkpoint holds weights, optimiser, schedule, the random number generators of every process, the position in the
    data (`PositionedRows`; other data sets are walked through again by Trainer), Trainer's state and `safety.hashes`.
    """

    def __init__(self, *given: Any, safety: Safety | None = None, **own: Any) -> None:
        super().__init__(*given, **own)
        self.safety = safety or Safety()
        self.run_folder = Path(str(self.args.output_dir))
        self.guard = LossGuard(self.safety.nonfinite, self.run_folder / "not_finite.jsonl", self.safety.nonfinite_limit)
        self.args.logging_nan_inf_filter = self.safety.nonfinite == "skip"
        self.interruption = Interruption(self.safety.report)
        self.add_callback(self.interruption)
        self.add_callback(_Begins(self._restore_log))
        self._resumed: Path | None = None

    def train_on(self, *, held: bool = False) -> Any:
        """Train from the newest whole checkpoint of the run folder, or from the start, to the end. `held`: whether the
        caller holds the folder (`held_run`) already. A run that had reached its end is only loaded (None).

        Errors: OptionError where another trainer holds the folder, it cannot be written, the disk is full, or its
        checkpoint is of another recipe or other data; CheckpointError where no checkpoint is whole; InputError for a
        loss that is not finite; StoppedError after a signal, when the checkpoint is written.
        """
        with ExitStack() as stack:
            if self.is_world_process_zero():
                if not held:
                    stack.enter_context(held_run(self.run_folder))
                sweep(self.run_folder)
            stack.enter_context(self.interruption.listening())
            newest = newest_valid(self.run_folder, self.safety.report)
            if newest is not None and self._ended_in(newest):
                return None
            self._go_on_from(newest)
            outcome = super().train(resume_from_checkpoint=None if newest is None else str(newest))
        if (number := self.interruption.received) is not None and self.state.global_step < self.state.max_steps:
            raise StoppedError(
                f"stopped by signal {number} after step {self.state.global_step} of {self.state.max_steps}; "
                "its checkpoint is written.",
                signal=number,
                file=self.run_folder,
                fix="Start it again to go on.",
            )
        return outcome

    def create_accelerator_and_postprocess(self) -> None:
        """Trainer's. accelerate shards on accelerators alone and would quietly copy the model to every process of a CPU
        run; there it is told to shard as well, so that what is tested on a CPU is what runs on GPUs."""
        super().create_accelerator_and_postprocess()
        state: Any = self.accelerator.state
        if self.args.fsdp and state.distributed_type == DistributedType.MULTI_CPU:
            told: dict[str, Any] = self.args.fsdp_plugin_args or {}
            plugin = FullyShardedDataParallelPlugin(**told)
            if state.mixed_precision != "no":
                plugin.set_mixed_precision(state.mixed_precision)
            # Each look at accelerate's state sets it to the shared one, which must therefore say so too.
            state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
            state.fsdp_plugin = plugin
            self.is_fsdp_enabled = True

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Rows one by one where they have a position (they are shared out already), else Trainer's own."""
        if not isinstance(self.train_dataset, PositionedRows):
            return super().get_train_dataloader()
        return DataLoader(self.train_dataset, batch_size=None, collate_fn=as_it_is)

    def own_state(self) -> dict[str, Any]:
        """What a kind of trainer knows beside, for JSON: from every process, into the checkpoint. Nothing here."""
        return {}

    def take_own_state(self, state: Mapping[str, Any]) -> None:
        """What `own_state` gave in this process, before training goes on; nothing where there were other processes."""

    # --- going on -----------------------------------------------------------------------------------------------------

    def _ended_in(self, checkpoint: Path) -> bool:
        """Whether a checkpoint is of the last step; it is then loaded. Trainer would learn one step more."""
        if _step_of(checkpoint) < self.args.max_steps:
            return False
        self._check_origin(checkpoint)
        self._load_from_checkpoint(str(checkpoint))
        self.state = TrainerState.load_from_json(str(checkpoint / STATE))
        return True

    def _check_origin(self, checkpoint: Path) -> None:
        about = _about(checkpoint)
        for name, value in self.safety.hashes.items():
            if about["hashes"].get(name) != value:
                raise OptionError(
                    f"{checkpoint.name} was trained with another {name}.",
                    file=self.run_folder,
                    fix="Name another folder.",
                )

    def _go_on_from(self, checkpoint: Path | None) -> None:
        self._resumed = checkpoint
        if checkpoint is None:
            self.guard.rewind(0, writes=self.is_world_process_zero())
            return
        self._check_origin(checkpoint)
        about = _about(checkpoint)
        self.guard.rewind(_step_of(checkpoint), writes=self.is_world_process_zero())
        rows: Any = self.train_dataset
        if isinstance(rows, PositionedRows):
            if about["position"] is None:
                raise CheckpointError("it does not say where in the data it was.", file=checkpoint)
            rows.resume(about["position"])

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        read_weights(self._inner(self.model if model is None else model), Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            read_optimizer(self.optimizer, self._inner(self.model), Path(checkpoint))
            read_schedule(self.lr_scheduler, Path(checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        every = read_processes(Path(checkpoint))
        own = self.args.process_index
        if own >= len(every) or not set_generators(every[own]):
            set_seed(self.args.seed + 1_000_003 * self.state.global_step + own)
            self.safety.report("other processes or devices than before: their random numbers start anew")

    def _restore_log(self) -> None:
        """The loss and other numbers since the last log, so that the next says what it would have said."""
        if self._resumed is None:
            return
        states = read_processes(self._resumed)
        every = [state["loss"] for state in states]
        same = len(every) == self.args.world_size
        self.take_own_state(states[self.args.process_index].get("own", {}) if same else {})
        since = every[self.args.process_index][0] if same else sum(one[0] for one in every) / len(every)
        self._tr_loss.fill_(since)
        self._total_loss_scalar, self._globalstep_last_logged = float(every[0][1]), int(every[0][2])

    # --- saving -------------------------------------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Gather in all processes, write in the first; all fail where it does."""
        del model, trial
        self.store_flos()
        first = self.is_world_process_zero()
        module = self._inner(self.model)
        weights = weights_of(module, keep=first)
        optimizer = optimizer_of(self.optimizer, module, keep=first)
        own = {**generators_of(), "loss": [float(self._tr_loss), self._total_loss_scalar, self._globalstep_last_logged]}
        own["own"] = self.own_state()
        processes = _of_all_processes(own, self.args.world_size, self.args.device)
        failure: Exception | None = None
        if first:
            try:
                with writing_checkpoint(self.run_folder, self.state.global_step) as partial:
                    write_weights(weights, partial)
                    write_optimizer(optimizer, partial)
                    write_schedule(self.lr_scheduler, partial)
                    write_processes(processes, partial)
                    self._save_scaler(str(partial))
                    self._note_callbacks()
                    self.state.save_to_json(str(partial / STATE))
                    (partial / ABOUT).write_text(json.dumps(self._told(), indent=1) + "\n", encoding="utf-8")
                keep_newest(self.run_folder, self.args.save_total_limit or 0)
            except Exception as exc:
                failure = exc
        if self.args.world_size > 1:
            failed = torch.tensor(failure is not None, dtype=torch.int32, device=self.args.device)
            distributed.broadcast(failed, src=0)
            if failed and failure is None:
                raise VesaliusError("the first process could not write the checkpoint.", file=self.run_folder)
        if failure is not None:
            raise failure

    def _told(self) -> dict[str, Any]:
        rows: Any = self.train_dataset
        done = self.state.global_step * self.args.gradient_accumulation_steps * self.args.world_size
        position = rows.state_after(done) if isinstance(rows, PositionedRows) else None
        return {
            "step": self.state.global_step,
            "hashes": dict(self.safety.hashes),
            "position": position,
            "processes": self.args.world_size,
            "torch": torch.__version__,
        }

    def _note_callbacks(self) -> None:
        """The state of callbacks that have one, as Trainer reads it."""
        every: list[Any] = [*self.callback_handler.callbacks, self.control]
        noted: dict[str, Any] = {}
        for one in every:
            if isinstance(one, ExportableState):
                name = type(one).__name__
                before = noted.get(name)
                now: Any = one.state()
                noted[name] = now if before is None else [*(before if isinstance(before, list) else [before]), now]
        state: Any = self.state
        state.stateful_callbacks = noted

    def _inner(self, model: Any) -> Any:
        return self.accelerator.unwrap_model(model, keep_torch_compile=False)

    # --- losses that are no numbers -----------------------------------------------------------------------------------

    def sample_ids(self, inputs: Any) -> Sequence[str]:
        """The ids of the samples in one row or batch, for the note about a loss that is not finite."""
        return [str(one) for one in inputs.get("sample_ids", ())] if isinstance(inputs, Mapping) else ()

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Trainer's, watched."""
        ids = self.sample_ids(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.guard.saw(ids, loss)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Trainer's, after which the step is judged: without gradients the optimiser changes nothing."""
        norm: Any = super()._get_grad_norm(model, grad_norm)
        value = float(norm)
        scaled = getattr(self.accelerator, "scaler", None) is not None  # which expects infinite gradients now and then
        finite = self.guard.losses_finite and (scaled or math.isfinite(value))
        if self.args.world_size > 1:
            bad = torch.tensor(not finite, dtype=torch.int32, device=self.args.device)
            distributed.all_reduce(bad, op=distributed.ReduceOp.MAX)
            finite = not bool(bad)
        step = self.state.global_step + 1
        if not self.guard.judge(step, finite=finite, gradient_norm=value, writes=self.is_world_process_zero()):
            optimizer: Any = self.optimizer
            optimizer.zero_grad(set_to_none=True)
            self.safety.report(f"step {step} is left out: its loss or gradient is not finite ({self.guard.file.name})")
        return norm


class _Begins(TrainerCallback):
    """Calls once Trainer has set its own start."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.call()


def as_it_is(row: Any) -> Any:
    """A row is a batch already: what collates it does nothing."""
    return row


def _about(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of itself."""
    return json.loads((checkpoint / ABOUT).read_text(encoding="utf-8"))


def _step_of(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / STATE).read_text(encoding="utf-8"))["global_step"])


def _of_all_processes(own: dict[str, Any], processes: int, device: Any) -> list[dict[str, Any]]:
    """Everybody's, in everybody's hands; as bytes of JSON, for torch would send objects as pickles."""
    if processes == 1:
        return [own]
    text = torch.tensor(list(json.dumps(own).encode()), dtype=torch.uint8, device=device)
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(processes)]
    distributed.all_gather(lengths, torch.tensor([len(text)], device=device))
    padded = torch.zeros(int(max(lengths)), dtype=torch.uint8, device=device)
    padded[: len(text)] = text
    texts = [torch.zeros_like(padded) for _ in range(processes)]
    distributed.all_gather(texts, padded)
    return [json.loads(bytes(one[: int(length)].tolist()).decode()) for one, length in zip(texts, lengths, strict=True)]
