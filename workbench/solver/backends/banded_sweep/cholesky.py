"""The `cholesky` factor: block elimination of A^T A, at the squared condition number."""

import torch
from torch import Tensor

from workbench.solver.backends.banded_sweep.blocks import Blocks, block_diagonal, central_coefficients, step_quantities
from workbench.solver.backends.banded_sweep.factor import Factor
from workbench.solver.backends.columns import Columns
from workbench.solver.problem import LinearODE
from workbench.solver.rows import powers, taylor_matrix


def cholesky_sweep(problem: LinearODE, columns: Columns, equation: Blocks, initial: Blocks) -> tuple[Factor, Tensor]:
    """The `cholesky` factor from the blocks of A^T A, and the rank indicator (L)."""
    T, R = problem.T, problem.R
    N0, N1, N2 = normal_blocks(problem, columns, equation, initial)
    diagonal = N0.diagonal(dim1=-2, dim2=-1).clone()
    U, A = torch.zeros_like(N0), N0.new_zeros(2 if problem.central else 1, *N0.shape)
    for t in range(T):
        U[t] = torch.linalg.cholesky_ex(N0[t], upper=True).L
        if t + 1 < T:
            A[0, t] = -torch.cholesky_solve(N1[t], U[t], upper=True)
            N0[t + 1] += N1[t].mT @ A[0, t]
        if problem.central and t + 2 < T:
            A[1, t] = -torch.cholesky_solve(N2[t], U[t], upper=True)
            N1[t + 1] += N1[t].mT @ A[1, t]
            N0[t + 2] += N2[t].mT @ A[1, t]
    pivot = U.diagonal(dim1=-2, dim2=-1)
    # squared pivots of ill-conditioned systems are often as small as rounding: only the worst are reported
    small = pivot**2 <= 32 * T**0.5 * torch.finfo(U.dtype).eps * diagonal
    bad = (small | ~pivot.isfinite()).movedim(0, 1).reshape(-1, T * R)
    return Factor(U, A), torch.where(bad.any(-1), bad.to(torch.int8).argmax(-1) + 1, 0)


def normal_blocks(
    problem: LinearODE, columns: Columns, equation: Blocks, initial: Blocks
) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks (t,t), (t,t+1) and (t,t+2) of A^T A: (T, L, R, R), (T-1, L, R, R) and (T-2, L, R, R)."""
    T, T0, K, D = problem.T, problem.T0, problem.K, problem.D
    h, weight = step_quantities(problem, columns)
    F = taylor_matrix(K, h)[: problem.taylor_orders]
    unit = torch.eye(K, dtype=h.dtype, device=h.device)[: problem.taylor_orders]
    ahead, mirror = powers(h, K)[..., None, :], powers(-h, K)[..., None, :]
    # forward rows [F H | -H], backward rows [-J H | F J H]: over u_t and over u_{t+1}
    left = torch.cat([F * ahead, -unit * mirror], dim=-2)
    right = torch.cat([-unit * ahead, F * mirror], dim=-2)
    left = weight[..., None, None] * left[:, :, None]
    right = weight[..., None, None] * right[:, :, None]
    N0 = equation.over.mT @ equation.over
    N0[:T0] += initial.over.mT @ initial.over
    N0[: T - 1] += block_diagonal(left.mT @ left)
    N0[1:] += block_diagonal(right.mT @ right)
    N1 = block_diagonal(left.mT @ right)
    N2 = N0.new_zeros(max(T - 2, 0), *N0.shape[1:])
    if problem.central:
        outer, middle = central_coefficients(h, weight, K)
        for d in range(D):
            a, b = d * K + K - 2, d * K + K - 1
            N0[: T - 2, :, a, a] += outer[..., d] ** 2
            N0[1 : T - 1, :, b, b] += middle[..., d] ** 2
            N0[2:, :, a, a] += outer[..., d] ** 2
            N1[: T - 2, :, a, b] += outer[..., d] * middle[..., d]
            N1[1:, :, b, a] -= outer[..., d] * middle[..., d]
            N2[:, :, a, a] -= outer[..., d] ** 2
    return N0, N1, N2
