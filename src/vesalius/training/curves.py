"""The curves of a run: what was logged over steps, gathered into panels, drawn as SVG for a page and as one PNG."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import ImageDraw

__all__ = ["Curve", "Panel", "curves_of", "panels_of", "save_png", "svg_of"]

Curve = list[tuple[int, float]]
"""(step, value) pairs in order of steps."""

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Loss", ("loss", "eval_loss")),
    ("Loss by task", ("loss/task/*",)),
    ("Held-out loss by task", ("eval_loss/task/*",)),
    ("Loss by kind", ("loss/*",)),
    ("Gradient norm", ("grad_norm", "grad_norm/*")),
    ("Share of pairs preferred rightly", ("preferred", "eval_preferred")),
    ("Margin of pairs, and gains", ("margin", "gain/*")),
    ("Reward", ("reward", "rewards/*/mean")),
    ("Held-out answers, greedy", ("eval_*",)),
    ("Boxes of drawn answers", ("box_mean_iou", "box_f1")),
    ("Entropy and divergence", ("entropy", "kl")),
    ("Tokens of an answer", ("completions/mean_length",)),
    ("Shares of answers and of groups", ("completions/clipped_ratio", "frac_reward_zero_std")),
    ("Learning rate", ("learning_rate/*", "learning_rate")),
    ("Tokens a second", ("tokens_per_s",)),
    ("Share of rows that is filled, and of that which is learnt", ("filled", "learned")),
    ("Memory in GB", ("memory_gb",)),
)
"""Panel → names of what it shows, "*" standing for any part, by which the curve is then called; each curve is shown
once, in the first."""
_CALLED = {
    "grad_norm": "all parts, last step",
    "reward": "weighted sum",
    "preferred": "pairs",
    "completions/mean_length": "mean",
    "completions/clipped_ratio": "answers cut off",
    "frac_reward_zero_std": "groups whose rewards are all equal",
    "tokens_per_s": "real tokens",
    "learned": "learnt",
    "memory_gb": "highest so far",
}
_UNSHOWN = ("eval_loss/", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
"""Beginnings of names that "*" does not stand for: parts of a loss, and Trainer's timing of itself."""
_STEEP = ("Loss", "Held-out loss", "Gradient")
_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 40, 28
_MOST = 7
"""Curves of one panel; there are as many colours."""
_INK, _FAINT, _LINE, _PAPER = (28, 36, 41), (91, 104, 112), (216, 222, 226), (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """Curves that share axes, by the name their legend shows. `steps`: the first and last that the axis shows."""

    title: str
    curves: Mapping[str, Curve]
    steps: tuple[int, int]

    @property
    def logarithmic(self) -> bool:
        """Whether losses or gradients fall so far that a linear axis would hide most of the run."""
        low, high = self._range
        return self.title.startswith(_STEEP) and low > 0 and high / low >= 30

    @property
    def values(self) -> list[float]:
        """Round numbers that span all values; tenfold from one to the next on a logarithmic axis."""
        low, high = self._range
        if not self.logarithmic:
            return ticks(low, high)
        return [10.0**place for place in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]

    @property
    def _range(self) -> tuple[float, float]:
        every = [value for curve in self.curves.values() for _, value in curve]
        return min(every), max(every)


def curves_of(log: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """Every number that Trainer's history holds, by name, in order of steps. What is no finite number is left out."""
    curves: dict[str, Curve] = {}
    for entry in log:
        for name, value in entry.items():
            if name not in ("step", "epoch") and isinstance(value, int | float) and math.isfinite(value):
                curves.setdefault(name, []).append((int(entry.get("step", 0)), float(value)))
    return curves


def panels_of(curves: Mapping[str, Curve]) -> list[Panel]:
    """The curves of two points or more, in groups over the same steps; a group of more than seven is cut to its first
    seven. What says the same as another curve is left out."""
    left = {name: curve for name, curve in curves.items() if len(curve) > 1}
    if any(name.startswith("learning_rate/") for name in left):
        left.pop("learning_rate", None)
    if any(name.startswith("eval_loss/task/") for name in left):
        left = {name: curve for name, curve in left.items() if name != "eval_loss/cross_entropy"}
    if not left:
        return []
    every = [step for curve in left.values() for step, _ in curve]
    steps = min(every), max(max(every), min(every) + 1)
    panels: list[Panel] = []
    for title, wanted in _GROUPS:
        chosen: dict[str, Curve] = {}
        for pattern in wanted:
            for name in list(left):
                if (called := _called(name, pattern)) is not None:
                    chosen[called] = left.pop(name)
        if "loss by" in title.lower() and len(chosen) == 1:
            continue  # the loss itself
        if chosen:
            panels.append(Panel(title, dict(list(chosen.items())[:_MOST]), steps))
    return panels


def _called(name: str, pattern: str) -> str | None:
    """What a panel calls a curve that a pattern stands for; None for another."""
    match = re.fullmatch(re.escape(pattern).replace(r"\*", "(.+)"), name)
    if match is None:
        return None
    if match.groups():
        return None if name.startswith(_UNSHOWN) and not pattern.startswith("eval_loss") else match[1]
    plain = name.removeprefix("eval_")
    return ("held-out " if name != plain else "") + _CALLED.get(plain, plain)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """At most `count` + 2 round numbers that span `low` to `high`."""
    span = (high - low) or abs(high) or 1.0
    unit = 10.0 ** math.floor(math.log10(span / count))
    step = next(unit * times for times in (1, 2, 2.5, 5, 10) if span / (unit * times) <= count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, max(last, first + 1) + 1)]


class _Frame:
    """Where a panel's values lie on a surface of 640 x 240 whose y grows downwards."""

    def __init__(self, panel: Panel) -> None:
        (self.start, self.end), self.up = panel.steps, panel.values
        self.low, self.high = self.up[0], self.up[-1]
        self.logarithmic = panel.logarithmic
        marks = ticks(float(self.start), float(self.end))
        inside = {int(one) for one in marks if self.start < one < self.end and one == int(one)}
        apart = (self.end - self.start) / 12  # labels closer than this touch
        self.across = sorted({self.start, self.end} | {
            one for one in inside if one - self.start > apart and self.end - one > apart})  # fmt: skip
        self.title = f"{panel.title} (logarithmic)" if self.logarithmic else panel.title

    def at(self, step: float, value: float) -> tuple[float, float]:
        x = _LEFT + (step - self.start) / (self.end - self.start) * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - self._up(value) * (_HEIGHT - _TOP - _BOTTOM)

    def _up(self, value: float) -> float:
        """0 at the lowest mark, 1 at the highest."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def svg_of(panel: Panel) -> str:
    """A panel as a figure with inline SVG, whose caption tells each curve's first and last value."""
    from vesalius.findings.legend import PALETTE

    frame = _Frame(panel)
    parts: list[str] = []
    for value in frame.up:
        x, y = frame.at(frame.start, value)
        parts.append(f'<line x1="{x:.1f}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d8dee2"/>'
                     f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')  # fmt: skip
    for step in frame.across:
        x, _ = frame.at(step, frame.low)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{step}</text>')
    told: list[str] = []
    for colour, (name, curve) in zip(PALETTE, panel.curves.items(), strict=False):
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (frame.at(*point) for point in curve))
        inked = f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"
        parts.append(f'<polyline points="{places}" fill="none" stroke="{inked}" stroke-width="2"/>')
        told.append(f'<span style="color:{inked}">■</span> {html.escape(name)} {curve[0][1]:.4g} → {curve[-1][1]:.4g}')
    title = html.escape(frame.title)
    return (
        f"<figure><figcaption><b>{title}</b> by step: {', '.join(told)}</figcaption>"
        f'<svg viewBox="0 {_TOP - 12} {_WIDTH} {_HEIGHT - _TOP + 12}" width="100%" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg></figure>"
    )


def save_png(panels: Sequence[Panel], path: Path) -> None:
    """All panels below one another as a PNG, 1280 pixels wide. Nothing is written where there is none."""
    if not panels:
        return
    from PIL import Image, ImageDraw

    scale = 2
    sheet = Image.new("RGB", (_WIDTH * scale, _HEIGHT * scale * len(panels)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, panel in enumerate(panels):
        _draw(draw, panel, scale, place * _HEIGHT)
    part = path.with_name(f".{path.name}.part")
    sheet.save(part, "PNG")
    part.replace(path)


def _draw(draw: ImageDraw.ImageDraw, panel: Panel, scale: int, down: int) -> None:
    from vesalius.findings.legend import PALETTE
    from vesalius.findings.lettering import draw_text, drawable, text_size

    frame, size = _Frame(panel), 11 * scale

    def on(x: float, y: float) -> tuple[float, float]:
        return x * scale, (y + down) * scale

    for value in frame.up:
        x, y = frame.at(frame.start, value)
        draw.line([on(x, y), on(_WIDTH - _RIGHT, y)], fill=_LINE, width=scale)
        label = f"{value:.4g}"
        width = text_size(label, size)[0] / scale
        draw_text(draw, on(x - 6 - width, y - 7), label, size, _FAINT)
    for step in frame.across:
        x, _ = frame.at(step, frame.low)
        draw_text(draw, on(x - text_size(str(step), size)[0] / scale / 2, _HEIGHT - 20), str(step), size, _FAINT)
    draw_text(draw, on(12, 8), frame.title, size + 2 * scale, _INK)
    x = 24 + text_size(frame.title, size + 2 * scale)[0] / scale
    for colour, (name, curve) in zip(PALETTE, panel.curves.items(), strict=False):
        draw.line([on(*frame.at(*point)) for point in curve], fill=colour, width=2 * scale, joint="curve")
        label = drawable(name) or "-"
        wide = text_size(label, size)[0] / scale
        if x + 14 + wide <= _WIDTH - _RIGHT:
            draw.rectangle([on(x, 12), on(x + 9, 21)], fill=colour)
            draw_text(draw, on(x + 13, 9), label, size, _FAINT)
        x += wide + 26
