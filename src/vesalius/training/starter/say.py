"""Stage "say": the projector and LoRA adapters of the language model, with transformers' Trainer and PEFT.

One row is one conversation about one picture (or pair, volume, clip): its visual tokens and scene text once, then
several independent questions. Rows are not padded: one row per forward pass, accumulated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from vesalius.models.parts.projector import Projector
from vesalius.models.starter.config import StarterConfig
from vesalius.training.budget import WallClock, stage_arguments
from vesalius.training.resumable import ResumableTrainer, Safety

__all__ = ["SayRows", "SayTask", "adapted_language", "train_say"]

LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

Row = dict[str, Tensor]


class SayRows(Dataset[Row]):
    """`make(index)` gives `ids`, `labels` int64 `[L]`, `visual` int64 `[V]` positions and `tokens` `[V, F]`."""

    def __init__(self, make: Callable[[int], Row], count: int) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Row:
        return self.make(index)


def adapted_language(language: LlamaForCausalLM, config: StarterConfig) -> Any:
    """The language model with fresh LoRA adapters on every attention and MLP matrix; everything else is frozen."""
    lora = LoraConfig(
        r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=LORA_TARGETS, lora_dropout=0.0, bias="none"
    )
    return get_peft_model(language, lora)


class SayTask(nn.Module):
    """Projector and adapted language model with the loss on answers only."""

    def __init__(self, language: Any, projector: Projector) -> None:
        super().__init__()
        self.language, self.projector = language, projector

    def _trained(self) -> set[str]:
        return {name for name, value in self.named_parameters() if value.requires_grad}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What is trained and nothing else: a checkpoint holds no second copy of the frozen (and tied) base."""
        trained = self._trained()
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if name in trained}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what `state_dict` gave; the frozen base is not missed."""
        loaded: Any = super().load_state_dict(state_dict, strict=False, assign=assign)
        missing = [name for name in loaded.missing_keys if name in self._trained()]
        return type(loaded)(missing, loaded.unexpected_keys)

    def forward(self, ids: Tensor, labels: Tensor, visual: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """One row: `ids`, `labels` `[1, L]`, `visual` `[1, V]`, `tokens` `[1, V, F]`."""
        causal = self.language.get_base_model()
        embedded = causal.model.embed_tokens(ids).detach()
        if visual.shape[1]:
            embedded = embedded.index_copy(1, visual[0], self.projector(tokens).to(embedded.dtype))
        hidden = causal.model(inputs_embeds=embedded, use_cache=False).last_hidden_state
        # Only positions whose next token is learnt reach the vocabulary: 49,152 wide, the dearest product of the row.
        targets = labels[0, 1:]
        kept = targets != -100
        logits = causal.lm_head(hidden[0, :-1][kept]).float()
        return {"loss": functional.cross_entropy(logits, targets[kept])}


def _one_row(rows: Sequence[Row]) -> Row:
    return {name: value[None] for name, value in rows[0].items()}


def train_say(
    task: SayTask,
    rows: SayRows,
    folder: Path,
    *,
    steps: int,
    accumulate: int,
    learning_rate: float,
    seed: int,
    save_steps: int = 20,
    budget_s: float | None = None,
    bf16: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train in place, resuming from the newest whole checkpoint in `folder`. Returns Trainer's log history and the
    steps done; errors as `ResumableTrainer.train_on`."""
    arguments = stage_arguments(
        folder,
        steps=steps,
        warmup=40,
        learning_rate=learning_rate,
        seed=seed,
        save_steps=save_steps,
        bf16=bf16,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=accumulate,
        max_grad_norm=1.0,
        logging_steps=10,
    )
    trainer = ResumableTrainer(
        model=task,
        args=arguments,
        train_dataset=rows,
        data_collator=_one_row,
        callbacks=[WallClock(budget_s)],
        safety=Safety(report=report),
    )
    trainer.train_on()
    return {"log": trainer.state.log_history, "steps": trainer.state.global_step}
