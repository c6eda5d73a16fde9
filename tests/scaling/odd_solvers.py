"""Solvers with the published arguments for the tests of scaling and compare: slow, printing, failing, dying, large."""

import os
import signal
import time
from typing import Any

import torch
from torch import Tensor

from workbench.solver import ode_forward


def slow(*tensors: Tensor, n_steps: int, **options: Any) -> Tensor:
    """Sleep for 10 n_steps milliseconds."""
    time.sleep(1e-2 * n_steps)
    return ode_forward(*tensors, n_steps=n_steps, **options)


def loud(*tensors: Tensor, **options: Any) -> Tensor:
    print('{"end": "failed"}')
    return ode_forward(*tensors, **options)


def failing(*tensors: Tensor, n_steps: int, **options: Any) -> Tensor:
    if n_steps > 20:
        raise ArithmeticError("no answer beyond 20 grid points")
    return ode_forward(*tensors, n_steps=n_steps, **options)


def dying(*tensors: Tensor, n_steps: int, **options: Any) -> Tensor:
    if n_steps > 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return ode_forward(*tensors, n_steps=n_steps, **options)


def hungry(*tensors: Tensor, n_steps: int, **options: Any) -> Tensor:
    """Allocate n_steps MiB while solving; from 100,000 on, more than any machine has."""
    held = torch.ones(n_steps, 2**17, dtype=torch.float64) if n_steps < 100_000 else torch.empty(2**46)
    return ode_forward(*tensors, n_steps=n_steps, **options) + 0 * held[0, 0]
