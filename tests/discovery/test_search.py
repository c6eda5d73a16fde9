"""Selection of the polynomial degree."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.search import DegreeSearch, default_degrees


def spring(t, s):
    return s[1], -2 * s[0] - 0.1 * s[1]


def buckled(t, s):
    """A buckled beam, of degree 3. Damped, because terms are collinear on an orbit of constant energy."""
    return s[1], s[0] - s[0] ** 3 - 0.1 * s[1]


def pursuit(t, s):
    return s[0] - 0.5 * s[0] * s[1], -0.7 * s[1] + 0.4 * s[0] * s[1]


def trained(rhs, start, *, noise, degrees=(1, 2, 3), points=400):
    times = 0.05 * np.arange(points)
    states = solve_ivp(rhs, (0, times[-1]), start, t_eval=times, rtol=1e-10, atol=1e-12).y.T
    states = states + noise * states.std(axis=0) * np.random.default_rng(0).standard_normal(states.shape)
    model = DegreeSearch(
        [Trajectory(torch.tensor(times), torch.tensor(states))], ("x", "y"), degrees, Settings(n_bootstrap=20)
    )
    while not model.done:
        model.step()
    return model


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize(
    "rhs,start,degree", [(spring, (1.0, 0.5), 1), (pursuit, (3.0, 1.0), 2), (buckled, (1.8, 0.0), 3)]
)
def test_the_lowest_degree_that_explains_the_data_is_selected(rhs, start, degree, noise):
    model = trained(rhs, start, noise=noise)
    assert model.degree == degree
    terms = {(model.library.names[c], model.library.variables[v]) for c, v in np.argwhere(model.coefficients())}
    expected = {
        1: {("y", "x"), ("x", "y"), ("y", "y")},
        2: {("x", "x"), ("x y", "x"), ("y", "y"), ("x y", "y")},
        3: {("y", "x"), ("x", "y"), ("x^3", "y"), ("y", "y")},
    }
    assert terms == expected[degree]
    assert (model.residual_ratio() < 2).all() or not noise


def test_coefficients_are_over_the_highest_library():
    model = trained(spring, (1.0, 0.5), noise=0.02)
    assert model.coefficients().shape == (10, 2)
    result = model.result()
    assert result.coefficients.shape == result.lower.shape == result.inclusion.shape == (10, 2)
    np.testing.assert_array_equal(result.coefficients, model.coefficients())
    assert model.library.names[:3] == ("1", "x", "y")


def test_a_restored_state_continues_identically():
    model = trained(pursuit, (3.0, 1.0), noise=0.02)
    for steps in (0, 2, 9):
        one = DegreeSearch(model._trajectories, ("x", "y"), (1, 2, 3), Settings(n_bootstrap=20))
        for _ in range(steps):
            one.step()
        other = DegreeSearch(model._trajectories, ("x", "y"), (1, 2, 3), Settings(n_bootstrap=20))
        other.restore(one.state())
        while not other.done:
            other.step()
        np.testing.assert_array_equal(other.coefficients(), model.coefficients())
    done = DegreeSearch(model._trajectories, ("x", "y"), (1, 2, 3), Settings(n_bootstrap=20))
    done.restore(model.state())
    assert done.done
    assert done.degree == model.degree
    np.testing.assert_array_equal(done.result().lower, model.result().lower)


@pytest.mark.parametrize(
    "variables,points,degrees",
    [(1, 20, (1, 2, 3)), (3, 1000, (1, 2, 3)), (3, 80, (1, 2)), (6, 1000, (1, 2)), (20, 1000, (1,)), (20, 10, (1,))],
)
def test_default_degrees(variables, points, degrees):
    assert default_degrees(variables, points) == degrees
