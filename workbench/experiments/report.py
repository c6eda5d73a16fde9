"""What a model has learned, in the parts that pages, command line and notebooks show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import xarray as xr

from workbench.diagnostics import Diagnostics
from workbench.experiments.equation import Equation


@dataclass(frozen=True)
class Report:
    """What a model has learned so far, ready to be shown; a view shows whatever part is there.

    coefficients: Dataset over (candidate, variable) with `estimate` and, where known, `truth`, `lower` and `upper` (the
        95 % interval), `inclusion` (the probability that the term is in the equation) and `unit` (of the coefficient).
    trajectory: Dataset over (time, variable) with `truth` (the clean record), `data` (what the model saw) and
        `estimate` (the discovered equations simulated from the first state; NaN after a blow-up) and, where known,
        `denoised` (the data without their noise).
    image: Dataset over (time, x) with `truth`, `data` and `estimate`, as far as they are there, on a periodic interval.
    profile: Dataset over (frame) of errors by name, against how far ahead a forecast looks.
    maps: Dataset over (frame, x, ...) of what the model is made of inside, to be shown as images.
    metrics: name -> value, e.g. "rmse", "precision", "recall", "horizon".
    doubts: why the result may not be trusted, one sentence each.
    globe: Dataset over (lat, lon): a quantity per variable, with `units` and `long_name`, and `ocean`, where there is
        sea.
    skill: Dataset with `skill` over (lead, forecast): 1 - squared error / that of climatology; `model` comes first.
    judgement: of discovered equations, once they are final: Pareto front, residuals, horizon, Lyapunov exponent.
    parameters: of many curves, Dataset over (parameter, curve) with `estimate` and `truth`.
    """

    equations: tuple[Equation, ...] = ()
    true_equations: tuple[Equation, ...] = ()
    coefficients: xr.Dataset | None = None
    trajectory: xr.Dataset | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    globe: xr.Dataset | None = None
    skill: xr.Dataset | None = None
    judgement: Diagnostics | None = None
    parameters: xr.Dataset | None = None
    image: xr.Dataset | None = None
    profile: xr.Dataset | None = None
    maps: xr.Dataset | None = None
