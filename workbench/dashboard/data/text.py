"""Facts, progress and description of a data set (HTML)."""

import re
import time
from html import escape
from pathlib import Path

import numpy as np
import xarray as xr
from markdown_it import MarkdownIt

from workbench.jobs.dataset_job import DatasetJob


def facts(record: xr.Dataset, path: Path | None) -> str:
    """Table of dimensions, units, time span, size and file of a record."""
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
    rows.append(("size", f"{record.nbytes / 1e6:.3g} MB" + (f", saved as {escape(path.name)}" if path else "")))
    cells = "".join(f"<tr><th scope='row'>{name}</th><td>{value}</td></tr>" for name, value in rows)
    return f"<table class='plain facts'><tbody>{cells}</tbody></table>"


def _units(record: xr.Dataset, array: xr.DataArray) -> str:
    names = [name for name in (array.name, *array.coords) if name in record.variables]
    units = {str(name): str(record[name].attrs.get("units", "")) for name in names}
    dimensional = {name: unit for name, unit in units.items() if unit and unit != "1"}
    return escape(", ".join(f"{name}: {unit}" for name, unit in dimensional.items())) or "none (dimensionless)"


def progress(job: DatasetJob) -> str:
    """Status text and progress bar of a generation job."""
    if not job.active:
        texts = {"done": "Generated.", "cancelled": "Cancelled; nothing was saved."}
        return f"<p class='caption' role='status'>{texts[job.state]}</p>" if job.state in texts else ""
    seconds = time.monotonic() - job.started
    percent = f"{100 * job.share:.0f} %, " if job.share is not None else ""
    message = escape(job.message) or "generating the record"
    status = f"<p class='caption' role='status'>{message}: {percent}{seconds:.0f} s</p>"
    label = "role='progressbar' aria-label='generating the record'"
    if job.share is None:
        return f"{status}<div class='progress unknown' {label}><i></i></div>"
    values = f"aria-valuemin='0' aria-valuemax='100' aria-valuenow='{100 * job.share:.0f}'"
    return f"{status}<div class='progress' {label} {values}><i style='width: {job.share:.1%}'></i></div>"


def card_html(markdown: str) -> str:
    """Data-set card as HTML, without its title; raw HTML in it is escaped."""
    body = re.sub(r"\A# .*\n", "", markdown)
    return MarkdownIt("commonmark", {"html": False}).render(body) if body.strip() else ""
