"""Every benchmark by name: it loads, its twin reads, and the documentation has its row."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from vesalius.cli.main import main
from vesalius.errors import OptionError
from vesalius.evaluation.benchmarks import BENCHMARKS, benchmark
from vesalius.evaluation.benchmarks.prompts import STYLES
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.twins import write_twin

HERE = ("text", "2d", "reports")
PAGE = Path(__file__).resolve().parents[3] / "docs" / "benchmarks-available.md"


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_loads_and_says_what_it_is(name: str) -> None:
    found = benchmark(name)
    assert found.name == name
    assert found.title
    assert found.splits
    assert found.template
    assert found.primary
    assert found.source
    assert found.licence
    templates = [found.template, *(variant.template for variant in found.variants.values())]
    assert len(set(templates)) == len(templates)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_has_its_row_in_the_documentation(name: str) -> None:
    found = benchmark(name)
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` ")]
    assert len(rows) == 1, "run scripts/write_benchmark_table.py"
    assert f"`{found.template}`" in rows[0]
    assert found.source in rows[0]


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if benchmark(name).group in HERE])
def test_a_twin_reads_back_whole(name: str, tmp_path: Path) -> None:
    found = benchmark(name)
    found.twin(tmp_path, 6, 5)
    samples = list(found.read(tmp_path, found.splits[0]))
    assert len(samples) >= 6
    assert len({sample.id for sample in samples}) == len(samples)
    assert [s.id for s in found.read(tmp_path, found.splits[0])] == [s.id for s in samples]
    for sample in samples:
        check(sample)


def check(sample: Sample) -> None:
    assert sample.question in sample.prompt
    assert sample.gold
    if sample.kind == "mcq":
        assert sample.options is not None
        assert sample.gold in sample.options
        assert all(text in sample.prompt for text in sample.options.values())
    if sample.kind == "yesno":
        assert sample.gold in ("yes", "no")
    parts = sample.conversation()[-1]["content"]
    assert parts[-1] == {"type": "text", "text": sample.prompt}
    assert [part["type"] for part in parts].count("image") == len(sample.media)
    for medium in sample.media:
        source = io.BytesIO(medium.source) if isinstance(medium.source, bytes) else medium.source
        with Image.open(source) as picture:
            picture.load()


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if benchmark(name).group in HERE])
def test_a_seed_makes_the_same_twin_and_another_seed_another(name: str, tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        benchmark(name).twin(tmp_path / folder, 3, seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


@pytest.mark.parametrize(
    "name", [name for name in BENCHMARKS if set(STYLES) - {"direct"} <= set(benchmark(name).variants)]
)
def test_variants_ask_the_same_questions_in_other_words(name: str, tmp_path: Path) -> None:
    found = benchmark(name)
    found.twin(tmp_path, 3, 1)
    asked = {style: list(found.variant(style).read(tmp_path, found.splits[0])) for style in STYLES}
    direct = asked.pop("direct")
    for samples in asked.values():
        assert [(s.id, s.question, s.gold) for s in samples] == [(s.id, s.question, s.gold) for s in direct]
        assert all(s.prompt != d.prompt and "\\boxed{}" in s.prompt for s, d in zip(samples, direct, strict=True))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(OptionError, match="Did you mean medqa-usmle"):
        benchmark("medqa-usml")


def test_the_command_writes_a_twin_and_counts_its_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "twin"
    assert main(["phantom", "--as", "vqa-rad", str(out), "--count", "4", "--seed", "2"]) == 0
    assert capsys.readouterr().out.startswith("4 generated questions of vqa-rad in ")
    assert len(list(benchmark("vqa-rad").read(out, "test"))) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["--as", "no-such-benchmark"],
        ["--as", "vqa-rad", "--kind", "volume"],
        ["--as", "vqa-rad", "--count", "0"],
        ["--as", "vqa-rad", "--seed", "-1"],
    ],
)
def test_the_command_refuses_what_cannot_be(arguments: list[str], tmp_path: Path) -> None:
    assert main(["phantom", str(tmp_path / "twin"), *arguments]) == 2
    assert not (tmp_path / "twin").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(OptionError, match="not an empty folder"):
        write_twin("medqa-usmle", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
