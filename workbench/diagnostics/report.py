"""All that is said of one discovered model, as a page or a command line shows it."""

from dataclasses import dataclass

import numpy as np

from workbench.diagnostics.errors import Horizon, Residuals
from workbench.diagnostics.lyapunov import Lyapunov
from workbench.diagnostics.pareto import Front


@dataclass(frozen=True)
class Diagnostics:
    """front: errors, in standard deviations of the variables, against numbers of terms; `chosen`: the place of the
    discovered model in it. residuals: what the equations leave over from one grid point to the next, of `inputs` in
    `units`. horizon: how far the simulation stays with the record. lyapunov: of the discovered equations. None: not
    known, or the model is not finished.
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
        """What was found, in words."""
        said = []
        if self.front is not None and self.chosen is not None:
            terms, error = self.front.terms[self.chosen], self.front.errors[self.chosen]
            said.append(f"{terms} terms leave an error of {error:.2g} standard deviations")
        if self.residuals is not None:
            shares = zip(self.inputs, self.residuals.share, strict=True)
            listed = ", ".join(f"{name} {share:.2g}" for name, share in shares)
            said.append(f"left over from one grid point to the next, as a share of the change: {listed}")
        if self.horizon is not None:
            said.append(_reach(self.horizon))
        if self.lyapunov is not None:
            value = "" if np.isnan(self.lyapunov.exponent) else f"{self.lyapunov.exponent:.3g}, "
            said.append(f"largest Lyapunov exponent: {value}{self.lyapunov.message}")
        return tuple(said)


def _reach(horizon: Horizon) -> str:
    times = "" if horizon.lyapunov_times is None else f", {horizon.lyapunov_times:.3g} Lyapunov times"
    if horizon.whole:
        return f"the simulation stays with the record to its end, for {horizon.time:.4g}{times}"
    return f"the simulation stays with the record for {horizon.time:.4g}{times}"
