"""The reference: a dense factorisation of A. O(T^3) time, O(T^2) memory.

`qr` factors A = Q U by Householder reflections, `cholesky` the normal equations A^T A = U^T U.
"""

from math import prod

import torch
from torch import Tensor

from workbench.solver.backends.columns import Columns
from workbench.solver.problem import LinearODE
from workbench.solver.rows import constants, rows

METHODS = ("qr", "cholesky")
MATRIX_LIMIT = 4 * 2**30
"""Largest size of A over the whole batch, in bytes; the factorisation needs about three times that."""


def unavailable_reason(device: torch.device) -> str:
    """Reason why this backend cannot run on `device`: it needs float64."""
    return "the device has no float64" if device.type == "mps" else ""


def unsupported_reason(problem: LinearODE, method: str) -> str:
    """Reason why this backend cannot solve `problem`: the matrix is too large."""
    reason = too_large(problem)
    return f"{reason}; 'banded' is linear in T" if reason else ""


def too_large(problem: LinearODE) -> str:
    """The size of A if it exceeds the limit, else ""."""
    unknowns = problem.T * problem.R
    n_rows = problem.T * problem.E + problem.T0 * problem.D * problem.K0
    n_rows += (problem.T - 1) * problem.D * (2 * problem.K - int(problem.central))
    size = 8 * prod(problem.left_batch) * n_rows * unknowns
    if size > MATRIX_LIMIT:
        limit = MATRIX_LIMIT / 2**30
        return f"the dense matrix would take {size / 2**30:.1f} GiB (limit {limit:.0f})"
    return ""


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """[U (L, N, N), rank indicator (L)] with N = T * R, or []."""
    L, unknowns = Columns(problem).L, problem.T * problem.R
    return [] if keep == "nothing" else [(L, unknowns, unknowns), (L,)]


def matrix(problem: LinearODE) -> Tensor:
    """A (left batch, rows, T * R), from the rows of every unit vector."""
    shape = (problem.T, problem.D, problem.K)
    unknowns = prod(shape)
    unit = torch.eye(unknowns, dtype=problem.dtype, device=problem.device)
    basis = unit.reshape(unknowns, *(1,) * len(problem.left_batch), *shape)
    return rows(problem, basis).movedim(0, -1)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator and the factor; "carry" keeps all of it."""
    columns = Columns(problem)
    A = columns.pack_left(matrix(problem), 2)
    b = columns.pack(constants(problem), 1)
    if method == "qr":
        Q, U = torch.linalg.qr(A)
        u = torch.linalg.solve_triangular(U, Q.mT @ b, upper=True)
    else:
        U = torch.linalg.cholesky_ex(A.mT @ A, upper=True).L
        u = torch.cholesky_solve(A.mT @ b, U, upper=True)
    first = undetermined(problem, method, A, U)
    factor = [] if keep == "nothing" else [U, first.to(U.dtype)]
    return unpack(u, problem, columns), columns.unpack_left(first), factor


def undetermined(problem: LinearODE, method: str, A: Tensor, U: Tensor) -> Tensor:
    """Rank indicator (L): the first pivot as small as its rounding error, relative to the column of A.

    Measured for undetermined unknowns: at most 3 T^2 eps with `qr`. `cholesky` compares squares.
    """
    T, eps = problem.T, torch.finfo(A.dtype).eps
    pivot, norm = U.diagonal(dim1=-2, dim2=-1).abs(), torch.linalg.vector_norm(A, dim=-2)
    small = pivot <= 16 * T**2 * eps * norm if method == "qr" else pivot**2 <= 32 * T**0.5 * eps * norm**2
    bad = small | ~pivot.isfinite()
    return torch.where(bad.any(-1), bad.to(torch.int8).argmax(-1) + 1, 0)


def unpack(u: Tensor, problem: LinearODE, columns: Columns) -> Tensor:
    """(L, T * R, C) -> (B, T, D, K)."""
    return columns.unpack(u.unflatten(1, (problem.T, problem.D, problem.K)))


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    U, _ = factor or solve(problem, method, "factor")[2]
    columns = Columns(problem)
    packed = columns.pack(g.flatten(-3), 1)
    return unpack(torch.cholesky_solve(packed, U, upper=True), problem, columns)


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u for another right-hand side, and the rank indicator."""
    if not factor:
        u, deficient, _ = solve(problem, method, "nothing")
        return u, deficient
    U, first = factor
    columns = Columns(problem)
    A = columns.pack_left(matrix(problem), 2)
    b = columns.pack(constants(problem), 1)
    u = torch.cholesky_solve(A.mT @ b, U, upper=True)
    if method == "qr":
        u = u + torch.cholesky_solve(A.mT @ (b - A @ u), U, upper=True)
    return unpack(u, problem, columns), columns.unpack_left(first.to(torch.int64))
