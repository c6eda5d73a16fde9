"""The block bidiagonal factor and its triangular sweeps."""

from typing import NamedTuple

import torch
from torch import Tensor


class Factor(NamedTuple):
    """U (T, L, R, R) upper triangular; A (1 or 2, T, L, R, R), where A[i] multiplies u_{t+1+i}, zero past the end."""

    U: Tensor
    A: Tensor


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
