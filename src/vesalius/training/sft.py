"""Supervised training: from a recipe to a checkpoint or adapter that `vesalius.load` reads."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import OptionError, UnsupportedError
from vesalius.models.adapters import is_adapter
from vesalius.training.recipe_sft import SftRecipe, sft_hash
from vesalius.training.sft_data import Checked, SftData, mixture_of

if TYPE_CHECKING:
    from vesalius.training.processes import Processes

__all__ = [
    "Trained",
    "base_of",
    "check_claim",
    "check_loggers",
    "checkpoint_activations",
    "claim",
    "curves_in",
    "finished",
    "safety_of",
    "train_sft",
    "trainer_of",
]

Report = Callable[[str], None]
FINAL = "final"
_LOGGERS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}


@dataclass(frozen=True)
class Trained:
    """`folder`: the checkpoint or adapter.  `steps` done.  `log`: Trainer's history."""

    folder: Path
    steps: int
    log: tuple[dict[str, Any], ...]


def train_sft(recipe: SftRecipe, report: Report) -> Trained:
    """Run a recipe; started again in the same folder it goes on from its newest whole checkpoint. `report` receives one
    line at a time. Under `torchrun` every process calls; the first one writes and reports.

    Before the first step: OptionError for keys, parts, devices and loggers that cannot be, InputError for data that is
    empty, bad or too long, the errors of `vesalius.load` for the model. While training: as `ResumableTrainer.train_on`.
    """
    from vesalius.training.processes import Processes
    from vesalius.training.run_lock import held_run

    here = Processes.here()
    here.rows_each(recipe.accumulate)
    check_loggers(recipe)
    if not here.first:
        return _train(recipe, here, lambda line: None)
    with held_run(Path(recipe.out)):
        return _train(recipe, here, report)


def _train(recipe: SftRecipe, here: Processes, report: Report) -> Trained:
    import torch

    from vesalius.inference.model import Model
    from vesalius.models.placement import chosen_device
    from vesalius.models.registry import load_family
    from vesalius.training.learned_rows import PackedRows, RowStream
    from vesalius.training.meters import Meters
    from vesalius.training.parts import check_parts, learning_parts
    from vesalius.training.positions import PositionedRows

    out = Path(recipe.out)
    here.meet(str(chosen_device(recipe.device)))
    with here.first_then_others():
        check_claim(out, recipe)
        mixture = mixture_of(recipe.data, recipe, out / "phantoms")
        held_out_mixture = mixture_of(recipe.eval.data, recipe, out / "phantoms") if recipe.eval.every else None
        base, called = base_of(recipe, out, report)
    torch.manual_seed(recipe.seed)
    family: Any = load_family(str(base), device=recipe.device, dtype=dtype_of(recipe), quirks=recipe.quirks)
    check_parts(family, recipe)
    data = SftData(Model(family), recipe, mixture)
    checked = data.check()
    _check_what_is_shown(recipe, checked)
    learning = learning_parts(family, recipe)
    for line in learning.lines():
        report(line)
    steps = recipe.steps or _steps(recipe, checked, mixture.num_rows)
    report(f"{mixture.num_rows} samples, the longest of those checked takes {checked.longest} of {recipe.max_length} "
           f"positions; {steps} steps")  # fmt: skip
    for where, reason in checked.bad:
        report(f"skipped: {where}: {reason}")
    held_out = None
    if held_out_mixture is not None:
        apart = SftData(data.model, recipe, held_out_mixture)
        apart.check()
        held_out = RowStream(apart.held_out)
    packer = data.packer()
    rows = PositionedRows(PackedRows(family, packer), process=here.index, processes=here.number)
    digests = packer.stream.state_dict()["mixture"]["data"]
    trainer = trainer_of(
        family, learning, recipe, rows, held_out, steps, Meters(recipe.max_length, report), digests=digests, here=here
    )
    if here.first:
        claim(out, recipe)
    trainer.train_on(held=True)
    for line, count in data.skipped.items():
        report(f"skipped {count} times: {line}")
    files = [file for source in data.mixture.sources for file in source.files]
    return finished(family, trainer.learning, base, called, recipe, trainer, files, data.num_skipped, report, here)


def dtype_of(recipe: SftRecipe) -> str:
    """What the weights are loaded in: float32 training needs it, else as they are stored."""
    return "float32" if recipe.precision == "float32" else "auto"


def trainer_of(
    family: Any,
    learning: Any,
    recipe: SftRecipe,
    rows: Any,
    held_out: Any,
    steps: int,
    meters: Any,
    *,
    digests: Any,
    kind: Any = None,
    here: Processes | None = None,
) -> Any:
    """A trainer of `kind` (None: `RowTrainer`) with the recipe's arguments. `digests`: what tells its data from other
    data, as JSON writes it; checkpoints of other data are refused."""
    import torch
    from transformers import TrainingArguments

    from vesalius.training.processes import Processes, sharding
    from vesalius.training.trainer import RowTrainer

    here = here or Processes.here()
    on_cpu = next(family.model.parameters()).device.type == "cpu"
    if recipe.activation_checkpointing:
        checkpoint_activations(family.model)
    arguments = TrainingArguments(
        output_dir=recipe.out,
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=here.rows_each(recipe.accumulate),
        max_grad_norm=recipe.max_grad_norm or math.inf,
        learning_rate=recipe.learning_rate,
        use_cpu=on_cpu or not torch.cuda.is_available(),
        bf16=recipe.precision == "bfloat16",
        logging_steps=recipe.log_every,
        logging_first_step=True,
        save_strategy="steps" if recipe.save_every else "no",
        save_steps=recipe.save_every or steps,
        save_total_limit=recipe.keep,
        eval_strategy="steps" if recipe.eval.every else "no",
        eval_steps=recipe.eval.every or None,
        seed=recipe.seed,
        data_seed=recipe.seed,
        remove_unused_columns=False,
        report_to=list(recipe.report_to),
        run_name=Path(recipe.out).name,
        disable_tqdm=True,
        **(sharding(family) if here.number > 1 else {}),
    )
    safety = safety_of(recipe, digests, meters.report)
    with curves_in(Path(recipe.out) / "tensorboard"):
        trainer = (kind or RowTrainer)(
            family, learning, recipe, arguments, rows, held_out=held_out, meters=meters, safety=safety
        )
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # the meters say it in one line
    return trainer


def safety_of(recipe: SftRecipe, digests: Any, report: Report) -> Any:
    """The `Safety` of a recipe; `digests` as `trainer_of`."""
    from vesalius.training.resumable import Safety

    return Safety(
        hashes={"recipe": sft_hash(recipe), "data": hashlib.sha256(json.dumps(digests).encode()).hexdigest()},
        nonfinite=recipe.nonfinite,
        nonfinite_limit=recipe.nonfinite_limit,
        report=report,
    )


@contextmanager
def curves_in(folder: Path) -> Iterator[None]:
    """Where TensorBoard's files go, unless the user said it: its callback asks the environment, when it is made."""
    name = "TENSORBOARD_LOGGING_DIR"
    before = os.environ.get(name)
    os.environ.setdefault(name, str(folder))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def finished(
    family: Any,
    learning: Any,
    base: Path,
    called: str,
    recipe: SftRecipe,
    trainer: Any,
    files: Sequence[Path],
    num_skipped: int,
    report: Report,
    here: Processes | None = None,
) -> Trained:
    """Write what was trained and the run card; `files`: the samples that were learnt from."""
    from vesalius.training.processes import Processes
    from vesalius.training.run_card import write_card
    from vesalius.training.save_trained import save_trained

    here = here or Processes.here()
    folder = Path(recipe.out) / FINAL
    steps, log = int(trainer.state.global_step), tuple(trainer.state.log_history)
    if here.number > 1:
        family, learning = _whole(trainer, base, recipe, here)
    if here.first:
        _replace_final(folder, lambda fresh: save_trained(family, learning, base, fresh, called))
        card = write_card(Path(recipe.out), recipe, learning.lines(), log, num_skipped, list(files))
        kind = "adapter" if learning.lora is not None else "checkpoint"
        report(f"wrote the {kind} {folder} and {card}")
    return Trained(folder, steps, log)


def _replace_final(folder: Path, write: Callable[[Path], Any]) -> None:
    """Write a new folder, then put it where an earlier one stands."""
    fresh, old = folder.with_name(f"{FINAL}.new"), folder.with_name(f"{FINAL}.old")
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    write(fresh)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _whole(trainer: Any, base: Path, recipe: SftRecipe, here: Processes) -> tuple[Any, Any]:
    """What the processes learnt in slices, put into a fresh copy in main memory: (family, learning). All gather."""
    from vesalius.models.registry import load_family
    from vesalius.training.parts import learning_parts
    from vesalius.training.saved_state import put_weights, weights_of
    from vesalius.training.trainer import RowLosses

    learnt = weights_of(trainer.model, keep=here.first)
    if not here.first:
        return None, trainer.learning
    family: Any = load_family(str(base), device="cpu", dtype=dtype_of(recipe), quirks=recipe.quirks)
    learning = learning_parts(family, recipe)
    put_weights(learnt, RowLosses(family, {}))
    return family, learning


def check_loggers(recipe: SftRecipe) -> None:
    """OptionError for a logger that is not known, UnsupportedError for one that is not installed."""
    from importlib.util import find_spec

    for name in recipe.report_to:
        if name not in _LOGGERS:
            raise OptionError(f"report_to names {name!r}.", fix=f"Known: {', '.join(_LOGGERS)}.")
        if find_spec(_LOGGERS[name]) is None:
            raise UnsupportedError(f"report_to needs {name}, which is not installed.", fix=f"Run: pip install {name}.")


def check_claim(out: Path, recipe: SftRecipe) -> None:
    """OptionError where another recipe was run in the folder, or none can be."""
    noted = out / "recipe.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        told: Any = json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else {}
    except OSError as exc:
        raise OptionError(f"out cannot be used ({exc.strerror}).", file=out) from exc
    except ValueError as exc:
        raise OptionError("recipe.json is damaged.", file=out, fix="Name another: out=FOLDER.") from exc
    if told and told.get("sha256") != sft_hash(recipe):
        raise OptionError("the folder holds a run of another recipe.", file=out, fix="Name another: out=FOLDER.")


def claim(out: Path, recipe: SftRecipe) -> None:
    """Note in the folder which recipe runs there."""
    part = out / "recipe.json.part"
    told = {"sha256": sft_hash(recipe), "recipe": asdict(recipe)}
    try:
        part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        os.replace(part, out / "recipe.json")
    except OSError as exc:
        raise OptionError(f"out cannot be written ({exc.strerror}).", file=out) from exc


def base_of(recipe: SftRecipe, out: Path, report: Report) -> tuple[Path, str]:
    """(the checkpoint folder that is trained, how it is called)."""
    from vesalius.models.hub import HubAccess, located
    from vesalius.models.registry import recognise

    where = _earlier(Path(recipe.from_)) if recipe.from_ else None
    if where is not None and not is_adapter(where):
        return where, str(where)
    place = Path(located(recipe.model, access=HubAccess(), accept=recognise))
    if recipe.model == "starter":
        from vesalius.models.starter.starter import WEIGHTS

        place = WEIGHTS
    if not place.is_dir():
        raise OptionError(f"{recipe.model} is not a checkpoint that recipes of this kind train.",
                          fix="Give a checkpoint folder or a hub id.")  # fmt: skip
    if where is None:
        return place, recipe.model
    from vesalius.models.convert import convert

    merged = out / f"base-{sft_hash(recipe)[:8]}"
    if not merged.is_dir():
        report(f"adding the adapter {where} to {recipe.model}: {merged}")
        convert(place, merged, to="same", adapter=where)
    return merged, str(merged)


def _earlier(given: Path) -> Path:
    """The checkpoint or adapter of an earlier run."""
    for folder in (given / FINAL, given):
        if is_adapter(folder) or (folder / "config.json").is_file():
            return folder
    raise OptionError("from holds neither a checkpoint nor an adapter.", file=given, fix="Give the folder of a run.")


def _check_what_is_shown(recipe: SftRecipe, checked: Checked) -> None:
    """OptionError for a part that learns while the samples hold nothing it reads."""
    for part, plan in recipe.parts.items():
        if plan.mode == "freeze":
            continue
        if part in ("vision", "projector") and not checked.shows:
            raise OptionError(f"{part} is to learn, and no sample shows a picture.", fix=f"Set parts.{part} to freeze.")
        if part == "mask_head" and not checked.masks:
            raise OptionError("mask_head is to learn, and no sample has a mask.", fix="Set parts.mask_head to freeze.")


def _steps(recipe: SftRecipe, checked: Checked, samples: int) -> int:
    """Steps of the epochs: from the rows that the checked samples fill."""
    rows = checked.rows * samples / max(1, checked.samples + len(checked.bad))
    return max(1, math.ceil(recipe.epochs * rows / recipe.accumulate))


def checkpoint_activations(network: Any) -> None:
    """Keep no activations of transformers' layers; they are computed again in the backward pass."""
    from transformers import PreTrainedModel

    inside: set[int] = set()
    for module in network.modules():
        if isinstance(module, PreTrainedModel) and id(module) not in inside:
            inside |= {id(child) for child in module.modules()}
            if module.supports_gradient_checkpointing:
                module.activation_checkpointing_enable({"use_reentrant": False})
