"""Experiments that discover the equations of known systems, one per system of `datasets.ode.systems`."""

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
from workbench.experiments.diagnose import diagnose
from workbench.experiments.protocol import Model, setting
from workbench.experiments.report import Report
from workbench.symbolic.library import Library, LibrarySpec
from workbench.symbolic.parser import parse
from workbench.symbolic.printers import short

PERCENT = 100.0


def config_of(
    kind: type[System], base: type[discovery_base.DiscoveryConfig] = discovery_base.DiscoveryConfig
) -> type[discovery_base.DiscoveryConfig]:
    """A subclass of `base` with the defaults and the parameters of a system."""
    inherited = base.model_fields
    settings: dict[str, Any] = {
        "points": (int, _with_default(inherited["points"], kind.points)),
        "step": (float, _with_default(inherited["step"], kind.step, unit=_time_unit(kind))),
        "degree": (int, _with_default(inherited["degree"], kind.degree)),
    }
    for parameter in fields(kind):
        about = parameter.metadata
        bounds = {"ge": about["low"], "le": about["high"]}
        field = setting(parameter.default, about["text"], group="data", unit=about["unit"], **bounds)
        settings[parameter.name] = (float, field)
    doc = f"Settings of one run on the system {kind.title}."
    return create_model("Config", __base__=base, __module__=__name__, __doc__=doc, **settings)


def system_of(kind: type[System], config: discovery_base.DiscoveryConfig) -> System:
    """The system with the parameters of a configuration."""
    return kind(**{parameter.name: getattr(config, parameter.name) for parameter in fields(kind)})


def library_of(system: System, degree: int) -> Library:
    """Polynomials up to `degree` and the additional candidates of the system."""
    candidates = LibrarySpec(degree=degree, expressions=system.candidates, order=system.order)
    return candidates.library(system.variables)


def true_coefficients(library: Library, data: xr.Dataset) -> np.ndarray:
    """The true Xi (candidate, variable) of the data, without terms that are not in the library."""
    true = data["true_coefficient"].transpose("term", "variable")
    rows = {
        short(parse(str(term), library.inputs)): row for term, row in zip(true["term"].values, true.values, strict=True)
    }
    zeros = np.zeros(len(library.variables))
    return np.array([rows.get(name, zeros) for name in library.names])


class Recovery:
    """A `protocol.Experiment` that discovers the equations of one system."""

    def __init__(self, name: str) -> None:
        kind = systems.SYSTEMS[name]
        self.kind = kind
        self.name = name
        self.__name__ = f"{type(self).__module__}:{name}"
        self.title = kind.title
        self.summary = kind.summary
        self.Config = config_of(kind)

    def data(self, config: discovery_base.DiscoveryConfig) -> xr.Dataset:
        """Simulated data: `truth` and `data` over (time, variable), and the true coefficients."""
        sampling = {"points": config.points, "step": config.step}
        return systems.simulate(
            system_of(self.kind, config), **sampling, noise=config.noise / PERCENT, seed=config.seed
        )

    def model(self, config: discovery_base.DiscoveryConfig, data: xr.Dataset) -> Model:
        """An untrained model of the noisy data."""
        return discovery_base.discovery_model(config, data, library_of(system_of(self.kind, config), config.degree))

    def report(self, model: Any, data: xr.Dataset) -> Report:
        """Discovered and true equations, coefficients with intervals, a simulation and diagnostics."""
        library = model.library
        rates = None if library.order == 1 else model.result().states[0][0, len(library.variables) :]
        trajectory = discovery_base.simulate_equations(library, model.coefficients(), data, rates)
        return discovery_report(model, data, trajectory, {"followed": metrics.horizon(trajectory, exponent=1.0)})


def discovery_report(model: Any, data: xr.Dataset, trajectory: xr.Dataset, scores: Mapping[str, float]) -> Report:
    """Report of a `DiscoveryModel` of a known system, with a simulated trajectory and its scores."""
    library, estimate, result = model.library, model.coefficients(), model.result()
    truth = true_coefficients(library, data)
    values = discovery_base.coefficient_dataset(library.names, library.variables, estimate, truth=truth, result=result)
    scores = metrics.coefficient_metrics(values) | {
        "relative_error": metrics.relative_error(values),
        **scores,
        "noise": float(np.sqrt(np.mean(result.noise**2))),
    }
    training = len(result.states[0])
    length = min(trajectory.sizes["time"], training)
    states = np.full(trajectory["truth"].shape, np.nan)
    states[:length] = result.states[0][:length, : len(library.variables)]
    attributes = {"units": data["truth"].attrs["units"], "long_name": "denoised states"}
    trajectory = trajectory.assign(denoised=(("time", "variable"), states, attributes))
    warnings = discovery_base.warnings(library, result, data.isel(time=slice(training)))
    shown = discovery_base.equations(library, estimate), discovery_base.equations(library, truth)
    final = diagnose(library, estimate, trajectory, result) if model.done else None
    return Report(*shown, values, trajectory, scores, warnings, diagnostics=final)


def _time_unit(kind: type[System]) -> str:
    return "time units" if kind.time_unit == "1" else kind.time_unit


def _with_default(info: Any, default: Any, **changes: str) -> Any:
    """Copy of a setting with another default, and optionally another unit."""
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
