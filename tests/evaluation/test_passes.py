"""What a model says without its pictures, with another's, or with the options in another order."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.evaluation.runs import TINY, Quick, write_benchmark
from vesalius.errors import InputError, OptionError
from vesalius.evaluation.blank import blank
from vesalius.evaluation.contract import Medium
from vesalius.evaluation.option_order import permuted_prompt
from vesalius.evaluation.passes import Pass, passes_of
from vesalius.evaluation.predict import predict
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.score import score_run
from vesalius.phantoms.volumes import draw_volume
from vesalius.phantoms.write_media import write_clip, write_volume
from vesalius.study.items import Clip, Volume


def rows_of(run: RunFolder, name: str = "main") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / Pass(name).file).read_bytes().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("passes")
    data = write_benchmark(folder / "data", 16)
    passes = passes_of(["none", "blank", "shuffle"], option_shuffle=2)
    return predict(TINY, data, Quick(), folder / "run", passes=passes)


def test_each_pass_has_its_own_file_and_is_complete(run: RunFolder):
    assert [p.name for p in run.passes()] == ["main", "blank", "shuffle", "none", "options1", "options2"]
    assert [len(run.complete_predictions(p.name)) for p in run.passes()] == [16, 16, 16, 16, 8, 8]


def test_a_blank_picture_has_the_size_and_mean_of_the_real_one(run: RunFolder):
    for real, shown in zip(rows_of(run), rows_of(run, "blank"), strict=True):
        size, mean, _ = real["raw"].split("|")[1].split(":")
        grey = shown["raw"].split("|")[1].split(":")
        assert grey == [size, f"{round(float(mean)):.4f}", "0.0"]
        assert real["images"] != shown["images"]
        assert real["prompt_sha256"] == shown["prompt_sha256"]


def test_shuffled_pictures_are_anothers_of_the_same_modality(run: RunFolder):
    modality = {
        row["images"][0]: sample.tags["modality"] for row, sample in zip(rows_of(run), run.samples(), strict=True)
    }
    own = {row["id"]: row["images"][0] for row in rows_of(run)}
    given = {row["id"]: row["images"][0] for row in rows_of(run, "shuffle")}
    assert all(given[key] != own[key] for key in own)
    assert all(modality[given[key]] == modality[own[key]] for key in own)
    assert set(given.values()) == set(own.values())


def test_without_pictures_none_is_sent(run: RunFolder):
    assert all(row["images"] == [] and "||" in row["raw"] for row in rows_of(run, "none"))


def test_permuted_options_keep_letters_and_say_the_order(run: RunFolder):
    texts = {"A": "a nodule", "B": "a cyst", "C": "a stone", "D": "a mass"}
    orders = set()
    for row in rows_of(run, "options1") + rows_of(run, "options2"):
        shown = "".join(f"{letter}. {texts[old]}\n" for letter, old in zip("ABCD", row["option_order"], strict=True))
        assert shown in row["raw"]
        orders.add(row["option_order"])
    assert len(orders) > 3


def test_the_same_seed_gives_the_same_passes_and_another_does_not(tmp_path: Path):
    data = write_benchmark(tmp_path / "data", 40)
    passes = [passes_of(["shuffle"], option_shuffle=1, seed=seed) for seed in (3, 3, 4)]
    one, same, other = (predict(TINY, data, Quick(), tmp_path / str(k), passes=p) for k, p in enumerate(passes))
    for name in ("shuffle", "options1"):
        assert rows_of(one, name) == rows_of(same, name)
        assert [r["raw"] for r in rows_of(one, name)] != [r["raw"] for r in rows_of(other, name)]


def test_a_pass_may_be_added_later(tmp_path: Path):
    data = write_benchmark(tmp_path / "data", 6)
    predict(TINY, data, Quick(), tmp_path / "run")
    model = Quick()
    run = predict(TINY, data, model, tmp_path / "run", passes=passes_of(["blank"]))
    assert len(model.asked) == 6
    assert [p.name for p in run.passes()] == ["main", "blank"]


def test_an_item_with_the_only_picture_of_its_modality_gets_one_of_another(tmp_path: Path):
    data = write_benchmark(tmp_path / "data", 8, change=lambda rows: [r.update(modality="US") for r in rows[:2]])
    run = predict(TINY, data, Quick(), tmp_path / "run", passes=passes_of(["shuffle"]))
    own, given = ({r["id"]: r["images"] for r in rows_of(run, name)} for name in ("main", "shuffle"))
    assert all(given[key] != own[key] for key in own)


def test_a_score_says_which_baselines_of_the_pictures_were_not_asked(tmp_path: Path):
    data = write_benchmark(tmp_path / "data", 8)
    run = predict(TINY, data, Quick(), tmp_path / "run", passes=passes_of(["shuffle"]))
    told = [note for note in score_run(run.path, benchmark=TINY, resamples=20).notes if note.startswith("Not asked")]
    assert told == [
        "Not asked: blank pictures, the question alone; what the score owes to the pictures stays open "
        "(--image-ablation blank --image-ablation none)."
    ]


def test_an_item_whose_media_have_no_like_is_left_out_of_the_shuffle(tmp_path: Path):
    data = write_benchmark(tmp_path / "data", 8, change=lambda rows: rows[3].update(images=["0.png", "1.png"]))
    run = predict(TINY, data, Quick(), tmp_path / "run", passes=passes_of(["shuffle"]))
    assert run.manifest["passes"]["shuffle"]["left_out"] == ["q3"]
    assert list(run.complete_predictions("shuffle")) == [f"q{k}" for k in range(8) if k != 3]


def test_blank_volumes_and_clips_keep_grid_times_and_mean(tmp_path: Path):
    truth = draw_volume(9_000_001, "ct", region="chest", shape=(64, 64, 12))
    write_volume(tmp_path / "scan.nii.gz", truth.values, truth.affine_ras)
    volume, name = blank(Medium("volume", tmp_path / "scan.nii.gz"), "0" * 64)
    assert isinstance(volume, Volume)
    assert volume.shape == (64, 64, 12)
    assert np.allclose(volume.affine_ras, truth.affine_ras)
    assert float(np.ptp(volume.values())) == 0
    assert abs(float(volume.values().mean()) - float(truth.values.mean())) <= 1
    assert len(name) == 64
    frames = [np.full((64, 64, 3), 40 * k, np.uint8) for k in range(4)]
    write_clip(tmp_path / "clip.webm", frames, [0.0, 0.5, 1.0, 1.5])
    clip, _ = blank(Medium("video", tmp_path / "clip.webm"), "0" * 64)
    assert isinstance(clip, Clip)
    assert len(clip.times_s) == 4
    assert {int(v) for frame in clip.frames([0, 3]) for v in np.unique(frame)} == {round(np.mean(clip.frames([0])))}


def test_a_clip_that_is_a_folder_of_frames_becomes_a_blank_one(tmp_path: Path):
    for number in range(3):
        Image.fromarray(np.full((8, 9, 3), 100 * number, np.uint8)).save(tmp_path / f"{number}.png")
    clip, _ = blank(Medium("video", tmp_path), "0" * 64)
    assert isinstance(clip, Clip)
    assert (clip.num_frames, {int(v) for frame in clip.frames([0, 2]) for v in np.unique(frame)}) == (3, {100})


def test_a_colour_picture_stays_one(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 255, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shown, _ = blank(Medium("image", tmp_path / "a.png"), "")
    (tmp_path / "b.png").write_bytes(shown)
    with Image.open(tmp_path / "b.png") as opened:
        assert (opened.mode, opened.size) == ("RGB", (9, 12))
        assert opened.getextrema() == ((round(pixels.mean()),) * 2,) * 3


TEXTS = st.lists(st.text("abc xyz1.", min_size=1, max_size=8).map(str.strip).filter(bool), min_size=2, max_size=6)


@given(TEXTS, st.sampled_from(["{}. {}\n", "{}.{}\n", "({}) {}\n", "{}: {} ", "{}、{}\n"]), st.integers(0, 99))
def test_however_options_are_written_the_permuted_prompt_is_the_template_filled_anew(
    texts: list[str], form: str, seed: int
):
    options = dict(zip("ABCDEF", texts, strict=False))
    order = list(options)
    random.Random(seed).shuffle(order)

    def prompt(shown: list[str]) -> str:
        return "What, A or B?\n" + "".join(form.format(x, t) for x, t in zip(options, shown, strict=True)) + "Answer."

    assert permuted_prompt(prompt(texts), options, order) == prompt([options[x] for x in order])


def test_options_that_hold_their_letters_are_permuted_without_them():
    options = {"A": "A: heart", "B": "B: lung"}
    assert permuted_prompt("Q\nA: heart\nB: lung\n", options, ["B", "A"]) == "Q\nA: lung\nB: heart\n"


def test_options_the_prompt_does_not_show_cannot_be_permuted(tmp_path: Path):
    with pytest.raises(InputError, match="does not show the options"):
        permuted_prompt("What is it?", {"A": "x", "B": "y"}, ["B", "A"])


def test_options_that_speak_of_others_keep_their_place(tmp_path: Path):
    fixed = {"A": "a cyst", "B": "a stone", "C": "both of the above", "D": "none of the above"}
    data = write_benchmark(tmp_path / "data", 8, change=lambda rows: [r.update(options=fixed) for r in rows])
    run = predict(TINY, data, Quick(), tmp_path / "run", passes=passes_of(option_shuffle=1))
    assert {r["option_order"] for r in rows_of(run, "options1")} == {"ABCD"}


@pytest.mark.parametrize("how", [{"ablations": ["grey"]}, {"option_shuffle": -1}, {"repeats": 0}, {"seed": -1}])
def test_passes_that_do_not_exist_are_refused(how: dict[str, Any]):
    with pytest.raises(OptionError):
        passes_of(**how)
