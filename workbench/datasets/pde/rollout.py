"""Any equation u_t = sum of coefficient * scale * d^outer/dx^outer (product of derivatives of u), followed in time."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from workbench.datasets.pde.etdrk4 import Stepper, integrate, waves

Product = tuple[float, int, tuple[int, ...]]
"""Coefficient times scale, outer order, orders of the derivatives that are multiplied."""


def follow(
    start: np.ndarray, products: Sequence[Product], length: float, step: float, *, frames: int, substeps: int = 10
) -> np.ndarray:
    """u (frames, N) every `step` from start (N); NaN from where it blows up.

    Terms that are linear in u are exact in time.
    """
    points = len(start)
    interval = torch.tensor([length], dtype=torch.float64)
    k = waves(points, interval)
    slope = 1j * torch.where(torch.arange(points // 2 + 1) == points / 2, 0.0, k)
    linear = torch.zeros_like(slope)
    rest = []
    for coefficient, outer, inner in products:
        if len(inner) == 1:
            order = outer + inner[0]
            linear = linear + coefficient * (1j * k if order % 2 == 0 else slope) ** order
        else:
            rest.append((coefficient * slope**outer, inner))

    def nonlinear(v: Tensor) -> Tensor:
        factors = {
            order: torch.fft.irfft(slope**order * v, n=points, norm="forward")
            for order in {order for _, inner in rest for order in inner}
        }
        total = torch.zeros_like(v)
        for weight, inner in rest:
            product = torch.ones_like(factors[inner[0]])
            for order in inner:
                product = product * factors[order]
            total = total + weight * torch.fft.rfft(product, norm="forward")
        return total

    stepper = Stepper.of(linear, torch.tensor([step / substeps], dtype=torch.float64), nonlinear)
    found = integrate(torch.from_numpy(start.copy())[None], stepper, frames=frames, substeps=substeps)[0].numpy()
    limit = 20 * max(float(np.abs(start).max()), 1e-300)
    lost = ~(np.abs(found).max(axis=1) <= limit)
    found[np.cumsum(lost) > 0] = np.nan
    return found
