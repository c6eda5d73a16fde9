"""Results do not depend on strides, storage offsets and expanded dimensions of the arguments."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from tests.solver.cases import ROUNDED, assert_same, both_row_modes, every_backend, every_method, linear_ode, tensors
from tests.solver.oracle import NAMES
from tests.solver.shapes import Shape, batch, for_all_shapes, solution_and_gradients
from workbench.solver import solve

NAN = float("nan")


def transposed(x: torch.Tensor) -> torch.Tensor:
    """The first index is the fastest."""
    order = tuple(reversed(range(x.ndim)))
    return x.permute(order).contiguous().permute(order)


def stepped(x: torch.Tensor) -> torch.Tensor:
    """Every second entry of every dimension, NaN in between."""
    every_second = tuple(slice(1, None, 2) for _ in x.shape)
    buffer = x.new_full([2 * size for size in x.shape], NAN)
    buffer[every_second] = x
    return buffer[every_second]


def offset(x: torch.Tensor) -> torch.Tensor:
    """Contiguous, from the fourth entry of a longer storage: an unaligned address."""
    buffer = x.new_full([x.numel() + 5], NAN)
    buffer[3 : 3 + x.numel()] = x.flatten()
    return buffer[3 : 3 + x.numel()].view(x.shape)


def sliced(x: torch.Tensor) -> torch.Tensor:
    """The middle of a larger tensor, NaN around it."""
    middle = tuple(slice(1, 1 + size) for size in x.shape)
    buffer = x.new_full([size + 3 for size in x.shape], NAN)
    buffer[middle] = x
    return buffer[middle]


def expanded(x: torch.Tensor) -> torch.Tensor:
    """The first system for the whole batch, stride 0."""
    return x[:1].expand(x.shape)


def expanded_in_time(x: torch.Tensor) -> torch.Tensor:
    """The first grid point for all grid points, stride 0."""
    return x[:, :1].expand(x.shape)


FORMS = (transposed, stepped, offset, sliced, expanded, expanded_in_time)


def assert_same_gradients(ours: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], backend: str) -> None:
    """Bitwise equality of gradients from fused kernels; plain torch sums in the order of the strides.

    The gradients to the weights (the last three) come from plain torch in every backend.
    """
    largest = max(float(x.abs().max()) for x in expected if x.numel())
    for i, (one, other) in enumerate(zip(ours, expected, strict=True)):
        if backend not in ROUNDED and i < 4:
            assert torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * largest)


def memory(x: torch.Tensor) -> torch.Tensor:
    """All bytes of the storage of x."""
    return torch.empty(0, dtype=torch.uint8).set_(x.untyped_storage())


def compare(shape: Shape, central: bool, forms: dict[str, Any], backend: str, method: str) -> None:
    """Compare u and all gradients with those of contiguous copies; the arguments must stay unmodified."""
    a = batch(shape, central, gaps=False)
    values = {name: forms.get(name, torch.clone)(x) for name, x in tensors(a).items()}
    before = [memory(x).clone() for x in values.values()]
    copies = {name: x.clone(memory_format=torch.contiguous_format) for name, x in values.items()}
    u, *gradients = solution_and_gradients(a, backend, method, values)
    expected, *others = solution_and_gradients(a, backend, method, copies)
    assert_same(u, expected, backend)
    assert_same_gradients(gradients, others, backend)
    assert all(torch.equal(memory(x), old) for x, old in zip(values.values(), before, strict=True))


FIXED = Shape(seed=0, B=3, T=5, E=2, D=2, K=3, T0=2, K0=2)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_one_argument(name, form, central, method, backend):
    compare(FIXED, central, {name: form}, backend, method)


def for_all_shapes_and_forms(test: Any) -> Any:
    return for_all_shapes(test, forms=st.fixed_dictionaries(dict.fromkeys(NAMES, st.sampled_from(FORMS[:4]))))


@every_backend
@every_method
@both_row_modes
@for_all_shapes_and_forms
def test_all_arguments(shape, forms, central, method, backend):
    compare(shape, central, forms, backend, method)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_upstream_gradient(form, central, method, backend):
    """The upstream gradient may have any strides: those of a sum are all 0."""
    a = batch(FIXED, central)
    values = [x.requires_grad_() for x in tensors(a).values()]
    u = solve(linear_ode(a, dict(zip(NAMES, values, strict=True))), backend=backend, method=method).u
    g = form(torch.as_tensor(np.random.default_rng(0).standard_normal(u.shape)))
    expected = torch.autograd.grad(u, values, g.clone(memory_format=torch.contiguous_format), retain_graph=True)
    assert_same_gradients(torch.autograd.grad(u, values, g, retain_graph=True), expected, backend)
    one = torch.autograd.grad(u, values, torch.ones_like(u), retain_graph=True)
    assert_same_gradients(torch.autograd.grad(u.sum(), values), one, backend)
