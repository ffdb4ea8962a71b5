"""What cannot be trained is one clear error before the first step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training import tiny
from vesalius.cli.main import main
from vesalius.errors import InputError, OptionError, VesaliusError
from vesalius.training.recipe import load_recipe
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_sft import SftRecipe, check_recipe
from vesalius.training.sft import train_sft


def refused(tmp_path: Path, data: Path | str, kind: type[VesaliusError] = InputError, **keys: Any) -> str:
    given = {
        "model": str(tiny.FIXTURES / "hulumed" / "qwen2_hf"), "out": str(tmp_path / "run"),
        "data": [{"path": str(data)}], "parts": {"projector": "train"}, "prepare": {"max_tokens": 16}, "steps": 2,
        "max_length": 512, "precision": "float32", "device": "cpu", "report_to": [],
    }  # fmt: skip
    lines: list[str] = []
    with pytest.raises(kind) as caught:
        train_sft(check_recipe(filled(SftRecipe, {**given, **keys}, "recipe"), "recipe"), lines.append)
    assert "\n" not in str(caught.value)
    assert not any(line.startswith("step") for line in lines)
    return str(caught.value)


def test_data_that_is_empty_or_one_row(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("")
    assert "holds no rows" in refused(tmp_path, tmp_path / "none.jsonl")
    assert "one row" in refused(tmp_path, tiny.write_samples(tmp_path / "one", 1))
    assert "cannot be read" in refused(tmp_path, tmp_path / "missing.jsonl")


def test_a_picture_that_is_missing_or_corrupt_is_named_by_its_row(tmp_path: Path) -> None:
    data = tiny.write_samples(tmp_path / "data")
    (tmp_path / "data" / "images" / "3.png").unlink()
    assert "row 4" in refused(tmp_path, data)
    (tmp_path / "data" / "images" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    said = refused(tmp_path, data)
    assert "row 4" in said
    assert "1 of the 6 samples" in said


def test_labels_that_are_all_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vesalius.training import sft_data

    data = tiny.write_samples(tmp_path / "data")
    monkeypatch.setattr(sft_data, "learned_tokens", lambda batch: 0)
    assert "every label is masked" in refused(tmp_path, data)


@pytest.mark.parametrize("answer", [{"text": ""}, {"text": "  \n"}, {"text": "", "targets": {}}])
def test_answers_that_leave_nothing_to_learn(tmp_path: Path, answer: dict[str, Any]) -> None:
    turns = [{"role": "user", "text": "What is it?"}, {"role": "assistant", **answer}]
    data = tiny.write_samples(tmp_path / "data", 4, **{f"s{k}": {"turns": turns} for k in range(4)})
    said = refused(tmp_path, data)
    assert "row 1: nothing of it is learnt, every label is masked" in said
    assert "4 of the 4 samples" in said


def test_an_adapter_of_another_base_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny.write_samples(tmp_path / "data")
    given = {
        "model": str(tiny.FIXTURES / "hulumed" / "qwen2_hf"), "out": str(tmp_path / "first"), "steps": 1,
        "data": [{"path": str(data)}], "parts": {"language": {"mode": "lora", "rank": 2}}, "max_length": 256,
        "prepare": {"max_tokens": 16}, "precision": "float32", "device": "cpu", "report_to": [],
    }  # fmt: skip
    train_sft(check_recipe(filled(SftRecipe, given, "recipe"), "recipe"), lambda line: None)
    other = str(tiny.FIXTURES / "medmo" / "qwen25vl_tiny")
    keys = {"model": other, "from": str(tmp_path / "first"), "prepare": {}}
    said = refused(tmp_path, data, VesaliusError, **keys)
    assert "trained on another base" in said
    assert "qwen2_hf" in said
    # The adapter's folder stands for its base and itself.
    asked = ["ask", str(tmp_path / "data" / "images" / "0.png"), "What?", "--max-new-tokens", "2"]
    assert main([*asked, "--model", str(tmp_path / "first" / "final")]) == 0
    about = tmp_path / "first" / "final" / "vesalius.json"
    about.write_text(about.read_text().replace("qwen2_hf", "nothing"))
    assert main([*asked, "--model", str(tmp_path / "first" / "final")]) == 2
    assert "no model is called" in capsys.readouterr().err


def test_an_empty_folder_of_shards_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    assert "holds no .jsonl" in refused(tmp_path, tmp_path / "shards")


def test_recipes_of_large_models_want_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for path in sorted((tiny.ROOT / "recipes").glob("*.yaml")):
        if path.stem.startswith(("hulumed", "citrusv", "medmo", "medmvl")):
            assert main(["train", str(path)]) == 2, path
            assert "no CUDA device" in capsys.readouterr().err


def test_more_placeholders_than_pictures(tmp_path: Path) -> None:
    turns = [{"role": "user", "text": "<image><image> What is it?"}, {"role": "assistant", "text": "two"}]
    data = tiny.write_samples(tmp_path / "data", s2={"turns": turns})
    assert "row 3" in refused(tmp_path, data)


def test_a_row_too_short_for_any_sample(tmp_path: Path) -> None:
    said = refused(tmp_path, tiny.write_samples(tmp_path / "data"), max_length=20)
    assert "max_length is 20" in said
    assert "Raise max_length" in said


def test_parts_devices_loggers_and_models_that_are_not_here(tmp_path: Path) -> None:
    data = tiny.write_samples(tmp_path / "data")
    said = refused(tmp_path, data, OptionError, parts={"mask_head": "train"})
    assert "It has vision, projector, language" in said
    assert "no CUDA device" in refused(tmp_path, data, OptionError, device="cuda")
    assert "Known: tensorboard" in refused(tmp_path, data, OptionError, report_to=["paper"])
    assert "wandb" in refused(tmp_path, data, InputError, report_to=["wandb"])
    assert "every part is frozen" in refused(tmp_path, data, OptionError, parts={"vision": "freeze"})
    assert "from holds neither" in refused(tmp_path, data, OptionError, **{"from": str(tmp_path)})


def test_a_part_that_reads_pictures_where_there_are_none(tmp_path: Path) -> None:
    rows = [
        {"id": f"t{k}", "turns": [{"role": "user", "text": "Why?"}, {"role": "assistant", "text": "So."}]}
        for k in range(3)
    ]
    path = tmp_path / "text.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert "no sample shows a picture" in refused(tmp_path, path, OptionError)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_lenght: 3", "Did you mean max_length"),
        ("parts: {vision: {learning_rat: 1}}", "Did you mean parts.vision.learning_rate"),
        ("parts: {vision: melt}", "train, freeze or lora"),
        ("parts: {vision: {mode: train, learning_rate: 3}}", "parts.vision.learning_rate is 3"),
        ("schedule: zigzag", "cosine or linear or constant"),
        ("data: []", "names no source"),
        ("data: [{path: a, phantoms: picture}]", "either path or phantoms"),
        ("betas: [0.9]", "betas has 1 values"),
        ("accumulate: 0", "accumulate is 0"),
        ("gradient_factor: {vision: 0.1}", "gradient_factor says vision"),
        ("parts: {vision: {mode: lora, dropout: 0.1}, language: lora}", "differ in dropout"),
    ],
)
def test_a_wrong_key_names_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    whole = {"recipe": "sft", "model": "m", "parts": {"language": "train"}, "data": [{"path": "a"}]}
    import yaml

    path.write_text(yaml.safe_dump({**whole, **yaml.safe_load(text)}))
    with pytest.raises(OptionError, match=said) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_changes_reach_into_lists_and_parts_and_debug_lies_under_them(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "recipe: sft\nmodel: m\nparts: {language: lora}\ndata: [{path: a}]\nsteps: 9\n"
        "debug: {model: small, steps: 3, parts: {language: {rank: 2}}}\n"
    )
    with pytest.raises(OptionError, match=r"parts\.language\.mode"):
        load_recipe(path, debug=True)
    path.write_text(path.read_text().replace("language: lora}", "language: {mode: lora}}"))
    plain = load_recipe(path, ["data.0.path=b", "parts.language.rank=4"])
    small = load_recipe(path, ["debug=true", "steps=5"])
    assert isinstance(plain, SftRecipe)
    assert isinstance(small, SftRecipe)
    assert (plain.model, plain.data[0].path, plain.parts["language"].rank) == ("m", "b", 4)
    assert (small.model, small.steps, small.parts["language"].rank) == ("small", 5, 2)
    with pytest.raises(OptionError, match="no place in a list"):
        load_recipe(path, ["data.3.path=b"])


def test_the_command_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("recipe: sft\nmodel: m\nparts: {language: train}\ndata: [{path: a}]\n")
    assert main(["train", str(path), "stepz=3"]) == 2
    assert "Did you mean steps" in capsys.readouterr().err
    assert main(["train", str(path), "--debug"]) == 2
    assert "no debug variant" in capsys.readouterr().err
