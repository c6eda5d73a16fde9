"""Partial differential equations from a field: Korteweg-de Vries, Kuramoto-Sivashinsky and Burgers.

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
from workbench.datasets.pde.rollout import follow
from workbench.diagnostics import metrics
from workbench.discovery.pde.terms import Field, Term, library
from workbench.discovery.pde.weak_form import FieldProjection, FieldSettings
from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, Backend, Model, setting
from workbench.experiments.report import Report

name = "pde"
title = "Waves: discovery"
summary = "A field u(x, t) on a periodic interval: the partial differential equation that it obeys."


class PDEConfig(protocol.Config):
    """The settings of one discovery from a field. Everything is dimensionless."""

    system: Literal["kdv-easy", "kdv", "ks", "burgers"] = setting(
        "kdv-easy",
        "Which equation made the field: Korteweg-de Vries (gentle or default waves), Kuramoto-Sivashinsky or Burgers.",
    )
    noise: float = setting(
        0.0, "Standard deviation of the noise on every point, over that of the field itself.", ge=0, le=1
    )
    trajectories: int = setting(1, "How many fields the equation is told from.", ge=1, le=64)
    modes: int = setting(
        0,
        "How many Fourier modes are used as test functions; 0: those that stand well above the noise, told from the "
        "spectrum.",
        group="training",
        ge=0,
        le=126,
    )
    window: int = setting(
        35, "Sequence length: how many frames are solved as one system.", unit="frames", group="training", ge=10, le=140
    )
    orders: int = setting(4, "Highest derivative in x among the candidates.", group="training", ge=1, le=5)
    min_contribution: float = setting(
        0.01,
        "Terms that alone explain less than this share of how u changes within a window fall away.",
        group="training",
        ge=0,
        lt=1,
    )
    n_bootstrap: int = setting(
        200,
        "How many times windows and waves are drawn anew to tell how sure each term is (bootstrap).",
        group="training",
        ge=20,
        le=10_000,
    )
    backend: Backend = setting("auto", BACKEND)
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    derivatives: int = setting(
        6,
        "How many derivatives the solver keeps at each frame, the state itself included; more are more accurate.",
        group="solver",
        ge=2,
        le=8,
    )

    @model_validator(mode="after")
    def _fits(self) -> "PDEConfig":
        least = (len(library(self.orders)) + 1) // 2 + 2
        if self.window < least:
            raise ValueError(f"the window ({self.window} frames) is too short for so many terms: at least {least}")
        return self


Config = PDEConfig


def data(config: PDEConfig) -> xr.Dataset:
    """The fields: `truth` and `data` over (trajectory, frame, point)."""
    setup = equations.SETUPS[config.system]
    made = equations.simulate(setup, range(config.trajectories), seed=config.seed)
    if made.failed:
        raise ArithmeticError(f"trajectory {min(made.failed)} has failed: {made.failed[min(made.failed)]}")
    title = equations.EQUATIONS[setup.equation].title
    record = hdf5.as_dataset(made.u, made.t, made.lengths, title=title, equation=setup.equation)
    generator = np.random.default_rng([config.seed, 1])
    size = config.noise * made.u.std(axis=(1, 2), keepdims=True)
    noisy = made.u + size * generator.standard_normal(made.u.shape) if config.noise else made.u
    return record.rename(data="truth").assign(
        data=(
            record.data.dims,
            noisy.copy(),
            {"units": "1", "long_name": f"u with noise, {config.noise:g} of its size"},
        )
    )


def model(config: PDEConfig, data: xr.Dataset) -> Model:
    """A fresh model, which has seen the noisy fields only."""
    fields = [
        Field(own.data.values, float(own.t[1] - own.t[0]), float(own.length))
        for own in (data.isel(trajectory=index) for index in range(data.sizes["trajectory"]))
    ]
    shared = ("window", "modes", "min_contribution", "n_bootstrap", "derivatives", "backend", "method", "seed")
    settings = FieldSettings(**{field: getattr(config, field) for field in shared})
    return FieldProjection(fields, library(config.orders), settings)


def report(model: FieldProjection, data: xr.Dataset) -> Report:
    """The equation beside the true one, how sure it is, and a simulation of it beside the first field."""
    found, terms = model.result(), model.terms
    truth = np.array([equations.EQUATIONS[data.attrs["equation"]].terms.get(term.name, 0.0) for term in terms])
    words = {
        "estimate": (found.coefficients, "discovered coefficient"),
        "truth": (truth, "true coefficient"),
        "lower": (found.lower, "lower end of the 95 % interval"),
        "upper": (found.upper, "upper end of the 95 % interval"),
        "inclusion": (found.inclusion, "inclusion probability"),
    }
    coefficients = xr.Dataset(
        {key: (("candidate", "variable"), value[:, None], {"long_name": text}) for key, (value, text) in words.items()},
        coords={"candidate": [term.name for term in terms], "variable": ["u"]},
    )
    figures = metrics.coefficient_metrics(coefficients) | {"noise": found.noise, "modes": float(found.modes)}
    return Report(
        (equation(terms, found.coefficients),),
        (equation(terms, truth),),
        coefficients,
        image=simulated(terms, found.coefficients, data),
        metrics=figures,
    )


def equation(terms: Sequence[Term], coefficients: np.ndarray) -> Equation:
    """u_t = sum of coefficient * term, zeros left out."""
    named = zip(coefficients.tolist(), terms, strict=True)
    return Equation("u_t", "u_t", tuple((value, term.latex, term.name) for value, term in named if value != 0))


def simulated(terms: Sequence[Term], coefficients: np.ndarray, data: xr.Dataset) -> xr.Dataset:
    """The first field over (time, x) with `estimate`: the discovered equation from the first true frame."""
    first = schema.one(data, 0)
    if not coefficients.any():
        return first
    products = [
        (float(value) * term.scale, term.outer, term.inner)
        for value, term in zip(coefficients, terms, strict=True)
        if value
    ]
    step = float(first.time[1] - first.time[0])
    u = follow(first.truth.values[0], products, float(first.attrs["length"]), step, frames=first.sizes["time"])
    return first.assign(
        estimate=(("time", "x"), u, {"units": "1", "long_name": "simulation of the discovered equation"})
    )
