"""Libraries of candidates of every kind: values, slopes, twins, second order, time, refusals, right-hand sides."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.symbolic.library import Library, Polynomials, polynomials
from workbench.symbolic.recipe import LibrarySpec

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


def test_a_recipe_makes_every_kind():
    library = LibrarySpec(1, (1.0,), (-1.0,), (1.0,), ("x*y^2",)).library(("x", "y"))
    assert library.names == (
        *("1", "x", "y", "sin(x)", "cos(x)", "sin(y)", "cos(y)", "exp(-x)", "exp(-y)"),
        *("1/(1 + x)", "x/(1 + x)", "1/(1 + y)", "y/(1 + y)", "x y^2"),
    )
    assert len(library) == len(library.latex) == len(library.candidates) == 14
    assert not library.uses_time


def test_time_may_be_a_candidate_and_must_then_be_given():
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
    flow = library.right_hand_side(coefficients)
    expected = tensors.numpy() @ coefficients
    np.testing.assert_allclose(flow(TIMES.numpy(), x.numpy()), expected, rtol=1e-12)
    for state, time, row in zip(x.numpy(), TIMES.tolist(), expected, strict=True):
        np.testing.assert_allclose(flow(time, state), row, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(), (7,), (4, 7)])
def test_any_batch_of_states_will_do(shape, dtype):
    library = RICH.library(("x", "y"))
    x, time = torch.rand(*shape, 2, dtype=dtype), torch.rand(shape, dtype=dtype)
    assert library(x, time).shape == (*shape, len(library))
    assert library(x, time).dtype == dtype
    assert library.jacobian(x, time).shape == (*shape, len(library), 2)
    assert library(x, 0.5).shape == (*shape, len(library))


@pytest.mark.parametrize("make", [lambda: RICH.library(("x", "y")), lambda: Polynomials(("x", "y"), 4)])
def test_the_jacobian_is_that_of_torch(make):
    library = make()
    x = states(2)
    expected = torch.func.vmap(torch.func.jacrev(library))(x, TIMES)
    torch.testing.assert_close(library.jacobian(x, TIMES), expected)
    coefficients = np.random.default_rng(0).normal(size=(len(library), 2))
    tangent = library.right_hand_side(coefficients).tangent
    together = tangent(TIMES.numpy(), x.numpy())
    np.testing.assert_allclose(together, np.einsum("ncs,cd->nds", expected.numpy(), coefficients), rtol=1e-10)
    np.testing.assert_allclose(tangent(float(TIMES[3]), x[3].numpy()), together[3], rtol=1e-12)


def test_values_are_differentiable():
    x = states(2, count=3).requires_grad_()
    library = RICH.library(("x", "y"))
    assert torch.autograd.gradcheck(lambda x: library(x, TIMES[:3]), (x,))


# second order


def test_second_order_has_the_derivatives_among_its_inputs():
    library = LibrarySpec(2, expressions=("abs(x')*x'",), order=2).library(("x", "y"))
    assert library.variables == ("x", "y")
    assert library.inputs == ("x", "y", "x'", "y'")
    assert {"x x'", "x'^2", "y' ", "abs(x') x'"} & set(library.names) == {"x x'", "x'^2", "abs(x') x'"}
    coefficients = np.zeros((len(library), 2))
    coefficients[library.names.index("x"), 0] = -4.0
    coefficients[library.names.index("x x'"), 1] = 2.0
    flow = library.right_hand_side(coefficients)
    assert flow(0.0, np.array([1.0, 2.0, 3.0, 5.0])).tolist() == [3.0, 5.0, -4.0, 6.0]
    expected = [[0, 0, 1, 0], [0, 0, 0, 1], [-4, 0, 0, 0], [6, 0, 2, 0]]
    assert flow.tangent(0.0, np.array([1.0, 2.0, 3.0, 5.0])).tolist() == expected


# twins


@pytest.mark.parametrize(
    "text,kept,factor",
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
def test_a_candidate_that_is_there_already_is_dropped_and_told(text, kept, factor):
    library = LibrarySpec(2, expressions=(text,)).library(("x", "y"))
    assert len(library) == 6
    (twin,) = library.twins
    assert (twin.kept, twin.factor) == (kept, pytest.approx(factor, rel=1e-8))
    assert f"{twin.dropped} was left out" in str(twin)
    assert kept in str(twin)


@pytest.mark.parametrize("text", ["abs(x)", "sqrt(x)", "x*sqrt(x)", "log(x - 1000)", "x + 1e-6*y", "sin(x)", "x*y + x"])
def test_a_candidate_that_differs_is_kept(text):
    library = LibrarySpec(2, expressions=(text,)).library(("x", "y"))
    assert (len(library), library.twins) == (7, ())


def test_a_candidate_written_twice_is_dropped_wherever_it_has_values():
    library = LibrarySpec(1, expressions=("log(x - 1000)", "log(x - 1000)")).library(("x",))
    assert [twin.kept for twin in library.twins] == ["log(x - 1000)"]


@settings(max_examples=50, deadline=None)
@given(degree=st.integers(0, 4), count=st.integers(1, 3))
def test_polynomials_have_no_twins(degree, count):
    names = ("x", "y", "z")[:count]
    library = Library(names, polynomials(names, degree))
    assert (library.names, library.twins) == (Polynomials(names, degree).names, ())


# refusals


@pytest.mark.parametrize(
    "make,words",
    [
        (lambda: LibrarySpec(-1).library(("x",)), "candidates: expected at least one"),
        (lambda: LibrarySpec(2).library(("x", "x")), "expected names that differ"),
        (lambda: LibrarySpec(2).library(()), "expected names that differ"),
        (lambda: LibrarySpec(2).library(("x", "t")), "t is time itself"),
        (lambda: LibrarySpec(2, order=3).library(("x",)), "order: expected 1 or 2, found 3"),
        (lambda: LibrarySpec(2, frequencies=(0.0,)).library(("x",)), "frequencies: expected numbers other than 0"),
        (lambda: LibrarySpec(2, expressions=("x - x",)).library(("x",)), "x - x: expected something other than zero"),
        (lambda: LibrarySpec(2, expressions=("x/0",)).library(("x",)), "column 1: this has no value"),
        (lambda: LibrarySpec(2, expressions=("y",)).library(("x",)), "unknown name y; expected one of x, t, pi, e"),
        (lambda: Polynomials(("x",), 1).right_hand_side(np.zeros((3, 1))), r"expected the shape \(2, 1\)"),
        (lambda: Polynomials(("x",), 1).right_hand_side(np.full((2, 1), np.nan)), "expected finite numbers"),
        (lambda: Polynomials(("x",), 1)(torch.zeros(4, 2)), "expected 1 columns"),
        (lambda: RICH.library(("x", "y")).candidates[0].derivative("z")(np.zeros(3)), "expected 2 columns"),
    ],
)
def test_what_cannot_be_is_refused_in_words(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_candidate_without_values_on_the_data_is_refused_by_name_and_place():
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


def test_slopes_without_values_are_refused_where_they_are_needed():
    library = LibrarySpec(1, expressions=("sqrt(x)",)).library(("x",))
    x = states(1)
    x[3] = 0.0
    library.check(x)
    with pytest.raises(
        ValueError, match=r"the derivative of sqrt\(x\) by x: expected finite .* found inf at grid point 3"
    ):
        library.check(x, slopes=True)


def test_sizes_are_root_mean_squares():
    library, x = Polynomials(("x", "y"), 2), states(2)
    np.testing.assert_allclose(library.sizes(x), np.sqrt(np.mean(library(x).numpy() ** 2, axis=0)))


def test_a_state_without_a_value_is_nan_for_an_integrator():
    library = LibrarySpec(0, expressions=("sqrt(x)", "exp(x)", "1/x")).library(("x",))
    flow = library.right_hand_side(np.ones((4, 1)))
    for state in (-1.0, 1e4, 0.0):
        assert np.isnan(flow(0.0, np.array([state]))).all()
