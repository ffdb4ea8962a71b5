"""Learned metrics without their libraries: what is missing is told, and what would be called is called rightly."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.evaluation.scored import benchmark_of, item, stored_run
from vesalius.cli.main import main
from vesalius.errors import InputError, OptionError, UnsupportedError, WeightsMissingError
from vesalius.evaluation.imported import import_run
from vesalius.evaluation.metrics.learned import LEARNED, learned_scores
from vesalius.evaluation.metrics.meteor import meteor_wordnet
from vesalius.evaluation.score import score_run


@pytest.fixture(autouse=True)
def _no_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("name", LEARNED)
def test_missing_weights_end_the_command_with_code_3_and_one_line(name, tmp_path, capsys) -> None:
    rows = [{"id": "1", "kind": "report", "gold": "Clear lungs.", "answer": "Clear."}]
    (tmp_path / "a.jsonl").write_text(json.dumps(rows[0]))
    run = import_run(tmp_path / "a.jsonl", "items", tmp_path / "run")
    assert main(["score", str(run), "--metric", name]) == 3
    said = capsys.readouterr().err
    assert f"the weights of {LEARNED[name].title}" in said
    assert f"--metric {name}=DIR" in said
    assert said.count("\n") == 1
    assert main(["score", str(run), "--metric", f"{name}={tmp_path / 'nowhere'}"]) == 3


def test_a_missing_library_names_what_to_install(tmp_path) -> None:
    with pytest.raises(UnsupportedError, match="pip install bert-score"):
        learned_scores("bertscore", ["a"], ["b"], str(tmp_path))
    with pytest.raises(OptionError, match="Known: bertscore"):
        learned_scores("bestscore", ["a"], ["b"])
    with pytest.raises(WeightsMissingError, match="roberta-large"):
        learned_scores("bertscore", ["a"], ["b"])


class Scores(list[float]):
    def tolist(self) -> list[float]:
        return list(self)


def overlap(said: list[str], true: list[str]) -> list[float]:
    return [len(set(a.split()) & set(b.split())) / len(set(b.split())) for a, b in zip(said, true, strict=True)]


def libraries(seen: list[Any]) -> dict[str, Any]:
    """Modules with the interfaces of the libraries, whose scores are shares of the reference's words."""

    class BERTScorer:
        def __init__(self, **options: Any) -> None:
            seen.append(options)

        def score(self, cands: list[str], refs: list[str]) -> Any:
            return Scores([9.0]), Scores([9.0]), Scores(overlap(cands, refs))

    def f1_radgraph(**options: Any) -> Any:
        seen.append(options)
        return lambda *, hyps, refs: (0.0, overlap(hyps, refs), [], [])

    class RaTEScore:
        def __init__(self, **options: Any) -> None:
            seen.append(options)

        def compute_score(self, candidates: list[str], references: list[str]) -> list[float]:
            return overlap(candidates, references)

    def green(model_name: str, output_dir: str) -> Any:
        seen.append({"model": model_name})
        return lambda refs, hyps: (0.0, 0.0, overlap(hyps, refs), None, None)

    return {
        "bert_score": SimpleNamespace(BERTScorer=BERTScorer),
        "radgraph": SimpleNamespace(F1RadGraph=f1_radgraph),
        "RaTEScore": SimpleNamespace(RaTEScore=RaTEScore),
        "green_score": SimpleNamespace(GREEN=green),
    }


@pytest.mark.parametrize("name", LEARNED)
def test_a_library_that_is_there_scores_what_is_not_empty(name, tmp_path, monkeypatch) -> None:
    seen: list[Any] = []
    for module, fake in libraries(seen).items():
        monkeypatch.setitem(sys.modules, module, fake)
    monkeypatch.setattr("vesalius.evaluation.metrics.learned.cached_folder", lambda wanted: f"cached {wanted}")
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text(json.dumps({"model_type": "roberta", "num_hidden_layers": 12}))
    samples = [item(str(k), "report", "clear lungs") for k in range(3)]
    made = benchmark_of(samples)
    run = stored_run(tmp_path / "run", made, ["clear lungs", "clear", ""])
    summary = score_run(run, benchmark=made, resamples=20, metrics=[f"{name}={weights}"])
    found = summary.overall.figure(name)
    assert found is not None
    assert (found.value, found.n) == (0.5, 3)
    assert str(weights) in seen[0].values()
    if name == "bertscore":
        assert seen[0]["num_layers"] == 10


def wordnet(folder: Path) -> Path:
    """A dictionary of one noun in two spellings, in the files of WordNet."""
    folder.mkdir()
    for part in ("adj", "adv", "noun", "verb"):
        for name in (f"data.{part}", f"index.{part}", f"{part}.exc"):
            (folder / name).write_text("")
    (folder / "lexnames").write_text("00\tnoun.Tops\t1\n")
    (folder / "data.noun").write_text("00000000 00 n 02 tumour 0 neoplasm 0 000 | a growth  \n")
    (folder / "index.noun").write_text("neoplasm n 1 0 1 0 00000000  \ntumour n 1 0 1 0 00000000  \n")
    return folder


def test_meteor_with_synonyms_takes_two_words_of_one_meaning_for_a_match(tmp_path) -> None:
    made = benchmark_of([item(str(k), "report", "a large tumour") for k in range(2)])
    run = stored_run(tmp_path / "run", made, ["a large neoplasm", ""])
    summary = score_run(run, benchmark=made, resamples=20, metrics=[f"meteor_wordnet={wordnet(tmp_path / 'dict')}"])
    with_synonyms, without = (summary.overall.figure(f"meteor_{one}") for one in ("wordnet", "exact_stem"))
    assert with_synonyms is not None
    assert without is not None
    assert without.value is not None
    assert with_synonyms.value == pytest.approx((1 - 0.5 / 2**3) / 2)  # the article is no token
    assert without.value < (1 - 0.5 / 2**3) / 2


def test_meteor_with_synonyms_says_that_its_data_are_missing(tmp_path, capsys) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "1", "kind": "report", "gold": "Clear.", "answer": "Clear."}))
    run = import_run(tmp_path / "a.jsonl", "items", tmp_path / "run")
    for asked in ("meteor_wordnet", f"meteor_wordnet={tmp_path}"):
        assert main(["score", str(run), "--metric", asked]) == 3
        said = capsys.readouterr().err
        assert "--metric meteor_wordnet=DIR" in said
        assert said.count("\n") == 1


def test_a_wordnet_s_files_are_closed_with_the_last_word(tmp_path) -> None:
    folder = wordnet(tmp_path / "dict")
    meteor_wordnet(["a tumour"], ["a neoplasm"], str(folder))
    held = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert [one for one in held if one.startswith(str(folder))] == []


def test_a_wordnet_with_changed_line_ends_is_refused(tmp_path) -> None:
    folder = wordnet(tmp_path / "dict")
    (folder / "data.noun").write_bytes(b"\r\n" + (folder / "data.noun").read_bytes())
    with pytest.raises(InputError, match="do not fit together"):
        meteor_wordnet(["a tumour"], ["a neoplasm"], str(folder))


def test_a_run_without_texts_has_nothing_to_score(tmp_path) -> None:
    made = benchmark_of([item("1", "yesno", "yes")])
    run = stored_run(tmp_path / "run", made, ["yes"])
    with pytest.raises(OptionError, match="this run has none"):
        score_run(run, benchmark=made, metrics=["green"])
