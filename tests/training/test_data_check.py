"""Every bad row of training data is found by its number, and good data are described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.data_rows import row, sample, write_picture, write_rows
from vesalius.cli.main import main
from vesalius.dialogue.samples import read_samples, write_samples
from vesalius.training.data.check import check_samples

BOX = {"label": "nodule", "box": [1.0, 2.0, 30.5, 40.0]}


def answer(text: str = "", **targets: Any) -> list[dict[str, Any]]:
    said: dict[str, Any] = {"role": "assistant", "text": text}
    return [{"role": "user", "text": "Where?"}, {**said, "targets": targets} if targets else said]


def image(path: str) -> list[dict[str, str]]:
    return [{"kind": "image", "path": path}]


BAD: list[tuple[dict[str, Any] | str, str, str]] = [
    ("{broken", "json", "JSON"),
    ({"colour": 1}, "schema", "colour"),
    ({"id": "s0"}, "duplicate id", "earlier row"),
    ({"media": image("images/none.png")}, "media", "is not there"),
    ({"media": image("images/empty.png")}, "media", "media 0 (image)"),
    ({"media": image("images/cut.png")}, "media", "cut off"),
    ({"media": image("images/text.png")}, "media", "media 0 (image)"),
    ({"turns": answer(boxes=[{**BOX, "box": [1, 2, 65, 40]}])}, "outside", "64 x 48"),
    ({"turns": answer(boxes=[{**BOX, "box": [-1, 2, 5, 40]}])}, "outside", "64 x 48"),
    ({"turns": answer(points=[{"label": "x", "point": [70, 1]}])}, "outside", "point"),
    ({"turns": answer("<mask>", masks=[{"label": "x", "rle": {"size": [2, 2], "counts": [4]}}])}, "outside", "mask is"),
    ({"turns": answer("<mask>", masks=[{"label": "x", "path": "none.png"}])}, "media", "mask file"),
    ({"turns": answer(boxes=[{**BOX, "slice": 3}])}, "places", "slice"),
    ({"turns": answer(boxes=[{**BOX, "frame": 3}])}, "places", "frame"),
    ({"turns": answer(" ")}, "empty answer", "every answer is empty"),
    ({"turns": [*answer("yes"), *answer("")]}, "empty answer", "1 of 2"),
    ({"turns": [*answer("yes"), {"role": "user", "text": "And?"}]}, "turns", "last turn"),
    ({"turns": [{"role": "assistant", "text": "Hi"}, *answer("yes")]}, "turns", "before any question"),
    ({"turns": [{"role": "user", "text": "<image><image>?"}, {"role": "assistant", "text": "x"}]}, "placeholders",
     "2 <image> but 1 image"),
    ({"turns": answer("<bbox> <bbox>", boxes=[BOX])}, "places", "2 <bbox> but 1 boxes"),
    ({"turns": answer("<bbox>")}, "places", "1 <bbox> but 0 boxes"),
]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("images/0.png", "images/1.png"):
        write_picture(tmp_path / name, seed=int(name[7]))
    (tmp_path / "images/empty.png").write_bytes(b"")
    (tmp_path / "images/text.png").write_bytes(b"no picture")
    (tmp_path / "images/cut.png").write_bytes((tmp_path / "images/0.png").read_bytes()[:900])
    return tmp_path


def test_every_fault_is_found_in_one_pass(data: Path) -> None:
    rows: list[Any] = [row(0)]
    for k, (change, _, _) in enumerate(BAD, 1):
        rows.append(change if isinstance(change, str) else {**row(k, media=image("images/1.png")), **change})
    rows.append(row(99, media=image("images/1.png")))
    found = check_samples(write_rows(data / "train.jsonl", rows))
    assert [one.row for one in found.bad] == list(range(2, 2 + len(BAD)))
    for one, (_, kind, says) in zip(found.bad, BAD, strict=True):
        assert (one.kind, says in one.reason) == (kind, True), one
        assert one.fix
    assert (found.rows, found.num_bad_rows, found.statistics.samples) == (len(BAD) + 2, len(BAD), 2)
    assert found.faults == []


def test_empty_one_row_and_unreadable_files_are_one_error_each(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(write_rows(data / "empty.jsonl", []))]) == 2
    assert "holds no rows" in capsys.readouterr().out
    assert main(["data", "check", str(write_rows(data / "one.jsonl", [row(0)]))]) == 2
    assert "holds one row" in capsys.readouterr().out
    assert main(["data", "check", str(data / "none.jsonl")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (data / "bad.parquet").write_bytes(b"no table")
    assert main(["data", "check", str(data / "bad.parquet")]) == 2
    assert "Parquet" in capsys.readouterr().err


def test_good_data_are_described_with_plots(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(k, media=image(f"images/{k % 2}.png"), lang="en") for k in range(3)]
    rows += [{**row(10 + k, media=[], tags={"modality": "mr", "task": "vqa"}),
              "turns": answer("yes" if k else "no", answer="yes" if k else "no")} for k in range(30)]  # fmt: skip
    rows.append({**row(50, media=[]), "turns": [
        {"role": "user", "text": "Say: the heart is not enlarged at all."},
        {"role": "assistant", "text": "the heart is not enlarged at all"}]})  # fmt: skip
    path = write_rows(data / "train.jsonl", rows)
    report = data / "report.html"
    assert main(["data", "check", str(path), "--json", "--out", str(report), "--max-length", "8"]) == 0
    told = json.loads(capsys.readouterr().out)
    stats = told["statistics"]
    assert (told["rows"], told["bad_rows"], told["ok"], told["token_source"]) == (34, 0, True, "estimate")
    assert stats["modalities"] == {"mr": 30, "ct": 4}
    assert stats["labels"] == {"nodule": 3}
    assert stats["answers"] == {"vqa": {"yes": 29, "no": 1}}
    assert stats["media"] == {"text only": 31, "image": 3}
    assert any("unbalanced" in one for one in told["remarks"])
    warned = {one["what"]: one["rows"] for one in told["warnings"]}
    assert next(rows for what, rows in warned.items() if "word for word" in what) == [34]
    assert next(count["count"] for count in told["warnings"] if "says the same" in count["what"]) == 28
    assert told["longer_than_max_length"] == 1
    page = report.read_text()
    assert page.count("<svg") >= 7
    assert "http" not in page
    assert main(["data", "check", str(path)]) == 0
    assert "Modalities: mr 30, ct 4." in capsys.readouterr().out


def test_tokens_are_counted_by_a_given_tokenizer(data: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.save(str(data / "tokenizer.json"))
    path = write_rows(data / "t.jsonl", [row(k, media=image(f"images/{k}.png")) for k in range(2)])
    found = check_samples(path, tokenizer=data)
    assert found.token_source == "tokenizer.json"
    assert found.statistics.tokens.to_json()["mean"] == len("Where is nodule 0?\nHere: .".split())


def test_parquet_gzip_and_shards_give_the_same_as_lines(data: Path) -> None:
    samples = [sample(k, path=f"images/{k % 2}.png", patient=f"p{k}") for k in range(5)]
    (data / "shards").mkdir()
    plain = data / "a.jsonl"
    write_samples(plain, samples)
    write_samples(data / "a.jsonl.gz", samples)
    write_samples(data / "a.parquet", samples)
    moved = [one.model_copy(update={"media": (one.media[0].model_copy(update={"path": f"../{one.media[0].path}"}),)})
             for one in samples]  # fmt: skip
    write_samples(data / "shards/1.jsonl", moved[:2])
    write_samples(data / "shards/2.parquet", moved[2:])
    expected = check_samples(plain)
    assert expected.bad == []
    for other in (data / "a.jsonl.gz", data / "a.parquet", data / "shards"):
        found = check_samples(other)
        assert found.bad == []
        assert found.statistics.to_json() == expected.statistics.to_json()
    assert list(read_samples(data / "a.parquet")) == list(read_samples(data / "a.jsonl.gz")) == samples


def test_leaks_between_splits_are_bad_rows(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "copy").mkdir()
    (data / "copy/renamed.png").write_bytes((data / "images/1.png").read_bytes())
    write_picture(data / "images/2.png", seed=2)
    write_picture(data / "images/3.png", seed=3)
    train = data / "train.jsonl"
    write_samples(train, [sample(0, patient="a"), sample(1, patient="b"), sample(2, patient="c")])
    other = data / "test.jsonl"
    write_samples(other, [sample(7, path="images/3.png", patient="a"), sample(8, path="copy/renamed.png", patient="z")])
    assert main(["data", "check", str(train), "--against", str(other), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert [(one["row"], one["kind"]) for one in told["bad"]] == [(1, "leak"), (2, "leak")]
    assert "patient" in told["bad"][0]["reason"]
    assert "media" in told["bad"][1]["reason"]
