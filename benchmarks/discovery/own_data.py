"""Discovery from CSV files of systems without an experiment, at default settings.

    python benchmarks/discovery/own_data.py [--seeds 5]

Each file has noise of 1 % of every variable's standard deviation, 2 % of the values missing, single rows missing and
one gap. Writes benchmarks/results/own_data.json: per system the number of files with exactly the true terms, the
largest relative error of a coefficient among those, and the median processor time of one thread from file to equations.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.integrate import solve_ivp

from workbench.datasets import tabular
from workbench.experiments import table

RESULTS = Path(__file__).parents[1] / "results" / "own_data.json"
NOISE = 0.01

# name: (right-hand side, start, step, rows, {variable: {term: coefficient}})
SYSTEMS: dict[str, tuple[Callable, tuple[float, ...], float, int, dict[str, dict[str, float]]]] = {
    "three species": (
        lambda t, s: (
            s[0] * (1 - s[0] - s[1] - s[2]),
            s[1] * (1 - 1.5 * s[0] - s[1] - s[2]),
            s[2] * (-1 + 2.5 * s[0] + 0.5 * s[1]),
        ),
        (0.5, 0.3, 0.2),
        0.1,
        600,
        {
            "a": {"a": 1, "a^2": -1, "a b": -1, "a c": -1},
            "b": {"b": 1, "a b": -1.5, "b^2": -1, "b c": -1},
            "c": {"c": -1, "a c": 2.5, "b c": 0.5},
        },
    ),
    "Sprott B": (
        lambda t, s: (s[1] * s[2], s[0] - s[1], 1 - s[0] * s[1]),
        (0.5, 0.5, 0.5),
        0.05,
        1500,
        {"a": {"b c": 1}, "b": {"a": 1, "b": -1}, "c": {"1": 1, "a b": -1}},
    ),
    "Sprott E": (
        lambda t, s: (s[1] * s[2], s[0] ** 2 - s[1], 1 - 4 * s[0]),
        (0.05, 0.05, 0.05),
        0.05,
        1500,
        {"a": {"b c": 1}, "b": {"a^2": 1, "b": -1}, "c": {"1": 1, "a": -4}},
    ),
    "Sprott F": (
        lambda t, s: (s[1] + s[2], -s[0] + 0.5 * s[1], s[0] ** 2 - s[2]),
        (0.05, 0.05, 0.05),
        0.05,
        1500,
        {"a": {"b": 1, "c": 1}, "b": {"a": -1, "b": 0.5}, "c": {"a^2": 1, "c": -1}},
    ),
    "rigid body": (
        lambda t, s: (0.8 * s[1] * s[2], -1.1 * s[0] * s[2], 0.5 * s[0] * s[1]),
        (1.0, 0.4, 0.6),
        0.05,
        800,
        {"a": {"b c": 0.8}, "b": {"a c": -1.1}, "c": {"a b": 0.5}},
    ),
    "coupled springs": (
        lambda t, s: (s[1], -2 * s[0] - 0.1 * s[1] + s[2], s[3], s[0] - 2 * s[2] - 0.1 * s[3]),
        (1.0, 0.0, -0.3, 0.0),
        0.05,
        800,
        {
            "a": {"b": 1},
            "b": {"a": -2, "b": -0.1, "c": 1},
            "c": {"d": 1},
            "d": {"a": 1, "c": -2, "d": -0.1},
        },
    ),
    "cubic oscillator": (
        lambda t, s: (s[1], s[0] - s[0] ** 3 - 0.1 * s[1]),
        (1.8, 0.0),
        0.05,
        800,
        {"a": {"b": 1}, "b": {"a": 1, "a^3": -1, "b": -0.1}},
    ),
}


def csv(name: str, seed: int) -> str:
    """The file of a system, with missing values, missing lines and a gap of twelve lines."""
    rhs, start, step, rows, _ = SYSTEMS[name]
    times = step * np.arange(rows)
    states = solve_ivp(rhs, (0, times[-1]), start, t_eval=times, method="DOP853", rtol=1e-10, atol=1e-12).y.T
    random = np.random.default_rng(seed)
    noisy = states + NOISE * states.std(axis=0) * random.standard_normal(states.shape)
    missing, missing_rows = random.random(states.shape) < 0.02, random.random(rows) < 0.01
    missing_rows[rows // 2 : rows // 2 + 12] = True
    lines = ["time [s]," + ",".join("abcd"[: states.shape[1]])]
    for row in np.flatnonzero(~missing_rows):
        cells = ["" if absent else f"{value:.6g}" for value, absent in zip(noisy[row], missing[row], strict=True)]
        lines.append(f"{times[row]:.6g},{','.join(cells)}")
    return "\n".join(lines) + "\n"


def discovered(content: str) -> dict[str, dict[str, float]]:
    """Terms of every equation discovered from the text of a file at default settings."""
    dataset = tabular.read([tabular.Source("file.csv", content.encode())])
    model = table.model(table.Config(), dataset)
    while not model.done:
        model.step()
    equations = table.report(model, dataset).equations
    return {
        equation.left_text.rstrip("'"): {name: value for value, _, name in equation.terms} for equation in equations
    }


def measure(name: str, seeds: int) -> dict[str, float]:
    """Number of files with exactly the true terms, largest relative error among those, median processor time."""
    truth, errors, seconds = SYSTEMS[name][-1], [], []
    for seed in range(seeds):
        begin = time.process_time()
        equations = discovered(csv(name, seed))
        seconds.append(time.process_time() - begin)
        if all(equations[variable].keys() == terms.keys() for variable, terms in truth.items()):
            true_terms = [(v, t, value) for v, terms in truth.items() for t, value in terms.items()]
            errors.append(max(abs(equations[v][t] / value - 1) for v, t, value in true_terms))
    return {
        "files": seeds,
        "exact": len(errors),
        "largest_error": max(errors, default=float("nan")),
        "seconds": statistics.median(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="files per system")
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    results = {"machine": platform.machine(), "noise": NOISE, "systems": {}}
    for name in SYSTEMS:
        results["systems"][name] = result = measure(name, seeds)
        print(
            f"{name:18s} exact in {result['exact']} of {result['files']}, largest error {result['largest_error']:.1%}, "
            f"{result['seconds']:.1f} s of processor time",
            flush=True,
        )
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
