"""Discovery of partial differential equations from fields: Korteweg-de Vries, Kuramoto-Sivashinsky and Burgers.

Sources: the KdV example of "Scalable Mechanistic Neural Networks", ICLR 2025; the parameters of Brandstetter, Welling,
Worrall, "Lie Point Symmetry Data Augmentation for Neural PDE Solvers", ICML 2022.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench.datasets import schema
from workbench.datasets.pde import equations, hdf5
from workbench.datasets.pde.rollout import rollout
from workbench.diagnostics import metrics
from workbench.discovery.pde.terms import Field, Term, library
from workbench.discovery.pde.weak_form import FieldProjection, FieldSettings
from workbench.experiments import protocol
from workbench.experiments.discovery_base import coefficient_dataset
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, DERIVATIVES, METHOD, Backend, Model, setting
from workbench.experiments.report import Report

name = "pde"
title = "Waves: discovery"
summary = "The partial differential equation of a field u(x, t) on a periodic interval."


class PDEConfig(protocol.Config):
    """Settings of one discovery from fields. All quantities are dimensionless."""

    system: Literal["kdv-easy", "kdv", "ks", "burgers"] = setting(
        "kdv-easy",
        "True equation: Korteweg-de Vries (easy or default initial values), Kuramoto-Sivashinsky or Burgers.",
    )
    noise: float = setting(0.0, "Standard deviation of the noise, relative to that of the field.", ge=0, le=1)
    trajectories: int = setting(1, "Number of fields.", ge=1, le=64)
    modes: int = setting(
        0,
        "Fourier modes used as test functions; 0: those well above the noise level estimated from the spectrum.",
        group="training",
        ge=0,
        le=126,
    )
    window: int = setting(
        35, "Sequence length: frames solved as one system.", unit="frames", group="training", ge=10, le=140
    )
    orders: int = setting(4, "Highest order of the derivatives in x in the library.", group="training", ge=1, le=5)
    min_contribution: float = setting(
        0.01,
        "Drop terms that explain less than this share of the change of u within a window, even if significant.",
        group="training",
        ge=0,
        lt=1,
    )
    n_bootstrap: int = setting(
        200,
        "Bootstrap resamples of windows and modes for intervals and inclusion probabilities.",
        group="training",
        ge=20,
        le=10_000,
    )
    backend: Backend = setting("auto", BACKEND)
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    derivatives: int = setting(6, DERIVATIVES, group="solver", ge=2, le=8)

    @model_validator(mode="after")
    def _check_window(self) -> "PDEConfig":
        least = (len(library(self.orders)) + 1) // 2 + 2
        if self.window < least:
            raise ValueError(
                f"the window ({self.window} frames) is too short for the number of terms: expected at least {least}"
            )
        return self


Config = PDEConfig


def data(config: PDEConfig) -> xr.Dataset:
    """Simulated fields: `truth` and `data` over (trajectory, frame, point)."""
    setup = equations.SETUPS[config.system]
    fields = equations.simulate(setup, range(config.trajectories), seed=config.seed)
    if fields.failed:
        raise ArithmeticError(f"trajectory {min(fields.failed)} failed: {fields.failed[min(fields.failed)]}")
    title = equations.EQUATIONS[setup.equation].title
    record = hdf5.as_dataset(fields.u, fields.t, fields.lengths, title=title, equation=setup.equation)
    generator = np.random.default_rng([config.seed, 1])
    scale = config.noise * fields.u.std(axis=(1, 2), keepdims=True)
    noisy = fields.u + scale * generator.standard_normal(fields.u.shape) if config.noise else fields.u
    attributes = {"units": "1", "long_name": f"u with noise, {config.noise:g} of its standard deviation"}
    return record.rename(data="truth").assign(data=(record.data.dims, noisy.copy(), attributes))


def model(config: PDEConfig, data: xr.Dataset) -> Model:
    """An untrained model of the noisy fields."""
    fields = [
        Field(field.data.values, float(field.t[1] - field.t[0]), float(field.length))
        for field in (data.isel(trajectory=index) for index in range(data.sizes["trajectory"]))
    ]
    shared = ("window", "modes", "min_contribution", "n_bootstrap", "derivatives", "backend", "method", "seed")
    settings = FieldSettings(**{field: getattr(config, field) for field in shared})
    return FieldProjection(fields, library(config.orders), settings)


def report(model: FieldProjection, data: xr.Dataset) -> Report:
    """Discovered and true equation, coefficients with intervals, and a simulation of the first field."""
    result, terms = model.result(), model.terms
    truth = np.array([equations.EQUATIONS[data.attrs["equation"]].terms.get(term.name, 0.0) for term in terms])
    names = [term.name for term in terms]
    coefficients = coefficient_dataset(names, ("u",), result.coefficients, truth=truth, result=result)
    scores = metrics.coefficient_metrics(coefficients) | {"noise": result.noise, "modes": float(result.modes)}
    return Report(
        (equation(terms, result.coefficients),),
        (equation(terms, truth),),
        coefficients,
        image=simulate_equation(terms, result.coefficients, data),
        metrics=scores,
    )


def equation(terms: Sequence[Term], coefficients: np.ndarray) -> Equation:
    """u_t = sum of coefficient * term, with the nonzero terms."""
    named = zip(coefficients.tolist(), terms, strict=True)
    return Equation("u_t", "u_t", tuple((value, term.latex, term.name) for value, term in named if value != 0))


def simulate_equation(terms: Sequence[Term], coefficients: np.ndarray, data: xr.Dataset) -> xr.Dataset:
    """The first field over (time, x) with `estimate`, simulated from the first true frame."""
    first = schema.one(data, 0)
    if not coefficients.any():
        return first
    products = [
        (float(value) * term.scale, term.outer, term.inner)
        for value, term in zip(coefficients, terms, strict=True)
        if value
    ]
    step = float(first.time[1] - first.time[0])
    u = rollout(first.truth.values[0], products, float(first.attrs["length"]), step, frames=first.sizes["time"])
    return first.assign(
        estimate=(("time", "x"), u, {"units": "1", "long_name": "simulation of the discovered equation"})
    )
