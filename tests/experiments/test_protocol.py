"""The experiment protocol, its settings, and the Lorenz experiment."""

from typing import get_args

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from workbench import experiments
from workbench.datasets import schema
from workbench.experiments import lorenz
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import Config, Group, setting
from workbench.experiments.report import Report

NAMES = experiments.names()


@pytest.mark.parametrize("name", NAMES)
def test_experiments_can_be_imported_by_path(name):
    experiment = experiments.get(name)
    assert experiments.at(experiment.__name__) is experiment


class FixedModel:
    """A model with fixed coefficients."""

    done = True

    def __init__(self, values: np.ndarray) -> None:
        self.library = lorenz.Polynomials(lorenz.lorenz.VARIABLES, 2)
        self.values = values

    def coefficients(self) -> np.ndarray:
        return self.values


@pytest.mark.parametrize("name", NAMES)
def test_experiments_implement_the_protocol(name, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    experiment = experiments.get(name)
    assert experiment.name == name
    assert experiment.title
    assert experiment.summary.endswith(".")
    config = experiment.Config()
    record = schema.check(experiment.data(config))
    model = experiment.model(config, record)
    metrics = model.step()
    assert "loss" in metrics
    assert model.total_steps > 1
    assert model.monitored_metric is None or isinstance(model.monitored_metric, str)
    assert isinstance(experiment.report(model, record), Report)


@pytest.mark.parametrize("name", NAMES)
def test_settings_have_descriptions_and_groups(name):
    config = experiments.get(name).Config
    for field, info in config.model_fields.items():
        assert info.description, field
        assert info.description[0].isupper(), field
        assert info.description.endswith((".", ")")), field
        assert info.json_schema_extra["group"] in get_args(Group), field
        modes = get_args(config.model_fields["mode"].annotation) if "mode" in config.model_fields else ()
        assert set(info.json_schema_extra["modes"]) <= set(modes), field
    for mode, values in config.mode_defaults.items():
        assert config(mode=mode).model_dump().items() >= values.items()


@pytest.mark.parametrize("name", NAMES)
def test_configuration_round_trips_through_json_and_url(name):
    config = experiments.get(name).Config
    changed = config(seed=7)
    assert config(**changed.model_dump(mode="json")) == changed
    assert config(**{key: str(value) for key, value in changed.model_dump().items()}) == changed


def test_unknown_experiment_raises():
    with pytest.raises(ValueError, match=r"unknown experiment 'lorentz'; expected one of .*lorenz"):
        experiments.get("lorentz")


@pytest.mark.parametrize(
    "given,message",
    [
        (
            {"window": 300, "points": 200},
            r"the window \(300 grid points\) is longer than the record \(200 grid points\)",
        ),
        ({"mode": "adam", "points": 500}, r"the batch \(512 windows\) is larger than the record \(451 windows\)"),
        ({"mode": "adam", "window": 0}, r"the window \(0 grid points\) is too short for adam"),
        ({"window": 6}, r"the window \(6 grid points\) is too short"),
        ({"noise": -1}, "noise"),
        ({"noise": "nan"}, "noise"),
        ({"degree": 6}, "degree"),
        ({"mode": "guess"}, "mode"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_invalid_configuration_raises(given, message):
    with pytest.raises(ValidationError, match=message):
        lorenz.Config(**given)


def test_default_depends_on_the_mode():
    assert (lorenz.Config().derivatives, lorenz.Config(mode="adam").derivatives) == (6, 4)
    assert lorenz.Config(mode="adam", derivatives=4).derivatives == 4
    with pytest.raises(ValidationError, match="frozen"):
        lorenz.Config().seed = 3


def test_config_without_modes():
    class Plain(Config):
        size: int = setting(3, "How large.", ge=1)

    assert Plain(size="4").size == 4


def test_true_coefficients_match_the_lorenz_equations():
    library = lorenz.Polynomials(lorenz.lorenz.VARIABLES, 2)
    state = np.array([1.5, -2.0, 20.0])
    x, y, z = state
    rates = library.right_hand_side(lorenz.true_coefficients(library))(0.0, state)
    np.testing.assert_allclose(rates, [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
    assert lorenz.true_coefficients(lorenz.Polynomials(("x", "y", "z"), 1)).shape == (4, 3)


def test_report_of_the_true_coefficients():
    library = lorenz.Polynomials(lorenz.lorenz.VARIABLES, 2)
    record = lorenz.data(lorenz.Config(points=1500))
    report = lorenz.report(FixedModel(lorenz.true_coefficients(library)), record)
    assert report.equations == report.true_equations
    assert report.equations[1].text(0) == "y' = 28 x - 1 y - 1 x z"
    assert report.equations[2].latex(1) == r"\dot{z} = -2.7\,z + 1.0\,x\,y"
    assert report.metrics["rmse"] == 0
    assert (report.metrics["precision"], report.metrics["recall"]) == (1, 1)
    assert report.metrics["horizon"] == pytest.approx(1499 * 0.01 * 0.906)
    assert np.isfinite(report.trajectory["estimate"]).all()


def test_report_of_divergent_equations():
    values = np.zeros((10, 3))
    values[4, 0] = 50.0  # x' = 50 x^2
    record = lorenz.data(lorenz.Config(points=1500))
    report = lorenz.report(FixedModel(values), record)
    estimate = report.trajectory["estimate"].values
    assert np.isnan(estimate[-1]).all()
    assert np.isfinite(estimate[0]).all()
    assert report.metrics["horizon"] < 0.1
    assert report.metrics["recall"] == 0


def test_report_of_a_discovery_has_intervals_and_warnings():
    config = lorenz.Config(points=1500, noise=0.5)
    record = lorenz.data(config)
    model = lorenz.model(config, record)
    while not model.done:
        model.step()
    report = lorenz.report(model, record)
    values = report.coefficients
    assert ((values["lower"] <= values["estimate"]) & (values["estimate"] <= values["upper"])).all()
    assert ((values["inclusion"] >= 0) & (values["inclusion"] <= 1)).all()
    assert report.metrics["precision"] == report.metrics["recall"] == 1
    assert report.metrics["noise"] == pytest.approx(0.5, rel=0.05)
    error = report.trajectory["denoised"] - report.trajectory["truth"]
    assert float(np.sqrt((error**2).mean())) < 0.15
    assert all(isinstance(message, str) for message in report.warnings)
    few = lorenz.Config(points=20, noise=2.0)
    short = lorenz.data(few)
    model = lorenz.model(few, short)
    model.step()
    assert any("short" in message for message in lorenz.report(model, short).warnings)


def test_report_of_zero_coefficients():
    report = lorenz.report(FixedModel(np.zeros((10, 3))), lorenz.data(lorenz.Config(points=100, window=50)))
    assert [equation.text() for equation in report.equations] == ["x' = 0", "y' = 0", "z' = 0"]
    assert isinstance(report.coefficients, xr.Dataset)


def test_equation_formats_signs_and_constants():
    equation = Equation("l", "t", ((-1.5, "1", "1"), (-0.25, "x", "x"), (2.0, "y", "y")))
    assert equation.text(2) == "t = -1.50 - 0.25 x + 2.00 y"
    assert equation.latex(1) == r"l = -1.5 - 0.2\,x + 2.0\,y"


def test_deprecated_names_of_a_report():
    report = Report(warnings=("short data set",))
    with pytest.warns(DeprecationWarning, match=r"Report\.warnings"):
        assert report.doubts == report.warnings
    with pytest.warns(DeprecationWarning, match=r"Report\.diagnostics"):
        assert report.judgement is None
