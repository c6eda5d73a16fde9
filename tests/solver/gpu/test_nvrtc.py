"""The GPU backend: refusals, compiling by NVRTC for each architecture, what is kept on disk, and launches; no GPU."""

import re
from array import array
from dataclasses import replace
from enum import IntEnum
from types import SimpleNamespace

import pytest
import torch

from benchmarks.gpu_registers import ARCHITECTURES, PIECES, PLAIN, SHARED, WARPS, instances, table
from tests.solver.cases import small_problem
from workbench.solver import available, solve
from workbench.solver.backends import cuda, native, select
from workbench.solver.backends.cuda import nvrtc

# Refusals


def test_says_why_it_cannot_serve(monkeypatch):
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
def test_auto_takes_it_where_it_is_installed(missing, expected, monkeypatch):
    """On a GPU; else `banded`, which serves on any accelerator."""
    monkeypatch.setattr(native, "unfit", lambda device: "no CPU")
    monkeypatch.setattr(cuda, "unfit", lambda device: nvrtc.INSTALL if missing else "")
    assert select(small_problem((), False), "auto", "qr") == expected


def test_out_of_memory_says_what_helps(monkeypatch):
    def full(*shape: object, **how: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(cuda, "unfit", lambda device: "")
    problem = small_problem((), False)
    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(torch.OutOfMemoryError, match="checkpoint=True"):
        solve(problem, backend="cuda")


# Compiling, and what is kept of it


@pytest.fixture
def compiles(required):
    required(not cuda._MISSING, nvrtc.INSTALL)


def test_the_key_of_a_binary_knows_every_header():
    """Those that the kernels include, from the three that are compiled."""
    known, left = set(), ["gpu/central.hpp", "gpu/pieces.hpp", "gpu/warp_system.hpp"]
    while left:
        name = left.pop()
        if name not in known:
            known.add(name)
            folder = (nvrtc.KERNELS / name).parent
            included = re.findall(r'#include "(.*)"', (nvrtc.KERNELS / name).read_text())
            left += [(folder / other).resolve().relative_to(nvrtc.KERNELS).as_posix() for other in included]
    assert known == set(nvrtc.SOURCES)


def require_compiled(wanted: list[nvrtc.Instance], arch: str) -> None:
    """Every kernel. At three unknowns matrices stay in registers, but for those of the chain of pieces."""
    rows = table(wanted, (arch,))
    assert {row["kernel"] for row in rows} == {*PLAIN, *SHARED, *PIECES, *WARPS}
    for row in rows:
        assert row["general"] or row["kernel"] in ("JoinPieces", "SolveChain") or row["local_bytes"] <= 16, row
        assert 0 < int(str(row["registers"])) <= 255


@pytest.mark.slow
def test_every_kernel_compiles(compiles):
    """Each kernel by one method, for one architecture."""
    chosen = [*instances([(1, 3, 1)], methods=["qr"]), *instances([(5, 2, 1)], methods=["cholesky"])]
    require_compiled([*chosen, *instances([(2, 2, 1)], central=True, methods=["qr"])], "sm_90")


@pytest.mark.exhaustive
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_kernel_compiles_by_every_method(arch, compiles):
    chosen = [*instances([(1, 3, 1), (5, 2, 1)]), *instances([(2, 2, 1)], central=True)]
    require_compiled([*chosen, *instances([(1, 3, 1), (5, 2, 1)], methods=["qr32"])], arch)


@pytest.fixture
def one_compile(monkeypatch, tmp_path):
    """A cache in a folder of its own; the list of what was compiled, which is made up."""
    monkeypatch.setattr(nvrtc, "cache_folder", lambda: tmp_path / "kept")
    monkeypatch.setattr(nvrtc, "_versions", lambda: "1")
    made = []

    def compiled(instance: nvrtc.Instance, arch: str) -> nvrtc.Binary:
        made.append((instance, arch))
        return nvrtc.Binary(b"code\n\x00" + arch.encode(), "name")

    monkeypatch.setattr(nvrtc, "compiled", compiled)
    return made


INSTANCE = nvrtc.Instance("Solve", "qr", 1, 3, 1)


def test_binaries_are_kept(one_compile):
    first = nvrtc.binary(INSTANCE, "sm_90")
    assert nvrtc.binary(INSTANCE, "sm_90") == first
    assert len(one_compile) == 1
    assert [file.suffix for file in nvrtc.cache_folder().iterdir()] == [".bin"]


def test_binaries_of_something_else_are_not_taken(one_compile, monkeypatch):
    nvrtc.binary(INSTANCE, "sm_90")
    nvrtc.binary(INSTANCE, "sm_80")
    nvrtc.binary(replace(INSTANCE, E=2), "sm_90")
    monkeypatch.setattr(nvrtc, "_versions", lambda: "2")
    nvrtc.binary(INSTANCE, "sm_90")
    assert len(one_compile) == 4


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_made_again(damage, one_compile):
    first = nvrtc.binary(INSTANCE, "sm_90")
    (file,) = nvrtc.cache_folder().iterdir()
    file.write_bytes(file.read_bytes()[:-3] if damage is None else damage)
    assert nvrtc.binary(INSTANCE, "sm_90") == first
    assert nvrtc.binary(INSTANCE, "sm_90") == first
    assert len(one_compile) == 2


def test_a_folder_that_cannot_be_written(one_compile, tmp_path, caplog):
    (tmp_path / "kept").write_text("a file in its place")
    assert nvrtc.binary(INSTANCE, "sm_90").name == "name"
    assert "cannot be kept" in caplog.text


class Driver:
    """What a launch does to the CUDA driver: calls in order, no GPU."""

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
    """A launch of ten systems in stream 77 of device 1; the calls that the driver saw."""
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    monkeypatch.setattr(nvrtc, "_load", lambda *of: SimpleNamespace(function="function"))
    monkeypatch.setattr(nvrtc, "_contexts", {})

    def launched(driver: Driver) -> None:
        monkeypatch.setattr(nvrtc.importlib, "import_module", lambda name: driver)
        nvrtc.launch(torch.device("cuda", 1), INSTANCE, array("q", [5, 6]), 33, 96)

    return launched


def test_launch(launched):
    """On torch's stream, in the context of the tensor's device, which is left again."""
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


def test_a_launch_that_fails_leaves_the_context(launched):
    driver = Driver(fails=True)
    with pytest.raises(RuntimeError, match="BAD"):
        launched(driver)
    assert driver.calls[-1][0] == "cuCtxPopCurrent"
