"""Diagnostics of one discovered model."""

from dataclasses import dataclass

import numpy as np

from workbench.diagnostics.errors import Horizon, Residuals
from workbench.diagnostics.lyapunov import Lyapunov
from workbench.diagnostics.pareto import Front


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of a discovered model; None: unknown, or the model is not finished.

    front: errors, in standard deviations of the variables, against numbers of terms; `chosen` is the index of the
    discovered model in it. residuals: one-step residuals of `inputs` in `units`. horizon: prediction horizon of the
    simulation. lyapunov: largest Lyapunov exponent of the discovered equations.
    """

    inputs: tuple[str, ...]
    units: tuple[str, ...]
    front: Front | None = None
    chosen: int | None = None
    residuals: Residuals | None = None
    horizon: Horizon | None = None
    lyapunov: Lyapunov | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Text summary, one sentence per diagnostic."""
        sentences = []
        if self.front is not None and self.chosen is not None:
            terms, error = self.front.terms[self.chosen], self.front.errors[self.chosen]
            sentences.append(f"{terms} terms give an error of {error:.2g} standard deviations")
        if self.residuals is not None:
            shares = zip(self.inputs, self.residuals.share, strict=True)
            listed = ", ".join(f"{name} {share:.2g}" for name, share in shares)
            sentences.append(f"one-step residuals over the change per step: {listed}")
        if self.horizon is not None:
            sentences.append(_horizon_text(self.horizon))
        if self.lyapunov is not None:
            value = "" if np.isnan(self.lyapunov.exponent) else f"{self.lyapunov.exponent:.3g}, "
            sentences.append(f"largest Lyapunov exponent: {value}{self.lyapunov.message}")
        return tuple(sentences)


def _horizon_text(horizon: Horizon) -> str:
    times = "" if horizon.lyapunov_times is None else f", {horizon.lyapunov_times:.3g} Lyapunov times"
    bound = "at least " if horizon.whole else ""
    return f"prediction horizon: {bound}{horizon.time:.4g}{times}"
