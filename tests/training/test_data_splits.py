"""No patient and no picture is on two sides of a split, whatever the data; the same seed gives the same split."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.data_rows import sample, write_picture, write_rows
from vesalius.cli.main import main
from vesalius.dialogue.samples import read_samples, write_samples
from vesalius.errors import InputError, OptionError
from vesalius.training.data.splits import split_samples

THIRDS = {"train": 0.6, "val": 0.2, "test": 0.2}


def groups_of(owners: list[tuple[int, int]]) -> int:
    """How many groups there are when patients and pictures tie samples together."""
    left = [({f"p{p}", f"m{m}"}) for p, m in owners]
    groups: list[set[str]] = []
    for keys in left:
        touching = [group for group in groups if group & keys]
        groups = [group for group in groups if not group & keys] + [keys.union(*touching)]
    return len(groups)


@given(
    owners=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=12, max_size=40),
    seed=st.integers(0, 5),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_on_two_sides(
    tmp_path_factory: pytest.TempPathFactory, owners: list[tuple[int, int]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("split")
    write_samples(folder / "all.jsonl",
                  (sample(k, path=f"{m}.png", patient=f"p{p}") for k, (p, m) in enumerate(owners)))  # fmt: skip
    try:
        done = split_samples(folder / "all.jsonl", folder / "out", THIRDS, seed=seed)
    except InputError:
        # Random owners may chain all samples into fewer groups than parts; the groups are then counted another way.
        assert groups_of(owners) < len(THIRDS)
        return
    seen: list[str] = []
    sides: dict[str, set[str]] = {}
    for part in done.parts:
        for one in read_samples(part.file):
            seen.append(one.id)
            for key in (f"patient {one.patient}", one.media[0].path):
                sides.setdefault(key, set()).add(part.name)
    assert sorted(seen) == sorted(f"s{k}" for k in range(len(owners)))
    assert all(len(where) == 1 for where in sides.values())
    assert all(part.samples for part in done.parts)


def test_shares_are_kept_in_every_modality_and_the_split_repeats(tmp_path: Path) -> None:
    rows = [sample(k, modality="ct" if k % 5 else "mr", patient=f"p{k}") for k in range(400)]
    write_samples(tmp_path / "all.jsonl", rows)
    write_samples(tmp_path / "reversed.jsonl", rows[::-1])
    done = split_samples(tmp_path / "all.jsonl", tmp_path / "a", THIRDS)
    for part, share in zip(done.parts, THIRDS.values(), strict=True):
        kinds = Counter(one.tags.modality for one in read_samples(part.file))
        assert kinds["ct"] == pytest.approx(320 * share, abs=1)
        assert kinds["mr"] == pytest.approx(80 * share, abs=1)
    split_samples(tmp_path / "reversed.jsonl", tmp_path / "b", THIRDS)
    split_samples(tmp_path / "all.jsonl", tmp_path / "c", THIRDS, seed=1, parquet=True)

    def ids(folder: str, name: str) -> set[str]:
        return {one.id for one in read_samples(tmp_path / folder / name)}

    assert ids("a", "test.jsonl") == ids("b", "test.jsonl") != ids("c", "test.parquet")


def test_equal_pictures_under_two_names_stay_together(tmp_path: Path) -> None:
    for k in range(12):
        write_picture(tmp_path / f"{k}.png", seed=k // 2)
    write_samples(tmp_path / "all.jsonl", (sample(k, path=f"{k}.png") for k in range(12)))
    done = split_samples(tmp_path / "all.jsonl", tmp_path / "out", {"a": 1, "b": 1}, by="media")
    for part in done.parts:
        numbers = sorted(int(one.id[1:]) for one in read_samples(part.file))
        assert [n ^ 1 for n in numbers[::2]] == numbers[1::2]
        assert (tmp_path / "out" / next(iter(read_samples(part.file))).media[0].path).exists()


def test_what_cannot_be_split_is_refused_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_samples(tmp_path / "one.jsonl", [sample(k, patient="p", path="x.png") for k in range(5)])
    write_samples(tmp_path / "nameless.jsonl", [sample(k) for k in range(5)])
    write_rows(tmp_path / "empty.jsonl", [])
    for name, says in (("one", "1 group"), ("nameless", "name no patient"), ("empty", "no rows")):
        with pytest.raises(InputError, match=says):
            split_samples(tmp_path / f"{name}.jsonl", tmp_path / "out", THIRDS)
    for wrong in ({"train": 1.0}, {"train": 1.0, "test": 0.0}, {"../x": 1.0, "b": 1.0}):
        with pytest.raises(OptionError):
            split_samples(tmp_path / "one.jsonl", tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()
    assert main(["data", "split", str(tmp_path / "nameless.jsonl"), "--out", str(tmp_path / "out")]) == 2
    assert "--by media" in capsys.readouterr().err
    arguments = ["data", "split", str(tmp_path / "nameless.jsonl"), "--out", str(tmp_path / "out"), "--by", "media",
                 "--parts", "train=0.5,test=0.5", "--json"]  # fmt: skip
    assert main(arguments) == 0
    assert sum(part["samples"] for part in json.loads(capsys.readouterr().out)["parts"]) == 5
