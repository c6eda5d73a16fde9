"""The GPU backend without a GPU: its Python code with kernels compiled for the CPU (conftest.py)."""

import ctypes
import os

import pytest
import torch

from tests.solver.cases import assert_agrees, both_row_modes, every_method, linear_ode, reference_case
from tests.solver.gpu.gpu_cases import COMPILED, GENERAL, LARGE, run_grid
from tests.solver.native.problems import arguments, assert_near, ode, rounding, solution_and_gradients
from tests.solver.shapes import Shape, for_all_shapes
from tests.solver.shapes import batch as batch_of_shape
from tests.solver.shapes import solution_and_gradients as all_gradients
from workbench.solver import solve
from workbench.solver.backends import cuda, native

# The kernels on the CPU


@both_row_modes
@every_method
@pytest.mark.parametrize("placement", ["memory", "warp"])
@pytest.mark.parametrize("seed", range(40))
def test_agreement_with_the_oracle(seed, placement, method, central, host):
    """Random sizes, weights, gaps and broadcast forms."""
    if central and placement == "warp":
        return
    host(placement)
    a, truth, condition = reference_case(seed, central)
    assert_agrees(solve(linear_ode(a), backend="cuda", method=method).u, truth, condition, method)


@both_row_modes
@every_method
@pytest.mark.parametrize("D, E, K", COMPILED + GENERAL)
@pytest.mark.parametrize("T", [2, 40])
def test_agreement_with_native(T, D, E, K, method, central, host, required):
    """Solutions and gradients, with and without a kept factor."""
    required(not native.unavailable_reason(torch.device("cpu")), "install a C++ compiler and reinstall the package")
    if central and K == 1:
        return
    host("memory" if (D, E, K) in GENERAL else "registers")
    x = arguments((5,), D, E, K, T)
    ours = solution_and_gradients(x, method, "cuda", central)
    assert_near(ours, solution_and_gradients(x, method, "native", central), 10 * rounding(K))
    recomputed = solution_and_gradients(x, method, "cuda", central, checkpoint=True)
    assert all(torch.equal(one, other) for one, other in zip(ours, recomputed, strict=True))


@both_row_modes
@every_method
def test_all_gradients_for_random_shapes(method, central, host):
    """Including weights, whose gradients come from the rows."""

    def check(shape: Shape) -> None:
        a = batch_of_shape(shape, central, gaps=False)
        ours, expected = (torch.cat([x.flatten() for x in all_gradients(a, by, method)]) for by in ("cuda", "dense"))
        assert_near([ours], [expected], 1e-7)

    host("memory")
    for_all_shapes(check)()


@every_method
def test_all_paths_agree(method, host):
    x = arguments((3,), 3, 3, 3, 20)
    host("registers")
    unrolled = solution_and_gradients(x, method, "cuda")
    for placement in ("memory", "warp"):
        host(placement)
        assert_near(solution_and_gradients(x, method, "cuda"), unrolled, 1e-12)


@every_method
@pytest.mark.parametrize("left", [(2,), (1,)])
@pytest.mark.parametrize("D, E, K", LARGE)
def test_large_systems(D, E, K, left, method, host):
    """More columns than lanes; separate and shared factors."""
    host("warp")
    x = arguments((2,), D, E, K, 5, left=left)
    assert_near(solution_and_gradients(x, method, "cuda"), solution_and_gradients(x, method, "dense"), 1e-9)


@pytest.mark.parametrize("method, last", [("qr", 33), ("cholesky", 42), ("qr32", 47)])
def test_placement_of_matrices(method, last):
    """In registers up to R = 9, then in shared memory, then in global memory; with central rows in global memory."""
    for R, general, warp in ((9, False, False), (10, True, True), (last, True, True), (last + 1, True, False)):
        x = {name: value[:1] for name, value in arguments((1,), R, 1, 1, 3).items()}
        plan = cuda.CudaCall(ode(x), method).plan
        assert (plan.general, plan.warp) == (general, warp), R
    assert not cuda.CudaCall(ode(arguments((1,), 5, 1, 2, 3), True), method).plan.warp


@every_method
@pytest.mark.parametrize("order", [31, 12])
def test_lanes_are_independent_within_a_phase(order, method, host, library):
    """No lane reads a value that another lane writes in the same phase."""
    host("warp")
    shared = arguments((4,), 3, 2, 2, 9, left=(1,))
    separate = arguments((2,), 2, 2, 3, 9)
    expected = [y for x in (separate, shared) for y in solution_and_gradients(x, method, "cuda")]
    order_lanes = ctypes.CDLL(str(library[0])).order_lanes
    order_lanes(order)
    try:
        result = [y for x in (separate, shared) for y in solution_and_gradients(x, method, "cuda")]
    finally:
        order_lanes(0)
    assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@every_method
def test_memory_layouts(method, host):
    """Transposed and strided arguments give bitwise the same results as contiguous ones."""
    host("registers")
    plain = arguments((4,), 2, 2, 2, 9)
    transposed = {name: x.movedim(0, -1).contiguous().movedim(-1, 0) for name, x in plain.items()}
    every_other = {name: x.repeat_interleave(2, 1)[:, ::2] for name, x in plain.items()}
    expected = solution_and_gradients(plain, method, "cuda")
    for x in (transposed, every_other):
        result = solution_and_gradients(x, method, "cuda")
        assert all(torch.equal(one, other) for one, other in zip(result, expected, strict=True))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_all_solver_tests(library, request):
    """All solver tests parametrised over backends, as on a GPU (test_gpu.py): a warp per system, with central rows a
    thread with matrices in memory."""
    exhaustive = request.config.getoption("--exhaustive")
    paths = os.pathsep.join(map(str, library))
    assert run_grid(exhaustive, SMNN_GPU_HOST=paths, SMNN_GPU_GRID="cpu") > (1000 if exhaustive else 300)
