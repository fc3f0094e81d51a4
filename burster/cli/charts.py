"""Curves over time as SVG by hand: small enough to be inside a report, and nothing to fetch."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from burster.model.quantities import format_duration_ms
from burster.surfaces.html import escape


WIDTH: Final = 960
HEIGHT: Final = 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 10, 10, 24
_COLOURS: Final = ("var(--fill)", "var(--hot)", "var(--good)")
_TICKS: Final = 5


class Curve(NamedTuple):
    """One line of a chart: a name and its value at each moment."""

    name: str
    values: Sequence[float]


def chart(title: str, unit: str, at_ms: Sequence[int], curves: Sequence[Curve], *, top: float | None = None) -> str:
    """Return a chart of step curves: a value holds until the next sample. ``top`` fixes the upper end of the scale."""
    if len(at_ms) < 2:  # noqa: PLR2004 -- a curve has two ends
        return f'<h2>{escape(title)}</h2><p class="soft">too short a run for a curve</p>'
    highest = top or max((max(curve.values) for curve in curves), default=0) or 1.0
    start, span = at_ms[0], max(1, at_ms[-1] - at_ms[0])

    def x(moment_ms: int) -> float:
        return _LEFT + (moment_ms - start) * (WIDTH - _LEFT - _RIGHT) / span

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - min(value, highest) * (HEIGHT - _TOP - _BOTTOM) / highest

    parts = [_grid(highest, unit, span, y)]
    for colour, curve in zip(_COLOURS, curves, strict=False):
        points = [f"M{x(at_ms[0]):.1f},{y(curve.values[0]):.1f}"]
        points += [
            f"H{x(moment_ms):.1f}V{y(value):.1f}" for moment_ms, value in zip(at_ms[1:], curve.values[1:], strict=True)
        ]
        parts.append(f'<path d="{"".join(points)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    legend = " ".join(
        f'<span style="color:{colour}">■</span> {escape(curve.name)}'
        for colour, curve in zip(_COLOURS, curves, strict=False)
    )
    return (
        f"<h2>{escape(title)}</h2><p>{legend}</p>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _grid(highest: float, unit: str, span_ms: int, y: Callable[[float], float]) -> str:
    lines: list[str] = []
    for step in range(3):
        value = highest * step / 2
        at = y(value)
        lines.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_short(value)}{escape(unit)}</text>'
        )
    for step in range(_TICKS + 1):
        after = f"+{format_duration_ms(round(span_ms * step / _TICKS / 1000) * 1000)}" if step else "0"
        at_x = _LEFT + (WIDTH - _LEFT - _RIGHT) * step / _TICKS
        anchor = "start" if step == 0 else "end" if step == _TICKS else "middle"
        lines.append(f'<text x="{at_x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{escape(after)}</text>')
    return "".join(lines)


def _short(value: float) -> str:
    """Return a value that fits beside the curve: three digits after the point at most, none where they say nothing."""
    return f"{value:,.3f}".rstrip("0").rstrip(".")
