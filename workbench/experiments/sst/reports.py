"""What an SST run has found: equations, maps, skill beside simple forecasts, the three protocols."""

from typing import Any

import numpy as np
import torch
import xarray as xr

from workbench.diagnostics import metrics
from workbench.experiments.equation import Equation
from workbench.experiments.report import Report
from workbench.experiments.sst.maps import annual_forcing, direct_maps, place_on_map
from workbench.models.sst.baselines import NAMES, Baselines
from workbench.models.sst.forecaster import SURE, SeasonalForecaster
from workbench.models.sst.identifier import GIVEN, Identifier

SHOWN = 4
SHOWN_YEARS = 10
YEAR = {"month": 12, "week": 52}


def places(data: xr.Dataset) -> np.ndarray:
    """Which variables are drawn and written out: all of a few, else some from north to south."""
    return np.unique(np.linspace(0, data.sizes["variable"] - 1, SHOWN).astype(int))


def seasons(data: xr.Dataset) -> torch.Tensor:
    """The calendar month, or the week of the year, of every time: whole numbers from 0."""
    part = data["time"].values % 1
    if data.attrs["cadence"] == "month":
        return torch.from_numpy(np.rint(12 * part).astype(np.int64) % 12)
    return torch.from_numpy(np.minimum(52 * part, 51).astype(np.int64))


def baselines(data: xr.Dataset) -> Baselines:
    """The simple forecasts of a record."""
    values = torch.from_numpy(np.array(data["data"].values, dtype=np.float64))
    return Baselines(values, seasons(data), data.attrs["training"], YEAR[data.attrs["cadence"]])


def direct_report(model: SeasonalForecaster, data: xr.Dataset) -> Report:
    """All that is known so far; nothing but the record before every ODE of the library has been judged."""
    if not model.fitted:
        return Report(trajectory=_drawn(data))
    simple = baselines(data)
    honest, variance = model.path()
    skill, errors = _skill(model, data, simple)
    figures = protocols(data, simple, honest=honest, given=model.path(given=GIVEN)[0])
    maps = None
    if "ocean" in data:
        maps = direct_maps(model, data, errors)
        figures |= metrics.band_separation(maps)
    if skill is not None:
        tried = skill["skill"].sel(forecast="model")
        figures |= {f"skill_{lead}": float(value) for lead, value in zip(skill["lead"].values, tried, strict=True)}
        figures["coverage"] = float(model.inside.sum() / model.trials().sum())
    trajectory = _drawn(data, honest.numpy(), SURE * variance.sqrt().numpy())
    doubts = () if skill is None else shortcomings(skill)
    return Report(
        equations(model, data), trajectory=trajectory, metrics=figures, doubts=doubts, globe=maps, skill=skill
    )


def identifier_report(model: Identifier, data: xr.Dataset) -> Report:
    """The test period played back, the protocols, and how far the codes tell latitudes apart."""
    simple = baselines(data)
    honest, given = model.path(), model.path(given=GIVEN)
    figures = protocols(data, simple, honest=honest, given=given)
    codes = {f"theta_{k}": column for k, column in enumerate(model.codes().numpy().T)}
    maps = place_on_map(data, {name: (column, "1", name) for name, column in codes.items()})
    figures |= metrics.band_separation(maps)
    return Report(trajectory=_drawn(data, honest.numpy()), metrics=figures, globe=maps)


def protocols(data: xr.Dataset, simple: Baselines, *, honest: torch.Tensor, given: torch.Tensor) -> dict[str, float]:
    """Mean squared errors over the test period in standardised units, area-weighted.

    mse_given: the published protocol, whose first GIVEN true points are handed over and counted; mse_after: without
    these points; mse_honest: nothing of the test period is seen; mse_climatology: of climatology, over the points that
    `honest` reaches. honest, given: (T - training, D), NaN where a model does not reach.
    """
    N = data.attrs["training"]
    deviation = simple.values[:N].std(0).clamp(min=1e-6)
    weight = torch.from_numpy(np.array(data["area"].values)) if "area" in data.coords else torch.ones(len(deviation))
    weight = weight / weight.sum()

    def error(path: torch.Tensor, points: torch.Tensor) -> float:
        off = ((path - simple.values[N:]) / deviation).square()[points]
        return float(off.mean(0) @ weight.double())

    reached = torch.isfinite(given).all(1)
    later = reached & (torch.arange(len(given)) >= GIVEN)
    ahead = torch.isfinite(honest).all(1)
    climatology = simple.climatology[N:]
    return {
        "mse_given": error(given, reached),
        "mse_after": error(given, later),
        "mse_honest": error(honest, ahead),
        "mse_climatology": error(climatology, ahead),
    }


def _skill(
    model: SeasonalForecaster, data: xr.Dataset, simple: Baselines
) -> tuple[xr.Dataset | None, dict[int, np.ndarray]]:
    """Skill over (lead, forecast), and the skill of the model in every cell by lead; of the origins tried so far."""
    trials = model.trials().numpy()
    kept = trials > 0
    if not kept.any():
        return None, {}
    leads = np.array(model.plan.leads)[kept]
    done = range(model.plan.training, model.plan.training + int(trials.max()))
    # the first lead is the shortest, so as many origins as it was tried from
    errors = simple.squared_errors(tuple(leads.tolist()), done)
    reference = errors[NAMES[0]]
    area = torch.from_numpy(np.array(data["area"].values)) if "area" in data.coords else torch.ones(len(reference.T))
    area = area.double()
    own = model.squared_errors[torch.from_numpy(kept)]
    columns = {"model": own, **errors}
    values = np.stack([(1 - (e @ area) / (reference @ area)).numpy() for e in columns.values()], axis=1)
    cadence = data.attrs["cadence"]
    skill = xr.Dataset(
        {"skill": (("lead", "forecast"), values, {"units": "1", "long_name": "skill against climatology"})},
        coords={"lead": ("lead", leads, {"units": cadence, "long_name": "lead time"}), "forecast": list(columns)},
    )
    tiny = torch.finfo(own.dtype).tiny
    cells = (1 - own / reference.clamp(min=tiny)).numpy()
    return skill, dict(zip(leads.tolist(), cells, strict=True))


def shortcomings(skill: xr.Dataset) -> tuple[str, ...]:
    """In words, the leads at which climatology or another simple forecast is better."""
    said = []
    for lead in skill["lead"].values:
        row = skill["skill"].sel(lead=lead)
        simple = row.drop_sel(forecast="model")
        best = str(simple["forecast"].values[int(simple.values.argmax())])
        own, other = float(row.sel(forecast="model")), float(simple.max())
        if own < other:
            said.append(
                f"{lead} {skill['lead'].attrs['units']}s ahead the forecast does not beat {best} "
                f"(skill {own:.3f} against {other:.3f})"
            )
    return tuple(said)


def _drawn(data: xr.Dataset, path: np.ndarray | None = None, half: np.ndarray | None = None) -> xr.Dataset:
    """The last years of some places, with the forecast of the test period and its 95 % band."""
    N, T = data.attrs["training"], data.sizes["time"]
    chosen = places(data)
    first = max(N - SHOWN_YEARS * YEAR[data.attrs["cadence"]], 0)
    names = ["truth", "data"]
    kept = data[names].isel(variable=chosen, time=slice(first, T)).reset_coords(drop=True)
    kept.attrs = {
        "title": data.attrs["title"],
        "caption": "Measured, and forecast from the end of the training period.",
    }
    if path is None:
        return kept

    def column(values: np.ndarray, words: str) -> Any:
        full = np.full((T - first, len(chosen)), np.nan)
        full[N - first :] = values[:, chosen]
        return ("time", "variable"), full, {"units": "degC", "long_name": words}

    kept = kept.assign(estimate=column(path, "forecast from the end of the training period"))
    if half is not None:
        kept = kept.assign(
            lower=column(path - half, "lower end of the 95 % band"),
            upper=column(path + half, "upper end of the 95 % band"),
        )
    return kept


def equations(model: SeasonalForecaster, data: xr.Dataset) -> tuple[Equation, ...]:
    """The likeliest ODE of each shown place, with its rest level and its annual forcing; t in years from 1 January."""
    chosen = places(data)
    forecaster = model.forecaster
    best = forecaster.weights.argmax(0)[chosen]
    forcing, rest = annual_forcing(model)
    made = []
    for place, member in zip(chosen.tolist(), best.tolist(), strict=True):
        ode = model.odes[int(forecaster.chosen[member])]
        force, level = complex(forcing[member, place]), float(rest[member, place])
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
        made.append(Equation(rf"{dots} T_{{\text{{{label}}}}}", f"T{primes} at {label}", tuple(terms)))
    return tuple(made)
