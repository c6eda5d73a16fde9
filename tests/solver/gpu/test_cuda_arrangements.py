"""The arrangements of the GPU backend, on the CPU (conftest.py)."""

from dataclasses import replace

import pytest
import torch

from tests.solver.cases import both_row_modes, every_method, oscillator, small_problem
from tests.solver.gpu.gpu_cases import COMPILED, GENERAL, constant_in_time, initial_rows_at_start
from tests.solver.native.problems import arguments, assert_near, ode, solution_and_gradients
from workbench.solver import LinearODE, RankDeficient, Status, Weights, factorize, solve
from workbench.solver.backends import cuda
from workbench.solver.backends.cuda import call as cuda_call
from workbench.solver.backends.cuda import plan

NAN = float("nan")
CANARY = -7.25e77

# Arrangements


@every_method
@pytest.mark.parametrize("D, E, K", COMPILED)
@pytest.mark.parametrize("T", [4, 9, 17, 23, 26, 27, 28, 100, 150])
def test_pieces(T, D, E, K, method, host, cut):
    """Agreement with `dense`, with and without a kept factor, for all remainders of T."""
    host("registers")
    x = initial_rows_at_start(arguments((3,), D, E, K, T))
    call = cuda.CudaCall(ode(x), method)
    assert call.plan.pieces > 1
    assert call.plan.pieces * call.plan.length >= T
    ours = solution_and_gradients(x, method, "cuda")
    assert_near(ours, solution_and_gradients(x, method, "dense"), 1e-10)
    recomputed = solution_and_gradients(x, method, "cuda", checkpoint=True)
    assert all(torch.equal(one, other) for one, other in zip(ours, recomputed, strict=True))


@every_method
@pytest.mark.parametrize("pieced", [False, True])
def test_sums_over_grid_points(method, pieced, host, monkeypatch):
    """Gradients to arguments that are broadcast over grid points or systems."""
    host("registers")
    monkeypatch.setattr(plan, "SHORTEST", 4 if pieced else 10**9)
    monkeypatch.setattr(cuda_call, "SPAN", 7)
    x = initial_rows_at_start(arguments((3,), 2, 2, 2, 30))
    weights = Weights(x["equation"], x["start"], x["taylor"])
    for like in (
        x,
        constant_in_time(x),
        {name: value[:1] if name in ("forcing", "steps") else value for name, value in x.items()},
    ):
        leaves = [like[name].clone().requires_grad_() for name in ("coefficients", "forcing", "initial", "steps")]
        problem = LinearODE(*leaves, weights=weights)
        gradients = [
            torch.autograd.grad(solve(problem, backend=by, method=method).u.sin().sum(), leaves)
            for by in ("cuda", "dense")
        ]
        assert_near(*gradients, 1e-10)


@every_method
def test_status_of_pieces(method, host, cut):
    host("registers")
    x = initial_rows_at_start(arguments((7,), 1, 1, 3, 40))
    x["forcing"][1, 39] = NAN
    x["steps"][2, 20] = -1.0
    x["equation"][3, 0] = -1.0
    x["coefficients"][4], x["start"][4] = 0.0, 0.0
    x["start"][5, 0, 0, 1] = -1.0
    x["taylor"][6, 38] = -1.0
    solution = solve(ode(x), backend="cuda", method=method, check=False)
    bad = Status.BAD_WEIGHT
    expected = [Status.OK, Status.NON_FINITE, Status.BAD_STEP, bad, Status.RANK_DEFICIENT, bad, bad]
    assert solution.status.tolist() == expected


@pytest.mark.parametrize("pieced", [False, True])
def test_accuracy_at_small_steps(pieced, host, monkeypatch):
    """Against the closed form, which differs from the exact minimiser by 1.2e-9."""
    host("registers")
    if not pieced:
        monkeypatch.setattr(plan, "FEWEST", 10**9)
    h, T = 1e-4, 10_000
    u = solve(oscillator(h, T), backend="cuda").u[:, 0, 0]
    t, w = h * torch.arange(T, dtype=torch.float64), (1 - 0.05**2) ** 0.5
    truth = (-0.05 * t).exp() * ((w * t).cos() + 0.05 / w * (w * t).sin())
    assert (u - truth).abs().max() < 2e-9


@every_method
@pytest.mark.parametrize("placement", ["registers", "memory", "warp"])
@pytest.mark.parametrize("left", [(2, 1), (1, 3), (1, 1)])
def test_shared_left_hand_sides(left, placement, method, host, monkeypatch):
    """Factored once for many right-hand sides, together or sequentially, in both orders of the batch."""
    host(placement)
    monkeypatch.setattr(plan, "GROUP", 2)
    monkeypatch.setattr(cuda_call, "GROUP", 2)
    x = arguments((2, 3), 1, 1, 3, 12, left=left)
    assert_near(solution_and_gradients(x, method, "cuda"), solution_and_gradients(x, method, "dense"), 1e-10)
    assert cuda.CudaCall(ode(x), method).plan.columns == 6 // (left[0] * left[1])
    factored = factorize(ode(x), backend="cuda", method=method)
    u = factored.solve(x["forcing"], x["initial"]).u
    assert torch.equal(u, solve(ode(x), backend="cuda", method=method).u)
    for b in range(2 if left == (1, 1) else 0):
        alone = factored.solve(x["forcing"][b, b], x["initial"][b, b]).u[0, 0]
        assert_near([alone], [u[b, b]], 1e-14)


@every_method
def test_a_factor_for_sequential_right_hand_sides(method, host, cut):
    """`factorize` does not use pieces, even if `solve` does."""
    host("registers")
    x = {name: value.requires_grad_() for name, value in initial_rows_at_start(arguments((2,), 1, 1, 3, 30)).items()}
    factored = factorize(ode(x), backend="cuda", method=method)
    u = factored.solve(x["forcing"], x["initial"]).u
    expected = solve(ode(x), backend="dense", method=method).u
    assert_near([u.detach()], [expected.detach()], 1e-11)
    ours, theirs = (torch.autograd.grad(y.sin().sum(), list(x.values()), retain_graph=True) for y in (u, expected))
    assert_near(ours, theirs, 1e-9)


@every_method
def test_shared_left_hand_sides_with_central_rows(method, host):
    host("memory")
    x = arguments((2, 3), 1, 1, 3, 12, left=(2, 1))
    assert_near(solution_and_gradients(x, method, "cuda", True), solution_and_gradients(x, method, "dense", True), 1e-9)
    factored = factorize(ode(x, True), backend="cuda", method=method)
    assert_near([factored.solve(x["forcing"], x["initial"]).u], [solve(ode(x, True), backend="dense").u], 1e-9)


def test_more_systems_than_threads(host, monkeypatch):
    host("memory")
    x = arguments((100,), 1, 1, 3, 6)
    expected = solution_and_gradients(x, "qr", "cuda")
    monkeypatch.setattr(cuda_call, "MOST_THREADS", 32)
    assert all(torch.equal(a, b) for a, b in zip(solution_and_gradients(x, "qr", "cuda"), expected, strict=True))


@both_row_modes
@every_method
@pytest.mark.parametrize("sizes", [*COMPILED[1:], *GENERAL, (1, 9, 2)])
def test_scratch_is_large_enough(sizes, method, central, library, host, monkeypatch):
    """No kernel writes beyond `workspace` numbers per thread."""
    host("memory")
    D, E, K = sizes
    buffers, empty = [], cuda.CudaCall.empty

    def guarded(call: cuda.CudaCall, *shape: int, **options: torch.dtype) -> torch.Tensor:
        if not call.plan.general or shape[1:] != (call.plan.workspace,):
            return empty(call, *shape, **options)
        buffers.append(torch.full((call.plan.workspace + 64,), CANARY, dtype=torch.float64))
        return buffers[-1]

    monkeypatch.setattr(cuda.CudaCall, "empty", guarded)
    solution_and_gradients(arguments((1,), D, E, K, 5), method, "cuda", central)
    assert buffers
    assert all(bool((x[-64:] == CANARY).all()) for x in buffers)


@every_method
def test_status(method, host):
    """Invalid values and rank deficiency are reported per system."""
    host("registers")
    x = arguments((6,), 1, 1, 3, 8)
    x["forcing"][1, 3] = NAN
    x["steps"][2, 4] = -1.0
    x["equation"][3, 2] = -1.0
    x["coefficients"][4], x["start"][4] = 0.0, 0.0
    solution = solve(ode(x), backend="cuda", method=method, check=False)
    expected = [Status.OK, Status.NON_FINITE, Status.BAD_STEP, Status.BAD_WEIGHT, Status.RANK_DEFICIENT, Status.OK]
    assert solution.status.tolist() == expected
    assert solution.u[[0, 5]].isfinite().all()
    with pytest.raises(RankDeficient):
        solve(ode({name: value[4] for name, value in x.items()}), backend="cuda", method=method)


@every_method
def test_second_derivatives(method, host):
    host("memory")
    problem = small_problem((), False, gradients=True)

    def u(r: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return solve(replace(problem, forcing=r, steps=h), backend="cuda", method=method, check=False).u

    assert torch.autograd.gradgradcheck(u, [problem.forcing, problem.steps], atol=1e-4)


def test_no_systems(host):
    host("registers")
    assert solve(ode(arguments((0,), 1, 1, 3, 5)), backend="cuda").u.shape == (0, 5, 1, 3)


def test_float32_is_computed_in_float64(host):
    host("registers")
    x = {name: value.float() for name, value in arguments((2,), 1, 1, 3, 9).items()}
    expected = solve(ode({name: value.double() for name, value in x.items()}), backend="cuda").u
    assert torch.equal(solve(ode(x), backend="cuda").u, expected.float())
