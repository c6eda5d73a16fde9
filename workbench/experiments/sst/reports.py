"""Reports of SST models: equations, maps, skill of model and baselines, errors by protocol."""

from typing import Any

import numpy as np
import torch
import xarray as xr

from workbench.diagnostics import metrics
from workbench.discovery.uncertainty import NORMAL_95
from workbench.experiments.equation import Equation
from workbench.experiments.report import Report
from workbench.experiments.sst.maps import annual_forcing, direct_maps, place_on_map
from workbench.models.sst.baselines import NAMES, Baselines
from workbench.models.sst.forecaster import SeasonalForecaster
from workbench.models.sst.identifier import GIVEN, Identifier

SHOWN = 4
SHOWN_YEARS = 10
YEAR = {"month": 12, "week": 52}


def places(data: xr.Dataset) -> np.ndarray:
    """Indices of the variables that are plotted and have equations: up to SHOWN, evenly spaced from north to south."""
    return np.unique(np.linspace(0, data.sizes["variable"] - 1, SHOWN).astype(int))


def seasons(data: xr.Dataset) -> torch.Tensor:
    """Calendar month or week of the year of every time, as integers from 0."""
    part = data["time"].values % 1
    if data.attrs["cadence"] == "month":
        return torch.from_numpy(np.rint(12 * part).astype(np.int64) % 12)
    return torch.from_numpy(np.minimum(52 * part, 51).astype(np.int64))


def baselines(data: xr.Dataset) -> Baselines:
    """Baseline forecasts of a data set."""
    values = torch.from_numpy(np.array(data["data"].values, dtype=np.float64))
    return Baselines(values, seasons(data), data.attrs["training"], YEAR[data.attrs["cadence"]])


def direct_report(model: SeasonalForecaster, data: xr.Dataset) -> Report:
    """Report of the direct mode; only the data until all members of the library are fitted."""
    if not model.fitted:
        return Report(trajectory=_trajectory(data))
    simple = baselines(data)
    honest, variance = model.path()
    skill, errors = _skill(model, data, simple)
    scores = protocols(data, simple, honest=honest, given=model.path(given=GIVEN)[0])
    maps = None
    if "ocean" in data:
        maps = direct_maps(model, data, errors)
        scores |= metrics.band_separation(maps)
    if skill is not None:
        model_skill = skill["skill"].sel(forecast="model")
        scores |= {f"skill_{lead}": float(value) for lead, value in zip(skill["lead"].values, model_skill, strict=True)}
        scores["coverage"] = float(model.inside.sum() / model.trials().sum())
    trajectory = _trajectory(data, honest.numpy(), NORMAL_95 * variance.sqrt().numpy())
    warnings = () if skill is None else skill_warnings(skill)
    return Report(
        equations(model, data), trajectory=trajectory, metrics=scores, warnings=warnings, globe=maps, skill=skill
    )


def identifier_report(model: Identifier, data: xr.Dataset) -> Report:
    """Forecast of the test period, errors by protocol, and separation of latitude bands by the codes."""
    simple = baselines(data)
    honest, given = model.path(), model.path(given=GIVEN)
    scores = protocols(data, simple, honest=honest, given=given)
    codes = {f"theta_{k}": column for k, column in enumerate(model.codes().numpy().T)}
    maps = place_on_map(data, {name: (column, "1", name) for name, column in codes.items()})
    scores |= metrics.band_separation(maps)
    return Report(trajectory=_trajectory(data, honest.numpy()), metrics=scores, globe=maps)


def protocols(data: xr.Dataset, simple: Baselines, *, honest: torch.Tensor, given: torch.Tensor) -> dict[str, float]:
    """Area-weighted mean squared errors over the test period, in standardized units.

    mse_given: published protocol, including the GIVEN true initial points; mse_after: without these points; mse_honest:
    out of sample; mse_climatology: of climatology, over the points of `honest`. honest, given: (T - training, D), NaN
    beyond the forecast.
    """
    N = data.attrs["training"]
    deviation = simple.values[:N].std(0).clamp(min=1e-6)
    weight = torch.from_numpy(np.array(data["area"].values)) if "area" in data.coords else torch.ones(len(deviation))
    weight = weight / weight.sum()

    def error(path: torch.Tensor, points: torch.Tensor) -> float:
        squares = ((path - simple.values[N:]) / deviation).square()[points]
        return float(squares.mean(0) @ weight.double())

    finite = torch.isfinite(given).all(1)
    later = finite & (torch.arange(len(given)) >= GIVEN)
    honest_finite = torch.isfinite(honest).all(1)
    climatology = simple.climatology[N:]
    return {
        "mse_given": error(given, finite),
        "mse_after": error(given, later),
        "mse_honest": error(honest, honest_finite),
        "mse_climatology": error(climatology, honest_finite),
    }


def _skill(
    model: SeasonalForecaster, data: xr.Dataset, simple: Baselines
) -> tuple[xr.Dataset | None, dict[int, np.ndarray]]:
    """Skill over (lead, forecast), and per lead the skill of the model in every cell, over the evaluated origins."""
    trials = model.trials().numpy()
    evaluated = trials > 0
    if not evaluated.any():
        return None, {}
    leads = np.array(model.plan.leads)[evaluated]
    # the first lead is the shortest and has been evaluated from all origins
    origins = range(model.plan.training, model.plan.training + int(trials.max()))
    errors = simple.squared_errors(tuple(leads.tolist()), origins)
    reference = errors[NAMES[0]]
    area = torch.from_numpy(np.array(data["area"].values)) if "area" in data.coords else torch.ones(len(reference.T))
    area = area.double()
    model_errors = model.squared_errors[torch.from_numpy(evaluated)]
    columns = {"model": model_errors, **errors}
    values = np.stack([(1 - (e @ area) / (reference @ area)).numpy() for e in columns.values()], axis=1)
    cadence = data.attrs["cadence"]
    skill = xr.Dataset(
        {"skill": (("lead", "forecast"), values, {"units": "1", "long_name": "skill against climatology"})},
        coords={"lead": ("lead", leads, {"units": cadence, "long_name": "lead time"}), "forecast": list(columns)},
    )
    tiny = torch.finfo(model_errors.dtype).tiny
    cells = (1 - model_errors / reference.clamp(min=tiny)).numpy()
    return skill, dict(zip(leads.tolist(), cells, strict=True))


def skill_warnings(skill: xr.Dataset) -> tuple[str, ...]:
    """A warning for each lead at which a baseline has a higher skill than the model."""
    messages = []
    for lead in skill["lead"].values:
        row = skill["skill"].sel(lead=lead)
        simple = row.drop_sel(forecast="model")
        best = str(simple["forecast"].values[int(simple.values.argmax())])
        model, baseline = float(row.sel(forecast="model")), float(simple.max())
        if model < baseline:
            messages.append(
                f"{lead} {skill['lead'].attrs['units']}s ahead the forecast does not beat {best} "
                f"(skill {model:.3f}, baseline {baseline:.3f})"
            )
    return tuple(messages)


def _trajectory(data: xr.Dataset, path: np.ndarray | None = None, half: np.ndarray | None = None) -> xr.Dataset:
    """The last years of the shown variables, with the forecast of the test period and its 95 % interval."""
    N, T = data.attrs["training"], data.sizes["time"]
    chosen = places(data)
    first = max(N - SHOWN_YEARS * YEAR[data.attrs["cadence"]], 0)
    names = ["truth", "data"]
    shown = data[names].isel(variable=chosen, time=slice(first, T)).reset_coords(drop=True)
    shown.attrs = {
        "title": data.attrs["title"],
        "caption": "Measurements, and forecast from the end of the training period.",
    }
    if path is None:
        return shown

    def column(values: np.ndarray, long_name: str) -> Any:
        full = np.full((T - first, len(chosen)), np.nan)
        full[N - first :] = values[:, chosen]
        return ("time", "variable"), full, {"units": "degC", "long_name": long_name}

    shown = shown.assign(estimate=column(path, "forecast from the end of the training period"))
    if half is not None:
        shown = shown.assign(
            lower=column(path - half, "lower end of the 95 % interval"),
            upper=column(path + half, "upper end of the 95 % interval"),
        )
    return shown


def equations(model: SeasonalForecaster, data: xr.Dataset) -> tuple[Equation, ...]:
    """The most probable ODE of each shown variable, with mean and annual forcing; t in years from 1 January."""
    chosen = places(data)
    forecaster = model.forecaster
    best = forecaster.weights.argmax(0)[chosen]
    forcing, mean = annual_forcing(model)
    result = []
    for place, member in zip(chosen.tolist(), best.tolist(), strict=True):
        ode = model.odes[int(forecaster.chosen[member])]
        force, level = complex(forcing[member, place]), float(mean[member, place])
        scale = 1.0 if ode.c1 is None else ode.c1
        terms = [(-ode.c0, "T", "T"), (ode.c0 * level, "1", "1")]
        if ode.c1 is not None:
            terms.insert(1, (-ode.c1, r"\dot T", "T'"))
        terms += [
            (scale * force.real, r"\cos 2\pi t", "cos(2 pi t)"),
            (-scale * force.imag, r"\sin 2\pi t", "sin(2 pi t)"),
        ]
        label = str(data["variable"].values[place])
        dots, primes = (r"\dot", "'") if ode.c1 is None else (r"\ddot", "''")
        result.append(Equation(rf"{dots} T_{{\text{{{label}}}}}", f"T{primes} at {label}", tuple(terms)))
    return tuple(result)
