"""Every known system at the default settings of its experiment: are its equations found, how well, how fast?

    python benchmarks/systems.py [--noise 1] [--seeds 3] [--json FILE]

Discovery: every system without noise, and with noise of so many percent of the deviation of each variable, several
seeds. Exact: no term is missing and none is there that is not true. Error: the largest of a true coefficient, relative.
Logistic growth: 5,000 curves, relative errors of r and K. Two bodies: the largest distance from the truth in the
roll-out after 1, 5 and 10 orbits, over the mean distance between the two, of the discovered law and of the network.
Seconds: wall clock of data, learning and report together, and processor time; the machine's load stands beside them.
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from workbench import experiments
from workbench.scaling import machine

ROOT = Path(__file__).parents[1]
DISCOVERED = (*experiments.SYSTEMS, "two_body")


def run(name: str, **settings: Any) -> dict[str, Any]:
    """One experiment from its data to its report."""
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
    # what the report calls noise is told from the data
    return {"system": name, **figures, **settings, **times}


def discoveries(noise: float, seeds: int) -> Iterator[dict[str, Any]]:
    """Without noise, then with it."""
    for name in DISCOVERED:
        for settings in ({"noise": 0.0, "seed": 0}, *({"noise": noise, "seed": seed} for seed in range(seeds))):
            found = run(name, **settings)
            found["exact"] = found["precision"] == found["recall"] == 1
            yield found


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the figures come to."""
    clean = [found for found in runs if found["noise"] == 0]
    noisy = [found for found in runs if found["noise"] > 0]
    return {
        "clean_all_exact": all(found["exact"] for found in clean),
        "clean_largest_error": max(found["relative_error"] for found in clean),
        "clean_longest_seconds": max(found["seconds"] for found in clean),
        "clean_longest_processor_seconds": max(found["processor_seconds"] for found in clean),
        "noisy_exact": f"{sum(found['exact'] for found in noisy)} of {len(noisy)} runs",
        "noisy_not_exact": sorted({found["system"] for found in noisy if not found["exact"]}),
        "noisy_largest_errors": {
            name: max(found["relative_error"] for found in noisy if found["system"] == name) for name in DISCOVERED
        },
    }


def facts() -> dict[str, Any]:
    """What the figures belong to."""
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
    shown = []
    for found in discoveries(options.noise, options.seeds):
        shown.append(found)
        print(json.dumps(found), flush=True)
    result |= {"summary": summary(shown), "discovery": shown}
    result["logistic"] = run("logistic")
    result["two_body"] = [run("two_body", mode=mode) for mode in ("auto", "network")]
    print(json.dumps({key: result[key] for key in ("summary", "logistic", "two_body")}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
