"""The rows of the least-squares problem, in plain torch.

With the symbols of `LinearODE`, u minimises the sum of squares of

    equation   w_e[t,e] (sum_{d,k} c[t,e,d,k] u[t,d,k] - r[t,e])
    initial    w_i[t,d,k] (u[t,d,k] - v[t,d,k])                                     t < T0, k < K0
    forward    w_s[t,d] (sum_{j>=i} h^j/(j-i)! u[t,d,j] - h^i u[t+1,d,i])           t < T-1, i < I
    backward   w_s[t,d] (sum_{j>=i} (-h)^j/(j-i)! u[t+1,d,j] - (-h)^i u[t,d,i])     t < T-1, i < I
    central    w_s[t,d] (H^(K-3) (u[t,d,K-2] - u[t+2,d,K-2]) + H^(K-2) u[t+1,d,K-1])   t < T-2, H = h[t] + h[t+1]

I = K without central rows (the default), I = K-1 with them. In this order they are the rows of A u - b.
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
    """weight * datum, and 0 where the weight is 0 even if the datum is NaN; differentiable in both."""
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
    left, right = x[..., :-1, :, :], x[..., 1:, :, :]
    forward = (scale * left) @ F.mT - (scale * right)[..., :I]
    backward = (mirror * right) @ F.mT - (mirror * left)[..., :I]
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
    """Equation and initial rows of x (..., T, D, K): (..., T*E + T0*D*K0). Only these rows have constants."""
    equation = torch.einsum("...edk,...dk->...e", equation_matrix(problem), x)
    initial = problem.tensors["weights.initial"] * x[..., : problem.T0, :, : problem.K0]
    return _join([equation, initial], [2, 3])


def data_constants(problem: LinearODE) -> Tensor:
    """Constants of the equation and initial rows: (..., T*E + T0*D*K0)."""
    equation = equation_constants(problem)
    initial = initial_constants(problem)
    equation = equation.expand(*equation.shape[:-2], problem.T, problem.E)
    initial = initial.expand(*initial.shape[:-3], problem.T0, problem.D, problem.K0)
    return _join([equation, initial], [2, 3])


def smooth_rows(problem: LinearODE, x: Tensor) -> Tensor:
    """Taylor rows of x (..., T, D, K), forward then backward, followed by the central rows if the problem has them."""
    blocks, dims = list(taylor_rows(problem, x)), [3, 3]
    if problem.central:
        blocks.append(central_rows(problem, x))
        dims.append(2)
    return _join(blocks, dims)


def _join(blocks: list[Tensor], dims: list[int]) -> Tensor:
    """Flatten the last dims[i] dimensions of blocks[i], broadcast the batch shapes, and concatenate along the last."""
    batch = broadcast_shapes(*(block.shape[: block.ndim - n] for block, n in zip(blocks, dims, strict=True)))
    full = [block.expand(*batch, *block.shape[block.ndim - n :]) for block, n in zip(blocks, dims, strict=True)]
    return torch.cat([block.flatten(-n) for block, n in zip(full, dims, strict=True)], dim=-1)


def rows(problem: LinearODE, x: Tensor) -> Tensor:
    """A x (..., rows) for x (..., T, D, K); leading dimensions broadcast with the batch shape of the matrix."""
    return _join([data_rows(problem, x), smooth_rows(problem, x)], [1, 1])


def constants(problem: LinearODE) -> Tensor:
    """b (..., rows), the constants of the rows; zero for Taylor and central rows."""
    data = data_constants(problem)
    n = (problem.T - 1) * problem.D * 2 * problem.taylor_orders + int(problem.central) * (problem.T - 2) * problem.D
    return torch.nn.functional.pad(data, (0, n))


def residual(problem: LinearODE, u: Tensor) -> Tensor:
    """A u - b (..., rows)."""
    return rows(problem, u) - constants(problem)
