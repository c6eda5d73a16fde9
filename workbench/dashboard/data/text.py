"""What the Data page says of a record: facts, progress, and the page about it."""

import re
import time
from html import escape
from pathlib import Path

import numpy as np
import xarray as xr
from markdown_it import MarkdownIt

from workbench.jobs.dataset_job import DatasetJob


def facts(record: xr.Dataset, path: Path | None) -> str:
    """Dimensions, units, span, size and file of a record, as HTML."""
    array = record["data"] if "data" in record else next(iter(record.data_vars.values()))
    sizes = " &times; ".join(f"{escape(str(name))} {size:,}" for name, size in array.sizes.items())
    rows = [("dimensions", sizes), ("units", _units(record, array))]
    if "variable" in record.coords:
        rows.append(("variables", escape(", ".join(map(str, record["variable"].values[:12])))))
    if "time" in record.coords and record.sizes.get("time", 0) > 1 and record.time.dtype.kind in "fiu":
        times = record.time.values
        rows.append(("time", f"{times[0]:.4g} to {times[-1]:.6g}, step {np.median(np.diff(times)):.4g}"))
    if "source" in record.attrs:
        rows.append(("source", escape(str(record.attrs["source"]))))
    rows.append(("size", f"{record.nbytes / 1e6:.3g} MB" + (f", kept as {escape(path.name)}" if path else "")))
    cells = "".join(f"<tr><th scope='row'>{name}</th><td>{value}</td></tr>" for name, value in rows)
    return f"<table class='plain facts'><tbody>{cells}</tbody></table>"


def _units(record: xr.Dataset, array: xr.DataArray) -> str:
    named = {
        str(name): str(record[name].attrs.get("units", ""))
        for name in (array.name, *array.coords)
        if name in record.variables
    }
    told = {name: unit for name, unit in named.items() if unit and unit != "1"}
    return escape(", ".join(f"{name}: {unit}" for name, unit in told.items())) or "none: all is dimensionless"


def progress(making: DatasetJob) -> str:
    """How far it is, in words and as a bar."""
    if not making.active:
        ends = {"done": "Made.", "cancelled": "Cancelled; nothing was kept."}
        return f"<p class='caption' role='status'>{ends.get(making.state, '')}</p>" if making.state in ends else ""
    seconds = time.monotonic() - making.begun
    share = f"{100 * making.share:.0f} %, " if making.share is not None else ""
    said = escape(making.words) or "making the record"
    line = f"<p class='caption' role='status'>{said}: {share}{seconds:.0f} s</p>"
    if making.share is None:
        return line + "<div class='progress unknown' role='progressbar' aria-label='making the record'><i></i></div>"
    now = f"aria-valuemin='0' aria-valuemax='100' aria-valuenow='{100 * making.share:.0f}'"
    bar = f"<i style='width: {making.share:.1%}'></i>"
    return line + f"<div class='progress' role='progressbar' aria-label='making the record' {now}>{bar}</div>"


def card_html(markdown: str) -> str:
    """The page about a data set as HTML, without its title; raw HTML in it is shown as text."""
    body = re.sub(r"\A# .*\n", "", markdown)
    return MarkdownIt("commonmark", {"html": False}).render(body) if body.strip() else ""
