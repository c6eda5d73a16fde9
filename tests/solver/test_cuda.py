"""The GPU backend, mostly without a GPU: its kernels are compiled with a C++ compiler and run on the CPU, one system
after the other, behind the backend's own Python; and NVRTC compiles them for each architecture.
"""

import os
import subprocess
import sys
import threading
from array import array
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.gpu_registers import ARCHITECTURES, PIECES, PLAIN, SHARED, instances, table
from tests.solver.cases import (
    assert_agrees,
    both_row_modes,
    every_method,
    judged,
    linear_ode,
    oscillator,
    randn,
    small_problem,
    tensors,
)
from tests.solver.gpu_host import launch_by
from tests.solver.shapes import Shape, for_all_shapes
from tests.solver.shapes import batch as drawn_batch
from tests.solver.shapes import differentiated as all_gradients
from tests.solver.test_native import arguments, assert_near, differentiated, ode, rounding
from tests.solver.test_sanitizers import INSTALL, KERNELS, compiler
from workbench.solver import LinearODE, RankDeficient, Status, Weights, available, factorize, launcher, solve
from workbench.solver.backends import cuda, cuda_plan, native
from workbench.solver.sizes import sizes_of

HERE = Path(__file__).parent
NAN = float("nan")
COMPILED = [(1, 1, 1), (1, 1, 3), (1, 2, 3), (2, 2, 2), (3, 3, 3)]  # D, E, K; those of gpu_host.cpp
GENERAL = [(1, 1, 4), (2, 1, 3), (2, 3, 2), (3, 2, 2), (1, 1, 6)]
CANARY = -7.25e77


# The kernels on the CPU


@pytest.fixture(scope="session")
def library(required, tmp_path_factory):
    """The kernels, compiled for the CPU."""
    folder = tmp_path_factory.mktemp("gpu_host")
    cxx = compiler((), folder)
    required(cxx, INSTALL)
    fused = ["-mfma"] if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") else []  # as on a GPU
    options = "-std=c++20", "-O1", "-w", "-fPIC", "-shared", "-ffp-contract=fast", *fused, f"-I{KERNELS}"
    defined = "-DSMNN_ISA=gpu_host", "-DSMNN_LANES=1"
    command = (*cxx, *options, *defined, HERE / "gpu_host.cpp", "-o", folder / "gpu_host.so")
    made = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert made.returncode == 0, made.stderr[-4000:]
    return folder / "gpu_host.so"


@pytest.fixture
def host(library, monkeypatch):
    """`cuda` serves CPU tensors by those kernels. A function that says whether matrices lie in memory: always, or
    where they do on a GPU."""

    def nothing_stays(call: cuda.Call, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.full(shape, NAN if dtype == torch.float64 else -99, dtype=dtype)

    def always(general: bool) -> None:
        monkeypatch.setattr(launcher, "UNROLLED", 0 if general else 9)
        monkeypatch.setattr(cuda, "plan_of", plan)

    def plan(layout: cuda_plan.Layout, T: int, T0: int, central: bool, method: str) -> cuda_plan.Plan:
        sizes = sizes_of(tuple([shape for shape, _ in layout]), T, T0, central)
        return cuda_plan.Plan(layout, sizes, central, method)

    monkeypatch.setattr(launcher, "launch", launch_by(library))
    monkeypatch.setattr(cuda.Call, "empty", nothing_stays)
    monkeypatch.setattr(cuda, "unfit", lambda device: "")
    return always


@both_row_modes
@every_method
@pytest.mark.parametrize("seed", range(40))
def test_the_oracle(seed, method, central, host):
    """Any sizes, weights, gaps and broadcast patterns."""
    host(general=True)
    a, truth, condition = judged(seed, central)
    assert_agrees(solve(linear_ode(a), backend="cuda", method=method).u, truth, condition, method)


@both_row_modes
@every_method
@pytest.mark.parametrize("D, E, K", COMPILED + GENERAL)
@pytest.mark.parametrize("T", [2, 40])
def test_native(T, D, E, K, method, central, host, required):
    """Solutions and gradients are those of `native`, with a factor and without."""
    required(not native.unfit(torch.device("cpu")), "install a C++ compiler and then the package again")
    if central and K == 1:
        return
    host(general=(D, E, K) in GENERAL)
    x = arguments((5,), D, E, K, T)
    ours = differentiated(x, method, "cuda", central)
    assert_near(ours, differentiated(x, method, "native", central), 10 * rounding(K))
    again = differentiated(x, method, "cuda", central, checkpoint=True)
    assert all(torch.equal(one, other) for one, other in zip(ours, again, strict=True))


@both_row_modes
@every_method
def test_every_gradient_of_any_shape(method, central, host):
    """Weights too, whose gradients come from the rows."""

    def check(shape: Shape) -> None:
        a = drawn_batch(shape, central, gaps=False)
        ours, expected = (torch.cat([x.flatten() for x in all_gradients(a, by, method)]) for by in ("cuda", "dense"))
        assert_near([ours], [expected], 1e-7)

    host(general=True)
    for_all_shapes(check)()


@every_method
def test_both_paths_agree(method, host):
    x = arguments((3,), 3, 3, 3, 20)
    host(general=False)
    unrolled = differentiated(x, method, "cuda")
    host(general=True)
    assert_near(differentiated(x, method, "cuda"), unrolled, 1e-12)


@every_method
def test_memory_layouts(method, host):
    """Broadcast and transposed arguments, read where they lie, are their contiguous copies; bit for bit."""
    host(general=False)
    plain = arguments((4,), 2, 2, 2, 9)
    turned = {name: x.movedim(0, -1).contiguous().movedim(-1, 0) for name, x in plain.items()}
    every_other = {name: x.repeat_interleave(2, 1)[:, ::2] for name, x in plain.items()}
    expected = differentiated(plain, method, "cuda")
    for x in (turned, every_other):
        found = differentiated(x, method, "cuda")
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


GRID = ("oracle_agreement", "properties", "gradients", "factorize", "faults", "layouts", "accuracy", "bad_input")


@pytest.mark.slow
def test_the_whole_grid(library):
    """Every solver test that goes through all backends, with `cuda` as one of them; in a process of its own."""
    files = [str(HERE / f"test_{name}.py") for name in (*GRID, "operators", "transforms")]
    command = [
        sys.executable,
        *["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.solver.gpu_host", "-k", "cuda"],
    ]
    # where the normal equations break down: the last rounding decides whether it is here or at the next smaller step
    command += ["--deselect", "tests/solver/test_faults.py::test_cholesky_says_so_or_is_right[1e-06-5-central-cuda]"]
    env = {**os.environ, "SMNN_GPU_HOST": str(library)}
    done = subprocess.run([*command, *files], cwd=HERE.parents[1], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(done.stdout.rsplit(" passed", 1)[0].split()[-1]) > 1000


# Arrangements


@pytest.fixture
def cut(monkeypatch):
    """Records of 4 grid points and more are cut into pieces."""
    monkeypatch.setattr(cuda_plan, "SHORTEST", 2)
    monkeypatch.setattr(cuda_plan, "FEWEST", 2)


def first_only(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Initial rows at the first grid point alone."""
    return {name: value[..., :1, :, :] if name in ("initial", "start") else value for name, value in x.items()}


def summed(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All that can be is the same for all grid points."""
    rows = {"coefficients": 4, "forcing": 2, "steps": 1, "equation": 2, "taylor": 2}
    return {name: x[name].narrow(-rows[name], 0, 1) if name in rows else x[name] for name in x}


@every_method
@pytest.mark.parametrize("D, E, K", COMPILED)
@pytest.mark.parametrize("T", [4, 9, 17, 23, 26, 27, 28, 100, 150])
def test_pieces(T, D, E, K, method, host, cut):
    """Solutions and gradients are those of whole records, with a factor and without, for every remainder of T."""
    host(general=False)
    x = first_only(arguments((3,), D, E, K, T))
    call = cuda.Call(ode(x), method)
    assert call.plan.pieces > 1
    assert call.plan.pieces * call.plan.length >= T
    ours = differentiated(x, method, "cuda")
    assert_near(ours, differentiated(x, method, "dense"), 1e-10)
    again = differentiated(x, method, "cuda", checkpoint=True)
    assert all(torch.equal(one, other) for one, other in zip(ours, again, strict=True))


@every_method
@pytest.mark.parametrize("pieced", [False, True])
def test_sums_over_grid_points(method, pieced, host, monkeypatch):
    """Gradients of arguments that are the same for all grid points, or for all systems."""
    host(general=False)
    monkeypatch.setattr(cuda_plan, "SHORTEST", 4 if pieced else 10**9)
    monkeypatch.setattr(cuda, "SPAN", 7)
    x = first_only(arguments((3,), 2, 2, 2, 30))
    weights = Weights(x["equation"], x["start"], x["taylor"])
    for like in (
        x,
        summed(x),
        {name: value[:1] if name in ("forcing", "steps") else value for name, value in x.items()},
    ):
        leaves = [like[name].clone().requires_grad_() for name in ("coefficients", "forcing", "initial", "steps")]
        problem = LinearODE(*leaves, weights=weights)
        found = [
            torch.autograd.grad(solve(problem, backend=by, method=method).u.sin().sum(), leaves)
            for by in ("cuda", "dense")
        ]
        assert_near(*found, 1e-10)


@every_method
def test_pieces_report_what_is_wrong(method, host, cut):
    host(general=False)
    x = first_only(arguments((7,), 1, 1, 3, 40))
    x["forcing"][1, 39] = NAN
    x["steps"][2, 20] = -1.0
    x["equation"][3, 0] = -1.0
    x["coefficients"][4], x["start"][4] = 0.0, 0.0
    x["start"][5, 0, 0, 1] = -1.0
    x["taylor"][6, 38] = -1.0
    found = solve(ode(x), backend="cuda", method=method, check=False)
    bad = Status.BAD_WEIGHT
    expected = [Status.OK, Status.NON_FINITE, Status.BAD_STEP, bad, Status.RANK_DEFICIENT, bad, bad]
    assert found.status.tolist() == expected


@pytest.mark.parametrize("pieced", [False, True])
def test_accuracy_at_small_steps(pieced, host, monkeypatch):
    """Against the closed form, which is 1.2e-9 away from the exact minimiser here."""
    host(general=False)
    if not pieced:
        monkeypatch.setattr(cuda_plan, "FEWEST", 10**9)
    h, T = 1e-4, 10_000
    u = solve(oscillator(h, T), backend="cuda").u[:, 0, 0]
    t, w = h * torch.arange(T, dtype=torch.float64), (1 - 0.05**2) ** 0.5
    truth = (-0.05 * t).exp() * ((w * t).cos() + 0.05 / w * (w * t).sin())
    assert (u - truth).abs().max() < 2e-9


@every_method
@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("left", [(2, 1), (1, 3), (1, 1)])
def test_shared_left_hand_sides(left, general, method, host, monkeypatch):
    """Factored once for many right-hand sides, at once or one after the other, in both orders of the batch."""
    host(general=general)
    monkeypatch.setattr(cuda_plan, "GROUP", 2)
    monkeypatch.setattr(cuda, "GROUP", 2)
    x = arguments((2, 3), 1, 1, 3, 12, left=left)
    assert_near(differentiated(x, method, "cuda"), differentiated(x, method, "dense"), 1e-10)
    assert cuda.Call(ode(x), method).plan.columns == 6 // (left[0] * left[1])
    made = factorize(ode(x), backend="cuda", method=method)
    u = made.solve(x["forcing"], x["initial"]).u
    assert torch.equal(u, solve(ode(x), backend="cuda", method=method).u)
    for b in range(2 if left == (1, 1) else 0):
        alone = made.solve(x["forcing"][b, b], x["initial"][b, b]).u[0, 0]
        assert_near([alone], [u[b, b]], 1e-14)


@every_method
def test_a_factor_for_one_right_hand_side_after_the_other(method, host, cut):
    """It is not made of pieces, whatever the solve itself is."""
    host(general=False)
    x = {name: value.requires_grad_() for name, value in first_only(arguments((2,), 1, 1, 3, 30)).items()}
    made = factorize(ode(x), backend="cuda", method=method)
    u = made.solve(x["forcing"], x["initial"]).u
    expected = solve(ode(x), backend="dense", method=method).u
    assert_near([u.detach()], [expected.detach()], 1e-11)
    ours, theirs = (torch.autograd.grad(y.sin().sum(), list(x.values()), retain_graph=True) for y in (u, expected))
    assert_near(ours, theirs, 1e-9)


@every_method
def test_shared_left_hand_sides_with_central_rows(method, host):
    host(general=True)
    x = arguments((2, 3), 1, 1, 3, 12, left=(2, 1))
    assert_near(differentiated(x, method, "cuda", True), differentiated(x, method, "dense", True), 1e-9)
    made = factorize(ode(x, True), backend="cuda", method=method)
    assert_near([made.solve(x["forcing"], x["initial"]).u], [solve(ode(x, True), backend="dense").u], 1e-9)


def test_more_systems_than_threads(host, monkeypatch):
    host(general=True)
    x = arguments((100,), 1, 1, 3, 6)
    expected = differentiated(x, "qr", "cuda")
    monkeypatch.setattr(cuda, "MOST_THREADS", 32)
    assert all(torch.equal(a, b) for a, b in zip(differentiated(x, "qr", "cuda"), expected, strict=True))


@both_row_modes
@every_method
@pytest.mark.parametrize("sizes", [*COMPILED[1:], *GENERAL, (1, 9, 2)])
def test_scratch_is_large_enough(sizes, method, central, library, host, monkeypatch):
    """Nothing is written beyond `workspace` numbers per thread."""
    host(general=True)
    D, E, K = sizes
    taken, plain = [], cuda.Call.empty

    def guarded(call: cuda.Call, *shape: int, **how: torch.dtype) -> torch.Tensor:
        if not call.plan.general or shape[1:] != (call.plan.workspace,):
            return plain(call, *shape, **how)
        taken.append(torch.full((call.plan.workspace + 64,), CANARY, dtype=torch.float64))
        return taken[-1]

    monkeypatch.setattr(cuda.Call, "empty", guarded)
    differentiated(arguments((1,), D, E, K, 5), method, "cuda", central)
    assert taken
    assert all(bool((x[-64:] == CANARY).all()) for x in taken)


@every_method
def test_status(method, host):
    """Per system: a rank deficiency names its unknown, a bad value is found on the way."""
    host(general=False)
    x = arguments((6,), 1, 1, 3, 8)
    x["forcing"][1, 3] = NAN
    x["steps"][2, 4] = -1.0
    x["equation"][3, 2] = -1.0
    x["coefficients"][4], x["start"][4] = 0.0, 0.0
    found = solve(ode(x), backend="cuda", method=method, check=False)
    expected = [Status.OK, Status.NON_FINITE, Status.BAD_STEP, Status.BAD_WEIGHT, Status.RANK_DEFICIENT, Status.OK]
    assert found.status.tolist() == expected
    assert found.u[[0, 5]].isfinite().all()
    with pytest.raises(RankDeficient):
        solve(ode({name: value[4] for name, value in x.items()}), backend="cuda", method=method)


@every_method
def test_second_derivatives(method, host):
    host(general=True)
    problem = small_problem((), False, gradients=True)

    def u(r: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return solve(replace(problem, forcing=r, steps=h), backend="cuda", method=method, check=False).u

    assert torch.autograd.gradgradcheck(u, [problem.forcing, problem.steps], atol=1e-4)


def test_no_systems(host):
    host(general=False)
    assert solve(ode(arguments((0,), 1, 1, 3, 5)), backend="cuda").u.shape == (0, 5, 1, 3)


def test_float32_is_computed_in_float64(host):
    host(general=False)
    x = {name: value.float() for name, value in arguments((2,), 1, 1, 3, 9).items()}
    expected = solve(ode({name: value.double() for name, value in x.items()}), backend="cuda").u
    assert torch.equal(solve(ode(x), backend="cuda").u, expected.float())


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
    required(not cuda._MISSING, launcher.INSTALL)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_compiles_for(arch, compiles):
    """Every kernel. At three unknowns matrices stay in registers, but for those of the chain of pieces."""
    rows = table([*instances([(1, 3, 1), (5, 2, 1)]), *instances([(2, 2, 1)], central=True)], (arch,))
    assert {row["kernel"] for row in rows} == {*PLAIN, *SHARED, *PIECES}
    for row in rows:
        assert row["general"] or row["kernel"] in ("JoinPieces", "SolveChain") or row["local_bytes"] <= 16, row
        assert 0 < int(str(row["registers"])) <= 255


@pytest.fixture
def one_compile(monkeypatch, tmp_path):
    """A cache in a folder of its own; the list of what was compiled, which is made up."""
    monkeypatch.setattr(launcher, "cache_folder", lambda: tmp_path / "kept")
    monkeypatch.setattr(launcher, "_versions", lambda: "1")
    made = []

    def compiled(instance: launcher.Instance, arch: str) -> launcher.Binary:
        made.append((instance, arch))
        return launcher.Binary(b"code\n\x00" + arch.encode(), "name")

    monkeypatch.setattr(launcher, "compiled", compiled)
    return made


INSTANCE = launcher.Instance("Solve", "qr", 1, 3, 1)


def test_binaries_are_kept(one_compile):
    first = launcher.binary(INSTANCE, "sm_90")
    assert launcher.binary(INSTANCE, "sm_90") == first
    assert len(one_compile) == 1
    assert [file.suffix for file in launcher.cache_folder().iterdir()] == [".bin"]


def test_binaries_of_something_else_are_not_taken(one_compile, monkeypatch):
    launcher.binary(INSTANCE, "sm_90")
    launcher.binary(INSTANCE, "sm_80")
    launcher.binary(replace(INSTANCE, E=2), "sm_90")
    monkeypatch.setattr(launcher, "_versions", lambda: "2")
    launcher.binary(INSTANCE, "sm_90")
    assert len(one_compile) == 4


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_made_again(damage, one_compile):
    first = launcher.binary(INSTANCE, "sm_90")
    (file,) = launcher.cache_folder().iterdir()
    file.write_bytes(file.read_bytes()[:-3] if damage is None else damage)
    assert launcher.binary(INSTANCE, "sm_90") == first
    assert launcher.binary(INSTANCE, "sm_90") == first
    assert len(one_compile) == 2


def test_a_folder_that_cannot_be_written(one_compile, tmp_path, caplog):
    (tmp_path / "kept").write_text("a file in its place")
    assert launcher.binary(INSTANCE, "sm_90").name == "name"
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
    monkeypatch.setattr(launcher, "_load", lambda *of: SimpleNamespace(function="function"))
    monkeypatch.setattr(launcher, "_contexts", {})

    def launched(driver: Driver) -> None:
        monkeypatch.setattr(launcher.importlib, "import_module", lambda name: driver)
        launcher.launch(torch.device("cuda", 1), INSTANCE, array("q", [5, 6]), 33)

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
    assert (shared, stream, extra) == (0, 77, 0)
    assert isinstance(arguments, int)


def test_a_launch_that_fails_leaves_the_context(launched):
    driver = Driver(fails=True)
    with pytest.raises(RuntimeError, match="BAD"):
        launched(driver)
    assert driver.calls[-1][0] == "cuCtxPopCurrent"


# On a GPU


@pytest.fixture
def gpu():
    reason = cuda.unfit(torch.device("cuda"))
    if reason:
        pytest.skip(reason)
    return torch.device("cuda")


def on(device: torch.device, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.to(device) for name, value in x.items()}


@pytest.mark.gpu
@both_row_modes
@every_method
@pytest.mark.parametrize("D, E, K", [*COMPILED[1:], *GENERAL])
@pytest.mark.parametrize("size", [1, 33, 1000])
def test_gpu_solutions_and_gradients(size, D, E, K, method, central, gpu):
    x = arguments((size,), D, E, K, 40)
    ours = [value.cpu() for value in differentiated(on(gpu, x), method, "cuda", central)]
    assert_near(ours, differentiated(x, method, "native", central), 10 * rounding(K))


@pytest.mark.gpu
@every_method
@pytest.mark.parametrize("D, E, K", COMPILED)
@pytest.mark.parametrize("size, T", [(1, 20_000), (3, 300), (100, 1000)])
def test_gpu_pieces(size, T, D, E, K, method, gpu):
    x = first_only(arguments((size,), D, E, K, T))
    assert cuda.Call(ode(on(gpu, x)), method).plan.pieces > 1
    ours = [value.cpu() for value in differentiated(on(gpu, x), method, "cuda")]
    assert_near(ours, differentiated(x, method, "native"), 10 * rounding(K))


@pytest.mark.gpu
@every_method
@pytest.mark.parametrize("D, E, K", COMPILED + GENERAL)
def test_gpu_shared_left_hand_sides(D, E, K, method, gpu):
    x = arguments((3, 1000), D, E, K, 40, left=(3, 1))
    ours = [value.cpu() for value in differentiated(on(gpu, x), method, "cuda")]
    assert_near(ours, differentiated(x, method, "native"), 10 * rounding(K))


@pytest.mark.gpu
@both_row_modes
@every_method
@pytest.mark.parametrize("seed", range(40))
def test_gpu_the_oracle(seed, method, central, gpu):
    a, truth, condition = judged(seed, central)
    values = {name: x.to(gpu) if isinstance(x, torch.Tensor) else x for name, x in tensors(a).items()}
    u = solve(linear_ode(a, values), backend="cuda", method=method).u
    assert_agrees(u.cpu(), truth, condition, method)


@pytest.mark.gpu
def test_gpu_streams_and_threads(gpu):
    """Several threads, each with a stream of its own, get what one gets."""
    x = on(gpu, arguments((64,), 1, 1, 3, 500))
    expected = differentiated(x, "qr", "cuda")
    torch.cuda.synchronize()
    found: list[list[torch.Tensor]] = []

    def work() -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            found.extend(differentiated(x, "qr", "cuda") for _ in range(10))
            torch.cuda.current_stream().synchronize()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(torch.equal(a, b) for result in found for a, b in zip(result, expected, strict=True))


@pytest.mark.gpu
def test_gpu_waits_for_nothing(gpu):
    x = on(gpu, arguments((64,), 1, 1, 3, 50))
    differentiated(x, "qr", "cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        differentiated(x, "qr", "cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_gpu_graph(gpu):
    """A graph of the caller's captures a solve, and replays it on other numbers."""
    x = on(gpu, arguments((64,), 1, 1, 3, 50))
    problem = ode(x)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        solve(problem, backend="cuda", check=False)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        u = solve(problem, backend="cuda", check=False).u
    x["forcing"].copy_(randn(64, 50, 1, seed=9))
    graph.replay()
    assert torch.equal(u, solve(problem, backend="cuda", check=False).u)


@pytest.mark.gpu
def test_gpu_leaves_the_current_device(gpu):
    last = torch.cuda.device_count() - 1
    x = on(torch.device("cuda", last), arguments((4,), 1, 1, 3, 9))
    before = torch.cuda.current_device()
    assert solve(ode(x), backend="cuda").u.device.index == last
    assert torch.cuda.current_device() == before


@pytest.mark.gpu
def test_gpu_out_of_memory(gpu):
    """It says what helps, and the process goes on."""
    x = on(gpu, arguments((1,), 1, 1, 3, 50))
    many = {name: value.expand(2**26, *value.shape[1:]) for name, value in x.items()}
    with pytest.raises(torch.OutOfMemoryError, match="checkpoint=True"):
        solve(ode(many), backend="cuda", check=False)
    assert solve(ode(x), backend="cuda").u.isfinite().all()
