"""Cards of parameters and equations, run status, column visibility."""

import numpy as np
import pytest
import xarray as xr
from bokeh.models import ColumnDataSource, Slope

from workbench.dashboard.app.layouts import Column
from workbench.dashboard.cards.coefficients import ParameterCard
from workbench.dashboard.cards.equations import EquationCard
from workbench.dashboard.train.text import numbers
from workbench.datasets.ode import systems
from workbench.experiments.equation import Equation
from workbench.experiments.report import Report
from workbench.jobs.job import Snapshot
from workbench.plots import summary
from workbench.plots.equations import equation, parameters


def curves(count: int) -> xr.Dataset:
    truth = np.random.default_rng(0).normal(3, 0.5, (2, count))
    values = {"truth": truth, "estimate": truth + 0.01}
    return xr.Dataset(
        {name: (("parameter", "curve"), array) for name, array in values.items()}, coords={"parameter": ["r", "K"]}
    )


def test_scatter_plots_have_one_figure_per_parameter_with_the_identity_line():
    values = curves(40)
    columns = parameters.columns(values)
    np.testing.assert_allclose(columns["estimate_1"] - columns["truth_1"], 0.01)
    plots = parameters.scatters(ColumnDataSource(columns), values)
    assert [plot.xaxis[0].axis_label for plot in plots] == ["true r", "true K"]
    assert plots[0].title.text == "r of 40 curves"
    assert plots[1].x_range.start < columns["truth_1"].min() < columns["truth_1"].max() < plots[1].x_range.end
    assert len(plots[0].select(Slope)) == 1


def test_the_parameter_card_is_visible_only_for_reports_with_parameters():
    card = ParameterCard()
    card.update(Report(parameters=curves(40)))
    assert card.view.visible
    figures = list(card._plots.objects)
    card.update(Report(parameters=curves(40)))
    assert card._plots.objects == figures
    card.update(Report())
    assert not card.view.visible


def test_units_are_shown_if_there_are_any():
    pendulum = systems.simulate(systems.Pendulum(), points=30, step=0.01, noise=0.0, seed=0)
    assert summary.units(pendulum) == "theta in rad, time in s"
    hares = systems.simulate(systems.LotkaVolterra(), points=30, step=0.02, noise=0.0, seed=0)
    assert summary.units(hares) == "hares, lynx in thousand, time in yr"
    assert summary.units(systems.simulate(systems.Roessler(), points=30, step=0.02, noise=0.0, seed=0)) == ""
    card = EquationCard(lambda: None)
    card.update(Report(equations=(Equation("l", "t", ((1.0, "x", "x"),)),), trajectory=pendulum))
    assert "Units: theta in rad, time in s." in card._metrics.object


@pytest.mark.parametrize(
    "state, step, total, text",
    [
        ("finished", 9, 11, "of ≤ 11"),
        ("finished", 11, 11, "of 11"),
        ("running", 0, 0, "Preparing the data and the model"),
        ("stopped", 3, 11, "The best state is kept; Resume continues."),
        ("stopped", 0, 0, "No step was executed; Resume starts."),
    ],
)
def test_run_progress_text(state, step, total, text):
    snapshot = Snapshot(state, "", "", "", step, total, 0.1, 10.0, 500.0, 1)
    html = numbers(snapshot, is_invalid=False, is_changed=False)
    assert text in html
    assert ("≤" in text) == ("≤" in html)


def test_powers_are_superscripts_and_names_are_escaped():
    assert equation.with_superscripts("x^2 y^10") == "x<sup>2</sup> y<sup>10</sup>"
    assert equation.with_superscripts("<b>^2") == "&lt;b&gt;<sup>2</sup>"


def test_column_visibility_is_a_style():
    column = Column("text", styles={"gap": "1px"}, visible=False)
    model = column.get_root()
    styles = {"max-height": "none", "gap": "1px"}
    assert (model.visible, model.styles) == (True, {**styles, "display": "none"})
    column.visible = True
    assert (model.visible, model.styles) == (True, {**styles, "display": ""})
    column.styles = {"gap": "2px"}
    column.visible = False
    assert model.styles == {**styles, "gap": "2px", "display": "none"}
