"""YOLO: `images/` and `labels/` with a line `class cx cy width height` per box, parts of the picture's width and height;
class names in `data.yaml` or `classes.txt`. One sample per picture and class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert.contract import Format, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.located import located_samples
from vesalius.dialogue.samples import BoxTarget, Sample
from vesalius.errors import InputError, OptionError

__all__ = ["FORMATS", "PICTURES", "pictures_in"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_SLACK = 1e-5
"""Parts are written with six decimals: what only rounding puts behind the edge is the edge."""


def pictures_in(folder: Path) -> list[Path]:
    """Picture files below a folder, by path."""
    return sorted(one for one in folder.rglob("*") if one.suffix.lower() in PICTURES and one.is_file())


def class_names(source: Path) -> dict[int, str]:
    """Number → name. InputError when the file is not understood; empty without one."""
    for name in ("data.yaml", "dataset.yaml", "data.yml"):
        if (source / name).is_file():
            return _from_yaml(source / name)
    for name in ("classes.txt", "obj.names", "labels/classes.txt"):
        if (source / name).is_file():
            lines = (source / name).read_text(encoding="utf-8-sig").splitlines()
            return {k: line.strip() for k, line in enumerate(lines) if line.strip()}
    return {}


def _from_yaml(path: Path) -> dict[int, str]:
    import yaml

    try:
        names: Any = yaml.safe_load(path.read_text(encoding="utf-8")).get("names")
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError) as exc:
        raise InputError("is not a YAML file with names.", file=path) from exc
    if isinstance(names, list):
        return {k: str(name) for k, name in enumerate(names)}
    if isinstance(names, dict):
        return {int(k): str(name) for k, name in names.items()}
    raise InputError("has no names.", file=path, fix="Give names: [first, second, …].")


def _rows(source: Path, options: Options) -> Iterator[RawRow]:
    names = class_names(source) | dict(options.labels)
    folder = source / "images"
    for number, path in enumerate(pictures_in(folder), 1):
        inside = path.relative_to(folder)
        labels = (source / "labels" / inside).with_suffix(".txt")
        yield RawRow(number, {"path": path, "labels": labels, "names": names}, source.name)


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    path, labels, names = row.values["path"], row.values["labels"], row.values["names"]
    name = str(path.relative_to(places.source))
    if not labels.is_file():
        places.notes["pictures without a labels file were left out"] += 1
        return []
    boxes: dict[str, list[BoxTarget]] = {}
    width, height = places.size(path)
    for number, line in enumerate(labels.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if line.strip():
            box = _box(line, number, names, (width, height))
            boxes.setdefault(box.label, []).append(box)
    media = [places.medium("image", str(path.absolute()))]
    return located_samples(row, places, media, Path(name).with_suffix("").as_posix(), boxes, {})


def _box(line: str, number: int, names: dict[int, str], size: tuple[int, int]) -> BoxTarget:
    parts = line.split()
    try:
        kind, cx, cy, w, h = int(parts[0]), *map(float, parts[1:5])
    except (ValueError, IndexError):
        raise RowError(f"line {number} of its labels is not `class cx cy width height`", "Correct it.") from None
    if len(parts) != 5:
        raise RowError(f"line {number} of its labels has {len(parts)} numbers, not 5", "Outlines are not boxes.")
    if kind not in names:
        raise RowError(f"class {kind} has no name", "Name it in data.yaml, classes.txt or with --labels.")
    edges = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    if not (w > 0 and h > 0) or min(edges) < -_SLACK or max(edges) > 1 + _SLACK:
        raise RowError(f"line {number} of its labels lies outside the picture", "Give parts of 0 to 1.", "outside")
    x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) * size[k % 2] for k, edge in enumerate(edges))
    return BoxTarget(label=names[kind], box=(x0, y0, x1, y1))


def _write(samples: Iterator[Sample], source: Path, target: Path, options: Options) -> int:
    """A folder of `labels/`, `classes.txt` and `images.txt`, which names the picture of each labels file."""
    from vesalius.findings.writing import replacing
    from vesalius.study.picture_size import picture_size

    if target.exists() and any(target.iterdir()):
        raise OptionError("the folder is not empty.", file=target, fix="Name a new one.")
    target.mkdir(parents=True, exist_ok=True)  # media paths lead through it
    lines: dict[Path, list[str]] = {}
    labels: dict[str, int] = {}
    count = 0
    for sample in samples:
        count += 1
        for turn in sample.turns:
            for one in turn.targets.boxes if turn.targets is not None else ():
                medium = sample.media[one.media]
                if medium.kind != "image":
                    raise InputError("YOLO holds pictures only; a sample has places on other media.")
                path = source / medium.path
                width, height = picture_size(path)
                x0, y0, x1, y1 = one.box
                kind = labels.setdefault(one.label, len(labels))
                middle = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
                lines.setdefault(path, []).append(" ".join([str(kind), *(f"{v:.9f}" for v in middle)]))
    (target / "labels").mkdir(parents=True, exist_ok=True)
    stems = _stems(lines)
    for path, own in lines.items():
        with replacing(target / "labels" / f"{stems[path]}.txt") as temporary:
            temporary.write_text("\n".join(own) + "\n", encoding="utf-8")
    with replacing(target / "classes.txt") as temporary:
        temporary.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    with replacing(target / "images.txt") as temporary:
        temporary.write_text("".join(f"{stems[path]}\t{path}\n" for path in lines), encoding="utf-8")
    return count


def _stems(paths: Any) -> dict[Path, str]:
    """A name for each picture, with a number where two share one."""
    used: dict[str, int] = {}
    made: dict[Path, str] = {}
    for path in paths:
        again = used[path.stem] = used.get(path.stem, 0) + 1
        made[path] = path.stem if again == 1 else f"{path.stem}-{again}"
    return made


def _recognises(source: Path, first: Any) -> bool:
    return source.is_dir() and (source / "images").is_dir() and (source / "labels").is_dir()


FORMATS = (
    Format("yolo", "YOLO: a folder with `images/`, `labels/` and `data.yaml` or `classes.txt`",
           "`class cx cy width height`, parts of width and height", _recognises, _rows, _samples, _write),
)  # fmt: skip
