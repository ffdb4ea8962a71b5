"""`vesalius convert`: its options, its one line, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vesalius.cli.convert import read_size
from vesalius.cli.main import main
from vesalius.errors import OptionError

SOURCE = str(Path(__file__).resolve().parents[1] / "fixtures" / "medmo" / "qwen25vl_tiny")


def test_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, back = str(tmp_path / "clean"), str(tmp_path / "back")
    assert main(["convert", SOURCE, clean]) == 0
    out, err = capsys.readouterr()
    assert "qwen2_5_vl, layout clean; 69 tensors, 0.8 MB, every value as it was." in out
    assert "left behind: cases/" in out
    assert err == ""
    assert main(["convert", clean, back, "--to", "published", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["layout"], told["lossless"], told["num_tensors"]) == ("early", True, 69)
    assert main(["convert", clean, str(tmp_path / "half"), "--dtype", "bfloat16", "--max-shard-size", "100KB"]) == 0
    assert "not lossless" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([SOURCE, SOURCE], 2, "same folder"),
        (["/nowhere", "new"], 2, "no checkpoint folder"),
        ([SOURCE, "new", "--to", "gguf"], 2, "to is 'gguf'"),
        ([SOURCE, "new", "--max-shard-size", "large"], 2, "5GB"),
        ([str(Path(SOURCE).parent), "new"], 3, "no config.json"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *arguments]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("500 mb", 5 * 10**8), ("2GiB", 2**31), ("100", 100)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "1TBX", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        read_size(text)
