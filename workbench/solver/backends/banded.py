"""The sweep over the grid points in plain torch, vectorised over the batch: time and memory linear in T.

Both methods compute a block bidiagonal factor of the normal equations, A^T A = M^T M, where block row t of M reads

    U_t (u_t - A1_t u_{t+1} - A2_t u_{t+2}),   U_t upper triangular, A2 only with central rows.

`cholesky` computes it from the blocks of A^T A (`cholesky_sweep`): the published algorithm, at the squared condition
number. `qr` computes it from the rows (`innovation_sweep`).
"""

import torch
from torch import Tensor

from workbench.solver.backends.banded_sweep.blocks import (
    Blocks,
    equation_blocks,
    initial_blocks,
    right_hand_side,
    smooth_product,
)
from workbench.solver.backends.banded_sweep.cholesky import cholesky_sweep
from workbench.solver.backends.banded_sweep.factor import Factor, back_substitute, solve_normal_equations
from workbench.solver.backends.banded_sweep.qr import innovation_sweep
from workbench.solver.backends.columns import Columns
from workbench.solver.problem import LinearODE

METHODS = ("qr", "cholesky")


def unavailable_reason(device: torch.device) -> str:
    """Reason why this backend cannot run on `device`: it needs float64."""
    return "the device has no float64" if device.type == "mps" else ""


def unsupported_reason(problem: LinearODE, method: str) -> str:
    """Always "": this backend solves every problem."""
    return ""


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """[U, A, rank indicator (L)], see `Factor`, or []."""
    shape = (problem.T, Columns(problem).L, problem.R, problem.R)
    return [shape, (2 if problem.central else 1, *shape), shape[1:2]] if keep in ("factor", "resolve") else []


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator and the factor; "carry" keeps nothing."""
    columns = Columns(problem)
    equation, initial = equation_blocks(problem, columns), initial_blocks(problem, columns)
    if method == "qr":
        factor, z, first = innovation_sweep(problem, columns, equation, initial)
        u = back_substitute(factor.A, z)
    else:
        factor, first = cholesky_sweep(problem, columns, equation, initial)
        u = solve_normal_equations(factor, right_hand_side(problem, equation, initial))
    returned = [*factor, first.to(u.dtype)] if keep in ("factor", "resolve") else []
    return unpack(u, problem, columns), columns.unpack_left(first), returned


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    U, A, _ = factor or solve(problem, method, "factor")[2]
    columns = Columns(problem)
    packed = columns.pack(g.flatten(-2), 2).movedim(1, 0)
    return unpack(solve_normal_equations(Factor(U, A), packed), problem, columns)


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u for another right-hand side, and the rank indicator.

    `qr`: the corrected semi-normal equations (Bjorck, Linear Algebra and its Applications 88/89, 1987). One step of
    refinement on the residual of the rows recovers the digits lost to the squared condition number.
    """
    if not factor:
        u, deficient, _ = solve(problem, method, "nothing")
        return u, deficient
    U, A, first = factor
    columns = Columns(problem)
    equation, initial = equation_blocks(problem, columns), initial_blocks(problem, columns)
    u = solve_normal_equations(Factor(U, A), right_hand_side(problem, equation, initial))
    if method == "qr":
        residuals = [
            Blocks(block.over, block.constant - block.over @ u[: len(block.over)]) for block in (equation, initial)
        ]
        gradient = right_hand_side(problem, *residuals) - smooth_product(problem, columns, u)
        u = u + solve_normal_equations(Factor(U, A), gradient)
    return unpack(u, problem, columns), columns.unpack_left(first.to(torch.int64))


def unpack(u: Tensor, problem: LinearODE, columns: Columns) -> Tensor:
    """(T, L, R, C) -> (B, T, D, K)."""
    return columns.unpack(u.movedim(0, 1).unflatten(2, (problem.D, problem.K)))
