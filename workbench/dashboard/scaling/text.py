"""Table, legend and progress of the Scaling page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any

from workbench.dashboard.compare.state import VARIANTS
from workbench.dashboard.compare.text import megabytes, milliseconds, solver_title
from workbench.plots.scrolled import scrolled
from workbench.plots.studies.run_overlay import color
from workbench.scaling import Budget, JobStatus, Limit, Point, Slope, by_variant, limit, slope

MAX_EXTRAPOLATION = 1000
"""A predicted limit is shown up to this multiple of the largest measured size."""


@dataclass(frozen=True)
class CurveRow:
    """One curve of the figure and row of the table.

    study: name of the overlaid study, "" for the displayed one. number: index of the colour. marks: size and status of
    the first failed point. largest: largest point without a failure.
    """

    label: str
    study: str
    number: int
    sizes: list[float]
    values: list[float]
    marks: list[tuple[float, str]]
    slope: Slope | None
    limit: Limit | None
    largest: Point | None


def curve_rows(curves: Sequence[tuple[str, list[Point]]], axis: str, quantity: str, budget: Budget) -> list[CurveRow]:
    """One row per solver and study."""
    return [
        _row(study, case.label, points, axis, quantity, budget)
        for study, all_points in curves
        for case, points in by_variant(all_points, axis).items()
    ]


def _row(study: str, label: str, points: list[Point], axis: str, quantity: str, budget: Budget) -> CurveRow:
    completed = [
        p for p in points if p.status is JobStatus.OK and isfinite(getattr(p, quantity)) and getattr(p, quantity) > 0
    ]
    failed = [p for p in points if p.status is not JobStatus.OK]
    name = next((variant for variant in VARIANTS if label.startswith(variant)), label)
    number = list(VARIANTS).index(name) + 1 if name in VARIANTS else len(VARIANTS) + 1
    return CurveRow(
        label=label,
        study=study,
        number=number,
        sizes=[float(getattr(p.case, axis)) for p in completed],
        values=[float(getattr(p, quantity)) for p in completed],
        marks=[(float(getattr(p.case, axis)), str(p.status)) for p in failed[:1]],
        slope=_fit_or_none(slope, points, quantity, axis),
        limit=_fit_or_none(limit, points, budget, axis),
        largest=completed[-1] if completed else None,
    )


def _fit_or_none(fit: Any, *arguments: Any) -> Any:
    """Result of a fit, None if there are too few points."""
    try:
        return fit(*arguments)
    except ValueError:
        return None


def legend_key(row: CurveRow) -> str:
    """Legend entry of a curve (HTML)."""
    study = f" ({row.study})" if row.study else ""
    return f"<span class='key' style='--line: {color(row.number)}'>{escape(solver_title(row.label) + study)}</span>"


def table(rows: Sequence[CurveRow], axis: str) -> str:
    """HTML table: exponent, largest point, predicted limit and failure of every curve."""
    titles = ("exponent (95 %)", f"largest {axis}", "time there", "peak memory there", "predicted limit", "failure")
    head = "".join(f"<th scope='col' class='number'>{title}</th>" for title in titles)
    body = "".join(f"<tr><th scope='row'>{legend_key(row)}</th>{_cells(row, axis)}</tr>" for row in rows)
    head = f"<thead><tr><th scope='col'>solver</th>{head}</tr></thead>"
    return scrolled(f"<table class='plain'>{head}<tbody>{body}</tbody></table>", "scaling laws and limits")


def _cells(row: CurveRow, axis: str) -> str:
    exponent, largest, predicted = "–", row.largest, "–"
    if row.slope is not None:
        interval = f" ({row.slope.low:.2f} to {row.slope.high:.2f})" if isfinite(row.slope.low) else ""
        exponent = f"{row.slope.value:.2f}{interval}"
    if row.limit is not None:
        size, by = row.limit.size, row.limit.by
        is_far = largest is None or size > MAX_EXTRAPOLATION * getattr(largest.case, axis)
        predicted = "out of range" if is_far else f"{axis} &asymp; {size:.2g} ({by})"
    cells = [
        exponent,
        f"{getattr(largest.case, axis):,}" if largest else "–",
        milliseconds(largest.seconds) if largest else "–",
        megabytes(largest.memory) if largest else "–",
        predicted,
        escape(row.marks[0][1]) if row.marks else "",
    ]
    return "".join(f"<td class='number'>{cell}</td>" for cell in cells)


def progress(study: Any) -> str:
    """Progress of a study as text and bar (HTML)."""
    if study is None:
        return "<span class='caption'>No measurements yet.</span>"
    done, total = len(study.points), max(1, study.total)
    status = "measuring" if study.running else ("done" if done == study.total else "cancelled")
    width = f"{done / total:.1%}"
    bar = f"<div class='progress' role='progressbar' aria-label='points' aria-valuemin='0' aria-valuemax='{total}' "
    bar += f"aria-valuenow='{done}'><i style='width:{width}'></i></div>"
    return f"<span role='status'><b>{done}</b> of {study.total} points, {status}</span>{bar}"
