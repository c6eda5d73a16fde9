"""The original Mechanistic Neural Network problem, kept to compare with history. It is not the problem of `LinearODE`.

One slack unknown alpha per system, with coefficient 1 in every Taylor and central row (whatever the row's weight),
joins the unknowns:

    (u, alpha) = argmin |D u - b|^2 + |S u + alpha 1|^2 + gamma alpha

with D u - b the equation and initial rows and S u the n Taylor and central rows of `workbench.solver.rows`, in the
central mode. Written out, these are dense normal equations; alpha comes first, so that Cholesky meets it first:

    [   n     (S^T 1)^T   ] [alpha]   [-gamma/2]
    [ S^T 1   D^T D + S^T S ] [  u  ] = [ D^T b  ]

For gamma = 0 the slack is alpha = -mean(S u). Put back, the rows over u alone are D u - b and P S u, P = I - 1 1^T/n,
and the block of the factor below alpha is that of their normal equations, D^T D + S^T P S. So `rows`, `residual` and
`normal_solve` fit the derivative of `workbench.solver.solve` as they stand.

The slack absorbs what all smoothness rows have in common: a constant added to each of them costs nothing.
Source: Pervez, Locatello and Gavves, "Mechanistic Neural Networks for Scientific Machine Learning", ICML 2024.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from workbench.solver import checks
from workbench.solver.backends import dense
from workbench.solver.backends.columns import Columns
from workbench.solver.problem import LinearODE
from workbench.solver.rows import constants, data_rows, smooth_rows

METHODS = ("cholesky",)
OTHER_PROBLEM = "it solves another problem, with a slack in every Taylor row: ask for it by name"


def unfit(device: torch.device) -> str:
    """Why this backend cannot serve on `device`: it runs wherever torch has float64."""
    return dense.unfit(device)


def refusal(problem: LinearODE, method: str) -> str:
    """Why this backend cannot solve `problem`: another method, default rows, or a matrix that would be too large."""
    if method not in METHODS:
        return f"it has the normal equations only: expected method 'cholesky', found {method!r}"
    if not problem.central:
        return "its problem is stated with central rows: expected central=True"
    return dense.too_large(problem)


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """[U (L, 1 + N, 1 + N), rank indicator (L)] with N = T * R, the slack first; [] where nothing is kept."""
    L, unknowns = Columns(problem).L, 1 + problem.T * problem.R
    return [] if keep == "nothing" else [(L, unknowns, unknowns), (L,)]


def rows(problem: LinearODE, x: Tensor) -> Tensor:
    """[D x; P S x] (..., rows) for x (..., T, D, K): what is left of the rows when the slack is at its best."""
    data, smooth = data_rows(problem, x), smooth_rows(problem, x)
    return torch.cat([data, smooth - smooth.mean(-1, keepdim=True)], dim=-1)


def residual(problem: LinearODE, u: Tensor) -> Tensor:
    """[D u - b; P S u] (..., rows)."""
    return rows(problem, u) - constants(problem)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u of the minimum at gamma = 0, the rank indicator, and the factor; "carry" keeps the whole."""
    A = augmented(problem)
    factor = list(factorise(A))
    u, deficient = _back(problem, A, factor)
    return u, deficient, [] if keep == "nothing" else factor


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u for another right-hand side, and the rank indicator."""
    A = augmented(problem)
    return _back(problem, A, factor or list(factorise(A)))


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(D^T D + S^T P S)^-1 g for g (B, T, D, K): the normal equations with 0 in the row of the slack."""
    columns = Columns(problem)
    U, _ = factor or factorise(augmented(problem))
    packed = pad(columns.pack(g.flatten(-3), 1), (0, 0, 1, 0))
    return _unpack(torch.cholesky_solve(packed, U, upper=True), problem, columns)


def minimise(problem: LinearODE, gamma: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """u (B, T, D, K) and alpha (B) of the minimum, with the linear term gamma * alpha.

    gamma: a number or (B); it pulls alpha down, by gamma/(2n) where u is fixed. Plain torch, differentiable to any
    order in gamma and in every tensor of the problem. float32 problems are solved in float64 and returned in float32.

    Raises ValueError where the backend refuses and for bad values, RankDeficient where the rows do not determine every
    unknown, all as `workbench.solver.solve` does.
    """
    reason = unfit(problem.device) or refusal(problem, "cholesky")
    if reason:
        raise ValueError(f"backend: 'mnn' cannot serve: {reason}")
    checks.require_good_values(problem)
    wide = problem.to(torch.float64)
    columns = Columns(wide)
    A = augmented(wide)
    U, first = factorise(A)
    checks.require_full_rank(problem, columns.unpack_left(first.to(torch.int64)), "cholesky", METHODS)
    pull = torch.as_tensor(gamma, dtype=wide.dtype, device=wide.device).expand(wide.batch)
    pull = pad(columns.pack(pull[..., None] / 2, 1), (0, 0, 0, wide.T * wide.R))
    x = torch.cholesky_solve(A.mT @ columns.pack(constants(wide), 1) - pull, U, upper=True)
    alpha = columns.unpack(x[:, :1])[..., 0]
    return _unpack(x, wide, columns).to(problem.dtype), alpha.to(problem.dtype)


def augmented(problem: LinearODE) -> Tensor:
    """[0 | D; 1 | S] (L, rows, 1 + N): the rows over (alpha, u)."""
    A = Columns(problem).pack_left(dense.matrix(problem), 2)
    n_data = problem.T * problem.E + problem.T0 * problem.D * problem.K0
    slack = A.new_zeros(*A.shape[:-1], 1)
    slack[:, n_data:] = 1
    return torch.cat([slack, A], dim=-1)


def factorise(A: Tensor) -> tuple[Tensor, Tensor]:
    """U with U^T U = A^T A, and the rank indicator (L) as a number of its type."""
    U, stopped = torch.linalg.cholesky_ex(A.mT @ A, upper=True)
    return U, undetermined(A.detach(), U.detach(), stopped).to(U.dtype)


def undetermined(A: Tensor, U: Tensor, stopped: Tensor) -> Tensor:
    """Rank indicator (L) from A, U and the place, counted from 1, at which the factorisation stopped (0: it did not).

    With N = A^T A, eps times the inflation N_jj (N^-1)_jj is the rounding that reaches unknown j. Measured: 1 and more
    where nothing determines it; 2e-5 and less for u'' + u = 1 with steps of 1e-4 to 1 and weights of 1e-2 to 100; at
    1e-3 u still has nearly three digits.
    """
    eye = torch.eye(U.shape[-1], dtype=U.dtype, device=U.device).expand_as(U)
    inverse = torch.linalg.solve_triangular(U, eye, upper=True)
    inflation = (torch.linalg.vector_norm(A, dim=-2) * torch.linalg.vector_norm(inverse, dim=-1)) ** 2
    worst, place = inflation[:, 1:].max(-1)
    found = torch.where(torch.finfo(U.dtype).eps * worst <= 1e-3, 0, place + 1)
    # the slack stands first and its pivot is n: it is never what stops, and place p is unknown p - 1 of u
    return torch.where(stopped > 0, (stopped - 1).clamp(min=1), found)


def _back(problem: LinearODE, A: Tensor, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u from U^T U (alpha, u) = A^T b, and the rank indicator (B)."""
    U, first = factor
    columns = Columns(problem)
    x = torch.cholesky_solve(A.mT @ columns.pack(constants(problem), 1), U, upper=True)
    return _unpack(x, problem, columns), columns.unpack_left(first.to(torch.int64))


def _unpack(x: Tensor, problem: LinearODE, columns: Columns) -> Tensor:
    """(L, 1 + N, C) over (alpha, u) -> u (B, T, D, K)."""
    return columns.unpack(x[:, 1:].unflatten(1, (problem.T, problem.D, problem.K)))
