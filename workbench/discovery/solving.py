"""`workbench.solver.solve` as models call it: on the GPU where its backend is, whatever device a model lives on."""

from dataclasses import replace

import torch
from torch import Tensor

from workbench.solver import LinearODE, Weights, available, solve


def solved(problem: LinearODE, backend: str, method: str, *, check: bool = True) -> Tensor:
    """u (B, T, D, K) of `solve`, on the device of the problem.

    backend "cuda": a problem on the CPU goes to the GPU and its solution comes back; differentiable all the way.
    Raises ValueError, with the backend's own reason, where it cannot serve; and what `solve` raises.
    """
    if backend != "cuda" or problem.device.type != "cpu":
        return solve(problem, backend=backend, method=method, check=check).u
    reason = available("cuda")["cuda"]
    if reason:
        raise ValueError(f"backend: 'cuda' cannot serve: {reason}")
    return solve(moved(problem, "cuda"), backend=backend, method=method, check=check).u.to(problem.device)


def moved(problem: LinearODE, device: str | torch.device) -> LinearODE:
    """The same problem on another device; differentiable."""
    weights = (problem.weights.equation, problem.weights.initial, problem.weights.taylor)
    return replace(
        problem,
        **{name: getattr(problem, name).to(device) for name in ("coefficients", "forcing", "initial", "steps")},
        weights=Weights(*(x.to(device) if isinstance(x, Tensor) else x for x in weights)),
    )
