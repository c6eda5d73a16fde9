"""Problems of all shapes for the tests of the compiled kernels, and comparisons of their results."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tests.solver.cases import randn
from workbench.solver import LinearODE, Weights, solve

NAN = float("nan")
COMPILED = [(1, 1, 2), (1, 1, 3), (1, 1, 4), (1, 1, 5), (1, 1, 6), (2, 2, 2), (2, 2, 3), (3, 3, 3)]  # D, E, K
GENERAL = [(1, 1, 1), (1, 2, 3), (2, 1, 3), (2, 3, 2), (3, 2, 2), (3, 3, 5)]
CENTRAL = [(1, 1, 2), (1, 1, 3), (1, 1, 4), (1, 2, 3), (2, 1, 3), (2, 3, 2), (3, 3, 3)]
sizes_and_rows = pytest.mark.parametrize(
    "D, E, K, central", [(*size, False) for size in COMPILED + GENERAL] + [(*size, True) for size in CENTRAL]
)


def arguments(
    batch: tuple[int, ...], D: int, E: int, K: int, T: int, left: tuple[int, ...] | None = None
) -> dict[str, torch.Tensor]:
    """The arguments of a problem in which the variables themselves dominate; `left`: batch of the left-hand side."""
    left = batch if left is None else left
    T0 = 2

    def positive(seed: int, *shape: int) -> torch.Tensor:
        return 1 + 0.4 * randn(*left, *shape, seed=seed).sin()

    coefficients = randn(*left, T, E, D, K, seed=1)
    coefficients[..., 0] += 3 * torch.eye(max(D, E), dtype=torch.float64)[:E, :D]
    return {
        "coefficients": coefficients,
        "forcing": randn(*batch, T, E, seed=2),
        "initial": randn(*batch, T0, D, K, seed=3),
        "steps": 0.5 * positive(4, T - 1),
        "equation": positive(5, T, E),
        "start": positive(6, T0, D, K),
        "taylor": positive(7, T - 1, D),
    }


def ode(x: dict[str, torch.Tensor], central: bool = False) -> LinearODE:
    weights = Weights(x["equation"], x["start"], x["taylor"])
    return LinearODE(x["coefficients"], x["forcing"], x["initial"], x["steps"], weights=weights, central=central)


def solution_and_gradients(
    x: dict[str, torch.Tensor], method: str, backend: str = "native", central: bool = False, **options: Any
) -> list[torch.Tensor]:
    """u, and the gradient of the sum of sin u to coefficients, forcing, initial values and steps."""
    leaves = {name: value.detach().requires_grad_(i < 4) for i, (name, value) in enumerate(x.items())}
    u = solve(ode(leaves, central), backend=backend, method=method, check=False, **options).u
    return [u.detach(), *torch.autograd.grad(u.sin().sum(), list(leaves.values())[:4])]


def part(x: dict[str, torch.Tensor], which: Any) -> dict[str, torch.Tensor]:
    return {name: value[which] for name, value in x.items()}


def assert_equal(ours: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
    assert all(torch.equal(one, other) for one, other in zip(ours, expected, strict=True))


def assert_near(ours: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], tolerance: float) -> None:
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * float(other.abs().max()))


def rounding(K: int) -> float:
    """The relative difference between two computations of these problems; condition numbers grow with powers of h."""
    return 1e-12 if K < 5 else 1e-10
