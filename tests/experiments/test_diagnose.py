"""What a person is told of a discovery: the judgement, its sentences and figures, and the certainty of every term."""

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

from tests.discovery.discoveries import QUADRATIC, TRUTH, found
from workbench.datasets.ode import lorenz
from workbench.diagnostics import Diagnostics
from workbench.experiments.diagnose import judge
from workbench.experiments.lorenz import simulated
from workbench.plots.equations import confidence, diagnostics
from workbench.symbolic.library import Polynomials

RECORD = lorenz.simulate(points=3000, step=0.01, noise=0.5, seed=0)


@pytest.fixture(scope="module")
def trajectory() -> xr.Dataset:
    return simulated(QUADRATIC, found(0.5).coefficients, RECORD)


@pytest.fixture(scope="module")
def judged(trajectory: xr.Dataset) -> Diagnostics:
    result = found(0.5)
    return judge(QUADRATIC, result.coefficients, trajectory, result, lorenz.LYAPUNOV_EXPONENT)


def test_a_discovery_is_judged_by_its_front_residuals_horizon_and_exponent(judged):
    assert judged.front.terms[judged.chosen] == 7
    assert judged.front.terms[judged.front.knee] == 7
    assert judged.residuals.message == ""
    assert judged.lyapunov.exponent == pytest.approx(lorenz.LYAPUNOV_EXPONENT, rel=0.2)
    assert judged.horizon.lyapunov_times > 3
    said = "; ".join(judged.sentences)
    for words in ("7 terms leave an error of 0.06", "share of the change: x 0.8", "Lyapunov times", "chaotic"):
        assert words in said


def test_a_missing_term_is_seen_in_the_residuals(trajectory):
    wrong = np.where(np.abs(TRUTH) == 1, 0.0, TRUTH)
    clean = trajectory.assign(data=trajectory["truth"])
    assert "a term seems to be missing" in judge(QUADRATIC, wrong, clean).residuals.message


def test_without_a_discovery_there_is_no_front_but_the_rest(trajectory):
    other = judge(QUADRATIC, TRUTH, trajectory)
    assert other.front is None
    assert other.chosen is None
    assert other.lyapunov.exponent > 0
    assert set(diagnostics.figures(other, trajectory)) == {"Simulation", "Residuals"}


def test_every_figure_can_be_drawn_and_the_ring_is_around_the_chosen_model(judged, trajectory):
    figures = diagnostics.figures(judged, trajectory)
    assert {name: len(own) for name, own in figures.items()} == {"Terms": 1, "Simulation": 3, "Residuals": 3}
    for own in figures.values():
        for figure in own:
            hv.render(figure, backend="bokeh")
    (ring,) = (part for part in figures["Terms"][0] if part.label == "chosen")
    assert ring["terms"].tolist() == [7]
    assert "<li>7 terms leave" in diagnostics.sentences(judged)


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


def test_certainty_tells_sure_terms_from_doubtful_ones_and_leaves_out_the_rest():
    assert list(confidence.rows(coefficients())) == [
        ("x", "<x>", "2.000", "1.980 to 2.020", "100%", "sure"),
        ("x", "y", "0.00", "-0.10 to 0.10", "40%", "may be absent"),
        ("x", "z", "–", "", "25%", "left out"),
    ]
    table = confidence.table(coefficients())
    assert "&lt;x&gt;" in table
    assert 'rowspan="3"' in table
    assert confidence.table(coefficients().drop_vars("inclusion")) == ""


def test_a_system_that_is_not_chaotic_has_no_lyapunov_times():
    times = np.linspace(0, 20, 2000)
    states = np.stack([np.cos(times), -np.sin(times)], axis=1)
    both = {name: (("time", "variable"), states) for name in ("truth", "data", "estimate")}
    circle = xr.Dataset(both, coords={"time": ("time", times), "variable": ["x", "y"]})
    library = Polynomials(("x", "y"), 1)
    coefficients = np.array([[0.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
    judged = judge(library, coefficients, circle)
    assert judged.horizon.whole
    assert judged.horizon.lyapunov_times is None
    assert not judged.lyapunov.chaotic
    assert "Lyapunov times" not in "; ".join(judged.sentences)
