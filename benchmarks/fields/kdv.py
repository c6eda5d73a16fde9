"""KdV benchmarks: data generation, discovery, forecasts, and the cost of a training step, one part per run.

    python benchmarks/fields/kdv.py generate [--count 512] [--folder DIR]
    python benchmarks/fields/kdv.py discovery [--runs 8]
    python benchmarks/fields/kdv.py forecast [--seconds 300] [--only small|fourier] [--folder DIR]
    python benchmarks/fields/kdv.py step DIR [--steps 50]
    ... [--threads N] [--json FILE]

generate: the easy set, 3 x 512 trajectories, and one trajectory over 250 frames compared with scipy's Radau, tolerance
1e-9, the published generator. discovery: KdV, Kuramoto-Sivashinsky and Burgers from one trajectory each, default
settings, noise 0, 1 and 5 % of the field. forecast: the preset `small` and a Fourier neural operator of the
neuraloperator library (extra bench) with as many parameters, trained on the same 128 trajectories for the same seconds
of processor time, evaluated on 128 others. step: the `paper` preset and the published model and solver; DIR contains a
local copy of the published smnn.py, which is not part of this project; float32 networks, float64 solver. Seconds are
processor time unless named wall time, because other programs on the machine affect them less. Results are added to FILE
under the name of the part.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.fields.kdv_published import Published
from workbench.datasets import windows
from workbench.datasets.pde import equations, hdf5
from workbench.diagnostics import metrics
from workbench.experiments import pde
from workbench.models.kdv.forecast import Forecast, TrainingPlan, Waves
from workbench.models.kdv.networks import FRAMES, PRESETS, WaveForecaster, count
from workbench.scaling import machine
from workbench.solver import available

HORIZONS = (20, 40, 100)


@contextmanager
def timed(into: dict[str, Any], name: str) -> Iterator[None]:
    """Store the processor and wall time of the block in into[name]."""
    begin, wall = time.process_time(), time.perf_counter()
    yield
    into[name] = {"processor_s": time.process_time() - begin, "wall_s": time.perf_counter() - wall}


def generate(options: argparse.Namespace) -> dict[str, Any]:
    """The easy set, and one trajectory compared with Radau."""
    result = {"trajectories": 3 * options.count}
    folder = options.folder or Path("build/kdv-benchmark")
    for split in hdf5.SPLITS:
        path = folder / hdf5.file_name(equations.SETUPS["kdv-easy"], split, options.count)
        path.unlink(missing_ok=True)
    with timed(result, "set"):
        for split in hdf5.SPLITS:
            hdf5.generate("kdv-easy", split, options.count, folder=folder, progress=_print_progress(split))
    return result | _compare_with_radau()


def _compare_with_radau() -> dict[str, Any]:
    from scipy.fftpack import diff
    from scipy.integrate import solve_ivp

    times = {}
    setup = replace(equations.SETUPS["kdv-easy"], kept=250)
    with timed(times, "one_trajectory"):
        fields = equations.simulate(setup, range(1), seed=0)
    with timed(times, "one_trajectory_radau"):
        length, t, start = fields.lengths[0], fields.t[0], fields.u[0, 0]
        radau = solve_ivp(
            lambda _, u: -u * diff(u, period=length) - diff(u, order=3, period=length),
            (0.0, t[-1]), start, method="Radau", t_eval=t, rtol=1e-9, atol=1e-9,
        ).y.T  # fmt: skip
    finer = equations.simulate(replace(setup, substeps=8 * setup.substeps), range(1), seed=0).u[0]
    drift = equations.drift(start, fields.u[0], equations.EQUATIONS["kdv"])
    scale = np.abs(finer).max()
    return times | {
        "largest_difference_to_radau": float(np.abs(fields.u[0] - radau).max() / scale),
        "largest_difference_to_eight_times_the_steps": float(np.abs(fields.u[0] - finer).max() / scale),
        "largest_difference_of_radau_to_eight_times_the_steps": float(np.abs(radau - finer).max() / scale),
        "drift_of_the_mean": drift[1],
        "drift_of_the_mean_square": drift[2],
    }


def _print_progress(name: str) -> hdf5.Progress:
    return lambda done, total: print(f"{name}: {done} of {total}", flush=True)


def discovery(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Relative errors, extra and missing terms and seconds of each system and noise, over several trajectories."""
    rows = []
    for system in ("kdv-easy", "kdv", "ks", "burgers"):
        for noise in (0.0, 0.01, 0.05):
            runs = [_discover(pde.Config(system=system, noise=noise, seed=seed)) for seed in range(options.runs)]
            row = {"system": system, "noise": noise, "runs": len(runs)}
            row["median_error"] = statistics.median(run["error"] for run in runs)
            row["worst_error"] = max(run["error"] for run in runs)
            row |= {name: sum(run[name] for run in runs) for name in ("extra", "missing")}
            row["in_interval"] = f"{sum(r['inside'] for r in runs)} of {sum(r['true'] for r in runs)}"
            row["median_s"] = statistics.median(run["seconds"] for run in runs)
            rows.append(row)
            print(row, flush=True)
    return rows


def _discover(config: pde.Config) -> dict[str, float]:
    data = pde.data(config)
    begin = time.process_time()
    model = pde.model(config, data)
    while not model.done:
        model.step()
    result = model.result()
    seconds = time.process_time() - begin
    truth = np.array([equations.EQUATIONS[data.attrs["equation"]].terms.get(term.name, 0.0) for term in model.terms])
    true = truth != 0
    return {
        "error": float(np.abs(result.coefficients / np.where(true, truth, 1.0) - 1)[true].max()),
        "extra": int((~true & (result.coefficients != 0)).sum()),
        "missing": int((true & (result.coefficients == 0)).sum()),
        "inside": int(((result.lower <= truth) & (truth <= result.upper))[true].sum()),
        "true": int(true.sum()),
        "seconds": seconds,
    }


class Fourier(nn.Module):
    """A Fourier neural operator with the interface of `WaveForecaster`; its output is added to the last frame."""

    def __init__(self) -> None:
        super().__init__()
        from neuralop.models import FNO

        torch.manual_seed(0)
        self.operator = FNO(n_modes=(64,), in_channels=FRAMES, out_channels=FRAMES, hidden_channels=32, n_layers=4)

    def forward(self, x: Tensor, *, half: bool = False) -> Tensor:
        return x[:, -1:] + self.operator(x)

    roll_out = WaveForecaster.roll_out


def forecast(options: argparse.Namespace) -> dict[str, Any]:
    """Errors of both models after the same processor time, and of persistence."""
    sets = {}
    for split, size in (("train", 128), ("valid", 16), ("test", 128)):
        path = hdf5.generate("kdv-easy", split, size, folder=options.folder or Path("build/kdv-benchmark"))
        sets[split] = Waves(*windows.fields(hdf5.read(path, count=size)))
    u = sets["test"].u.numpy()
    persistence = np.broadcast_to(u[:, FRAMES - 1 : FRAMES], u[:, FRAMES:].shape)
    result = {"persistence": _errors(u, persistence), "seconds": options.seconds}
    for name in [options.only] if options.only else ["small", "fourier"]:
        model = Forecast(sets["train"], sets["valid"], TrainingPlan(steps=10**9, stop=10**9))
        if name == "fourier":
            model.network = Fourier()
            model._adam = torch.optim.Adam(model.network.parameters(), lr=model.plan.rate)
        result[name] = _train(model, options.seconds, u)
        print(name, {key: value for key, value in result[name].items() if key != "history"}, flush=True)
    return result


def _train(model: Forecast, seconds: float, u: np.ndarray) -> dict[str, Any]:
    begin, history, best = time.process_time(), [], (float("inf"), {})
    while (spent := time.process_time() - begin) < seconds:
        values = model.step()
        if "nmse" in values:
            history.append([round(spent, 1), values["valid"], values["nmse"]])
            print(model._count, *history[-1], flush=True)
            if values["nmse"] < best[0]:
                best = (values["nmse"], [parameter.detach().clone() for parameter in model.network.parameters()])
    with torch.no_grad():
        for parameter, values in zip(model.network.parameters(), best[1], strict=True):
            parameter.copy_(values)
    ahead = u.shape[1] - FRAMES
    errors = _errors(u, model.predict(u[:, :FRAMES], ahead))
    return {"parameters": count(model.network), "steps": model._count, **errors, "history": history}


def _errors(u: np.ndarray, forecast: np.ndarray) -> dict[str, float]:
    truth = u[:, FRAMES:]
    errors = {}
    for frames in HORIZONS:
        errors[f"nmse_{frames}"] = metrics.nmse(truth[:, :frames], forecast[:, :frames])
        errors[f"published_nmse_{frames}"] = metrics.nmse(truth[:, :frames], forecast[:, :frames], by="prediction")
    return errors


def step(options: argparse.Namespace) -> dict[str, Any]:
    """Median times of a training step with batch 32, forward and backward, of networks and solver; models alternate."""
    sys.path.insert(0, str(options.published))
    smnn = importlib.import_module("smnn")
    smnn.mnn = None  # without its optional compiled extension
    u = equations.simulate(equations.SETUPS["kdv-easy"], range(32), seed=0).u[:, : 2 * FRAMES - 1].astype(np.float32)
    u = torch.from_numpy(u)
    published = Published(smnn.ode_forward)
    ours = WaveForecaster(PRESETS["paper"], torch.Generator().manual_seed(0))
    models = {"published": (published, published.solve), "ours": (ours, _solve)}
    times = {name: [] for name in models}
    adams = {name: torch.optim.Adam(model.parameters(), lr=1e-4) for name, (model, _) in models.items()}
    for number in range(options.steps + 2):
        for name, (model, solve) in models.items():
            times[name].append(_step(adams[name], model.odes, solve, u))
        print(number, {name: [round(x, 3) for x in rows[-1]] for name, rows in times.items()}, flush=True)
    result = {"batch": 32, "systems": 32 * 256, "steps": options.steps}
    for name, (model, _) in models.items():
        networks, solver, adam, _ = (statistics.median(column) for column in zip(*times[name][2:], strict=True))
        result[name] = {
            "parameters": count(model), "networks_s": networks, "solver_s": solver, "adam_s": adam,
            "last_loss": times[name][-1][3],
        }  # fmt: skip
    for part in ("networks", "solver"):
        result[f"{part}_ratio"] = result["published"][f"{part}_s"] / result["ours"][f"{part}_s"]
    return result


def _solve(odes: Any) -> Tensor:
    from workbench.solver import solve

    return solve(odes.problem(), check=False).u[..., 0, 0].mT


def _step(adam: torch.optim.Adam, odes: Any, solve: Any, u: Tensor) -> tuple[float, float, float, float]:
    """Seconds of the networks and of the solver, forward and backward, and of Adam; the loss."""
    clock = time.process_time
    begin = clock()
    output = odes(u[:, :FRAMES])
    names = ("coefficients", "forcing", "initial", "steps")
    parts = output if isinstance(output, tuple) else tuple(getattr(output, name) for name in names)
    leaves = tuple(part.detach().requires_grad_() for part in parts)
    solver_begin = clock()
    solution = solve(leaves if isinstance(output, tuple) else type(output)(*leaves))
    loss = (solution.float() - u[:, FRAMES - 1 :]).abs().sum(-1).mean()
    loss.backward()
    solver_end = clock()
    adam.zero_grad()
    torch.autograd.backward(parts, [leaf.grad for leaf in leaves])
    end = clock()
    adam.step()
    return solver_begin - begin + end - solver_end, solver_end - solver_begin, clock() - end, loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parts = parser.add_subparsers(required=True, metavar="part")
    for part in (generate, discovery, forecast, step):
        command = parts.add_parser(part.__name__)
        command.set_defaults(run=part)
        if part is generate:
            command.add_argument("--count", type=int, default=512)
        if part in (generate, forecast):
            command.add_argument("--folder", type=Path)
        if part is forecast:
            command.add_argument("--seconds", type=float, default=300)
            command.add_argument("--only", choices=["small", "fourier"])
        if part is discovery:
            command.add_argument("--runs", type=int, default=8)
        if part is step:
            command.add_argument("published", type=Path)
            command.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = options.run(options)
    result = {"machine": machine(), "python": platform.python_version(), "torch": torch.__version__}
    result |= {"threads": options.threads, "load": os.getloadavg()[0], "native": available()["native"] or "yes"}
    result["found"] = found
    print(json.dumps({k: v for k, v in result.items()}, indent=1, default=str)[:4000])
    if options.json:
        whole = json.loads(options.json.read_text()) if options.json.exists() else {}
        part = options.run.__name__
        if getattr(options, "only", None) and part in whole:
            result["found"] = whole[part]["found"] | found
        whole[part] = result
        options.json.write_text(json.dumps(whole, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
