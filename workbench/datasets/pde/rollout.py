"""Time integration of u_t = sum of coefficient * scale * d^outer/dx^outer (product of derivatives of u)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from workbench.datasets.pde.etdrk4 import Stepper, integrate, wavenumbers

Product = tuple[float, int, tuple[int, ...]]
"""Coefficient times scale, outer order, and the orders of the multiplied derivatives."""


def rollout(
    start: np.ndarray, products: Sequence[Product], length: float, step: float, *, frames: int, substeps: int = 10
) -> np.ndarray:
    """u (frames, N) at intervals of `step` from start (N); NaN from the frame where |u| exceeds 20 times its start.

    Terms linear in u are integrated exactly in time.
    """
    points = len(start)
    interval = torch.tensor([length], dtype=torch.float64)
    k = wavenumbers(points, interval)
    derivative = 1j * torch.where(torch.arange(points // 2 + 1) == points / 2, 0.0, k)
    linear = torch.zeros_like(derivative)
    nonlinear_terms = []
    for coefficient, outer, inner in products:
        if len(inner) == 1:
            order = outer + inner[0]
            linear = linear + coefficient * (1j * k if order % 2 == 0 else derivative) ** order
        else:
            nonlinear_terms.append((coefficient * derivative**outer, inner))

    def nonlinear(v: Tensor) -> Tensor:
        factors = {
            order: torch.fft.irfft(derivative**order * v, n=points, norm="forward")
            for order in {order for _, inner in nonlinear_terms for order in inner}
        }
        total = torch.zeros_like(v)
        for weight, inner in nonlinear_terms:
            product = torch.ones_like(factors[inner[0]])
            for order in inner:
                product = product * factors[order]
            total = total + weight * torch.fft.rfft(product, norm="forward")
        return total

    stepper = Stepper.of(linear, torch.tensor([step / substeps], dtype=torch.float64), nonlinear)
    u = integrate(torch.from_numpy(start.copy())[None], stepper, frames=frames, substeps=substeps)[0].numpy()
    limit = 20 * max(float(np.abs(start).max()), 1e-300)
    diverged = ~(np.abs(u).max(axis=1) <= limit)
    u[np.cumsum(diverged) > 0] = np.nan
    return u
