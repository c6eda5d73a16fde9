"""Fixtures that run the kernels of the GPU backend on the CPU."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tests.solver.gpu.gpu_host import launch_by
from tests.solver.native import cxx
from workbench.solver.backends import cuda
from workbench.solver.backends.cuda import call as cuda_call
from workbench.solver.backends.cuda import nvrtc
from workbench.solver.backends.cuda import plan as cuda_plan
from workbench.solver.shapes import sizes_of

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def library(required: Callable[[object, str], None]) -> tuple[Path, Path]:
    """The GPU kernels compiled for the CPU, in float64 and in float32."""
    command = cxx.compiler(())
    required(command, cxx.INSTALL)
    fused = ["-mfma"] if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") else []  # GPUs fuse too
    options = "-std=c++20", "-O1", "-w", "-fPIC", "-shared", "-ffp-contract=fast", *fused
    options += "-DSMNN_ISA=gpu_host", "-DSMNN_LANES=1"
    source = HERE / "gpu_host.cpp"

    def build(precision: str) -> Path:
        return cxx.build("gpu_host.so", [(source, [f"-DSMNN_{precision}"])], options, command)

    with ThreadPoolExecutor(2) as pool:
        double, single = pool.map(build, ("DOUBLE", "SINGLE"))
    return double, single


@pytest.fixture
def host(library: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`cuda` solves CPU tensors with these kernels.

    Returns a function that places the matrices in "registers", always in "memory", or in the shared memory of a "warp".
    """

    def empty(call: cuda.CudaCall, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.full(shape, float("nan") if dtype.is_floating_point else -99, dtype=dtype)

    def place(placement: str) -> None:
        monkeypatch.setattr(nvrtc, "UNROLLED", 9 if placement == "registers" else 0)
        monkeypatch.setattr(cuda_plan, "MOST_SHARED", 10**9 if placement == "warp" else 0)
        monkeypatch.setattr(cuda_call, "plan_of", plan)

    def plan(layout: cuda_plan.Layout, T: int, T0: int, central: bool, method: str) -> cuda_plan.CudaPlan:
        sizes = sizes_of(tuple([shape for shape, _ in layout]), T, T0, central)
        return cuda_plan.CudaPlan(layout, sizes, central, method)

    monkeypatch.setattr(nvrtc, "launch", launch_by(*library))
    monkeypatch.setattr(cuda.CudaCall, "empty", empty)
    monkeypatch.setattr(cuda, "unavailable_reason", lambda device: "")
    return place


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut records of at least 4 grid points into pieces."""
    monkeypatch.setattr(cuda_plan, "SHORTEST", 2)
    monkeypatch.setattr(cuda_plan, "FEWEST", 2)
