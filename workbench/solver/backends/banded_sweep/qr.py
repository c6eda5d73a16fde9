"""The `qr` factor: the innovation sweep.

In scaled unknowns y = H u with H = diag(h^0 .. h^(K-1)) of one step, it eliminates the innovation w = y_t - Phi
y_{t+1}. All Taylor rows of the step are G w with one constant triangular G, G^T G = F^T P F + P (P: the orders that
have Taylor rows), which avoids cancellation. At grid point t it triangularises

    [ M | M Phi | m ]    M: equation and initial rows over u_t, divided by H; m: their constants
    [ G |   0   | 0 ]
    [ C | C Phi | z ]    C: the carry; over (w_t, y_{t+1} | 1), and a third block over y_{t+2} with central rows

keeps the first R rows as factor, and passes the others on as the carry of t + 1. The order of the rows is worth two to
three digits at small steps: Householder elimination is row-wise stable if large rows come first (Cox and Higham, BIT
38, 1998); equation rows reach h^-(K-1), and the carry is never larger than G Phi.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from workbench.solver.backends.banded_sweep.blocks import (
    Blocks,
    block_diagonal,
    central_coefficients,
    innovation_gram,
    step_quantities,
)
from workbench.solver.backends.banded_sweep.factor import Factor
from workbench.solver.backends.columns import Columns
from workbench.solver.problem import LinearODE
from workbench.solver.rows import powers, taylor_matrix


def innovation_sweep(
    problem: LinearODE, columns: Columns, equation: Blocks, initial: Blocks
) -> tuple[Factor, Tensor, Tensor]:
    """The `qr` factor, z (T, L, R, C) with u_t - A1_t u_{t+1} - A2_t u_{t+2} = z_t, and the rank indicator (L)."""
    T, T0, R, D, K = problem.T, problem.T0, problem.R, problem.D, problem.K
    reach = 2 if problem.central else 1
    h, weight = step_quantities(problem, columns)
    scale = powers(h, K).repeat(1, 1, D)
    phi = block_diagonal(taylor_matrix(K, h, sign=-1).expand(D, K, K))
    local = _innovation_rows(problem, h, weight, phi, reach)
    transfer = _transfer(h, K, D, phi, reach)
    width = (1 + reach) * R

    def over_innovation(block: Blocks) -> Blocks:
        M = block.over / scale[: len(block.over), :, None, :]
        beyond = M.new_zeros(*M.shape[:-1], (reach - 1) * R)
        return Blocks(torch.cat([M, M @ phi, beyond], dim=-1), block.constant)

    equation_rows = over_innovation(equation.at(0, T - 1))
    initial_rows = over_innovation(initial.at(0, min(T0, T - 1)))
    zeros = local.new_zeros(*local.shape[1:-1], columns.C)
    carry = Blocks(local.new_zeros(columns.L, 0, reach * R), local.new_zeros(columns.L, 0, columns.C))
    factor_rows = []
    for t in range(T - 1):
        start = initial_rows.at(t, t + 1)
        left = torch.cat([equation_rows.over[t], *start.over, local[t], carry.over @ transfer[t]], dim=-2)
        right = torch.cat([equation_rows.constant[t], *start.constant, zeros, carry.constant], dim=-2)
        left, right = triangularise(left, right)
        factor_rows.append(Blocks(left[..., :R, :], right[..., :R, :]))
        carry = Blocks(left[..., R:width, R:], right[..., R:width, :])
    factor_rows.append(_last_rows([equation.at(T - 1, T), initial.at(T - 1, T)], carry, scale[-1], width))
    U, z = (torch.stack(x) for x in zip(*factor_rows, strict=True))
    return _rescale(U, z, scale, phi)


def _last_rows(last: list[Blocks], carry: Blocks, scale: Tensor, width: int) -> Blocks:
    """The factor rows of the last grid point, over y_{T-1}, padded with zeros to `width` columns and R rows."""
    R = scale.shape[-1]
    left = torch.cat([*(x for block in last for x in block.over / scale[:, None]), carry.over[..., :R]], dim=-2)
    right = torch.cat([*(x for block in last for x in block.constant), carry.constant], dim=-2)
    left, right = triangularise(left, right)
    missing = max(R - left.shape[-2], 0)
    return Blocks(pad(left[..., :R, :], (0, width - R, 0, missing)), pad(right[..., :R, :], (0, 0, 0, missing)))


def triangularise(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Q^T left, upper triangular, and Q^T right, with Q orthogonal; Q is formed only for many columns."""
    n = left.shape[-1]
    if right.shape[-1] <= n:
        reduced = torch.geqrf(torch.cat([left, right], dim=-1)).a
        return reduced[..., :n].triu(), reduced[..., n:]
    Q, U = torch.linalg.qr(left, mode="complete")
    return U, Q.mT @ right


def _innovation_rows(problem: LinearODE, h: Tensor, weight: Tensor, phi: Tensor, reach: int) -> Tensor:
    """Taylor (and central) rows over (w_t, y_{t+1}, y_{t+2}): (T-1, L, rows, (1 + reach) R)."""
    K, D, R = problem.K, problem.D, problem.R
    G = torch.linalg.cholesky(innovation_gram(problem, h), upper=True)
    taylor = block_diagonal(weight[..., None, None] * G)
    taylor = pad(taylor, (0, reach * R))
    if not problem.central:
        return taylor
    central = h.new_zeros(*h.shape, D, 3, D, K)
    outer, middle = central_coefficients(h, weight, K)
    outer, middle = outer / h[:-1, :, None] ** (K - 2), middle / h[:-1, :, None] ** (K - 1)
    for d in range(D):
        central[:-1, :, d, 0, d, K - 2] = outer[..., d]
        central[:-1, :, d, 1, d, K - 1] = middle[..., d]
        central[:-1, :, d, 2, d, K - 2] = -outer[..., d]
    central = central.flatten(-2)
    central[..., 1, :] += central[..., 0, :] @ phi
    return torch.cat([central.flatten(-2), taylor], dim=-2)


def _transfer(h: Tensor, K: int, D: int, phi: Tensor, reach: int) -> Tensor:
    """Maps the carry of t, over y = H_{t-1} u, to columns over (w_t, H_t u_{t+1}, H_t u_{t+2}); index 0 is unused."""
    ratio = torch.ones_like(h)
    ratio[1:] = h[:-1] / h[1:]
    ratio = powers(ratio, K).repeat(1, 1, D)
    R = D * K
    matrix = h.new_zeros(*h.shape, reach, R, 1 + reach, R)
    matrix[..., 0, :, 0, :] = torch.diag_embed(ratio)
    matrix[..., 0, :, 1, :] = ratio[..., None] * phi
    if reach == 2:
        matrix[..., 1, :, 1, :] = matrix[..., 0, :, 0, :]
    return matrix.flatten(-2).flatten(-3, -2)


def _rescale(left: Tensor, z: Tensor, scale: Tensor, phi: Tensor) -> tuple[Factor, Tensor, Tensor]:
    """The factor over u, z over u and the rank indicator (L), from the rows [U | V ..] over (w, y, ..) and z."""
    R, T = phi.shape[-1], len(left)
    reach = left.shape[-1] // R - 1
    U = left[..., :R]
    deficient = _undetermined(U)
    solved = torch.linalg.solve_triangular(U, torch.cat([left[..., R:], z], dim=-1), upper=True)
    scale = torch.cat([scale, scale[-1:]])[..., None, :]
    A = U.new_zeros(reach, *U.shape)
    A[0, : T - 1] = (phi - solved[: T - 1, ..., :R]) * scale[:-1] / scale[:-1].mT
    if reach == 2:
        A[1, : T - 1] = -solved[: T - 1, ..., R : 2 * R] * scale[:-1] / scale[:-1].mT
    return Factor(U * scale, A), solved[..., reach * R :] / scale.mT, deficient


def _undetermined(U: Tensor) -> Tensor:
    """Rank indicator (L). Before the last grid point G keeps U_t well-conditioned, so only an exact zero counts.

    At the last grid point the pivot of an undetermined unknown is rounding error: measured at most 7 sqrt(T) eps of its
    column (or of the Taylor rows, whose size is 1) for T = 5 .. 1,000, against at least 1e-7 for determined systems.
    """
    T = len(U)
    pivot = U.diagonal(dim1=-2, dim2=-1).abs()
    small = pivot == 0
    norm = torch.linalg.vector_norm(U[-1], dim=-2)
    small[-1] |= pivot[-1] <= 32 * T**0.5 * torch.finfo(U.dtype).eps * norm.clamp(min=1.0)
    bad = (small | ~pivot.isfinite()).movedim(0, 1).flatten(1)
    return torch.where(bad.any(-1), bad.to(torch.int8).argmax(-1) + 1, 0)
