"""Supervised training: from a recipe to a checkpoint or adapter that `vesalius.load` reads."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import OptionError, UnsupportedError
from vesalius.models.adapters import is_adapter
from vesalius.training.recipe_sft import SftRecipe, sft_hash
from vesalius.training.sft_data import Checked, SftData, mixture_of

__all__ = [
    "Trained",
    "base_of",
    "check_loggers",
    "checkpoint_activations",
    "claim",
    "finished",
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
    line at a time.

    Before the first step: OptionError for keys, parts, devices and loggers that cannot be, InputError for data that is
    empty, bad or too long, the errors of `vesalius.load` for the model.
    """
    check_loggers(recipe)
    out = Path(recipe.out)
    claim(out, recipe)
    mixture = mixture_of(recipe.data, recipe, out / "phantoms")
    base, called = base_of(recipe, out, report)
    import torch

    from vesalius.inference.model import Model
    from vesalius.models.placement import chosen_device
    from vesalius.models.registry import load_family
    from vesalius.training.learned_rows import RowStream
    from vesalius.training.meters import Meters
    from vesalius.training.parts import check_parts, learning_parts

    torch.manual_seed(recipe.seed)
    device = str(chosen_device(recipe.device))
    dtype = "float32" if recipe.precision == "float32" else "auto"
    family: Any = load_family(str(base), device=device, dtype=dtype, quirks=recipe.quirks)
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
    if recipe.eval.every:
        apart = SftData(data.model, recipe, mixture_of(recipe.eval.data, recipe, out / "phantoms"))
        held_out = RowStream(apart.held_out)
    trainer = trainer_of(
        family, learning, recipe, RowStream(data.rows), held_out, steps, Meters(recipe.max_length, report)
    )
    from vesalius.training.budget import newest_checkpoint

    trainer.train(resume_from_checkpoint=newest_checkpoint(out))
    for line, count in data.skipped.items():
        report(f"skipped {count} times: {line}")
    files = [file for source in mixture.sources for file in source.files]
    return finished(family, learning, base, called, recipe, trainer, files, data.num_skipped, report)


def trainer_of(
    family: Any,
    learning: Any,
    recipe: SftRecipe,
    rows: Any,
    held_out: Any,
    steps: int,
    meters: Any,
    kind: Any = None,
) -> Any:
    """A trainer of `kind` (None: `RowTrainer`) with the recipe's arguments."""
    import torch
    from transformers import TrainingArguments

    from vesalius.training.trainer import RowTrainer

    on_cpu = next(family.model.parameters()).device.type == "cpu"
    if recipe.activation_checkpointing:
        checkpoint_activations(family.model)
    arguments = TrainingArguments(
        output_dir=recipe.out,
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=recipe.accumulate,
        max_grad_norm=recipe.max_grad_norm or math.inf,
        learning_rate=recipe.learning_rate,
        use_cpu=on_cpu or not torch.cuda.is_available(),
        bf16=recipe.precision == "bfloat16",
        logging_steps=recipe.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
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
    )
    with _curves_in(Path(recipe.out) / "tensorboard"):
        trainer = (kind or RowTrainer)(family, learning, recipe, arguments, rows, held_out=held_out, meters=meters)
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # the meters say it in one line
    return trainer


@contextmanager
def _curves_in(folder: Path) -> Iterator[None]:
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
) -> Trained:
    """Write what was trained and the run card; `files`: the samples that were learnt from."""
    from vesalius.training.run_card import write_card
    from vesalius.training.save_trained import save_trained

    folder = Path(recipe.out) / FINAL
    if folder.exists():
        shutil.rmtree(folder)
    save_trained(family, learning, base, folder, called)
    steps, log = int(trainer.state.global_step), tuple(trainer.state.log_history)
    card = write_card(Path(recipe.out), recipe, learning.lines(), log, num_skipped, list(files))
    kind = "adapter" if learning.lora is not None else "checkpoint"
    report(f"wrote the {kind} {folder} and {card}")
    return Trained(folder, steps, log)


def check_loggers(recipe: SftRecipe) -> None:
    """OptionError for a logger that is not known, UnsupportedError for one that is not installed."""
    from importlib.util import find_spec

    for name in recipe.report_to:
        if name not in _LOGGERS:
            raise OptionError(f"report_to names {name!r}.", fix=f"Known: {', '.join(_LOGGERS)}.")
        if find_spec(_LOGGERS[name]) is None:
            raise UnsupportedError(f"report_to needs {name}, which is not installed.", fix=f"Run: pip install {name}.")


def claim(out: Path, recipe: SftRecipe) -> None:
    """Note in the folder which recipe runs there. OptionError where another one did."""
    noted = out / "recipe.json"
    own = sft_hash(recipe)
    if noted.is_file():
        if json.loads(noted.read_text(encoding="utf-8")).get("sha256") != own:
            raise OptionError("the folder holds a run of another recipe.", file=out, fix="Name another: out=FOLDER.")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        part = noted.with_suffix(".part")
        part.write_text(json.dumps({"sha256": own, "recipe": asdict(recipe)}, indent=1) + "\n", encoding="utf-8")
        os.replace(part, noted)
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
    if not place.is_dir():
        raise OptionError(f"{recipe.model} is not a checkpoint that recipes of this kind train.",
                          fix="Give a checkpoint folder or a hub id; the starter has a recipe of its own.")  # fmt: skip
    if where is None:
        return place, recipe.model
    from vesalius.models.convert import convert

    merged = out / "base"
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
                module.gradient_checkpointing_enable({"use_reentrant": False})
