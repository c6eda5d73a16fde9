"""Identifiability warnings on good and bad data."""

import numpy as np
import pytest

from workbench.datasets.ode import lorenz
from workbench.diagnostics import collinearity, identifiability_warnings
from workbench.diagnostics.identifiability import (
    few_oscillations,
    noise_level,
    noisy_variables,
    oscillations,
    short_record,
    uncertain_terms,
)
from workbench.symbolic.library import LibrarySpec

STATES = lorenz.simulate(points=3000, step=0.01, noise=0, seed=0)["truth"].values
LIBRARY = LibrarySpec(2).library(("x", "y", "z"))


def test_good_data_give_no_warnings():
    narrow = np.full((10, 3), 0.5), np.full((10, 3), 1.5)
    assert identifiability_warnings(LIBRARY(STATES), LIBRARY.names, STATES, LIBRARY.variables, narrow) == ()


def test_bad_data_give_every_warning():
    slow = np.exp(-np.linspace(0, 1, 40))[:, None] * [1.0, 2.0, 3.0]
    record = slow + 0.3 * np.random.default_rng(0).normal(size=slow.shape)
    wide = np.full((10, 3), -1.0), np.full((10, 3), 1.0)
    # candidates of the noise-free curve, which are collinear
    warnings = identifiability_warnings(LIBRARY(slow), LIBRARY.names, record, LIBRARY.variables, wide)
    kinds = {warning.kind for warning in warnings}
    assert kinds >= {"short record", "collinear candidates", "noise", "uncertain terms"}
    assert all(warning.message and warning.value != warning.limit for warning in warnings)


# collinear candidates


def test_collinear_candidates_are_grouped():
    a, b, c, noise = np.random.default_rng(0).normal(size=(4, 500))
    result = collinearity(np.stack([a, b, c, a + b + 1e-4 * noise], axis=1), ["a", "b", "c", "sum"])
    assert result.groups == (("a", "b", "sum"),)
    assert "a, b and sum are collinear" in result.message
    assert result.inflation[[0, 1, 3]].min() > 1e6 > 100 > result.inflation[2]
    assert result.condition > 1e3


def test_independent_candidates_are_not_grouped():
    result = collinearity(np.random.default_rng(0).normal(size=(500, 4)) * [1, 1e6, 1e-6, 1], list("abcd"))
    assert (result.groups, result.message) == ((), "")
    np.testing.assert_allclose(result.inflation, 1, atol=0.1)


def test_the_inflation_is_that_of_linear_regression():
    values = np.random.default_rng(0).normal(size=(200, 3)) @ [[1.0, 0.5, 0.2], [0, 1, 0.9], [0, 0, 0.3]]
    expected = np.diag(np.linalg.inv(values.T @ values)) * np.sum(values**2, axis=0)
    np.testing.assert_allclose(collinearity(values, list("abc")).inflation, expected)


def test_exactly_dependent_candidates_are_grouped():
    library = LibrarySpec(1, offsets=(1.0,)).library(("x",))
    result = collinearity(library(np.linspace(0.1, 4, 100)[:, None]), library.names)
    assert result.groups == (("1", "1/(1 + x)", "x/(1 + x)"),)


def test_a_zero_candidate_is_reported():
    result = collinearity(np.stack([np.ones(9), np.zeros(9)], axis=1), ["1", "x"])
    assert "x is zero" in result.message


def test_a_constant_variable_is_collinear_with_the_constant():
    result = collinearity(LibrarySpec(1).library(("x",))(np.full((20, 1), 3.0)), ("1", "x"))
    assert result.groups == (("1", "x"),)


@pytest.mark.parametrize("values", [np.ones((3, 2)), np.full((9, 3), np.nan), np.ones((2, 3))])
def test_invalid_values_raise_an_error(values):
    with pytest.raises(ValueError, match="at least as many rows as 3 candidates"):
        collinearity(values, list("abc"))


# length, noise, oscillations, intervals


@pytest.mark.parametrize("points,short", [(99, True), (100, False)])
def test_short_data(points, short):
    warning = short_record(points, 10)
    assert bool(warning.message) == short
    assert warning.value == points / 10


@pytest.mark.parametrize("noise", [0.01, 0.5, 4.0])
def test_the_noise_level_is_the_standard_deviation_of_the_noise(noise):
    level = noise_level(STATES + noise * np.random.default_rng(1).normal(size=STATES.shape))
    np.testing.assert_allclose(level, noise, rtol=0.08)
    with pytest.raises(ValueError, match="at least 5"):
        noise_level(STATES[:4])


@pytest.mark.parametrize("noise,names", [(0.0, ()), (1.0, ()), (5.0, ("x", "y", "z"))])
def test_noisy_data(noise, names):
    warning = noisy_variables(STATES + noise * np.random.default_rng(2).normal(size=STATES.shape), ("x", "y", "z"))
    assert warning.names == names
    assert all(f"{name} (" in warning.message for name in names)


@pytest.mark.parametrize("count", [0.5, 2, 5.5, 20])
def test_oscillations_are_counted_in_noise(count):
    wave = np.sin(2 * np.pi * count * np.linspace(0, 1, 2000))
    noise = 0.05 * np.random.default_rng(3).normal(size=2000)
    assert oscillations((wave + noise)[:, None])[0] == pytest.approx(count, abs=0.5)
    warning = few_oscillations(np.stack([wave, np.linspace(0, 1, 2000)], axis=1), ("x", "y"))
    assert bool(warning.message) == (count < 3)


def test_terms_whose_interval_contains_zero():
    lower, upper = np.array([[-1.0, 0.5], [0.0, -3.0]]), np.array([[1.0, 2.0], [0.0, -1.0]])
    warning = uncertain_terms(lower, upper, ["1", "x y"], ["x", "y"])
    assert warning.names == ("1 in x'",)
    assert warning.message.endswith("intervals contain zero: 1 in x'")
    assert uncertain_terms(lower + 2, upper + 2, ["1", "x y"], ["x", "y"]).names == ("x y in y'",)
    assert uncertain_terms(np.full((2, 2), np.nan), upper, ["1", "x y"], ["x", "y"]).message == ""
    with pytest.raises(ValueError, match="intervals: expected"):
        uncertain_terms(lower, upper[:1], ["1", "x y"], ["x", "y"])
