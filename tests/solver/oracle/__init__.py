"""The independent oracle: the least-squares problem of SOLVER.md section 1, built row by row in plain loops.

It shares no code with `workbench.solver`: the dense matrix A is filled entry by entry and solved directly. Symbols as
in SOLVER.md: T grid points, E equations, D variables, K derivatives, u of shape (T, D, K). Arrays are numpy; a system
has no batch dimensions, `Arrays` holds a batch in its broadcast form.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import factorial
from typing import Any

import numpy as np

LONG = np.longdouble  # 64 bits of mantissa on x86; float64 on some machines


@dataclass(frozen=True)
class Arrays:
    """The arguments of a batch of systems in any broadcast form, and the sizes that these do not determine."""

    coefficients: np.ndarray  # (B, T or 1, E, D, K)
    forcing: np.ndarray  # (B, T or 1, E)
    initial: np.ndarray  # (B, T0 or 1, D, K0)
    steps: np.ndarray  # (B, T-1 or 1)
    n_steps: int
    n_initial: int
    weight_equation: Any = 1.0  # scalar or (B, T or 1, E or 1)
    weight_initial: Any = 1.0  # scalar or (B, T0 or 1, D or 1, K0 or 1)
    weight_taylor: Any = 1.0  # scalar or (B, T-1 or 1, D or 1)
    central: bool = False


NAMES = ("coefficients", "forcing", "initial", "steps", "weight_equation", "weight_initial", "weight_taylor")


def sizes(a: Arrays) -> tuple[int, int, int, int, int, int]:
    """T, T0, E, D, K, K0."""
    n_equations, n_variables, n_derivatives = a.coefficients.shape[-3:]
    return a.n_steps, a.n_initial, n_equations, n_variables, n_derivatives, a.initial.shape[-1]


def trailing(a: Arrays) -> dict[str, tuple[int, ...]]:
    """The full shape of each argument without batch dimensions."""
    T, T0, E, D, K, K0 = sizes(a)
    shapes = ((T, E, D, K), (T, E), (T0, D, K0), (T - 1,), (T, E), (T0, D, K0), (T - 1, D))
    return dict(zip(NAMES, shapes, strict=True))


def batch(a: Arrays) -> tuple[int, ...]:
    """The batch shape that all arguments broadcast to."""
    shapes = []
    for name, full in trailing(a).items():
        value = np.asarray(getattr(a, name))
        if value.ndim:  # scalar weights have none
            shapes.append(value.shape[: value.ndim - len(full)])
    return np.broadcast_shapes(*shapes)


def systems(a: Arrays) -> Iterator[tuple[tuple[int, ...], Arrays]]:
    """Each system of the batch, with arrays expanded to the full unbatched shape."""
    shape = batch(a)
    full = {name: np.broadcast_to(getattr(a, name), shape + tail) for name, tail in trailing(a).items()}
    for index in np.ndindex(shape):
        yield index, replace(a, **{name: value[index] for name, value in full.items()})


def matrix(a: Arrays, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """A (rows, T*D*K) and b (rows) of one system with full unbatched arrays, without dropped rows."""
    T, T0, E, D, K, K0 = sizes(a)
    rows, constants = [], []

    def column(t: int, d: int, k: int) -> int:
        return (t * D + d) * K + k

    def add(entries: list[tuple[int, Any]], constant: Any, weight: Any) -> None:
        row = np.zeros(T * D * K, dtype)
        for index, value in entries:
            row[index] += weight * value
        rows.append(row)
        constants.append(weight * constant)

    for t in range(T):
        for e in range(E):
            weight = dtype(a.weight_equation[t, e])
            if weight != 0:
                entries = [(column(t, d, k), dtype(a.coefficients[t, e, d, k])) for d in range(D) for k in range(K)]
                add(entries, dtype(a.forcing[t, e]), weight)

    for t in range(T0):
        for d in range(D):
            for k in range(K0):
                weight = dtype(a.weight_initial[t, d, k])
                if weight != 0:
                    add([(column(t, d, k), dtype(1))], dtype(a.initial[t, d, k]), weight)

    orders = range(K - 1) if a.central else range(K)
    for t in range(T - 1):
        h = dtype(a.steps[t])
        for d in range(D):
            weight = dtype(a.weight_taylor[t, d])
            for i in orders:
                forward = [(column(t, d, j), h**j / dtype(factorial(j - i))) for j in range(i, K)]
                add([*forward, (column(t + 1, d, i), -(h**i))], dtype(0), weight)
            for i in orders:
                backward = [(column(t + 1, d, j), (-h) ** j / dtype(factorial(j - i))) for j in range(i, K)]
                add([*backward, (column(t, d, i), -((-h) ** i))], dtype(0), weight)

    if a.central:
        for t in range(T - 2):
            H = dtype(a.steps[t]) + dtype(a.steps[t + 1])
            for d in range(D):
                # the row spans two steps; its weight is that of the step from t
                weight = dtype(a.weight_taylor[t, d])
                entries = [
                    (column(t, d, K - 2), H ** (K - 3)),
                    (column(t + 2, d, K - 2), -(H ** (K - 3))),
                    (column(t + 1, d, K - 1), H ** (K - 2)),
                ]
                add(entries, dtype(0), weight)

    return np.array(rows), np.array(constants)


def condition(a: Arrays) -> float:
    """cond(A) of one system in the 2-norm; infinite if A is rank-deficient."""
    A = matrix(a)[0]
    if A.shape[0] < A.shape[1]:
        return float("inf")
    values = np.linalg.svd(A, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")


def least_squares(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """argmin |A x - b| by numpy in float64, columns scaled to unit length."""
    scale = np.linalg.norm(A, axis=0)
    return np.linalg.lstsq(A / scale, b, rcond=None)[0] / scale


def long_least_squares(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """argmin |A x - b| by Householder reflections in extended precision."""
    R, y = A.astype(LONG), b.astype(LONG)
    n_columns = R.shape[1]
    for j in range(n_columns):
        v = R[j:, j].copy()
        v[0] += np.copysign(np.sqrt(v @ v), v[0])
        v /= np.sqrt(v @ v)
        R[j:, j:] -= 2 * np.multiply.outer(v, v @ R[j:, j:])
        y[j:] -= 2 * v * (v @ y[j:])
    x = np.zeros(n_columns, LONG)
    for j in reversed(range(n_columns)):
        x[j] = (y[j] - R[j, j + 1 : n_columns] @ x[j + 1 :]) / R[j, j]
    return x


def solve_one(a: Arrays, *, precise: bool = True) -> np.ndarray:
    """u (T, D, K) of one system; `precise` builds and solves it in extended precision."""
    T, _, _, D, K, _ = sizes(a)
    if precise:
        return long_least_squares(*matrix(a, LONG)).reshape(T, D, K)
    return least_squares(*matrix(a)).reshape(T, D, K)


def solve(a: Arrays, *, precise: bool = True) -> np.ndarray:
    """u (B, T, D, K) of a batch, system by system."""
    T, _, _, D, K, _ = sizes(a)
    u = np.empty((*batch(a), T, D, K), LONG if precise else np.float64)
    for index, system in systems(a):
        u[index] = solve_one(system, precise=precise)
    return u
