"""What comes back from a question: text, findings, usage and trace, and how to keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.findings.export_json import to_json
from vesalius.findings.findings import Finding
from vesalius.study.items import Item

if TYPE_CHECKING:
    from vesalius.findings.save import Format

__all__ = ["Answer", "Usage"]


@dataclass(frozen=True)
class Usage:
    """Tokens and seconds. `finish`: "stop" | "length" | "repetition" | "error" (endpoints; `trace["error"]` says why).

    `visual_tokens`: those the media stand for; `visual_tokens_kept`: those left after token reduction.
    """

    prompt_tokens: int
    new_tokens: int
    prepare_s: float
    first_text_s: float
    total_s: float
    finish: str
    visual_tokens: int = 0
    visual_tokens_kept: int = 0


@dataclass(frozen=True)
class Answer:
    """An answer. `text` cites findings as `[n]`: those whose `group` is n.

    `thinking`: what a reasoning model thought before it answered ("" here).  `trace`: the scene text, the items' kinds,
    what was inferred and warned about.  `notice`: what the model says about itself (the starter: not for clinical use).
    `raw`: all the model wrote, thoughts and their tags included.
    """

    text: str
    findings: tuple[Finding, ...]
    usage: Usage
    model: str
    question: str = field(repr=False)
    items: tuple[Item, ...] = field(repr=False)
    thinking: str = ""
    trace: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    notice: str = ""
    raw: str = field(default="", repr=False)

    def to_json(self) -> dict[str, Any]:
        """One machine-readable object: answer, findings in pixels and millimetres, usage, trace."""
        document = to_json(
            self.findings,
            study=self.items,
            model=self.model,
            question=self.question,
            answer_text=self.text,
            notice=self.notice or None,
        )
        usage = {name: getattr(self.usage, name) for name in Usage.__dataclass_fields__}
        # What a family leaves in the trace as arrays (mask logits and the like) is for Python, not for a document.
        trace = {name: value for name, value in self.trace.items() if not hasattr(value, "shape")}
        return {**document, "usage": usage, "trace": trace}

    def save(
        self,
        folder: str | PathLike[str],
        *,
        formats: Sequence[Format] | None = None,
        left_out: list[str] | None = None,
    ) -> list[Path]:
        """Write overlays, `findings.json`, masks and reports, as they fit; returns the files written.

        `formats`: None writes all that fit; see `vesalius.findings.save_findings`, whose errors are raised.
        `left_out`: takes a sentence for what DICOM input should have given and could not, and why.
        """
        from vesalius.dialogue.words import english_names
        from vesalius.findings.save import save_findings  # drawing and exporters: most answers are only read

        return save_findings(
            folder,
            self.findings,
            self.items,
            formats=formats,
            model=self.model,
            question=self.question,
            answer_text=self.text,
            notice=self.notice or None,
            english=english_names(),
            left_out=left_out,
        )
