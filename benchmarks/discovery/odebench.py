"""Discovery on ODEBench: 61 systems with two records each, with noise and dropped points.

    python benchmarks/discovery/odebench.py [--cells 0,0 0,0.05 0.5,0 0.5,0.05] [--processes 2] [--json FILE]

Every record has 512 points on [0, 10]; the noise is multiplicative, x (1 + sigma e), and a share rho of the points is
dropped at random. Own data at default settings: degree, noise level and terms are chosen from the record alone. Score:
share of the records with a variance-weighted R^2 > 0.9 between the true system and a simulation of the discovered one,
from the initial value of the record (reconstruction) and from the other one (generalization). Exact: the true terms,
for systems that are polynomials of a degree tried. Rows that the file already has are not computed again.
Source: d'Ascoli et al., "ODEFormer" (ICLR 2024), arXiv 2310.05573.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import resumable
from benchmarks.discovery.odebench_systems import SYSTEMS
from workbench.diagnostics.simulation import simulate_bounded
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.search import DegreeSearch, default_degrees
from workbench.experiments.discovery_base import equations
from workbench.symbolic.library import Library

RESULTS = Path(__file__).parents[1] / "results" / "odebench.json"
TIMES = np.linspace(0, 10, 512)
CELLS = ((0.0, 0.0), (0.0, 0.05), (0.5, 0.0), (0.5, 0.05))
"""Shares of dropped points, and noise."""
PUBLISHED = {
    "reconstruction": {
        "FIM-ODE": {"0, 0": 0.844, "0, 0.05": 0.754, "0.5, 0": 0.828, "0.5, 0.05": 0.721},
        "ODEFormer": {"0, 0": 0.631, "0, 0.05": 0.615, "0.5, 0": 0.639, "0.5, 0.05": 0.615},
    },
    "generalization": {"FIM-ODE": {"0, 0.03": 0.328}, "ODEFormer": {"0, 0.03": 0.279}},
}
FUNCTIONS = {name: getattr(np, name) for name in ("sin", "cos", "exp", "log", "abs")}
KEYS = ("system", "index", "dropped", "noise")
SCORES = ("reconstruction", "generalization")
ADEQUATE = 0.9
TINY = 1e-9
"""Relative size of a coefficient that is a rounding error."""


def field(system: int) -> Callable[[float, np.ndarray], tuple[float, ...]]:
    """The right-hand side f(t, x) of a system."""
    code = compile(f"({', '.join(SYSTEMS[system].equations)},)", f"<system {system}>", "eval")
    return lambda t, state: eval(code, FUNCTIONS, dict(zip("xyz", state, strict=False)))


def solution(function: Callable[..., Sequence[float]], start: Sequence[float]) -> np.ndarray:
    """States (512, D) from `start`, NaN after a blow-up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return simulate_bounded(function, start, TIMES, limit=1e6, evaluations=200_000)


def r2(truth: np.ndarray, found: np.ndarray) -> float:
    """Variance-weighted R^2; -inf for a simulation with a blow-up."""
    if not np.isfinite(found).all():
        return -np.inf
    return float(1 - ((found - truth) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum())


def true_coefficients(system: int, library: Library) -> np.ndarray | None:
    """Xi (C, D) of a system by interpolation; None if its right-hand side is not in the span of the library."""
    states = np.random.default_rng(0).uniform(0.5, 2.0, (20 * len(library), len(library.variables)))
    rates = np.array([field(system)(0.0, state) for state in states])
    values = library(states)
    Xi = np.linalg.lstsq(values, rates, rcond=None)[0]
    inside = np.abs(values @ Xi - rates).max() <= 1e-9 * np.abs(rates).max()
    return np.where(np.abs(Xi) > TINY * np.abs(Xi).max(), Xi, 0.0) if inside else None


def record(system: int, index: int, dropped: float, noise: float) -> tuple[Trajectory, np.ndarray]:
    """A noisy record with dropped points, and the states (512, D) without noise."""
    random = np.random.default_rng([system, index])
    states = solution(field(system), SYSTEMS[system].starts[index])
    kept = random.random(len(TIMES)) >= dropped
    noisy = states * (1 + noise * random.standard_normal(states.shape))
    return Trajectory(torch.from_numpy(TIMES[kept]), torch.from_numpy(noisy[kept])), states


def fit(system: int, index: int, dropped: float, noise: float) -> dict[str, Any]:
    """One row: the equations, both scores, whether the terms are exact, and processor time."""
    torch.set_num_threads(1)
    trajectory, truth = record(system, index, dropped, noise)
    row = {"system": system, "index": index, "dropped": dropped, "noise": noise}
    begin = time.process_time()
    try:
        variables = tuple("xyz"[: truth.shape[1]])
        degrees = default_degrees(len(variables), len(trajectory.times))
        model = DegreeSearch([trajectory], variables, degrees, Settings())
        while not model.done:
            model.step()
        result = model.result()
    except Exception as error:  # a benchmark counts failures of any kind
        return row | {"error": f"{type(error).__name__}: {error}", "seconds": time.process_time() - begin}
    row["seconds"] = round(time.process_time() - begin, 3)
    vector_field = model.library.right_hand_side(result.coefficients)
    starts = SYSTEMS[system].starts
    other = solution(field(system), starts[1 - index])
    row["reconstruction"] = round(r2(truth, solution(vector_field, starts[index])), 5)
    row["generalization"] = round(r2(other, solution(vector_field, starts[1 - index])), 5)
    Xi = true_coefficients(system, model.library)
    present = result.coefficients != 0
    row["polynomial"] = Xi is not None
    row["exact"] = Xi is not None and bool((present == (Xi != 0)).all())
    row["terms"] = int(present.sum())
    if row["exact"]:
        inside = (result.lower <= Xi) & (Xi <= result.upper)
        row["covered"] = int(inside[present].sum())
    row["equations"] = [equation.text(4) for equation in equations(model.library, result.coefficients)]
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Scores by cell."""
    lines = ["dropped, noise   fits  reconstruction  generalization  exact of polynomials  failed  median s  longest s"]
    for dropped, noise in dict.fromkeys((row["dropped"], row["noise"]) for row in rows):
        cell = [row for row in rows if (row["dropped"], row["noise"]) == (dropped, noise)]
        shares = [np.mean([row.get(name, -np.inf) > ADEQUATE for row in cell]) for name in SCORES]
        exact = f"{sum(row.get('exact', False) for row in cell)} of {sum(row.get('polynomial', False) for row in cell)}"
        seconds = [row["seconds"] for row in cell]
        lines.append(
            f"{dropped:7g}, {noise:<7g} {len(cell):5d}  {shares[0]:14.3f}  {shares[1]:14.3f}  {exact:>20s}  "
            f"{sum('reconstruction' not in row for row in cell):6d}  {np.median(seconds):8.2f}  {max(seconds):9.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", type=cell, default=CELLS, metavar="RHO,SIGMA")
    parser.add_argument("--systems", nargs="+", type=int, default=tuple(SYSTEMS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    tasks = [(system, index, *own) for own in arguments.cells for system in arguments.systems for index in (0, 1)]
    rows = resumable.run(fit, tasks, KEYS, arguments.json, arguments.processes, {"published": PUBLISHED})
    print(table(rows))


def cell(text: str) -> tuple[float, float]:
    dropped, noise = map(float, text.split(","))
    return dropped, noise


if __name__ == "__main__":
    main()
