"""Reports of chest radiographs: MIMIC-CXR, CheXpert Plus, IU-Xray. `test.json`, a list of `image` (one name or
several, under `images/`), `findings`, `impression`; where it is published as CSV or JSON Lines, the same columns.

A study without findings and impression has nothing to compare with and does not count. The reference is
`Findings: {f} Impression: {i}.`, an empty section said as "None".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.evaluation.benchmarks.choices import distinct
from vesalius.evaluation.benchmarks.pictures import numbered, picture_file
from vesalius.evaluation.benchmarks.prompts import REPORT, template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_json
from vesalius.evaluation.benchmarks.twin_questions import png, section_texts, truths
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_COLUMNS = ("image", "findings", "impression")
_PATIENTS = {
    "mimic-cxr": re.compile(r"(?:^|/)(p\d{8})(?:/|$)"),
    "chexpert-plus": re.compile(r"(?:^|/)(patient\d+)(?:/|_|$)"),
    "iu-xray": re.compile(r"(?:^|/)(CXR\d+)_"),
}
"""What of a picture's path names the patient; IU-Xray names studies, one a patient."""


def _read(name: str, folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, (f"{split}.json", f"{split}.jsonl", f"{split}.csv"))
    return distinct(_samples(name, folder, split, paths), folder, "study_id")


def _samples(name: str, folder: Path, split: str, paths: list[Path]) -> Iterator[tuple[Row, Sample]]:
    for number, row in enumerate(rows_of(paths, _COLUMNS), 1):
        findings, impression = row.maybe("findings"), row.maybe("impression")
        if not findings and not impression:
            continue
        names = _names(row)
        media = numbered([picture_file(row, "image", folder, one, ("images", "")) for one in names])
        sample = Sample(
            id=row.maybe("study_id") or f"{split}-{number}",
            kind="report",
            question=REPORT,
            prompt=REPORT,
            media=media,
            gold=f"Findings: {findings or 'None'} Impression: {impression or 'None'}.",
            cluster=_patient(name, row, names),
            extra={"findings": findings, "impression": impression},
        )
        yield row, sample


def _names(row: Row) -> list[str]:
    value = row.value("image")
    names = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not names or not all(isinstance(one, str) and one.strip() for one in names):
        raise row.error("image", "no picture is named.")
    return [str(one) for one in names]


def _patient(name: str, row: Row, names: list[str]) -> str | None:
    told = row.maybe("subject_id") or row.maybe("patient_id")
    if told:
        return told
    found = _PATIENTS[name].search(names[0].replace("\\", "/"))
    return found[1] if found else None


def _twin(name: str, folder: Path, count: int, seed: int) -> None:
    """Generated radiographs with their reports, two studies a patient; every third study has two pictures."""
    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(truths(name, count, seed, ("xray",))):
        stem = {
            "mimic-cxr": f"p10/p{10000000 + k // 2}/s{50000000 + k}/view",
            "chexpert-plus": f"patient{64000 + k // 2}/study{1 + k % 2}/view",
            "iu-xray": f"CXR{k + 1}_IM-{k + 1:04}-",
        }[name]
        files = [f"{stem}{n}.png" for n in range(1, 3 if k % 3 == 2 else 2)]
        for file in files:
            write_bytes(folder / "images" / file, png(truth))
        findings, impression = section_texts(truth)
        image = files[0] if name == "chexpert-plus" and len(files) == 1 else files
        rows.append({"image": image, "findings": findings, "impression": impression})
    write_json(folder / "test.json", rows)


def _benchmark(name: str) -> Benchmark:
    title, source, licence = {
        "mimic-cxr": ("MIMIC-CXR reports", "https://physionet.org/content/mimic-cxr/", "PhysioNet Credentialed Health"),
        "chexpert-plus": (
            "CheXpert Plus reports",
            "https://stanfordaimi.azurewebsites.net/",
            "Stanford University Dataset Research Use Agreement",
        ),
        "iu-xray": ("IU-Xray reports", "https://openi.nlm.nih.gov/", "CC BY-NC-ND 4.0"),
    }[name]
    return Benchmark(
        name=name,
        title=title,
        group="reports",
        splits=("test",),
        template=template_id("rep"),
        primary="rouge_l",
        read=partial(_read, name),
        twin=partial(_twin, name),
        files="`test.json`, `images/`",
        source=source,
        licence=licence,
    )


BENCHMARKS = {name: _benchmark(name) for name in _PATIENTS}
