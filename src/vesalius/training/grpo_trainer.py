"""TRL's GRPO over our families. TRL keeps the sampler, the advantages, the clipped losses and the log; prompts,
rollouts and log-probabilities are ours.

TRL's own path tokenizes a padded prompt a second time and knows pictures alone. Here a prompt is one number, its place
among the prompts: `prepare` makes it, `say_batch` answers it, and the answer's ids are put behind it as they are and
packed into rows in which nothing is padded.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import register_fsdp_forward_method
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedTokenizerFast
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from vesalius.models.contract import Trainable
from vesalius.models.parts.token_stream import Sampling
from vesalius.training.meters import memory_gb
from vesalius.training.parts import Learning, followed, gradient_norms
from vesalius.training.positions import PositionedRows
from vesalius.training.processes import Processes
from vesalius.training.prompt_rows import PromptRows
from vesalius.training.prompts import Prompt
from vesalius.training.recipe_rl import GrpoRecipe
from vesalius.training.reference import Reference
from vesalius.training.resumable import ResumableTrainer, Safety
from vesalius.training.rewards import Truth, WeightedReward
from vesalius.training.rewards.boxes import box_f1, box_mean_iou
from vesalius.training.rollouts import Rollout, roll_out
from vesalius.training.shards import forget_gathered, whole_weights
from vesalius.training.trainer import RowScores, RowTrainer

__all__ = ["PromptTrainer", "arguments_of"]


class _Policy(RowScores):
    """The family as TRL calls it, with the few things TRL asks of a model beside its weights."""

    is_gradient_checkpointing = False  # the network's own modules see to that

    def __init__(self, family: Trainable) -> None:
        super().__init__(family)
        ends: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1}
        self.config, self.generation_config = PreTrainedConfig(**ends), GenerationConfig(**ends)

    def gathered(self, work: Callable[[], list[Rollout]]) -> list[Rollout]:
        """`work` while all weights stand whole in every process."""
        with whole_weights(self):
            return work()

    def add_model_tags(self, tags: Any) -> None:
        """TRL's, for model cards; there is none."""


class _Numbers(PreTrainedTokenizerFast):
    """Where TRL asks for a tokenizer. It decodes nothing: `texts` are what the family itself decoded."""

    texts: Sequence[str] = ()

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        """The completions of this batch."""
        return list(self.texts)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Nothing to save: the checkpoint's own tokenizer is kept with the base."""
        return ()


class _NoSpecial:
    """Ids TRL compares completions with: no token has them."""

    pad_token_id, bos_token_id, eos_token_id = -1, None, -1


def _numbers() -> _Numbers:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    plain = Tokenizer(WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))
    return _Numbers(tokenizer_object=plain, pad_token="<pad>", eos_token="<end>")


class PromptTrainer(ResumableTrainer, GRPOTrainer):
    """Raises the `rewards` of completions of `prompts`. `log` holds every reward by itself, and mean IoU and F1 at 0.5
    of the boxes where prompts have boxes."""

    def __init__(
        self,
        family: Trainable,
        model: Any,
        learning: Learning,
        recipe: GrpoRecipe,
        arguments: GRPOConfig,
        prompts: Sequence[Prompt],
        rewards: Sequence[WeightedReward],
        *,
        held_out: Sequence[Prompt] = (),
        safety: Safety | None = None,
    ) -> None:
        from datasets import Dataset

        self.family, self.asker, self.learning, self.recipe = family, model, learning, recipe
        self.prompts, self.rewards_given, self.held_out = list(prompts), list(rewards), list(held_out)
        self._rollouts: list[Rollout] = []
        self._told_at = (time.perf_counter(), 0)
        self._prepared: dict[int, Any] = {}
        self._learns = False  # whether this step has a completion that was not cut off
        # What learns and nothing else; made before a checkpoint is read, so that it is the start also after a stop.
        self.reference = Reference(p for named in learning.parameters.values() for _, p in named) if recipe.kl else None
        policy: Any = _Policy(family)  # TRL asks for a model of transformers; what it uses of one, this has
        super().__init__(
            model=policy,
            reward_funcs=[_asked(self, one) for one in self.rewards_given],
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": list(range(len(self.prompts)))}),
            eval_dataset=Dataset.from_dict({"prompt": list(range(len(self.held_out)))}) if held_out else None,
            processing_class=_numbers(),
            safety=safety,
        )
        # TRL's own sampler begins its order anew in a resumed run.
        self.train_dataset: Any = PositionedRows(
            PromptRows(
                len(self.prompts),
                prompts=recipe.prompts,
                generations=recipe.rollouts.generations,
                times=recipe.iterations * recipe.accumulate,
                seed=recipe.seed,
                processes=self.args.world_size,
            ),
            process=self.args.process_index,
            processes=self.args.world_size,
        )
        self.numbers: Any = self.processing_class
        if self.args.world_size > 1:
            policy.meet()
        self._tokenizer: Any = _NoSpecial()
        # TRL would load the reference from a hub name; ours is the start of these very weights.
        self.beta = recipe.kl
        self.ref_model: Any = self.reference
        from transformers.trainer_callback import PrinterCallback

        self.remove_callback(PrinterCallback)

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def own_state(self) -> dict[str, Any]:
        """What was measured since the last log, and the completions where later steps learn from them again."""
        held = self._buffered_inputs if self._step % self._passes else None
        kept = None if held is None else [{name: _plain(value) for name, value in one.items()} for one in held]
        return {"measured": dict(self._metrics["train"]), "completions": kept}

    def take_own_state(self, state: Mapping[str, Any]) -> None:
        """See `own_state`."""
        self._step = self.state.global_step * self.args.gradient_accumulation_steps
        self._told_at = (time.perf_counter(), int(self.state.num_input_tokens_seen))
        if "measured" in state:
            self._metrics["train"].update({name: list(values) for name, values in state["measured"].items()})
        if kept := state.get("completions"):
            device = self.accelerator.device
            self._buffered_inputs = [{name: _read(value, device) for name, value in one.items()} for one in kept]

    @property
    def _passes(self) -> int:
        """Backward passes of this process over the same completions."""
        return self.args.gradient_accumulation_steps * self.recipe.iterations

    def sample_ids(self, inputs: Any) -> Sequence[str]:
        """Of the prompts of a step."""
        return list(dict.fromkeys(self.prompts[one["prompt"]].id for one in inputs))

    # --- rollouts -----------------------------------------------------------------------------------------------------

    def prepared(self, number: int) -> Any:
        """The prompt, prepared; kept as long as its completions are."""
        if number not in self._prepared:
            self._prepared[number] = self.asker.prepare(
                list(self.prompts[number].messages), **dict(self.recipe.prepare)
            )
        return self._prepared[number]

    def _tokenize_prompts(self, prompts: list[int]) -> Any:
        self._prepared = {number: one for number, one in self._prepared.items() if number in set(prompts)}
        return [[number] for number in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        numbers = [number for (number,) in prompt_ids]
        asked = self.recipe.rollouts
        self._rollouts = self._said(
            [self.prepared(number) for number in numbers],
            [self.prompts[number].truth for number in numbers],
            Sampling(temperature=asked.temperature, top_p=asked.top_p, top_k=asked.top_k),
            self._draws(len(numbers)),
        )
        self.numbers.texts = [one.completion.text for one in self._rollouts]
        # A completion is whole where the family says so; its last token is then one that ends.
        self.eos_token_ids = sorted({one.ids[-1] for one in self._rollouts if one.completion.finish == "stop"}) or [-1]
        return [list(one.ids) for one in self._rollouts], None

    def _said(
        self, batches: Sequence[Any], truths: Sequence[Truth], sampling: Sampling, seeds: Sequence[int] | None = None
    ) -> list[Rollout]:
        """What this process has the network say."""
        asked = self.recipe.rollouts

        def work() -> list[Rollout]:
            with self.accelerator.autocast():
                return roll_out(
                    self.family, batches, truths, max_new_tokens=asked.max_new_tokens, sampling=sampling, seeds=seeds,
                    at_once=asked.at_once,
                )  # fmt: skip

        if self.args.world_size == 1:
            return work()
        network: Any = self.model
        made = network.gathered(work)
        forget_gathered(network)
        return made

    def _draws(self, count: int) -> list[int]:
        """The seeds of this process's completions: of the run, of what is sampled now and of the place in the step,
        whichever process has it."""
        generator = torch.Generator().manual_seed(1_000_003 * self.recipe.seed + self._step // self._passes)
        first = self.args.process_index * count
        return torch.randint(2**31, (self.args.world_size * count,), generator=generator).tolist()[first:][:count]

    def _generate(self, prompts: list[int]) -> Any:
        made = super()._generate(prompts)
        # TRL counted one token a prompt.
        read = sum(self.family.length(self.prepared(number)) for number in prompts) - len(prompts)
        self.state.num_input_tokens_seen += int(self._of_all(torch.tensor(read)))
        network: Any = self.model
        self._metrics["train" if network.training else "eval"]["num_tokens"] = [self.state.num_input_tokens_seen]
        return made

    def _calculate_rewards(self, inputs: Any, prompts: list[int], completions: Any, completion_ids_list: Any) -> Any:
        for name, measure in (("box_mean_iou", box_mean_iou), ("box_f1", box_f1)):
            values = [
                measure(rollout.completion, self.prompts[number].truth)
                for rollout, number in zip(self._rollouts, prompts, strict=True)
            ]
            for value in values:
                if value is not None:
                    self._log_metric(name, value)
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)

    # --- log-probabilities --------------------------------------------------------------------------------------------

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **others: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """TRL's seam: `input_ids` `[B, 1 + C]` hold the prompt's number and the completion, padded on the right, as the
        mask tells. Log-probabilities and entropies `[B, C]`, 0 where the mask is."""
        del batch_size, others
        if self.reference is not None and model is self.reference:
            with self.reference.in_place():
                network: Any = self.model
                logps, entropies = self._scored(network, input_ids, attention_mask, logits_to_keep)
        else:
            logps, entropies = self._scored(model, input_ids, attention_mask, logits_to_keep)
        return logps, entropies if compute_entropy else None, None

    def _scored(self, model: nn.Module, ids: Tensor, mask: Tensor, width: int) -> tuple[Tensor, Tensor]:
        counts: list[int] = mask[:, 1:].sum(1).tolist()
        rows: list[tuple[int, Any]] = []
        for place, count in enumerate(counts):
            if count:
                prompt = self.prepared(int(ids[place, 0]))
                rows.append((place, self.family.answered(prompt, ids[place, 1 : 1 + count].tolist())))
        logps, entropies = (torch.zeros(len(ids), width, device=ids.device) for _ in range(2))
        parts: dict[int, tuple[Tensor, Tensor]] = {}
        groups = self._packed(rows)
        # Processes meet in every row: who has fewer than another computes one more, which counts for nothing.
        most = int(self._of_all(torch.tensor(len(groups)), torch.distributed.ReduceOp.MAX))
        self._learns |= most > 0 and torch.is_grad_enabled()
        for group in groups:
            scores = model(self.family.pack([one for _, one in group]), temperature=self.temperature)
            parts |= {place: one for (place, _), one in zip(group, scores, strict=True)}
        nothing: list[Tensor] = []
        for _ in range(max(1, most) - len(groups) if self.args.world_size > 1 else 0):
            again = self.family.answered(self.prepared(int(ids[0, 0])), ids[0, 1:2].tolist())
            nothing += [0.0 * one.sum() for one, _ in model(self.family.pack([again]), temperature=self.temperature)]
        if parts:
            wide = {k: [nn.functional.pad(one, (0, width - counts[k])) for one in both] for k, both in parts.items()}
            logps = torch.stack([wide[k][0] if k in wide else logps[k] for k in range(len(ids))])
            entropies = torch.stack([wide[k][1] if k in wide else entropies[k] for k in range(len(ids))])
        elif torch.is_grad_enabled() and not nothing:
            logps = logps.requires_grad_()  # every completion was cut off: a step without a gradient
        for one in nothing:
            logps = logps + one
        return logps, entropies

    def _packed(self, rows: Sequence[tuple[int, Any]]) -> list[list[tuple[int, Any]]]:
        """Consecutive samples in rows of at most `max_length` positions, each at least one sample."""
        groups: list[list[tuple[int, Any]]] = []
        room = 0
        for one in rows:
            length = self.family.length(one[1])
            if not groups or length > room:
                groups.append([])
                room = self.recipe.max_length
            groups[-1].append(one)
            room -= length
        return groups

    # --- optimiser, evaluation, log -----------------------------------------------------------------------------------

    create_optimizer = RowTrainer.create_optimizer  # pyright: ignore[reportAssignmentType]
    create_scheduler = RowTrainer.create_scheduler  # pyright: ignore[reportAssignmentType]

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: Any) -> Any:
        """Trainer's; what learns and what it is held against are cut up with the model."""
        made = super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        network: Any = self.model
        self.learning = followed(self.learning, network.network)
        if self.args.world_size > 1:
            register_fsdp_forward_method(network, "gathered")
            if self.reference is not None:
                self.reference.follow((p for named in self.learning.parameters.values() for _, p in named), network)
        return made

    def _of_all(self, value: Tensor, how: Any = torch.distributed.ReduceOp.SUM) -> Tensor:
        """The sum (or what `how` says) of what the processes have; each must call."""
        if self.args.world_size > 1:
            value = value.to(self.args.device)
            torch.distributed.all_reduce(value, how)
        return value

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Greedy answers to the held-out prompts: the mean of every reward, of IoU and of F1 at 0.5."""
        del eval_dataset, ignore_keys
        prompts = self.held_out[self.args.process_index :: self.args.world_size]
        batches = [self.asker.prepare(list(one.messages), **dict(self.recipe.prepare)) for one in prompts]
        truths = [one.truth for one in prompts]
        said = self._said(batches, truths, Sampling())
        measures: dict[str, Any] = {one.name: one for one in self.rewards_given}
        measures |= {"box_mean_iou": box_mean_iou, "box_f1": box_f1}
        known = [
            [
                value
                for one, truth in zip(said, truths, strict=True)
                if (value := measure(one.completion, truth)) is not None
            ]
            for measure in measures.values()
        ]
        totals = self._of_all(torch.tensor([[sum(values), len(values)] for values in known], dtype=torch.float64))
        metrics = {
            f"{metric_key_prefix}_{name}": total / count
            for name, (total, count) in zip(measures, totals.tolist(), strict=True)
            if count
        }
        self.state.log_history.append({**metrics, "step": self.state.global_step})
        self.safety.report(
            f"step {self.state.global_step}, held out: " + ", ".join(f"{k} {v:.4f}" for k, v in metrics.items())
        )
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _clip_grad_norm(self, model: Any) -> Any:
        """Before clipping: how strongly every part learns."""
        if not self._learns:
            model.zero_grad(set_to_none=True)  # zeros that several processes made to meet; one has none
        self._learns = False
        for part, norm in gradient_norms(self.learning).items():
            self._metrics["train"][f"grad_norm/{part}"].append(norm)
        return super()._clip_grad_norm(model)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """TRL's numbers, positions a second (prompts and completions) and memory; one line of progress."""
        if "loss" in logs:
            now, seen = time.perf_counter(), int(self.state.num_input_tokens_seen)
            speed = (seen - self._told_at[1]) / max(1e-9, now - self._told_at[0])
            self._told_at = (now, seen)
            logs = {**logs, "tokens_per_s": speed, "memory_gb": memory_gb()}
        super().log(logs, start_time)
        logs = self.state.log_history[-1]
        shown = {name: logs.get(name) for name in ("loss", "reward", "box_mean_iou", "kl", "entropy", "grad_norm")}
        shown |= {one.name: logs.get(f"rewards/{one.name}/mean") for one in self.rewards_given}
        if "reward" in logs:
            line = ", ".join(f"{name} {value:.4f}" for name, value in shown.items() if isinstance(value, float))
            if "tokens_per_s" in logs:
                line += f" | {logs['tokens_per_s']:,.0f} tokens/s | {logs['memory_gb']:.1f} GB"
            self.safety.report(f"step {self.state.global_step}/{self.state.max_steps} | {line}")

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The run card is ours."""

    def _send_telemetry(self) -> None:
        """Nothing is told to anybody."""


def _plain(value: Any) -> Any:
    """For JSON, which keeps every float as it is."""
    if not isinstance(value, Tensor):
        return value
    return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "values": value.tolist()}


def _read(value: Any, device: torch.device) -> Any:
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = value
    return torch.tensor(kept["values"], dtype=getattr(torch, kept["dtype"]), device=device).reshape(kept["shape"])


def _asked(trainer: PromptTrainer, reward: WeightedReward) -> Any:
    """The reward as TRL calls it: numbers of prompts in, a value for each completion out."""

    def measured(prompts: list[int], **_: Any) -> list[float | None]:
        return [
            reward(rollout.completion, trainer.prompts[number].truth)
            for rollout, number in zip(trainer._rollouts, prompts, strict=True)  # pyright: ignore[reportPrivateUsage]
        ]

    measured.__name__ = reward.name
    return measured


def arguments_of(
    recipe: GrpoRecipe,
    rewards: Sequence[WeightedReward],
    *,
    on_cpu: bool,
    here: Processes | None = None,
    cut: Mapping[str, Any] | None = None,
) -> GRPOConfig:
    """TRL's arguments of a recipe. What a step samples is divided into `accumulate` parts, over all processes; `cut`:
    how several hold the model (`sharding`)."""
    own: Mapping[str, Any] = {
        "num_generations": recipe.rollouts.generations,
        "per_device_train_batch_size": recipe.prompts * recipe.rollouts.generations // recipe.accumulate,
        "per_device_eval_batch_size": recipe.rollouts.generations,
        "gradient_accumulation_steps": (here or Processes()).rows_each(recipe.accumulate),
        "max_completion_length": recipe.rollouts.max_new_tokens,
        "temperature": recipe.rollouts.temperature,
        "num_iterations": recipe.iterations,
        "loss_type": recipe.loss,
        "epsilon": recipe.clip_low,
        "epsilon_high": recipe.clip_high,
        "scale_rewards": recipe.scale,
        "mask_truncated_completions": recipe.mask_truncated,
        "reward_weights": [one.weight for one in rewards],
        "beta": 0.0,
        **(cut or {}),
    }
    with warnings.catch_warnings():
        # TRL switches it on by a name that transformers is about to drop; the network sees to it itself.
        warnings.filterwarnings("ignore", "`gradient_checkpointing` is deprecated", FutureWarning)
        return GRPOConfig(
            output_dir=recipe.out,
            max_steps=recipe.steps,
            learning_rate=recipe.learning_rate,
            max_grad_norm=recipe.max_grad_norm or float("inf"),
            use_cpu=on_cpu,
            bf16=recipe.precision == "bfloat16",
            gradient_checkpointing=False,
            logging_steps=recipe.log_every,
            logging_first_step=True,
            save_strategy="steps" if recipe.save_every else "no",
            save_steps=recipe.save_every or recipe.steps,
            save_total_limit=recipe.keep,
            eval_strategy="steps" if recipe.eval.every else "no",
            eval_steps=recipe.eval.every or None,
            seed=recipe.seed,
            data_seed=recipe.seed,
            remove_unused_columns=False,
            report_to=list(recipe.report_to),
            run_name=recipe.out.rpartition("/")[2],
            disable_tqdm=True,
            **own,
        )
