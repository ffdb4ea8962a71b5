"""A checkpoint is whole or not there, and a damaged one is passed over aloud."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest

from vesalius.errors import CheckpointError, OptionError
from vesalius.training import checkpoint
from vesalius.training.checkpoint import (
    MANIFEST,
    checkpoints,
    defect,
    keep_newest,
    newest_valid,
    sweep,
    writing_checkpoint,
)
from vesalius.training.run_lock import held_run


def _written(run: Path, step: int, size: int = 5000) -> Path:
    with writing_checkpoint(run, step) as partial:
        (partial / "weights").write_bytes(os.urandom(size))
        (partial / "more").mkdir()
        (partial / "more" / "state.json").write_text(json.dumps({"step": step}))
    return run / f"checkpoint-{step}"


def test_what_was_written_is_whole_and_newest_means_most_steps(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        assert defect(_written(tmp_path, step)) is None
    assert newest_valid(tmp_path) == tmp_path / "checkpoint-100"
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-10", "checkpoint-100", "checkpoint-9"]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: _flip(folder / "weights"), "weights is not what was written"),
        (lambda folder: (folder / "weights").write_bytes(b"x" * 10), "weights has 10 bytes, 5000 were written"),
        (lambda folder: (folder / "more" / "state.json").unlink(), "more/state.json is missing"),
        (lambda folder: (folder / MANIFEST).unlink(), f"{MANIFEST} is missing"),
        (lambda folder: (folder / MANIFEST).write_text("{"), f"{MANIFEST} is damaged"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), f"{MANIFEST} is damaged"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"), f"{MANIFEST} is damaged"),
    ],
)
def test_a_damaged_newest_checkpoint_is_passed_over_and_told(tmp_path: Path, spoil, said: str) -> None:
    _written(tmp_path, 3)
    spoil(_written(tmp_path, 4))
    told: list[str] = []
    assert newest_valid(tmp_path, told.append) == tmp_path / "checkpoint-3"
    assert len(told) == 1
    assert told[0].startswith("checkpoint-4 is damaged")
    assert said in told[0]
    assert told[0].endswith("going back to checkpoint-3")


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_anew_by_itself(tmp_path: Path) -> None:
    (_written(tmp_path, 3) / "weights").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint is whole"):
        newest_valid(tmp_path)
    assert newest_valid(tmp_path / "nothing") is None


def test_what_another_trainer_wrote_is_never_unpickled(tmp_path: Path) -> None:
    other = tmp_path / "checkpoint-7"
    other.mkdir()
    (other / "optimizer.pt").write_bytes(b"")
    (other / "trainer_state.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"checkpoint-7 is damaged: manifest\.json is missing"):
        newest_valid(tmp_path)


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 20):
        _written(tmp_path, step)
    keep_newest(tmp_path, 0)
    assert len(checkpoints(tmp_path)) == 4
    keep_newest(tmp_path, 2)
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-20", "checkpoint-3"]
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-20", "checkpoint-3"]


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    _written(tmp_path, 1)
    (tmp_path / ".checkpoint-2.partial-abc").mkdir()
    (tmp_path / ".checkpoint-2.partial-abc" / "weights").write_bytes(b"half")
    (tmp_path / ".checkpoint-notes").mkdir()
    assert newest_valid(tmp_path) == tmp_path / "checkpoint-1"
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".checkpoint-notes", "checkpoint-1"]


@pytest.mark.parametrize("moment", ["fsync", "replace", "body", "words"])
def test_a_full_disk_at_any_moment_leaves_the_earlier_checkpoint(tmp_path, monkeypatch, moment: str) -> None:
    _written(tmp_path, 1)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fails(*_: object) -> None:
        raise full

    def attempt() -> None:
        with writing_checkpoint(tmp_path, 2) as partial:
            (partial / "weights").write_bytes(b"12")
            if moment == "body":
                raise full
            if moment == "words":  # as safetensors says it
                raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        if moment in ("fsync", "replace"):
            patched.setattr(checkpoint.os, moment, fails)
        with pytest.raises(OptionError) as caught:
            attempt()
    assert "checkpoint of step 2 cannot be written (No space left on device); checkpoint-1 is kept" in str(caught.value)
    assert caught.value.exit_code == 2
    assert os.listdir(tmp_path) == ["checkpoint-1"]
    assert newest_valid(tmp_path) == tmp_path / "checkpoint-1"


def test_an_error_of_the_caller_goes_through_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing_checkpoint(tmp_path, 2):
        _ = 1 / 0
    assert os.listdir(tmp_path) == []


def test_a_second_trainer_is_told_who_is_at_work(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with held_run(run), pytest.raises(OptionError) as caught, held_run(run):
        pass
    assert f"process {os.getpid()} on {os.uname().nodename}" in str(caught.value)
    with held_run(run):  # what was released can be taken
        assert (run / ".lock.json").is_file()
    assert not (run / ".lock.json").exists()


def test_the_lock_of_a_dead_trainer_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".lock.json").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "yesterday"}))
    with held_run(tmp_path):
        pass


@pytest.fixture
def read_only(tmp_path: Path):
    """A folder that even root cannot write into: a read-only mount."""
    place = tmp_path / "mounted"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        if os.geteuid() == 0:
            pytest.skip("needs the right to mount, or not to be root")
        place.chmod(0o500)
        yield place
        return
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_read_only_folder_is_refused_before_any_step(read_only: Path) -> None:
    with pytest.raises(OptionError, match=r"the run folder cannot be written \((Read-only|Permission)"):
        held_run(read_only / "run").__enter__()
