"""A benchmark spread over processes: Ray workers that each load the model and take batches as they become free.

Only this process writes. Rows come back in any order and are stored as they come; `predict` puts them in order at the
end, so that one worker and many give the same file.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from vesalius.errors import ModelError, OptionError, UnsupportedError
from vesalius.evaluation.asking import ask_questions
from vesalius.evaluation.fingerprint import Sampling
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.question import Question

__all__ = ["Shards"]

_AHEAD = 2
"""Batches waiting at each worker, so that none stands idle."""


class Shards:
    """A model loaded `workers` times. The data folder must be readable where the workers run."""

    def __init__(
        self,
        place: str,
        workers: int,
        adapter: str | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        quirks: str = "published",
    ) -> None:
        """`place`: known name or checkpoint folder. `adapter`: as rows say it. Uses the Ray cluster of $RAY_ADDRESS,
        else one on this machine, with one GPU per worker where there are as many. Raises OptionError for a number of
        workers out of range, UnsupportedError without Ray."""
        if not 1 <= workers <= 4096:
            raise OptionError(f"workers is {workers}; it must be 1 to 4096.")
        _ray()
        self.place, self.workers, self.adapter = place, workers, adapter
        self._how = {"device": device, "dtype": dtype, "quirks": quirks}

    def rows(self, batches: Iterable[list[Question]], sampling: Sampling) -> Iterator[list[Prediction]]:
        """Rows of each batch as it is done. ModelError when the model cannot be loaded, or a worker dies."""
        ray = _ray()
        with _cluster(ray):
            gpus = 1 if ray.cluster_resources().get("GPU", 0) >= self.workers else 0
            worker: Any = ray.remote(num_gpus=gpus, num_cpus=0 if gpus else 1)(_Worker)
            waiting = iter(batches)
            pool = [worker.remote(self.place, self._how, self.adapter) for _ in range(self.workers)]
            busy: dict[Any, Any] = {}
            try:
                for one in pool * _AHEAD:
                    _hand(one, waiting, sampling, busy)
                while busy:
                    (done, *_), _ = ray.wait(list(busy), num_returns=1)
                    free = busy.pop(done)
                    rows = _fetched(ray, done)
                    _hand(free, waiting, sampling, busy)
                    yield rows
            finally:
                for one in pool:
                    ray.kill(one)


class _Worker:
    """Lives in its own process: one loaded model."""

    def __init__(self, place: str, how: dict[str, Any], adapter: str | None) -> None:
        self._place, self._how, self._adapter = place, how, adapter
        self._model: Any = None

    def ask(self, questions: list[Question], sampling: Sampling) -> tuple[list[Prediction], str]:
        """(rows, "") or ([], why the model is of no use)."""
        from vesalius.inference.model import load

        try:
            self._model = self._model or load(self._place, **self._how)
            return ask_questions(self._model, questions, sampling, self._adapter), ""
        except (ModelError, OptionError) as exc:
            return [], str(exc)


def _hand(worker: Any, waiting: Iterator[list[Question]], sampling: Sampling, busy: dict[Any, Any]) -> None:
    """Give a worker the next batch, if there is one."""
    batch = next(waiting, None)
    if batch is not None:
        busy[worker.ask.remote(batch, sampling)] = worker


def _fetched(ray: Any, done: Any) -> list[Prediction]:
    try:
        rows, problem = ray.get(done)
    except ray.exceptions.RayError as exc:
        raise ModelError(
            f"a worker died ({type(exc).__name__}).", fix="Run the same command again, with fewer --workers."
        ) from exc
    if problem:
        raise ModelError(problem)
    return rows


def _ray() -> Any:
    """The package. UnsupportedError naming the extra where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as exc:
        raise UnsupportedError(
            "--workers needs Ray, which is not installed.", fix='Run: pip install "vesalius[ray]", or leave it out.'
        ) from exc
    return ray


@contextmanager
def _cluster(ray: Any) -> Generator[None]:
    """The cluster that is there, or one for as long as it is needed: no dashboard, no statistics sent, no log lines."""
    if ray.is_initialized():
        yield
        return
    local = {} if os.environ.get("RAY_ADDRESS") else {"address": "local", "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level="ERROR", **local)
    try:
        yield
    finally:
        ray.shutdown()
