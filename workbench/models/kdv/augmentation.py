"""The symmetries of u_t + u u_x + u_xxx = 0 as ways to make new samples of old ones.

With u(x, t) every one of these solves it, too:

    shift    u(x + a, t)                        on the circle, by any a
    boost    u(x - v t, t) + v                  (Galileo)
    scale    s^2 u(s x, s^3 t)

and u(x, t + b), which is a window that begins elsewhere.
Sources: P. J. Olver, "Applications of Lie Groups to Differential Equations" (1986), section 2.4; Brandstetter, Welling,
Worrall, "Lie Point Symmetry Data Augmentation for Neural PDE Solvers", ICML 2022.
"""

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ranges:
    """Largest shift (in interval lengths), boost (in units of u) and change of scale (s - 1), each to either side."""

    shift: float = 0.0
    boost: float = 0.0
    scale: float = 0.0

    @property
    def any(self) -> bool:
        return max(self.shift, self.boost, self.scale) > 0


def move(u: Tensor, places: Tensor) -> Tensor:
    """u (B, T, N) read at places (B, T) interval lengths further on: exact for what the grid resolves."""
    N = u.shape[-1]
    numbers = torch.arange(N // 2 + 1, device=u.device, dtype=u.dtype)
    # the highest wave of an even grid is a cosine that cannot be moved
    kept = (numbers != N / 2).to(u.dtype)
    turn = torch.polar(kept.expand(*places.shape, -1), 2 * pi * places[..., None] * numbers)
    return torch.fft.irfft(torch.fft.rfft(u) * turn, n=N)


def augment(u: Tensor, step: Tensor, length: Tensor, ranges: Ranges, generator: torch.Generator) -> Tensor:
    """Each sample of u (B, T, N) under a symmetry of its own; step, length (B): of its time grid and its interval.

    The grid goes with the scale: the values alone change by s^2, and dx by 1/s, dt by 1/s^3.
    """
    if not ranges.any:
        return u
    limits = torch.tensor([ranges.shift, ranges.boost, ranges.scale], dtype=u.dtype)
    drawn = (2 * torch.rand(len(u), 3, generator=generator, dtype=u.dtype) - 1) * limits
    shift, boost, scale = drawn.to(u.device).unbind(1)
    times = step[:, None] * torch.arange(u.shape[1], device=u.device, dtype=u.dtype)
    u = move(u, shift[:, None] - boost[:, None] * times / length[:, None]) + boost[:, None, None]
    return u * (1 + scale[:, None, None]).square()
