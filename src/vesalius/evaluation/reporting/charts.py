"""Small charts as inline SVG: no script, no font, colours from the page's own variables so that dark pages work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vesalius.evaluation.summary import Figure

__all__ = ["histogram", "interval_bar", "shares_bar", "span_of"]


def span_of(figures: Sequence[Figure]) -> tuple[float, float]:
    """The scale bars of these figures share: 0 to 1, wider where a value or interval leaves it."""
    ends = [end for one in figures for end in (one.value, one.low, one.high) if end is not None]
    return min(0.0, *ends, 0.0), max(1.0, *ends, 1.0)


def interval_bar(one: Figure, span: tuple[float, float], reference: float | None = None) -> str:
    """Value and interval on a line as wide as its cell; `reference`: a dashed mark (the best baseline)."""
    if one.value is None:
        return ""
    low, high = span

    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}"

    marks = ['<rect class="track" x="0" y="9" width="100" height="2"/>']
    if one.low is not None and one.high is not None:
        width = max(0.4, float(at(one.high)) - float(at(one.low)))
        marks.append(f'<rect class="band" x="{at(one.low)}" y="6" width="{width:.2f}" height="8"/>')
    if reference is not None:
        marks.append(f'<line class="reference" x1="{at(reference)}" x2="{at(reference)}" y1="1" y2="19"/>')
    marks.append(f'<line class="value" x1="{at(one.value)}" x2="{at(one.value)}" y1="3" y2="17"/>')
    told = f"{one.value:.4f}" + ("" if one.low is None else f", {one.low:.4f} to {one.high:.4f}")
    return (
        f'<svg class="bar" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{told}">'
        f"{''.join(marks)}</svg>"
    )


def shares_bar(shares: Mapping[str, float]) -> str:
    """Shares that add up to 1, side by side, with a legend below; shares of 0 are left out of both."""
    left = 0.0
    pieces: list[str] = []
    legend: list[str] = []
    for k, (name, share) in enumerate(shares.items()):
        if share <= 0:
            continue
        pieces.append(f'<rect class="piece{k}" x="{100 * left:.3f}" y="0" width="{100 * share:.3f}" height="20"/>')
        legend.append(f'<li><span class="key piece{k}"></span>{name} {100 * share:.1f} %</li>')
        left += share
    told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items() if share > 0)
    return (
        f'<svg class="shares" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{told}">'
        f'{"".join(pieces)}</svg><ul class="legend">{"".join(legend)}</ul>'
    )


def histogram(values: Sequence[float], bins: int = 20) -> str:
    """How values in [0, 1] spread over `bins` equal bins, 1 in the last one."""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value * bins))] += 1
    most = max(counts, default=0)
    if not most:
        return ""
    wide = 300 / bins
    bars = "".join(
        f'<rect class="piece0" x="{k * wide + 0.5:.1f}" y="{80 - 78 * count / most:.1f}" width="{wide - 1:.1f}" '
        f'height="{78 * count / most:.1f}"><title>{k / bins:.2f} to {(k + 1) / bins:.2f}: {count}</title></rect>'
        for k, count in enumerate(counts)
    )
    told = f"{counts[0]} items in the lowest bin, {counts[-1]} in the highest, at most {most} in one of {bins}"
    return (
        f'<svg class="histogram" viewBox="0 0 300 96" role="img" aria-label="{told}">{bars}'
        '<line class="axis" x1="0" x2="300" y1="80" y2="80"/><text x="0" y="92">0</text>'
        '<text x="150" y="92" text-anchor="middle">0.5</text><text x="300" y="92" text-anchor="end">1</text></svg>'
    )
