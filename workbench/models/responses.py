"""The solver as discovery uses it: its answers to many right-hand sides of u' = f at once, and as a smoother."""

from dataclasses import dataclass

from torch import Tensor

from workbench.solver import LinearODE, Weights, solve


@dataclass(frozen=True)
class Integrator:
    """u' = f on a grid of constant `step`, K = `derivatives` kept, solved by `backend` with `method`.

    The left-hand side is the same for every f, so that the solver factors once and treats all f as right-hand sides.
    """

    step: float
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
            self._steps(forcing),
            n_steps=forcing.shape[-1],
        )
        return solve(problem, backend=self.backend, method=self.method, check=False).u[..., 0, 0]

    def smooth(self, data: Tensor, stiffness: Tensor) -> Tensor:
        """The smooth curve (..., T) near data (..., T): data rows of weight 1, Taylor rows of weight `stiffness` (...).

        There is no equation; the Taylor rows alone ask that the top derivative changes little. `stiffness` is a pure
        number: all rows have the unit of the data.
        """
        problem = LinearODE(
            self._derivative(1, data),
            data.new_zeros(1, 1),
            data[..., None, None],
            self._steps(data),
            weights=Weights(equation=0.0, initial=1.0, taylor=stiffness[..., None, None]),
            n_steps=data.shape[-1],
        )
        return solve(problem, backend=self.backend, method=self.method, check=False).u[..., 0, 0]

    def _derivative(self, order: int, like: Tensor) -> Tensor:
        """Coefficients (1, 1, 1, K) that pick one derivative."""
        coefficients = like.new_zeros(1, 1, 1, self.derivatives)
        coefficients[..., order] = 1.0
        return coefficients

    def _steps(self, like: Tensor) -> Tensor:
        return like.new_full((1,), self.step)
