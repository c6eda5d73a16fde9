"""Candidate terms of u_t = Theta(u, u_x, ...) Xi on a periodic interval, and their spectra.

Every candidate is scale * d^outer/dx^outer (d^a u/dx^a d^b u/dx^b ...), which differentiates the data as little as
possible: u u_x = (u^2)_x / 2 needs u^2 only, whose error is the noise and not its derivative.
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
    """A candidate; `inner`: orders of the multiplied derivatives, `outer`: order of the derivative of the product."""

    name: str
    latex: str
    outer: int
    inner: tuple[int, ...]
    scale: float = 1.0

    @property
    def linear(self) -> bool:
        """Whether the term is u or a derivative of u."""
        return len(self.inner) == 1


def derivative(order: int) -> Term:
    """u, u_x, u_xx, ..."""
    x = "x" * order
    return Term(f"u_{x}" if order else "u", f"u_{{{x}}}" if order else "u", order, (0,))


def library(orders: int) -> tuple[Term, ...]:
    """u and its derivatives up to `orders`, then products of two and three factors with at most two derivatives.

    There is no constant term: it affects only the mean of u, which the fit excludes.
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
    """u (T, N) at T times, `step` apart, on N grid points of a periodic interval of length `length`.

    Raises ValueError for other dimensions, fewer than 8 times or grid points, non-finite values, a `step` or `length`
    that is not positive, or a field that is constant in time.
    """

    values: Array
    step: float
    length: float

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or min(self.values.shape) < 8:
            raise ValueError(f"field: expected at least 8 times and 8 grid points, found {self.values.shape}")
        if not np.isfinite(self.values).all():
            time, point = np.argwhere(~np.isfinite(self.values))[0]
            raise ValueError(f"field: expected finite values, found {self.values[time, point]} at {time}, {point}")
        if not (self.step > 0 and self.length > 0):
            raise ValueError(f"field: expected step and length > 0, found {self.step} and {self.length}")
        if np.ptp(self.values, axis=0).max() == 0:
            raise ValueError("field: expected changes in time, found a constant field")

    @property
    def waves(self) -> Array:
        """Wave numbers (N // 2 + 1) of `spectrum`."""
        return 2 * pi * np.arange(self.values.shape[1] // 2 + 1) / self.length

    @property
    def spectrum(self) -> Spectrum:
        """Fourier amplitudes (T, N // 2 + 1)."""
        return transform(self.values)

    def smooth(self, order: int, modes: int) -> Array:
        """d^order u / dx^order of the first `modes` waves."""
        factors = np.where(np.arange(len(self.waves)) <= modes, (1j * self.waves) ** order, 0.0)
        return np.fft.irfft(self.spectrum * factors, n=self.values.shape[1], axis=-1, norm="forward")


def transform(values: Array) -> Spectrum:
    """Fourier amplitudes (..., N // 2 + 1) of values (..., N)."""
    return np.fft.rfft(values, axis=-1, norm="forward")


def spectra(field: Field, terms: Sequence[Term], modes: int, smooth: int) -> Spectrum:
    """Amplitudes (C, T, modes + 1) of the mean and the first `modes` waves of every term.

    Derivatives inside products use the first `smooth` waves; u is not filtered, as the square of the noise affects the
    mean only.
    """
    inner = {order: field.smooth(order, smooth) for term in terms for order in term.inner if order}
    inner[0] = field.values
    gradient = 1j * field.waves[: modes + 1]
    amplitudes = []
    for term in terms:
        product = np.prod([inner[order] for order in term.inner], axis=0)
        amplitudes.append(term.scale * gradient**term.outer * transform(product)[:, : modes + 1])
    return np.stack(amplitudes)


@dataclass(frozen=True)
class Floor:
    """Noise floor: mean power per wave of white noise. `noise`: its standard deviation on the grid."""

    power: float
    points: int

    @classmethod
    def of(cls, field: Field) -> "Floor":
        """Estimate from the upper quarter of the spectrum, where smooth fields have no power."""
        power = mean_power(field)
        return cls(float(np.median(power[3 * len(power) // 4 :])), field.values.shape[1])

    @property
    def noise(self) -> float:
        return float(np.sqrt(self.power * self.points))

    def cut(self, field: Field, ratio: float) -> int:
        """Last wave with a power of at least `ratio` times the floor; at least 3, and below the last of the grid."""
        above = np.flatnonzero(mean_power(field) >= ratio * self.power)
        last = len(field.waves) - 2
        return int(min(max(above[-1] if len(above) else 0, 3), last))


def mean_power(field: Field) -> Array:
    """Power of each wave (N // 2 + 1), averaged over time."""
    return (np.abs(field.spectrum) ** 2).mean(axis=0)
