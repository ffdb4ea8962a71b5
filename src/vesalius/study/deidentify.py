"""De-identified copies of DICOM files (PS3.15 Annex E basic profile, with modified dates).

Patient names and numbers are replaced, UIDs are mapped and dates shifted the same way throughout one call, private
attributes and free text are removed. Text burnt into pixels is NOT touched: `DeidentificationReport.statement`.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from vesalius.errors import InputError, LimitError, OptionError, UnsupportedError, VesaliusError
from vesalius.limits import current
from vesalius.study.deidentify_profile import IDENTIFYING, action_for
from vesalius.study.dicom_header import (
    DEFLATED,
    EXPLICIT_BIG,
    IMPLICIT_LITTLE,
    DicomSource,
    damaged,
    inflate,
    looks_like_dicom,
    quiet_pydicom,
    read_header,
    scan_meta,
)
from vesalius.study.dicom_terms import MODALITIES
from vesalius.study.items import Study

__all__ = ["DeidentificationReport", "deidentify"]

_CODE = re.compile(r"[A-Z0-9_ ]{0,16}")
_DIGITS = re.compile(r"\d{8}")
_TIME = re.compile(r"\d{2}[\d:]{0,6}(\.\d{1,6})?")
_STANDARD_UIDS = "1.2.840.10008."
_ESSENTIAL = frozenset(("PhotometricInterpretation", "Modality"))
_REPLACED = frozenset(("PatientName", "PatientID"))
_METHOD = "Vesalius: DICOM PS3.15 basic profile, "


@dataclass(frozen=True)
class DeidentificationReport:
    """What was done, by attribute keyword and count; no value that was there before.

    `files`: the files written.  `removed`, `emptied`, `replaced`, `remapped` (UIDs), `shifted` (dates): keyword →
    count.  `private`: private attributes removed.  `skipped`: files found that are not DICOM.  `burned_in`: the
    BurnedInAnnotation values seen ("YES", "NO", "absent") → number of files.
    """

    files: tuple[str, ...]
    removed: dict[str, int]
    emptied: dict[str, int]
    replaced: dict[str, int]
    remapped: dict[str, int]
    shifted: dict[str, int]
    private: int
    skipped: int
    burned_in: dict[str, int]
    dates_kept: bool

    @property
    def statement(self) -> str:
        """What this did not do, to be shown to whoever uses the files."""
        seen = ", ".join(f"{value}: {count}" for value, count in sorted(self.burned_in.items()))
        return (
            "Only headers were de-identified. Text burnt into the pixels was NOT removed "
            f"(BurnedInAnnotation in these files: {seen}). Look at the images before sharing them."
        )


def deidentify(
    source: str | os.PathLike[str] | Sequence[str] | Study,
    out_dir: str | os.PathLike[str],
    *,
    keep_dates: bool = False,
    salt: bytes | None = None,
) -> DeidentificationReport:
    """Write de-identified copies of DICOM files to `out_dir`, named by their new SOP instance UIDs.

    `source`: a file, a folder (searched through), a list of files, or a `Study` read from files.  `keep_dates`: leave
    dates as they are (the birth date is removed in any case); otherwise all dates of a patient move by the same number
    of days and times of day stay.  `salt`: the secret that UIDs, numbers and date shifts derive from; give the same
    one to map further files consistently, leave it out for a fresh one that is not kept.

    An error leaves none of this call's copies behind.
    Raises InputError (no DICOM, damaged, patient's name inside the pixel stream), UnsupportedError (encapsulated
    documents, DICOMDIR), OptionError (`out_dir` inside the source).
    """
    files, skipped = _find(source)
    out = os.fspath(out_dir)
    _check_target(source, out)
    try:
        os.makedirs(out, exist_ok=True)
    except OSError as exc:
        raise OptionError(f"the folder {out} cannot be made ({exc.strerror}).") from exc
    scrub = _Scrub(salt or secrets.token_bytes(16), keep_dates)
    written: list[str] = []
    try:
        for path in files:
            written.append(_copied(path, out, scrub))
    except BaseException:
        # Half a series among the copies would look like a whole one.
        for path in dict.fromkeys(written):
            os.unlink(path)
        raise
    return DeidentificationReport(
        files=tuple(written),
        removed=dict(scrub.removed),
        emptied=dict(scrub.emptied),
        replaced=dict(scrub.replaced),
        remapped=dict(scrub.remapped),
        shifted=dict(scrub.shifted),
        private=scrub.private,
        skipped=skipped,
        burned_in=dict(scrub.burned_in),
        dates_kept=keep_dates,
    )


def _find(source: str | os.PathLike[str] | Sequence[str] | Study) -> tuple[list[str], int]:
    """(DICOM files, number of other files) of a source."""
    if isinstance(source, Study):
        found = list(dict.fromkeys(f for item in source.items for f in item.origin.files))
        if not found:
            raise InputError("the study was not read from files.", fix="Give the DICOM files themselves.")
        return found, 0
    if not isinstance(source, (str, os.PathLike)):
        return [os.fspath(path) for path in source], 0
    start = os.fspath(source)
    if not os.path.isdir(start):
        return [start], 0
    files: list[str] = []
    others = 0
    cap = current().max_series_files
    for folder, folders, names in os.walk(start):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.upper() == "DICOMDIR" or not _is_dicom(path):
                others += 1
            else:
                files.append(path)
            if len(files) > cap:
                raise LimitError(f"holds more than {cap} DICOM files.", file=start)
    if not files:
        raise InputError("holds no DICOM file.", file=start)
    return files, others


def _is_dicom(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return looks_like_dicom(stream.read(512))
    except OSError as exc:
        raise InputError(f"cannot be opened ({exc.strerror}).", file=path) from exc


def _check_target(source: object, out: str) -> None:
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        inside = os.path.realpath(source)
        target = os.path.realpath(out)
        if os.path.commonpath([inside, target]) == inside:
            raise OptionError(f"the target {out} lies inside the source.", fix="Choose another folder.")


def _load(source: DicomSource) -> tuple[Any, str]:
    """(the whole dataset with pixels, its transfer syntax), through the same caps as reading."""
    from pydicom.dataset import Dataset
    from pydicom.filereader import dcmread, read_dataset

    header = read_header(source)
    pixels = header.pixels
    if pixels is not None and pixels.length is not None and pixels.available < pixels.length:
        raise InputError(
            f"is truncated in its pixel data: {pixels.available} bytes, {pixels.length} expected.",
            file=source.label,
            fix="Copy or export the file again.",
        )
    cap = current().max_decoded_bytes
    if source.size() > cap:
        raise LimitError(f"holds {source.size()} bytes; copies are made up to {cap}.", file=source.label)
    if header.transfer_syntax == DEFLATED:
        with source.open() as stream:
            start, _ = scan_meta(stream.read(65536))
        dataset: Dataset = read_dataset(BytesIO(inflate(source, start)), False, True)
    else:
        with source.open() as stream:
            dataset = dcmread(stream, force=True)
    return dataset, header.transfer_syntax


def _copied(path: str, out: str, scrub: _Scrub) -> str:
    try:
        with quiet_pydicom():
            return _one_file(DicomSource(path, path=path), out, scrub)
    except VesaliusError:
        raise
    except RecursionError as exc:
        depth = current().max_sequence_depth
        raise LimitError(f"nests sequences deeper than the limit of {depth}.", file=path) from exc
    except OSError as exc:
        raise InputError(f"could not be copied ({exc.strerror}).", file=path) from exc
    except Exception as exc:  # damaged values fail in many ways once they are converted
        raise damaged(path, exc) from exc


def _one_file(source: DicomSource, out: str, scrub: _Scrub) -> str:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    dataset, syntax = _load(source)
    if "DirectoryRecordSequence" in dataset or "EncapsulatedDocument" in dataset:
        raise UnsupportedError(
            "is a DICOMDIR or an encapsulated document, whose content cannot be de-identified.", file=source.label
        )
    scrub.dataset(dataset, source.label)
    if not dataset.get("SOPClassUID") or not dataset.get("SOPInstanceUID"):
        raise InputError("has no SOP class or instance UID.", file=source.label, fix="Give a complete DICOM file.")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta = meta
    # Copy through a plain dataset: the original preamble and file name stay behind.
    path = os.path.join(out, f"{dataset.SOPInstanceUID}.dcm")
    handle, partial = tempfile.mkstemp(prefix=".partial-", suffix=".dcm", dir=out)
    try:
        with os.fdopen(handle, "wb") as stream:
            _save(dataset, stream, syntax)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
    return path


def _save(dataset: Any, stream: Any, syntax: str) -> None:
    from pydicom.dataset import Dataset
    from pydicom.filewriter import dcmwrite

    clean = Dataset(dataset)
    clean.file_meta = dataset.file_meta
    clean.preamble = b"\0" * 128
    implicit, little = syntax == IMPLICIT_LITTLE, syntax != EXPLICIT_BIG
    clean.set_original_encoding(implicit, little, dataset.original_character_set)
    dcmwrite(stream, clean, enforce_file_format=True)


class _Scrub:
    """One call's mapping (secret, date shift per patient) and its counts."""

    def __init__(self, salt: bytes, keep_dates: bool) -> None:
        self._salt = salt
        self._keep_dates = keep_dates
        self._words: tuple[str, ...] = ()
        self._days = 0
        self.removed: Counter[str] = Counter()
        self.emptied: Counter[str] = Counter()
        self.replaced: Counter[str] = Counter()
        self.remapped: Counter[str] = Counter()
        self.shifted: Counter[str] = Counter()
        self.burned_in: Counter[str] = Counter()
        self.private = 0

    def dataset(self, dataset: Any, label: str) -> None:
        """Scrub a whole file's dataset in place."""
        self._words = _identifying_words(dataset)
        patient = str(dataset.get("PatientID") or dataset.get("PatientName") or "")
        self._days = 1 + int.from_bytes(self._digest("days", patient)[:4], "big") % 3650
        seen = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
        self.burned_in[seen if seen in ("YES", "NO") else "absent"] += 1
        self._check_pixels(dataset, label)
        self._walk(dataset, 0, label)
        self._mark(dataset, self._digest("patient", patient).hex()[:12].upper())

    def _digest(self, kind: str, value: str) -> bytes:
        return hashlib.sha256(self._salt + f"\0{kind}\0{value}".encode()).digest()

    def _check_pixels(self, dataset: Any, label: str) -> None:
        """Refuse a pixel stream that carries the patient's name as text (JPEG comments, EXIF)."""
        pixels = dataset.get("PixelData")
        if not isinstance(pixels, bytes):
            return
        for word in self._words:
            if len(word) >= 6 and any(c.isalpha() for c in word):
                spelled = {word, word.upper(), word.capitalize()}
                if any(form.encode("utf-8", "replace") in pixels for form in spelled):
                    raise InputError(
                        "carries identifying text inside its pixel stream.",
                        file=label,
                        fix="Decompress it first (dcmtk's dcmdjpeg), then de-identify.",
                    )

    def _walk(self, dataset: Any, depth: int, label: str) -> None:
        cap = current().max_sequence_depth
        if depth > cap:
            raise LimitError(f"nests sequences deeper than the limit of {cap}.", file=label)
        for tag in list(dataset.keys()):
            if tag.is_private or tag.group % 2:
                self.private += 1
                del dataset[tag]
                continue
            element = dataset[tag]
            keyword = element.keyword
            if depth == 0 and keyword in _REPLACED:
                continue
            action = action_for(keyword, element.VR, tag.group)
            if action == "remove":
                del dataset[tag]
                self.removed[keyword or f"group {tag.group:04X}"] += 1
            elif action == "empty":
                self._empty(element)
            elif action == "descend":
                for item in element.value or ():
                    self._walk(item, depth + 1, label)
            elif action == "remap":
                self._remap(element)
            elif action == "shift":
                self._shift(element)
            else:
                self._check_kept(element)

    def _empty(self, element: Any) -> None:
        self.emptied[element.keyword] += 1
        element.value = None

    def _remap(self, element: Any) -> None:
        values = element.value if element.VM > 1 else [element.value]
        fresh = [self._new_uid(str(value)) for value in values or () if value]
        if fresh != [str(value) for value in values or () if value]:
            self.remapped[element.keyword] += 1
        element.value = fresh if len(fresh) > 1 else (fresh[0] if fresh else None)

    def _new_uid(self, value: str) -> str:
        if value.startswith(_STANDARD_UIDS) and set(value) <= set("0123456789."):
            return value
        return f"2.25.{int.from_bytes(self._digest('uid', value)[:16], 'big')}"

    def _shift(self, element: Any) -> None:
        values = element.value if element.VM > 1 else [element.value]
        moved = [self._moved(str(value).strip()) for value in values or () if value]
        if moved and all(moved):
            if not self._keep_dates:
                self.shifted[element.keyword] += 1
            element.value = moved if len(moved) > 1 else moved[0]
        elif moved:
            self._empty(element)

    def _moved(self, value: str) -> str:
        """A date or date-time moved back; "" when it is no full date."""
        if not _DIGITS.match(value) or (len(value) > 8 and not re.fullmatch(r"[\d.+\-]{9,26}", value)):
            return ""
        try:
            day = datetime.date(int(value[:4]), int(value[4:6]), int(value[6:8]))
            if not self._keep_dates:
                day -= datetime.timedelta(days=self._days)
        except (ValueError, OverflowError):
            return ""
        return f"{day:%Y%m%d}".rjust(8, "0") + value[8:]

    def _check_kept(self, element: Any) -> None:
        """Empty a kept attribute whose value is not of its kind, or that names someone."""
        if isinstance(element.value, bytes) or element.VR == "SQ":
            return
        values = element.value if element.VM > 1 else [element.value]
        texts = [str(value).strip() for value in values or () if value is not None]
        if element.keyword == "Modality":
            clean = all(t in MODALITIES for t in texts)
        elif element.VR == "CS":
            clean = all(_CODE.fullmatch(t) for t in texts)
        elif element.VR == "TM":
            clean = all(_TIME.fullmatch(t) for t in texts if t)
        elif element.VR in ("DS", "IS"):
            clean = all(_is_number(t) for t in texts if t)
        else:
            clean = True
        if element.keyword not in _ESSENTIAL and element.VR not in ("US", "SS", "UL", "SL", "FL", "FD", "AT"):
            folded = " ".join(texts).casefold()
            clean = clean and not any(word in folded for word in self._words)
        if not clean:
            self._empty(element)

    def _mark(self, dataset: Any, pseudonym: str) -> None:
        from pydicom.dataset import Dataset

        for keyword, value in (("PatientName", "Anonymous"), ("PatientID", pseudonym)):
            self.replaced[keyword] += 1
            setattr(dataset, keyword, value)
        dataset.PatientIdentityRemoved = "YES"
        dataset.LongitudinalTemporalInformationModified = "UNMODIFIED" if self._keep_dates else "MODIFIED"
        dataset.DeidentificationMethod = _METHOD + ("full dates" if self._keep_dates else "modified dates")
        codes = [("113100", "Basic Application Confidentiality Profile")]
        codes.append(
            ("113106", "Retain Longitudinal Temporal Information Full Dates Option")
            if self._keep_dates
            else ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
        )
        items: list[Dataset] = []
        for value, meaning in codes:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
            items.append(item)
        dataset.DeidentificationMethodCodeSequence = items


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _identifying_words(dataset: Any) -> tuple[str, ...]:
    """Words of three letters or more from identifying attributes, case-folded."""
    words: set[str] = set()
    for keyword in IDENTIFYING:
        value = dataset.get(keyword)
        if value is None:
            continue
        text = str(value).casefold()
        words.update(word for word in re.split(r"[^\w]+|_", text) if len(word) >= 3 and not word.isspace())
    return tuple(sorted(words))
