"""Discovery of the equations of all known systems at default settings: correctness, accuracy and time.

    python benchmarks/discovery/systems.py [--noise 1] [--seeds 3] [--json FILE]

Discovery: every system without noise, and with noise in percent of the standard deviation of each variable, for several
seeds. Exact: no missing and no false terms. Error: largest relative error of a true coefficient. Logistic growth: 5,000
curves, relative errors of r and K. Two bodies: largest error of the roll-out after 1, 5 and 10 orbits over the mean
distance of the bodies, for the discovered equations and the network. Seconds: wall time and processor time of data,
training and report, and the load of the machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from workbench import experiments
from workbench.scaling import machine

ROOT = Path(__file__).parents[2]
DISCOVERED = (*experiments.SYSTEMS, "two_body")


def run(name: str, **settings: Any) -> dict[str, Any]:
    """Metrics and time of one experiment, from data to report."""
    wall, processor = time.perf_counter(), time.process_time()
    experiment = experiments.get(name)
    config = experiment.Config(**settings)
    data = experiment.data(config)
    model = experiment.model(config, data)
    while not model.done:
        model.step()
    report = experiment.report(model, data)
    spent = {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}
    times = {name: round(value, 3) for name, value in spent.items()} | {"load": round(os.getloadavg()[0], 1)}
    figures = {key: float(f"{value:.4g}") for key, value in report.metrics.items()}
    # the setting replaces the metric `noise`, which is estimated from the data
    return {"system": name, **figures, **settings, **times}


def discoveries(noise: float, seeds: int) -> Iterator[dict[str, Any]]:
    """Runs of every system without and with noise."""
    for name in DISCOVERED:
        for settings in ({"noise": 0.0, "seed": 0}, *({"noise": noise, "seed": seed} for seed in range(seeds))):
            result = run(name, **settings)
            result["exact"] = result["precision"] == result["recall"] == 1
            yield result


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Summary of all runs."""
    clean = [item for item in runs if item["noise"] == 0]
    noisy = [item for item in runs if item["noise"] > 0]
    return {
        "clean_all_exact": all(item["exact"] for item in clean),
        "clean_largest_error": max(item["relative_error"] for item in clean),
        "clean_longest_seconds": max(item["seconds"] for item in clean),
        "clean_longest_processor_seconds": max(item["processor_seconds"] for item in clean),
        "noisy_exact": f"{sum(item['exact'] for item in noisy)} of {len(noisy)} runs",
        "noisy_not_exact": sorted({item["system"] for item in noisy if not item["exact"]}),
        "noisy_largest_errors": {
            name: max(item["relative_error"] for item in noisy if item["system"] == name) for name in DISCOVERED
        },
    }


def facts() -> dict[str, Any]:
    """Commit, machine and number of threads."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {"commit": commit.stdout.strip(), "machine": machine(), "threads": torch.get_num_threads()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", type=float, default=1.0, help="percent")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = facts()
    # the first solve loads the compiled kernel
    run("van_der_pol", points=200)
    runs = []
    for discovery in discoveries(options.noise, options.seeds):
        runs.append(discovery)
        print(json.dumps(discovery), flush=True)
    result |= {"summary": summary(runs), "discovery": runs}
    result["logistic"] = run("logistic")
    result["two_body"] = [run("two_body", mode=mode) for mode in ("auto", "network")]
    print(json.dumps({key: result[key] for key in ("summary", "logistic", "two_body")}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
