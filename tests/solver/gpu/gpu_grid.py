"""Run every solver test on a GPU, although the tests use CPU tensors.

As a pytest plugin (`-p tests.solver.gpu.gpu_grid`, with the device in SMNN_GPU_GRID) it adds `cuda` to the backends of
every solver test, copies the arguments of this backend to the device, and its results back.
"""

import os
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
import torch

from workbench.solver import LinearODE
from workbench.solver.backends import cuda

STEPS = ("solve", "resolve", "normal_solve", "vjp")


def to_device(device: torch.device, x: Any) -> Any:
    """x with all tensors on the device, in the same layout."""
    if isinstance(x, torch.Tensor):
        return copy_with_strides(x, device)
    if isinstance(x, LinearODE):
        tensors = [copy_with_strides(value, device) for value in x.tensors.values()]
        return LinearODE.from_tensors(tensors, x.T, x.T0, x.central)
    if isinstance(x, tuple | list):
        return type(x)(to_device(device, value) for value in x)
    if isinstance(x, dict):
        return {name: to_device(device, value) for name, value in x.items()}
    return x


def copy_with_strides(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy with stride 0 in broadcast dimensions, as in x."""
    compact = x.detach()
    for i in range(x.ndim):
        if x.stride(i) == 0 and x.shape[i] > 1:
            compact = compact.narrow(i, 0, 1)
    return compact.clone().to(device).expand(x.shape)


def on_device(step: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """A function of the backend that runs on `device` and returns CPU tensors."""

    @wraps(step)
    def call(*arguments: Any) -> Any:
        return to_device(torch.device("cpu"), step(*map(partial(to_device, device), arguments)))

    return call


@pytest.hookimpl(trylast=True)  # after gpu_host
def pytest_configure() -> None:
    name = os.environ.get("SMNN_GPU_GRID")
    if not name:
        return
    device = torch.device(name)
    reason = cuda.unavailable_reason(device)
    if reason:
        raise RuntimeError(f"SMNN_GPU_GRID: {name} is not usable: {reason}")
    for step in STEPS:
        setattr(cuda, step, on_device(getattr(cuda, step), device))
    cuda.unavailable_reason = lambda device: ""
