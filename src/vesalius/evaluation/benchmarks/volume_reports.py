"""Reports of volumes: M3D-Cap, AMOS-MM, CT-RATE.

`m3d-cap`: `M3D_Cap.json`, an object of lists by split with rows `image, text`, the text a file or the report itself.
`amos-mm`: the same rows in `<split>.json` or `amos_mm.json` (this layout is not checked against the files).
`ct-rate-reports`: `validation_reports.csv` with `VolumeName, Findings_EN, Impressions_EN` (from general knowledge, not
checked), volumes by their names as in CT-RATE's tree. A volume without findings and impression does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.choices import distinct
from vesalius.evaluation.benchmarks.prompts import REPORT, template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, load_json, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_csv, write_json
from vesalius.evaluation.benchmarks.twin_volumes import volume_report, volumes, write_volumes
from vesalius.evaluation.benchmarks.volumes import ct_rate_file, ct_rate_patient, media_file
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_CAPTION = "Can you provide a caption consists of findings for this medical image?"
"""The first of M3D's caption prompts; its own script draws one at random for each volume."""

_KEYS = {"test": ("test", "test1k", "test_1k"), "validation": ("validation", "val"), "train": ("train", "training")}


def _captions(name: str, folder: Path, split: str) -> Iterator[Sample]:
    if name == "m3d-cap":
        (path,) = find_tables(folder, ("M3D_Cap.json", "*/M3D_Cap.json"))[:1]
    else:
        (path,) = find_tables(folder, (f"{split}.json", "amos_mm.json"))[:1]
    loaded = load_json(path)
    rows: Any = loaded
    if isinstance(loaded, dict):
        held = cast("dict[str, Any]", loaded)
        rows = next((held[key] for key in _KEYS[split] if key in held), None)
    if not isinstance(rows, list) or not rows:
        raise InputError(f"holds no rows of the split {split!r}.", file=path, fix="Use the file as published.")
    for number, values in enumerate(cast("list[Any]", rows), 1):
        if not isinstance(values, dict):
            raise InputError(f"row {number} is not an object.", file=path)
        row = Row(path, number, cast("dict[str, Any]", values))
        image = row.text("image")
        prompt = _CAPTION if name == "m3d-cap" else REPORT
        yield Sample(
            id=f"{split}-{number}",
            kind="report",
            question=prompt,
            prompt=prompt,
            media=(media_file(row, "image", folder, image, "volume", ("", "M3D_Cap_npy", "M3D_Cap")),),
            gold=_report_text(row, folder),
            cluster=str(Path(image).parent) if name == "m3d-cap" and "/" in image else None,
        )


def _report_text(row: Row, folder: Path) -> str:
    text = row.text("text")
    if not text.endswith(".txt"):
        return text
    if Path(text).is_absolute() or ".." in Path(text).parts:
        raise row.error("text", "the path leads out of the folder.")
    for place in ("", "M3D_Cap_npy", "M3D_Cap"):
        if (path := folder / place / text).is_file():
            try:
                report = path.read_text(encoding="utf-8-sig").strip()
            except (OSError, UnicodeDecodeError) as exc:
                raise InputError("cannot be read as UTF-8 text.", file=path) from exc
            if not report:
                raise InputError("the report is empty.", file=path)
            return report
    raise row.error("text", "there is no such file.", "Unpack the reports beside the volumes.")


_REPORT_COLUMNS = ("VolumeName", "Findings_EN", "Impressions_EN")


def _ct_rate(folder: Path, split: str) -> Iterator[Sample]:
    names = {"validation": ("validation_reports.csv", "valid_reports.csv"), "train": ("train_reports.csv",)}[split]
    places = ("", "radiology_text_reports/", "dataset/radiology_text_reports/")
    paths = find_tables(folder, [f"{place}{name}" for name in names for place in places])
    return distinct(_ct_rate_samples(folder, paths), folder, "VolumeName")


def _ct_rate_samples(folder: Path, paths: list[Path]) -> Iterator[tuple[Row, Sample]]:
    for row in rows_of(paths, _REPORT_COLUMNS):
        findings, impression = row.maybe("Findings_EN"), row.maybe("Impressions_EN")
        if not findings and not impression:
            continue
        name = row.text("VolumeName")
        sample = Sample(
            id=name.removesuffix(".nii.gz"),
            kind="report",
            question=REPORT,
            prompt=REPORT,
            media=(ct_rate_file(row, "VolumeName", folder),),
            gold=f"Findings: {findings or 'None'} Impression: {impression or 'None'}.",
            cluster=ct_rate_patient(name),
            extra={"findings": findings, "impression": impression},
        )
        yield row, sample


# --- twins ------------------------------------------------------------------------------------------------------------


def _twin_captions(name: str, folder: Path, count: int, seed: int) -> None:
    """`count` volumes with their reports; M3D-Cap's as text files."""
    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(volumes(name, count, seed)):
        findings, impression = volume_report(truth)
        if name == "m3d-cap":
            stem = f"ct_quizze/{k:06}"
            write_volumes(folder / "M3D_Cap_npy" / stem / "Axial.nii.gz", truth, npy=True)
            write_bytes(folder / "M3D_Cap_npy" / stem / "text.txt", f"{findings} {impression}".encode())
            rows.append({"image": f"M3D_Cap_npy/{stem}/Axial.npy", "text": f"M3D_Cap_npy/{stem}/text.txt"})
        else:
            image = f"imagesVa/amos_{k:04}.nii.gz"
            write_volumes(folder / image, truth)
            rows.append({"image": image, "text": f"Findings: {findings} Impression: {impression}."})
    if name == "m3d-cap":
        write_json(folder / "M3D_Cap.json", {"test": rows})
    else:
        write_json(folder / "validation.json", rows)


def _twin_ct_rate(folder: Path, count: int, seed: int) -> None:
    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(volumes("ct-rate-reports", count, seed, "ct")):
        scan = f"valid_{1 + k // 2}_{'ab'[k % 2]}"
        write_volumes(folder / "dataset" / "valid" / f"valid_{1 + k // 2}" / scan / f"{scan}_1.nii.gz", truth)
        findings, impression = volume_report(truth)
        rows.append({"VolumeName": f"{scan}_1.nii.gz", "Findings_EN": findings, "Impressions_EN": impression})
    write_csv(folder / "dataset" / "radiology_text_reports" / "validation_reports.csv", rows)


BENCHMARKS = {
    "m3d-cap": Benchmark(
        name="m3d-cap",
        title="M3D-Cap",
        group="3d",
        splits=("test", "validation", "train"),
        template=template_id("m3d-caption"),
        primary="bleu_1",
        read=partial(_captions, "m3d-cap"),
        twin=partial(_twin_captions, "m3d-cap"),
        files="`M3D_Cap.json`, `M3D_Cap_npy/`",
        source="https://huggingface.co/datasets/GoodBaiBai88/M3D-Cap",
        licence="Apache-2.0; scans of Radiopaedia under its terms",
    ),
    "amos-mm": Benchmark(
        name="amos-mm",
        title="AMOS-MM reports",
        group="3d",
        splits=("validation", "test", "train"),
        template=template_id("rep"),
        primary="bleu_1",
        read=partial(_captions, "amos-mm"),
        twin=partial(_twin_captions, "amos-mm"),
        files="`validation.json`, volumes by their paths",
        source="https://www.codabench.org/competitions/3137/",
        licence="CC BY-NC-SA 4.0",
    ),
    "ct-rate-reports": Benchmark(
        name="ct-rate-reports",
        title="CT-RATE reports",
        group="3d",
        splits=("validation", "train"),
        template=template_id("rep"),
        primary="bleu_1",
        read=_ct_rate,
        twin=_twin_ct_rate,
        files="`validation_reports.csv`, `dataset/valid/`",
        source="https://huggingface.co/datasets/ibrahimhamamci/CT-RATE",
        licence="CC BY-NC-SA 4.0",
    ),
}
