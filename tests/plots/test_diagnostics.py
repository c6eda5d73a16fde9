"""The figures of judgements: what they hold, what they are called, and that Bokeh can draw them."""

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

from tests.diagnostics import systems
from workbench.datasets.ode import lorenz
from workbench.diagnostics import Residuals, pareto, residuals
from workbench.plots import palette
from workbench.plots.equations.intervals import inclusion, intervals
from workbench.plots.equations.pareto import pareto as pareto_view
from workbench.plots.equations.residuals import residuals as residuals_view
from workbench.plots.equations.simulation import simulated

RECORD = lorenz.simulate(points=300, step=0.01, noise=0.5, seed=0)


def parts(overlay: hv.Overlay, kind: type) -> list:
    return [element for element in overlay if isinstance(element, kind)]


def labelled(overlay: hv.Overlay, kind: type, label: str) -> hv.Element:
    (found,) = (element for element in parts(overlay, kind) if element.label == label)
    return found


def style(element: hv.Element) -> dict:
    return hv.Store.lookup_options("bokeh", element, "style").kwargs


def plot(element: hv.Element) -> dict:
    return hv.Store.lookup_options("bokeh", element, "plot").kwargs


def drawn(figure: object) -> object:
    return hv.render(figure, backend="bokeh")


def coefficients() -> xr.Dataset:
    over = ("candidate", "variable")
    estimate = np.array([[0.02, 0.0], [28.0, 0.0], [-1.0, 3.0], [0.0, 0.0]])
    values = {
        "estimate": estimate,
        "truth": np.array([[0.0, 0.0], [28.1, 0.0], [-1.0, 3.0], [0.0, 0.5]]),
        "lower": np.where(estimate != 0, estimate - 0.1, 0),
        "upper": np.where(estimate != 0, estimate + 0.1, 0),
        "inclusion": np.array([[0.3, 0.0], [1.0, 0.0], [0.9, 1.0], [0.0, 0.0]]),
    }
    names = {"candidate": ["1", "x", "y", "x y"], "variable": ["x", "y"]}
    return xr.Dataset({name: (over, value) for name, value in values.items()}, coords=names)


# the front


def test_many_decades_have_as_many_labels_as_there_is_room_for():
    figure = hv.render(pareto_view(pareto([1, 2, 3], [1.0, 1e-7, 1e-15])), backend="bokeh")
    assert 4 <= len(figure.yaxis[0].ticker.ticks) <= 7


def test_the_front_shows_every_model_the_front_and_the_knee():
    front = pareto([1, 2, 3, 4, 2], [1.0, 0.1, 0.001, 0.0009, 0.5])
    figure = pareto_view(front)
    assert len(labelled(figure, hv.Scatter, "models")) == 5
    assert labelled(figure, hv.Curve, "not beaten")["terms"].tolist() == [1, 2, 3, 4]
    assert labelled(figure, hv.Scatter, "knee")["terms"].tolist() == [3]
    options = plot(figure)
    assert (options["xlabel"], options["logy"]) == ("number of terms", True)
    assert options["title"] == "3 terms do; more gain little"
    drawn(figure)


@pytest.mark.parametrize("errors", [[0.5, 0.0], [np.nan, 0.2], [0.3, 0.3]])
def test_a_front_with_zeros_or_failures_is_drawn(errors):
    drawn(pareto_view(pareto([1, 2], errors)))


# residuals


def test_residuals_have_a_figure_per_variable_with_units():
    found = residuals(systems.lorenz(), RECORD["time"].values, RECORD["data"].values)
    figures = residuals_view(found, ("x", "y", "z"), ("m", "1", "m/s"), "s")
    assert len(figures) == 3
    assert [plot(figure)["ylabel"] for figure in figures] == [
        "left over of x (m)",
        "left over of y",
        "left over of z (m/s)",
    ]
    assert {plot(figure)["xlabel"] for figure in figures} == {"time (s)"}
    assert plot(next(iter(figures)))["title"].startswith(f"x: neighbours correlate by {found.correlation[0]:.2f}")
    np.testing.assert_array_equal(parts(list(figures)[1], hv.Scatter)[0].dimension_values(1), found.values[:, 1])
    drawn(figures)


def test_residuals_and_names_must_match():
    found = Residuals(np.arange(3.0), np.zeros((3, 2)), np.zeros(2), np.zeros(2), "")
    with pytest.raises(ValueError, match="argument"):
        residuals_view(found, ("x",))


# the simulation


def test_a_simulation_lies_over_data_and_truth_in_their_colours():
    record = RECORD.assign(estimate=RECORD["truth"] * 1.01)
    record["truth"].attrs["units"], record["time"].attrs["units"] = "m", "s"
    figures = simulated(record, horizon=1.5)
    first = next(iter(figures))
    colours = {element.label: style(element)["color"] for element in first if element.label}
    assert colours == {"data": palette.DATA, "truth": palette.TRUTH, "simulated": palette.FOUND}
    options = plot(first)
    assert (options["xlabel"], options["ylabel"]) == ("time (s)", "x (m)")
    assert options["title"] == "x: foretold for 1.5 s"
    assert parts(first, hv.VLine)[0].data == 1.5
    assert len(figures) == 3
    drawn(figures)


def test_a_simulation_that_runs_away_does_not_flatten_the_data():
    record = RECORD.assign(estimate=RECORD["truth"] * 1e6)
    low, high = plot(list(simulated(record))[2])["ylim"]
    truth = RECORD["truth"].values[:, 2]
    assert (
        truth.min() - 0.2 * np.ptp(truth) < low < truth.min() < truth.max() < high < truth.max() + 0.2 * np.ptp(truth)
    )


def test_a_record_alone_is_drawn():
    figure = next(iter(simulated(RECORD.drop_vars("truth"))))
    assert [element.label for element in figure if element.label] == ["data"]
    assert plot(figure)["title"] == "x: the record"
    drawn(figure)


# coefficients


def test_intervals_stand_beside_the_truth_and_say_which_hold_zero():
    figure = intervals(coefficients(), "x")
    assert plot(figure)["title"] == "equation of x: 95 % intervals, 1 of 3 hold zero"
    assert [label for _, label in plot(figure)["yticks"]] == ["1: 0.02 ± 0.1", "x: 28 ± 0.1", "y: -1 ± 0.1"]
    sure, unsure = (labelled(figure, hv.Scatter, label) for label in ("discovered", "may be zero"))
    np.testing.assert_allclose(sure["coefficient"], [28 / 28.1, -1 / 1.1])
    np.testing.assert_allclose(unsure["coefficient"], [0.02 / 0.12])
    np.testing.assert_allclose(labelled(figure, hv.Scatter, "truth")["coefficient"], [0, 1, -1 / 1.1])
    assert (style(sure)["line_color"], style(unsure)["line_color"]) == (palette.FOUND, palette.QUIET)
    assert style(unsure)["fill_color"] is None
    drawn(figure)


def test_a_true_term_that_was_missed_has_a_row():
    labels = [label for _, label in plot(intervals(coefficients(), "y"))["yticks"]]
    assert labels == ["y: 3 ± 0.1", "x y: 0 ± 0"]


def test_intervals_need_no_truth():
    figure = intervals(coefficients().drop_vars("truth"), "y")
    assert "truth" not in {element.label for element in figure}
    drawn(figure)


def test_inclusion_is_a_bar_per_term():
    figure = inclusion(coefficients(), "x")
    assert plot(figure)["title"] == "equation of x: 2 of 3 terms kept"
    assert plot(figure)["xlabel"] == "inclusion probability"
    kept, rest = parts(figure, hv.Rectangles)
    assert (kept["to"].tolist(), rest["to"].tolist()) == ([1.0, 0.9], [0.3])
    assert (style(kept)["color"], style(rest)["color"]) == (palette.FOUND, palette.QUIET)
    drawn(figure)
