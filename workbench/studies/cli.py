"""Parsing and text output of studies for the command line, without printing."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import optuna
import xarray as xr
from distributed import Client

from workbench.studies.optuna_search import Choice, Search, Span, search
from workbench.studies.result_table import save
from workbench.studies.runner import follow
from workbench.studies.study import Study

PROGRESS_INTERVAL = 1.0
"""Seconds between two lines of progress."""


def axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """Parse axes such as `noise=0,0.1,0.5`. Raises ValueError for invalid syntax."""
    values_of = {}
    for text in texts:
        name, values = _split(text, "NAME=VALUE,VALUE,...")
        if name in values_of:
            raise ValueError(f"--axis: {name} is given twice")
        values_of[name] = values.split(",")
    return values_of


def seeds(text: str) -> list[int]:
    """Parse `10` as seeds 0, ..., 9 and `3,5` as these seeds. Raises ValueError for invalid syntax."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or parts == ["0"]:
        raise ValueError(f"--seeds: expected a number of seeds, or comma-separated seeds, found {text!r}")
    return list(range(int(text))) if len(parts) == 1 else [int(part) for part in parts]


def space(texts: Sequence[str]) -> dict[str, Span | Choice]:
    """Parse a search space such as `min_contribution=1e-4..0.1:log`, `degree=1..3` or `method=qr,cholesky`.

    Raises ValueError for invalid syntax or bounds.
    """
    ranges = {}
    for text in texts:
        name, values = _split(text, "NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=VALUE,VALUE")
        low, dots, high = values.removesuffix(":log").partition("..")
        try:
            ends = (_number(low), _number(high)) if dots else ()
            ranges[name] = Span(*ends, log=values.endswith(":log")) if dots else Choice(tuple(values.split(",")))
        except ValueError as error:
            raise ValueError(f"--search {text}: {error}") from None
    return ranges


def study_lines(study: Study, client: Client, **options: Any) -> Iterator[str]:
    """Run a study; yields lines of progress, failed cells, and a table of the results at the end."""
    cells = {cell.id: cell for cell in study.cells}
    begin, last_printed, ended = time.monotonic(), 0.0, set()
    for outcome in follow(study, client, **options):
        ended.add(outcome.id)
        if outcome.status == "failed":
            yield f"failed: {_place(study, cells[outcome.id].place)}: {outcome.message}"
        if time.monotonic() - last_printed >= PROGRESS_INTERVAL or len(ended) == len(cells):
            last_printed = time.monotonic()
            yield f"{len(ended)} of {len(cells)} cells  {last_printed - begin:.1f} s"
    yield from table_lines(save(study))


def table_lines(results: xr.Dataset) -> Iterator[str]:
    """Table of the metrics over the axes, as the median over seeds; failed cells are left out."""
    names = [name for name in results.data_vars if results[name].dtype.kind == "f" and name != "steps"]
    median = results[names].median("seed")
    rows = median.stack(cell=list(median.dims)) if median.sizes else median.expand_dims("cell")
    dims = [name for name in results.dims if name != "seed"]
    yield f"median over {results.sizes['seed']} seeds:"
    yield "  ".join(f"{name:>12s}" for name in (*dims, *names))
    for index in range(rows.sizes["cell"]):
        row = rows.isel(cell=index)
        values = [f"{np.asarray(row[name]).item()!s:>12s}" for name in dims]
        yield "  ".join([*values, *(f"{float(row[name]):12.4g}" for name in names)])


def search_lines(definition: Search, client: Client, trials: int, threads: int) -> Iterator[str]:
    """Run a search; yields a line per trial, and the best one at the end."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for trial in search(definition, client, trials, threads=threads):
        value = f"{definition.metric} {trial.value:.4g}" if trial.value is not None else f"failed: {trial.message}"
        yield f"trial {trial.number + 1}  {_settings(trial.values)}  {value}"
    study = definition.optuna_study()
    if any(trial.state.name == "COMPLETE" for trial in study.trials):
        yield f"best: {_settings(study.best_params)}  {definition.metric} {study.best_value:.6g}"


def _settings(values: Any) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def _place(study: Study, place: tuple[int, ...]) -> str:
    return ", ".join(f"{name}={values[index]}" for (name, values), index in zip(study.dims.items(), place, strict=True))


def _split(text: str, syntax: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise ValueError(f"expected {syntax}, found {text!r}")
    return name.replace("-", "_"), values


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
