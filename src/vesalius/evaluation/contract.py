"""What a benchmark is: samples read from its published files, and a generated twin in the same layout.

A benchmark file holds one `Benchmark`; `benchmarks/__init__.py` names them all. Everything behind it (asking, storing,
parsing, scoring, reporting) knows only this file, so a new benchmark needs no change anywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vesalius.errors import OptionError

__all__ = ["Benchmark", "Medium", "Sample", "TaskKind", "conversation_of"]

TaskKind = Literal[
    "mcq",
    "yesno",
    "closed",
    "open",
    "report",
    "box",
    "point",
    "count",
    "count_point",
    "count_box",
    "mask",
    "box3d",
    "measure",
    "tree",
    "chat",
    "change",
]
"""How a sample is parsed and scored. "closed": one word or phrase that is no yes/no. "measure": lengths in mm or angles
in degrees. "tree": one node of a question tree (Rad-ReStruct). "chat": judged against a rubric.
"change": what became of findings between two pictures."""


@dataclass(frozen=True)
class Medium:
    """One picture, volume or clip of a sample. `source`: a path under the benchmark's folder, or the file's bytes where
    the published layout embeds them. `options`: what the message part takes (`num_slices`, `fps`, …). `label`: text
    that stands right before it ("<image_2>: ")."""

    kind: Literal["image", "volume", "video"]
    source: Path | bytes = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    label: str = ""

    def sha256(self) -> str:
        """Hash of the file's bytes; of all files' names and bytes, sorted, for a folder."""
        digest = hashlib.sha256()
        if isinstance(self.source, bytes):
            digest.update(self.source)
            return digest.hexdigest()
        folder = self.source.is_dir()
        for path in sorted(p for p in self.source.rglob("*") if p.is_file()) if folder else [self.source]:
            if folder:
                digest.update(path.relative_to(self.source).as_posix().encode())
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
        return digest.hexdigest()


@dataclass(frozen=True)
class Sample:
    """One question of a benchmark.

    `prompt`: the exact text asked (the template is applied; media stand before it in order).  `question`: the raw one.
    `options`: letter → text for multiple choice, as published.  `gold`: what is right, in the task kind's own form
    (letter, "yes"/"no", text, list of texts, list of boxes in original pixels, mask path …).  `size`: (width, height)
    of the original picture where the gold is in pixels.  `cluster`: patient id where the files name one, else None
    (the hash of the media stands in).  `tags`: columns tables are split by (modality, question type, task …).
    `extra`: what only this benchmark's own scorer reads.  `earlier`: turns of a conversation before this question, each
    {"role": …, "content": text}.
    """

    id: str
    kind: TaskKind
    question: str
    prompt: str
    media: tuple[Medium, ...] = ()
    options: Mapping[str, str] | None = None
    gold: Any = None
    lang: str = "en"
    size: tuple[int, int] | None = None
    cluster: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    earlier: tuple[Mapping[str, str], ...] = ()

    def conversation(self) -> list[dict[str, Any]]:
        """Earlier turns if there are any, then the question as one user message, media first."""
        return conversation_of(self.prompt, self.media, self.earlier)


def conversation_of(
    prompt: str, media: Sequence[Medium], earlier: Sequence[Mapping[str, str]] = ()
) -> list[dict[str, Any]]:
    """Messages as `Model.ask` takes them: earlier turns, then media, each behind its label, and the prompt."""
    turns = [{"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]} for turn in earlier]
    parts: list[dict[str, Any]] = []
    for medium in media:
        if medium.label:
            parts.append({"type": "text", "text": medium.label})
        parts.append({"type": medium.kind, medium.kind: medium.source, **medium.options})
    return [*turns, {"role": "user", "content": [*parts, {"type": "text", "text": prompt}]}]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark by name.

    `read(folder, split)`: the samples in published order, one at a time; InputError naming file, row and reason where
    a column, file or value is missing.  `twin(folder, count, seed)`: writes phantoms in the published layout.
    `splits`: known names, the default first.  `template`: id of the prompt template, part of the fingerprint.
    `group`: "text" | "2d" | "reports" | "3d" | "video" | "grounding" | "counting" | "robustness" |
    "documents" | "own".
    `primary`: name of the metric the table leads with.  `dialect`, `coord`: how located answers are read unless the
    model names its own.  `source`: where users get the files; `licence`: their terms.  `files`: what is expected in the
    folder.  `variants`: the same benchmark asked by other prompts, each with its own template id.  `derived`: how this
    one was made from the one of its name ("variant", "shift"); it stands in the manifest and in the run's folder.
    `remarks(folder, split)`: what a reader of its figures must know about these very files.  `cites_findings`: answers
    are in plain words, `[3]` cites a finding, and places, masks and sizes are the findings the model returned beside
    its text where it returned any.  `reads_file`: a single file may stand for the folder.
    """

    name: str
    title: str
    group: str
    splits: tuple[str, ...]
    template: str
    primary: str
    read: Callable[[Path, str], Iterator[Sample]]
    twin: Callable[[Path, int, int], None]
    dialect: str | None = None
    coord: str | None = None
    source: str = ""
    licence: str = ""
    files: str = ""
    variants: Mapping[str, Benchmark] = field(default_factory=dict[str, "Benchmark"], repr=False)
    derived: Mapping[str, str] = field(default_factory=dict[str, str])
    remarks: Callable[[Path, str], Sequence[str]] | None = field(default=None, repr=False)
    cites_findings: bool = False
    reads_file: bool = False

    @property
    def run_name(self) -> str:
        """The name of a run's folder: "slake", "vqa-rad+reasoning", "slake+modality=X-Ray"."""
        signs = {"<": "below", ">": "above", "!": "not", "/": "-", "\\": "-", ":": "-", " ": "_"}
        more = ("".join(signs.get(sign, sign) for sign in text) for text in self.derived.values())
        return "+".join([self.name, *more])

    def variant(self, template: str | None) -> Benchmark:
        """This benchmark asked by another of its prompts ("reasoning"). None and "direct" are the benchmark itself.
        OptionError naming those it has."""
        if template in (None, "direct"):
            return self
        if template not in self.variants:
            known = ", ".join(["direct", *self.variants])
            raise OptionError(f"{self.name} has no prompt template {template!r}.", fix=f"Known: {known}.")
        return replace(self.variants[template], derived={**self.derived, "variant": str(template)})
