"""Random trajectories of three equations u_t = -u u_x + L u on a periodic interval, with the published parameters.

Dimensionless. Source of the parameters: Brandstetter, Welling, Worrall, "Lie Point Symmetry Data
Augmentation for Neural PDE Solvers", ICML 2022.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi

import numpy as np
import torch
from torch import Tensor

from workbench.datasets.pde.etdrk4 import Stepper, advection, integrate, wavenumbers

VISCOSITY = 0.01
HOPF_SCALE = 10.0
"""Bound of |log psi| at the start of Burgers' equation."""


@dataclass(frozen=True)
class PeriodicPDE:
    """u_t = -u u_x + L u.

    symbol: wavenumbers k -> L(k), the Fourier symbol of L. terms: coefficients of the right-hand side by term.
    conserved: powers of u whose mean is conserved.
    """

    title: str
    symbol: Callable[[Tensor], Tensor]
    terms: Mapping[str, float]
    conserved: tuple[int, ...] = (1,)


def _kdv(k: Tensor) -> Tensor:
    return 1j * k**3


def _ks(k: Tensor) -> Tensor:
    return k**2 - k**4


def _burgers(k: Tensor) -> Tensor:
    return -VISCOSITY * k**2


EQUATIONS = {
    "kdv": PeriodicPDE("Korteweg-de Vries", _kdv, {"u u_x": -1.0, "u_xxx": -1.0}, conserved=(1, 2)),
    "ks": PeriodicPDE("Kuramoto-Sivashinsky", _ks, {"u_xx": -1.0, "u u_x": -1.0, "u_xxxx": -1.0}),
    "burgers": PeriodicPDE("Burgers", _burgers, {"u_xx": VISCOSITY, "u u_x": -1.0}),
}


@dataclass(frozen=True)
class FieldSetup:
    """Distribution of the trajectories of an equation.

    The end T and the length L are uniform within a fraction `spread` of `end` and `length`. Of `frames` frames on
    [0, T] the last `kept` are stored, on `points` grid points. The initial field is a sum of `waves` sines
    A sin(2 pi l x / L + phi), A uniform in (-1/2, 1/2), l in 1 ... `highest`, phi uniform in (0, 2 pi). `file` and
    `suffix` are parts of file names. `substeps`: integration steps per frame, for an accuracy of 1e-5.
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
    "kdv-easy": FieldSetup("kdv", "KdV", end=50.0, length=128.0, suffix="easy"),
    "kdv": FieldSetup("kdv", "KdV", end=100.0, length=128.0, substeps=40),
    "ks": FieldSetup("ks", "KS", end=100.0, length=64.0, frames=500),
    "burgers": FieldSetup(
        "burgers", "Burgers", end=18.0, length=2 * pi, spread=0.0, frames=180, waves=20, highest=6
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fields:
    """Trajectories u (B, T, N) at times t (B, T) on intervals of `lengths` (B); failed: reason by index."""

    u: np.ndarray
    t: np.ndarray
    lengths: np.ndarray
    failed: Mapping[int, str] = field(default_factory=dict)


def simulate(
    setup: FieldSetup, indices: range, *, seed: int, split: int = 0, device: str = "cpu", dealias: bool = False
) -> Fields:
    """The trajectories of these indices, each from its own random generator and independent of the others.

    split: 0, 1, 2 for train, valid, test. A trajectory that is not finite, or violates a conservation law of the
    equation, is set to zero and listed in `failed`.
    """
    samples = [_sample(setup, np.random.default_rng([seed, split, index])) for index in indices]
    starts, lengths, ends = (np.array(part) for part in zip(*samples, strict=True))
    times = np.linspace(0.0, ends, setup.frames, axis=1)
    equation = EQUATIONS[setup.equation]
    start = torch.from_numpy(starts).to(device)
    L, frame = (torch.from_numpy(x).to(device) for x in (lengths, ends / (setup.frames - 1)))
    if setup.equation == "burgers":
        u = _burgers_solution(start, L, torch.from_numpy(times[:, -setup.kept :]).to(device))
        initial = torch.zeros(len(u))
    else:
        linear = equation.symbol(wavenumbers(setup.points, L))
        stepper = Stepper.of(linear, frame / setup.substeps, *advection(setup.points, L, dealias=dealias))
        u = integrate(start, stepper, frames=setup.frames, substeps=setup.substeps)
        initial, u = start, u[:, -setup.kept :]
    values = u.cpu().numpy()
    failed = _failures(equation, initial.cpu().numpy(), values)
    values[list(failed)] = 0.0
    return Fields(values, times[:, -setup.kept :], lengths, {indices[row]: reason for row, reason in failed.items()})


def _sample(setup: FieldSetup, generator: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Initial field (N), length and end time of one trajectory."""
    end, length = (x * (1 + setup.spread * generator.uniform(-1, 1)) for x in (setup.end, setup.length))
    amplitudes = generator.uniform(-0.5, 0.5, setup.waves)
    numbers = generator.integers(1, setup.highest + 1, setup.waves)
    phases = generator.uniform(0, 2 * pi, setup.waves)
    angle = 2 * pi * np.arange(setup.points)[:, None] / setup.points
    return (amplitudes * np.sin(numbers * angle + phases)).sum(axis=1), length, end


TOLERANCES = {1: 1e-9, 2: 1e-4}
"""Largest drift of the mean of a power of u, relative to that power of the initial root mean square."""


def _failures(equation: PeriodicPDE, start: np.ndarray, u: np.ndarray) -> dict[int, str]:
    """Reasons of the trajectories (B, T, N) that are not finite or violate a conservation law, by index."""
    failed = {}
    for row, trajectory in enumerate(u):
        if not np.isfinite(trajectory).all():
            failed[row] = "not finite"
            continue
        drifts = drift(start[row] if start.ndim > 1 else trajectory[0], trajectory, equation)
        for power, value in drifts.items():
            if not value <= TOLERANCES[power]:
                failed[row] = f"the mean of u^{power} drifts by {value:.1e}"
    return failed


def drift(start: np.ndarray, u: np.ndarray, equation: PeriodicPDE) -> dict[int, float]:
    """Largest drift of the mean of u^p, u (T, N), from that of start (N), over the p-th power of its rms; by p."""
    rms = max(float(np.sqrt(np.mean(start**2))), 1e-300)
    return {p: float(np.abs((u**p).mean(-1) - (start**p).mean()).max() / rms**p) for p in equation.conserved}


def _burgers_solution(start: Tensor, lengths: Tensor, times: Tensor) -> Tensor:
    """Exact solution (B, T, N) of Burgers' equation: its Cole-Hopf potential psi solves the heat equation.

    psi(0) = exp(s) with `start` (B, N) scaled to s in [-HOPF_SCALE, HOPF_SCALE].
    """
    low, high = start.amin(-1, keepdim=True), start.amax(-1, keepdim=True)
    psi = (HOPF_SCALE * (2 * (start - low) / (high - low) - 1)).exp()
    decay = (_burgers(wavenumbers(start.shape[-1], lengths))[:, None] * times[..., None]).exp()
    return cole_hopf(torch.fft.irfft(torch.fft.rfft(psi)[:, None] * decay, n=start.shape[-1]), lengths)


def cole_hopf(psi: Tensor, lengths: Tensor) -> Tensor:
    """u = -2 VISCOSITY psi_x / psi (B, T, N), a solution of Burgers' equation if psi solves the heat equation.

    Source: J. D. Cole (1951), E. Hopf (1950).
    """
    derivative = 1j * wavenumbers(psi.shape[-1], lengths)
    if psi.shape[-1] % 2 == 0:
        derivative[:, -1] = 0.0
    return -2 * VISCOSITY * torch.fft.irfft(torch.fft.rfft(psi) * derivative[:, None], n=psi.shape[-1]) / psi
