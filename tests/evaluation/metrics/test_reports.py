"""U-Score, CRIMSON and structured reports."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.metrics.crimson import crimson
from vesalius.evaluation.metrics.rad_restruct import (
    NOT_ANSWERED,
    AnswerTree,
    complete_reports,
    score_report_trees,
)
from vesalius.evaluation.metrics.uscore import QUANTILES, u_score


def test_u_score_anchors():
    assert u_score(0.6557507, 34.527041, 65.522368512, 137.05495) == pytest.approx(19.2588, abs=5e-5)
    assert u_score(0.70, 5, 5, 80) == pytest.approx(78.5318, abs=5e-5)
    assert u_score(0, 1e6, 1e6, 0) == 5
    assert u_score(1, 0.1, 0.1, 1000) == 100
    assert u_score(0.7, 5, 5, 80, QUANTILES["BUSI"]) == u_score(0.7, 5, 5, 80)
    with pytest.raises(OptionError):
        u_score(0.7, 5, 5, 80, "LIDC")
    with pytest.raises(InputError):
        u_score(0.7, 0, 5, 80)


def judged(reference, predicted, matched=(), false=(), missing=(), attributes=()):
    def listed(kind, weights):
        return [{"id": f"{kind}{k}", "clinical_significance": weight} for k, weight in enumerate(weights)]

    return {
        "reference_findings": listed("R", reference),
        "predicted_findings": listed("P", predicted),
        "matched_findings": [{"ref_id": f"R{r}", "pred_id": f"P{p}"} for r, p in matched],
        "errors": {
            "false_findings": [f"P{p}" for p in false],
            "missing_findings": [f"R{r}" for r in missing],
            "attribute_errors": [
                {"ref_id": f"R{r}", "error_types": ["location"], "severity": s} for r, s in attributes
            ],
        },
    }


URGENT, MINOR = "urgent", "not_actionable_not_urgent"


@pytest.mark.parametrize(
    ("judgement", "score"),
    [
        (judged([URGENT, MINOR], [URGENT], [(0, 0)], missing=[1]), 0.8),
        (judged([URGENT], [URGENT], [(0, 0)], attributes=[(0, "significant")]), 0.6667),
        (judged([], []), 1),
        (judged([], [URGENT], false=[0]), -0.5),
        (judged([URGENT], [URGENT, URGENT], false=[0, 1], missing=[0]), -0.6667),
        (judged([URGENT], [URGENT], [(0, 0), (0, 0)]), 1),
        (judged([URGENT], [URGENT], [(0, 0)], attributes=[(0, "negligible")]), 1),
        (judged(["made up"], ["made up"], [(0, 0)], attributes=[(0, "odd")]), 0.5),
    ],
)
def test_crimson(judgement, score):
    assert crimson(judgement) == score


@pytest.mark.parametrize(
    "bad", [{"reference_findings": "none"}, {"errors": []}, {"matched_findings": [{"pred_id": "P"}]}]
)
def test_a_judgement_of_another_form_is_refused(bad):
    with pytest.raises(InputError):
        crimson(bad)


# A tree of the published kind: areas x topics, elements with instances, attributes; and one area asked at once.


def grow(areas=3, elements=4, instances=2):
    paths: list[str] = []
    ids: list[int] = []
    kinds: dict[str, str] = {}

    def ask(options, kind):
        question = len(kinds)
        kinds[str(question)] = kind
        paths.extend(options)
        ids.extend([question] * len(options))

    def attributes(stem, i):
        ask([f"{stem}_degree_{o}_{i}" for o in ("mild", "severe")], "single_choice")
        ask([f"{stem}_localization_{o}_{i}" for o in ("left", "right", "unspecified")], "multi_choice")

    for a in range(areas):
        for topic in ("signs", "diseases"):
            ask([f"area {a}_{topic}_yes", f"area {a}_{topic}_no"], "single_choice")
            for e in range(elements):
                for i in range(instances):
                    stem = f"area {a}_{topic}_element {e}"
                    ask([f"{stem}_yes_{i}", f"{stem}_no_{i}"], "single_choice")
                    attributes(stem, i)
    for i in range(instances):
        ask([f"nodes_infos_yes_{i}", f"nodes_infos_no_{i}"], "single_choice")
        attributes("nodes_infos", i)
    return AnswerTree.from_paths(paths, ids, kinds)


TREE = grow()


def reports(tree, num, rng, share_normal=140 / 360):
    """True reports, complete as the published ones are; a share of them without any finding."""
    flags = tree.all_no(num)
    for row in range(round(num * share_normal), num):
        for question in tree.questions:
            columns = question.columns
            if question.yes_no:
                flags[row, columns] = (1, 0) if rng.random() < 0.3 else (0, 1)
            else:
                flags[row, columns[rng.integers(len(columns))]] = 1
    done = complete_reports(tree, flags)
    for row in range(round(num * share_normal), num):
        if (done[row] == done[0]).all():
            done[row, TREE.questions[0].columns] = (1, 0)
    return done


def direct(tree, said, truth):
    """Macro scores written out class by class, without the summary rows."""
    rows = []
    for k in range(len(tree.paths)):
        p, t = said[:, k].astype(bool), truth[:, k].astype(bool)
        if t.any():
            hits = (p & t).sum()
            rows.append((hits / p.sum() if p.any() else 1.0, hits / t.sum(), 2 * hits / (p.sum() + t.sum())))
    return np.mean(rows, axis=0)


def test_gold_scores_one_and_no_to_everything_scores_its_normal_reports():
    truth = reports(TREE, 360, np.random.default_rng(1))
    assert (complete_reports(TREE, truth) == truth).all()
    gold = score_report_trees(TREE, truth, truth)
    assert (gold.overall.precision, gold.overall.recall, gold.overall.f1) == (1, 1, 1)
    assert (gold.overall.report_accuracy, gold.element_accuracy) == (1, 1)
    assert all(level.f1 == level.report_accuracy == 1 for level in gold.levels.values())
    none = score_report_trees(TREE, TREE.all_no(360), truth, summary_rows=False)
    assert round(none.overall.report_accuracy, 4) == 0.3889
    found = (none.overall.precision, none.overall.recall, none.overall.f1)
    assert found == pytest.approx(direct(TREE, TREE.all_no(360), truth))
    assert none.overall.f1 < 0.5 < none.element_accuracy


def test_random_reports_score_as_counted_class_by_class():
    rng = np.random.default_rng(2)
    truth, said = reports(TREE, 50, rng), reports(TREE, 50, rng)
    found = score_report_trees(TREE, said, truth, summary_rows=False)
    assert (found.overall.precision, found.overall.recall, found.overall.f1) == pytest.approx(direct(TREE, said, truth))
    assert found.element_accuracy == (said == truth).mean()
    order = rng.permutation(50)
    assert score_report_trees(TREE, said[order], truth[order]).overall.f1 == pytest.approx(
        score_report_trees(TREE, said, truth).overall.f1
    )


def test_nothing_stands_below_a_no_and_an_empty_choice_is_unspecified():
    flags = np.zeros((1, len(TREE.paths)), dtype=int)
    at = {path: k for k, path in enumerate(TREE.paths)}
    for path in ("area 0_signs_yes", "area 0_signs_element 0_yes_0", "area 0_signs_element 0_no_1"):
        flags[0, at[path]] = 1
    flags[0, at["area 0_signs_element 0_yes_1"]] = 0
    flags[0, at["area 0_signs_element 0_degree_severe_1"]] = 1  # below a no
    flags[0, at["area 0_diseases_no"]] = 1
    flags[0, at["area 0_diseases_element 1_yes_0"]] = 1  # below a no
    flags[0, [at[f"area 0_signs_element 1_{a}_0"] for a in ("yes", "no")]] = NOT_ANSWERED
    done = {path for path, flag in zip(TREE.paths, complete_reports(TREE, flags)[0], strict=True) if flag}
    assert "area 0_signs_element 0_localization_unspecified_0" in done
    assert "area 0_signs_element 0_degree_severe_1" not in done
    assert "area 0_diseases_element 1_no_0" in done
    assert "area 0_signs_element 1_no_0" in done
    flags[
        0, [at["area 0_signs_element 0_localization_left_0"], at["area 0_signs_element 0_localization_unspecified_0"]]
    ] = 1
    done = {path for path, flag in zip(TREE.paths, complete_reports(TREE, flags)[0], strict=True) if flag}
    assert "area 0_signs_element 0_localization_unspecified_0" not in done


def test_reports_that_do_not_fit_the_tree_are_refused():
    with pytest.raises(InputError, match="single-choice"):
        complete_reports(TREE, np.ones((1, len(TREE.paths))))
    with pytest.raises(InputError, match="shape"):
        complete_reports(TREE, np.zeros((1, 3)))
    with pytest.raises(InputError, match="no_such"):
        TREE.flags({"no_such": True})
    with pytest.raises(InputError, match="cannot be read"):
        AnswerTree.read("no-such-folder")
    with pytest.raises(InputError):
        AnswerTree.from_paths(["a_yes", "a_no"], [0], {})


PUBLISHED = [Path(os.environ.get("RAD_RESTRUCT", ".")), Path(__file__).parents[4] / "shared" / "data" / "radrestruct"]


@pytest.mark.skipif(not any((p / "report_keys.json").is_file() for p in PUBLISHED), reason="the set is not here")
def test_the_published_anchors():
    folder = next(p for p in PUBLISHED if (p / "report_keys.json").is_file())
    tree = AnswerTree.read(folder)
    names = json.loads((folder / "test_ids.json").read_text(encoding="utf-8"))
    files = [folder / "test_vectorized_answers" / f"{name}.json" for name in names]
    truth = np.stack([tree.flags(json.loads(file.read_text(encoding="utf-8"))) for file in files])
    assert truth.shape == (360, 2470)
    gold = score_report_trees(tree, truth, truth)
    assert (gold.overall.f1, gold.overall.report_accuracy, gold.element_accuracy) == (1, 1, 1)
    none = score_report_trees(tree, tree.all_no(360), truth)
    found = none.overall
    figures = (found.report_accuracy, found.f1, found.precision, found.recall, none.element_accuracy)
    assert [round(v, 4) for v in figures] == [0.3889, 0.2865, 0.9967, 0.2882, 0.9959]
