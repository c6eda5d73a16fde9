"""The torch.library operators: schema, fake version and derivative agree with what they do."""

from itertools import product

import pytest
import torch

from workbench.solver import LinearODE, available, solve
from workbench.solver.backends import load

SERVING = [name for name, reason in available("cpu").items() if not reason]


def problem(central: bool) -> LinearODE:
    """Three systems of two variables that share their steps."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    steps = torch.linspace(0.5, 1.0, 4, dtype=torch.float64).requires_grad_()
    return LinearODE(draw(3, 5, 2, 2, 3), draw(3, 5, 2), draw(3, 1, 2, 2), steps, central=central)


CASES = [
    (backend, method, central)
    for backend, method, central in product(SERVING, ("qr", "cholesky"), (False, True))
    if not load(backend).refusal(problem(central), method)
]


@pytest.mark.parametrize("backend, method, central", CASES)
def test_operators_keep_their_promises(backend: str, method: str, central: bool) -> None:
    ode = problem(central)
    tensors = list(ode.tensors.values())
    options = (ode.T, ode.T0, central, backend, method)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")
    for keep in ("nothing", "factor", "carry"):
        arguments = (keep, [], tensors, *options)
        torch.library.opcheck(torch.ops.workbench.solve.default, arguments, test_utils=tests)
    with torch.no_grad():
        u, _, factor = torch.ops.workbench.solve("factor", [], tensors, *options)
    torch.library.opcheck(torch.ops.workbench.solve.default, ("nothing", factor, tensors, *options), test_utils=tests)
    arguments = (u.clone().requires_grad_(), factor, tensors, *options)
    torch.library.opcheck(torch.ops.workbench.normal_solve.default, arguments, test_utils=tests)


def test_compiled_code_gives_the_same_gradient() -> None:
    def loss(coefficients: torch.Tensor, ode: LinearODE) -> torch.Tensor:
        changed = LinearODE(coefficients, ode.forcing, ode.initial, ode.steps)
        return solve(changed, check=False).u.square().sum()

    ode = problem(central=False)
    (plain,) = torch.autograd.grad(loss(ode.coefficients, ode), ode.coefficients)
    compiled = torch.compile(loss, backend="aot_eager")
    (traced,) = torch.autograd.grad(compiled(ode.coefficients, ode), ode.coefficients)
    torch.testing.assert_close(traced, plain, rtol=1e-12, atol=1e-12)
