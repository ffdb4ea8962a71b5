"""The benchmarks of a recipe, asked when training is done; their tables go into the run card."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vesalius.training.recipe_sft import SftRecipe
    from vesalius.training.run_card import EvaluationTable

__all__ = ["Asked", "asked_at_the_end"]


@dataclass(frozen=True)
class Asked:
    """Benchmarks whose files were read and found sound. `found`: (benchmark, its folder, what was read) each."""

    recipe: SftRecipe
    found: tuple[tuple[Any, Path, Any], ...]

    def ask(self, trained: Path) -> list[EvaluationTable]:
        """Ask the checkpoint or adapter `trained`, score, and tell. Answers stay in `OUT/evaluation`; stopped, they go
        on where they were."""
        chosen = self.recipe.evaluate
        models = [("trained", str(trained))]
        if chosen.baseline:
            models.append(("before", self.recipe.from_ or self.recipe.model))
        return [self._asked(*one, called, place) for called, place in models for one in self.found]

    def _asked(self, benchmark: Any, folder: Path, found: Any, called: str, place: str) -> EvaluationTable:
        from vesalius.cli.fetched import fetched
        from vesalius.evaluation.fingerprint import Sampling
        from vesalius.evaluation.passes import passes_of
        from vesalius.evaluation.predict import predict
        from vesalius.evaluation.report import write_report
        from vesalius.evaluation.score import score_run
        from vesalius.evaluation.summary_text import HEADER, figure_rows, remarks
        from vesalius.inference.identity import identify
        from vesalius.inference.model import load
        from vesalius.training.run_card import EvaluationTable

        recipe, chosen = self.recipe, self.recipe.evaluate
        here = fetched(place)
        out = Path(recipe.out) / "evaluation" / called
        run = predict(
            benchmark, folder, load(here, device=recipe.device, quirks=recipe.quirks), out,
            identity=identify(here, place), limit=chosen.limit or None, batch=chosen.batch, found=found,
            sampling=Sampling(chosen.max_new_tokens, 0.0, dict(recipe.prepare)),
            passes=passes_of(ablation_sample=chosen.ablation_sample),
        )  # fmt: skip
        summary = score_run(run.path)
        page = write_report(run.path, summary)[0]
        print(summary, file=sys.stderr)
        told = page.absolute().relative_to(Path(recipe.out).absolute()).as_posix()
        title = f"Evaluation, {called}: {summary.title}"
        return EvaluationTable(title, HEADER, tuple(figure_rows(summary)), tuple(remarks(summary)), told)


def asked_at_the_end(recipe: SftRecipe) -> Asked:
    """Read the files of the recipe's benchmarks before anything is trained: wrong names and rows are told now."""
    from vesalius.cli.evaluate import folder_of
    from vesalius.evaluation.benchmarks import benchmark
    from vesalius.evaluation.survey import read_split, survey

    chosen = recipe.evaluate
    found: list[tuple[Any, Path, Any]] = []
    for name in dict.fromkeys(chosen.names):
        one = benchmark(name)
        folder = folder_of(Path(chosen.data), name, len(chosen.names))
        found.append((one, folder, survey(read_split(one, folder, None, chosen.limit or None), folder, one.name)))
    return Asked(recipe, tuple(found))
