"""Runs with masks: overlap, distances in millimetres or pixels, instances, and what published rules do otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation.scored import benchmark_of, item, stored_run
from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.metrics.segmentation import surface_scores
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.score import score_run
from vesalius.evaluation.scoring.true_masks import true_mask
from vesalius.findings.export_json import to_json
from vesalius.findings.findings import Mask, Where
from vesalius.findings.masks import encode_rle


def square(y: int, x: int, side: int = 4, shape: tuple[int, int] = (20, 30)) -> Any:
    mask = np.zeros(shape, dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


def marks(name: str, *masks: Any, where: Where | None = None) -> Prediction:
    found = [Mask(label="lesion", where=where or Where(), mask=one) for one in masks]
    return Prediction(name, raw="[SEG]", findings=tuple(to_json(found)["findings"]))


def scored(folder: Path, samples: list[Any], answers: dict[str, Any], profile: str = "strict", **more: Any) -> Any:
    made = benchmark_of(samples, **more)
    return score_run(stored_run(folder / "run", made, answers), profile, benchmark=made, resamples=20)


def value(summary: Any, metric: str) -> float:
    found = summary.overall.figure(metric)
    assert found is not None, metric
    return found.value


def test_overlap_distance_and_instances_of_one_answer(tmp_path) -> None:
    true = [square(2, 2), square(10, 20)]
    sample = item("1", "mask", [encode_rle(one) for one in true], extra={"spacing_mm": [2.0, 0.5]})
    said = [square(2, 3), square(10, 20)]
    summary = scored(tmp_path, [sample], {"1": marks("1", *said)})
    union = [np.logical_or.reduce(side) for side in (said, true)]
    surface = surface_scores(union[0], union[1], (2.0, 0.5))
    assert value(summary, "dice") == pytest.approx(2 * 28 / 64)
    assert value(summary, "hd95_mm") == pytest.approx(surface.hd95_mm)
    assert value(summary, "nsd@1mm") == pytest.approx(surface.nsd)
    assert value(summary, "pq") == pytest.approx((0.6 + 1) / 2)
    assert value(summary, "aji") == pytest.approx(28 / 36)
    assert summary.baselines["everything marked"].value == pytest.approx(2 * 32 / (32 + 600))
    assert summary.baselines["nothing marked"].value == 0


def test_nothing_on_either_side_and_on_one(tmp_path) -> None:
    empty, full = np.zeros((20, 30), dtype=bool), square(3, 3)
    samples = [item(name, "mask", encode_rle(gold)) for name, gold in (("a", empty), ("b", full), ("c", full))]
    answers = {"a": marks("a", empty), "b": marks("b", empty), "c": marks("c", full)}
    summary = scored(tmp_path, samples, answers)
    rows = {row["id"]: row for row in map(json.loads, (tmp_path / "run/scores.jsonl").read_text().splitlines())}
    assert [rows[name]["scores"]["dice"] for name in "abc"] == [1, 0, 1]
    assert [rows[name]["scores"]["hd95_missing"] for name in "abc"] == [0, 1, 0]
    assert "ratios" not in rows["b"]
    # The spacing is not known: pixels, and the distance is over the one answer that has it.
    assert (value(summary, "hd95_px"), summary.overall.figure("hd95_px").n) == (0, 1)
    assert value(summary, "nsd@1px") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Prediction("1", raw="A mass."), "malformed"),
        (Prediction("1", raw=""), "empty"),
        (Prediction("1", raw="I'm sorry, I cannot do that."), "refused"),
        (Prediction("1", finish_reason="error"), "error"),
        (marks("1", square(1, 1, shape=(9, 9))), "malformed"),
        (Prediction("1", raw="[SEG]", findings=({"kind": "mask", "pixels": {"rle": {"size": [2, 2], "counts": "9"}}},)),
         "malformed"),
    ],
)  # fmt: skip
def test_an_answer_without_a_usable_mask_is_wrong_even_where_nothing_is(tmp_path, answer, status) -> None:
    for name, gold in (("full", square(1, 1)), ("empty", np.zeros((20, 30), dtype=bool))):
        scored(tmp_path / name, [item("1", "mask", encode_rle(gold))], {"1": answer})
        row = json.loads((tmp_path / name / "run/scores.jsonl").read_text())
        assert row["status"] == status
        assert (row["scores"]["dice"], row["scores"]["mask_iou"], row["scores"]["nsd@1px"]) == (0, 0, 0)


def test_run_lengths_written_out_and_a_statement_of_absence_are_answers(tmp_path) -> None:
    full = square(3, 3)
    samples = [item("1", "mask", encode_rle(full)), item("2", "mask", encode_rle(full & False))]
    written = f"```json\n{json.dumps([{'label': 'cyst', 'mask': encode_rle(full)}])}\n```"
    summary = scored(tmp_path, samples, {"1": written, "2": "There are none."})
    assert value(summary, "dice") == 1
    assert summary.overall.rates["parse_failure"] == 0


def test_the_first_mask_alone_counts_as_published(tmp_path) -> None:
    samples = [item("1", "mask", encode_rle(square(2, 2)))]
    answers = {"1": marks("1", square(2, 2), square(10, 20))}
    assert value(scored(tmp_path / "a", samples, answers, name="mecovqa-g"), "dice") == pytest.approx(2 / 3)
    assert value(scored(tmp_path / "b", samples, answers, "published", name="mecovqa-g"), "dice") == 1
    soft = scored(tmp_path / "c", samples, answers, "published", name="m3d-segmentation")
    assert value(soft, "soft_dice") == pytest.approx((2 * 16 + 1) / (32 + 16 + 1))


def test_every_value_of_a_label_map_is_an_instance_where_told(tmp_path) -> None:
    labels = square(2, 2).astype(np.uint8) * 3 + square(10, 20).astype(np.uint8) * 7
    np.save(tmp_path / "labels.npy", labels)
    plain = true_mask(item("1", "mask", tmp_path / "labels.npy"))
    assert (int(plain.inside.sum()), plain.instances) == (32, None)
    told = true_mask(item("1", "mask", tmp_path / "labels.npy", extra={"instances": True})).instances
    assert told is not None
    assert sorted(np.unique(told).tolist()) == [0, 1, 2]
    one = true_mask(item("1", "mask", tmp_path / "labels.npy", extra={"value": 7}))
    assert (one.inside == square(10, 20)).all()
    with pytest.raises(InputError, match="cannot be read"):
        true_mask(item("1", "mask", tmp_path / "missing.npy"))


@pytest.mark.parametrize("name", ["mecovqa-g", "m3d-segmentation"])
@pytest.mark.parametrize("profile", ["strict", "published"])
def test_the_true_masks_of_a_twin_score_one_through_the_whole_of_scoring(tmp_path, name, profile) -> None:
    made = benchmark(name)
    made.twin(tmp_path / "data", 3, 1)
    samples = list(made.read(tmp_path / "data", "test"))
    answers = {one.id: marks(one.id, true_mask(one).inside) for one in samples}
    summary = score_run(stored_run(tmp_path / "run", made, answers), profile, resamples=20)
    unit = "mm" if name.startswith("m3d") else "px"
    assert [value(summary, f"{one}{unit}") for one in ("nsd@1", "hd95_")] == [1, 0]
    assert (value(summary, "dice"), value(summary, "mask_iou"), value(summary, "hd95_missing")) == (1, 1, 0)
    assert 0 < (summary.baselines["everything marked"].value or 0) < 1


def test_a_mask_of_a_slice_and_stored_axes_lie_in_the_canonical_frame(tmp_path) -> None:
    from vesalius.phantoms.write_media import write_volume

    voxels = np.zeros((6, 8, 5), dtype=np.uint8)
    voxels[1:3, 2:6, 3] = 1
    affine = np.diag([-0.5, 2.0, 3.0, 1.0])  # stored right to left
    write_volume(tmp_path / "mask.nii.gz", voxels, affine)
    sample = item("1", "mask", tmp_path / "mask.nii.gz")
    truth = true_mask(sample)
    assert truth.spacing_mm == pytest.approx((0.5, 2.0, 3.0))
    assert truth.inside[3:5, 2:6, 3].all(), "x runs to the left"
    assert truth.inside.sum() == 8
    drawn = truth.inside[:, :, 3].T[::-1, ::-1]
    answer = marks("1", drawn, where=Where(axis="axial", slice_index=3))
    assert value(scored(tmp_path, [sample], {"1": answer}), "dice") == 1
    np.save(tmp_path / "mask.npy", np.ones((1, 3, 4, 5), dtype=bool))
    assert true_mask(item("2", "mask", tmp_path / "mask.npy")).spacing_mm is None


def test_boxes_have_average_precision_and_the_published_many_to_one_beside(tmp_path) -> None:
    fence = "```json\n{}\n```"
    samples = [item(str(k), "box", [[10, 10, 50, 50]], size=(99, 99), extra={"label": "ab"[k]}) for k in (0, 1)]
    right = fence.format('[{"bbox_2d":[10,10,50,50],"label":"a"}]')
    summary = scored(tmp_path / "a", samples, {"0": right, "1": right}, dialect="qwen-json")
    assert summary.extra["detection"] == {"mAP": 1, "mAP@0.4": 1, "mAP@0.5": 1, "mAP@0.75": 1}
    copies = fence.format(json.dumps([{"bbox_2d": [10, 10, 50, 50], "label": "a"}] * 4))
    summary = scored(tmp_path / "b", samples, {"0": copies, "1": ""}, dialect="qwen-json")
    assert summary.extra["detection"]["mAP@0.5"] == 0.5
    assert value(summary, "best_iou (many-to-one)") == 1
    assert value(summary, "precision@0.5") == 0.25
    points = [item("p", "point", [[5, 5], [60, 60]], size=(99, 99))]
    said = fence.format(json.dumps([{"point_2d": [5, 5]}] * 3))
    summary = scored(tmp_path / "c", points, {"p": said}, "pdc", dialect="qwen-json")
    found = [value(summary, name) for name in ("point_matching", "point_precision", "point_recall")]
    assert found == pytest.approx([1, 1 / 3, 1 / 2])
