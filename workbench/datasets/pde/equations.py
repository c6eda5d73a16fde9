"""Three equations u_t = -u u_x + L u on a periodic interval, and random trajectories of them as published.

Everything is dimensionless. Source of the parameters: Brandstetter, Welling, Worrall, "Lie Point Symmetry Data
Augmentation for Neural PDE Solvers", ICML 2022.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi

import numpy as np
import torch
from torch import Tensor

from workbench.datasets.pde.etdrk4 import Stepper, advection, integrate, waves

VISCOSITY = 0.01
HOPF_SCALE = 10.0
"""The logarithm of psi at the start of Burgers' equation lies in [-HOPF_SCALE, HOPF_SCALE]."""


@dataclass(frozen=True)
class PeriodicPDE:
    """u_t = -u u_x + L u.

    symbol: wave numbers k -> L(k), the factor by which L multiplies exp(i k x). terms: all of the right-hand side, and
    their coefficients. kept: the powers of u whose mean never changes.
    """

    title: str
    symbol: Callable[[Tensor], Tensor]
    terms: Mapping[str, float]
    kept: tuple[int, ...] = (1,)


def _kdv(k: Tensor) -> Tensor:
    return 1j * k**3


def _ks(k: Tensor) -> Tensor:
    return k**2 - k**4


def _burgers(k: Tensor) -> Tensor:
    return -VISCOSITY * k**2


EQUATIONS = {
    "kdv": PeriodicPDE("Korteweg-de Vries", _kdv, {"u u_x": -1.0, "u_xxx": -1.0}, kept=(1, 2)),
    "ks": PeriodicPDE("Kuramoto-Sivashinsky", _ks, {"u_xx": -1.0, "u u_x": -1.0, "u_xxxx": -1.0}),
    "burgers": PeriodicPDE("Burgers", _burgers, {"u_xx": VISCOSITY, "u u_x": -1.0}),
}


@dataclass(frozen=True)
class Setup:
    """How trajectories of an equation are drawn.

    Per trajectory the end T and the length L are uniform within `spread` of `end` and `length`. There are `frames`
    frames on [0, T], the last `kept` of which are stored, on `points` grid points. The start is a sum of `waves` sines
    sum A sin(2 pi l x / L + phi), A uniform in (-1/2, 1/2), l among 1 ... `highest`, phi in (0, 2 pi). `file` and
    `suffix` make the names of files. `substeps`: of the integrator, per frame; then every frame is right to 1e-5.
    """

    equation: str
    file: str
    end: float
    length: float
    suffix: str = ""
    spread: float = 0.1
    frames: int = 250
    kept: int = 140
    points: int = 256
    waves: int = 10
    highest: int = 2
    substeps: int = 20


SETUPS = {
    "kdv-easy": Setup("kdv", "KdV", end=50.0, length=128.0, suffix="easy"),
    "kdv": Setup("kdv", "KdV", end=100.0, length=128.0, substeps=40),
    "ks": Setup("ks", "KS", end=100.0, length=64.0, frames=500),
    "burgers": Setup(
        "burgers", "Burgers", end=18.0, length=2 * pi, spread=0.0, frames=180, waves=20, highest=6
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fields:
    """Trajectories u (B, T, N) at times t (B, T), the interval of each `lengths` (B) long; failed: why, by index."""

    u: np.ndarray
    t: np.ndarray
    lengths: np.ndarray
    failed: Mapping[int, str] = field(default_factory=dict)


def simulate(
    setup: Setup, indices: range, *, seed: int, split: int = 0, device: str = "cpu", dealias: bool = False
) -> Fields:
    """The trajectories of these indices; each has a random generator of its own, so no result depends on the others.

    split: 0, 1, 2 for train, valid, test. A trajectory that is not finite or changes what the equation conserves is
    stored as zeros and stands in `failed`.
    """
    drawn = [_draw(setup, np.random.default_rng([seed, split, index])) for index in indices]
    starts, lengths, ends = (np.array(part) for part in zip(*drawn, strict=True))
    times = np.linspace(0.0, ends, setup.frames, axis=1)
    equation = EQUATIONS[setup.equation]
    start = torch.from_numpy(starts).to(device)
    L, frame = (torch.from_numpy(x).to(device) for x in (lengths, ends / (setup.frames - 1)))
    if setup.equation == "burgers":
        u = _heat(start, L, torch.from_numpy(times[:, -setup.kept :]).to(device))
        before = torch.zeros(len(u))
    else:
        linear = equation.symbol(waves(setup.points, L))
        stepper = Stepper.of(linear, frame / setup.substeps, *advection(setup.points, L, dealias=dealias))
        u = integrate(start, stepper, frames=setup.frames, substeps=setup.substeps)
        before, u = start, u[:, -setup.kept :]
    values = u.cpu().numpy()
    failed = _failures(equation, before.cpu().numpy(), values)
    values[list(failed)] = 0.0
    return Fields(values, times[:, -setup.kept :], lengths, {indices[row]: why for row, why in failed.items()})


def _draw(setup: Setup, generator: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Start (N), length and end of one trajectory."""
    end, length = (x * (1 + setup.spread * generator.uniform(-1, 1)) for x in (setup.end, setup.length))
    amplitudes = generator.uniform(-0.5, 0.5, setup.waves)
    numbers = generator.integers(1, setup.highest + 1, setup.waves)
    phases = generator.uniform(0, 2 * pi, setup.waves)
    angle = 2 * pi * np.arange(setup.points)[:, None] / setup.points
    return (amplitudes * np.sin(numbers * angle + phases)).sum(axis=1), length, end


TOLERANCES = {1: 1e-9, 2: 1e-4}
"""How far a mean power may drift, relative to the root mean square of the start to that power."""


def _failures(equation: PeriodicPDE, start: np.ndarray, u: np.ndarray) -> dict[int, str]:
    """Which trajectories (B, T, N) are not what their equation allows, and why."""
    failed = {}
    for row, own in enumerate(u):
        if not np.isfinite(own).all():
            failed[row] = "it is not finite"
            continue
        drifts = drift(start[row] if start.ndim > 1 else own[0], own, equation)
        for power, value in drifts.items():
            if not value <= TOLERANCES[power]:
                failed[row] = f"the mean of u^{power} drifts by {value:.1e}"
    return failed


def drift(start: np.ndarray, u: np.ndarray, equation: PeriodicPDE) -> dict[int, float]:
    """How far the mean of u^p over x moves from that of start (N) on u (T, N), over the root mean square to the p."""
    unit = max(float(np.sqrt(np.mean(start**2))), 1e-300)
    return {p: float(np.abs((u**p).mean(-1) - (start**p).mean()).max() / unit**p) for p in equation.kept}


def _heat(start: Tensor, lengths: Tensor, times: Tensor) -> Tensor:
    """Burgers' equation (B, T, N): its potential obeys the heat equation, which Fourier solves exactly.

    psi(0) = exp(s), s being `start` (B, N) stretched to [-HOPF_SCALE, HOPF_SCALE].
    """
    low, high = start.amin(-1, keepdim=True), start.amax(-1, keepdim=True)
    psi = (HOPF_SCALE * (2 * (start - low) / (high - low) - 1)).exp()
    decay = (_burgers(waves(start.shape[-1], lengths))[:, None] * times[..., None]).exp()
    return cole_hopf(torch.fft.irfft(torch.fft.rfft(psi)[:, None] * decay, n=start.shape[-1]), lengths)


def cole_hopf(psi: Tensor, lengths: Tensor) -> Tensor:
    """u = -2 VISCOSITY psi_x / psi (B, T, N): it solves Burgers' equation where psi solves the heat equation.

    Source: Cole (1951), Hopf (1950).
    """
    slope = 1j * waves(psi.shape[-1], lengths)
    if psi.shape[-1] % 2 == 0:
        slope[:, -1] = 0.0
    return -2 * VISCOSITY * torch.fft.irfft(torch.fft.rfft(psi) * slope[:, None], n=psi.shape[-1]) / psi
