"""What the command line says of studies: axes as text, progress and results as lines. It prints nothing itself."""

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

BETWEEN = 1.0
"""Seconds between two lines of progress."""


def axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """`noise=0,0.1,0.5` and others as an axis each. Raises ValueError for what is none."""
    made = {}
    for text in texts:
        name, values = _named(text, "NAME=VALUE,VALUE,...")
        if name in made:
            raise ValueError(f"--axis: {name} is given twice")
        made[name] = values.split(",")
    return made


def seeds(text: str) -> list[int]:
    """`10` as 0, ..., 9; `3,5` as just these. Raises ValueError for what is neither."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or parts == ["0"]:
        raise ValueError(f"--seeds: a number of seeds, or seeds with commas between them are needed, not {text!r}")
    return list(range(int(text))) if len(parts) == 1 else [int(part) for part in parts]


def space(texts: Sequence[str]) -> dict[str, Span | Choice]:
    """`min_contribution=1e-4..0.1:log`, `degree=1..3` or `method=qr,cholesky` and others as what a search tries."""
    made = {}
    for text in texts:
        name, values = _named(text, "NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=VALUE,VALUE")
        low, dots, high = values.removesuffix(":log").partition("..")
        try:
            ends = (_number(low), _number(high)) if dots else ()
            made[name] = Span(*ends, log=values.endswith(":log")) if dots else Choice(tuple(values.split(",")))
        except ValueError as error:
            raise ValueError(f"--search {text}: {error}") from None
    return made


def study_lines(study: Study, client: Client, **options: Any) -> Iterator[str]:
    """Run a study: how far it is, each cell that fails, and a table of the results at the end."""
    cells = {cell.id: cell for cell in study.cells}
    begin, printed, ended = time.monotonic(), 0.0, set()
    for outcome in follow(study, client, **options):
        ended.add(outcome.id)
        if outcome.status == "failed":
            yield f"failed: {_place(study, cells[outcome.id].place)}: {outcome.message}"
        if time.monotonic() - printed >= BETWEEN or len(ended) == len(cells):
            printed = time.monotonic()
            yield f"{len(ended)} of {len(cells)} cells  {printed - begin:.1f} s"
    yield from table_lines(save(study))


def table_lines(found: xr.Dataset) -> Iterator[str]:
    """The metrics over the axes, the median over seeds; failed cells are left out."""
    names = [name for name in found.data_vars if found[name].dtype.kind == "f" and name != "steps"]
    middle = found[names].median("seed")
    rows = middle.stack(cell=list(middle.dims)) if middle.sizes else middle.expand_dims("cell")
    dims = [name for name in found.dims if name != "seed"]
    yield f"median over {found.sizes['seed']} seeds:"
    yield "  ".join(f"{name:>12s}" for name in (*dims, *names))
    for index in range(rows.sizes["cell"]):
        row = rows.isel(cell=index)
        values = [f"{np.asarray(row[name]).item()!s:>12s}" for name in dims]
        yield "  ".join([*values, *(f"{float(row[name]):12.4g}" for name in names)])


def search_lines(given: Search, client: Client, trials: int, threads: int) -> Iterator[str]:
    """Run a search: every trial as it ends, and the best one."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for trial in search(given, client, trials, threads=threads):
        told = f"{given.metric} {trial.value:.4g}" if trial.value is not None else f"failed: {trial.message}"
        yield f"trial {trial.number + 1}  {_settings(trial.values)}  {told}"
    kept = given.opened()
    if any(trial.state.name == "COMPLETE" for trial in kept.trials):
        yield f"best: {_settings(kept.best_params)}  {given.metric} {kept.best_value:.6g}"


def _settings(values: Any) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def _place(study: Study, place: tuple[int, ...]) -> str:
    return ", ".join(f"{name}={values[index]}" for (name, values), index in zip(study.dims.items(), place, strict=True))


def _named(text: str, form: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise ValueError(f"{form} is needed, not {text!r}")
    return name.replace("-", "_"), values


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
