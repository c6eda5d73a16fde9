"""The GPU backend without a GPU: availability, compilation with NVRTC, the cache on disk, and launches."""

import re
from array import array
from dataclasses import replace
from enum import IntEnum
from types import SimpleNamespace

import pytest
import torch

from benchmarks.solver.gpu_registers import ARCHITECTURES, PIECES, PLAIN, SHARED, WARPS, instances, table
from tests.solver.cases import small_problem
from workbench.solver import available, solve
from workbench.solver.backends import cuda, native, select
from workbench.solver.backends.cuda import nvrtc

# Availability


def test_unavailable_reasons(monkeypatch):
    assert "banded" in available()["cuda"]
    assert "banded" in available("mps")["cuda"]
    if not torch.cuda.is_available():
        assert "no CUDA device" in available("cuda")["cuda"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(cuda, "_MISSING", True)
    assert "pip install" in available("cuda")["cuda"]
    monkeypatch.setattr(cuda, "_MISSING", False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    assert "8, 0" in available("cuda")["cuda"]
    with pytest.raises(ValueError, match="NVIDIA"):
        solve(small_problem((), False), backend="cuda")


@pytest.mark.parametrize("missing, expected", [(False, "cuda"), (True, "banded")])
def test_auto_selects_cuda_if_it_is_installed(missing, expected, monkeypatch):
    """On a GPU; otherwise `banded`, which runs on any accelerator."""
    monkeypatch.setattr(native, "unavailable_reason", lambda device: "no CPU")
    monkeypatch.setattr(cuda, "unavailable_reason", lambda device: nvrtc.INSTALL if missing else "")
    assert select(small_problem((), False), "auto", "qr") == expected


def test_out_of_memory_error_has_a_hint(monkeypatch):
    def full(*shape: object, **options: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(cuda, "unavailable_reason", lambda device: "")
    problem = small_problem((), False)
    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(torch.OutOfMemoryError, match="checkpoint=True"):
        solve(problem, backend="cuda")


# Compilation and cache


@pytest.fixture
def compiles(required):
    required(not cuda._MISSING, nvrtc.INSTALL)


def test_the_cache_key_covers_every_header():
    """All headers included by the three that are compiled."""
    headers, remaining = set(), ["gpu/central.hpp", "gpu/pieces.hpp", "gpu/warp_system.hpp"]
    while remaining:
        name = remaining.pop()
        if name not in headers:
            headers.add(name)
            folder = (nvrtc.KERNELS / name).parent
            included = re.findall(r'#include "(.*)"', (nvrtc.KERNELS / name).read_text())
            remaining += [(folder / other).resolve().relative_to(nvrtc.KERNELS).as_posix() for other in included]
    assert headers == set(nvrtc.SOURCES)


def require_compiled(chosen: list[nvrtc.Instance], arch: str) -> None:
    """Compile every kernel. At three unknowns all matrices fit registers, except those of the chain of pieces."""
    rows = table(chosen, (arch,))
    assert {row["kernel"] for row in rows} == {*PLAIN, *SHARED, *PIECES, *WARPS}
    for row in rows:
        assert row["general"] or row["kernel"] in ("JoinPieces", "SolveChain") or row["local_bytes"] <= 16, row
        assert 0 < int(str(row["registers"])) <= 255


@pytest.mark.slow
def test_every_kernel_compiles(compiles):
    """Each kernel with one method for one architecture."""
    chosen = [*instances([(1, 3, 1)], methods=["qr"]), *instances([(5, 2, 1)], methods=["cholesky"])]
    require_compiled([*chosen, *instances([(2, 2, 1)], central=True, methods=["qr"])], "sm_90")


@pytest.mark.exhaustive
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_kernel_compiles_with_every_method(arch, compiles):
    chosen = [*instances([(1, 3, 1), (5, 2, 1)]), *instances([(2, 2, 1)], central=True)]
    require_compiled([*chosen, *instances([(1, 3, 1), (5, 2, 1)], methods=["qr32"])], arch)


@pytest.fixture
def one_compile(monkeypatch, tmp_path):
    """A temporary cache folder and a fake compiler; the list of compiled instances."""
    monkeypatch.setattr(nvrtc, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(nvrtc, "_versions", lambda: "1")
    instances = []

    def compiled(instance: nvrtc.Instance, arch: str) -> nvrtc.Binary:
        instances.append((instance, arch))
        return nvrtc.Binary(b"code\n\x00" + arch.encode(), "name")

    monkeypatch.setattr(nvrtc, "compiled", compiled)
    return instances


INSTANCE = nvrtc.Instance("Solve", "qr", 1, 3, 1)


def test_binaries_are_cached(one_compile):
    first = nvrtc.binary(INSTANCE, "sm_90")
    assert nvrtc.binary(INSTANCE, "sm_90") == first
    assert len(one_compile) == 1
    assert [file.suffix for file in nvrtc.cache_folder().iterdir()] == [".bin"]


def test_other_instances_are_not_confused(one_compile, monkeypatch):
    nvrtc.binary(INSTANCE, "sm_90")
    nvrtc.binary(INSTANCE, "sm_80")
    nvrtc.binary(replace(INSTANCE, E=2), "sm_90")
    monkeypatch.setattr(nvrtc, "_versions", lambda: "2")
    nvrtc.binary(INSTANCE, "sm_90")
    assert len(one_compile) == 4


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_corrupt_file_is_recompiled(damage, one_compile):
    first = nvrtc.binary(INSTANCE, "sm_90")
    (file,) = nvrtc.cache_folder().iterdir()
    file.write_bytes(file.read_bytes()[:-3] if damage is None else damage)
    assert nvrtc.binary(INSTANCE, "sm_90") == first
    assert nvrtc.binary(INSTANCE, "sm_90") == first
    assert len(one_compile) == 2


def test_an_unwritable_cache_folder(one_compile, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file in its place")
    assert nvrtc.binary(INSTANCE, "sm_90").name == "name"
    assert "cannot be cached" in caplog.text


class Driver:
    """A fake CUDA driver that records its calls."""

    def __init__(self, fails: bool = False) -> None:
        self.calls, self.fails = [], fails

    def __getattr__(self, name: str):
        def call(*arguments: object) -> tuple[object, ...]:
            self.calls.append((name, arguments))
            bad = self.fails and name == "cuLaunchKernel"
            return (Error.BAD if bad else Error.NONE, "context")

        return call


class Error(IntEnum):
    NONE = 0
    BAD = 1


@pytest.fixture
def launched(monkeypatch):
    """A function that launches a kernel in stream 77 of device 1 with a fake driver."""
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    monkeypatch.setattr(nvrtc, "_load", lambda *of: SimpleNamespace(function="function"))
    monkeypatch.setattr(nvrtc, "_contexts", {})

    def launched(driver: Driver) -> None:
        monkeypatch.setattr(nvrtc.importlib, "import_module", lambda name: driver)
        nvrtc.launch(torch.device("cuda", 1), INSTANCE, array("q", [5, 6]), 33, 96)

    return launched


def test_launch(launched):
    """On torch's stream, in the context of the device of the tensors, which is popped afterwards."""
    driver = Driver()
    launched(driver)
    retain, push, launch, pop = driver.calls[1:]
    assert (retain[0], push, pop[0]) == (
        "cuDevicePrimaryCtxRetain",
        ("cuCtxPushCurrent", ("context",)),
        "cuCtxPopCurrent",
    )
    name, (function, *shape, shared, stream, arguments, extra) = launch
    assert (name, function, shape) == ("cuLaunchKernel", "function", [2, 1, 1, 32, 1, 1])
    assert (shared, stream, extra) == (96, 77, 0)
    assert isinstance(arguments, int)


def test_a_failed_launch_pops_the_context(launched):
    driver = Driver(fails=True)
    with pytest.raises(RuntimeError, match="BAD"):
        launched(driver)
    assert driver.calls[-1][0] == "cuCtxPopCurrent"
