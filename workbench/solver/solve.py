"""The entry point `solve`.

It computes u = argmin 1/2 |A u - b|^2, with A and b the rows of `workbench.solver.rows`. The derivative is independent
of algorithm and backend: with upstream gradient g and lam = (A^T A)^-1 g, the vector-Jacobian product for every input
is the gradient of phi = -<A lam, A u - b> with u and lam held constant (derived in `workbench.solver.autograd`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.solver import autograd, checks
from workbench.solver.backends import load, select
from workbench.solver.problem import LinearODE
from workbench.solver.solution import Solution


def solve(
    problem: LinearODE, *, backend: str = "auto", method: str = "qr", check: bool = True, checkpoint: bool = False
) -> Solution:
    """Minimise the sum of squares of the rows of `problem` over u (B, T, D, K); differentiable in all of its tensors.

    backend: "auto" (the fastest available one) or a name of `workbench.solver.available()`. "mnn" solves a different
    problem, the original one with a slack, and is never selected automatically.
    method: "qr" (orthogonal, accurate) or "cholesky" (normal equations, as published: less work, squared condition
    number). "qr32" (`cuda` only) is `qr` in float32 arithmetic and suits large steps only: for a system with time scale
    1, u is accurate to 1e-5 at h = 0.1 and gradients to 1e-4 at h = 0.3, and both degrade as h^-4 (table: `METHODS` of
    backends/cuda).
    check: raise for invalid values and rank deficiency. If False, the call does not synchronise with the device, and
    `Solution.status` holds the outcome per system.
    checkpoint: trade time for memory: keep as little of the factor as the backend can between forward and backward
    pass, and recompute the rest.
    float32 problems are solved in float64 (except by "qr32") and returned in float32. Without gradients no factor is
    kept.

    Supports derivatives of any order, and `torch.func.grad`, `jacrev` and `vmap` in any order; a mapped dimension
    becomes a batch dimension. `torch.compile` has no graph break if check=False. check=True reads values, which breaks
    the graph and is not supported under `vmap`.

    Raises ValueError, with the reason, for a backend or method that is unknown, unavailable or unable to solve the
    problem. With `check`, raises ValueError for non-finite values, steps <= 0 and weights < 0, naming argument, batch
    index and grid point, and RankDeficient if the rows do not determine every unknown.
    Source: "Scalable Mechanistic Neural Networks", ICLR 2025; the sweep in the innovation is original to this project.
    """
    name = select(problem, backend, method)
    return run(problem, name, method, check=check, checkpoint=checkpoint)


def run(
    problem: LinearODE,
    backend: str,
    method: str,
    *,
    check: bool,
    checkpoint: bool = False,
    factor: Sequence[Tensor] = (),
) -> Solution:
    """`solve` with a selected backend and, optionally, the factor of this left-hand side."""
    module = load(backend)
    if check and not module.CHECKS_INPUTS:
        checks.require_good_values(problem)
    tensors = list(problem.to(torch.float64).tensors.values())
    options = (problem.T, problem.T0, problem.central, backend, method)
    u, deficient, _ = autograd.solve(autograd.keep_mode(tensors, checkpoint), tensors, options, factor)
    if check:
        if not module.CHECKS_INPUTS or bool(deficient.any()):
            checks.require_solved(problem, deficient, method, module.METHODS)
        status = torch.zeros(problem.batch, dtype=torch.int8, device=problem.device)
    else:
        status = checks.status(problem, deficient).expand(problem.batch)
        u = torch.where((status == 0)[..., None, None, None], u, torch.nan)
    return Solution(u.to(problem.dtype), status, backend, method)
