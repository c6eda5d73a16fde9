"""Discovery of the Lorenz equations from noisy data, compared to PySINDy: accuracy, support, intervals and time.

    python benchmarks/discovery/against_pysindy.py [--noise 0 0.1 0.5 1 2] [--seeds 10] [--json FILE] [--plot FILE.svg]
        [--pysindy FILE]

10,000 grid points, h = 0.01, start (1, 1, 1), the ten monomials up to degree 2; white noise of equal standard deviation
on all variables. The workbench runs with its default settings. Each variant of PySINDy runs with every setting listed
below, and the setting with the smallest median error against the truth is reported for each noise level, which requires
knowledge of the truth. Per run: RMSE of the seven true coefficients, F1 score of the support, exactness of the support,
wall time and processor time (all threads), which depends less on other load; for the workbench also the number of 95 %
intervals that contain the truth. Medians over seeds.

--pysindy FILE: reuse the PySINDy runs of an earlier result, whose origin is recorded.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from itertools import product
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import pysindy as ps
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.chart import heat_map
from workbench.datasets import windows
from workbench.datasets.ode import lorenz
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.modes import discover
from workbench.experiments.lorenz import true_coefficients
from workbench.scaling import machine
from workbench.symbolic.library import Polynomials

ROOT = Path(__file__).parents[2]
LIBRARY = Polynomials(lorenz.VARIABLES, 2)
TRUTH = true_coefficients(LIBRARY)
THRESHOLDS = (0.1, 0.2, 0.4)
FILTERS = (9, 15, 21)
EXTENTS = (0.2, 0.5)
TEST_FUNCTIONS = 1000
OURS = {"ours: J = 0 only": Settings(denoise=False), "ours": Settings()}
Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""times (N), data (N, D) -> coefficients (C, D)."""


def pysindy() -> Iterator[tuple[str, str, Fit]]:
    """Variant, setting and fit function."""
    for threshold in THRESHOLDS:
        setting = f"threshold {threshold:g}"
        yield "finite differences", setting, plain_sindy(threshold, ps.FiniteDifference(order=4))
        for length in FILTERS:
            smoothed = ps.SmoothedFiniteDifference(smoother_kws={"window_length": length, "polyorder": 3})
            yield "smoothed differences", f"{setting}, filter {length}", plain_sindy(threshold, smoothed)
    for threshold, extent in product(THRESHOLDS, EXTENTS):
        setting = f"threshold {threshold:g}, extent {extent:g}"
        yield "weak form", setting, weak_sindy(threshold, extent)
        yield "weak form, ensemble", setting, weak_sindy(threshold, extent, models=20)


def plain_sindy(threshold: float, differences: ps.BaseDifferentiation) -> Fit:
    def fit(times: np.ndarray, data: np.ndarray) -> np.ndarray:
        model = ps.SINDy(
            optimizer=ps.STLSQ(threshold=threshold),
            feature_library=ps.PolynomialLibrary(2),
            differentiation_method=differences,
        )
        return model.fit(data, times).coefficients().T

    return fit


def weak_sindy(threshold: float, extent: float, models: int = 1) -> Fit:
    """Weak form with test functions of half-width `extent`; the median of `models` bagged models with a fixed seed.

    A new optimiser is created for each data set, as an ensemble keeps all its models.
    """

    def fit(times: np.ndarray, data: np.ndarray) -> np.ndarray:
        np.random.seed(0)
        optimizer = ps.STLSQ(threshold=threshold)
        if models > 1:
            optimizer = ps.EnsembleOptimizer(optimizer, bagging=True, n_models=models)
        library = ps.WeakPDELibrary(
            function_library=ps.PolynomialLibrary(2, include_bias=False),
            spatiotemporal_grid=times,
            include_bias=True,
            K=TEST_FUNCTIONS,
            H_xt=[extent],
        )
        return ps.SINDy(optimizer=optimizer, feature_library=library).fit(data, times).coefficients().T

    return fit


def evaluate(coefficients: np.ndarray, begin: tuple[float, float]) -> dict[str, Any]:
    """Errors of the coefficients, and wall and processor time since `begin`."""
    support, true = coefficients != 0, TRUTH != 0
    correct = int((support & true).sum())
    return {
        "rmse": float(np.sqrt(np.mean((coefficients - TRUTH)[true] ** 2))),
        "max_error": float(np.abs(coefficients - TRUTH)[true].max()),
        "f1": 2 * correct / int(support.sum() + true.sum()),
        "exact": bool((support == true).all()),
        "seconds": time.perf_counter() - begin[0],
        "cpu": time.process_time() - begin[1],
    }


def one_data_set(noise: float, seed: int, settings: list[tuple[str, str, Fit]]) -> Iterator[dict[str, Any]]:
    """All runs on one data set."""
    dataset = lorenz.simulate(points=10_000, step=0.01, noise=noise, seed=seed)
    times, data = windows.times(dataset), windows.tensor(dataset)
    for variant, ours in OURS.items():
        begin = time.perf_counter(), time.process_time()
        result = discover([Trajectory(times, data)], LIBRARY, ours)
        row = evaluate(result.coefficients, begin)
        row["covered"] = coverage(result.lower, result.upper)
        row["covered by bootstrap"] = coverage(result.bootstrap_lower, result.bootstrap_upper)
        yield {"variant": variant, "setting": "defaults", "noise": noise, "seed": seed} | row
    for variant, setting, fit in settings:
        begin = time.perf_counter(), time.process_time()
        row = evaluate(fit(times.numpy(), data.numpy()), begin)
        yield {"variant": f"PySINDy: {variant}", "setting": setting, "noise": noise, "seed": seed} | row


def coverage(lower: np.ndarray, upper: np.ndarray) -> int:
    """Number of the true coefficients that the intervals contain."""
    return int(((lower <= TRUTH) & (upper >= TRUTH))[TRUTH != 0].sum())


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over seeds per noise level and variant, for the setting with the smallest median RMSE."""
    rows = []
    for noise, variant in dict.fromkeys((run["noise"], run["variant"]) for run in runs):
        group = [run for run in runs if (run["noise"], run["variant"]) == (noise, variant)]
        settings = dict.fromkeys(run["setting"] for run in group)
        rows.append(min((of_setting(group, setting) for setting in settings), key=lambda row: row["rmse"]))
    return rows


def of_setting(runs: list[dict[str, Any]], setting: str) -> dict[str, Any]:
    group = [run for run in runs if run["setting"] == setting]
    row = {name: group[0][name] for name in ("noise", "variant", "setting")} | {"seeds": len(group)}
    row |= {name: float(np.median([run[name] for run in group])) for name in ("rmse", "max_error", "f1", "seconds")}
    row |= {"mean_f1": float(np.mean([run["f1"] for run in group])), "exact": sum(run["exact"] for run in group)}
    row["slowest"] = max(run["seconds"] for run in group)
    if "cpu" in group[0]:
        row |= {"cpu": float(np.median([run["cpu"] for run in group])), "most cpu": max(run["cpu"] for run in group)}
    for name in ("covered", "covered by bootstrap"):
        if name in group[0]:
            row[name] = sum(run[name] for run in group) / (len(group) * int((TRUTH != 0).sum()))
    return row


def show(row: dict[str, Any]) -> None:
    covered = f"  covered {row['covered']:.0%}" if "covered" in row else ""
    cpu = f"  {row['cpu']:.2f} s of processor" if "cpu" in row else ""
    print(
        f"noise {row['noise']:<4g} {row['variant']:31s} rmse {row['rmse']:9.2e}  F1 {row['f1']:.3f}  "
        f"exact {row['exact']}/{row['seeds']}  {row['seconds']:.2f} s{cpu}{covered}  ({row['setting']})",
        flush=True,
    )


def chart(rows: list[dict[str, Any]], caption: str) -> str:
    """Heat map of the error by variant and noise level, with median RMSE and median F1 in the cells."""
    levels = list(dict.fromkeys(row["noise"] for row in rows))
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    by_cell = {(row["variant"], row["noise"]): row for row in rows}
    cells = [[by_cell[variant, noise] for noise in levels] for variant in variants]
    return heat_map(
        "Lorenz with noise: error of the coefficients (darker is worse)",
        "standard deviation of the noise; cells: median RMSE and median F1 of the support",
        variants,
        [f"{noise:g}" for noise in levels],
        [[log10(cell["rmse"]) for cell in line] for line in cells],
        [[f"{cell['rmse']:.2g}\nF1 {cell['f1']:.2f}" for cell in line] for line in cells],
        caption,
    )


def facts() -> dict[str, Any]:
    """Machine, versions and commit, with a + if files are modified."""
    output = [
        subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for arguments in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    ]
    versions = {name: metadata.version(name) for name in ("pysindy", "numpy", "scipy", "torch", "scikit-learn")}
    versions["python"] = platform.python_version()
    return {"machine": machine(), "versions": versions, "commit": output[0] + ("+" if output[1] else "")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", nargs="*", type=float, default=[0.0, 0.1, 0.5, 1.0, 2.0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--pysindy", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="pysindy")
    result = facts() | {"threads": options.threads, "load": [os.getloadavg()[0]]}
    settings, runs, rows = list(pysindy()), [], []
    earlier = {"runs": []}
    if options.pysindy:
        earlier, settings = json.loads(options.pysindy.read_text(encoding="utf-8")), []
        result["pysindy from"] = {name: earlier[name] for name in ("machine", "versions", "commit", "load")}
    reused = [run for run in earlier["runs"] if run["variant"].startswith("PySINDy")]
    # the first solve loads the compiled kernel
    list(one_data_set(0.0, 0, []))
    for noise in options.noise:
        # without noise all seeds give the same data
        for seed in range(options.seeds if noise else 1):
            runs += one_data_set(noise, seed, settings)
            runs += [run for run in reused if (run["noise"], run["seed"]) == (noise, seed)]
        rows = summary(runs)
        for row in rows:
            if row["noise"] == noise:
                show(row)
    result["load"].append(os.getloadavg()[0])
    result |= {"summary": rows, "runs": runs}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        host = result["machine"]
        origin = f"{host['processor']}, {host['cores']} cores, PySINDy {result['versions']['pysindy']}"
        options.plot.write_text(
            chart(rows, f"{origin}, {host['date'][:10]}, commit {result['commit']}"), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
