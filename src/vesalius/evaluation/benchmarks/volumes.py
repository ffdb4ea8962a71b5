"""Volumes and clips of benchmarks: files or folders under the benchmark's folder, and prompts about them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.contract import Medium

__all__ = ["ask_letter", "ask_m3d", "ct_rate_file", "ct_rate_patient", "media_file", "without_media_marks"]

_LETTER = "Answer with the option's letter from the given choices directly."
_CT_RATE = re.compile(r"((?:train|valid|test)_\d+)_([a-z]+)_\d+\.nii\.gz")


def media_file(
    row: Row, column: str, folder: Path, name: Any, kind: Literal["volume", "video"], under: Sequence[str] = ("",)
) -> Medium:
    """The file or folder a cell names, looked for in the folders `under`. Where an array without geometry (`.npy`) is
    named and the same volume stands beside it as NIfTI, that one is taken: it knows its millimetres.

    Raises InputError when the name leads out of the folder or nothing is there.
    """
    if not isinstance(name, str) or not name.strip():
        raise row.error(column, f"no {kind} is named.")
    relative = PurePosixPath(name.strip().replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        raise row.error(column, "the path leads out of the folder.", "Paths are relative to the benchmark's folder.")
    for place in under:
        path = folder / place / relative
        if path.suffix == ".npy" and kind == "volume":
            for suffix in (".nii.gz", ".nii"):
                if (nifti := path.with_suffix(suffix)).is_file():
                    return Medium(kind, nifti)
        if path.exists():
            return Medium(kind, path)
    places = " or ".join(f"{place or '.'}/" for place in under)
    raise row.error(column, f"there is no such {kind} in {places}.", "Unpack the files there.")


def ct_rate_file(row: Row, column: str, folder: Path) -> Medium:
    """A volume by its name in CT-RATE (valid_1_a_1.nii.gz): flat, in `volumes/`, or in CT-RATE's own tree
    `dataset/valid/valid_1/valid_1_a/`. 3D-RAD and others say "test" for its validation part."""
    name = row.text(column)
    places = ["", "volumes"]
    if found := _CT_RATE.fullmatch(name):
        patient, scan = found[1], f"{found[1]}_{found[2]}"
        split = patient.split("_")[0]
        places += [f"{top}{split}/{patient}/{scan}" for top in ("", "dataset/")]
        places += [f"{top}{split}_fixed/{patient}/{scan}" for top in ("", "dataset/")]
        if split == "test":
            valid = name.replace("test_", "valid_", 1)
            named = Row(row.path, row.number, {column: valid})
            if any((folder / place / valid).is_file() for place in ("", "volumes")):
                return media_file(named, column, folder, valid, "volume", ("", "volumes"))
            for tree in ("", "dataset/"):
                deep = f"{tree}valid/{patient.replace('test', 'valid')}/{scan.replace('test', 'valid')}"
                if (folder / deep / valid).is_file():
                    return media_file(named, column, folder, valid, "volume", (deep,))
    return media_file(row, column, folder, name, "volume", places)


def ct_rate_patient(name: str) -> str | None:
    """The patient of a volume's name: "valid_1" of valid_1_a_2.nii.gz."""
    found = _CT_RATE.fullmatch(name)
    return found[1] if found else None


def without_media_marks(question: str) -> str:
    """A question without the marks that stand for its media."""
    return re.sub(r"<(?:image|video)>\n?", "", question).strip()


def ask_m3d(question: str, options: Mapping[str, str]) -> str:
    """A choice as M3D asks it: on one line behind the question."""
    return f"{question} Choices: {' '.join(f'{letter}. {text}' for letter, text in options.items())}"


def ask_letter(question: str, options: Mapping[str, str]) -> str:
    """A choice about a volume or clip: as M3D writes it, and for the letter alone."""
    return f"{ask_m3d(question, options)}\n{_LETTER}"
