"""Training step of the Lorenz experiment in mode adam, compared to a step of the published code.

    python benchmarks/discovery/lorenz_adam.py DIR [--steps 40] [--threads N] [--json FILE]

DIR contains a local copy of the published smnn.py, which is not part of this project. Both use batch size 512, windows
of 50 grid points, hidden width 1024, 10 candidates, 3 derivatives. The published code computes in float64, as its
notebook does, with its frozen factorisation; the workbench uses float32 for the networks and float64 in the solver.
Steps alternate; medians and their ratio are printed. Exit status 1 if the workbench takes more than half the time.
"""

import argparse
import importlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parents[2]))

from workbench.datasets import windows
from workbench.experiments import lorenz
from workbench.symbolic.library import Polynomials

WARM_UP = 5


def perceptron(*widths: int) -> nn.Sequential:
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).double()


def batches(samples: Tensor) -> Iterator[Tensor]:
    """Endless shuffled batches of a DataLoader, as in the published notebook."""
    while True:
        yield from DataLoader(samples, batch_size=512, shuffle=True, drop_last=True)


def published_step(folder: str, states: Tensor) -> Callable[[], float]:
    """A step of the published training: the published solver and a float64 model of the same size."""
    sys.path.insert(0, folder)
    smnn = importlib.import_module("smnn")
    smnn.mnn = None  # without its optional compiled extension
    torch.manual_seed(0)
    library = Polynomials(("x", "y", "z"), 2)
    denoiser, coefficients = perceptron(150, 1024, 1024, 150), perceptron(64, 1024, 1024, 30)
    latent = nn.Parameter(torch.randn(64, dtype=torch.float64))
    optimiser = torch.optim.Adam([latent, *denoiser.parameters(), *coefficients.parameters()], lr=5e-4)
    left = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).expand(1, 1, 3, 1, 1, 3)
    h = torch.full((1, 1, 1), 0.01, dtype=torch.float64)
    source = batches(windows.windows(states, 50, 1))

    def step() -> float:
        x = next(source)
        denoised = denoiser(x.flatten(1)).reshape(x.shape)
        forcing = library(denoised) @ coefficients(latent).reshape(10, 3)
        options = {"n_steps": 50, "is_step_dim_first": True, "frozen_lhs_cache_version": 1}
        u = smnn.ode_forward(
            left, forcing.transpose(0, 1)[..., None], denoised[None, :, 0, :, None, None], h, **options
        )
        loss = (u[..., 0, 0].transpose(0, 1) - x).square().mean() + (denoised - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def our_step() -> tuple[Callable[[], float], Tensor]:
    config = lorenz.Config(mode="adam", coefficients="learned", derivatives=3, learning_rate=5e-4)
    data = lorenz.data(config)
    model = lorenz.model(config, data)
    return lambda: model.step()["loss"], windows.tensor(data)


def alternate(steps: dict[str, Callable[[], float]], count: int) -> dict[str, float]:
    """Median milliseconds per step of each, after a warm-up."""
    times = {name: [] for name in steps}
    for round_number in range(WARM_UP + count):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            if round_number >= WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", help="the folder of smnn.py")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ours, states = our_step()
    medians = alternate({"published": published_step(options.published, states), "ours": ours}, options.steps)
    ratio = medians["published"] / medians["ours"]
    print(f"published {medians['published']:.1f} ms per step, ours {medians['ours']:.1f} ms, ratio {ratio:.2f}")
    if options.json:
        machine = {"threads": options.threads, "instructions": torch.backends.cpu.get_cpu_capability()}
        versions = {"torch": torch.__version__, "python": platform.python_version()}
        result = {"milliseconds_per_step": medians, "ratio": ratio, "steps": options.steps, **machine, **versions}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(ratio < 2)


if __name__ == "__main__":
    sys.exit(main())
