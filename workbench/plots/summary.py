"""Summary of a data set: sampling, units and statistics of its variables."""

from html import escape

import numpy as np
import xarray as xr

from workbench._deprecated import moved_names
from workbench.plots.scrolled import scrolled

MAX_ROWS = 8


def summary(dataset: xr.Dataset) -> str:
    """HTML summary of `data` over (time, variable): number of grid points, and mean, deviation, range per variable.

    For a field over (time, x): its grid and its range.
    """
    if "x" in dataset.dims:
        return _field(dataset)
    if "sampling" in dataset.attrs:
        return _table_file(dataset)
    times = dataset.time.values
    unit = dataset.time.attrs.get("units", "1")
    length = f"{times[-1] - times[0]:.6g}" + (f" {unit}" if unit != "1" else "")
    step = f"{np.median(np.diff(times)):.4g}"
    rows = [_row(str(name), dataset.data.values[:, i]) for i, name in enumerate(dataset.variable.values[:MAX_ROWS])]
    head = "".join(f"<th scope='col' class='number'>{word}</th>" for word in ("mean", "std. dev.", "min", "max"))
    source = f"{escape(str(dataset.attrs['title']))}: " if "title" in dataset.attrs else ""
    return (
        f"<p class='caption'>{source}{len(times):,} grid points, step {step}, length {length}</p>"
        f"<table><thead><tr><th scope='col'>variable</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _field(dataset: xr.Dataset) -> str:
    """HTML summary of a field: its grid, and deviation and range of u."""
    times, x = dataset.time.values, dataset.x.values
    values = dataset.data.values
    rows = {
        "frames": f"{len(times):,}, step {np.median(np.diff(times)):.4g}",
        "grid points": f"{len(x):,}, step {np.median(np.diff(x)):.4g}, periodic",
        "u": f"from {values.min():.3f} to {values.max():.3f}, std. dev. {values.std():.3f}",
    }
    cells = "".join(f"<tr><td class='term'>{name}</td><td>{text}</td></tr>" for name, text in rows.items())
    source = f"<p class='caption'>{escape(str(dataset.attrs['title']))}</p>" if "title" in dataset.attrs else ""
    return f"{source}<table><tbody>{cells}</tbody></table>"


def _table_file(dataset: xr.Dataset) -> str:
    """HTML summary of a file: sampling, units, ranges, missing values and corrections."""
    rows = []
    for i, name in enumerate(dataset.variable.values[:MAX_ROWS]):
        values = dataset.data.values[:, i]
        cells = f"<td class='number'>{np.nanmin(values):.3g}</td><td class='number'>{np.nanmax(values):.3g}</td>"
        unit, missing = str(dataset["unit"].values[i]), int(np.isnan(values).sum())
        unit = "" if unit == "1" else escape(unit)
        rows.append(
            f"<tr><td class='term'>{escape(str(name))}</td><td>{unit}</td>{cells}<td class='number'>{missing}</td></tr>"
        )
    labels = ("min", "max", "missing")
    head = "<th scope='col'>variable</th><th scope='col'>unit</th>"
    head += "".join(f"<th scope='col' class='number'>{label}</th>" for label in labels)
    more = len(dataset.variable) - MAX_ROWS
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return (
        f"<p class='caption'>{escape(str(dataset.attrs['title']))}: {escape(str(dataset.attrs['sampling']))}.</p>"
        + scrolled(table, "variables")
        + (f"<p class='caption'>and {more} more variables</p>" if more > 0 else "")
        + corrections(dataset)
    )


def corrections(dataset: xr.Dataset) -> str:
    """Corrections made while reading a file, as an HTML list."""
    lines = [line for line in str(dataset.attrs.get("repairs", "")).split("\n") if line]
    if not lines:
        return "<p class='caption corrections'>No corrections were needed.</p>"
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<div class='corrections'><b>Corrections while reading</b><ul>{items}</ul></div>"


def _row(name: str, values: np.ndarray) -> str:
    numbers = (np.nanmean(values), np.nanstd(values), np.nanmin(values), np.nanmax(values))
    cells = "".join(f"<td class='number'>{number:.3f}</td>" for number in numbers)
    return f"<tr><td class='term'>{escape(name)}</td>{cells}</tr>"


def units(dataset: xr.Dataset) -> str:
    """Units of the variables, such as `hares, lynx in thousand, time in yr`; empty if all are dimensionless."""
    names = [str(name) for name in dataset["variable"].values[:MAX_ROWS]]
    shared = dataset["truth" if "truth" in dataset else "data"].attrs.get("units", "1")
    own_units = map(str, dataset["unit"].values) if "unit" in dataset.coords else [shared] * len(names)
    groups: dict[str, list[str]] = {}
    for name, unit in (*zip(names, own_units, strict=False), ("time", dataset["time"].attrs.get("units", "1"))):
        groups.setdefault(unit, []).append(name)
    return ", ".join(f"{', '.join(group)} in {unit}" for unit, group in groups.items() if unit != "1")


__getattr__ = moved_names(
    __name__,
    {
        "repairs": "plots.summary:corrections",
    },
)
