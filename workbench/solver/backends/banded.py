"""The sweep over the grid points in plain torch, the whole batch at once: time and memory linear in T.

Both methods end in the same block bidiagonal factor of the normal equations, A^T A = M^T M, where block row t of M
reads

    U_t (u_t - A1_t u_{t+1} - A2_t u_{t+2}),   U_t upper triangular, A2 only with central rows.

`cholesky` finds it from the blocks of A^T A: the published algorithm, at squared conditioning. `qr` (the innovation
sweep) eliminates, in scaled unknowns y = H u with H = diag(h^0 .. h^(K-1)) of one interval, the innovation w = y_t -
Phi y_{t+1}: all Taylor rows of the interval are G w with one constant triangular G, G^T G = F^T P F + P (P: the
orders that have Taylor rows), so that nothing cancels. At grid point t it stacks

    [ M | M Phi | m ]    M: equation and initial rows over u_t, divided by H; m: their constants
    [ G |   0   | 0 ]
    [ C | C Phi | z ]    C: the carry; over (w_t, y_{t+1} | 1), and a third block over y_{t+2} for the central row

triangularises, keeps the first R rows as factor, and hands the rest on as the carry of t + 1. The order of the rows is
worth two to three digits at small steps: Householder elimination is row-wise stable when large rows come first (Cox and
Higham, BIT 38, 1998), equation rows reach h^-(K-1), and the carry is never larger than G Phi.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from workbench.solver.backends.columns import Columns
from workbench.solver.problem import LinearODE
from workbench.solver.rows import equation_constants, equation_matrix, initial_constants, powers, taylor_matrix

METHODS = ("qr", "cholesky")


class Blocks(NamedTuple):
    """The rows at n grid points: `over` (n, L, rows, R) acts on u_t, `constant` (n, L, rows, C) is the right side."""

    over: Tensor
    constant: Tensor

    def at(self, start: int, stop: int) -> "Blocks":
        return Blocks(self.over[start:stop], self.constant[start:stop])


class Factor(NamedTuple):
    """U (T, L, R, R) upper triangular; A (reach, T, L, R, R): A[0] reaches u_{t+1}, A[1] u_{t+2}; zero past the end."""

    U: Tensor
    A: Tensor


def unfit(device: torch.device) -> str:
    """Why this backend cannot serve on `device`: it runs wherever torch has float64."""
    return "the device has no float64" if device.type == "mps" else ""


def refusal(problem: LinearODE, method: str) -> str:
    """Why this backend cannot solve `problem`: it solves them all."""
    return ""


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """[U, A, rank indicator (L)]; see `Factor`. [] where nothing is kept."""
    shape = (problem.T, Columns(problem).L, problem.R, problem.R)
    return [shape, (2 if problem.central else 1, *shape), shape[1:2]] if keep in ("factor", "resolve") else []


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator, and the factor; "carry" keeps nothing: all is computed again."""
    columns = Columns(problem)
    equation, initial = equation_blocks(problem, columns), initial_blocks(problem, columns)
    if method == "qr":
        factor, z, first = innovation_sweep(problem, columns, equation, initial)
        u = back_substitute(factor.A, z)
    else:
        factor, first = cholesky_sweep(problem, columns, equation, initial)
        u = solve_normal_equations(factor, moment(problem, equation, initial))
    kept = [*factor, first.to(u.dtype)] if keep in ("factor", "resolve") else []
    return unpack(u, problem, columns), columns.unpack_left(first), kept


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    U, A, _ = factor or solve(problem, method, "factor")[2]
    columns = Columns(problem)
    packed = columns.pack(g.flatten(-2), 2).movedim(1, 0)
    return unpack(solve_normal_equations(Factor(U, A), packed), problem, columns)


def moment(problem: LinearODE, equation: Blocks, initial: Blocks) -> Tensor:
    """A^T b (T, L, R, C)."""
    total = equation.over.mT @ equation.constant
    total[: problem.T0] += initial.over.mT @ initial.constant
    return total


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u for another right-hand side, and the rank indicator.

    `qr`: the corrected semi-normal equations (Bjorck, Linear Algebra and its Applications 88/89, 1987). What squaring
    the condition costs is won back by one step of refinement on the residual of the rows.
    """
    if not factor:
        u, deficient, _ = solve(problem, method, "nothing")
        return u, deficient
    U, A, first = factor
    columns = Columns(problem)
    equation, initial = equation_blocks(problem, columns), initial_blocks(problem, columns)
    u = solve_normal_equations(Factor(U, A), moment(problem, equation, initial))
    if method == "qr":
        left = [Blocks(block.over, block.constant - block.over @ u[: len(block.over)]) for block in (equation, initial)]
        gradient = moment(problem, *left) - smooth_product(problem, columns, u)
        u = u + solve_normal_equations(Factor(U, A), gradient)
    return unpack(u, problem, columns), columns.unpack_left(first.to(torch.int64))


def unpack(u: Tensor, problem: LinearODE, columns: Columns) -> Tensor:
    """(T, L, R, C) -> (B, T, D, K)."""
    return columns.unpack(u.movedim(0, 1).unflatten(2, (problem.D, problem.K)))


# the rows


def equation_blocks(problem: LinearODE, columns: Columns) -> Blocks:
    """Equation rows of every grid point: (T, L, E, R) and (T, L, E, C)."""
    c = equation_matrix(problem).flatten(-2)
    c = c.expand(*c.shape[:-3], problem.T, *c.shape[-2:])
    r = equation_constants(problem)
    r = r.expand(*r.shape[:-2], problem.T, problem.E)
    return Blocks(columns.pack_left(c, 3).movedim(1, 0), columns.pack(r, 2).movedim(1, 0))


def initial_blocks(problem: LinearODE, columns: Columns) -> Blocks:
    """Rows of the initial values, grid points t < T0: (T0, L, D*K0, R) and (T0, L, D*K0, C)."""
    T0, D, K, K0 = problem.T0, problem.D, problem.K, problem.K0
    w = problem.tensors["weights.initial"]
    w = w.expand(*w.shape[:-3], T0, D, K0)
    pick = torch.eye(D * K, dtype=w.dtype, device=w.device).reshape(D, K, D * K)[:, :K0].reshape(D * K0, D * K)
    v = initial_constants(problem)
    v = v.expand(*v.shape[:-3], T0, D, K0)
    over = columns.pack_left(w.flatten(-2), 2)[..., None] * pick
    return Blocks(over.movedim(1, 0), columns.pack(v.flatten(-2), 2).movedim(1, 0))


def interval_quantities(problem: LinearODE, columns: Columns) -> tuple[Tensor, Tensor]:
    """Steps h (T-1, L) and Taylor weights (T-1, L, D)."""
    h, w = problem.tensors["steps"], problem.tensors["weights.taylor"]
    n = problem.T - 1
    h = columns.pack_left(h.expand(*h.shape[:-1], n), 1)
    w = columns.pack_left(w.expand(*w.shape[:-2], n, problem.D), 2)
    return h.movedim(1, 0), w.movedim(1, 0)


def central_coefficients(h: Tensor, weight: Tensor, K: int) -> tuple[Tensor, Tensor]:
    """Of the central row at t (T-2, L, D): what multiplies u[t,d,K-2] - u[t+2,d,K-2], and u[t+1,d,K-1]."""
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
    """S^T (S u) (T, L, R, C), S the Taylor and central rows, u (T, L, R, C); Taylor rows by way of the innovation."""
    K, D = problem.K, problem.D
    h, weight = interval_quantities(problem, columns)
    scale, phi = powers(h, K)[:, :, None, :, None], taylor_matrix(K, h, -1)
    x = u.unflatten(2, (D, K))
    product = torch.zeros_like(x)
    w = scale * x[:-1] - phi @ (scale * x[1:])
    pull = weight[..., None, None] ** 2 * (innovation_gram(problem, h) @ w)
    product[:-1] += scale * pull
    product[1:] -= scale * (phi.mT @ pull)
    if problem.central:
        outer, middle = (x[..., None] for x in central_coefficients(h, weight, K))
        row = outer * (x[:-2, ..., K - 2, :] - x[2:, ..., K - 2, :]) + middle * x[1:-1, ..., K - 1, :]
        product[:-2, ..., K - 2, :] += outer * row
        product[2:, ..., K - 2, :] -= outer * row
        product[1:-1, ..., K - 1, :] += middle * row
    return product.flatten(2, 3)


def innovation_gram(problem: LinearODE, like: Tensor) -> Tensor:
    """G^T G = F^T P F + P (K, K): what all Taylor rows of an interval make of w."""
    F = taylor_matrix(problem.K, like)
    P = torch.diag((torch.arange(problem.K, device=like.device) < problem.taylor_orders).to(like.dtype))
    return F.mT @ P @ F + P


# the factor


def innovation_sweep(
    problem: LinearODE, columns: Columns, equation: Blocks, initial: Blocks
) -> tuple[Factor, Tensor, Tensor]:
    """The `qr` factor, z (T, L, R, C) with u_t - A1_t u_{t+1} - A2_t u_{t+2} = z_t, and the rank indicator (L)."""
    T, T0, R, D, K = problem.T, problem.T0, problem.R, problem.D, problem.K
    reach = 2 if problem.central else 1
    h, weight = interval_quantities(problem, columns)
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
    nothing = local.new_zeros(*local.shape[1:-1], columns.C)
    carry = Blocks(local.new_zeros(columns.L, 0, reach * R), local.new_zeros(columns.L, 0, columns.C))
    kept = []
    for t in range(T - 1):
        start = initial_rows.over[t : t + 1].unbind(), initial_rows.constant[t : t + 1].unbind()
        left = torch.cat([equation_rows.over[t], *start[0], local[t], carry.over @ transfer[t]], dim=-2)
        right = torch.cat([equation_rows.constant[t], *start[1], nothing, carry.constant], dim=-2)
        left, right = triangularise(left, right)
        kept.append(Blocks(left[..., :R, :], right[..., :R, :]))
        carry = Blocks(left[..., R:width, R:], right[..., R:width, :])
    last = [equation.at(T - 1, T), initial.at(T - 1, T)]
    left = torch.cat([*(x for block in last for x in block.over / scale[-1, :, None]), carry.over[..., :R]], dim=-2)
    right = torch.cat([*(x for block in last for x in block.constant), carry.constant], dim=-2)
    left, right = triangularise(left, right)
    missing = (0, 0, 0, max(R - left.shape[-2], 0))
    kept.append(Blocks(pad(left[..., :R, :], (0, width - R, *missing[2:])), pad(right[..., :R, :], missing)))
    return _finish(torch.stack([x.over for x in kept]), torch.stack([x.constant for x in kept]), scale, phi)


def triangularise(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Q^T left, upper triangular, and Q^T right, with Q orthogonal; where columns are many, Q itself pays."""
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
    """Takes the carry of t, over y = H_{t-1} u, to columns over (w_t, H_t u_{t+1}, H_t u_{t+2}); index 0 is unused."""
    ratio = torch.ones_like(h)
    ratio[1:] = h[:-1] / h[1:]
    ratio = powers(ratio, K).repeat(1, 1, D)
    R = D * K
    moved = h.new_zeros(*h.shape, reach, R, 1 + reach, R)
    moved[..., 0, :, 0, :] = torch.diag_embed(ratio)
    moved[..., 0, :, 1, :] = ratio[..., None] * phi
    if reach == 2:
        moved[..., 1, :, 1, :] = moved[..., 0, :, 0, :]
    return moved.flatten(-2).flatten(-3, -2)


def _finish(left: Tensor, z: Tensor, scale: Tensor, phi: Tensor) -> tuple[Factor, Tensor, Tensor]:
    """Factor rows [U | V ...] over (w, y, ...) and z at all grid points -> factor over u, z, and the rank indicator."""
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
    """Rank indicator (L). G keeps U_t healthy before the last grid point, so only an exact zero counts there.

    At the last one a pivot that nothing determines is rounding: measured at most 7 sqrt(T) eps of its column (or of the
    Taylor rows, whose size is 1) for T = 5 .. 1,000, against 1e-7 and more where everything is determined.
    """
    T = len(U)
    pivot = U.diagonal(dim1=-2, dim2=-1).abs()
    small = pivot == 0
    norm = torch.linalg.vector_norm(U[-1], dim=-2)
    small[-1] |= pivot[-1] <= 32 * T**0.5 * torch.finfo(U.dtype).eps * norm.clamp(min=1.0)
    bad = (small | ~pivot.isfinite()).movedim(0, 1).flatten(1)
    return torch.where(bad.any(-1), bad.to(torch.int8).argmax(-1) + 1, 0)


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
    # squared, most pivots of ill-conditioned systems are as small as rounding: only the hopeless ones are called out
    small = pivot**2 <= 32 * T**0.5 * torch.finfo(U.dtype).eps * diagonal
    bad = (small | ~pivot.isfinite()).movedim(0, 1).reshape(-1, T * R)
    return Factor(U, A), torch.where(bad.any(-1), bad.to(torch.int8).argmax(-1) + 1, 0)


def normal_blocks(
    problem: LinearODE, columns: Columns, equation: Blocks, initial: Blocks
) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks (t,t), (t,t+1) and (t,t+2) of A^T A: (T, L, R, R), (T-1, L, R, R) and (T-2, L, R, R)."""
    T, T0, K, D = problem.T, problem.T0, problem.K, problem.D
    h, weight = interval_quantities(problem, columns)
    F = taylor_matrix(K, h)[: problem.taylor_orders]
    unit = torch.eye(K, dtype=h.dtype, device=h.device)[: problem.taylor_orders]
    ahead, mirror = powers(h, K)[..., None, :], powers(-h, K)[..., None, :]
    # forward rows [F H | -H], backward rows [-J H | F J H]: over u_t and over u_{t+1}
    now = torch.cat([F * ahead, -unit * mirror], dim=-2)
    after = torch.cat([-unit * ahead, F * mirror], dim=-2)
    now = weight[..., None, None] * now[:, :, None]
    after = weight[..., None, None] * after[:, :, None]
    N0 = equation.over.mT @ equation.over
    N0[:T0] += initial.over.mT @ initial.over
    N0[: T - 1] += block_diagonal(now.mT @ now)
    N0[1:] += block_diagonal(after.mT @ after)
    N1 = block_diagonal(now.mT @ after)
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


# the triangular sweeps


def back_substitute(A: Tensor, z: Tensor) -> Tensor:
    """u_t = z_t + A1_t u_{t+1} + A2_t u_{t+2}, from the last grid point to the first: (T, L, R, C)."""
    T = len(z)
    u = [z[T - 1]]
    for t in range(T - 2, -1, -1):
        x = torch.baddbmm(z[t], A[0, t], u[-1])
        if len(A) == 2 and t + 2 < T:
            x = torch.baddbmm(x, A[1, t], u[-2])
        u.append(x)
    return torch.stack(u[::-1])


def solve_normal_equations(factor: Factor, g: Tensor) -> Tensor:
    """M^T M x = g: p_t = g_t + A1_{t-1}^T p_{t-1} + A2_{t-2}^T p_{t-2}, then U_t^T U_t q_t = p_t, then back."""
    U, A = factor
    p = [g[0]]
    for t in range(1, len(g)):
        x = torch.baddbmm(g[t], A[0, t - 1].mT, p[-1])
        if len(A) == 2 and t >= 2:
            x = torch.baddbmm(x, A[1, t - 2].mT, p[-2])
        p.append(x)
    q = torch.linalg.solve_triangular(U.mT, torch.stack(p), upper=False)
    q = torch.linalg.solve_triangular(U, q, upper=True)
    return back_substitute(A, q)
