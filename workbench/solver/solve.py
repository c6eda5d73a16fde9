"""`solve`: one entry for every backend.

It finds u = argmin 1/2 |A u - b|^2, A and b the rows of `workbench.solver.rows`. The derivative needs neither the
algorithm nor the backend: with upstream gradient g and lam = (A^T A)^-1 g, the vector-Jacobian product for every input
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
    """u (B, T, D, K) minimising the sum of squares of the rows of `problem`, differentiable in every tensor of it.

    backend: "auto" (the fastest that can serve) or a name of `workbench.solver.available()`; "mnn" solves another
    problem, the original one with a slack, and has to be asked for.
    method: "qr" (orthogonal, accurate) or "cholesky" (normal equations, the published way: less work, squared
    conditioning). "qr32" (`cuda` only) is `qr` in float32 arithmetic, good for large steps alone: u to 1e-5 at h = 0.1
    of a system that changes in a time of 1, gradients to 1e-4 at h = 0.3, and worse by h^-4 (table: backends/cuda.py).
    check: look at the values and raise; with False nothing waits for the device and `Solution.status` tells per system.
    checkpoint: trade time for memory: hold as little as the backend can between forward and backward pass, and compute
    the rest of the factor again.
    float32 problems are solved in float64 (but by "qr32") and returned in float32. Without a gradient to come, no
    factor is kept.

    Derivatives of any order. `torch.func.grad`, `jacrev` and `vmap` in any order; a mapped dimension joins the batch.
    With check=False `torch.compile` finds no graph break; check=True looks at values: it breaks the graph, and `vmap`
    refuses it.

    Raises ValueError for a backend or method that is unknown or cannot serve, with its reason; with `check`,
    ValueError for non-finite values, steps <= 0 and weights < 0, naming argument, batch index and grid point, and
    RankDeficient where the rows do not determine every unknown.
    Source: "Scalable Mechanistic Neural Networks", ICLR 2025; the sweep in the innovation is this project's own.
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
    """`solve` by a backend already selected, and with `factor`, if given, which must be that of this left-hand side."""
    screens = getattr(load(backend), "SCREENS", False)
    if check and not screens:
        checks.require_good_values(problem)
    tensors = list(problem.to(torch.float64).tensors.values())
    options = (problem.T, problem.T0, problem.central, backend, method)
    u, deficient, _ = autograd.solve(autograd.keep(tensors, checkpoint), tensors, options, factor)
    if check:
        if not screens or bool(deficient.any()):
            checks.require_solved(problem, deficient, method, load(backend).METHODS)
        status = torch.zeros(problem.batch, dtype=torch.int8, device=problem.device)
    else:
        status = checks.status(problem, deficient).expand(problem.batch)
        u = torch.where((status == 0)[..., None, None, None], u, torch.nan)
    return Solution(u.to(problem.dtype), status, backend, method)
