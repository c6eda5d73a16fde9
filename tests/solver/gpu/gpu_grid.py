"""Every solver test on a GPU, though its tensors are on the CPU.

As a plugin of pytest (`-p tests.solver.gpu.gpu_grid`, with the device in SMNN_GPU_GRID) it puts `cuda` among the
backends of every solver test: what that backend is given goes to the device, and what it gives comes back.
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


def moved(device: torch.device, x: Any) -> Any:
    """x with every tensor in it on that device, in its layout."""
    if isinstance(x, torch.Tensor):
        return laid_out(x, device)
    if isinstance(x, LinearODE):
        tensors = [laid_out(value, device) for value in x.tensors.values()]
        return LinearODE.from_tensors(tensors, x.T, x.T0, x.central)
    if isinstance(x, tuple | list):
        return type(x)(moved(device, value) for value in x)
    if isinstance(x, dict):
        return {name: moved(device, value) for name, value in x.items()}
    return x


def laid_out(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy with the strides of x: 0 where it is broadcast."""
    once = x.detach()
    for i in range(x.ndim):
        if x.stride(i) == 0 and x.shape[i] > 1:
            once = once.narrow(i, 0, 1)
    return once.clone().to(device).expand(x.shape)


def abroad(step: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """A step of the backend that works on `device`, and answers on the CPU."""

    @wraps(step)
    def there(*given: Any) -> Any:
        return moved(torch.device("cpu"), step(*map(partial(moved, device), given)))

    return there


@pytest.hookimpl(trylast=True)  # after gpu_host
def pytest_configure() -> None:
    name = os.environ.get("SMNN_GPU_GRID")
    if not name:
        return
    device = torch.device(name)
    reason = cuda.unfit(device)
    if reason:
        raise RuntimeError(f"SMNN_GPU_GRID: {name} cannot serve: {reason}")
    for step in STEPS:
        setattr(cuda, step, abroad(getattr(cuda, step), device))
    cuda.unfit = lambda device: ""
