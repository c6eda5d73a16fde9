"""SVG charts with the standard library: curves on logarithmic axes, dots by category, heat maps.

Series differ by colour (Okabe and Ito, distinguishable for colour-blind readers) and by marker, for grey print.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDTH, HEIGHT = 620, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 220, 44, 52
SYMBOLS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True)
class Curve:
    """Points (x, y) joined by a line; `marks`: x, y and label of missing values, drawn as crosses."""

    name: str
    points: Sequence[tuple[float, float]]
    marks: Sequence[tuple[float, float, str]] = ()
    colour: int = 0


@dataclass
class Panel:
    """One chart with logarithmic axes; if x is categorical, `ticks` names its values 1, 2, ..."""

    title: str
    x: str
    y: str
    curves: list[Curve] = field(default_factory=list)
    ticks: Sequence[str] = ()


def page(panels: Sequence[Panel], caption: str) -> str:
    """Draw the panels below each other, as one SVG document on white."""
    height = len(panels) * HEIGHT + 40
    parts = [_panel(panel, index * HEIGHT) for index, panel in enumerate(panels)]
    parts.append(_text(16, height - 16, caption, size=11, colour="#555"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 100} {height}" font-family="sans-serif">'
    title = f"<title>{escape('; '.join(panel.title for panel in panels))}</title>"
    return "\n".join([head, title, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>", ""])


def _panel(panel: Panel, top: float) -> str:
    points = [point for curve in panel.curves for point in [*curve.points, *(m[:2] for m in curve.marks)]]
    right, bottom = WIDTH + 100 - RIGHT, HEIGHT - BOTTOM
    low, high = _decades([y for _, y in points])
    first, last = (0.5, len(panel.ticks) + 0.5) if panel.ticks else _decades([x for x, _ in points])

    def across(x: float) -> float:
        value = x if panel.ticks else log10(x)
        return LEFT + (value - first) / (last - first) * (right - LEFT)

    def up(y: float) -> float:
        return bottom - (log10(y) - low) / (high - low) * (bottom - TOP)

    parts = [_text(LEFT, 24, panel.title, size=15, weight="bold")]
    for decade in range(low, high + 1):
        y = up(10.0**decade)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"10{str(decade).translate(SYMBOLS)}", anchor="end"))
    labels = dict(enumerate(panel.ticks, start=1)) or {
        10.0**d: f"10{str(d).translate(SYMBOLS)}" for d in range(first, last + 1)
    }
    for value, name in labels.items():
        x = across(value)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#eee"/>')
        lines = name.split("\n")
        parts += [_text(x, bottom + 16 + 13 * n, line, anchor="middle") for n, line in enumerate(lines)]
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#333"/>')
    parts.append(_text((LEFT + right) / 2, HEIGHT - 8, panel.x, anchor="middle"))
    middle = (TOP + bottom) / 2
    parts.append(f'<g transform="rotate(-90 18 {middle})">{_text(18, middle, panel.y, anchor="middle")}</g>')
    for row, curve in enumerate(panel.curves):
        parts.append(_curve(curve, across, up, joined=not panel.ticks))
        y = TOP + 8 + 20 * row
        parts.append(_marker(right + 16, y, curve.colour) + _text(right + 28, y + 4, curve.name))
    labels = dict.fromkeys(label for curve in panel.curves for _, _, label in curve.marks)
    for row, label in enumerate(labels, start=len(panel.curves)):
        y = TOP + 8 + 20 * row
        parts.append(_cross(right + 16, y, "#555", label) + _text(right + 28, y + 4, label))
    return f'<g transform="translate(0 {top})">' + "\n".join(parts) + "</g>"


def _curve(curve: Curve, across: Callable, up: Callable, joined: bool) -> str:
    pixels = [(across(x), up(y)) for x, y in curve.points]
    colour = COLOURS[curve.colour % len(COLOURS)]
    parts = []
    if joined and pixels:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    parts += [_marker(x, y, curve.colour) for x, y in pixels]
    for x, y, label in curve.marks:
        parts.append(_cross(across(x), up(y), colour, label))
    return "".join(parts)


def _cross(x: float, y: float, colour: str, label: str) -> str:
    shape = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"
    return f'<path d="{shape}" stroke="{colour}" stroke-width="2"><title>{escape(label)}</title></path>'


def _marker(x: float, y: float, index: int) -> str:
    shapes = (
        f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        f"M{x - 4:.1f} {y - 4:.1f}h8v8h-8z",
        f"M{x:.1f} {y - 5:.1f}l5 9h-10z",
        f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z",
        f"M{x:.1f} {y + 5:.1f}l5 -9h-10z",
    )
    return f'<path d="{shapes[index % len(shapes)]}" fill="{COLOURS[index % len(COLOURS)]}"/>'


def _text(x: float, y: float, text: str, **options: str | int) -> str:
    style: Mapping[str, str | int] = {"size": 12, "anchor": "start", "colour": "#222", "weight": "normal", **options}
    font = f'font-size="{style["size"]}" font-weight="{style["weight"]}" fill="{style["colour"]}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {font} text-anchor="{style["anchor"]}">{escape(text)}</text>'


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The exponents of the powers of ten that enclose all values."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def heat_map(
    title: str,
    x: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    texts: Sequence[Sequence[str]],
    caption: str,
) -> str:
    """Draw a heat map as SVG: white for the smallest to dark blue for the largest value, with texts in the cells."""
    left, across, down = 210, 96, 44
    low, high = min(map(min, values)), max(map(max, values))
    width, height = left + across * len(columns) + 20, TOP + down * len(rows) + 84
    parts = [_text(16, 24, title, size=15, weight="bold")]
    for i, name in enumerate(rows):
        parts.append(_text(left - 8, TOP + down * (i + 0.5) + 4, name, anchor="end"))
        for j, value in enumerate(values[i]):
            fraction = (value - low) / (high - low) if high > low else 0.0
            red, green, blue = (round(255 + fraction * (dark - 255)) for dark in (0, 60, 120))
            box = f'x="{left + across * j}" y="{TOP + down * i}" width="{across}" height="{down}"'
            parts.append(f'<rect {box} fill="rgb({red},{green},{blue})" stroke="#fff" stroke-width="2"/>')
            ink = "#fff" if fraction > 0.5 else "#222"
            middle = left + across * (j + 0.5)
            for n, line in enumerate(texts[i][j].split("\n")):
                parts.append(_text(middle, TOP + down * i + 19 + 14 * n, line, anchor="middle", colour=ink))
    bottom = TOP + down * len(rows)
    parts += [_text(left + across * (j + 0.5), bottom + 18, name, anchor="middle") for j, name in enumerate(columns)]
    parts += [_text(16, bottom + 44, x), _text(16, bottom + 68, caption, size=11, colour="#555")]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    return "\n".join(
        [
            head,
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )
