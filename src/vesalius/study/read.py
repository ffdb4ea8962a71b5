"""`vesalius.read`: one door for every clinical file."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, OptionError, UnsupportedError, VesaliusError
from vesalius.limits import current
from vesalius.study.geometry import check_affine
from vesalius.study.gzip_stream import ByteSource
from vesalius.study.items import Clip, Document, Item, Picture, Slide, Study, Table, Volume
from vesalius.study.sniff import NAMES, sniff

__all__ = ["Source", "gathered", "read"]

Source = Any
"""A path, bytes, an array, an item, a Study, or a list of these."""

_ITEMS = (Picture, Volume, Clip, Slide, Table, Document)
_PICTURES = ("png", "jpeg", "tiff", "bmp", "webp", "gif")
_VIDEOS = ("mp4", "matroska", "avi", "mpegts", "mpegps")
_NOT_ALONE = ("dicomdir", "thumbs.db", "desktop.ini")
_IMAGE_ENDINGS: dict[str, tuple[str, ...]] = {
    "DICOM": (".dcm", ".dicom", ".ima"),
    "NIfTI": (".nii", ".nii.gz", ".hdr", ".img"),
    "NRRD": (".nrrd", ".nhdr"),
    "MetaImage": (".mha", ".mhd"),
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg"),
    "TIFF": (".tif", ".tiff", ".svs"),
    "BMP": (".bmp",),
    "WebP": (".webp",),
    "GIF": (".gif",),
    "a video": (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm"),
    "a NumPy array": (".npy", ".npz"),
    "an Excel workbook": (".xlsx",),
}


@dataclass(frozen=True)
class _Options:
    affine: NDArray[np.float64] | None
    modality: str | None
    volume_index: int | str | None
    allow_gaps: bool
    cache: bool


def read(
    source: Source,
    *,
    affine: Any = None,
    modality: str | None = None,
    volume_index: int | str | None = None,
    allow_gaps: bool = False,
    cache: bool = False,
) -> Study:
    """Read clinical files: headers now, pixels when asked for.

    `source`: a path, a folder (searched through), bytes, a NumPy array, an item or Study, or a list of these. Formats
    are told by content: DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, BMP, WebP, GIF, video, whole slides, `.npy`,
    `.npz`, CSV, Excel, text.  `affine`: 4×4, stored voxel → RAS mm, in place of the file's own; makes a Volume of an
    array.  `modality`: a DICOM code ("CT", "MR"…) for files that do not say, or to correct one.  `volume_index`: which
    volume of a 4D file (0-based, or "all"; default the first, with a warning).  `allow_gaps`: accept a DICOM series
    with missing slices.  `cache`: keep unpacked voxels, and slices prepared from them, in the user's cache (see
    `voxel_cache` for what that means for privacy).

    Returns a Study whose items are in the order given (a folder: natural order of names; all DICOM files together).
    Raises InputError, GeometryError, LimitError or UnsupportedError, naming the file; OptionError for a wrong keyword.

    In a folder, tables and texts are passed over (with a warning): lists of labels and reports often lie beside the
    pictures and must not enter a conversation unasked. Name them to read them.
    """
    options = _Options(
        None if affine is None else check_affine(_as_matrix(affine)),
        _checked_modality(modality),
        _checked_index(volume_index),
        allow_gaps,
        cache or os.environ.get("VESALIUS_CACHE", "") == "1",
    )
    items: list[Item] = []
    warnings: list[str] = []
    dicom: list[str | bytes] = []
    dicom_place = 0
    for part in _parts(source):
        if isinstance(part, Study):
            items += part.items
            warnings += part.warnings
        elif isinstance(part, _ITEMS):
            items.append(part)
        elif isinstance(part, np.ndarray):
            _read_array(cast("NDArray[Any]", part), options, items, warnings)
        else:
            for found, kind in _files(part, warnings):
                if kind == "dicom":
                    dicom_place = dicom_place if dicom else len(items)
                    dicom.append(found.path if found.path is not None else found.data or b"")
                else:
                    _read_one(found, kind, options, items, warnings)
    if dicom:
        items[dicom_place:dicom_place] = _read_dicom(dicom, options, warnings)
    if options.modality is not None:
        items = [replace(item, origin=replace(item.origin, modality=options.modality)) for item in items]
    return Study(tuple(items), tuple(dict.fromkeys(warnings)))


def gathered(sources: Sequence[Any]) -> list[Any]:
    """The sources of one question, those that are DICOM files (paths or bytes) as one list in place of the first.

    Slices that are named one by one, as a shell does for `ct/*.dcm`, are one series and must be read together; folders
    and all else stay what they are. What cannot be opened stays where it is: reading it says why.
    """
    dicom = [position for position, source in enumerate(sources) if _is_dicom_file(source)]
    if len(dicom) < 2:
        return list(sources)
    together = [sources[position] for position in dicom]
    others = set(dicom[1:])
    return [
        together if position == dicom[0] else source
        for position, source in enumerate(sources)
        if position not in others
    ]


def _is_dicom_file(source: Any) -> bool:
    try:
        if isinstance(source, bytes | bytearray | memoryview):
            return sniff(ByteSource(None, bytes(source))) == "dicom"
        return (
            isinstance(source, str | os.PathLike)
            and os.path.isfile(source)
            and (sniff(ByteSource(os.fsdecode(source))) == "dicom")
        )
    except (VesaliusError, OSError, ValueError):
        return False


def _as_matrix(affine: Any) -> NDArray[Any]:
    try:
        return np.asarray(affine, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise OptionError("affine= is not a matrix of numbers.", fix="Pass 4 rows of 4 numbers.") from exc


def _checked_modality(modality: str | None) -> str | None:
    if modality is None:
        return None
    if not modality.isalnum() or len(modality) > 16:
        raise OptionError(f"modality={modality!r} is not a DICOM code.", fix="Use CT, MR, CR, DX, US, XC, ES, SM….")
    return modality.upper()


def _checked_index(volume_index: int | str | None) -> int | str | None:
    if isinstance(volume_index, str) and volume_index != "all":
        if not volume_index.isdigit():
            raise OptionError(f"volume_index={volume_index!r}.", fix="Use a number from 0, or 'all'.")
        return int(volume_index)
    return volume_index


def _parts(source: Source) -> list[Any]:
    """The source as a flat list; a type that cannot be read is an OptionError."""
    parts = list(cast("Sequence[Any]", source)) if isinstance(source, list | tuple) else [source]
    if not parts:
        raise InputError("nothing to read: the list is empty.")
    for part in parts:
        if not isinstance(part, (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, Study, *_ITEMS)):
            raise OptionError(
                f"cannot read a {type(part).__name__}.", fix="Give a path, bytes, a NumPy array or a Study."
            )
    return parts


def _files(part: Any, warnings: list[str]) -> list[tuple[ByteSource, str]]:
    """(file, kind) of each file a path or bytes stand for."""
    if isinstance(part, bytes | bytearray | memoryview):
        source = ByteSource(None, bytes(part))
        return [(source, sniff(source))]
    path = os.fspath(part)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not path or "\0" in path:
        raise InputError("the path is empty or holds a zero byte.", fix="Check the path.")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as exc:
        raise InputError("does not exist.", file=path, fix="Check the path.") from exc
    except PermissionError as exc:
        raise InputError("permission denied.", file=path, fix="Make it readable for this user.") from exc
    except (OSError, ValueError) as exc:
        raise InputError("is not a usable path.", file=path, fix="Check the path.") from exc
    if stat.S_ISDIR(mode):
        return _folder(path, warnings)
    if not stat.S_ISREG(mode):
        raise InputError("is a pipe, socket or device, not a file.", file=path, fix="Save it to a file first.")
    source = ByteSource(path)
    _check_file_size(source)
    if path.lower().endswith((".img", ".img.gz")):
        source = _header_of(source)
    return [(source, sniff(source))]


def _check_file_size(source: ByteSource) -> None:
    size, cap = source.size(), current().max_file_bytes
    if size > cap:
        raise LimitError(f"has {size} bytes; the limit is {cap}.", file=source.name)


def _header_of(source: ByteSource) -> ByteSource:
    """The `.hdr` beside a NIfTI `.img`, when that is what it is."""
    stem = source.name.removesuffix(".gz")[:-4]
    for ending in (".hdr", ".HDR", ".hdr.gz"):
        if os.path.isfile(stem + ending):
            return ByteSource(stem + ending)
    return source


def _folder(path: str, warnings: list[str]) -> list[tuple[ByteSource, str]]:
    """Every readable file below a folder, in natural order; the rest is named in warnings."""
    found: list[tuple[ByteSource, str]] = []
    odd: list[str] = []
    beside: list[str] = []
    names, passed_over = _walk(path)
    with_header = {
        name.lower().removesuffix(".gz")[:-4] for name in names if name.lower().endswith((".hdr", ".hdr.gz"))
    }
    detached = {os.path.dirname(name) for name in names if name.lower().endswith((".nhdr", ".mhd"))}
    for name in names:
        lower = name.lower()
        if lower.endswith((".img", ".img.gz")) and lower.removesuffix(".gz")[:-4] in with_header:
            continue
        if os.path.dirname(name) in detached and lower.endswith((".raw", ".zraw", ".raw.gz", ".gz", ".bz2")):
            continue
        source = ByteSource(name)
        if source.size() == 0:
            odd.append(name)
            continue
        _check_file_size(source)
        kind = _kind_in_folder(source)
        if kind in ("text", "csv", "xlsx"):
            beside.append(name)
        elif kind in _READABLE:
            found.append((source, kind))
        else:
            odd.append(name)
    if not found:
        others = ", ".join([f"{len(odd) + len(beside)} other files", *passed_over])
        raise InputError(
            f"holds no image Vesalius can read ({others}).",
            file=path,
            fix="Check the folder, or name tables and texts one by one.",
        )
    warnings += [f"{path}: passed over {what}." for what in passed_over]
    if odd:
        warnings.append(f"{path}: passed over {_listed(odd, path)}: not in a format read here, or empty.")
    if beside:
        warnings.append(f"{path}: passed over {_listed(beside, path)}: tables and texts are read only when named.")
    return found


def _kind_in_folder(source: ByteSource) -> str:
    try:
        return sniff(source)
    except InputError as exc:
        if "gzip" in exc.problem:
            return "unknown"
        raise


def _listed(names: list[str], folder: str) -> str:
    shown = ", ".join(os.path.relpath(name, folder) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more files"


def _walk(root: str) -> tuple[list[str], list[str]]:
    """(regular files below `root`, what was passed over: hidden files, folders that are links, links that lead out and
    special files, each kind with its number)."""
    cap, hidden, outside, linked = current().max_series_files, 0, 0, 0
    inside = os.path.realpath(root)
    names: list[str] = []

    def refuse(exc: OSError) -> None:
        raise InputError("the folder cannot be listed.", file=str(exc.filename), fix="Check its permissions.") from exc

    for folder, below, files in os.walk(root, onerror=refuse):
        hidden += sum(name.startswith(".") or name == "__MACOSX" for name in below)
        below[:] = sorted((n for n in below if not n.startswith(".") and n != "__MACOSX"), key=_natural)
        linked += sum(os.path.islink(os.path.join(folder, name)) for name in below)
        for name in sorted(files, key=_natural):
            path = os.path.join(folder, name)
            if name.startswith(".") or name.lower() in _NOT_ALONE:
                hidden += name.lower() != "dicomdir"
                continue
            if os.path.islink(path) and os.path.commonpath([inside, os.path.realpath(path)]) != inside:
                outside += 1
                continue
            if not os.path.isfile(path):
                outside += 1
                continue
            names.append(path)
            if len(names) > cap:
                raise LimitError(f"holds more than {cap} files.", file=root, fix="Give a smaller folder.")
    passed_over = [
        (hidden, "hidden files or folders"),
        (linked, "folders that are links"),
        (outside, "links that lead outside, or special files"),
    ]
    return names, [f"{count} {what}" for count, what in passed_over if count]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts slice2 before slice10."""
    pieces: list[tuple[int, str]] = []
    digits = ""
    for letter in f"{name.lower()}\0":
        if letter.isascii() and letter.isdigit():
            digits += letter
            continue
        if digits:
            pieces.append((int(digits[:18]), digits))
            digits = ""
        pieces.append((-1, letter))
    return pieces


_READABLE = ("dicom", "nifti", "nrrd", "metaimage", *_PICTURES, *_VIDEOS, "npy", "npz", "csv", "text", "xlsx")


def _read_one(source: ByteSource, kind: str, options: _Options, items: list[Item], warnings: list[str]) -> None:
    """Read one file that is not DICOM."""
    _check_name(source, kind, warnings)
    found, more = _dispatch(source, kind, options)
    items += found
    warnings += more


def _check_name(source: ByteSource, kind: str, warnings: list[str]) -> None:
    """A text, or something unreadable, under a picture's name is refused; another picture format is only noted."""
    promised = _promised(source)
    actual = NAMES[kind]
    if kind not in _READABLE:
        hint = {
            "zip": "Unpack it and give the folder.",
            "archive": "Unpack it and give the folder.",
            "gzip": "Unpack it first.",
            "analyze": "It stores no orientation; convert it to NIfTI.",
        }.get(kind, "Export it as DICOM, NIfTI, PNG or MP4.")
        if kind == "unknown":
            raise InputError(
                f"is {actual}{f', not {promised}' if promised else ''}.",
                file=source.name,
                fix="Check that it is complete; vesalius info lists what can be read.",
            )
        raise UnsupportedError(f"is {actual}, which is not read.", file=source.name, fix=hint)
    if promised is None or promised == actual or (promised == "a video" and kind in _VIDEOS):
        return
    if kind in ("text", "csv"):
        raise InputError(f"is {actual}, not {promised}.", file=source.name, fix="Check that the right file was given.")
    if not (promised == "a NumPy array" and kind in ("npy", "npz")):
        warnings.append(f"{source.name}: is {actual}, though its name says {promised}.")


def _promised(source: ByteSource) -> str | None:
    """What the file's ending says it is."""
    lower = "" if source.path is None else source.path.lower()
    return next((what for what, endings in _IMAGE_ENDINGS.items() if lower.endswith(endings)), None)


def _dispatch(source: ByteSource, kind: str, options: _Options) -> tuple[Sequence[Item], list[str]]:
    """Hand the file to its reader; each is imported only when it is needed."""
    if kind in ("nifti", "nrrd", "metaimage"):
        if kind == "nifti":
            from vesalius.study.nifti import read_nifti as read_scan
        elif kind == "nrrd":
            from vesalius.study.nrrd import read_nrrd as read_scan
        else:
            from vesalius.study.metaimage import read_metaimage as read_scan
        return read_scan(
            source,
            affine=options.affine,
            modality=options.modality,
            volume_index=options.volume_index,
            cache=options.cache,
        )
    if kind in ("npy", "npz"):
        from vesalius.study import arrays

        load = arrays.read_npy if kind == "npy" else arrays.read_npz
        return load(source, affine=options.affine, modality=options.modality, volume_index=options.volume_index)
    if kind in _PICTURES:
        from vesalius.study.raster import read_raster

        return read_raster(source, kind, modality=options.modality)
    if kind in _VIDEOS:
        from vesalius.study.video import read_video

        return read_video(source, kind, modality=options.modality)
    from vesalius.study import table, text

    return {"csv": table.read_csv, "xlsx": table.read_xlsx, "text": text.read_text}[kind](source)


def _read_array(array: NDArray[Any], options: _Options, items: list[Item], warnings: list[str]) -> None:
    from vesalius.study.arrays import items_from_array

    found, more = items_from_array(
        array, affine=options.affine, modality=options.modality, volume_index=options.volume_index
    )
    items += found
    warnings += more


def _read_dicom(paths: list[str | bytes], options: _Options, warnings: list[str]) -> list[Item]:
    from vesalius.study.dicom import read_dicom
    from vesalius.study.raw_voxels import with_affine

    found, more = read_dicom(paths, allow_gaps=options.allow_gaps)
    warnings += more
    if options.affine is None:
        return list(found)
    return [with_affine(item, options.affine) if isinstance(item, Volume) else item for item in found]
