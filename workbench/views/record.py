"""A record in words and numbers, for a page on which nothing has been discovered yet."""

from html import escape

import numpy as np
import xarray as xr

MOST_ROWS = 8


def summary(record: xr.Dataset) -> str:
    """The length, and an HTML table of the variables of `data` over (time, variable): mean, deviation, range."""
    times = record.time.values
    unit = record.time.attrs.get("units", "1")
    lasts = f"{times[-1] - times[0]:.6g}" + (f" {unit}" if unit != "1" else "")
    step = f"{np.median(np.diff(times)):.4g}"
    rows = [_row(str(name), record.data.values[:, i]) for i, name in enumerate(record.variable.values[:MOST_ROWS])]
    head = "".join(f"<th scope='col' class='number'>{word}</th>" for word in ("mean", "std. dev.", "least", "largest"))
    source = f"{escape(str(record.attrs['title']))}: " if "title" in record.attrs else ""
    return (
        f"<p class='caption'>{source}{len(times):,} points, {step} apart, {lasts} in all</p>"
        f"<table><thead><tr><th scope='col'>variable</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _row(name: str, values: np.ndarray) -> str:
    numbers = (np.nanmean(values), np.nanstd(values), np.nanmin(values), np.nanmax(values))
    cells = "".join(f"<td class='number'>{number:.3f}</td>" for number in numbers)
    return f"<tr><td class='term'>{escape(name)}</td>{cells}</tr>"


def units(record: xr.Dataset) -> str:
    """`hares, lynx in thousand, time in yr`: a sentence's worth of units; empty if all is dimensionless."""
    names = ", ".join(str(name) for name in record["variable"].values[:MOST_ROWS])
    unit = record["truth" if "truth" in record else "data"].attrs.get("units", "1")
    time = record["time"].attrs.get("units", "1")
    told = [f"{what} in {known}" for what, known in ((names, unit), ("time", time)) if known != "1"]
    return ", ".join(told)
