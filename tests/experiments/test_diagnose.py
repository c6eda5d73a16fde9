"""Diagnostics of discoveries: values, sentences, figures, and the table of confidence."""

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

from tests.discovery.discoveries import QUADRATIC, TRUTH, discovered
from workbench.datasets.ode import lorenz
from workbench.diagnostics import Diagnostics
from workbench.experiments.diagnose import diagnose
from workbench.experiments.discovery_base import simulate_equations
from workbench.plots.equations import confidence, diagnostics
from workbench.symbolic.library import Polynomials

RECORD = lorenz.simulate(points=3000, step=0.01, noise=0.5, seed=0)


@pytest.fixture(scope="module")
def trajectory() -> xr.Dataset:
    return simulate_equations(QUADRATIC, discovered(0.5).coefficients, RECORD)


@pytest.fixture(scope="module")
def result_diagnostics(trajectory: xr.Dataset) -> Diagnostics:
    result = discovered(0.5)
    return diagnose(QUADRATIC, result.coefficients, trajectory, result, lorenz.LYAPUNOV_EXPONENT)


def test_diagnostics_of_a_discovery(result_diagnostics):
    assert result_diagnostics.front.terms[result_diagnostics.chosen] == 7
    assert result_diagnostics.front.terms[result_diagnostics.front.knee] == 7
    assert result_diagnostics.residuals.message == ""
    assert result_diagnostics.lyapunov.exponent == pytest.approx(lorenz.LYAPUNOV_EXPONENT, rel=0.2)
    assert result_diagnostics.horizon.lyapunov_times > 3
    sentences = "; ".join(result_diagnostics.sentences)
    for text in ("7 terms give an error of 0.06", "over the change per step: x 0.8", "Lyapunov times", "chaotic"):
        assert text in sentences


def test_residuals_reveal_a_missing_term(trajectory):
    wrong = np.where(np.abs(TRUTH) == 1, 0.0, TRUTH)
    clean = trajectory.assign(data=trajectory["truth"])
    assert "a term seems to be missing" in diagnose(QUADRATIC, wrong, clean).residuals.message


def test_diagnostics_without_a_discovery_have_no_front(trajectory):
    other = diagnose(QUADRATIC, TRUTH, trajectory)
    assert other.front is None
    assert other.chosen is None
    assert other.lyapunov.exponent > 0
    assert set(diagnostics.figures(other, trajectory)) == {"Simulation", "Residuals"}


def test_figures_render_and_mark_the_selected_model(result_diagnostics, trajectory):
    figures = diagnostics.figures(result_diagnostics, trajectory)
    assert {name: len(own) for name, own in figures.items()} == {"Terms": 1, "Simulation": 3, "Residuals": 3}
    for own in figures.values():
        for figure in own:
            hv.render(figure, backend="bokeh")
    (ring,) = (part for part in figures["Terms"][0] if part.label == "selected")
    assert ring["terms"].tolist() == [7]
    assert "<li>7 terms give" in diagnostics.sentences(result_diagnostics)


def coefficients() -> xr.Dataset:
    over = ("candidate", "variable")
    columns = {
        "estimate": [[2.0], [0.001], [0.0], [0.0]],
        "lower": [[1.98], [-0.1], [0.0], [0.0]],
        "upper": [[2.02], [0.102], [0.0], [0.0]],
        "inclusion": [[1.0], [0.4], [0.25], [0.01]],
    }
    names = {"candidate": ["<x>", "y", "z", "1"], "variable": ["x"]}
    return xr.Dataset({name: (over, np.array(values)) for name, values in columns.items()}, coords=names)


def test_confidence_table_classifies_terms():
    assert list(confidence.rows(coefficients())) == [
        ("x", "<x>", "2.000", "1.980 to 2.020", "100%", "certain"),
        ("x", "y", "0.00", "-0.10 to 0.10", "40%", "uncertain"),
        ("x", "z", "–", "", "25%", "not selected"),
    ]
    table = confidence.table(coefficients())
    assert "&lt;x&gt;" in table
    assert 'rowspan="3"' in table
    assert confidence.table(coefficients().drop_vars("inclusion")) == ""


def test_non_chaotic_system_has_no_lyapunov_times():
    times = np.linspace(0, 20, 2000)
    states = np.stack([np.cos(times), -np.sin(times)], axis=1)
    both = {name: (("time", "variable"), states) for name in ("truth", "data", "estimate")}
    circle = xr.Dataset(both, coords={"time": ("time", times), "variable": ["x", "y"]})
    library = Polynomials(("x", "y"), 1)
    coefficients = np.array([[0.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
    result_diagnostics = diagnose(library, coefficients, circle)
    assert result_diagnostics.horizon.whole
    assert result_diagnostics.horizon.lyapunov_times is None
    assert not result_diagnostics.lyapunov.chaotic
    assert "Lyapunov times" not in "; ".join(result_diagnostics.sentences)
