"""Every doubt raised where there is reason, and not where there is none."""

import numpy as np
import pytest

from workbench.datasets.ode import lorenz
from workbench.diagnostics import collinearity, doubts
from workbench.diagnostics.identifiability import (
    few_oscillations,
    noise_level,
    noisy,
    oscillations,
    short_record,
    unsure_terms,
)
from workbench.symbolic.recipe import LibrarySpec

STATES = lorenz.simulate(points=3000, step=0.01, noise=0, seed=0)["truth"].values
LIBRARY = LibrarySpec(2).library(("x", "y", "z"))


def test_a_good_record_raises_no_doubt():
    narrow = np.full((10, 3), 0.5), np.full((10, 3), 1.5)
    assert doubts(LIBRARY(STATES), LIBRARY.names, STATES, LIBRARY.variables, narrow) == ()


def test_a_bad_record_raises_all_of_them():
    slow = np.exp(-np.linspace(0, 1, 40))[:, None] * [1.0, 2.0, 3.0]
    record = slow + 0.3 * np.random.default_rng(0).normal(size=slow.shape)
    wide = np.full((10, 3), -1.0), np.full((10, 3), 1.0)
    # the candidates of the curve without noise, which all move together
    found = doubts(LIBRARY(slow), LIBRARY.names, record, LIBRARY.variables, wide)
    assert {doubt.kind for doubt in found} >= {"short record", "collinear candidates", "noise", "unsure terms"}
    assert all(doubt.message and doubt.value != doubt.limit for doubt in found)


# collinear candidates


def test_candidates_that_stand_in_for_each_other_are_named():
    a, b, c, noise = np.random.default_rng(0).normal(size=(4, 500))
    found = collinearity(np.stack([a, b, c, a + b + 1e-4 * noise], axis=1), ["a", "b", "c", "sum"])
    assert found.groups == (("a", "b", "sum"),)
    assert "a, b and sum cannot be told apart" in found.message
    assert found.inflation[[0, 1, 3]].min() > 1e6 > 100 > found.inflation[2]
    assert found.condition > 1e3


def test_independent_candidates_are_not():
    found = collinearity(np.random.default_rng(0).normal(size=(500, 4)) * [1, 1e6, 1e-6, 1], list("abcd"))
    assert (found.groups, found.message) == ((), "")
    np.testing.assert_allclose(found.inflation, 1, atol=0.1)


def test_the_inflation_is_that_of_the_regression():
    values = np.random.default_rng(0).normal(size=(200, 3)) @ [[1.0, 0.5, 0.2], [0, 1, 0.9], [0, 0, 0.3]]
    expected = np.diag(np.linalg.inv(values.T @ values)) * np.sum(values**2, axis=0)
    np.testing.assert_allclose(collinearity(values, list("abc")).inflation, expected)


def test_exact_dependence_is_named():
    library = LibrarySpec(1, offsets=(1.0,)).library(("x",))
    found = collinearity(library(np.linspace(0.1, 4, 100)[:, None]), library.names)
    assert found.groups == (("1", "1/(1 + x)", "x/(1 + x)"),)


def test_a_candidate_that_is_zero_is_named():
    found = collinearity(np.stack([np.ones(9), np.zeros(9)], axis=1), ["1", "x"])
    assert "x is zero" in found.message


def test_a_constant_variable_is_the_constant():
    found = collinearity(LibrarySpec(1).library(("x",))(np.full((20, 1), 3.0)), ("1", "x"))
    assert found.groups == (("1", "x"),)


@pytest.mark.parametrize("values", [np.ones((3, 2)), np.full((9, 3), np.nan), np.ones((2, 3))])
def test_values_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="more rows than 3 candidates"):
        collinearity(values, list("abc"))


# length, noise, oscillations, intervals


@pytest.mark.parametrize("points,found", [(99, True), (100, False)])
def test_a_short_record(points, found):
    doubt = short_record(points, 10)
    assert bool(doubt.message) == found
    assert doubt.value == points / 10


@pytest.mark.parametrize("noise", [0.01, 0.5, 4.0])
def test_the_noise_level_is_that_of_the_noise(noise):
    level = noise_level(STATES + noise * np.random.default_rng(1).normal(size=STATES.shape))
    np.testing.assert_allclose(level, noise, rtol=0.08)
    with pytest.raises(ValueError, match="at least 5"):
        noise_level(STATES[:4])


@pytest.mark.parametrize("noise,found", [(0.0, ()), (1.0, ()), (5.0, ("x", "y", "z"))])
def test_a_noisy_record(noise, found):
    doubt = noisy(STATES + noise * np.random.default_rng(2).normal(size=STATES.shape), ("x", "y", "z"))
    assert doubt.names == found
    assert all(f"{name} (" in doubt.message for name in found)


@pytest.mark.parametrize("swings", [0.5, 2, 5.5, 20])
def test_oscillations_are_counted_also_in_noise(swings):
    wave = np.sin(2 * np.pi * swings * np.linspace(0, 1, 2000))
    noise = 0.05 * np.random.default_rng(3).normal(size=2000)
    assert oscillations((wave + noise)[:, None])[0] == pytest.approx(swings, abs=0.5)
    doubt = few_oscillations(np.stack([wave, np.linspace(0, 1, 2000)], axis=1), ("x", "y"))
    assert bool(doubt.message) == (swings < 3)


def test_terms_whose_interval_holds_zero():
    lower, upper = np.array([[-1.0, 0.5], [0.0, -3.0]]), np.array([[1.0, 2.0], [0.0, -1.0]])
    doubt = unsure_terms(lower, upper, ["1", "x y"], ["x", "y"])
    assert doubt.names == ("1 in x'",)
    assert doubt.message.endswith("their intervals hold zero: 1 in x'")
    assert unsure_terms(lower + 2, upper + 2, ["1", "x y"], ["x", "y"]).names == ("x y in y'",)
    assert unsure_terms(np.full((2, 2), np.nan), upper, ["1", "x y"], ["x", "y"]).message == ""
    with pytest.raises(ValueError, match="intervals: expected"):
        unsure_terms(lower, upper[:1], ["1", "x y"], ["x", "y"])
