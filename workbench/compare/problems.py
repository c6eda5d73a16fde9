"""Linear ODEs with a closed-form solution."""

import cmath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from workbench.solver import LinearODE, Weights

READING = 1e-3
"""Weight of the noisy readings relative to the rows of the equation, which is exact."""


class ClosedForm(NamedTuple):
    """An equation sum_k c_k u^(k) = f with a closed-form solution.

    coefficients: c_0, c_1, ... modes: exponents s_j and amplitudes A_j of u = Re sum_j A_j exp(s_j t); both take the
    parameters as keyword arguments. forcing: f from the times (T) and a mapping of all parameters.
    """

    title: str
    defaults: Mapping[str, float]
    coefficients: Callable[..., list[float]]
    modes: Callable[..., tuple[list[complex], list[complex]]]
    forcing: Callable[[np.ndarray, Mapping[str, float]], np.ndarray] = lambda t, parameters: np.zeros_like(t)


def _decay_modes(rate: float, start: float) -> tuple[list[complex], list[complex]]:
    return [-rate], [start]


def _oscillator_modes(damping: float, stiffness: float, start: float, velocity: float) -> tuple[list, list]:
    """u = A e^(s t) + B e^(q t) with the roots s, q of s^2 + c s + w2 = 0, from u(0) and u'(0)."""
    root = cmath.sqrt(damping**2 / 4 - stiffness)
    if root == 0:
        raise ValueError("damping: expected damping^2 != 4 stiffness, since critical damping is no sum of exponentials")
    s, q = -damping / 2 + root, -damping / 2 - root
    return [s, q], [(velocity - q * start) / (s - q), (velocity - s * start) / (q - s)]


def _driven_modes(rate: float, frequency: float, start: float) -> tuple[list, list]:
    """Response to sin(w t) = Re(-i e^(i w t)): Re(-i e^(i w t) / (i w + a))."""
    response = -1j / (1j * frequency + rate)
    return [-rate, 1j * frequency], [start - response.real, response]


FORMS = {
    "decay": ClosedForm(
        "u' + rate u = 0",
        {"rate": 1.0, "start": 1.0},
        lambda rate, start: [rate, 1.0],
        _decay_modes,
    ),
    "oscillator": ClosedForm(
        "u'' + damping u' + stiffness u = 0",
        {"damping": 0.1, "stiffness": 1.0, "start": 1.0, "velocity": 0.0},
        lambda damping, stiffness, start, velocity: [stiffness, damping, 1.0],
        _oscillator_modes,
    ),
    "driven": ClosedForm(
        "u' + rate u = sin(frequency t)",
        {"rate": 0.5, "frequency": 2.0, "start": 0.0},
        lambda rate, frequency, start: [rate, 1.0],
        _driven_modes,
        lambda t, parameters: np.sin(parameters["frequency"] * t),
    ),
}


@dataclass(frozen=True)
class Example:
    """Problem with a closed-form solution: T grid points, step h, K derivatives, `central` rows, dtype, device.

    noise 0: initial values of the derivatives below the order of the equation are given. noise > 0: instead, readings
    of u at all grid points, with normal noise of this standard deviation and weight `READING`, seeded. `parameters`:
    those of the form that differ from its defaults.

    Raises ValueError naming the invalid field.
    """

    form: str = "oscillator"
    T: int = 1000
    h: float = 0.01
    K: int = 3
    noise: float = 0.0
    central: bool = False
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"form: expected one of {', '.join(FORMS)}, found {self.form!r}")
        unknown = set(self.parameters) - set(FORMS[self.form].defaults)
        if unknown:
            raise ValueError(f"parameters: {self.form} has no {', '.join(sorted(unknown))}")
        if self.T < 2 or not self.h > 0 or self.noise < 0:
            raise ValueError(
                f"expected T >= 2, h > 0 and noise >= 0, found T = {self.T}, h = {self.h}, noise = {self.noise}"
            )
        if self.order >= self.K:
            raise ValueError(f"K: expected more than the order {self.order} of {self.form}, found {self.K}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype: expected 'float32' or 'float64', found {self.dtype!r}")
        self.exact()

    @property
    def values(self) -> dict[str, float]:
        """All parameters of the form by name."""
        return {**FORMS[self.form].defaults, **self.parameters}

    @property
    def order(self) -> int:
        """Order of the equation."""
        form = FORMS[self.form]
        return len(form.coefficients(**form.defaults)) - 1

    def time(self) -> np.ndarray:
        """Grid points (T), from 0."""
        return np.arange(self.T) * self.h

    def exact(self) -> np.ndarray:
        """Closed-form solution and its derivatives (T, K)."""
        rates, amplitudes = (np.array(x, dtype=complex) for x in FORMS[self.form].modes(**self.values))
        waves = amplitudes * np.exp(np.multiply.outer(self.time(), rates))
        return np.stack([(waves * rates**k).sum(-1).real for k in range(self.K)], axis=-1)

    def readings(self) -> np.ndarray | None:
        """Noisy readings of u (T); None without noise."""
        if self.noise == 0:
            return None
        return self.exact()[:, 0] + self.noise * np.random.default_rng(self.seed).normal(size=self.T)

    def problem(self) -> LinearODE:
        """The problem, with batch shape (), D = E = 1, and tensors that require gradients."""
        form, readings = FORMS[self.form], self.readings()
        c = np.zeros((1, 1, 1, self.K))
        c[..., : self.order + 1] = form.coefficients(**self.values)
        forcing = form.forcing(self.time(), self.values)[:, None]
        initial = self.exact()[:1, None, : self.order] if readings is None else readings[:, None, None]
        kind = getattr(torch, self.dtype)
        arrays = (c, forcing, initial, np.full(1, self.h))
        tensors = [torch.as_tensor(x, dtype=kind, device=self.device).requires_grad_() for x in arrays]
        weights = Weights() if readings is None else Weights(initial=READING)
        return LinearODE(*tensors, weights=weights, central=self.central, n_steps=self.T)
