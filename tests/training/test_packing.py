"""Rows from a stream: nothing cut, nothing lost, nothing twice, and the place in it exact."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.errors import InputError, LimitError, OptionError
from vesalius.training.packing import PackedRow, RowPacker, Skipped, rows_of_lengths


class Numbers:
    """Samples that are their own lengths; 0 cannot be prepared."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths, self.at = lengths, 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while self.at < len(self.lengths):
            self.at += 1
            yield self.at - 1, self.lengths[self.at - 1]

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.at = state["at"]


def prepared(sample: tuple[int, int]) -> int:
    if sample[1] == 0:
        raise InputError("its picture is missing.")
    return sample[1]


def packer(lengths: list[int], room: int = 100, look_ahead: int = 8, **more: Any) -> RowPacker[tuple[int, int], int]:
    return RowPacker(
        Numbers(lengths), max_length=room, prepare=prepared, length=lambda made: made,
        name=lambda sample: f"s{sample[0]}", look_ahead=look_ahead, **more,
    )  # fmt: skip


many = st.lists(st.integers(1, 100), min_size=1, max_size=80)


@given(many, st.integers(1, 20))
@settings(deadline=None)
def test_every_sample_comes_once_and_no_row_is_too_long(lengths: list[int], look_ahead: int) -> None:
    rows = list(packer(lengths, look_ahead=look_ahead))
    assert sorted(name for row in rows for name in row.ids) == sorted(f"s{n}" for n in range(len(lengths)))
    for row in rows:
        assert row.length == sum(row.samples) <= 100
        assert row.samples == row.lengths == tuple(lengths[int(name[1:])] for name in row.ids)


@given(many, st.integers(1, 20), st.data())
@settings(deadline=None, max_examples=60)
def test_what_follows_a_saved_place_is_what_would_have_followed(lengths: list[int], ahead: int, data: Any) -> None:
    whole = list(packer([0, *lengths], look_ahead=ahead))
    stop = data.draw(st.integers(0, len(whole)))
    first = packer([0, *lengths], look_ahead=ahead)
    rows = iter(first)
    before = [next(rows) for _ in range(stop)]
    state = json.loads(json.dumps(first.state_dict()))
    second = packer([0, *lengths], look_ahead=ahead)
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert before + list(second) == whole
    assert (second.num_rows, second.num_skipped) == (len(whole), 1)


def test_a_sample_that_does_not_fit_is_told_and_left_out() -> None:
    told: list[Skipped] = []
    made = packer([40, 101, 0, 60], skipped=told.append)
    assert list(made) == [PackedRow((40, 60), ("s0", "s3"), (40, 60))]
    assert told == [
        Skipped("s1", "it takes 101 positions, max_length is 100.", 101, 100),
        Skipped("s2", "its picture is missing."),
    ]
    assert made.num_skipped == 2


def test_a_max_length_nothing_fits_into_is_an_error_before_the_first_row() -> None:
    with pytest.raises(LimitError, match=r"max_length is 30, and none of 3 samples fits; the shortest takes 40"):
        packer([40, 50, 60], room=30).check()
    with pytest.raises(LimitError, match="none of 256 samples fits"):
        next(iter(packer([40] * 1000, room=30)))
    with pytest.raises(InputError, match="none of 2 samples can be used"):
        packer([0, 0]).check()
    later = iter(packer([20, *[40] * 1000], room=30))
    assert next(later).ids == ("s0",)
    with pytest.raises(LimitError, match="the shortest takes 40"):
        next(later)


def test_the_reporter_may_stop_the_run() -> None:
    def stop(sample: Skipped) -> None:
        raise InputError(f"too many bad samples: {sample.id}")

    with pytest.raises(InputError, match="too many bad samples: s1"):
        list(packer([40, 101], skipped=stop))


def test_nothing_waits_forever() -> None:
    """The oldest sample opens the next row, however badly it fits."""
    rows = list(packer([60, *[50] * 40], look_ahead=4))
    assert rows[0].ids == ("s0",)
    rows = list(packer([50, 60, *[50] * 40], look_ahead=4))
    assert rows[1].ids == ("s1",)


def test_a_place_is_not_taken_for_another() -> None:
    state = packer([40, 50]).state_dict()
    with pytest.raises(OptionError, match="max_length is 90, the saved place in the rows was made with 100"):
        packer([40, 50], room=90).load_state_dict(state)
    with pytest.raises(OptionError, match="look_ahead"):
        packer([40, 50], look_ahead=9).load_state_dict(state)
    started = packer([40, 70, 50])
    next(iter(started))
    with pytest.raises(OptionError, match="fewer samples"):
        packer([40]).load_state_dict(started.state_dict())
    with pytest.raises(OptionError, match="sample s1 does not fit now"):
        packer([40, 700, 50]).load_state_dict(started.state_dict())
    with pytest.raises(OptionError, match="must be 1 or more"):
        packer([1], room=0)


def mix(count: int) -> list[int]:
    """35 % text, half one picture, 10 % large, 5 % volumes."""
    draw = random.Random(0)
    seen = draw.choices([0, 256, 1024, 4096], [35, 50, 10, 5], k=count)
    return [one + int(min(2000, draw.lognormvariate(4.7, 0.7))) for one in seen]


def test_rows_are_full() -> None:
    lengths = mix(3000)
    for look_ahead, waste in ((64, 1.025), (256, 1.012)):
        rows = rows_of_lengths(lengths, 16384, look_ahead)
        assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
        assert (len(rows) - 1) * 16384 / sum(lengths) < waste
    assert [row.ids for row in packer(lengths[:400], room=16384, look_ahead=128)] == [
        tuple(f"s{place}" for place in row) for row in rows_of_lengths(lengths[:400], 16384)
    ]
