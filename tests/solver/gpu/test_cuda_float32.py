"""The method `qr32` (float32 arithmetic), on the CPU (conftest.py)."""

import pytest
import torch

from tests.solver.cases import BACKENDS, both_row_modes, small_problem
from tests.solver.gpu.gpu_cases import initial_rows_at_start
from tests.solver.native.problems import arguments, assert_near, ode, solution_and_gradients
from workbench.solver import LinearODE, RankDeficient, Status, factorize, solve
from workbench.solver.backends import cuda
from workbench.solver.torch_ops import _fake_solve


def oscillation(K: int, h: float, T: int, backend: str, method: str) -> list[torch.Tensor]:
    """u of u'' + 0.1 u' + u = 0, u(0) = 1, u'(0) = 0, and the gradients of a weighted sum of u."""
    c = torch.tensor([1.0, 0.1, 1.0, 0.0, 0.0], dtype=torch.float64)[:K].expand(T, 1, 1, K)
    initial = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    zero, steps = torch.zeros(T, 1, dtype=torch.float64), torch.full((T - 1,), h, dtype=torch.float64)
    leaves = [x.clone().requires_grad_() for x in (c, zero, initial, steps)]
    u = solve(LinearODE(*leaves), backend=backend, method=method).u[:, 0, 0]
    gradients = torch.autograd.grad((u * torch.linspace(0, 1, T, dtype=torch.float64)).sum(), leaves)
    return [u.detach(), *gradients]


# of u, and of the gradients to coefficients, forcing, initial values and steps: the table of `METHODS` in backends/cuda
DOCUMENTED = {
    1.0: (5e-7, 3e-6, 2e-6, 4e-6, 3e-6),
    0.3: (9e-7, 2e-4, 1e-4, 5e-6, 2e-5),
    0.1: (8e-6, 4e-2, 7e-3, 7e-5, 2e-4),
    0.03: (4e-5, 1e3, 1, 2e-4, 4e-2),
}


@pytest.mark.parametrize("h", DOCUMENTED)
@pytest.mark.parametrize("K", [3, 4, 5])
def test_documented_accuracy(K, h, host):
    """Within a factor of 2, since rounding depends on compiler and processor."""
    host("registers" if K == 3 else "memory")
    single = oscillation(K, h, 1000, "cuda", "qr32")
    double = oscillation(K, h, 1000, "cuda", "qr")
    for ours, theirs, tolerance in zip(single, double, DOCUMENTED[h], strict=True):
        assert_near([ours], [theirs], 2 * tolerance)


@both_row_modes
@pytest.mark.parametrize("placement", ["registers", "memory", "warp"])
@pytest.mark.parametrize("left", [(2, 3), (2, 1)])
def test_every_arrangement(left, placement, central, host):
    """Close to `qr` but not equal, with separate and shared factors, kept and recomputed."""
    host(placement)
    x = arguments((2, 3), 2, 2, 2, 12, left=left)
    double, single = (solution_and_gradients(x, method, "cuda", central) for method in ("qr", "qr32"))
    assert_near(single, double, 3e-5)
    assert not any(torch.equal(a, b) for a, b in zip(single, double, strict=True))
    recomputed = solution_and_gradients(x, "qr32", "cuda", central, checkpoint=True)
    assert all(torch.equal(one, other) for one, other in zip(single, recomputed, strict=True))


def test_pieces(host, cut):
    host("registers")
    x = initial_rows_at_start(arguments((3,), 1, 1, 3, 100))
    assert cuda.CudaCall(ode(x), "qr32").plan.pieces > 1
    assert_near(solution_and_gradients(x, "qr32", "cuda"), solution_and_gradients(x, "qr", "cuda"), 1e-4)


def test_results_are_float64_and_factors_float32(host):
    host("registers")
    problem = ode(arguments((3,), 1, 1, 3, 9))
    for keep in ("factor", "resolve"):
        u, deficient, factor = cuda.solve(problem, "qr32", keep)
        assert (u.dtype, deficient.dtype, {x.dtype for x in factor}) == (torch.float64, torch.int64, {torch.float32})
        options = problem.T, problem.T0, False, "cuda", "qr32"
        fake = _fake_solve(keep, [], list(problem.tensors.values()), *options)[2]
        assert [(x.shape, x.dtype) for x in fake] == [(x.shape, x.dtype) for x in factor]


def test_factorize(host):
    host("registers")
    x = arguments((2, 3), 1, 1, 3, 12, left=(2, 1))
    factored = factorize(ode(x), backend="cuda", method="qr32")
    assert torch.equal(factored.solve(x["forcing"], x["initial"]).u, solve(ode(x), backend="cuda", method="qr32").u)


def test_status(host):
    """Overflow in float32, and systems that appear rank-deficient in float32."""
    host("registers")
    x = arguments((3,), 1, 1, 3, 8)
    x["coefficients"][1], x["start"][1] = 0.0, 0.0
    x["forcing"][2] = 1e39
    solution = solve(ode(x), backend="cuda", method="qr32", check=False)
    assert solution.status.tolist() == [Status.OK, Status.RANK_DEFICIENT, Status.NON_FINITE]
    with pytest.raises(ValueError, match="float32"):
        solve(ode({name: value[2] for name, value in x.items()}), backend="cuda", method="qr32")
    with pytest.raises(RankDeficient, match="method='qr'"):
        oscillation(3, 1e-3, 1000, "cuda", "qr32")


@pytest.mark.parametrize("backend", [*BACKENDS, "auto"])
def test_other_backends_do_not_support_qr32(backend):
    if backend == "cuda":
        return
    with pytest.raises(ValueError, match="expected method 'qr' or 'cholesky', found 'qr32'"):
        solve(small_problem((), False), backend=backend, method="qr32")
