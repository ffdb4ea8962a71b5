"""Report metrics that are models themselves: BERTScore, RadGraph-F1, RaTEScore and GREEN, each by its own library.

None of the libraries or weights comes with this toolkit. Weights are files on this machine: a folder that is named, or
what the hub's cache holds. Nothing is fetched. An empty prediction scores 0 and is not shown to the model.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import OptionError, UnsupportedError, WeightsMissingError
from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.inference.cached import cached_folder

__all__ = ["LEARNED", "LearnedMetric", "learned_scores"]

Texts = list[str]


@dataclass(frozen=True)
class LearnedMetric:
    """`package`: the module; `install`: what brings it; `weights`: hub names of all weights it needs, the first one may
    be given as a folder. `score(module, folders, predicted, reference)` → a score per pair."""

    title: str
    package: str
    install: str
    weights: tuple[str, ...]
    score: Callable[[Any, list[str], Texts, Texts], Any]


def _bertscore(module: Any, folders: list[str], said: Texts, truth: Texts) -> Any:
    from transformers import AutoConfig

    # The library knows how deep to read the models it names; a folder is read as deep as the model of its size is.
    depth = int(AutoConfig.from_pretrained(folders[0]).num_hidden_layers)
    layers = {6: 5, 12: 10, 24: 17}.get(depth, depth)
    scorer = module.BERTScorer(model_type=folders[0], num_layers=layers, rescale_with_baseline=False)
    return scorer.score(said, truth)[2].tolist()


def _radgraph(module: Any, folders: list[str], said: Texts, truth: Texts) -> Any:
    scorer = module.F1RadGraph(reward_level="partial", model_type="radgraph-xl", model_cache_dir=folders[0])
    return scorer(hyps=said, refs=truth)[1]


def _ratescore(module: Any, folders: list[str], said: Texts, truth: Texts) -> Any:
    scorer = module.RaTEScore(bert_model=folders[0], eval_model=folders[1], use_gpu=False)
    return scorer.compute_score(said, truth)


def _green(module: Any, folders: list[str], said: Texts, truth: Texts) -> Any:
    with tempfile.TemporaryDirectory(prefix="vesalius-") as out:
        return module.GREEN(folders[0], output_dir=out)(truth, said)[2]


LEARNED: dict[str, LearnedMetric] = {
    "bertscore": LearnedMetric("BERTScore F1", "bert_score", "bert-score", ("FacebookAI/roberta-large",), _bertscore),
    "radgraph": LearnedMetric("RadGraph-F1, partial", "radgraph", "radgraph", ("StanfordAIMI/RRG_scorers",), _radgraph),
    "ratescore": LearnedMetric(
        "RaTEScore", "RaTEScore", "RaTEScore", ("Angelakeke/RaTE-NER-Deberta", "FremyCompany/BioLORD-2023-C"),
        _ratescore,
    ),
    "green": LearnedMetric("GREEN", "green_score", "green-score", ("StanfordAIMI/GREEN-radllama2-7b",), _green),
}  # fmt: skip
"""Name of `vesalius score --metric` → metric."""


def learned_scores(
    name: str, predicted: Sequence[str | None], reference: Sequence[str], weights: str | None = None
) -> NDArray[np.float64]:
    """Score of each pair [n]. `weights`: folder of the model's files (default: the hub's cache).

    Raises OptionError for another name, WeightsMissingError when the weights are not on this machine,
    UnsupportedError when the library is not installed.
    """
    if name not in LEARNED:
        raise OptionError(f"no metric is called {name!r}.", fix=f"Known: {', '.join(LEARNED)}.")
    metric = LEARNED[name]
    said, truth = aligned_texts(predicted, reference)
    folders = _weights(name, metric, weights)
    # Without this the libraries ask the hub again and again before they give up.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        module = import_module(metric.package)
    except ImportError as exc:
        fix = f"Run: pip install {metric.install}."
        raise UnsupportedError(f"{metric.title} needs {metric.install}, which is not installed.", fix=fix) from exc
    scores = np.zeros(len(said))
    shown = [k for k, text in enumerate(said) if text.strip()]
    if shown:
        found = metric.score(module, folders, [said[k] for k in shown], [truth[k] for k in shown])
        scores[shown] = np.asarray(found, dtype=np.float64)
    return scores


def _weights(name: str, metric: LearnedMetric, given: str | None) -> list[str]:
    found: list[str] = []
    for position, wanted in enumerate(metric.weights):
        if given is not None and position == 0:
            if not Path(given).is_dir():
                raise WeightsMissingError(f"the weights of {metric.title} are not there.", file=given)
            found.append(given)
            continue
        folder = cached_folder(wanted)
        if folder is None:
            raise WeightsMissingError(
                f"the weights of {metric.title} ({wanted}) are not on this machine.",
                fix=f"Run: hf download {wanted}. Or name their folder: --metric {name}=DIR.",
            )
        found.append(str(folder))
    return found
