"""Sea-surface temperature: skill of out-of-sample forecasts, the published protocol, and the cost of a training step.

    python benchmarks/fields/sst.py [ersst] [nino] [networks] [scaling] [oisst] [--data FOLDER] [--json FILE]
        [--svg FILE]

FOLDER (default: data) has a folder sst with NOAA files, named as in `workbench.datasets.download`. Without arguments
all parts run; each part replaces its entry of FILE. The results include the load of the machine.

- ersst: every ice-free cell of 60 S to 60 N, the last 48 months held out; seconds of the fit; protocols.
- nino: the four weekly Nino regions, the last 208 weeks held out.
- networks: the mechanistic identifier and the time-invariant network, small, on the same ERSST data and protocols.
- scaling: one training step of the identifier by chunk length and solver backend, each in a new process.
- oisst: the complete fit of SYNTHETIC data as large as weekly OISST v2.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import chart
from workbench.experiments import sst
from workbench.models.sst.forecaster import ForecastSettings, SeasonalForecaster
from workbench.models.sst.identifier import GIVEN, Networks

RESULTS = Path(__file__).parents[1] / "results"
CHUNKS = (52, 104, 208, 416, 832, 1727)
NETWORKS_ALONE = ("none", "qr")
VARIANTS = (
    NETWORKS_ALONE,
    ("native", "qr"),
    ("native", "cholesky"),
    ("banded", "qr"),
    ("banded", "cholesky"),
    ("dense", "qr"),
)
LONGEST = {"dense": 52}
PLACES = 256
HIDDEN = 64


def machine() -> dict[str, Any]:
    return {
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def direct(source: str) -> dict[str, Any]:
    """Skill, protocols and times of the direct mode."""
    config = sst.Config(source=source)
    record = sst.data(config)
    wall, cpu = time.perf_counter(), time.process_time()
    model = sst.model(config, record)
    while not model.fitted:
        model.step()
    members = len(model.forecaster.chosen)
    fit = {"fit_wall_s": time.perf_counter() - wall, "fit_cpu_s": time.process_time() - cpu}
    while not model.done:
        model.step()
    report = sst.report(model, record)
    skill = report.skill["skill"]
    table = {str(name): skill.sel(forecast=name).values.round(4).tolist() for name in skill["forecast"].values}
    inside = (model.inside / model.trials()).numpy().round(4).tolist()
    return {
        "record": record.attrs["title"],
        "held_out": int(record.sizes["time"] - record.attrs["training"]),
        "cells": int(record.sizes["variable"]),
        "leads": [int(lead) for lead in skill["lead"].values],
        "lead_unit": skill["lead"].attrs["units"],
        "origins": model.trials().int().tolist(),
        "skill": table,
        "inside_95_percent_band": inside,
        "metrics": {name: round(value, 4) for name, value in report.metrics.items() if not name.startswith("skill")},
        "not_beaten": list(report.warnings),
        "leading_members": members,
        **fit,
        "seconds_in_all": time.perf_counter() - wall,
        **machine(),
    }


def networks() -> dict[str, Any]:
    """Errors by protocol of small networks on the ERSST cells, which are neither the data nor the size of the paper."""
    result = {}
    for mode in ("identifier", "invariant"):
        config = sst.Config(mode=mode, source="ersst", hidden=128, batch=512, epochs=80, learning_rate=1e-3)
        record = sst.data(config)
        cpu = time.process_time()
        model = sst.model(config, record)
        while not model.done:
            last = model.step()
        metrics = sst.report(model, record).metrics
        result[mode] = {name: round(value, 4) for name, value in metrics.items()}
        result[mode] |= {"steps": model.total_steps, "last_loss": last["loss"], "cpu_s": time.process_time() - cpu}
    return {"note": "NOAA ERSST v5 sample, not the paper's data set", **result, **machine()}


def one_step(backend: str, method: str, points: int) -> dict[str, float]:
    """Minimum CPU seconds and increase of peak memory in MB of a training step in this process.

    backend "none": the networks alone, with the sum of their outputs in place of the solution.
    """
    generator = torch.Generator().manual_seed(0)
    nets = Networks(points, HIDDEN, 2, varying=True, generator=generator)
    optimiser = torch.optim.Adam(nets.parameters(), lr=1e-5)
    chunk = torch.randn(PLACES, points, generator=generator)
    before, times = _peak_mb(), []
    begin = time.monotonic()
    while len(times) < 3 or (len(times) < 15 and time.monotonic() - begin < 10):
        start = time.process_time()
        theta = nets.encode(chunk)
        if backend == "none":
            decoded = nets.forcing(theta) + nets.coefficients(theta).unflatten(-1, (points, 3)).sum(-1)
            decoded = decoded + nn.functional.pad(nets.steps(theta).sigmoid(), (0, 1))
        else:
            decoded = nets.decode(theta, chunk[:, :GIVEN], backend, method)
        loss = ((decoded - chunk) @ nets.dct.T).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        times.append(time.process_time() - start)
    return {"cpu_s": min(times), "peak_mb": _peak_mb() - before}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def scaling(previous: dict[str, Any], backends: list[str]) -> dict[str, Any]:
    """Measure all points, or those of `backends`, with the other points of a previous result."""
    points = [p for p in previous.get("points", []) if backends and p["backend"] not in backends]
    for backend, method in (v for v in VARIANTS if not backends or v[0] in backends):
        for length in (c for c in CHUNKS if c <= LONGEST.get(backend, CHUNKS[-1])):
            command = [sys.executable, __file__, "--step", backend, method, str(length)]
            try:
                run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
                point = json.loads(run.stdout.splitlines()[-1])
            except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
                point = {"failed": type(error).__name__}
            points.append({"backend": backend, "method": method, "chunk": length, **point})
            print(points[-1], flush=True)
    return {
        "places": PLACES,
        "dense": "52 weeks only: time grows with the cube of the chunk, memory with its square",
        "points": points,
        "slopes": slopes(points),
        **machine(),
    }


def slopes(points: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Log-log slopes in the chunk length of a training step, and of its difference to the networks alone."""
    by_variant = {v: {p["chunk"]: p for p in points if (p["backend"], p["method"]) == v} for v in VARIANTS}
    alone, result = by_variant[NETWORKS_ALONE], {}
    for variant, rows in by_variant.items():
        long = [chunk for chunk in rows if "cpu_s" in rows[chunk] and chunk >= 208]
        if len(long) < 3:
            continue
        entry = {key: _slope(long, [rows[c][key] for c in long]) for key in ("cpu_s", "peak_mb")}
        if variant != NETWORKS_ALONE and set(long) <= set(alone):
            for key in ("cpu_s", "peak_mb"):
                entry[f"{key}_of_the_solver"] = _slope(long, [rows[c][key] - alone[c][key] for c in long])
        result[" ".join(variant)] = entry
    return result


def _slope(x: list[float], y: list[float]) -> float:
    return round(float(np.polyfit(np.log(x), np.log(np.maximum(y, 1e-9)), 1)[0]), 3)


def oisst() -> dict[str, Any]:
    """The fit of 44,219 cells x 1,727 weeks."""
    T, D = 1727, 44_219
    days = 7 * torch.arange(T)
    values = torch.randn(T, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for t in range(1, T):
        values[t] += 0.95 * values[t - 1]
    plan = ForecastSettings(training=T - 208, harmonics=3, leads=(4,), segment=520, history=520)
    before = _peak_mb()
    model = SeasonalForecaster(days, values, torch.ones(D, dtype=torch.float64), plan)
    steps = -(-len(model.odes) // 12)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        model.step()
    fit = {"fit_wall_s": time.perf_counter() - wall, "fit_cpu_s": time.process_time() - cpu}
    return {
        "record": "SYNTHETIC, as large as weekly OISST v2",
        "cells": D,
        "weeks": T,
        "steps_of_the_fit": steps,
        **fit,
        "record_mb": values.numel() * 8 / 1e6,
        "peak_mb_above_record": _peak_mb() - before,
        **machine(),
    }


def draw(results: dict[str, Any], path: Path) -> None:
    panels = []
    if "scaling" in results:
        for key, label in (("cpu_s", "CPU seconds per training step"), ("peak_mb", "peak memory above start (MB)")):
            curves = []
            for index, (backend, method) in enumerate(VARIANTS):
                rows = [p for p in results["scaling"]["points"] if (p["backend"], p["method"]) == (backend, method)]
                line = [(p["chunk"], p[key]) for p in rows if p.get(key, 0) > 0]
                curves.append(chart.Curve(f"{backend} {method}", line, colour=index))
            panels.append(chart.Panel("One training step of the identifier", "chunk length (weeks)", label, curves))
    if panels:
        caption = f"{PLACES} cells, hidden width {HIDDEN}; {machine()['cores']} cores of a shared machine"
        path.write_text(chart.page(panels, caption), encoding="utf-8")


PARTS = {
    "ersst": lambda: direct("ersst"),
    "nino": lambda: direct("nino"),
    "elnino": lambda: direct("elnino"),
    "networks": networks,
    "scaling": None,
    "oisst": oisst,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--data", type=Path, help="data folder")
    parser.add_argument("--json", type=Path, default=RESULTS / "sst.json")
    parser.add_argument("--svg", type=Path, default=RESULTS / "sst_scaling.svg")
    parser.add_argument("--backends", nargs="*", default=[], help="scaling: measure only these backends")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        backend, method, length = options.step
        print(json.dumps(one_step(backend, method, int(length))))
        return
    if options.data:
        os.environ["WORKBENCH_DATA"] = str(options.data)
    for part in options.parts or PARTS:
        results = json.loads(options.json.read_text()) if options.json.exists() else {}
        previous = results.get(part, {})
        result = scaling(previous, options.backends) if part == "scaling" else PARTS[part]()
        results = json.loads(options.json.read_text()) if options.json.exists() else {}
        results[part] = result
        options.json.write_text(json.dumps(results, indent=1) + "\n")
        print(part, json.dumps(result)[:1500], flush=True)
    draw(json.loads(options.json.read_text()), options.svg)


if __name__ == "__main__":
    main()
