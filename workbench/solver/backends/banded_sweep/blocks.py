"""Blocks of the rows at each grid point, and products with their transpose.

L is the number of left-hand sides and C the number of right-hand sides of each (`Columns`).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from workbench.solver.backends.columns import Columns
from workbench.solver.problem import LinearODE
from workbench.solver.rows import equation_constants, equation_matrix, initial_constants, powers, taylor_matrix


class Blocks(NamedTuple):
    """The rows at n grid points: `over` (n, L, rows, R) multiplies u_t, `constant` (n, L, rows, C) is the constant."""

    over: Tensor
    constant: Tensor

    def at(self, start: int, stop: int) -> "Blocks":
        return Blocks(self.over[start:stop], self.constant[start:stop])


def equation_blocks(problem: LinearODE, columns: Columns) -> Blocks:
    """Equation rows at every grid point: (T, L, E, R) and (T, L, E, C)."""
    c = equation_matrix(problem).flatten(-2)
    c = c.expand(*c.shape[:-3], problem.T, *c.shape[-2:])
    r = equation_constants(problem)
    r = r.expand(*r.shape[:-2], problem.T, problem.E)
    return Blocks(columns.pack_left(c, 3).movedim(1, 0), columns.pack(r, 2).movedim(1, 0))


def initial_blocks(problem: LinearODE, columns: Columns) -> Blocks:
    """Initial-value rows at grid points t < T0: (T0, L, D*K0, R) and (T0, L, D*K0, C)."""
    T0, D, K, K0 = problem.T0, problem.D, problem.K, problem.K0
    w = problem.tensors["weights.initial"]
    w = w.expand(*w.shape[:-3], T0, D, K0)
    selection = torch.eye(D * K, dtype=w.dtype, device=w.device).reshape(D, K, D * K)[:, :K0].reshape(D * K0, D * K)
    v = initial_constants(problem)
    v = v.expand(*v.shape[:-3], T0, D, K0)
    over = columns.pack_left(w.flatten(-2), 2)[..., None] * selection
    return Blocks(over.movedim(1, 0), columns.pack(v.flatten(-2), 2).movedim(1, 0))


def step_quantities(problem: LinearODE, columns: Columns) -> tuple[Tensor, Tensor]:
    """Steps h (T-1, L) and Taylor weights (T-1, L, D)."""
    h, w = problem.tensors["steps"], problem.tensors["weights.taylor"]
    n = problem.T - 1
    h = columns.pack_left(h.expand(*h.shape[:-1], n), 1)
    w = columns.pack_left(w.expand(*w.shape[:-2], n, problem.D), 2)
    return h.movedim(1, 0), w.movedim(1, 0)


def central_coefficients(h: Tensor, weight: Tensor, K: int) -> tuple[Tensor, Tensor]:
    """Coefficients (T-2, L, D) of the central row at t: of u[t,d,K-2] - u[t+2,d,K-2], and of u[t+1,d,K-1]."""
    span = (h[:-1] + h[1:])[..., None]
    return weight[:-1] * span ** (K - 3), weight[:-1] * span ** (K - 2)


def block_diagonal(x: Tensor) -> Tensor:
    """(..., D, m, n) -> (..., D*m, D*n) with the D blocks on the diagonal."""
    D, m, n = x.shape[-3:]
    full = x.new_zeros(*x.shape[:-3], D, m, D, n)
    for d in range(D):
        full[..., d, :, d, :] = x[..., d, :, :]
    return full.flatten(-4, -3).flatten(-2)


def smooth_product(problem: LinearODE, columns: Columns, u: Tensor) -> Tensor:
    """S^T (S u) (T, L, R, C) for the Taylor and central rows S and u (T, L, R, C), by way of the innovation."""
    K, D = problem.K, problem.D
    h, weight = step_quantities(problem, columns)
    scale, phi = powers(h, K)[:, :, None, :, None], taylor_matrix(K, h, -1)
    x = u.unflatten(2, (D, K))
    product = torch.zeros_like(x)
    w = scale * x[:-1] - phi @ (scale * x[1:])
    weighted = weight[..., None, None] ** 2 * (innovation_gram(problem, h) @ w)
    product[:-1] += scale * weighted
    product[1:] -= scale * (phi.mT @ weighted)
    if problem.central:
        outer, middle = (x[..., None] for x in central_coefficients(h, weight, K))
        row = outer * (x[:-2, ..., K - 2, :] - x[2:, ..., K - 2, :]) + middle * x[1:-1, ..., K - 1, :]
        product[:-2, ..., K - 2, :] += outer * row
        product[2:, ..., K - 2, :] -= outer * row
        product[1:-1, ..., K - 1, :] += middle * row
    return product.flatten(2, 3)


def innovation_gram(problem: LinearODE, like: Tensor) -> Tensor:
    """G^T G = F^T P F + P (K, K), the Gram matrix of the Taylor rows of a step over the innovation."""
    F = taylor_matrix(problem.K, like)
    P = torch.diag((torch.arange(problem.K, device=like.device) < problem.taylor_orders).to(like.dtype))
    return F.mT @ P @ F + P


def right_hand_side(problem: LinearODE, equation: Blocks, initial: Blocks) -> Tensor:
    """A^T b (T, L, R, C)."""
    total = equation.over.mT @ equation.constant
    total[: problem.T0] += initial.over.mT @ initial.constant
    return total
