"""From questions to rows: a batch is asked together; when it fails, one by one, so that a bad item costs one row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from vesalius.errors import ModelError
from vesalius.evaluation.fingerprint import Sampling
from vesalius.evaluation.prediction import FinishReason, Prediction
from vesalius.evaluation.question import Question
from vesalius.inference.answer import Answer

__all__ = ["Asked", "Asker", "OneModel", "ask_questions"]

_LONGEST_ERROR = 300


class Asked(Protocol):
    """What can be evaluated: a loaded `inference.model.Model`, or an `inference.endpoint.Endpoint`."""

    @property
    def name(self) -> str:
        """As rows say it."""
        ...

    def ask_batch(
        self,
        requests: Sequence[Any],
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        batch_size: int = 8,
        **options: Any,
    ) -> list[Answer]:
        """Answer conversations, in order."""
        ...


@runtime_checkable
class Asker(Protocol):
    """How batches become rows: in this process, or in several."""

    def rows(self, batches: Iterable[list[Question]], sampling: Sampling) -> Iterator[list[Prediction]]:
        """Rows of each batch as it is done; batches may overtake each other."""
        ...


@dataclass(frozen=True)
class OneModel:
    """Batches one after the other, in this process."""

    model: Asked
    adapter: str | None = None

    def rows(self, batches: Iterable[list[Question]], sampling: Sampling) -> Iterator[list[Prediction]]:
        for batch in batches:
            yield ask_questions(self.model, batch, sampling, self.adapter)


def ask_questions(
    model: Asked, questions: Sequence[Question], sampling: Sampling, adapter: str | None = None
) -> list[Prediction]:
    """A row per question, in order. A question whose media cannot be read, or on which the model fails, gives a row
    with finish_reason "error".

    ModelError is raised: it is about the model (weights gone, endpoint down), not about an item.
    """
    rows: dict[int, Prediction] = {}
    ready: list[tuple[int, Question, Any, tuple[str, ...]]] = []
    known: dict[Any, Any] = {}
    for place, question in enumerate(questions):
        try:
            conversation, images = question.shown(known)
        except Exception as exc:
            rows[place] = _failed(model.name, adapter, question, (), exc)
            continue
        ready.append((place, question, conversation, images))
    together = sampling.temperature == 0 or getattr(model, "asks_apart", False)
    for group in [ready] if together and ready else [[one] for one in ready]:
        try:
            answers = _ask(model, [(one[1], one[2]) for one in group], sampling)
        except ModelError:
            raise
        except Exception as exc:
            for place, question, conversation, images in group:
                rows[place] = (
                    _failed(model.name, adapter, question, images, exc)
                    if len(group) == 1
                    else _alone(model, adapter, question, conversation, images, sampling)
                )
            continue
        for (place, question, _, images), answer in zip(group, answers, strict=True):
            rows[place] = _row(model.name, adapter, question, images, answer)
    return [rows[place] for place in range(len(questions))]


def _ask(model: Asked, asked: Sequence[tuple[Question, Any]], sampling: Sampling) -> list[Answer]:
    drawn: dict[str, Any] = {}
    if sampling.temperature > 0:
        seeds = [_item_seed(question) for question, _ in asked]
        drawn = {"seeds": seeds} if getattr(model, "asks_apart", False) else {"seed": seeds[0]}
    return model.ask_batch(
        [conversation for _, conversation in asked],
        max_new_tokens=sampling.max_new_tokens,
        temperature=sampling.temperature,
        batch_size=len(asked),
        **drawn,
        **sampling.options,
    )


def _item_seed(question: Question) -> int:
    """Sampled answers depend on the pass's seed and the item alone, not on what was asked before or beside it."""
    return int.from_bytes(hashlib.sha256(f"{question.seed}/{question.id}".encode()).digest()[:4], "big") >> 1


def _alone(
    model: Asked,
    adapter: str | None,
    question: Question,
    conversation: Any,
    images: tuple[str, ...],
    sampling: Sampling,
) -> Prediction:
    try:
        (answer,) = _ask(model, [(question, conversation)], sampling)
    except ModelError:
        raise
    except Exception as exc:
        return _failed(model.name, adapter, question, images, exc)
    return _row(model.name, adapter, question, images, answer)


def _row(model: str, adapter: str | None, question: Question, images: tuple[str, ...], answer: Answer) -> Prediction:
    from vesalius.findings.export_json import to_json

    usage = answer.usage
    finish: FinishReason = "stop" if usage.finish == "stop" else "error" if usage.finish == "error" else "length"
    findings: list[Mapping[str, Any]] = to_json(answer.findings)["findings"]
    return Prediction(
        id=question.id,
        prompt_sha256=question.prompt_sha256,
        images=images,
        raw=answer.raw or answer.text,
        tokens_in=usage.prompt_tokens,
        tokens_out=usage.new_tokens,
        latency_s=usage.total_s,
        finish_reason=finish,
        seed=question.seed,
        model=model,
        adapter=adapter,
        thinking=answer.thinking,
        findings=tuple(findings),
        error=f"row {question.row}: {answer.trace.get('error', '')}"[:_LONGEST_ERROR] if finish == "error" else None,
        option_order=question.option_order,
    )


def _failed(model: str, adapter: str | None, question: Question, images: tuple[str, ...], exc: Exception) -> Prediction:
    """The row of an item that failed: which row and file, and the error in one line."""
    files = f" ({', '.join(question.names())})" if question.names() else ""
    reason = " ".join(f"{type(exc).__name__}: {exc}".split())
    return Prediction(
        id=question.id,
        prompt_sha256=question.prompt_sha256,
        images=images,
        finish_reason="error",
        seed=question.seed,
        model=model,
        adapter=adapter,
        error=f"row {question.row}{files}: {reason}"[:_LONGEST_ERROR],
        option_order=question.option_order,
    )
