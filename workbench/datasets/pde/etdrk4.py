"""Fourier pseudospectral ETDRK4 integration of u_t = L u + N(u) on a periodic interval.

Sources: Cox & Matthews, "Exponential Time Differencing for Stiff Systems", J. Comput. Phys. 176 (2002); Kassam &
Trefethen, "Fourth-Order Time-Stepping for Stiff PDEs", SIAM J. Sci. Comput. 26 (2005), for the contour integrals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

Nonlinear = Callable[[Tensor], Tensor]
"""Spectrum (B, N // 2 + 1) of u -> spectrum of N(u)."""
CONTOUR = 32
"""Points of the circular contour for the phi functions; 16 already give 15 digits."""


@dataclass(frozen=True, eq=False)
class Stepper:
    """One step of a batch (B, N): the weights of the method, complex (B, N // 2 + 1), and the nonlinear term N.

    The state is the spectrum v with u = irfft(v, norm="forward"). The weights of N include its factor.
    """

    nonlinear: Nonlinear
    whole: Tensor
    half: Tensor
    stage: Tensor
    first: Tensor
    middle: Tensor
    last: Tensor

    @classmethod
    def of(cls, linear: Tensor, steps: Tensor, nonlinear: Nonlinear, factor: Tensor | float = 1.0) -> "Stepper":
        """From L(k), linear (B, N // 2 + 1), time steps (B) and the nonlinear term factor * nonlinear."""
        h = steps[:, None]
        z = linear.to(torch.complex128) * h
        angle = 2 * pi * (torch.arange(CONTOUR, dtype=torch.float64, device=z.device) + 0.5) / CONTOUR
        r = z[..., None] + torch.polar(torch.ones_like(angle), angle)
        exp, square, cube = r.exp(), r.square(), r**3
        weights = (
            ((r / 2).exp() - 1) / r,
            (-4 - r + exp * (4 - 3 * r + square)) / cube,
            2 * (2 + r + exp * (r - 2)) / cube,
            (-4 - 3 * r - square + exp * (4 - r)) / cube,
        )
        return cls(nonlinear, z.exp(), (z / 2).exp(), *(factor * h * weight.mean(-1) for weight in weights))

    def __call__(self, v: Tensor) -> Tensor:
        """The spectrum one step later."""
        at_v = self.nonlinear(v)
        decayed = self.half * v
        a = torch.addcmul(decayed, self.stage, at_v)
        at_a = self.nonlinear(a)
        at_b = self.nonlinear(torch.addcmul(decayed, self.stage, at_a))
        at_c = self.nonlinear(torch.addcmul(self.half * a, self.stage, 2 * at_b - at_v))
        result = (self.whole * v).addcmul_(self.first, at_v)
        return result.addcmul_(self.middle, at_a.add_(at_b)).addcmul_(self.last, at_c)


def wavenumbers(points: int, lengths: Tensor) -> Tensor:
    """Wavenumbers (B, N // 2 + 1) of intervals of `lengths` (B)."""
    numbers = torch.arange(points // 2 + 1, dtype=torch.float64, device=lengths.device)
    return 2 * pi * numbers / lengths[:, None]


def advection(points: int, lengths: Tensor, *, dealias: bool) -> tuple[Nonlinear, Tensor]:
    """-u u_x = -1/2 (u^2)_x as the spectrum of u^2 and a factor, a form that conserves the mean of u.

    dealias: remove the upper third of the spectrum of u^2 (2/3 rule).
    """
    numbers = torch.arange(points // 2 + 1, device=lengths.device)
    # the derivative of the Nyquist mode is zero on the grid
    resolved = numbers <= points // 3 if dealias else numbers != points / 2

    def square(v: Tensor) -> Tensor:
        return torch.fft.rfft(torch.fft.irfft(v, n=points, norm="forward").square_())

    return square, torch.where(resolved, -0.5j * wavenumbers(points, lengths) / points, 0.0)


def integrate(start: Tensor, stepper: Stepper, *, frames: int, substeps: int) -> Tensor:
    """u (B, frames, N) from start (B, N) with `substeps` steps per frame; float64."""
    points = start.shape[-1]
    u = start.new_empty(len(start), frames, points)
    u[:, 0] = start
    v = torch.fft.rfft(start, norm="forward")
    for index in range(1, frames):
        for _ in range(substeps):
            v = stepper(v)
        u[:, index] = torch.fft.irfft(v, n=points, norm="forward")
    return u
