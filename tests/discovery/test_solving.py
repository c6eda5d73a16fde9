"""Solution on a GPU for models on the CPU."""

import pytest
import torch

from workbench.discovery import solving
from workbench.experiments import linear
from workbench.solver import LinearODE, Weights, available, solve
from workbench.training import Training

NO_GPU = available("cuda")["cuda"]


def problem() -> LinearODE:
    draw = torch.Generator().manual_seed(0)
    tensors = [torch.randn(*shape, dtype=torch.float64, generator=draw) for shape in ((2, 9, 1, 1, 3), (2, 9, 1))]
    initial, steps = torch.ones(2, 1, 1, 2, dtype=torch.float64), torch.full((2, 8), 0.1, dtype=torch.float64)
    leaves = [x.requires_grad_() for x in (*tensors, initial, steps)]
    return LinearODE(*leaves, weights=Weights(taylor=torch.full((2, 8, 1), 2.0, dtype=torch.float64)), central=True)


def gradients(u: torch.Tensor, of: LinearODE) -> list[torch.Tensor]:
    return [u, *torch.autograd.grad(u.sin().sum(), [of.coefficients, of.forcing, of.initial, of.steps])]


def test_a_problem_on_another_device_has_the_same_solution_and_gradients():
    """To a device and back, through autograd; here the CPU."""
    here = problem()
    there = solving.to_device(here, "cpu")
    assert (there.central, there.T) == (here.central, here.T)
    for mine, theirs in zip(gradients(solve(there).u, here), gradients(solve(here).u, here), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
def test_a_missing_gpu_raises_an_error():
    with pytest.raises(ValueError, match=r"backend: 'cuda' is unavailable: .*(CUDA|NVIDIA)"):
        next(iter(Training(linear, linear.Config(backend="cuda", points=20))))


@pytest.mark.gpu
@pytest.mark.skipif(bool(NO_GPU), reason=NO_GPU)
def test_the_gpu_solves_problems_on_the_cpu():
    here = problem()
    for mine, theirs in zip(
        gradients(solving.solve_states(here, "cuda", "qr"), here), gradients(solve(here).u, here), strict=True
    ):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)
