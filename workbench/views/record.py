"""A record in words and numbers, for a page on which nothing has been discovered yet."""

from html import escape

import numpy as np
import xarray as xr

MOST_ROWS = 8


def summary(record: xr.Dataset) -> str:
    """The length, and an HTML table of the variables of `data` over (time, variable): mean, deviation, range.

    Of a field over (time, x): its grid and its range.
    """
    if "x" in record.dims:
        return _field(record)
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


def _row(name: str, values: np.ndarray) -> str:
    numbers = (np.nanmean(values), np.nanstd(values), np.nanmin(values), np.nanmax(values))
    cells = "".join(f"<td class='number'>{number:.3f}</td>" for number in numbers)
    return f"<tr><td class='term'>{escape(name)}</td>{cells}</tr>"
