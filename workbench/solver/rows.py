"""The rows of the least-squares problem in plain torch: their definition and, by autograd, its derivative.

With the symbols of `LinearODE`, u minimises the sum of squares of

    equation   w_e[t,e] (sum_{d,k} c[t,e,d,k] u[t,d,k] - r[t,e])
    initial    w_i[t,d,k] (u[t,d,k] - v[t,d,k])                                     t < T0, k < K0
    forward    w_s[t,d] (sum_{j>=i} h^j/(j-i)! u[t,d,j] - h^i u[t+1,d,i])           t < T-1, i < I
    backward   w_s[t,d] (sum_{j>=i} (-h)^j/(j-i)! u[t+1,d,j] - (-h)^i u[t,d,i])     t < T-1, i < I
    central    w_s[t,d] (H^(K-3) (u[t,d,K-2] - u[t+2,d,K-2]) + H^(K-2) u[t+1,d,K-1])   t < T-2, H = h[t] + h[t+1]

I = K and no central rows by default; I = K-1 with central rows. In this order they are the rows of A u - b.
Source: Chen, Yao, Locatello, Alistarh et al., "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from math import factorial

import torch
from torch import Tensor

from workbench.solver.problem import LinearODE
from workbench.solver.shapes import broadcast_shapes


def taylor_matrix(K: int, like: Tensor, sign: int = 1) -> Tensor:
    """F (K, K), F[i,j] = sign^(j-i) / (j-i)! for j >= i, else 0; sign = -1 gives its inverse."""
    entries = [[sign ** (j - i) / factorial(j - i) if j >= i else 0.0 for j in range(K)] for i in range(K)]
    return like.new_tensor(entries)


def powers(h: Tensor, K: int) -> Tensor:
    """h^0 .. h^(K-1) in a new last dimension."""
    return h[..., None] ** torch.arange(K, device=h.device)


def masked(weight: Tensor, datum: Tensor) -> Tensor:
    """weight * datum, and 0 where the weight is 0, whatever the datum (NaN too); differentiable in both."""
    return weight * torch.where(weight == 0, 0.0, datum)


def equation_matrix(problem: LinearODE) -> Tensor:
    """w_e c: (B, T or 1, E, D, K)."""
    p = problem.tensors
    return masked(p["weights.equation"][..., None, None], p["coefficients"])


def equation_constants(problem: LinearODE) -> Tensor:
    """w_e r: (B, T or 1, E)."""
    p = problem.tensors
    return masked(p["weights.equation"], p["forcing"])


def initial_constants(problem: LinearODE) -> Tensor:
    """w_i v: (B, T0 or 1, D, K0)."""
    p = problem.tensors
    return masked(p["weights.initial"], p["initial"])


def taylor_rows(problem: LinearODE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Forward and backward Taylor rows of x (..., T, D, K): two tensors (..., T-1, D, I)."""
    p, K, I = problem.tensors, problem.K, problem.taylor_orders
    weight = p["weights.taylor"][..., None]
    F = taylor_matrix(K, x)[:I]
    scale = powers(p["steps"], K)[..., None, :]
    mirror = powers(-p["steps"], K)[..., None, :]
    now, after = x[..., :-1, :, :], x[..., 1:, :, :]
    forward = (scale * now) @ F.mT - (scale * after)[..., :I]
    backward = (mirror * after) @ F.mT - (mirror * now)[..., :I]
    return weight * forward, weight * backward


def central_rows(problem: LinearODE, x: Tensor) -> Tensor:
    """Central rows of x (..., T, D, K): (..., T-2, D)."""
    p, K, T = problem.tensors, problem.K, problem.T
    h = p["steps"].expand(*p["steps"].shape[:-1], T - 1)
    span = (h[..., :-1] + h[..., 1:])[..., None]
    weight = p["weights.taylor"]
    weight = weight.expand(*weight.shape[:-2], T - 1, weight.shape[-1])[..., : T - 2, :]
    difference = x[..., :-2, :, K - 2] - x[..., 2:, :, K - 2]
    return weight * (span ** (K - 3) * difference + span ** (K - 2) * x[..., 1:-1, :, K - 1])


def data_rows(problem: LinearODE, x: Tensor) -> Tensor:
    """The equation and initial rows of x (..., T, D, K), the only ones with constants: (..., T*E + T0*D*K0)."""
    equation = torch.einsum("...edk,...dk->...e", equation_matrix(problem), x)
    initial = problem.tensors["weights.initial"] * x[..., : problem.T0, :, : problem.K0]
    return _join([equation, initial], [2, 3])


def data_constants(problem: LinearODE) -> Tensor:
    """The constants of the equation and initial rows, in that order."""
    equation = equation_constants(problem)
    initial = initial_constants(problem)
    equation = equation.expand(*equation.shape[:-2], problem.T, problem.E)
    initial = initial.expand(*initial.shape[:-3], problem.T0, problem.D, problem.K0)
    return _join([equation, initial], [2, 3])


def smooth_rows(problem: LinearODE, x: Tensor) -> Tensor:
    """The Taylor rows of x (..., T, D, K), forward then backward, and the central rows where there are any."""
    blocks, dims = list(taylor_rows(problem, x)), [3, 3]
    if problem.central:
        blocks.append(central_rows(problem, x))
        dims.append(2)
    return _join(blocks, dims)


def _join(blocks: list[Tensor], dims: list[int]) -> Tensor:
    """Blocks of rows with so many row dimensions, each with its own batch shape, side by side in one last dimension."""
    batch = broadcast_shapes(*(block.shape[: block.ndim - n] for block, n in zip(blocks, dims, strict=True)))
    full = [block.expand(*batch, *block.shape[block.ndim - n :]) for block, n in zip(blocks, dims, strict=True)]
    return torch.cat([block.flatten(-n) for block, n in zip(full, dims, strict=True)], dim=-1)


def rows(problem: LinearODE, x: Tensor) -> Tensor:
    """A x (..., rows) for x (..., T, D, K); leading dimensions broadcast with the batch shape of the matrix."""
    return _join([data_rows(problem, x), smooth_rows(problem, x)], [1, 1])


def constants(problem: LinearODE) -> Tensor:
    """b (..., rows): the constants of the rows, zero for Taylor and central rows."""
    data = data_constants(problem)
    n = (problem.T - 1) * problem.D * 2 * problem.taylor_orders + int(problem.central) * (problem.T - 2) * problem.D
    return torch.nn.functional.pad(data, (0, n))


def residual(problem: LinearODE, u: Tensor) -> Tensor:
    """A u - b (..., rows)."""
    return rows(problem, u) - constants(problem)
