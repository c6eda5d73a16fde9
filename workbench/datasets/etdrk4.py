"""u_t = -u u_x + L u on a periodic interval: Fourier in space, an exponential Runge-Kutta method in time.

Sources: Cox & Matthews, "Exponential Time Differencing for Stiff Systems", J. Comput. Phys. 176 (2002); Kassam &
Trefethen, "Fourth-Order Time-Stepping for Stiff PDEs", SIAM J. Sci. Comput. 26 (2005), for the contour integrals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

Symbol = Callable[[Tensor], Tensor]
"""Wave numbers k -> L(k), the factor by which L multiplies exp(i k x)."""
CONTOUR = 32
"""Points of the circle over which phi functions are averaged; 16 already give 15 digits."""


@dataclass(frozen=True, eq=False)
class Stepper:
    """One step for a batch (B, N): the weights of the method, complex (B, N // 2 + 1), the advection inside them.

    The state is the spectrum v with u = irfft(v, norm="forward"), and the nonlinear term is -1/2 (u^2)_x: the mean of
    u stays what it is.
    """

    points: int
    whole: Tensor
    half: Tensor
    stage: Tensor
    first: Tensor
    middle: Tensor
    last: Tensor

    @classmethod
    def of(cls, symbol: Symbol, points: int, lengths: Tensor, steps: Tensor, *, dealias: bool) -> "Stepper":
        """For intervals of `lengths` (B) and steps in time (B), float64; dealias: cut the upper third of u^2 off."""
        numbers = torch.arange(points // 2 + 1, dtype=torch.float64, device=lengths.device)
        k = 2 * pi * numbers / lengths[:, None]
        h = steps[:, None]
        z = symbol(k).to(torch.complex128) * h
        angle = 2 * pi * (torch.arange(CONTOUR, dtype=torch.float64, device=z.device) + 0.5) / CONTOUR
        r = z[..., None] + torch.polar(torch.ones_like(angle), angle)
        exp, square, cube = r.exp(), r.square(), r**3
        # the highest wave of an even grid has no slope that the grid can show
        slope = torch.where(numbers == points // 2, 0.0, k) if points % 2 == 0 else k
        if dealias:
            slope = torch.where(numbers > points // 3, 0.0, slope)
        advection = -0.5j * slope * h / points
        return cls(
            points,
            z.exp(),
            (z / 2).exp(),
            advection * (((r / 2).exp() - 1) / r).mean(-1),
            advection * ((-4 - r + exp * (4 - 3 * r + square)) / cube).mean(-1),
            advection * (2 * (2 + r + exp * (r - 2)) / cube).mean(-1),
            advection * ((-4 - 3 * r - square + exp * (4 - r)) / cube).mean(-1),
        )

    def __call__(self, v: Tensor) -> Tensor:
        """The spectrum one step later."""
        at_v = self._square(v)
        decayed = self.half * v
        a = torch.addcmul(decayed, self.stage, at_v)
        at_a = self._square(a)
        at_b = self._square(torch.addcmul(decayed, self.stage, at_a))
        at_c = self._square(torch.addcmul(self.half * a, self.stage, 2 * at_b - at_v))
        later = (self.whole * v).addcmul_(self.first, at_v)
        return later.addcmul_(self.middle, at_a.add_(at_b)).addcmul_(self.last, at_c)

    def _square(self, v: Tensor) -> Tensor:
        """The spectrum of u^2, times the number of points."""
        return torch.fft.rfft(torch.fft.irfft(v, n=self.points, norm="forward").square_())


def integrate(
    start: Tensor, symbol: Symbol, lengths: Tensor, frame: Tensor, *, frames: int, substeps: int, dealias: bool = False
) -> Tensor:
    """u (B, frames, N) at times 0, frame, 2 frame, ... from start (B, N), frame (B) long apart; all float64.

    lengths (B): of the intervals. substeps: steps of the method per frame. Runs on the device of `start`.
    """
    points = start.shape[-1]
    stepper = Stepper.of(symbol, points, lengths, frame / substeps, dealias=dealias)
    found = start.new_empty(len(start), frames, points)
    found[:, 0] = start
    v = torch.fft.rfft(start, norm="forward")
    for index in range(1, frames):
        for _ in range(substeps):
            v = stepper(v)
        found[:, index] = torch.fft.irfft(v, n=points, norm="forward")
    return found
