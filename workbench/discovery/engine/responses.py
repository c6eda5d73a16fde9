"""Integration of many right-hand sides of u' = f, and smoothing, by the solver."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.discovery.solving import solve_states
from workbench.solver import LinearODE, Weights


@dataclass(frozen=True, eq=False)
class Integrator:
    """Integrates u' = f on a grid of step size `step` with K = `derivatives`, by `backend` and `method`.

    step: one number, or a tensor (..., T - 1 or 1). All f share the left-hand side and one factorisation.
    """

    step: float | Tensor
    derivatives: int
    backend: str = "auto"
    method: str = "qr"

    def __call__(self, forcing: Tensor, initial: Tensor) -> Tensor:
        """Solutions u (..., T) for f (..., T) and u(0) (...); differentiable, and linear in both.

        A non-finite value gives NaN in its system only; nothing here synchronises with the device.
        """
        problem = LinearODE(
            self._derivative(1, forcing),
            forcing[..., None],
            initial[..., None, None, None],
            self.steps(forcing),
            n_steps=forcing.shape[-1],
        )
        return solve_states(problem, self.backend, self.method, check=False)[..., 0, 0]

    def smooth(self, data: Tensor, stiffness: Tensor, present: Tensor | None = None) -> Tensor:
        """Smoothed data (..., T) and their derivative, as (..., T, 2).

        Data rows have weight 1, or 0 where not `present` (..., T); Taylor rows have weight `stiffness` (...) and
        penalise changes of the highest derivative. There are no equation rows. `stiffness` is dimensionless, as all
        rows have the unit of the data.
        """
        weight = 1.0 if present is None else present.to(data.dtype)[..., None, None]
        problem = LinearODE(
            self._derivative(1, data),
            data.new_zeros(1, 1),
            data[..., None, None],
            self.steps(data),
            weights=Weights(equation=0.0, initial=weight, taylor=stiffness[..., None, None]),
            n_steps=data.shape[-1],
        )
        return solve_states(problem, self.backend, self.method, check=False)[..., 0, :2]

    def steps(self, like: Tensor) -> Tensor:
        """Steps in the shape that the solver expects."""
        return torch.as_tensor(self.step, dtype=like.dtype, device=like.device).reshape(
            (1,) if isinstance(self.step, float) else self.step.shape
        )

    def _derivative(self, order: int, like: Tensor) -> Tensor:
        """Coefficients (1, 1, 1, K) that select one derivative."""
        coefficients = like.new_zeros(1, 1, 1, self.derivatives)
        coefficients[..., order] = 1.0
        return coefficients
