"""Data augmentation by the symmetries of u_t + u u_x + u_xxx = 0.

If u(x, t) is a solution, so are

    shift    u(x + a, t)                        on a periodic interval, for any a
    boost    u(x - v t, t) + v                  (Galilean)
    scale    s^2 u(s x, s^3 t)

and u(x, t + b), which is a window with another start.
Sources: P. J. Olver, "Applications of Lie Groups to Differential Equations" (1986), section 2.4; Brandstetter, Welling,
Worrall, "Lie Point Symmetry Data Augmentation for Neural PDE Solvers", ICML 2022.
"""

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ranges:
    """Largest absolute shift (in interval lengths), boost (in units of u) and change of scale (s - 1)."""

    shift: float = 0.0
    boost: float = 0.0
    scale: float = 0.0

    @property
    def any(self) -> bool:
        return max(self.shift, self.boost, self.scale) > 0


def shift_periodic(u: Tensor, shifts: Tensor) -> Tensor:
    """u (B, T, N) at x + shifts (B, T), in interval lengths; spectrally exact."""
    N = u.shape[-1]
    wavenumbers = torch.arange(N // 2 + 1, device=u.device, dtype=u.dtype)
    # the Nyquist mode of an even grid is a cosine that cannot be shifted
    amplitude = (wavenumbers != N / 2).to(u.dtype)
    phase = torch.polar(amplitude.expand(*shifts.shape, -1), 2 * pi * shifts[..., None] * wavenumbers)
    return torch.fft.irfft(torch.fft.rfft(u) * phase, n=N)


def augment(u: Tensor, step: Tensor, length: Tensor, ranges: Ranges, generator: torch.Generator) -> Tensor:
    """Apply a random symmetry to each sample of u (B, T, N); step, length (B): time step and interval length.

    Scaling also scales the grid, dx by 1/s and dt by 1/s^3, so only the values change, by s^2.
    """
    if not ranges.any:
        return u
    limits = torch.tensor([ranges.shift, ranges.boost, ranges.scale], dtype=u.dtype)
    random = (2 * torch.rand(len(u), 3, generator=generator, dtype=u.dtype) - 1) * limits
    shift, boost, scale = random.to(u.device).unbind(1)
    times = step[:, None] * torch.arange(u.shape[1], device=u.device, dtype=u.dtype)
    u = shift_periodic(u, shift[:, None] - boost[:, None] * times / length[:, None]) + boost[:, None, None]
    return u * (1 + scale[:, None, None]).square()
