"""One experiment per known system: its equations, discovered from one record.

The four parts are those of every discovery (`discovered`); the system itself says what differs.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import xarray as xr
from pydantic import create_model

from workbench.datasets.ode import systems
from workbench.datasets.ode.systems import System
from workbench.diagnostics import metrics
from workbench.experiments import discovery_base
from workbench.experiments.diagnose import judge
from workbench.experiments.protocol import Model, setting
from workbench.experiments.report import Report
from workbench.symbolic.library import Library
from workbench.symbolic.parser import parse
from workbench.symbolic.printers import short
from workbench.symbolic.recipe import LibrarySpec

PERCENT = 100.0


def config_of(
    kind: type[System], base: type[discovery_base.DiscoveryConfig] = discovery_base.DiscoveryConfig
) -> type[discovery_base.DiscoveryConfig]:
    """The settings of `base` with the defaults of a system, and its parameters."""
    known = base.model_fields
    given: dict[str, Any] = {
        "points": (int, _other_default(known["points"], kind.points)),
        "step": (float, _other_default(known["step"], kind.step, unit=_time_unit(kind))),
        "degree": (int, _other_default(known["degree"], kind.degree)),
    }
    for own in fields(kind):
        about = own.metadata
        bounds = {"ge": about["low"], "le": about["high"]}
        given[own.name] = (float, setting(own.default, about["text"], group="data", unit=about["unit"], **bounds))
    doc = f"The settings of one run on the system {kind.title}."
    return create_model("Config", __base__=base, __module__=__name__, __doc__=doc, **given)


def system_of(kind: type[System], config: discovery_base.DiscoveryConfig) -> System:
    """The system with the parameters of a configuration."""
    return kind(**{own.name: getattr(config, own.name) for own in fields(kind)})


def library_of(system: System, degree: int) -> Library:
    """Polynomials up to `degree`, and what the system asks for besides."""
    candidates = LibrarySpec(degree=degree, expressions=system.candidates, order=system.order)
    return candidates.library(system.variables)


def true_coefficients(library: Library, data: xr.Dataset) -> np.ndarray:
    """The true Xi (candidate, variable), as the record has it; a term that the library lacks is left out."""
    true = data["true_coefficient"].transpose("term", "variable")
    known = {
        short(parse(str(term), library.inputs)): row for term, row in zip(true["term"].values, true.values, strict=True)
    }
    nothing = np.zeros(len(library.variables))
    return np.array([known.get(name, nothing) for name in library.names])


class Recovery:
    """The experiment of one system, with the parts of `protocol.Experiment`."""

    def __init__(self, name: str) -> None:
        kind = systems.SYSTEMS[name]
        self.kind = kind
        self.name = name
        self.__name__ = f"{type(self).__module__}:{name}"
        self.title = kind.title
        self.summary = kind.summary
        self.Config = config_of(kind)

    def data(self, config: discovery_base.DiscoveryConfig) -> xr.Dataset:
        """The record: `truth` and `data` over (time, variable), and the true coefficients."""
        sampling = {"points": config.points, "step": config.step}
        return systems.simulate(
            system_of(self.kind, config), **sampling, noise=config.noise / PERCENT, seed=config.seed
        )

    def model(self, config: discovery_base.DiscoveryConfig, data: xr.Dataset) -> Model:
        """A fresh model, which has seen the noisy data only."""
        return discovery_base.projection(config, data, library_of(system_of(self.kind, config), config.degree))

    def report(self, model: Any, data: xr.Dataset) -> Report:
        """Equations and coefficients beside the true ones, how sure they are, and a simulation beside the record."""
        library = model.library
        rates = None if library.order == 1 else model.result().states[0][0, len(library.variables) :]
        trajectory = discovery_base.simulated(library, model.coefficients(), data, rates)
        return discovery_report(model, data, trajectory, {"followed": metrics.horizon(trajectory, exponent=1.0)})


def discovery_report(model: Any, data: xr.Dataset, trajectory: xr.Dataset, figures: Mapping[str, float]) -> Report:
    """What a `Projection` has found in a record of a known system, with a simulation and what that is worth."""
    library, estimate, found = model.library, model.coefficients(), model.result()
    truth = true_coefficients(library, data)
    values = discovery_base.coefficients(library, truth, estimate, found)
    figures = metrics.coefficient_metrics(values) | {
        "relative_error": metrics.relative_error(values),
        **figures,
        "noise": float(np.sqrt(np.mean(found.noise**2))),
    }
    seen = len(found.states[0])
    length = min(trajectory.sizes["time"], seen)
    states = np.full(trajectory["truth"].shape, np.nan)
    states[:length] = found.states[0][:length, : len(library.variables)]
    about = {"units": data["truth"].attrs["units"], "long_name": "states without the noise"}
    trajectory = trajectory.assign(denoised=(("time", "variable"), states, about))
    doubts = discovery_base.doubts_about(library, found, data.isel(time=slice(seen)))
    shown = discovery_base.equations(library, estimate), discovery_base.equations(library, truth)
    final = judge(library, estimate, trajectory, found) if model.done else None
    return Report(*shown, values, trajectory, figures, doubts, judgement=final)


def _time_unit(kind: type[System]) -> str:
    return "time units" if kind.time_unit == "1" else kind.time_unit


def _other_default(info: Any, default: Any, **changes: str) -> Any:
    """The same setting with another default, or another unit."""
    bounds = {
        key: getattr(rule, key) for rule in info.metadata for key in ("ge", "gt", "le", "lt") if hasattr(rule, key)
    }
    return setting(default, info.description, **{**info.json_schema_extra, **changes}, **bounds)


roessler = Recovery("roessler")
lotka_volterra = Recovery("lotka_volterra")
van_der_pol = Recovery("van_der_pol")
duffing = Recovery("duffing")
fitzhugh_nagumo = Recovery("fitzhugh_nagumo")
oregonator = Recovery("oregonator")
pendulum = Recovery("pendulum")
