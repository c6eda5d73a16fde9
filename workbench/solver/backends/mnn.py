"""The original Mechanistic Neural Network problem, for comparison. It differs from the problem of `LinearODE`.

Each system has an additional slack unknown alpha, with coefficient 1 in every Taylor and central row (independent of
the row's weight):

    (u, alpha) = argmin |D u - b|^2 + |S u + alpha 1|^2 + gamma alpha

with D u - b the equation and initial rows and S u the n Taylor and central rows of `workbench.solver.rows`, with
central=True. The dense normal equations, with alpha first so that Cholesky eliminates it first, are

    [   n     (S^T 1)^T   ] [alpha]   [-gamma/2]
    [ S^T 1   D^T D + S^T S ] [  u  ] = [ D^T b  ]

For gamma = 0 the slack is alpha = -mean(S u). Substituted, the rows over u alone are D u - b and P S u with P = I -
1 1^T/n, and the block of the factor below alpha is that of their normal equations, D^T D + S^T P S. `rows`, `residual`
and `normal_solve` therefore satisfy the interface that the derivative of `workbench.solver.solve` needs.

The slack absorbs the mean of the smoothness rows: a constant added to each of them has no cost.
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
EXPLICIT_ONLY = "it solves another problem, with a slack in every Taylor row; select it by name"


def unavailable_reason(device: torch.device) -> str:
    """Reason why this backend cannot run on `device`: it needs float64."""
    return dense.unavailable_reason(device)


def unsupported_reason(problem: LinearODE, method: str) -> str:
    """Reason why this backend cannot solve `problem`: another method, no central rows, or too large a matrix."""
    if method not in METHODS:
        return f"it only has the normal equations: expected method 'cholesky', found {method!r}"
    if not problem.central:
        return "its problem has central rows: expected central=True"
    return dense.too_large(problem)


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """[U (L, 1 + N, 1 + N), rank indicator (L)] with N = T * R, the slack first, or []."""
    L, unknowns = Columns(problem).L, 1 + problem.T * problem.R
    return [] if keep == "nothing" else [(L, unknowns, unknowns), (L,)]


def rows(problem: LinearODE, x: Tensor) -> Tensor:
    """[D x; P S x] (..., rows) for x (..., T, D, K): the rows at the optimal slack."""
    data, smooth = data_rows(problem, x), smooth_rows(problem, x)
    return torch.cat([data, smooth - smooth.mean(-1, keepdim=True)], dim=-1)


def residual(problem: LinearODE, u: Tensor) -> Tensor:
    """[D u - b; P S u] (..., rows)."""
    return rows(problem, u) - constants(problem)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u at the minimum for gamma = 0, the rank indicator and the factor; "carry" keeps all of it."""
    A = augmented(problem)
    factor = list(factorise(A))
    u, deficient = _back(problem, A, factor)
    return u, deficient, [] if keep == "nothing" else factor


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u for another right-hand side, and the rank indicator."""
    A = augmented(problem)
    return _back(problem, A, factor or list(factorise(A)))


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(D^T D + S^T P S)^-1 g for g (B, T, D, K), from the normal equations with 0 in the row of the slack."""
    columns = Columns(problem)
    U, _ = factor or factorise(augmented(problem))
    packed = pad(columns.pack(g.flatten(-3), 1), (0, 0, 1, 0))
    return _unpack(torch.cholesky_solve(packed, U, upper=True), problem, columns)


def minimise(problem: LinearODE, gamma: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """u (B, T, D, K) and alpha (B) at the minimum, with the linear term gamma * alpha.

    gamma: a number or (B); at fixed u it lowers alpha by gamma/(2n). Plain torch, differentiable to any order in gamma
    and in every tensor of the problem. float32 problems are solved in float64 and returned in float32.

    Raises ValueError if the backend cannot solve the problem or a value is invalid, RankDeficient if the rows do not
    determine every unknown, as `workbench.solver.solve` does.
    """
    reason = unavailable_reason(problem.device) or unsupported_reason(problem, "cholesky")
    if reason:
        raise ValueError(f"backend: 'mnn' cannot solve this problem: {reason}")
    checks.require_good_values(problem)
    wide = problem.to(torch.float64)
    columns = Columns(wide)
    A = augmented(wide)
    U, first = factorise(A)
    checks.require_full_rank(problem, columns.unpack_left(first.to(torch.int64)), "cholesky", METHODS)
    gamma = torch.as_tensor(gamma, dtype=wide.dtype, device=wide.device).expand(wide.batch)
    linear = pad(columns.pack(gamma[..., None] / 2, 1), (0, 0, 0, wide.T * wide.R))
    x = torch.cholesky_solve(A.mT @ columns.pack(constants(wide), 1) - linear, U, upper=True)
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
    """U with U^T U = A^T A, and the rank indicator (L) in its dtype."""
    U, stopped = torch.linalg.cholesky_ex(A.mT @ A, upper=True)
    return U, undetermined(A.detach(), U.detach(), stopped).to(U.dtype)


def undetermined(A: Tensor, U: Tensor, stopped: Tensor) -> Tensor:
    """Rank indicator (L) from A, U and the 1-based index at which the factorisation failed (0: it did not).

    With N = A^T A, eps times the inflation N_jj (N^-1)_jj is the rounding error of unknown j. Measured: at least 1 for
    undetermined unknowns; at most 2e-5 for u'' + u = 1 with steps of 1e-4 to 1 and weights of 1e-2 to 100; at 1e-3 u
    still has nearly three digits.
    """
    eye = torch.eye(U.shape[-1], dtype=U.dtype, device=U.device).expand_as(U)
    inverse = torch.linalg.solve_triangular(U, eye, upper=True)
    inflation = (torch.linalg.vector_norm(A, dim=-2) * torch.linalg.vector_norm(inverse, dim=-1)) ** 2
    worst, index = inflation[:, 1:].max(-1)
    ill_conditioned = torch.where(torch.finfo(U.dtype).eps * worst <= 1e-3, 0, index + 1)
    # the slack is first, its pivot is n and never fails: index p is unknown p - 1 of u
    return torch.where(stopped > 0, (stopped - 1).clamp(min=1), ill_conditioned)


def _back(problem: LinearODE, A: Tensor, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u from U^T U (alpha, u) = A^T b, and the rank indicator (B)."""
    U, first = factor
    columns = Columns(problem)
    x = torch.cholesky_solve(A.mT @ columns.pack(constants(problem), 1), U, upper=True)
    return _unpack(x, problem, columns), columns.unpack_left(first.to(torch.int64))


def _unpack(x: Tensor, problem: LinearODE, columns: Columns) -> Tensor:
    """(L, 1 + N, C) over (alpha, u) -> u (B, T, D, K)."""
    return columns.unpack(x[:, 1:].unflatten(1, (problem.T, problem.D, problem.K)))
