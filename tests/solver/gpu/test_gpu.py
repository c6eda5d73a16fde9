"""The GPU backend; these tests need a GPU."""

import threading

import pytest
import torch

from tests.solver.cases import (
    assert_agrees,
    both_row_modes,
    every_method,
    linear_ode,
    randn,
    reference_case,
    tensors,
)
from tests.solver.gpu.gpu_cases import COMPILED, GENERAL, LARGE, initial_rows_at_start, run_grid
from tests.solver.native.problems import arguments, assert_near, ode, rounding, solution_and_gradients
from workbench.solver import solve
from workbench.solver.backends import cuda


@pytest.fixture
def gpu():
    reason = cuda.unavailable_reason(torch.device("cuda"))
    if reason:
        pytest.skip(reason)
    return torch.device("cuda")


def on(device: torch.device, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.to(device) for name, value in x.items()}


@pytest.mark.gpu
@both_row_modes
@every_method
@pytest.mark.parametrize("D, E, K", [*COMPILED[1:], *GENERAL, *LARGE, (12, 4, 3)])
@pytest.mark.parametrize("size", [1, 33, 1000])
def test_gpu_solutions_and_gradients(size, D, E, K, method, central, gpu):
    x = arguments((size,), D, E, K, 40)
    ours = [value.cpu() for value in solution_and_gradients(on(gpu, x), method, "cuda", central)]
    assert_near(ours, solution_and_gradients(x, method, "native", central), 10 * rounding(K))


@pytest.mark.gpu
@pytest.mark.slow
def test_gpu_all_solver_tests(gpu, request):
    """All solver tests parametrised over backends, with `cuda` on the GPU."""
    exhaustive = request.config.getoption("--exhaustive")
    assert run_grid(exhaustive, SMNN_GPU_GRID=str(gpu)) > (1000 if exhaustive else 300)


@pytest.mark.gpu
@every_method
@pytest.mark.parametrize("D, E, K", COMPILED)
@pytest.mark.parametrize("size, T", [(1, 20_000), (3, 300), (100, 1000)])
def test_gpu_pieces(size, T, D, E, K, method, gpu):
    x = initial_rows_at_start(arguments((size,), D, E, K, T))
    assert cuda.CudaCall(ode(on(gpu, x)), method).plan.pieces > 1
    ours = [value.cpu() for value in solution_and_gradients(on(gpu, x), method, "cuda")]
    assert_near(ours, solution_and_gradients(x, method, "native"), 10 * rounding(K))


@pytest.mark.gpu
@every_method
@pytest.mark.parametrize("D, E, K", [*COMPILED, *GENERAL, *LARGE])
def test_gpu_shared_left_hand_sides(D, E, K, method, gpu):
    x = arguments((3, 1000), D, E, K, 40, left=(3, 1))
    ours = [value.cpu() for value in solution_and_gradients(on(gpu, x), method, "cuda")]
    assert_near(ours, solution_and_gradients(x, method, "native"), 10 * rounding(K))


@pytest.mark.gpu
@both_row_modes
@pytest.mark.parametrize("left", [(3, 100), (3, 1)])
@pytest.mark.parametrize("D, E, K", [(2, 2, 2), *LARGE])
def test_gpu_float32(D, E, K, left, central, gpu):
    x = arguments((3, 100), D, E, K, 40, left=left)
    ours = [value.cpu() for value in solution_and_gradients(on(gpu, x), "qr32", "cuda", central)]
    assert_near(ours, solution_and_gradients(x, "qr", "native", central), 1e-3)


@pytest.mark.gpu
@both_row_modes
@every_method
@pytest.mark.parametrize("seed", range(40))
def test_gpu_agreement_with_the_oracle(seed, method, central, gpu):
    a, truth, condition = reference_case(seed, central)
    values = {name: x.to(gpu) if isinstance(x, torch.Tensor) else x for name, x in tensors(a).items()}
    u = solve(linear_ode(a, values), backend="cuda", method=method).u
    assert_agrees(u.cpu(), truth, condition, method)


@pytest.mark.gpu
def test_gpu_streams_and_threads(gpu):
    """Several threads, each with a separate stream, get the same results as one."""
    x = on(gpu, arguments((64,), 1, 1, 3, 500))
    expected = solution_and_gradients(x, "qr", "cuda")
    torch.cuda.synchronize()
    results: list[list[torch.Tensor]] = []

    def work() -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            results.extend(solution_and_gradients(x, "qr", "cuda") for _ in range(10))
            torch.cuda.current_stream().synchronize()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(torch.equal(a, b) for result in results for a, b in zip(result, expected, strict=True))


@pytest.mark.gpu
def test_gpu_does_not_synchronise(gpu):
    x = on(gpu, arguments((64,), 1, 1, 3, 50))
    solution_and_gradients(x, "qr", "cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        solution_and_gradients(x, "qr", "cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_gpu_graph(gpu):
    """A CUDA graph captures a solve and replays it with new values."""
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
def test_gpu_does_not_change_the_current_device(gpu):
    last = torch.cuda.device_count() - 1
    x = on(torch.device("cuda", last), arguments((4,), 1, 1, 3, 9))
    before = torch.cuda.current_device()
    assert solve(ode(x), backend="cuda").u.device.index == last
    assert torch.cuda.current_device() == before


@pytest.mark.gpu
def test_gpu_out_of_memory(gpu):
    """The error has a hint, and later solves work."""
    x = on(gpu, arguments((1,), 1, 1, 3, 50))
    many = {name: value.expand(2**26, *value.shape[1:]) for name, value in x.items()}
    with pytest.raises(torch.OutOfMemoryError, match="checkpoint=True"):
        solve(ode(many), backend="cuda", check=False)
    assert solve(ode(x), backend="cuda").u.isfinite().all()
