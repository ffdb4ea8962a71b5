"""Every dialect by name: how it is read and the frame its numbers are in unless the caller says otherwise."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from vesalius.errors import OptionError
from vesalius.findings.dialects.box_tags import read_box_tags
from vesalius.findings.dialects.citrus_inline import read_citrus_inline
from vesalius.findings.dialects.frames import Coord
from vesalius.findings.dialects.named import Reading
from vesalius.findings.dialects.number_groups import read_groups, read_pairs, read_prose
from vesalius.findings.dialects.percent_braces import read_percent_braces
from vesalius.findings.dialects.qwen_json import read_qwen_json

__all__ = ["DIALECTS", "Dialect", "detect", "dialect_named", "read_named"]


@dataclass(frozen=True)
class Dialect:
    """`read`: (text, strict, expect) → Reading. `coord`: the frame its numbers are in by default. `takes_json`: outside
    strict mode a text without its own form may be Qwen's JSON."""

    read: Callable[[str, bool, str], Reading]
    coord: Coord
    takes_json: bool = True


DIALECTS: dict[str, Dialect] = {
    "qwen-json": Dialect(lambda t, s, e: read_qwen_json(t, strict=s, expect=e), "abs_processed", takes_json=False),
    "box999": Dialect(lambda t, s, e: read_box_tags(t, strict=s), "norm999"),
    "box1000": Dialect(lambda t, s, e: read_box_tags(t, strict=s), "norm1000"),
    "unit": Dialect(lambda t, s, e: read_groups(t, 4, strict=s, expect=e), "norm1"),
    "parens": Dialect(lambda t, s, e: read_pairs(t, strict=s, expect=e), "abs_processed"),
    "medmo": Dialect(lambda t, s, e: read_box_tags(t, strict=s, named_before=True), "norm1000"),
    "citrus-inline": Dialect(lambda t, s, e: read_citrus_inline(t, strict=s), "abs_processed"),
    "medmvl": Dialect(lambda t, s, e: read_percent_braces(t, strict=s), "norm100"),
    "m3d": Dialect(lambda t, s, e: read_groups(t, 6, strict=s), "norm1", takes_json=False),
    "seg": Dialect(lambda t, s, e: Reading(t), "abs_original", takes_json=False),
}
_SIX = re.compile(r"\[\s*+[-+.\d]{1,20}(?:\s*+,\s*+[-+.\d]{1,20}){5}\s*+\]")
_FOUR = re.compile(r"\[\s*+[-+.\d]{1,20}(?:\s*+,\s*+[-+.\d]{1,20}){3}\s*+\]")
_PAIR = re.compile(r"[(（]\s*+[-+.\d]{1,20}\s*+[,，]\s*+[-+.\d]{1,20}\s*+[)）]\s*+[,，]\s*+[(（]")
_BRACES = re.compile(r"\{\s*+<\s*+\d{1,3}\s*+>")
_JSON = re.compile(r"```|\bbbox_2d\b|\bpoint_2d\b|\bcounts?\b\"?\s{0,4}:|[{\[]\s{0,8}[{\"]")


def dialect_named(name: str) -> Dialect:
    """The dialect, or OptionError suggesting the nearest name."""
    if name in DIALECTS:
        return DIALECTS[name]
    near = difflib.get_close_matches(str(name), [*DIALECTS, "auto"], 1)
    fix = f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(DIALECTS)} or auto."
    raise OptionError(f"there is no dialect {name!r}.", fix=fix)


def detect(text: str) -> str:
    """The dialect whose form the text shows. The frame is never guessed from values: `<ref>` with `<box>` is `box999`,
    whatever the numbers are."""
    low = text.lower()
    if "<bbox>" in low or "＜bbox＞" in low:
        return "citrus-inline"
    if "<box>" in low or "＜box＞" in low:
        return "box999" if "<ref>" in low or "＜ref＞" in low else "medmo"
    if "<|box_start|>" in text:
        return "parens"
    if _BRACES.search(text):
        return "medmvl"
    if _JSON.search(text):
        return "qwen-json"
    if _PAIR.search(text):
        return "parens"
    if _SIX.search(text):
        return "m3d"
    fours = _FOUR.findall(text)
    if fours and all("." in one for one in fours):
        return "unit"
    return "seg" if "[SEG]" in text or "<SEG>" in text else "qwen-json"


def read_named(text: str, name: str, *, strict: bool = False, expect: str = "any") -> Reading:
    """What a text names in dialect `name`. Outside `strict`, a text without the dialect's form may hold Qwen's JSON,
    or else any group of four numbers."""
    dialect = dialect_named(name)
    reading = dialect.read(text, strict, expect)
    if strict or reading.has_found or name in ("seg", "m3d"):
        return reading
    if dialect.takes_json:
        other = read_qwen_json(text, expect=expect)
        if other.has_found:
            other.repairs.add("fence")
            return other
    prose = read_prose(text, expect=expect)
    if prose.named:
        return prose
    return reading
