"""Lorenz trajectories and cached discoveries, shared by the tests of discovery."""

from functools import cache

import numpy as np
import torch

from workbench.datasets import windows
from workbench.datasets.ode import lorenz
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.result import Discovery
from workbench.discovery.modes import discover
from workbench.experiments.lorenz import true_coefficients
from workbench.symbolic.library import Polynomials

QUADRATIC = Polynomials(("x", "y", "z"), 2)
TRUTH = true_coefficients(QUADRATIC)
TRUE = TRUTH != 0


def lorenz_trajectory(noise: float = 0.0, seed: int = 0, points: int = 3000) -> Trajectory:
    data = lorenz.simulate(points=points, step=0.01, noise=noise, seed=seed)
    return Trajectory(torch.from_numpy(data.time.values.copy()), windows.tensor(data))


def noisy_trajectory(times: np.ndarray, states: np.ndarray, noise: float, seed: int = 0) -> Trajectory:
    perturbation = noise * np.random.default_rng(seed).standard_normal(states.shape)
    return Trajectory(torch.from_numpy(times), torch.from_numpy(states + perturbation))


@cache
def discovered(noise: float, seed: int = 0, points: int = 3000) -> Discovery:
    return discover([lorenz_trajectory(noise, seed, points)], QUADRATIC, Settings(n_bootstrap=50))


def rmse(coefficients: np.ndarray) -> float:
    return float(np.sqrt(np.mean((coefficients - TRUTH)[TRUE] ** 2)))
