"""Phantoms as files: pictures, volumes or clips, their masks, and questions with exact targets as training samples."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vesalius.dialogue.scene_text import write_scene
from vesalius.dialogue.words import LANGUAGES
from vesalius.errors import InputError, OptionError
from vesalius.phantoms.new_folder import check_count, new_folder
from vesalius.phantoms.questions import Question, make_questions
from vesalius.phantoms.questions_scenes import AnyTruth, scene_of
from vesalius.phantoms.truth import MODALITIES, ClipTruth, PairTruth, Truth, VolumeTruth
from vesalius.phantoms.write_media import (
    write_clip,
    write_label_picture,
    write_picture,
    write_volume,
)
from vesalius.phantoms.write_targets import Located, located_objects, targets_of

if TYPE_CHECKING:
    from vesalius.dialogue.samples import Media, Sample

__all__ = ["Kind", "Written", "draw", "write_phantoms"]

Kind = Literal["picture", "volume", "clip", "pair"]
NUM_SLICES = 48
"""Axial slices of a volume phantom."""


@dataclass(frozen=True)
class Written:
    """What was written: phantoms, question samples, and the file that lists them."""

    num_phantoms: int
    num_samples: int
    samples: Path


def draw(kind: Kind, seed: int, modality: str | None = None, size: int = 256) -> AnyTruth:
    """Phantom number `seed` of a kind; its pictures, frames or axial slices are `size` × `size`.

    Raises OptionError for a kind, modality or size that cannot be drawn.
    """
    if kind == "picture":
        from vesalius.phantoms.pictures import draw_picture

        return draw_picture(seed, modality, (size, size))
    if kind == "pair":
        from vesalius.phantoms.pairs import draw_pair

        return draw_pair(seed, modality=modality, size=(size, size))
    if kind == "clip":
        from vesalius.phantoms.clips import draw_clip

        return draw_clip(seed, modality=modality, size=(size, size))
    from vesalius.phantoms.volumes import draw_volume

    return draw_volume(seed, modality=modality, shape=(size, size, NUM_SLICES))


def write_phantoms(
    out: str | os.PathLike[str],
    *,
    count: int,
    seed: int = 0,
    modality: str | None = None,
    kind: Kind = "picture",
    langs: Sequence[str] = ("en",),
    size: int = 256,
) -> Written:
    """Draw phantoms `seed` … `seed + count - 1` into the new folder `out`; the same arguments give the same bytes.

    `out` holds `images/`, `volumes/` or `clips/`, `masks/` and `samples.jsonl` (`dialogue.samples.Sample`). It
    appears only when everything is written. Raises OptionError when it exists and is not empty, or for an argument
    out of range, InputError when it cannot be written.
    """
    _check(count, seed, modality, kind, langs)
    with new_folder(out) as partial:
        number = _write_all(partial, count=count, seed=seed, modality=modality, kind=kind, langs=langs, size=size)
    return Written(count, number, Path(out) / "samples.jsonl")


def _check(count: int, seed: int, modality: str | None, kind: str, langs: Sequence[str]) -> None:
    check_count(count, seed)
    if kind not in get_args(Kind):
        raise OptionError(f"kind {kind!r} is not one of {', '.join(get_args(Kind))}.")
    if modality is not None and modality not in MODALITIES:
        raise OptionError(f"modality {modality!r} is not one of {', '.join(MODALITIES)}.")
    if not langs:
        raise OptionError("no language is given.", fix=f"Choose from {', '.join(LANGUAGES)}.")
    if unknown := [lang for lang in langs if lang not in LANGUAGES]:
        raise OptionError(f"language {unknown[0]!r} is not one of {', '.join(LANGUAGES)}.")


def _write_all(
    folder: Path, *, count: int, seed: int, modality: str | None, kind: Kind, langs: Sequence[str], size: int
) -> int:
    from vesalius.dialogue.samples import write_samples

    langs = tuple(dict.fromkeys(langs))

    def samples() -> Iterator[Sample]:
        for number in range(seed, seed + count):
            yield from _samples(folder, draw(kind, number, modality, size), f"{kind}-{number}", langs)

    written = write_samples(folder / "samples.jsonl", samples())
    about = {
        "what": "Generated studies with exact truth. Never clinical.",
        "kind": kind,
        "first_seed": seed,
        "phantoms": count,
        "samples": written,
        "languages": list(langs),
    }
    (folder / "phantoms.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return written


def _samples(folder: Path, truth: AnyTruth, name: str, langs: Sequence[str]) -> Iterator[Sample]:
    """Write one phantom's media and masks, then yield its questions."""
    objects = located_objects(truth, name)
    try:
        media = _write_media(folder, truth, name)
        _write_masks(folder, truth, objects, name)
    except OSError as exc:
        raise InputError(f"{name} cannot be written ({exc.strerror}).") from exc
    media[0].meta["scene"] = write_scene(scene_of(truth))
    for lang in langs:
        # Seeded by name, so a phantom asks the same questions whatever else is written with it.
        for k, question in enumerate(make_questions(truth, random.Random(f"{name}/{lang}"), lang)):
            yield _sample(f"{name}-{lang}-{k}", question, media, objects, truth)


def _write_media(folder: Path, truth: AnyTruth, name: str) -> tuple[Media, ...]:
    from vesalius.dialogue.samples import Media

    if isinstance(truth, PairTruth):
        paths = (f"images/{name}-prior.png", f"images/{name}-current.png")
        for path, one in zip(paths, (truth.prior, truth.current), strict=True):
            write_picture(folder / path, one.pixels)
        return tuple(
            Media(kind="image", path=path, meta=_meta(one))
            for path, one in zip(paths, (truth.prior, truth.current), strict=True)
        )
    if isinstance(truth, VolumeTruth):
        path = f"volumes/{name}.nii.gz"
        write_volume(folder / path, truth.values, truth.affine_ras)
        return (Media(kind="volume", path=path, meta={"modality": truth.modality}),)
    if isinstance(truth, ClipTruth):
        path = f"clips/{name}.webm"
        write_clip(folder / path, [frame.pixels for frame in truth.frames], truth.times_s)
        return (Media(kind="video", path=path, meta=_meta(truth.frames[0])),)
    path = f"images/{name}.png"
    write_picture(folder / path, truth.pixels)
    return (Media(kind="image", path=path, meta=_meta(truth)),)


def _meta(truth: Truth) -> dict[str, Any]:
    return {"modality": truth.modality, "plane": truth.plane, "spacing_mm": truth.spacing_mm}


def _write_masks(folder: Path, truth: AnyTruth, objects: Sequence[Located], name: str) -> None:
    """One file per `[n]` (its members' pixels hold 1, 2, …), so that overlapping objects keep all their pixels."""
    if isinstance(truth, VolumeTruth):
        write_volume(folder / f"masks/{name}.nii.gz", truth.instances, truth.affine_ras)
        return
    files: dict[str, NDArray[np.uint8]] = {}
    for one in objects:
        if one.mask is not None and one.mask_path is not None and one.mask_value is not None:
            labels = files.setdefault(one.mask_path, np.zeros(one.mask.shape, np.uint8))
            labels[one.mask] = one.mask_value
    for path, labels in files.items():
        write_label_picture(folder / path, labels)


def _sample(
    name: str, question: Question, media: tuple[Media, ...], objects: Sequence[Located], truth: AnyTruth
) -> Sample:
    from vesalius.dialogue.samples import Sample, Tags, Turn

    shown = (
        truth.current if isinstance(truth, PairTruth) else truth.frames[0] if isinstance(truth, ClipTruth) else truth
    )
    return Sample(
        id=name,
        lang=question.lang,
        media=media,
        turns=(
            Turn(role="user", text=question.prompt),
            Turn(role="assistant", text=question.answer, targets=targets_of(question, objects, truth)),
        ),
        tags=Tags(modality=shown.modality, area=shown.region, task=question.task),
    )
