"""The independent oracle of the backend `mnn`: the original problem, with the slack as an additional column.

    |D u - b|^2 + |S u + alpha 1|^2 + gamma alpha,   unknowns (u, alpha)

The rows are those of `oracle.matrix`; the Taylor and central rows are last. The augmented least-squares problem is
solved directly, without elimination or normal equations.
"""

import numpy as np

from tests.solver import oracle
from tests.solver.oracle import LONG, Arrays


def matrix(a: Arrays, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """[A | slack] (rows, T*D*K + 1) and b (rows) of one system at its full unbatched shape."""
    A, b = oracle.matrix(a, dtype)
    T, _, _, D, K, _ = oracle.sizes(a)
    n_smooth = 0
    for t in range(T):
        n_smooth += 2 * D * (K - 1) if t < T - 1 else 0
        n_smooth += D if t < T - 2 else 0
    slack = np.zeros((len(A), 1), dtype)
    for row in range(len(A) - n_smooth, len(A)):
        slack[row] = 1
    return np.concatenate([A, slack], axis=1), b


def condition(a: Arrays) -> float:
    """cond([A | slack]) of one system in the 2-norm; infinite if it is rank-deficient."""
    A = matrix(a)[0]
    if A.shape[0] < A.shape[1]:
        return float("inf")
    values = np.linalg.svd(A, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")


def conditions(a: Arrays) -> np.ndarray:
    """The condition number of each system of the batch."""
    values = np.empty(oracle.batch(a))
    for index, system in oracle.systems(a):
        values[index] = condition(system)
    return values


def solve(a: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """u (B, T, D, K) and alpha (B) for gamma = 0, in extended precision."""
    T, _, _, D, K, _ = oracle.sizes(a)
    u, alpha = np.empty((*oracle.batch(a), T, D, K), LONG), np.empty(oracle.batch(a), LONG)
    for index, system in oracle.systems(a):
        x = oracle.long_least_squares(*matrix(system, LONG))
        u[index], alpha[index] = x[:-1].reshape(T, D, K), x[-1]
    return u, alpha


def solve_with_gamma(a: Arrays, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u (B, T, D, K) and alpha (B) for one gamma per system, in float64.

    The minimiser of |A x - b|^2 + gamma e x, with e the unit vector of the slack, is A^+ b - gamma/2 A^+ (A^+)^T e.
    """
    T, _, _, D, K, _ = oracle.sizes(a)
    u, alpha = np.empty((*oracle.batch(a), T, D, K)), np.empty(oracle.batch(a))
    for index, system in oracle.systems(a):
        A, b = matrix(system)
        inverse = np.linalg.pinv(A)
        x = np.linalg.lstsq(A, b, rcond=None)[0] - gamma[index] / 2 * inverse @ inverse[-1]
        u[index], alpha[index] = x[:-1].reshape(T, D, K), x[-1]
    return u, alpha
