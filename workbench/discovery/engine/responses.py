"""The solver as discovery uses it: its answers to many right-hand sides of u' = f at once, and as a smoother."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.discovery.solving import solved
from workbench.solver import LinearODE, Weights


@dataclass(frozen=True, eq=False)
class Integrator:
    """u' = f on a grid of `step`, K = `derivatives` kept, solved by `backend` with `method`.

    step: one for all, or a tensor (..., T - 1 or 1). The left-hand side is the same for every f, so that the solver
    factors once and treats all f as right-hand sides.
    """

    step: float | Tensor
    derivatives: int
    backend: str = "auto"
    method: str = "qr"

    def __call__(self, forcing: Tensor, initial: Tensor) -> Tensor:
        """u (..., T) for f (..., T) and u(0) (...); differentiable, and linear in both.

        A value that is not finite gives NaN in its own system: nothing here waits for the device.
        """
        problem = LinearODE(
            self._derivative(1, forcing),
            forcing[..., None],
            initial[..., None, None, None],
            self.steps(forcing),
            n_steps=forcing.shape[-1],
        )
        return solved(problem, self.backend, self.method, check=False)[..., 0, 0]

    def smooth(self, data: Tensor, stiffness: Tensor, present: Tensor | None = None) -> Tensor:
        """The smooth curve near data (..., T) and its derivative, (..., T, 2).

        Data rows of weight 1, 0 where not `present` (..., T), Taylor rows of weight `stiffness` (...). There is no
        equation; the Taylor rows alone ask that the top derivative changes little. `stiffness` is a pure number: all
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
        return solved(problem, self.backend, self.method, check=False)[..., 0, :2]

    def steps(self, like: Tensor) -> Tensor:
        """The steps as the solver takes them."""
        return torch.as_tensor(self.step, dtype=like.dtype, device=like.device).reshape(
            (1,) if isinstance(self.step, float) else self.step.shape
        )

    def _derivative(self, order: int, like: Tensor) -> Tensor:
        """Coefficients (1, 1, 1, K) that pick one derivative."""
        coefficients = like.new_zeros(1, 1, 1, self.derivatives)
        coefficients[..., order] = 1.0
        return coefficients
