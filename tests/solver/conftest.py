"""What every solver test shares, and the kernels of the GPU backend on the CPU."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tests.solver.gpu_host import launch_by
from tests.solver.test_sanitizers import INSTALL, KERNELS, compiler
from workbench.solver import launcher
from workbench.solver.backends import cuda, cuda_call, cuda_plan
from workbench.solver.sizes import sizes_of

HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small lose more by waking threads than they win, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def library(required: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the GPU kernels, compiled for the CPU: in float64, and in float32."""
    folder = tmp_path_factory.mktemp("gpu_host")
    cxx = compiler((), folder)
    required(cxx, INSTALL)
    fused = ["-mfma"] if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") else []  # as on a GPU
    options = "-std=c++20", "-O1", "-w", "-fPIC", "-shared", "-ffp-contract=fast", *fused, f"-I{KERNELS}"
    defined = "-DSMNN_ISA=gpu_host", "-DSMNN_LANES=1"

    def make(name: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = (*cxx, *options, *defined, *more, HERE / "gpu_host.cpp", "-o", folder / name)
        return subprocess.run(command, capture_output=True, text=True, timeout=900)

    with ThreadPoolExecutor(2) as pool:
        for made in pool.map(make, ("gpu_host.so", "gpu_host32.so"), ("-DSMNN_DOUBLE", "-DSMNN_SINGLE")):
            assert made.returncode == 0, made.stderr[-4000:]
    return folder


@pytest.fixture
def host(library: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`cuda` serves CPU tensors by those kernels. A function that says where matrices lie: in "registers", or always in
    "memory", or in the shared memory of a "warp"."""

    def nothing_stays(call: cuda.Call, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.full(shape, float("nan") if dtype.is_floating_point else -99, dtype=dtype)

    def lie(where: str) -> None:
        monkeypatch.setattr(launcher, "UNROLLED", 9 if where == "registers" else 0)
        monkeypatch.setattr(cuda_plan, "MOST_SHARED", 10**9 if where == "warp" else 0)
        monkeypatch.setattr(cuda_call, "plan_of", plan)

    def plan(layout: cuda_plan.Layout, T: int, T0: int, central: bool, method: str) -> cuda_plan.Plan:
        sizes = sizes_of(tuple([shape for shape, _ in layout]), T, T0, central)
        return cuda_plan.Plan(layout, sizes, central, method)

    monkeypatch.setattr(launcher, "launch", launch_by(library))
    monkeypatch.setattr(cuda.Call, "empty", nothing_stays)
    monkeypatch.setattr(cuda, "unfit", lambda device: "")
    return lie


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of 4 grid points and more are cut into pieces."""
    monkeypatch.setattr(cuda_plan, "SHORTEST", 2)
    monkeypatch.setattr(cuda_plan, "FEWEST", 2)
