"""A valid problem and ways to invalidate it."""

from typing import Any

import torch

from workbench.solver import LinearODE, Weights

B, T, E, D, K, T0, K0 = 3, 5, 2, 2, 3, 1, 2


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def arguments(**changes: Any) -> dict[str, Any]:
    """The arguments of a valid problem, with `changes`; names `weight_...` are weights."""
    return {
        "coefficients": randn(B, T, E, D, K),
        "forcing": randn(B, T, E),
        "initial": randn(B, T0, D, K0),
        "steps": torch.full((B, T - 1), 0.1, dtype=torch.float64),
        **changes,
    }


def ode(**changes: Any) -> LinearODE:
    values = arguments(**changes)
    weights = {name: values.pop(f"weight_{name}", 1.0) for name in ("equation", "initial", "taylor")}
    return LinearODE(**values, weights=Weights(**weights))


def changed(name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
    """One entry of one argument replaced."""
    full = {"weight_equation": (B, T, E), "weight_initial": (B, T0, D, K0), "weight_taylor": (B, T - 1, D)}
    tensor = arguments()[name] if name in arguments() else torch.ones(full[name], dtype=torch.float64)
    tensor[index] = value
    return {name: tensor}


def two_variables(n_rows_of_last: int, central: bool) -> LinearODE:
    """Three systems; in the second, variable 1 has no equation and initial rows for `n_rows_of_last` derivatives."""
    coefficients = torch.zeros(3, 1, 2, 2, 3, dtype=torch.float64)
    coefficients[:, 0, [0, 1], [0, 1], 0] = 1
    coefficients[:, 0, [0, 1], [0, 1], 2] = 1
    coefficients[1, :, 1] = 0
    weight = torch.ones(3, 1, 2, 2, dtype=torch.float64)
    weight[1, :, 1, n_rows_of_last:] = 0
    return LinearODE(
        coefficients,
        torch.ones(1, 2, dtype=torch.float64),
        torch.ones(1, 2, 2, dtype=torch.float64),
        torch.full((1,), 0.1, dtype=torch.float64),
        weights=Weights(initial=weight),
        central=central,
        n_steps=8,
        n_initial=1,
    )
