"""What a partial differential equation u_t = Theta(u, u_x, ...) Xi on a periodic interval may be made of.

Every candidate is scale * d^outer/dx^outer (d^a u/dx^a d^b u/dx^b ...), so that Fourier modes see as few derivatives of
the data as can be: u u_x is half the slope of u^2, whose error is the noise and not its derivative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


@dataclass(frozen=True)
class Term:
    """One candidate; `inner` are the orders of the derivatives that are multiplied, `outer` that of the product."""

    name: str
    latex: str
    outer: int
    inner: tuple[int, ...]
    scale: float = 1.0

    @property
    def linear(self) -> bool:
        """Whether it is a derivative of u, or u itself."""
        return len(self.inner) == 1


def derivative(order: int) -> Term:
    """u, u_x, u_xx, ..."""
    x = "x" * order
    return Term(f"u_{x}" if order else "u", f"u_{{{x}}}" if order else "u", order, (0,))


def library(orders: int) -> tuple[Term, ...]:
    """u and its derivatives up to `orders`, then products of two and three factors with at most two derivatives.

    A constant is not among them: only the mean of u could tell it, and the mean is left out of the fit.
    """
    products = (
        Term("u^2", "u^2", 0, (0, 0)),
        Term("u u_x", r"u\,u_x", 1, (0, 0), 1 / 2),
        Term("u u_xx", r"u\,u_{xx}", 0, (0, 2)),
        Term("u_x^2", "u_x^2", 0, (1, 1)),
        Term("u^3", "u^3", 0, (0, 0, 0)),
        Term("u^2 u_x", r"u^2\,u_x", 1, (0, 0, 0), 1 / 3),
    )
    return (*map(derivative, range(orders + 1)), *products)


@dataclass(frozen=True, eq=False)
class Field:
    """u (T, N) every `step` of time on a periodic interval `length` long, N grid points.

    Raises ValueError for what is not such a field: other dimensions, values that are not finite, no change in time.
    """

    values: Array
    step: float
    length: float

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or min(self.values.shape) < 8:
            raise ValueError(f"a field: expected at least 8 times and 8 grid points, found {self.values.shape}")
        if not np.isfinite(self.values).all():
            time, point = np.argwhere(~np.isfinite(self.values))[0]
            raise ValueError(f"a field: expected finite values, found {self.values[time, point]} at {time}, {point}")
        if not (self.step > 0 and self.length > 0):
            raise ValueError(f"a field: expected step and length > 0, found {self.step} and {self.length}")
        if np.ptp(self.values, axis=0).max() == 0:
            raise ValueError("a field: it never changes, there is no equation to discover for it")

    @property
    def waves(self) -> Array:
        """The wave numbers of `spectrum` (N // 2 + 1)."""
        return 2 * pi * np.arange(self.values.shape[1] // 2 + 1) / self.length

    @property
    def spectrum(self) -> Spectrum:
        """Amplitudes (T, N // 2 + 1)."""
        return transform(self.values)

    def smooth(self, order: int, modes: int) -> Array:
        """d^order u / dx^order of the first `modes` waves."""
        kept = np.where(np.arange(len(self.waves)) <= modes, (1j * self.waves) ** order, 0.0)
        return np.fft.irfft(self.spectrum * kept, n=self.values.shape[1], axis=-1, norm="forward")


def transform(values: Array) -> Spectrum:
    """Amplitudes (..., N // 2 + 1) of values (..., N)."""
    return np.fft.rfft(values, axis=-1, norm="forward")


def spectra(field: Field, terms: Sequence[Term], modes: int, smooth: int) -> Spectrum:
    """The first `modes` waves, and the mean, of every term (C, T, modes + 1).

    Derivatives inside a product are taken of the first `smooth` waves; u itself enters as it is: noise that is
    multiplied with itself changes the mean alone.
    """
    inner = {order: field.smooth(order, smooth) for term in terms for order in term.inner if order}
    inner[0] = field.values
    slope = 1j * field.waves[: modes + 1]
    found = []
    for term in terms:
        product = np.prod([inner[order] for order in term.inner], axis=0)
        found.append(term.scale * slope**term.outer * transform(product)[:, : modes + 1])
    return np.stack(found)


@dataclass(frozen=True)
class Floor:
    """The mean power of each wave, of noise alone: the same for all. `noise`: its standard deviation on the grid."""

    power: float
    points: int

    @classmethod
    def of(cls, field: Field) -> "Floor":
        """From the upper quarter of the spectrum, where smooth fields have nothing."""
        power = mean_power(field)
        return cls(float(np.median(power[3 * len(power) // 4 :])), field.values.shape[1])

    @property
    def noise(self) -> float:
        return float(np.sqrt(self.power * self.points))

    def cut(self, field: Field, ratio: float) -> int:
        """The last wave whose power is `ratio` times the floor; at least 3, and below the last of the grid."""
        above = np.flatnonzero(mean_power(field) >= ratio * self.power)
        last = len(field.waves) - 2
        return int(min(max(above[-1] if len(above) else 0, 3), last))


def mean_power(field: Field) -> Array:
    """The power of each wave (N // 2 + 1), its mean over time."""
    return (np.abs(field.spectrum) ** 2).mean(axis=0)
