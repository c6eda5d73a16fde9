"""A record in words and numbers, for a page on which nothing has been discovered yet."""

from html import escape

import numpy as np
import xarray as xr

from workbench.plots.scrolled import scrolled

MOST_ROWS = 8


def summary(record: xr.Dataset) -> str:
    """The length, and an HTML table of the variables of `data` over (time, variable): mean, deviation, range.

    Of a field over (time, x): its grid and its range.
    """
    if "x" in record.dims:
        return _field(record)
    if "sampling" in record.attrs:
        return _told(record)
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


def _field(record: xr.Dataset) -> str:
    """The grid of `data` over (time, x), and mean, deviation and range of u."""
    times, x = record.time.values, record.x.values
    values = record.data.values
    rows = {
        "frames": f"{len(times):,}, {np.median(np.diff(times)):.4g} apart",
        "grid points": f"{len(x):,}, {np.median(np.diff(x)):.4g} apart, on a circle",
        "u": f"between {values.min():.3f} and {values.max():.3f}, std. dev. {values.std():.3f}",
    }
    cells = "".join(f"<tr><td class='term'>{name}</td><td>{said}</td></tr>" for name, said in rows.items())
    source = f"<p class='caption'>{escape(str(record.attrs['title']))}</p>" if "title" in record.attrs else ""
    return f"{source}<table><tbody>{cells}</tbody></table>"


def _told(record: xr.Dataset) -> str:
    """The same for a file that was read: its sampling, units and missing values, and what was put right."""
    rows = []
    for i, name in enumerate(record.variable.values[:MOST_ROWS]):
        values = record.data.values[:, i]
        cells = f"<td class='number'>{np.nanmin(values):.3g}</td><td class='number'>{np.nanmax(values):.3g}</td>"
        unit, gone = str(record["unit"].values[i]), int(np.isnan(values).sum())
        unit = "" if unit == "1" else escape(unit)
        rows.append(
            f"<tr><td class='term'>{escape(str(name))}</td><td>{unit}</td>{cells}<td class='number'>{gone}</td></tr>"
        )
    words = ("least", "largest", "missing")
    head = "<th scope='col'>variable</th><th scope='col'>unit</th>"
    head += "".join(f"<th scope='col' class='number'>{word}</th>" for word in words)
    more = len(record.variable) - MOST_ROWS
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return (
        f"<p class='caption'>{escape(str(record.attrs['title']))}: {escape(str(record.attrs['sampling']))}.</p>"
        + scrolled(table, "variables")
        + (f"<p class='caption'>and {more} variables more</p>" if more > 0 else "")
        + repairs(record)
    )


def repairs(record: xr.Dataset) -> str:
    """What was put right when a file was read, as an HTML list; nothing if nothing was."""
    said = [line for line in str(record.attrs.get("repairs", "")).split("\n") if line]
    if not said:
        return "<p class='caption repairs'>Nothing had to be put right.</p>"
    items = "".join(f"<li>{escape(line)}</li>" for line in said)
    return f"<div class='repairs'><b>Put right while reading</b><ul>{items}</ul></div>"


def _row(name: str, values: np.ndarray) -> str:
    numbers = (np.nanmean(values), np.nanstd(values), np.nanmin(values), np.nanmax(values))
    cells = "".join(f"<td class='number'>{number:.3f}</td>" for number in numbers)
    return f"<tr><td class='term'>{escape(name)}</td>{cells}</tr>"


def units(record: xr.Dataset) -> str:
    """`hares, lynx in thousand, time in yr`: a sentence's worth of units; empty if all is dimensionless."""
    names = [str(name) for name in record["variable"].values[:MOST_ROWS]]
    shared = record["truth" if "truth" in record else "data"].attrs.get("units", "1")
    own = map(str, record["unit"].values) if "unit" in record.coords else [shared] * len(names)
    groups: dict[str, list[str]] = {}
    for name, unit in (*zip(names, own, strict=False), ("time", record["time"].attrs.get("units", "1"))):
        groups.setdefault(unit, []).append(name)
    return ", ".join(f"{', '.join(of_it)} in {unit}" for unit, of_it in groups.items() if unit != "1")
