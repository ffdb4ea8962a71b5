"""A tiny benchmark in a folder, and a model that answers at once, to run one with the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vesalius.evaluation.contract import Benchmark, Medium, Sample
from vesalius.inference.answer import Answer, Usage


def _read(folder: Path, split: str) -> Iterator[Sample]:
    for row in json.loads((folder / f"{split}.json").read_text()):
        options = row.get("options")
        shown = "".join(f"{letter}. {text}\n" for letter, text in (options or {}).items())
        yield Sample(
            id=row["id"],
            kind="mcq" if options else "open",
            question=row["question"],
            prompt=f"Question: {row['question']}\nOptions: \n{shown}Answer." if options else row["question"],
            media=tuple(Medium("image", folder / name) for name in row["images"]),
            options=options,
            gold=row.get("gold"),
            tags={"modality": row.get("modality", "CT")},
        )


def _twin(folder: Path, count: int, seed: int) -> None:
    write_benchmark(folder, count, seed)


TINY = Benchmark("tiny", "Tiny", "2d", ("test", "train"), "tiny-1", "accuracy", _read, _twin)


def write_benchmark(
    folder: Path, count: int, seed: int = 0, change: Callable[[list[dict]], object] | None = None
) -> Path:
    """`count` questions, the even ones with options, two to a picture; modalities CT and MR by turns."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for k in range(count):
        name = f"{k // 2}.png"
        if k % 2 == 0:
            pixels = rng.integers(0, 256, (20 + k, 30), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)
        row: dict[str, Any] = {"id": f"q{k}", "question": f"What is it, {k}?", "images": [name]}
        row["modality"] = ("CT", "MR")[k // 2 % 2]
        if k % 2 == 0:
            row["options"] = {"A": "a nodule", "B": "a cyst", "C": "a stone", "D": "a mass"}
        rows.append(row)
    if change:
        change(rows)
    (folder / "test.json").write_text(json.dumps(rows))
    return folder


class Quick:
    """Says how large its pictures are and what it was asked; `fails` decides on which texts it breaks down."""

    name = "quick"

    def __init__(self, fails: Callable[[str], Exception | None] = lambda text: None) -> None:
        self.fails = fails
        self.batches: list[list[str]] = []
        self.seeds: list[int | None] = []

    @property
    def asked(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def ask_batch(self, requests: Sequence[Any], *, seed: int | None = None, **how: Any) -> list[Answer]:
        from vesalius.study.read import read

        texts = [conversation[-1]["content"][-1]["text"] for conversation in requests]
        self.batches.append(texts)
        self.seeds.append(seed)
        answers: list[Answer] = []
        for conversation, text in zip(requests, texts, strict=True):
            if (broken := self.fails(text)) is not None:
                raise broken
            pictures = [
                p for part in conversation[-1]["content"] if "image" in part for p in read(part["image"]).pictures
            ]
            said = " ".join(f"{p.width}x{p.height}:{p.view().mean():.4f}:{p.view().std():.1f}" for p in pictures)
            answers.append(
                Answer(
                    f"{text}|{said}|{seed}", (), Usage(5, 3, 0.0, 0.0, 0.01, "stop"), self.name, text, tuple(pictures)
                )
            )
        return answers
