"""What the tests of discovery share: Lorenz records and what is found in them."""

from functools import cache

import numpy as np
import torch

from workbench.datasets import windows
from workbench.datasets.ode import lorenz
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import discover
from workbench.discovery.engine.result import Discovery
from workbench.experiments.lorenz import true_coefficients
from workbench.symbolic.library import Polynomials

QUADRATIC = Polynomials(("x", "y", "z"), 2)
TRUTH = true_coefficients(QUADRATIC)
TRUE = TRUTH != 0


def lorenz_record(noise: float = 0.0, seed: int = 0, points: int = 3000) -> Trajectory:
    record = lorenz.simulate(points=points, step=0.01, noise=noise, seed=seed)
    return Trajectory(torch.from_numpy(record.time.values.copy()), windows.tensor(record))


def noisy(times: np.ndarray, states: np.ndarray, noise: float, seed: int = 0) -> Trajectory:
    drawn = noise * np.random.default_rng(seed).standard_normal(states.shape)
    return Trajectory(torch.from_numpy(times), torch.from_numpy(states + drawn))


@cache
def found(noise: float, seed: int = 0, points: int = 3000) -> Discovery:
    return discover([lorenz_record(noise, seed, points)], QUADRATIC, Settings(n_bootstrap=50))


def rmse(coefficients: np.ndarray) -> float:
    return float(np.sqrt(np.mean((coefficients - TRUTH)[TRUE] ** 2)))
