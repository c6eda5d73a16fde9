"""The researcher's own data: equations from a CSV, Parquet, HDF5 or NetCDF file.

Everything that the other experiments ask for is told from the record: sampling, gaps, noise, and how high the
polynomials must be.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
import xarray as xr
from pydantic import field_validator

from workbench.datasets import schema, tabular, windows
from workbench.datasets.ode import reference
from workbench.datasets.tabular import example
from workbench.diagnostics.identifiability import collinearity, few_oscillations, short_record, unsure_terms
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.result import Discovery
from workbench.discovery.search import Degrees, sensible
from workbench.experiments import protocol
from workbench.experiments.diagnose import judge
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.symbolic import expr, printers
from workbench.symbolic.library import Polynomials

name = "table"
title = "Your own data"
summary = "A CSV, Parquet, HDF5 or NetCDF file with a time column: its equations, in its own names and units."

SHOWN = 2000
"""Grid points over which discovered equations are simulated."""
MOST_VARIABLES = 20
"""Variables whose equations are sought at once."""
LOUD = 0.25
"""The share of the variation that may be noise before it is said."""
VAGUE = 0.05
"""The standard error of a coefficient, as a share of it, from which on terms that are alike are said to be so."""
UNEXPLAINED = 1.5
"""What the equations may leave over, in units of the noise, before it is said."""


class TableConfig(protocol.Config):
    """The settings of one run on a table. Units are those of the table."""

    mode: Literal["auto", "projection", "smoothing"] = setting(
        "auto",
        "How to learn: projection solves for the coefficients directly; smoothing goes on from there and corrects "
        "states and equations together, for noisy data; auto takes the better of the two for the noise it finds.",
    )
    degree: int = setting(
        0,
        "Highest degree of the polynomials that the equations may be made of; 0: the lowest that explains the data.",
        ge=0,
        le=5,
    )
    window: int = setting(
        0,
        "Sequence length: how many grid points are solved as one system; 0: chosen from the data.",
        unit="grid points",
        ge=0,
        le=200_000,
    )
    backend: Backend = setting("auto", BACKEND)
    min_contribution: float = setting(
        0.002,
        "Terms that alone explain less than this share of how their variable changes within a window fall away, "
        "however significant they are; insignificant ones always do.",
        group="training",
        ge=0,
        lt=1,
    )
    n_bootstrap: int = setting(
        200,
        "How many times windows are drawn anew to tell how sure each term is (bootstrap).",
        group="training",
        ge=20,
        le=10_000,
    )
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    derivatives: int = setting(
        6,
        "How many derivatives the solver keeps at each grid point, the state itself included; more are more accurate.",
        group="solver",
        ge=2,
        le=8,
    )
    record: str = setting(
        example.NAME, "Which table: example, or the name that a file was given when it was read.", group="data"
    )
    columns: str = setting(
        "", "The variables whose equations are sought, with commas between; empty: all of them.", group="data"
    )

    @field_validator("record")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        # a name and never a path: what an address asks for must not open files
        if not re.fullmatch(r"[a-z0-9-]{1,60}", value):
            raise ValueError("expected example, or the name that a file was given when it was read")
        return value


Config = TableConfig


def keep(sources: Sequence[tabular.Source]) -> str:
    """Read files and keep what is in them; what to give as `record`. Raises ValueError that names row and column."""
    return tabular.keep(tabular.read(sources))


def data(config: TableConfig) -> xr.Dataset:
    """The record: `data` over (time, variable), NaN where nothing was measured; several trajectories in a row."""
    found = example.record() if config.record == example.NAME else tabular.kept(config.record)
    known = [str(label) for label in found["variable"].values]
    wanted = [word for word in re.split(r"[,\s]+", config.columns) if word]
    if unknown := [word for word in wanted if word not in known]:
        raise ValueError(f"columns: there is no variable {unknown[0]}; there are: {', '.join(known)}")
    found = found.sel(variable=wanted) if wanted else found
    if found.sizes["variable"] > MOST_VARIABLES:
        raise ValueError(
            f"columns: expected at most {MOST_VARIABLES} variables, found {len(known)}; "
            f"name those that matter, of {', '.join(known[:30])}"
        )
    return found


def model(config: TableConfig, data: xr.Dataset) -> Model:
    """A fresh model of all trajectories."""
    parts = [Trajectory(windows.times(part), windows.tensor(part)) for part in schema.trajectories(data)]
    variables = [str(label) for label in data["variable"].values]
    degrees = (config.degree,) if config.degree else sensible(len(variables), int(torch.isfinite(_values(parts)).sum()))
    shared = ("window", "min_contribution", "n_bootstrap", "derivatives", "backend", "method", "seed")
    denoise = {"auto": None, "projection": False, "smoothing": True}[config.mode]
    settings = Settings(denoise=denoise, **{field: getattr(config, field) for field in shared})
    return Degrees(parts, variables, degrees, settings)


def _values(parts: Sequence[Trajectory]) -> torch.Tensor:
    return torch.cat([part.values[:, 0] for part in parts])


def report(model: Degrees, data: xr.Dataset) -> Report:
    """Equations in the names of the table, coefficients with their units, and a simulation beside the data."""
    library, found = model.library, model.result()
    over = ("candidate", "variable")
    columns = {
        "estimate": (over, found.coefficients, {"long_name": "discovered coefficient"}),
        "lower": (over, found.lower, {"long_name": "lower end of the 95 % interval"}),
        "upper": (over, found.upper, {"long_name": "upper end of the 95 % interval"}),
        "inclusion": (over, found.inclusion, {"long_name": "inclusion probability"}),
        "unit": (over, units(library, data), {"long_name": "unit of the coefficient"}),
    }
    coefficients = xr.Dataset(columns, coords={"candidate": list(library.names), "variable": list(library.variables)})
    loud = found.noise / _deviation(data)
    figures = {
        "degree": float(model.degree),
        "noise_share": float(loud.max()),
        "left_over": float(model.left().max()),
    }
    first = schema.trajectories(data)[0]
    shown = simulated(library, found, first)
    notes = doubts_about(model, found, loud)
    final = judge(library, found.coefficients, shown, found) if model.done else None
    told = equations(library, found.coefficients)
    return Report(told, (), coefficients, shown, figures, notes, judgement=final)


def _deviation(data: xr.Dataset) -> np.ndarray:
    return data["data"].std("time").values


def equations(library: Polynomials, coefficients: np.ndarray) -> tuple[Equation, ...]:
    """One equation per variable, terms in the order of the library, zeros left out."""
    made = []
    for variable, column in zip(library.variables, coefficients.T, strict=True):
        rows = zip(column.tolist(), library.latex, library.names, strict=True)
        left = printers.rate(printers.latex(expr.name(variable)))
        made.append(Equation(left, f"{variable}'", tuple(row for row in rows if row[0] != 0)))
    return tuple(made)


def units(library: Polynomials, data: xr.Dataset) -> np.ndarray:
    """The unit of each coefficient (candidate, variable): that of the variable over those of time and candidate."""
    known = dict(zip(library.variables, map(str, data["unit"].values), strict=True))
    time = str(data["time"].attrs["units"])
    made = np.full((len(library), len(library.variables)), "", dtype=object)
    for row, powers in enumerate(_powers(library)):
        for column, variable in enumerate(library.variables):
            exponents: Counter[str] = Counter()
            factors = ((known[variable], 1), (time, -1), *((known[name], -power) for name, power in powers.items()))
            for unit, power in factors:
                for base, own in _bases(unit):
                    exponents[base] += own * power
            made[row, column] = _written(exponents)
    return made.astype(str)


def _bases(unit: str) -> tuple[tuple[str, int], ...]:
    """`g/l` is ("g", 1), ("l", -1); any other unit is taken as it stands."""
    parts = unit.split("/")
    if len(parts) == 2 and all(re.fullmatch(r"[^\s*^·()]+", part) for part in parts):
        return (parts[0], 1), (parts[1], -1)
    return ((unit, 1),)


def _powers(library: Polynomials) -> list[dict[str, int]]:
    """Of each candidate, the power of every variable in it, told by doubling that variable."""
    ones = np.ones(len(library.variables))
    alone = library(ones)
    doubled = [np.log2(library(ones + np.eye(len(ones))[i]) / alone) for i in range(len(ones))]
    return [
        {name: round(float(own[row])) for name, own in zip(library.variables, doubled, strict=True) if own[row] > 0.5}
        for row in range(len(library))
    ]


def _written(exponents: Mapping[str, int]) -> str:
    """`m/s^2`; "1" where nothing is left."""
    kept = {unit: power for unit, power in exponents.items() if power and unit != "1"}

    def factor(unit: str, power: int) -> str:
        base = f"({unit})" if re.search(r"[\s/*^·]", unit) else unit
        return base if power == 1 else f"{base}^{power}"

    above = " ".join(factor(unit, power) for unit, power in kept.items() if power > 0)
    below = [factor(unit, -power) for unit, power in kept.items() if power < 0]
    if not below:
        return above or "1"
    return f"{above or '1'}/{below[0] if len(below) == 1 else '(' + ' '.join(below) + ')'}"


def simulated(library: Polynomials, found: Discovery, data: xr.Dataset) -> xr.Dataset:
    """The first part of a trajectory with `denoised` and `estimate`: u' = Theta(u) Xi from its first state on."""
    shown = data.isel(time=slice(SHOWN))
    states = found.states[0][: shown.sizes["time"]]
    known = np.flatnonzero(np.isfinite(states).all(axis=1))
    estimate = np.full(states.shape, np.nan)
    if len(known):
        begin = int(known[0])
        largest = float(np.nanmax(np.abs(shown["data"].values)))
        times = shown["time"].values[begin:]
        flow = library.right_hand_side(found.coefficients)
        estimate[begin:] = (
            reference.guarded(flow, states[begin], times, limit=20 * largest) if len(times) > 1 else states
        )
    over, attributes = ("time", "variable"), {"units": "1"}
    return shown.assign(
        denoised=(over, states, {**attributes, "long_name": "states without the noise"}),
        estimate=(over, estimate, {**attributes, "long_name": "simulation of the discovered equations"}),
    )


def doubts_about(model: Degrees, found: Discovery, loud: np.ndarray) -> tuple[str, ...]:
    """What stopped the discovery early, and why the record may not decide, in words; nothing if nothing is in doubt."""
    library, names = model.library, model.library.variables
    said = [found.message] if found.message else []
    worst = int(np.argmax(loud))
    if loud[worst] > LOUD:
        said.append(f"{loud[worst]:.0%} of how {names[worst]} varies is noise; at most {LOUD:.0%} would do")
    left = model.left()
    worst = int(np.argmax(left))
    if model.done and left[worst] > UNEXPLAINED:
        said.append(
            f"these equations leave over {left[worst]:.2g} times the noise of {names[worst]}: they may lack a variable "
            f"that was not measured, an outside force, or a term that is no polynomial"
        )
    states = np.concatenate(found.states)
    states = states[np.isfinite(states).all(axis=1)]
    checks = [
        short_record(len(states), int(found.coefficients.any(axis=1).sum())),
        unsure_terms(found.lower, found.upper, library.names, names),
    ]
    if len(found.states) == 1 and len(states) >= 5:
        checks.append(few_oscillations(states, names))
    said += [check.message for check in checks if check.message]
    return (*said, *_collinear(library, found, states))


def _collinear(library: Polynomials, found: Discovery, states: np.ndarray) -> list[str]:
    """Which terms of an equation can stand in for each other, where that leaves their coefficients vague."""
    said = []
    for column, variable in enumerate(library.variables):
        kept = np.flatnonzero(found.coefficients[:, column])
        if len(states) <= len(kept) or not len(kept):
            continue
        vague = found.deviation[kept, column] > VAGUE * np.abs(found.coefficients[kept, column])
        names = [library.names[index] for index in kept]
        message = collinearity(library(states)[:, kept], names).message
        if message and vague.any():
            said.append(f"in the equation of {variable}: {message}")
    return said
