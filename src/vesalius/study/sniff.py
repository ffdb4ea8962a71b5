"""What a file is, by its first bytes, never by its name."""

from __future__ import annotations

import struct

from vesalius.errors import InputError
from vesalius.study.gzip_stream import ByteSource

__all__ = ["HEAD_BYTES", "NAMES", "sniff"]

HEAD_BYTES = 16_384

NAMES = {
    "dicom": "DICOM",
    "nifti": "NIfTI",
    "analyze": "Analyze 7.5",
    "nrrd": "NRRD",
    "metaimage": "MetaImage",
    "png": "PNG",
    "jpeg": "JPEG",
    "tiff": "TIFF",
    "bmp": "BMP",
    "webp": "WebP",
    "gif": "GIF",
    "mp4": "MP4 or QuickTime video",
    "matroska": "Matroska or WebM video",
    "avi": "AVI video",
    "mpegts": "MPEG transport stream",
    "mpegps": "MPEG video",
    "npy": "a NumPy array",
    "npz": "a NumPy archive",
    "xlsx": "an Excel workbook",
    "csv": "a table",
    "text": "text",
    "zip": "a zip archive",
    "archive": "an archive",
    "gzip": "gzip data that holds no NIfTI",
    "pdf": "PDF",
    "svg": "SVG",
    "html": "a web page",
    "heif": "HEIF or AVIF",
    "jpeg2000": "a bare JPEG 2000 picture",
    "hdf5": "HDF5",
    "ole": "an old Office file",
    "audio": "sound",
    "program": "a program",
    "unknown": "in no format known here",
}
"""How each kind is called in a message."""

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x93NUMPY", "npy"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"\0\0\x01\xba", "mpegps"),
    (b"%PDF", "pdf"),
    (b"\x89HDF", "hdf5"),
    (b"\xd0\xcf\x11\xe0", "ole"),
    (b"\0\0\0\x0cjP  ", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"7z\xbc\xaf", "archive"),
    (b"Rar!", "archive"),
    (b"\xfd7zXZ", "archive"),
    (b"BZh", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"ID3", "audio"),
    (b"OggS", "audio"),
    (b"fLaC", "audio"),
    (b"\x7fELF", "program"),
    (b"MZ", "program"),
)


_NIFTI_MAGICS = (b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0")
_FIRST_KEYS = (b"objecttype", b"ndims", b"comment", b"id", b"name", b"binarydata", b"objectsubtype")


def sniff(source: ByteSource) -> str:
    """A key of `NAMES`. Raises InputError for an empty file; never decodes more than `HEAD_BYTES`."""
    head = source.head(HEAD_BYTES)
    if not head:
        raise InputError("is empty (0 bytes).", file=source.name, fix="Copy or export it again.")
    if head.startswith(b"\x1f\x8b"):
        return _gzip_kind(source)
    if head.startswith(b"PK") and head[2:4] in (b"\x03\x04", b"\x05\x06", b"\x07\x08"):
        return _zip_kind(source)
    return _by_magic(head) or _by_content(head, source)


def _by_magic(head: bytes) -> str | None:
    if head[128:132] == b"DICM":
        return "dicom"
    if looks_like_nifti(head):
        return "nifti"
    if looks_like_nrrd(head):
        return "nrrd"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"AVI ": "avi", b"WAVE": "audio"}.get(head[8:12], "unknown")
    if head[4:8] == b"ftyp":
        return "heif" if head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis") else "mp4"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "mp4"
    if head[:2] == b"BM" and len(head) >= 18 and struct.unpack("<I", head[14:18])[0] in (12, 40, 52, 56, 64, 108, 124):
        return "bmp"
    if head[:1] == b"G" and len(head) > 376 and head[188:189] == b"G" and head[376:377] == b"G":
        return "mpegts"
    if head[257:262] == b"ustar":
        return "archive"
    return None


def _gzip_kind(source: ByteSource) -> str:
    try:
        inner = source.inflated_head(1024)
    except InputError:
        raise InputError("is damaged gzip data.", file=source.name, fix="Copy or export it again.") from None
    if looks_like_nifti(inner):
        return "nifti"
    return "archive" if inner[257:262] == b"ustar" else "gzip"


def _zip_kind(source: ByteSource) -> str:
    """A workbook, an array archive, or just a zip: by the names of its members, nothing is unpacked."""
    import zipfile

    try:
        with source.opened() as file, zipfile.ZipFile(file) as archive:
            names = [info.filename for info in archive.infolist()[:10_000]]
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "zip"
    if any(name.startswith("xl/") for name in names):
        return "xlsx"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def _by_content(head: bytes, source: ByteSource) -> str:
    """Formats without a magic number."""
    if looks_like_metaimage(head):
        return "metaimage"
    from vesalius.study.dicom import looks_like_dicom
    from vesalius.study.text import looks_like_text

    if looks_like_dicom(head):
        return "dicom"
    if looks_like_text(head):
        return _text_kind(head, source)
    return "analyze" if looks_like_analyze(head) else "unknown"


def _text_kind(head: bytes, source: ByteSource) -> str:
    from vesalius.study.table import looks_like_csv
    from vesalius.study.text import decode_text

    text = decode_text(head, source.name)[0]
    start = text[:1024].lstrip().lower()
    if "<svg" in start:
        return "svg"
    if start.startswith(("<!doctype html", "<html")):
        return "html"
    ending = "" if source.path is None else source.path.lower().rpartition(".")[2]
    # A table is text too: its name may say so, and nameless bytes are judged by their lines.
    if ending in ("csv", "tsv", "tab") or (source.path is None and looks_like_csv(text)):
        return "csv"
    return "text"


def looks_like_nifti(head: bytes) -> bool:
    """True when `head` (548 bytes or more are needed for certainty) starts a NIfTI-1 or NIfTI-2 header."""
    return head[344:348] in _NIFTI_MAGICS or head[4:8] in _NIFTI_MAGICS


def looks_like_analyze(head: bytes) -> bool:
    """Analyze 7.5: the size field of NIfTI-1 without its magic."""
    return len(head) >= 348 and 348 in struct.unpack("<i", head[:4]) + struct.unpack(">i", head[:4])


def looks_like_nrrd(head: bytes) -> bool:
    """True for the magic line NRRD0001…NRRD0005."""
    return head[:7] == b"NRRD000" and head[7:8] in b"12345"


def looks_like_metaimage(head: bytes) -> bool:
    """True when the text starts with `Key = value` lines of a MetaImage header."""
    first = head[:64].split(b"=")[0].strip().lower()
    return first in _FIRST_KEYS and b"DimSize" in head and b"=" in head[:64]
