"""The results of a model, as shown by page, command line and notebooks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import xarray as xr

from workbench._deprecated import warn
from workbench.diagnostics import Diagnostics
from workbench.experiments.equation import Equation

METRIC_LABELS = {
    "rmse": "RMSE of the coefficients",
    "precision": "precision of the terms",
    "recall": "recall of the terms",
    "max_error": "largest error of a coefficient",
    "horizon": "prediction horizon (Lyapunov times)",
    "clean_rmse": "RMSE of the curve",
    "noise_rms": "RMS of the noise",
    **{f"error_{K}": f"error with {K} derivatives" for K in (2, 3, 4, 5)},
    "noise": "estimated noise level",
    "mse_given": "MSE, first 10 points given",
    "mse_after": "MSE after these points",
    "mse_honest": "MSE, no points given",
    "mse_climatology": "MSE of climatology",
    "separation": "latitude bands identified",
    "chance": "chance level",
    "coverage": "coverage of the 95 % band",
    **{f"skill_{lead}": f"skill {lead} steps ahead" for lead in (1, 3, 4, 6, 12, 13, 24, 26, 36, 52, 104, 156)},
    "modes": "Fourier modes used",
    **{f"nmse_{n}": f"NMSE over {n} frames" for n in (20, 40, 100)},
    **{f"published_nmse_{n}": f"NMSE over {n} frames, as published" for n in (20, 40, 100)},
    **{f"persistence_{n}": f"NMSE of persistence, {n} frames" for n in (20, 40, 100)},
    "degree": "polynomial degree",
    "noise_share": "noise level / standard deviation of the variable",
    "left_over": "residual / noise",
    "relative_error": "largest relative error of a coefficient",
    "followed": "prediction horizon of the simulation",
    **{
        f"{name}_{share}": f"{statistic} relative error of {name}"
        for name in ("r", "K")
        for share, statistic in (("median", "median"), ("95", "95th percentile of the"))
    },
    **{f"rolled_{n}": f"error after {n} orbit{'s' * (n > 1)} / distance" for n in (1, 5, 10)},
}
"""Label by the name of a metric."""


@dataclass(frozen=True)
class Report:
    """Results of a model at its present step. All parts are optional; a view shows those that are given.

    coefficients: Dataset over (candidate, variable) with `estimate` and, where known, `truth`, `lower` and `upper` (the
        95 % interval), `inclusion` (the probability that the term is in the equation) and `unit` (of the coefficient).
    trajectory: Dataset over (time, variable) with `truth` (without noise), `data` (the training data) and `estimate`
        (simulation of the discovered equations from the first state; NaN after divergence) and, where known, `denoised`
        (the estimated states), `lower` and `upper` (the 95 % interval of a forecast).
    metrics: name -> value, e.g. "rmse", "precision", "recall", "horizon".
    warnings: reasons not to trust the result, one sentence each.
    globe: Dataset over (lat, lon): one variable per quantity, with `units` and `long_name`, and the mask `ocean`.
    skill: Dataset with `skill` over (lead, forecast): 1 - squared error / that of climatology; `model` comes first.
    diagnostics: of the final discovered equations: Pareto front, residuals, horizon, Lyapunov exponent.
    parameters: Dataset over (parameter, curve) with `estimate` and `truth`, for fits of many curves.
    image: Dataset over (time, x), periodic in x, with any of `truth`, `data` and `estimate`.
    profile: Dataset over (frame) of forecast errors by name, against the lead time.
    maps: Dataset over (frame, x, ...) of internal quantities of the model, shown as images.
    """

    equations: tuple[Equation, ...] = ()
    true_equations: tuple[Equation, ...] = ()
    coefficients: xr.Dataset | None = None
    trajectory: xr.Dataset | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    globe: xr.Dataset | None = None
    skill: xr.Dataset | None = None
    diagnostics: Diagnostics | None = None
    parameters: xr.Dataset | None = None
    image: xr.Dataset | None = None
    profile: xr.Dataset | None = None
    maps: xr.Dataset | None = None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Deprecated name of `warnings`."""
        warn("Report.doubts", "Report.warnings")
        return self.warnings

    @property
    def judgement(self) -> Diagnostics | None:
        """Deprecated name of `diagnostics`."""
        warn("Report.judgement", "Report.diagnostics")
        return self.diagnostics
