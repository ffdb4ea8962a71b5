"""Everything an answer's findings are worth keeping as, in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Literal
from uuid import uuid4

from vesalius.errors import InputError, OptionError, UnsupportedError
from vesalius.findings.export_coco import to_coco
from vesalius.findings.export_csv import to_csv
from vesalius.findings.export_fhir import to_fhir
from vesalius.findings.export_json import to_json, write_json
from vesalius.findings.export_nifti import write_nifti_mask
from vesalius.findings.export_report import report_html, report_markdown
from vesalius.findings.findings import Finding, Mask, Report
from vesalius.findings.pages import Page, overlays
from vesalius.findings.writing import output_folder
from vesalius.study.items import Clip, Item, Picture, Study, Volume

__all__ = ["FORMATS", "Format", "known_formats", "save_findings"]

Format = Literal["png", "json", "nifti", "seg", "markdown", "html", "coco", "csv", "sr", "fhir"]
FORMATS: tuple[Format, ...] = ("png", "json", "nifti", "seg", "markdown", "html", "coco", "csv", "sr", "fhir")
USUAL: tuple[Format, ...] = FORMATS[:6]
"""Those written when none is named."""


def known_formats(names: Sequence[str]) -> list[Format]:
    """The names as formats. Raises OptionError for one that is none."""
    known: dict[str, Format] = {name: name for name in FORMATS}
    for name in names:
        if name not in known:
            raise OptionError(f"no format is called {name!r}.", fix=f"Known: {', '.join(FORMATS)}.")
    return [known[name] for name in names]


def save_findings(
    out_dir: str | PathLike[str],
    findings: Sequence[Finding],
    study: Study | Sequence[Item],
    *,
    formats: Sequence[Format] | None = None,
    model: str | None = None,
    question: str | None = None,
    answer_text: str | None = None,
    notice: str | None = None,
    english: Mapping[str, str] | None = None,
    include_patient: bool = False,
    left_out: list[str] | None = None,
) -> list[Path]:
    """Write findings into a folder and return the files written.

    png: an overlay for each picture, slice or frame with findings.  json: `findings.json`.  nifti:
    `itemN_masks.nii.gz` of volumes with masks.  seg: `itemN_masks.dcm`, DICOM SEG of
    items from DICOM files.  markdown, html: `report.*`.  Only by name: coco: `coco.json`.  csv: `findings.csv`.  sr:
    `itemN_report.dcm`, DICOM SR of items from DICOM files.  fhir: `fhir.json`, a bundle of FHIR R4.
    `study`: the media that `where.item` counts.  `formats`: None writes all of the first six that fit and leaves out a
    SEG that cannot be made; a format asked for by name that cannot be made is an error.  `notice`: a sentence shown on
    top of reports.  `left_out`: takes a sentence for each SEG that could not be made and why.
    All files are written aside and then renamed, so a failure leaves the folder as it was; other files stay untouched.
    Raises OptionError for an unknown format or an unwritable folder, InputError for findings that do not fit the study.
    """
    items = study.items if isinstance(study, Study) else tuple(study)
    wanted = frozenset(USUAL if formats is None else known_formats(formats))
    folder = output_folder(out_dir)
    aside = folder / f".{uuid4().hex}.part"
    try:
        aside.mkdir()
        drawn = overlays(findings, items, english=english) if wanted & {"png", "markdown", "html"} else []
        if "png" in wanted:
            for page in drawn:
                page.image.save(aside / f"{page.name}.png")
        if "json" in wanted:
            document = to_json(
                findings, study=items, model=model, question=question, answer_text=answer_text, notice=notice
            )
            write_json(aside / "findings.json", document)
        if "coco" in wanted:
            write_json(aside / "coco.json", to_coco(findings, items))
        if "csv" in wanted:
            (aside / "findings.csv").write_text(to_csv(findings), encoding="utf-8", newline="")
        _write_masks(
            aside,
            findings,
            items,
            wanted,
            strict=formats is not None,
            patient=include_patient,
            model=model,
            left_out=left_out,
        )
        if "fhir" in wanted:
            issued = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            bundle = to_fhir(findings, issued=issued, model=model or "vesalius", answer_text=answer_text, notice=notice)
            write_json(aside / "fhir.json", bundle)
        if "sr" in wanted:
            _write_structured(aside, findings, items, patient=include_patient, model=model)
        _write_reports(aside, findings, drawn, wanted, (model, question, answer_text, notice))
        written: list[Path] = []
        for path in aside.iterdir():
            if (folder / path.name).is_dir():
                raise OptionError("a folder stands where a file would go.", file=folder / path.name)
        for path in sorted(aside.iterdir()):
            path.replace(folder / path.name)
            written.append(folder / path.name)
        return written
    except OSError as exc:
        raise OptionError(
            f"the output folder cannot be written: {exc.strerror or 'input/output error'}.",
            file=fspath(out_dir),
            fix="Choose another one.",
        ) from exc
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_masks(
    folder: Path,
    findings: Sequence[Finding],
    items: Sequence[Item],
    wanted: frozenset[Format],
    *,
    strict: bool,
    patient: bool,
    model: str | None,
    left_out: list[str] | None,
) -> None:
    for position, item in enumerate(items):
        masks = [f for f in findings if isinstance(f, Mask) and f.where.item == position]
        if not masks or not isinstance(item, Volume | Picture | Clip):
            continue
        if "nifti" in wanted and isinstance(item, Volume):
            write_nifti_mask(masks, item, folder / f"item{position}_masks.nii.gz")
        if "seg" in wanted and item.origin.format == "dicom":
            from vesalius.findings.export_dicom_seg import write_dicom_seg

            path = folder / f"item{position}_masks.dcm"
            try:
                write_dicom_seg(masks, item, path, model=model or "vesalius", include_patient=patient)
            except (InputError, UnsupportedError) as exc:
                if strict:
                    raise
                if left_out is not None:
                    left_out.append(f"{path.name} was left out: {exc}")


def _write_structured(
    folder: Path, findings: Sequence[Finding], items: Sequence[Item], *, patient: bool, model: str | None
) -> None:
    """A structured report for each item from DICOM files with findings; it points at the SEG written before."""
    from vesalius.findings.export_dicom_sr import write_dicom_sr

    written = 0
    for position, item in enumerate(items):
        own = [f for f in findings if not isinstance(f, Report) and f.where.item == position]
        if not own or not isinstance(item, Volume | Picture | Clip) or item.origin.format != "dicom":
            continue
        masks = folder / f"item{position}_masks.dcm"
        path = folder / f"item{position}_report.dcm"
        segmentation = masks if masks.exists() else None
        write_dicom_sr(own, item, path, model=model or "vesalius", include_patient=patient, segmentation=segmentation)
        written += 1
    if not written:
        raise UnsupportedError("a DICOM SR needs findings on images read from DICOM files; there are none.")


def _write_reports(
    folder: Path,
    findings: Sequence[Finding],
    pages: Sequence[Page],
    wanted: frozenset[Format],
    told: tuple[str | None, str | None, str | None, str | None],
) -> None:
    model, question, answer_text, notice = told
    if "markdown" in wanted:
        linked = [(f"{page.name}.png", page.caption) for page in pages] if "png" in wanted else []
        text = report_markdown(
            findings, model=model, question=question, answer_text=answer_text, notice=notice, images=linked
        )
        (folder / "report.md").write_text(text, encoding="utf-8")
    if "html" in wanted:
        shown = [(page.image, page.caption) for page in pages]
        text = report_html(
            findings, model=model, question=question, answer_text=answer_text, notice=notice, images=shown
        )
        (folder / "report.html").write_text(text, encoding="utf-8")
