"""How much of a benchmark was seen in training: the same pictures, the same words.

A picture of the benchmark is found in the training set when the bytes are equal (exact), when the perceptual hashes are
near, or when they are less near and the embeddings agree (near; see `picture_likeness`). Of a volume the middle slice
is compared, of a clip the middle frame. Questions are compared by shared word n-grams.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, OptionError, VesaliusError
from vesalius.evaluation.contract import Medium
from vesalius.evaluation.item_sources import Entry, read_entries
from vesalius.evaluation.ngram_overlap import overlaps
from vesalius.evaluation.picture_likeness import (
    MAYBE_BITS,
    NEAR_BITS,
    hash_distances,
    perceptual_hash,
    pixel_vector,
)
from vesalius.study.items import Clip, Picture, Slide, Volume

__all__ = ["Contamination", "Embedding", "PicturePair", "contamination"]

Embedding = Literal["auto", "starter", "pixels"]
_ALIKE = {"starter": 0.985, "pixels": 0.98}
"""Cosine from which the embedding takes two pictures for one."""
HALF = 0.5


@dataclass(frozen=True)
class PicturePair:
    """A picture of the benchmark and the nearest of the training set. `bits`: of the hashes that differ.  `cosine`: of
    the embeddings, None where they were not needed."""

    benchmark: str
    training: str
    kind: Literal["exact", "near"]
    bits: int | None
    cosine: float | None


@dataclass(frozen=True)
class Contamination:
    """What was found. Counts of the benchmark: `pictures` (distinct files) of which `exact` and `near` are in training;
    `items`, with how many have such a picture, a question that shares n-grams (any; at least half of them), an equal
    question, an equal question and answer, and both a seen picture and a question at least half of which was seen.
    `unread`, `blank`: pictures that could not be compared. `num_training_…`: what they were compared with."""

    n: int
    embedding: str
    items: int
    pictures: int
    num_training_items: int
    num_training_pictures: int
    exact: int
    near: int
    items_with_picture: int
    items_any_ngram: int
    items_half_ngrams: int
    items_equal_question: int
    items_equal_pair: int
    items_both: int
    unread: int
    blank: int
    pairs: tuple[PicturePair, ...] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, rates beside the counts."""
        rates = {
            "picture_rate": _rate(self.exact + self.near, self.pictures),
            "item_picture_rate": _rate(self.items_with_picture, self.items),
            "item_ngram_rate": _rate(self.items_half_ngrams, self.items),
            "item_both_rate": _rate(self.items_both, self.items),
        }
        return {"vesalius_contamination": 1, **asdict(self), "rates": rates}

    def __str__(self) -> str:
        def line(what: str, count: int, of: int) -> str:
            share = _rate(count, of)
            return f"{what:<46} {count:>8} of {of:<8}" + ("" if share is None else f" {100 * share:.2f} %")

        lines = [
            f"compared with {self.num_training_items} training items, {self.num_training_pictures} pictures",
            line("pictures in training, same bytes", self.exact, self.pictures),
            line(f"pictures in training, near (hash, {self.embedding})", self.near, self.pictures),
            line("items with such a picture", self.items_with_picture, self.items),
            line(f"questions that share a {self.n}-gram", self.items_any_ngram, self.items),
            line(f"questions that share half of their {self.n}-grams", self.items_half_ngrams, self.items),
            line("equal questions", self.items_equal_question, self.items),
            line("equal questions with an equal answer", self.items_equal_pair, self.items),
            line("items seen by picture and by half the question", self.items_both, self.items),
        ]
        if self.unread or self.blank:
            lines.append(f"not compared: {self.unread} pictures that cannot be read, {self.blank} without content")
        return "\n".join(line.rstrip() for line in lines)


def _rate(count: int, of: int) -> float | None:
    return count / of if of else None


@dataclass
class _Pictures:
    """Distinct pictures of a source, by the hash of their bytes."""

    first: dict[str, str] = field(default_factory=dict[str, str])
    media: dict[str, Medium] = field(default_factory=dict[str, Medium])
    hashes: dict[str, NDArray[np.uint64]] = field(default_factory=dict[str, "NDArray[np.uint64]"])
    unread: int = 0
    blank: int = 0

    def add(self, entry: Entry) -> list[str]:
        """Take in an entry's media; their keys."""
        keys: list[str] = []
        for medium in entry.media:
            try:
                key = medium.sha256()
            except OSError:
                self.unread += 1
                continue
            keys.append(key)
            if key in self.first:
                continue
            self.first[key] = entry.id
            try:
                pixels = _pixels(medium)
            except (VesaliusError, OSError, ValueError):
                self.unread += 1
                continue
            self.media[key] = medium if isinstance(medium.source, Path) else _small(pixels)
            found = perceptual_hash(pixels)
            if found is None:
                self.blank += 1
            else:
                self.hashes[key] = found
        return keys


def contamination(
    training: str,
    benchmark: str,
    *,
    n: int = 8,
    embedding: Embedding = "auto",
    progress: Callable[[str, int], None] | None = None,
) -> Contamination:
    """Look for a benchmark in a training set; both as `item_sources.read_entries` takes them.

    `n`: words of an n-gram. `embedding`: "starter" (its image encoder), "pixels" (correlation of small grey pictures),
    "auto": the encoder where it is on this machine. Raises InputError and OptionError for what cannot be read,
    WeightsMissingError for an encoder that was asked for and is not here.
    """
    if not 1 <= n <= 50:
        raise OptionError(f"n is {n}; it must be 1 to 50.")
    chosen = _chosen(embedding)
    tell = progress or (lambda what, count: None)
    wanted, seen = _Pictures(), _Pictures()
    asked: list[Entry] = []
    keys: list[list[str]] = []
    for entry in _told(read_entries(benchmark), "benchmark items", tell):
        keys.append(wanted.add(entry))
        asked.append(replace(entry, media=()))
    if not asked:
        raise InputError("the benchmark holds no items.", file=benchmark)
    pairs_seen: set[tuple[str, str]] = set()
    count = 0

    def training_texts() -> Iterator[str]:
        nonlocal count
        for entry in _told(read_entries(training), "training items", tell):
            count += 1
            seen.add(entry)
            yield from entry.questions
            yield from entry.answers
            pairs_seen.update((_plain(q), _plain(a)) for q, a in zip(entry.questions, entry.answers, strict=False))

    shared = overlaps([" ".join(entry.questions) for entry in asked], training_texts(), n)
    if not count:
        # Nothing compared would read as nothing found.
        raise InputError("the training set holds no items.", file=training)
    found = _picture_pairs(wanted, seen, chosen)
    with_picture = [any(key in found for key in own) for own in keys]
    half = [one.share >= HALF for one in shared]
    equal_pairs = [
        any(
            (_plain(question), _plain(answer)) in pairs_seen for question in entry.questions for answer in entry.answers
        )
        for entry in asked
    ]
    pairs = tuple(found[key] for key in wanted.first if key in found)
    return Contamination(
        n=n,
        embedding=chosen,
        items=len(asked),
        pictures=len(wanted.first),
        num_training_items=count,
        num_training_pictures=len(seen.first),
        exact=sum(pair.kind == "exact" for pair in pairs),
        near=sum(pair.kind == "near" for pair in pairs),
        items_with_picture=sum(with_picture),
        items_any_ngram=sum(one.shared > 0 for one in shared),
        items_half_ngrams=sum(half),
        items_equal_question=sum(one.whole for one in shared),
        items_equal_pair=sum(equal_pairs),
        items_both=sum(a and b for a, b in zip(with_picture, half, strict=True)),
        unread=wanted.unread + seen.unread,
        blank=wanted.blank + seen.blank,
        pairs=pairs,
    )


def _plain(text: str) -> str:
    from vesalius.evaluation.metrics.normal_text import normalise

    return normalise(text)


def _chosen(embedding: Embedding) -> str:
    if embedding not in ("auto", "starter", "pixels"):
        raise OptionError(f"embedding is {embedding!r}.", fix="Use auto, starter or pixels.")
    if embedding != "auto":
        return embedding
    from vesalius.inference.embed import encoder_is_here

    return "starter" if encoder_is_here() else "pixels"


def _told(entries: Iterator[Entry], what: str, tell: Callable[[str, int], None]) -> Iterator[Entry]:
    for number, entry in enumerate(entries, 1):
        tell(what, number)
        yield entry


def _pixels(medium: Medium) -> NDArray[np.uint8]:
    """A picture, the middle slice of a volume, the middle frame of a clip."""
    from vesalius.study.read import read
    from vesalius.vision.views import native_axis

    if medium.kind == "volume":
        from vesalius.inference.media import read_raw

        study = read_raw(medium.source)
    else:
        study = read(medium.source)
    match next((one for one in study.items if isinstance(one, Picture | Slide | Volume | Clip)), None):
        case Picture() as picture:
            return picture.view()
        case Slide() as slide:
            return slide.thumbnail(512)
        case Volume() as volume:
            axis = native_axis(volume)
            return volume.slices([volume.num_slices(axis) // 2], axis)[0].view()
        case Clip() as clip:
            return clip.frames([clip.num_frames // 2])[0]
        case _:
            raise InputError("holds no picture.")


def _small(pixels: NDArray[np.uint8]) -> Medium:
    """A picture that came as bytes, small enough to keep: a set's embedded pictures would fill the memory."""
    from PIL import Image

    held = io.BytesIO()
    small = Image.fromarray(pixels)
    small.thumbnail((128, 128))
    small.save(held, format="PNG")
    return Medium("image", held.getvalue())


def _picture_pairs(wanted: _Pictures, seen: _Pictures, embedding: str) -> dict[str, PicturePair]:
    """Key of a benchmark's picture → its nearest picture in training, where that is the same one."""
    found: dict[str, PicturePair] = {}
    keys = list(seen.hashes)
    table = np.stack([seen.hashes[key] for key in keys]) if keys else np.zeros((0, 4), np.uint64)
    doubtful: list[tuple[str, str, int]] = []
    for key, first in wanted.first.items():
        if key in seen.first:
            found[key] = PicturePair(first, seen.first[key], "exact", 0, None)
            continue
        if key not in wanted.hashes or not keys:
            continue
        distances = hash_distances(wanted.hashes[key], table)
        nearest = int(distances.argmin())
        bits = int(distances[nearest])
        if bits <= MAYBE_BITS:
            doubtful.append((key, keys[nearest], bits))
    cosines = _cosines(wanted, seen, doubtful, embedding)
    for (key, other, bits), cosine in zip(doubtful, cosines, strict=True):
        if bits <= NEAR_BITS or cosine >= _ALIKE[embedding]:
            found[key] = PicturePair(wanted.first[key], seen.first[other], "near", bits, round(float(cosine), 4))
    return found


def _cosines(wanted: _Pictures, seen: _Pictures, pairs: Sequence[tuple[str, str, int]], embedding: str) -> list[float]:
    """Of pairs whose hashes come near; pictures are read again, a few at a time."""
    found: list[float] = []
    for start in range(0, len(pairs), 16):
        group = pairs[start : start + 16]
        pictures = [_pixels(wanted.media[key]) for key, _, _ in group]
        pictures += [_pixels(seen.media[other]) for _, other, _ in group]
        if embedding == "starter":
            from vesalius.inference.embed import embed_pictures

            vectors = embed_pictures(pictures)
        else:
            vectors = np.stack([pixel_vector(one) for one in pictures])
        found += [float(a @ b) for a, b in zip(vectors[: len(group)], vectors[len(group) :], strict=True)]
    return found
