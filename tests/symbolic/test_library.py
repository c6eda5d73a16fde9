"""Candidate libraries: values, Jacobians, duplicates, second order, time, errors and vector fields."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.symbolic.library import Library, LibrarySpec, Polynomials, polynomials

RICH = LibrarySpec(
    degree=3,
    frequencies=(1.0, 2.5),
    rates=(-1.0,),
    offsets=(2.0,),
    expressions=("x*sin(2*t)/(1 + y^2)", "abs(x)*y"),
    time=True,
)


def states(columns: int, count: int = 30) -> torch.Tensor:
    return torch.rand(count, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.2


TIMES = torch.linspace(0.1, 3.0, 30, dtype=torch.float64)


def test_a_spec_gives_every_kind_of_candidate():
    library = LibrarySpec(1, (1.0,), (-1.0,), (1.0,), ("x*y^2",)).library(("x", "y"))
    assert library.names == (
        *("1", "x", "y", "sin(x)", "cos(x)", "sin(y)", "cos(y)", "exp(-x)", "exp(-y)"),
        *("1/(1 + x)", "x/(1 + x)", "1/(1 + y)", "y/(1 + y)", "x y^2"),
    )
    assert len(library) == len(library.latex) == len(library.candidates) == 14
    assert not library.uses_time


def test_libraries_with_time_require_times():
    library = RICH.library(("x", "y"))
    assert {"t", "x t", "sin(t)", "exp(-t)"} <= set(library.names)
    with pytest.raises(ValueError, match="contain time"):
        library(states(2))


def test_torch_numpy_and_floats_agree():
    library, x = RICH.library(("x", "y")), states(2)
    tensors = library(x, TIMES)
    np.testing.assert_allclose(library(x.numpy(), TIMES.numpy()), tensors.numpy(), rtol=1e-14)
    for index, candidate in enumerate(library.candidates):
        np.testing.assert_allclose(candidate(x.numpy(), TIMES.numpy()), tensors[:, index].numpy(), rtol=1e-14)
    coefficients = np.random.default_rng(0).normal(size=(len(library), 2))
    field = library.right_hand_side(coefficients)
    expected = tensors.numpy() @ coefficients
    np.testing.assert_allclose(field(TIMES.numpy(), x.numpy()), expected, rtol=1e-12)
    for state, time, row in zip(x.numpy(), TIMES.tolist(), expected, strict=True):
        np.testing.assert_allclose(field(time, state), row, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(), (7,), (4, 7)])
def test_batch_shapes_and_dtypes_are_preserved(shape, dtype):
    library = RICH.library(("x", "y"))
    x, time = torch.rand(*shape, 2, dtype=dtype), torch.rand(shape, dtype=dtype)
    assert library(x, time).shape == (*shape, len(library))
    assert library(x, time).dtype == dtype
    assert library.jacobian(x, time).shape == (*shape, len(library), 2)
    assert library(x, 0.5).shape == (*shape, len(library))


@pytest.mark.parametrize("make", [lambda: RICH.library(("x", "y")), lambda: Polynomials(("x", "y"), 4)])
def test_the_jacobian_equals_that_of_torch(make):
    library = make()
    x = states(2)
    expected = torch.func.vmap(torch.func.jacrev(library))(x, TIMES)
    torch.testing.assert_close(library.jacobian(x, TIMES), expected)
    coefficients = np.random.default_rng(0).normal(size=(len(library), 2))
    jacobian = library.right_hand_side(coefficients).jacobian
    batch = jacobian(TIMES.numpy(), x.numpy())
    np.testing.assert_allclose(batch, np.einsum("ncs,cd->nds", expected.numpy(), coefficients), rtol=1e-10)
    np.testing.assert_allclose(jacobian(float(TIMES[3]), x[3].numpy()), batch[3], rtol=1e-12)


def test_values_are_differentiable():
    x = states(2, count=3).requires_grad_()
    library = RICH.library(("x", "y"))
    assert torch.autograd.gradcheck(lambda x: library(x, TIMES[:3]), (x,))


# second order


def test_second_order_libraries_have_derivatives_as_inputs():
    library = LibrarySpec(2, expressions=("abs(x')*x'",), order=2).library(("x", "y"))
    assert library.variables == ("x", "y")
    assert library.inputs == ("x", "y", "x'", "y'")
    assert {"x x'", "x'^2", "y' ", "abs(x') x'"} & set(library.names) == {"x x'", "x'^2", "abs(x') x'"}
    coefficients = np.zeros((len(library), 2))
    coefficients[library.names.index("x"), 0] = -4.0
    coefficients[library.names.index("x x'"), 1] = 2.0
    field = library.right_hand_side(coefficients)
    assert field(0.0, np.array([1.0, 2.0, 3.0, 5.0])).tolist() == [3.0, 5.0, -4.0, 6.0]
    expected = [[0, 0, 1, 0], [0, 0, 0, 1], [-4, 0, 0, 0], [6, 0, 2, 0]]
    assert field.jacobian(0.0, np.array([1.0, 2.0, 3.0, 5.0])).tolist() == expected


# duplicates


@pytest.mark.parametrize(
    "text,original,factor",
    [
        ("y*x", "x y", 1.0),
        ("x^2*1", "x^2", 1.0),
        ("(x + 1)^2 - 2*x - 1", "x^2", 1.0),
        ("-3*x", "x", -3.0),
        ("x*y/4", "x y", 0.25),
        ("pi", "1", np.pi),
        ("sin(x)^2 + cos(x)^2", "1", 1.0),
        ("exp(x)*exp(-x)*y", "y", 1.0),
    ],
)
def test_duplicate_candidates_are_removed_and_listed(text, original, factor):
    library = LibrarySpec(2, expressions=(text,)).library(("x", "y"))
    assert len(library) == 6
    (duplicate,) = library.duplicates
    assert (duplicate.original, duplicate.factor) == (original, pytest.approx(factor, rel=1e-8))
    assert f"{duplicate.dropped} was removed" in str(duplicate)
    assert original in str(duplicate)


@pytest.mark.parametrize("text", ["abs(x)", "sqrt(x)", "x*sqrt(x)", "log(x - 1000)", "x + 1e-6*y", "sin(x)", "x*y + x"])
def test_similar_candidates_are_not_duplicates(text):
    library = LibrarySpec(2, expressions=(text,)).library(("x", "y"))
    assert (len(library), library.duplicates) == (7, ())


def test_identical_expressions_are_duplicates_even_where_undefined():
    library = LibrarySpec(1, expressions=("log(x - 1000)", "log(x - 1000)")).library(("x",))
    assert [duplicate.original for duplicate in library.duplicates] == ["log(x - 1000)"]


@settings(max_examples=50, deadline=None)
@given(degree=st.integers(0, 4), count=st.integers(1, 3))
def test_polynomials_have_no_duplicates(degree, count):
    names = ("x", "y", "z")[:count]
    library = Library(names, polynomials(names, degree))
    assert (library.names, library.duplicates) == (Polynomials(names, degree).names, ())


# errors


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: LibrarySpec(-1).library(("x",)), "candidates: expected at least one"),
        (lambda: LibrarySpec(2).library(("x", "x")), "expected distinct names"),
        (lambda: LibrarySpec(2).library(()), "expected distinct names"),
        (lambda: LibrarySpec(2).library(("x", "t")), "the name t is reserved for time"),
        (lambda: LibrarySpec(2, order=3).library(("x",)), "order: expected 1 or 2, found 3"),
        (lambda: LibrarySpec(2, frequencies=(0.0,)).library(("x",)), "frequencies: expected nonzero numbers"),
        (lambda: LibrarySpec(2, expressions=("x - x",)).library(("x",)), "x - x: expected a nonzero function"),
        (lambda: LibrarySpec(2, expressions=("x/0",)).library(("x",)), "column 1: the value is undefined"),
        (lambda: LibrarySpec(2, expressions=("y",)).library(("x",)), "unknown name y; expected one of x, t, pi, e"),
        (lambda: Polynomials(("x",), 1).right_hand_side(np.zeros((3, 1))), r"expected the shape \(2, 1\)"),
        (lambda: Polynomials(("x",), 1).right_hand_side(np.full((2, 1), np.nan)), "expected finite numbers"),
        (lambda: Polynomials(("x",), 1)(torch.zeros(4, 2)), "expected 1 columns"),
        (lambda: RICH.library(("x", "y")).candidates[0].derivative("z")(np.zeros(3)), "expected 2 columns"),
    ],
)
def test_invalid_libraries_raise_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_non_finite_candidate_is_reported_with_its_grid_point():
    library = LibrarySpec(1, expressions=("log(x)", "y/x")).library(("x", "y"))
    x = states(2)
    library.check(x)
    x[7, 0] = -1.0
    with pytest.raises(
        ValueError, match=r"log\(x\): expected finite values .* found nan at grid point 7 \(x = -1, y = "
    ):
        library.sizes(x)
    x[7, 0] = 0.0
    with pytest.raises(ValueError, match=r"log\(x\): .* found -inf at grid point 7"):
        library.check(x)


def test_a_non_finite_derivative_is_reported_if_the_jacobian_is_checked():
    library = LibrarySpec(1, expressions=("sqrt(x)",)).library(("x",))
    x = states(1)
    x[3] = 0.0
    library.check(x)
    with pytest.raises(
        ValueError, match=r"the derivative of sqrt\(x\) with respect to x: expected finite .* found inf at grid point 3"
    ):
        library.check(x, jacobian=True)


def test_sizes_are_root_mean_squares():
    library, x = Polynomials(("x", "y"), 2), states(2)
    np.testing.assert_allclose(library.sizes(x), np.sqrt(np.mean(library(x).numpy() ** 2, axis=0)))


def test_the_vector_field_is_nan_where_it_is_undefined():
    library = LibrarySpec(0, expressions=("sqrt(x)", "exp(x)", "1/x")).library(("x",))
    field = library.right_hand_side(np.ones((4, 1)))
    for state in (-1.0, 1e4, 0.0):
        assert np.isnan(field(0.0, np.array([state]))).all()


def test_deprecated_attributes_warn():
    library = LibrarySpec(1).library(("x",))
    with pytest.warns(DeprecationWarning, match="Library.twins has moved to Library.duplicates"):
        assert library.twins == library.duplicates
    field, state = library.right_hand_side(np.ones((2, 1))), np.ones(1)
    with pytest.warns(DeprecationWarning, match="VectorField.tangent has moved to VectorField.jacobian"):
        np.testing.assert_array_equal(field.tangent(0.0, state), field.jacobian(0.0, state))
