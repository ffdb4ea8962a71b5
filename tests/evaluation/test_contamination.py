"""Training pictures and questions found in a benchmark, and different ones not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vesalius.cli.main import main
from vesalius.errors import InputError, OptionError
from vesalius.evaluation.contamination import contamination
from vesalius.evaluation.ngram_overlap import overlaps
from vesalius.evaluation.picture_likeness import NEAR_BITS, hash_distances, perceptual_hash, pixel_vector
from vesalius.inference.embed import encoder_is_here
from vesalius.phantoms.write import write_phantoms


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("phantoms") / "set"
    write_phantoms(root, count=24, seed=3, size=128)
    return root


@pytest.fixture(scope="module")
def chests(tmp_path_factory) -> Path:
    """Phantoms of one modality, which look more alike than any two modalities do."""
    root = tmp_path_factory.mktemp("chests") / "set"
    write_phantoms(root, count=40, seed=100, modality="xray", size=128)
    return root


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("images/*.png"))


CHANGES = {
    "resized": lambda image: image.resize((image.width * 3 // 5, image.height * 3 // 5), Image.Resampling.BICUBIC),
    "enlarged": lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.LANCZOS),
    "brighter": lambda image: image.point(lambda v: min(255, round(v * 1.15 + 10))),
    "darker": lambda image: image.point(lambda v: round(v * 0.6)),
    "cropped": lambda image: image.crop((2, 2, image.width - 2, image.height - 2)),
}
PAIRS = [
    *(("pixels", one) for one in ("resized", "enlarged", "brighter", "darker", "recompressed")),
    *(("starter", one) for one in ("brighter", "cropped")),
]


@pytest.mark.parametrize(("embedding", "change"), PAIRS)
def test_a_changed_copy_is_found_with_its_original(embedding, change, phantoms, tmp_path) -> None:
    if embedding == "starter" and not encoder_is_here():
        assert not os.environ.get("VESALIUS_REQUIRE_STARTER"), "the starter's base weights are missing"
        pytest.skip("the starter's base weights are not here (`make starter`)")
    # A picture that is all but black is found by its bytes alone.
    originals = [path for path in pictures(phantoms) if np.asarray(Image.open(path)).std() > 8][::4]
    assert len(originals) >= 5
    for path in originals:
        image = Image.open(path)
        if change == "recompressed":
            image.convert("L").save(tmp_path / f"{path.stem}.jpg", quality=35)
        else:
            CHANGES[change](image).save(tmp_path / path.name)
    found = contamination(str(phantoms / "images"), str(tmp_path), embedding=embedding)
    assert (found.pictures, found.exact, found.embedding) == (len(originals), 0, embedding)
    assert {Path(p.benchmark).stem: Path(p.training).stem for p in found.pairs} == {p.stem: p.stem for p in originals}
    assert found.near == found.pictures


def test_different_phantoms_are_not_found(phantoms, chests, tmp_path) -> None:
    write_phantoms(tmp_path / "other", count=24, seed=900, size=128)
    assert contamination(str(phantoms), str(tmp_path / "other" / "images"), embedding="pixels").pairs == ()
    write_phantoms(tmp_path / "chests", count=20, seed=901, modality="xray", size=128)
    for embedding in ("pixels", "starter") if encoder_is_here() else ("pixels",):
        assert contamination(str(chests), str(tmp_path / "chests" / "images"), embedding=embedding).pairs == ()


def test_hashes_of_one_modality_stay_apart(chests) -> None:
    hashes = [perceptual_hash(np.asarray(Image.open(path).convert("L"))) for path in pictures(chests)]
    table = np.stack([one for one in hashes if one is not None])
    nearest = [np.delete(hash_distances(one, table), k).min() for k, one in enumerate(table)]
    assert len(table) == 40
    assert min(nearest) > NEAR_BITS


def test_a_picture_without_content_is_like_nothing(tmp_path) -> None:
    grey = np.full((64, 64), 90, np.uint8)
    assert perceptual_hash(grey) is None
    assert not pixel_vector(grey).any()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(grey + (name == "a")).save(tmp_path / name / "p.png")
    (tmp_path / "b" / "broken.png").write_bytes(b"no picture")
    found = contamination(str(tmp_path / "a"), str(tmp_path / "b"), embedding="pixels")
    assert (found.near, found.blank, found.unread, found.pictures) == (0, 2, 1, 2)


def test_grams_are_shared_by_words_not_by_letters() -> None:
    train = ["Where is the large nodule in the left lung of this patient?", "图中肝脏在哪里呢请回答"]
    texts = [
        "Where IS the large nodule, in the left lung of this",
        "Is there fluid around the heart in this picture today?",
        "the left lung",
        "图中肝脏在哪里呢请问",
        "",
    ]
    found = overlaps(texts, train, 8)
    assert [one.shared for one in found] == [2, 0, 0, 2, 0]
    assert [one.share for one in found] == [1.0, 0.0, 0.0, pytest.approx(2 / 3), 0.0]
    assert [one.whole for one in overlaps(["What is this?", "What is"], ["what is this", "this"], 8)] == [True, False]


def test_samples_against_a_benchmark_give_rates_with_n(phantoms, tmp_path, capsys) -> None:
    """Six training samples become the benchmark; three of them keep their picture and question."""
    rows = [json.loads(line) for line in (phantoms / "samples.jsonl").read_text().splitlines()]
    taken = [row for row in rows if row["media"]][:1] + [row for row in rows if row["media"]][-1:]
    for k, row in enumerate(taken):
        for medium in row["media"]:
            medium["path"] = str(phantoms / medium["path"])
        row["id"] = f"copy{k}"
    fresh = tmp_path / "fresh.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(fresh)
    new = {"id": "new", "media": [{"kind": "image", "path": str(fresh)}]}
    new["turns"] = [
        {"role": "user", "text": "Which of these seven unusual words was never written before today?"},
        {"role": "assistant", "text": "None."},
    ]
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*taken, new]))
    out = tmp_path / "found.json"
    given = ["contamination", str(phantoms / "samples.jsonl"), str(tmp_path / "bench.jsonl"), "--embedding", "pixels"]
    assert main([*given, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "items with such a picture" in said
    assert "2 of 3" in said
    told = json.loads(out.read_text())
    assert (told["items"], told["exact"], told["items_equal_pair"], told["items_both"]) == (3, 2, 2, 2)
    assert told["rates"]["item_both_rate"] == pytest.approx(2 / 3)
    assert {pair["benchmark"] for pair in told["pairs"]} == {"copy0", "copy1"}


def test_a_benchmark_in_its_layout_is_a_source(tmp_path) -> None:
    from vesalius.evaluation.twins import write_twin

    write_twin("slake", tmp_path / "slake", count=12)
    found = contamination(f"slake={tmp_path / 'slake'}", f"slake={tmp_path / 'slake'}", embedding="pixels")
    assert found.items_both == found.items == 12
    assert found.exact == found.pictures


@pytest.mark.parametrize(
    ("source", "error"),
    [("nowhere", OptionError), ("slakes=DIR", OptionError), ("slake:noon=DIR", OptionError), ("EMPTY", InputError)],
)
def test_sources_that_are_none_are_told(source, error, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    source = source.replace("DIR", str(tmp_path)).replace("EMPTY", str(tmp_path / "empty"))
    with pytest.raises(error):
        contamination(source, source, embedding="pixels")
