"""Fixtures of the tests of the CPU kernel."""

from collections.abc import Callable, Iterator

import pytest
import torch

from workbench.solver.backends import native


@pytest.fixture
def compiled_kernel(required: Callable[[object, str], None]) -> None:
    required(not native.unavailable_reason(torch.device("cpu")), "install a C++ compiler and reinstall the package")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """torch.set_num_threads, undone afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
