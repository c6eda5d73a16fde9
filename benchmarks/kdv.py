"""KdV: the generator, discovery from a field, forecasts, and the cost of a training step. One part a run.

    python benchmarks/kdv.py generate [--count 512] [--folder DIR]
    python benchmarks/kdv.py discovery [--runs 8]
    python benchmarks/kdv.py forecast [--seconds 300] [--only small|fourier] [--folder DIR]
    python benchmarks/kdv.py step DIR [--steps 50]
    ... [--threads N] [--json FILE]

generate: the easy set, 3 x 512 trajectories, and one trajectory over 250 frames beside scipy's Radau at tolerance 1e-9,
as the published generator has it. discovery: KdV, Kuramoto-Sivashinsky and Burgers from one trajectory each, settings
as they come, noise 0, 1 and 5 % of the field. forecast: the preset `small` and a Fourier neural operator of the
neuraloperator library (extra bench) of as many numbers, on the same 128 trajectories for the same seconds of processor
time, judged by 128 others. step: the `paper` preset beside the published model and solver; DIR holds a local copy of
the published smnn.py, which is never part of this project; both float32 networks, solver in float64. Seconds are
processor time unless they say wall: other programs that share the machine change them less. Results are added to FILE
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

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
    """Seconds of processor time and of the clock."""
    begin, wall = time.process_time(), time.perf_counter()
    yield
    into[name] = {"processor_s": time.process_time() - begin, "wall_s": time.perf_counter() - wall}


def generate(options: argparse.Namespace) -> dict[str, Any]:
    """The easy set, then one trajectory beside Radau."""
    found = {"trajectories": 3 * options.count}
    folder = options.folder or Path("build/kdv-benchmark")
    for split in hdf5.SPLITS:
        path = folder / hdf5.file_name(equations.SETUPS["kdv-easy"], split, options.count)
        path.unlink(missing_ok=True)
    with timed(found, "set"):
        for split in hdf5.SPLITS:
            hdf5.generate("kdv-easy", split, options.count, folder=folder, progress=_bar(split))
    return found | _beside_radau()


def _beside_radau() -> dict[str, Any]:
    from scipy.fftpack import diff
    from scipy.integrate import solve_ivp

    found = {}
    setup = replace(equations.SETUPS["kdv-easy"], kept=250)
    with timed(found, "one_trajectory"):
        made = equations.simulate(setup, range(1), seed=0)
    with timed(found, "one_trajectory_radau"):
        length, times, start = made.lengths[0], made.t[0], made.u[0, 0]
        radau = solve_ivp(
            lambda t, u: -u * diff(u, period=length) - diff(u, order=3, period=length),
            (0.0, times[-1]), start, method="Radau", t_eval=times, rtol=1e-9, atol=1e-9,
        ).y.T  # fmt: skip
    finer = equations.simulate(replace(setup, substeps=8 * setup.substeps), range(1), seed=0).u[0]
    drift = equations.drift(start, made.u[0], equations.EQUATIONS["kdv"])
    size = np.abs(finer).max()
    return found | {
        "largest_difference_to_radau": float(np.abs(made.u[0] - radau).max() / size),
        "largest_difference_to_eight_times_the_steps": float(np.abs(made.u[0] - finer).max() / size),
        "largest_difference_of_radau_to_eight_times_the_steps": float(np.abs(radau - finer).max() / size),
        "drift_of_the_mean": drift[1],
        "drift_of_the_mean_square": drift[2],
    }


def _bar(name: str) -> hdf5.Progress:
    return lambda done, total: print(f"{name}: {done} of {total}", flush=True)


def discovery(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Each system and noise over a few trajectories: the worst relative error, terms too many or missing, seconds."""
    rows = []
    for system in ("kdv-easy", "kdv", "ks", "burgers"):
        for noise in (0.0, 0.01, 0.05):
            runs = [_discovered(pde.Config(system=system, noise=noise, seed=seed)) for seed in range(options.runs)]
            row = {"system": system, "noise": noise, "runs": len(runs)}
            row["median_error"] = statistics.median(run["error"] for run in runs)
            row["worst_error"] = max(run["error"] for run in runs)
            row |= {name: sum(run[name] for run in runs) for name in ("extra", "missing")}
            row["in_interval"] = f"{sum(r['inside'] for r in runs)} of {sum(r['true'] for r in runs)}"
            row["median_s"] = statistics.median(run["seconds"] for run in runs)
            rows.append(row)
            print(row, flush=True)
    return rows


def _discovered(config: pde.Config) -> dict[str, float]:
    data = pde.data(config)
    begin = time.process_time()
    model = pde.model(config, data)
    while not model.done:
        model.step()
    found = model.result()
    seconds = time.process_time() - begin
    truth = np.array([equations.EQUATIONS[data.attrs["equation"]].terms.get(term.name, 0.0) for term in model.terms])
    true = truth != 0
    return {
        "error": float(np.abs(found.coefficients / np.where(true, truth, 1.0) - 1)[true].max()),
        "extra": int((~true & (found.coefficients != 0)).sum()),
        "missing": int((true & (found.coefficients == 0)).sum()),
        "inside": int(((found.lower <= truth) & (truth <= found.upper))[true].sum()),
        "true": int(true.sum()),
        "seconds": seconds,
    }


class Fourier(nn.Module):
    """A Fourier neural operator that forecasts as `WaveForecaster` does: what it says is added to the last frame."""

    def __init__(self) -> None:
        super().__init__()
        from neuralop.models import FNO

        torch.manual_seed(0)
        self.operator = FNO(n_modes=(64,), in_channels=FRAMES, out_channels=FRAMES, hidden_channels=32, n_layers=4)

    def forward(self, x: Tensor, *, half: bool = False) -> Tensor:
        return x[:, -1:] + self.operator(x)

    roll_out = WaveForecaster.roll_out


def forecast(options: argparse.Namespace) -> dict[str, Any]:
    """Both for the same seconds of processor time, one after the other, and persistence."""
    sets = {}
    for split, size in (("train", 128), ("valid", 16), ("test", 128)):
        path = hdf5.generate("kdv-easy", split, size, folder=options.folder or Path("build/kdv-benchmark"))
        sets[split] = Waves(*windows.fields(hdf5.read(path, count=size)))
    u = sets["test"].u.numpy()
    still = np.broadcast_to(u[:, FRAMES - 1 : FRAMES], u[:, FRAMES:].shape)
    found = {"persistence": _judged(u, still), "seconds": options.seconds}
    for name in [options.only] if options.only else ["small", "fourier"]:
        model = Forecast(sets["train"], sets["valid"], TrainingPlan(steps=10**9, stop=10**9))
        if name == "fourier":
            model.network = Fourier()
            model._adam = torch.optim.Adam(model.network.parameters(), lr=model.plan.rate)
        found[name] = _trained(model, options.seconds, u)
        print(name, {key: value for key, value in found[name].items() if key != "history"}, flush=True)
    return found


def _trained(model: Forecast, seconds: float, u: np.ndarray) -> dict[str, Any]:
    begin, history, best = time.process_time(), [], (float("inf"), {})
    while (spent := time.process_time() - begin) < seconds:
        got = model.step()
        if "nmse" in got:
            history.append([round(spent, 1), got["valid"], got["nmse"]])
            print(model._count, *history[-1], flush=True)
            if got["nmse"] < best[0]:
                best = (got["nmse"], [parameter.detach().clone() for parameter in model.network.parameters()])
    with torch.no_grad():
        for parameter, kept in zip(model.network.parameters(), best[1], strict=True):
            parameter.copy_(kept)
    ahead = u.shape[1] - FRAMES
    judged = _judged(u, model.predict(u[:, :FRAMES], ahead))
    return {"parameters": count(model.network), "steps": model._count, **judged, "history": history}


def _judged(u: np.ndarray, found: np.ndarray) -> dict[str, float]:
    truth = u[:, FRAMES:]
    named = {}
    for frames in HORIZONS:
        named[f"nmse_{frames}"] = metrics.nmse(truth[:, :frames], found[:, :frames])
        named[f"published_nmse_{frames}"] = metrics.nmse(truth[:, :frames], found[:, :frames], by="prediction")
    return named


class Published(nn.Module):
    """The published model in sizes and paddings, in our words; its solver is the one it is given.

    Two ResNets of ten blocks padded with zeros, and two convolutional networks that end in a dense layer.
    """

    def __init__(self, ode_forward: Callable[..., Tensor]) -> None:
        super().__init__()
        self.ode_forward = ode_forward
        self.coefficients, self.forcing = self._residual(50), self._residual(10)
        self.initial = nn.Sequential(
            *self._plain((64, 128, 256, 256), 7, ()), *self._tail(7, (2, 2)),
            nn.Flatten(), nn.Linear(32 * 64, 256 * 3), nn.Unflatten(-1, (256, 3)),
        )  # fmt: skip
        self.step = nn.Sequential(
            *self._plain((64, 128, 256, 256), 5, (1,)), *self._tail(5, (1, 2)), nn.Flatten(), nn.Linear(32 * 64, 1)
        )
        nn.init.zeros_(self.step[-1].weight)
        nn.init.constant_(self.step[-1].bias, float(torch.tensor(0.05).logit()))

    @staticmethod
    def _circular(a: int, b: int, kernel: int, stride: int = 1) -> nn.Conv1d:
        return nn.Conv1d(a, b, kernel, padding=kernel // 2, stride=stride, padding_mode="circular")

    def _plain(self, widths: tuple[int, ...], kernel: int, strided: tuple[int, ...]) -> list[nn.Module]:
        sizes = (FRAMES, *widths)
        return [
            part
            for index, (a, b) in enumerate(pairwise(sizes))
            for part in (self._circular(a, b, kernel, 2 if index in strided else 1), nn.ReLU())
        ]

    def _tail(self, kernel: int, strides: tuple[int, int]) -> list[nn.Module]:
        first, second = strides
        return [
            self._circular(256, 128, kernel, first), nn.ReLU(),
            self._circular(128, 64, kernel, second), nn.ReLU(), self._circular(64, 32, kernel),
        ]  # fmt: skip

    def _residual(self, outputs: int) -> nn.Sequential:
        class Block(nn.Module):
            def __init__(self, a: int, b: int) -> None:
                super().__init__()
                self.one, self.two, self.more = nn.Conv1d(a, b, 9), nn.Conv1d(b, b, 9), (b - a) // 2

            def forward(self, x: Tensor) -> Tensor:
                y = self.one(nn.functional.pad(nn.functional.relu(x), (4, 4)))
                y = self.two(nn.functional.pad(nn.functional.relu(y), (4, 4)))
                return y + nn.functional.pad(x, (0, 0, self.more, self.more))

        widths = (64, 64, 64, 64, 64, 128, 128, 128, 128, 256, 256)
        blocks = [Block(a, b) for a, b in pairwise(widths)]
        first = nn.Sequential(nn.ZeroPad1d(4), nn.Conv1d(FRAMES, 64, 9), nn.ReLU())
        return nn.Sequential(first, *blocks, self._circular(256, outputs, 7))

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        B, N = len(x), x.shape[-1]
        c = self.coefficients(x).mT.reshape(B, N, FRAMES, 1, 1, 5).double()
        r = self.forcing(x).mT.reshape(B, N, FRAMES, 1).double()
        v = torch.cat([x[:, -1, :, None], self.initial(x)], dim=-1).reshape(B, N, 1, 1, 4).double()
        h = self.step(x).sigmoid().clip(min=1e-3)[:, None].expand(B, N, FRAMES - 1).double()
        return c, r, v, h

    def solved(self, pieces: tuple[Tensor, ...]) -> Tensor:
        u = self.ode_forward(*pieces, is_step_dim_first=False, enable_central_smoothness=False)
        return u[..., 0, 0].mT


def step(options: argparse.Namespace) -> dict[str, Any]:
    """Medians of one training step, batch 32: networks there and back, solver there and back; the sides alternate."""
    sys.path.insert(0, str(options.published))
    smnn = importlib.import_module("smnn")
    smnn.mnn = None  # without its optional compiled extension
    u = equations.simulate(equations.SETUPS["kdv-easy"], range(32), seed=0).u[:, : 2 * FRAMES - 1].astype(np.float32)
    u = torch.from_numpy(u)
    theirs = Published(smnn.ode_forward)
    ours = WaveForecaster(PRESETS["paper"], torch.Generator().manual_seed(0))
    sides = {"published": (theirs, theirs.pieces, theirs.solved)}
    sides["ours"] = (ours, ours.pieces, lambda pieces: _ours_solved(pieces))
    times = {name: [] for name in sides}
    adams = {name: torch.optim.Adam(model.parameters(), lr=1e-4) for name, (model, *_) in sides.items()}
    for number in range(options.steps + 2):
        for name, (_, pieces, solved) in sides.items():
            times[name].append(_step(adams[name], pieces, solved, u))
        print(number, {name: [round(x, 3) for x in own[-1]] for name, own in times.items()}, flush=True)
    found = {"batch": 32, "systems": 32 * 256, "steps": options.steps}
    for name, (model, *_) in sides.items():
        networks, solver, adam, _ = (statistics.median(column) for column in zip(*times[name][2:], strict=True))
        found[name] = {
            "parameters": count(model), "networks_s": networks, "solver_s": solver, "adam_s": adam,
            "last_loss": times[name][-1][3],
        }  # fmt: skip
    for part in ("networks", "solver"):
        found[f"{part}_ratio"] = found["published"][f"{part}_s"] / found["ours"][f"{part}_s"]
    return found


def _ours_solved(pieces: Any) -> Tensor:
    from workbench.solver import solve

    return solve(pieces.problem(), check=False).u[..., 0, 0].mT


def _step(adam: torch.optim.Adam, pieces: Any, solved: Any, u: Tensor) -> tuple[float, float, float, float]:
    """Seconds of the networks (there and back), the solver (there and back), Adam; the loss."""
    clock = time.process_time
    begin = clock()
    found = pieces(u[:, :FRAMES])
    names = ("coefficients", "forcing", "initial", "steps")
    parts = found if isinstance(found, tuple) else tuple(getattr(found, name) for name in names)
    leaves = tuple(part.detach().requires_grad_() for part in parts)
    there = clock()
    out = solved(leaves if isinstance(found, tuple) else type(found)(*leaves))
    loss = (out.float() - u[:, FRAMES - 1 :]).abs().sum(-1).mean()
    loss.backward()
    between = clock()
    adam.zero_grad()
    torch.autograd.backward(parts, [leaf.grad for leaf in leaves])
    back = clock()
    adam.step()
    return there - begin + back - between, between - there, clock() - back, loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parts = parser.add_subparsers(required=True, metavar="part")
    for part in (generate, discovery, forecast, step):
        own = parts.add_parser(part.__name__)
        own.set_defaults(run=part)
        if part is generate:
            own.add_argument("--count", type=int, default=512)
        if part in (generate, forecast):
            own.add_argument("--folder", type=Path)
        if part is forecast:
            own.add_argument("--seconds", type=float, default=300)
            own.add_argument("--only", choices=["small", "fourier"])
        if part is discovery:
            own.add_argument("--runs", type=int, default=8)
        if part is step:
            own.add_argument("published", type=Path)
            own.add_argument("--steps", type=int, default=50)
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
