"""Calls of `workbench.solver.solve` for models, on the device that the backend requires."""

from dataclasses import replace

import torch
from torch import Tensor

from workbench.solver import LinearODE, Weights, available, solve


def solve_states(problem: LinearODE, backend: str, method: str, *, check: bool = True) -> Tensor:
    """The solution u (B, T, D, K) of `solve`, on the device of the problem.

    With backend "cuda", a problem on the CPU is copied to the GPU and its solution back, differentiably. Raises
    ValueError with the reason if the backend is unavailable, and the errors of `solve`.
    """
    if backend != "cuda" or problem.device.type != "cpu":
        return solve(problem, backend=backend, method=method, check=check).u
    reason = available("cuda")["cuda"]
    if reason:
        raise ValueError(f"backend: 'cuda' is unavailable: {reason}")
    return solve(to_device(problem, "cuda"), backend=backend, method=method, check=check).u.to(problem.device)


def to_device(problem: LinearODE, device: str | torch.device) -> LinearODE:
    """The problem on another device; differentiable."""
    weights = (problem.weights.equation, problem.weights.initial, problem.weights.taylor)
    return replace(
        problem,
        **{name: getattr(problem, name).to(device) for name in ("coefficients", "forcing", "initial", "steps")},
        weights=Weights(*(x.to(device) if isinstance(x, Tensor) else x for x in weights)),
    )
