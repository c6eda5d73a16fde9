"""The GPU backend without a GPU: its kernels are compiled with a C++ compiler and run on the CPU, one system after the
other, behind the backend's own Python (conftest.py)."""

import ctypes
import os

import pytest
import torch

from tests.solver.cases import assert_agrees, both_row_modes, every_method, judged, linear_ode
from tests.solver.gpu.gpu_cases import COMPILED, GENERAL, LARGE, whole_grid
from tests.solver.native.test_native import arguments, assert_near, differentiated, ode, rounding
from tests.solver.shapes import Shape, for_all_shapes
from tests.solver.shapes import batch as drawn_batch
from tests.solver.shapes import differentiated as all_gradients
from workbench.solver import solve
from workbench.solver.backends import cuda, native

# The kernels on the CPU


@both_row_modes
@every_method
@pytest.mark.parametrize("where", ["memory", "warp"])
@pytest.mark.parametrize("seed", range(40))
def test_the_oracle(seed, where, method, central, host):
    """Any sizes, weights, gaps and broadcast patterns."""
    if central and where == "warp":
        return
    host(where)
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
    host("memory" if (D, E, K) in GENERAL else "registers")
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

    host("memory")
    for_all_shapes(check)()


@every_method
def test_all_paths_agree(method, host):
    x = arguments((3,), 3, 3, 3, 20)
    host("registers")
    unrolled = differentiated(x, method, "cuda")
    for where in ("memory", "warp"):
        host(where)
        assert_near(differentiated(x, method, "cuda"), unrolled, 1e-12)


@every_method
@pytest.mark.parametrize("left", [(2,), (1,)])
@pytest.mark.parametrize("D, E, K", LARGE)
def test_large_systems(D, E, K, left, method, host):
    """More columns than lanes; factors of their own, and one that is shared."""
    host("warp")
    x = arguments((2,), D, E, K, 5, left=left)
    assert_near(differentiated(x, method, "cuda"), differentiated(x, method, "dense"), 1e-9)


@pytest.mark.parametrize("method, last", [("qr", 33), ("cholesky", 42), ("qr32", 47)])
def test_where_matrices_lie(method, last):
    """In registers up to R = 9, in shared memory as far as that goes, then in memory; so do those of central rows."""
    for R, general, warp in ((9, False, False), (10, True, True), (last, True, True), (last + 1, True, False)):
        x = {name: value[:1] for name, value in arguments((1,), R, 1, 1, 3).items()}
        plan = cuda.CudaCall(ode(x), method).plan
        assert (plan.general, plan.warp) == (general, warp), R
    assert not cuda.CudaCall(ode(arguments((1,), 5, 1, 2, 3), True), method).plan.warp


@every_method
@pytest.mark.parametrize("order", [31, 12])
def test_lanes_in_any_order(order, method, host, library):
    """No lane reads what another writes in the same phase."""
    host("warp")
    shared = arguments((4,), 3, 2, 2, 9, left=(1,))
    own = arguments((2,), 2, 2, 3, 9)
    expected = [y for x in (own, shared) for y in differentiated(x, method, "cuda")]
    order_lanes = ctypes.CDLL(str(library[0])).order_lanes
    order_lanes(order)
    try:
        found = [y for x in (own, shared) for y in differentiated(x, method, "cuda")]
    finally:
        order_lanes(0)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@every_method
def test_memory_layouts(method, host):
    """Broadcast and transposed arguments, read where they lie, are their contiguous copies; bit for bit."""
    host("registers")
    plain = arguments((4,), 2, 2, 2, 9)
    turned = {name: x.movedim(0, -1).contiguous().movedim(-1, 0) for name, x in plain.items()}
    every_other = {name: x.repeat_interleave(2, 1)[:, ::2] for name, x in plain.items()}
    expected = differentiated(plain, method, "cuda")
    for x in (turned, every_other):
        found = differentiated(x, method, "cuda")
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_whole_grid(library, request):
    """Every solver test that goes through all backends, with `cuda` as one of them, as on a GPU (test_gpu.py); a warp
    per system, and with central rows a thread in memory."""
    exhaustive = request.config.getoption("--exhaustive")
    paths = os.pathsep.join(map(str, library))
    assert whole_grid(exhaustive, SMNN_GPU_HOST=paths, SMNN_GPU_GRID="cpu") > (1000 if exhaustive else 300)
