"""Figures of diagnostics: contents, labels, and rendering by Bokeh."""

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

DATA = lorenz.simulate(points=300, step=0.01, noise=0.5, seed=0)


def parts(overlay: hv.Overlay, kind: type) -> list:
    return [element for element in overlay if isinstance(element, kind)]


def labelled(overlay: hv.Overlay, kind: type, label: str) -> hv.Element:
    (result,) = (element for element in parts(overlay, kind) if element.label == label)
    return result


def style(element: hv.Element) -> dict:
    return hv.Store.lookup_options("bokeh", element, "style").kwargs


def plot(element: hv.Element) -> dict:
    return hv.Store.lookup_options("bokeh", element, "plot").kwargs


def render(figure: object) -> object:
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


# Pareto front


def test_many_decades_have_a_limited_number_of_labels():
    figure = hv.render(pareto_view(pareto([1, 2, 3], [1.0, 1e-7, 1e-15])), backend="bokeh")
    assert 4 <= len(figure.yaxis[0].ticker.ticks) <= 7


def test_the_figure_contains_models_front_and_knee():
    front = pareto([1, 2, 3, 4, 2], [1.0, 0.1, 0.001, 0.0009, 0.5])
    figure = pareto_view(front)
    assert len(labelled(figure, hv.Scatter, "models")) == 5
    assert labelled(figure, hv.Curve, "Pareto front")["terms"].tolist() == [1, 2, 3, 4]
    assert labelled(figure, hv.Scatter, "knee")["terms"].tolist() == [3]
    options = plot(figure)
    assert (options["xlabel"], options["logy"]) == ("number of terms", True)
    assert options["title"] == "knee: 3 terms"
    render(figure)


@pytest.mark.parametrize("errors", [[0.5, 0.0], [np.nan, 0.2], [0.3, 0.3]])
def test_fronts_with_zero_or_missing_errors_are_rendered(errors):
    render(pareto_view(pareto([1, 2], errors)))


# residuals


def test_residuals_have_a_figure_per_variable_with_units():
    result = residuals(systems.lorenz(), DATA["time"].values, DATA["data"].values)
    figures = residuals_view(result, ("x", "y", "z"), ("m", "1", "m/s"), "s")
    assert len(figures) == 3
    assert [plot(figure)["ylabel"] for figure in figures] == [
        "residual of x (m)",
        "residual of y",
        "residual of z (m/s)",
    ]
    assert {plot(figure)["xlabel"] for figure in figures} == {"time (s)"}
    assert plot(next(iter(figures)))["title"].startswith(f"x: lag-one correlation {result.correlation[0]:.2f}")
    np.testing.assert_array_equal(parts(list(figures)[1], hv.Scatter)[0].dimension_values(1), result.values[:, 1])
    render(figures)


def test_different_numbers_of_residuals_and_names_raise_an_error():
    result = Residuals(np.arange(3.0), np.zeros((3, 2)), np.zeros(2), np.zeros(2), "")
    with pytest.raises(ValueError, match="argument"):
        residuals_view(result, ("x",))


# simulation


def test_a_simulation_is_drawn_with_data_and_truth():
    data = DATA.assign(estimate=DATA["truth"] * 1.01)
    data["truth"].attrs["units"], data["time"].attrs["units"] = "m", "s"
    figures = simulated(data, horizon=1.5)
    first = next(iter(figures))
    colours = {element.label: style(element)["color"] for element in first if element.label}
    assert colours == {"data": palette.DATA, "truth": palette.TRUTH, "simulated": palette.FOUND}
    options = plot(first)
    assert (options["xlabel"], options["ylabel"]) == ("time (s)", "x (m)")
    assert options["title"] == "x: prediction horizon 1.5 s"
    assert parts(first, hv.VLine)[0].data == 1.5
    assert len(figures) == 3
    render(figures)


def test_a_diverging_simulation_does_not_change_the_range():
    data = DATA.assign(estimate=DATA["truth"] * 1e6)
    low, high = plot(list(simulated(data))[2])["ylim"]
    truth = DATA["truth"].values[:, 2]
    assert (
        truth.min() - 0.2 * np.ptp(truth) < low < truth.min() < truth.max() < high < truth.max() + 0.2 * np.ptp(truth)
    )


def test_data_without_a_simulation_are_drawn():
    figure = next(iter(simulated(DATA.drop_vars("truth"))))
    assert [element.label for element in figure if element.label] == ["data"]
    assert plot(figure)["title"] == "x: data"
    render(figure)


# coefficients


def test_intervals_that_contain_zero_are_counted_and_grey():
    figure = intervals(coefficients(), "x")
    assert plot(figure)["title"] == "equation of x: 95 % intervals, 1 of 3 contain zero"
    assert [label for _, label in plot(figure)["yticks"]] == ["1: 0.02 ± 0.1", "x: 28 ± 0.1", "y: -1 ± 0.1"]
    certain, uncertain = (labelled(figure, hv.Scatter, label) for label in ("discovered", "may be zero"))
    np.testing.assert_allclose(certain["coefficient"], [28 / 28.1, -1 / 1.1])
    np.testing.assert_allclose(uncertain["coefficient"], [0.02 / 0.12])
    np.testing.assert_allclose(labelled(figure, hv.Scatter, "truth")["coefficient"], [0, 1, -1 / 1.1])
    assert (style(certain)["line_color"], style(uncertain)["line_color"]) == (palette.FOUND, palette.QUIET)
    assert style(uncertain)["fill_color"] is None
    render(figure)


def test_a_missing_true_term_has_a_row():
    labels = [label for _, label in plot(intervals(coefficients(), "y"))["yticks"]]
    assert labels == ["y: 3 ± 0.1", "x y: 0 ± 0"]


def test_intervals_without_truth():
    figure = intervals(coefficients().drop_vars("truth"), "y")
    assert "truth" not in {element.label for element in figure}
    render(figure)


def test_inclusion_is_a_bar_per_term():
    figure = inclusion(coefficients(), "x")
    assert plot(figure)["title"] == "equation of x: 2 of 3 terms selected"
    assert plot(figure)["xlabel"] == "inclusion probability"
    selected, rest = parts(figure, hv.Rectangles)
    assert (selected["to"].tolist(), rest["to"].tolist()) == ([1.0, 0.9], [0.3])
    assert (style(selected)["color"], style(rest)["color"]) == (palette.FOUND, palette.QUIET)
    render(figure)
