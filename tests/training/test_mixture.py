"""A mixture's order is fixed by its seed, shared by any number of processes, and goes on exactly where it was."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.data_rows import row, sample, write_rows
from vesalius.dialogue.samples import write_samples
from vesalius.errors import InputError, OptionError, UnsupportedError
from vesalius.training.data.mixture import Mixture
from vesalius.training.data.shuffled import shuffled


def ids(mixture: Any, count: int) -> list[str]:
    return [one.id for one in itertools.islice(mixture, count)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("mixture")
    write_samples(folder / "a.jsonl", (sample(k, modality="ct" if k % 10 else "mr") for k in range(100)))
    write_samples(folder / "b.parquet", (sample(1000 + k, modality="us") for k in range(700)))
    (folder / "c").mkdir()
    write_samples(folder / "c" / "1.jsonl", (sample(5000 + k, modality="xray") for k in range(7)))
    write_samples(folder / "c" / "2.jsonl", (sample(5007 + k, modality="xray") for k in range(6)))
    return [folder / "a.jsonl", folder / "b.parquet", folder / "c"]


@given(size=st.integers(1, 1500), key=st.integers(0, 2**64))
@settings(max_examples=40, deadline=None)
def test_the_shuffle_is_a_permutation(size: int, key: int) -> None:
    assert sorted(shuffled(k, size, key) for k in range(size)) == list(range(size))


def test_equal_weights_are_one_shuffled_whole(files: list[Path]) -> None:
    mixture = Mixture(files, seed=3)
    first = ids(mixture, len(mixture))
    assert len(set(first)) == len(first) == mixture.num_rows == 813
    second = ids(mixture, len(mixture))
    assert set(second) == set(first)
    assert second != first
    assert ids(Mixture(files, seed=3), 200) == first[:200]
    assert ids(Mixture(files, seed=4), 200) != first[:200]


SETTINGS: list[dict[str, Any]] = [
    {},
    {"weights": (1, 2, 3), "temperature": 2.0},
    {"temperature": float("inf"), "modality_temperature": float("inf"), "max_oversampling": 50.0},
]


@given(settings_=st.sampled_from(SETTINGS), seed=st.integers(0, 9), first=st.integers(0, 40),
       before=st.integers(1, 5), after=st.integers(1, 5))  # fmt: skip
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_resumes_exactly_in_any_number_of_processes(
    files: list[Path], settings_: dict[str, Any], seed: int, first: int, before: int, after: int
) -> None:
    whole = ids(Mixture(files, seed=seed, **settings_), before * first + after * 10)

    def ranks(count: int) -> list[Mixture]:
        return [Mixture(files, seed=seed, rank=k, world_size=count, **settings_) for k in range(count)]

    running = ranks(before)
    said = [ids(one, first) for one in running]
    assert [one for step in zip(*said, strict=True) for one in step] == whole[: before * first]
    states = [one.state_dict() for one in running]
    assert all(state == states[0] for state in states)
    resumed = ranks(after)
    for one in resumed:
        one.load_state_dict(states[-1])
    rest = [ids(one, 10) for one in resumed]
    assert [one for step in zip(*rest, strict=True) for one in step] == whole[before * first :]


def test_shares_follow_weights_temperature_and_modalities(files: list[Path]) -> None:
    by_weight = Mixture(files, weights=(1, 1, 2), temperature=float("inf"))
    assert [round(group.share, 6) for group in by_weight.groups] == [0.25, 0.25, 0.5]
    root = Mixture(files, temperature=2.0)
    masses = [100**0.5, 700**0.5, 13**0.5]
    assert [group.share for group in root.groups] == pytest.approx([m / sum(masses) for m in masses])
    even = Mixture(files, modality_temperature=float("inf"), max_oversampling=1e9)
    assert even.modality_shares == pytest.approx(dict.fromkeys(("ct", "mr", "us", "xray"), 0.25))
    drawn = Counter(one.tags.modality for one in itertools.islice(even, 2000))
    assert all(abs(count / 2000 - 0.25) < 0.04 for count in drawn.values())


def test_a_rare_modality_is_oversampled_up_to_the_cap(files: list[Path]) -> None:
    capped = Mixture(files, modality_temperature=float("inf"), max_oversampling=4.0)
    shares = capped.modality_shares
    assert shares["mr"] == pytest.approx(4 * 10 / 813)
    assert shares["xray"] == pytest.approx(4 * 13 / 813)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["us"] < 700 / 813


def test_every_sample_of_a_source_comes_before_one_comes_twice(files: list[Path]) -> None:
    mixture = Mixture(files, weights=(5, 1, 5), temperature=float("inf"))
    seen = [one for one in ids(mixture, 1000) if int(one[1:]) >= 5000]
    assert sorted(seen[:13]) == sorted(set(seen))
    assert sorted(seen[13:26]) == sorted(set(seen))


def test_picks_are_the_order_without_reading(files: list[Path]) -> None:
    mixture, other = Mixture(files, weights=(1, 2, 3)), Mixture(files, weights=(1, 2, 3))
    picks = list(itertools.islice(mixture.picks(), 50))
    assert [mixture.read(pick)[0].id for pick in picks] == ids(other, 50)
    assert mixture.state_dict() == other.state_dict()
    assert " row " in mixture.place_of(picks[0])
    assert pickle.loads(pickle.dumps(mixture)).state_dict() == mixture.state_dict()


def test_the_stream_ends_at_num_samples_on_all_ranks(files: list[Path]) -> None:
    whole = ids(Mixture(files, num_samples=11), 99)
    parts = [Mixture(files, num_samples=11, rank=k, world_size=4) for k in range(4)]
    said = [[one.id for one in part] for part in parts]
    assert [len(one) for one in said] == [len(part) for part in parts] == [3, 3, 3, 2]
    assert sorted(one for part in said for one in part) == sorted(whole)


def test_other_data_or_settings_do_not_resume(files: list[Path], tmp_path: Path) -> None:
    state = Mixture(files, seed=1).state_dict()
    with pytest.raises(OptionError, match="seed"):
        Mixture(files, seed=2).load_state_dict(state)
    changed = write_rows(tmp_path / "a.jsonl", [row(k) for k in range(100)])
    with pytest.raises(OptionError, match="data"):
        Mixture([changed, *files[1:]], seed=1).load_state_dict(state)


def test_bad_sources_are_one_error_each(tmp_path: Path, files: list[Path]) -> None:
    empty = write_rows(tmp_path / "empty.jsonl", [])
    one = write_rows(tmp_path / "one.jsonl", [row()])
    bad = write_rows(tmp_path / "bad.jsonl", [row(1), row(2), "{broken", row(4)])
    with pytest.raises(InputError, match="holds no rows"):
        Mixture([empty])
    with pytest.raises(InputError, match="one row"):
        Mixture([one])
    with pytest.raises(InputError, match="row 3: Invalid JSON"):
        list(Mixture([bad], num_samples=4))
    write_samples(tmp_path / "z.jsonl.gz", [sample(1), sample(2)])
    with pytest.raises(UnsupportedError, match="Parquet"):
        Mixture([tmp_path / "z.jsonl.gz"])
    for wrong in (
        {"weights": (1,)},
        {"weights": (1, 0, 1)},
        {"temperature": 0},
        {"rank": 1},
        {"max_oversampling": 0.5},
    ):
        with pytest.raises(OptionError):
            Mixture(files, **wrong)  # type: ignore[arg-type]  (wrong on purpose)
