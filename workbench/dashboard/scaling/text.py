"""What the Scaling page says: one line per curve, its law, its limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any

from workbench.dashboard.compare.state import VARIANTS
from workbench.dashboard.compare.text import megabytes, milliseconds, title_of
from workbench.plots.scrolled import scrolled
from workbench.plots.studies.run_overlay import color
from workbench.scaling import Budget, JobStatus, Limit, Point, Slope, by_variant, limit, slope

FAR = 1000
"""A law says nothing of sizes more than so many times the largest one that was measured."""


@dataclass(frozen=True)
class CurveRow:
    """One curve: its label, the study it is of ("": the one in view), the number of its colour, what is known of it."""

    label: str
    study: str
    number: int
    sizes: list[float]
    values: list[float]
    marks: list[tuple[float, str]]
    slope: Slope | None
    limit: Limit | None
    largest: Point | None


def rows(found: Sequence[tuple[str, list[Point]]], axis: str, quantity: str, budget: Budget) -> list[CurveRow]:
    """A line per solver and study."""
    return [
        _line(study, case.label, points, axis, quantity, budget)
        for study, all_points in found
        for case, points in by_variant(all_points, axis).items()
    ]


def _line(study: str, label: str, points: list[Point], axis: str, quantity: str, budget: Budget) -> CurveRow:
    good = [
        p for p in points if p.status is JobStatus.OK and isfinite(getattr(p, quantity)) and getattr(p, quantity) > 0
    ]
    bad = [p for p in points if p.status is not JobStatus.OK]
    name = next((known for known in VARIANTS if label.startswith(known)), label)
    number = list(VARIANTS).index(name) + 1 if name in VARIANTS else len(VARIANTS) + 1
    return CurveRow(
        label=label,
        study=study,
        number=number,
        sizes=[float(getattr(p.case, axis)) for p in good],
        values=[float(getattr(p, quantity)) for p in good],
        marks=[(float(getattr(p.case, axis)), str(p.status)) for p in bad[:1]],
        slope=_tried(slope, points, quantity, axis),
        limit=_tried(limit, points, budget, axis),
        largest=good[-1] if good else None,
    )


def _tried(fit: Any, *arguments: Any) -> Any:
    """The fit, None while there are too few points."""
    try:
        return fit(*arguments)
    except ValueError:
        return None


def numbered(line: CurveRow) -> str:
    """The key of a curve."""
    study = f" ({line.study})" if line.study else ""
    return f"<span class='key' style='--line: {color(line.number)}'>{escape(title_of(line.label) + study)}</span>"


def table(lines: Sequence[CurveRow], axis: str) -> str:
    """An HTML table: per curve its exponent, its largest point, its predicted limit, what ended it."""
    titles = ("exponent (95 %)", f"largest {axis} done", "its time", "its peak memory", "predicted limit", "ended by")
    head = "".join(f"<th scope='col' class='number'>{title}</th>" for title in titles)
    body = "".join(f"<tr><th scope='row'>{numbered(line)}</th>{_cells(line, axis)}</tr>" for line in lines)
    head = f"<thead><tr><th scope='col'>solver</th>{head}</tr></thead>"
    return scrolled(f"<table class='plain'>{head}<tbody>{body}</tbody></table>", "laws and limits")


def _cells(line: CurveRow, axis: str) -> str:
    exponent, there, bound = "–", line.largest, "–"
    if line.slope is not None:
        known = isfinite(line.slope.low)
        exponent = f"{line.slope.value:.2f}" + (f" ({line.slope.low:.2f} to {line.slope.high:.2f})" if known else "")
    if line.limit is not None:
        size, by = line.limit.size, line.limit.by
        far = there is None or size > FAR * getattr(there.case, axis)
        bound = "none in sight" if far else f"{axis} &asymp; {size:.2g} ({by})"
    cells = [
        exponent,
        f"{getattr(there.case, axis):,}" if there else "–",
        milliseconds(there.seconds) if there else "–",
        megabytes(there.memory) if there else "–",
        bound,
        escape(line.marks[0][1]) if line.marks else "",
    ]
    return "".join(f"<td class='number'>{cell}</td>" for cell in cells)


def progress(study: Any) -> str:
    """How far a study is, as words and a bar."""
    if study is None:
        return "<span class='caption'>Nothing measured yet.</span>"
    done, total = len(study.points), max(1, study.total)
    word = "measuring" if study.running else ("done" if done == study.total else "cancelled")
    share = f"{done / total:.1%}"
    bar = f"<div class='progress' role='progressbar' aria-label='points' aria-valuemin='0' aria-valuemax='{total}' "
    bar += f"aria-valuenow='{done}'><i style='width:{share}'></i></div>"
    return f"<span role='status'><b>{done}</b> of {study.total} points, {word}</span>{bar}"
