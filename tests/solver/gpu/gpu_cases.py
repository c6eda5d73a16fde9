"""Problem sizes and helpers of the GPU tests."""

import os
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
COMPILED = [(1, 1, 1), (1, 1, 3), (1, 2, 3), (2, 2, 2), (3, 3, 3)]  # D, E, K; those of gpu_host.cpp
GENERAL = [(1, 1, 4), (2, 1, 3), (2, 3, 2), (3, 2, 2), (1, 1, 6)]
LARGE = [(4, 3, 3), (6, 5, 3), (8, 3, 4)]  # warp per system: up to two, two and three columns per lane
GRID = ("oracle_agreement", "properties", "gradients", "factorize", "faults", "layouts", "accuracy", "operators")
GRID += ("frozen_factors", "transforms", "drop_in")


def initial_rows_at_start(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Keep only the initial rows of the first grid point."""
    return {name: value[..., :1, :, :] if name in ("initial", "start") else value for name, value in x.items()}


def constant_in_time(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Make all arguments constant in time that may be."""
    rows = {"coefficients": 4, "forcing": 2, "steps": 1, "equation": 2, "taylor": 2}
    return {name: x[name].narrow(-rows[name], 0, 1) if name in rows else x[name] for name in x}


def run_grid(exhaustive: bool, **environment: str) -> int:
    """Run all tests parametrised over backends for `cuda`, in a subprocess with the plugins gpu_host and gpu_grid.

    Returns the number of passed tests. Raises AssertionError with the output if one fails.
    """
    files = [str(HERE.parent / f"test_{name}.py") for name in GRID] + [str(HERE.parent / "invalid")]
    plugins = [option for name in ("gpu_host", "gpu_grid") for option in ("-p", f"tests.solver.gpu.{name}")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, "-k", "cuda"]
    command += ["--exhaustive"] if exhaustive else []
    # at this step size rounding decides whether the normal equations break down
    command += ["--deselect", "tests/solver/test_faults.py::test_cholesky_raises_or_is_accurate[1e-06-5-central-cuda]"]
    env = {**os.environ, **environment}
    result = subprocess.run([*command, *files], cwd=HERE.parents[2], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return int(result.stdout.rsplit(" passed", 1)[0].split()[-1])
