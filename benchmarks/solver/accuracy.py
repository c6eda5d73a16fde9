"""Tabulate the accuracy of the solver on problems with closed forms; prints and writes JSON.

    python benchmarks/solver/accuracy.py [--json benchmarks/results/FILE] [--long]

1. u'' + 0.1 u' + u = 0, u(0) = 1, u'(0) = 0, K = 3: for each step h and length T the largest error of u against the
   closed form, and the rounding error against the minimiser of the same rows, computed with 50 digits. The former is
   bounded below by the discretisation error; the latter depends on the method.
2. Six linear systems (RC circuit, population, language death, harmonic, damped harmonic, third order), h = 0.01,
   T = 1,000, with u(0) only: max |u - exact| / max |exact| per K.
"""

import argparse
import json
import math
import platform
from datetime import date

import mpmath
import torch

from workbench.solver import LinearODE, solve

DAMPING = "0.1"


def float64(values: list) -> torch.Tensor:
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def oscillator(h: str, T: int) -> LinearODE:
    """u'' + 0.1 u' + u = 0 from (1, 0), K = 3."""
    c = torch.tensor([[[[1.0, float(DAMPING), 1.0]]]], dtype=torch.float64)
    start = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    step = torch.tensor([float(h)], dtype=torch.float64)
    return LinearODE(c, torch.zeros(1, 1, dtype=torch.float64), start, step, n_steps=T)


def oscillator_exact(h: str, T: int) -> torch.Tensor:
    """The closed form at the grid points."""
    t = torch.arange(T, dtype=torch.float64) * float(h)
    a = float(DAMPING) / 2
    w = math.sqrt(1 - a * a)
    return torch.exp(-a * t) * (torch.cos(w * t) + a / w * torch.sin(w * t))


def oscillator_minimiser(h: str, T: int) -> torch.Tensor:
    """The minimiser with 50 digits, by block elimination of the normal equations."""
    mpmath.mp.dps = 50
    K, step = 3, mpmath.mpf(h)
    equation = mpmath.matrix([[mpmath.mpf(1), mpmath.mpf(DAMPING), mpmath.mpf(1)]])
    left, right = mpmath.zeros(2 * K, K), mpmath.zeros(2 * K, K)
    for i in range(K):
        left[i, i], right[i, i] = mpmath.mpf(1), -(step**i)
        left[K + i, i], right[K + i, i] = -((-step) ** i), mpmath.mpf(1)
        for j in range(i, K):
            left[i, j] = step**j / mpmath.factorial(j - i)
            right[K + i, j] = (-step) ** j / mpmath.factorial(j - i)
    inner, coupling = equation.T * equation + left.T * left + right.T * right, left.T * right
    start = mpmath.diag([1, 1, 0])
    S, y = equation.T * equation + left.T * left + start, mpmath.matrix([1, 0, 0])
    ratios, solutions = [], []
    for t in range(T):
        inverse = S**-1
        solutions.append(inverse * y)
        ratios.append(inverse * coupling)
        last = equation.T * equation + right.T * right
        S = (inner if t + 2 < T else last) - coupling.T * ratios[-1]
        y = -coupling.T * solutions[-1]
    u = [solutions[-1]]
    for t in range(T - 2, -1, -1):
        u.append(solutions[t] - ratios[t] * u[-1])
    return torch.tensor([float(x[0]) for x in reversed(u)], dtype=torch.float64)


def show(row: dict) -> None:
    """Print a row."""
    print("  ".join(f"{k} {v:.1e}" if isinstance(v, float) else f"{v!s:>15}" for k, v in row.items()), flush=True)


def oscillator_table(long: bool) -> list[dict]:
    """Errors against the closed form and the minimiser by step, length, backend and method."""
    table = []
    cases = [("1e-3", 1000), ("1e-4", 1000), ("1e-4", 10000), ("1e-5", 1000)]
    for h, T in [*cases, ("1e-4", 50000)] if long else cases:
        exact, minimiser = oscillator_exact(h, T), oscillator_minimiser(h, T)
        problem = oscillator(h, T)
        for backend in ("dense", "banded") if T <= 1000 else ("banded",):
            for method in ("qr", "cholesky"):
                u = solve(problem, backend=backend, method=method, check=False).u[:, 0, 0]
                row = {"h": h, "T": T, "backend": backend, "method": method}
                row["error"] = float((u - exact).abs().max())
                row["rounding"] = float((u - minimiser).abs().max())
                row["discretisation"] = float((minimiser - exact).abs().max())
                table.append(row)
                show(row)
    return table


def linear_systems() -> dict[str, tuple]:
    """M, A, b, u(0) and the closed form of t for M u' + A u = b, by name."""
    exp, cos, sin = torch.exp, torch.cos, torch.sin
    c0, c1, c2 = 0.7, 1.2, 2.31
    p, q = 0.32, 0.28
    w = math.sqrt(2.1)
    k, d = 4.5, 0.43
    v = math.sqrt(k - d * d / 4)
    half = math.sqrt(3) / 2
    y, z = 0.12, 0.043

    def death(t: torch.Tensor) -> list[torch.Tensor]:
        return [p / (p + q) + (0.14 - p / (p + q)) * exp(-(p + q) * t)]

    def harmonic(t: torch.Tensor) -> list[torch.Tensor]:
        return [0.4 * cos(w * t) - 0.03 / w * sin(w * t), -0.4 * w * sin(w * t) - 0.03 * cos(w * t)]

    def damped(t: torch.Tensor) -> list[torch.Tensor]:
        b = (z + d / 2 * y) / v
        position = exp(-d / 2 * t) * (y * cos(v * t) + b * sin(v * t))
        velocity = exp(-d / 2 * t) * ((b * v - d / 2 * y) * cos(v * t) - (y * v + d / 2 * b) * sin(v * t))
        return [position, velocity]

    def third(t: torch.Tensor) -> list[torch.Tensor]:
        # y''' + y'' + y' = 0 from (0, -1, 1): y' = e^(-t/2) (-cos + sin / sqrt 3)
        a, b = -1.0, 0.5 / half
        first = exp(-t / 2) * (a * cos(half * t) + b * sin(half * t))
        second = exp(-t / 2) * ((b * half - a / 2) * cos(half * t) - (a * half + b / 2) * sin(half * t))
        return [-(second + first), first, second]

    return {
        "RC": ([[c2]], [[1 / c1]], [c0], [10.0], lambda t: [c0 * c1 + (10 - c0 * c1) * exp(-t / (c1 * c2))]),
        "population": ([[1]], [[-0.23]], [0], [4.78], lambda t: [4.78 * exp(0.23 * t)]),
        "language death": ([[1]], [[p + q]], [p], [0.14], death),
        "harmonic": ([[1, 0], [0, 1]], [[0, -1], [2.1, 0]], [0, 0], [0.4, -0.03], harmonic),
        "damped harmonic": ([[1, 0], [0, 1]], [[0, -1], [k, d]], [0, 0], [y, z], damped),
        "third order": (torch.eye(3).tolist(), [[0, -1, 0], [0, 0, -1], [0, 1, 1]], [0, 0, 0], [0.0, -1.0, 1.0], third),
    }


def linear_table() -> list[dict]:
    """Relative errors of the six systems by K."""
    table = []
    t = torch.arange(1000, dtype=torch.float64) * 0.01
    for name, (M, A, b, start, closed) in linear_systems().items():
        exact = torch.stack(closed(t), dim=-1)
        row = {"system": name}
        for K in (2, 3, 4, 5):
            D = len(b)
            c = torch.zeros(1, D, D, K, dtype=torch.float64)
            c[0, :, :, 0], c[0, :, :, 1] = float64(A), float64(M)
            forcing, initial = float64([b]), float64(start).reshape(1, D, 1)
            step = torch.tensor([0.01], dtype=torch.float64)
            u = solve(LinearODE(c, forcing, initial, step, n_steps=1000)).u[..., 0]
            row[f"K={K}"] = float((u - exact).abs().max() / exact.abs().max())
        table.append(row)
        show(row)
    return table


def main() -> None:
    """Compute both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json")
    parser.add_argument("--long", action="store_true", help="also T = 50,000 (minutes)")
    options = parser.parse_args()
    result = {
        "date": str(date.today()),
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
    }
    result["oscillator"] = oscillator_table(options.long)
    result["linear systems"] = linear_table()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
