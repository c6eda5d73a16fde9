"""Known systems: consistency of their definitions, simulated data, and discovery of their equations."""

from dataclasses import fields

import numpy as np
import pytest
import xarray as xr

from workbench import experiments
from workbench.datasets import schema
from workbench.datasets.ode import systems
from workbench.experiments.systems import library_of, system_of, true_coefficients

NAMES = list(systems.SYSTEMS)


def trained(name: str, **settings: object) -> tuple[object, xr.Dataset]:
    experiment = experiments.get(name)
    config = experiment.Config(**settings)
    record = experiment.data(config)
    model = experiment.model(config, record)
    while not model.done:
        model.step()
    return model, record


def other(kind: type[systems.System]) -> systems.System:
    """The system with non-default parameters."""
    changed = {}
    for parameter in fields(kind):
        low, high = parameter.metadata["low"], parameter.metadata["high"]
        changed[parameter.name] = (
            parameter.default + 0.1 * (high - parameter.default) if high > parameter.default else (low + high) / 2
        )
    return kind(**changed)


@pytest.mark.parametrize("name", NAMES)
def test_terms_match_the_rates(name):
    """The right-hand side as a function equals that from the coefficients of expressions."""
    for system in (systems.SYSTEMS[name](), other(systems.SYSTEMS[name])):
        library = library_of(system, system.degree)
        record = systems.simulate(system, points=30, step=system.step, noise=0.0, seed=0)
        vector_field = library.right_hand_side(true_coefficients(library, record))
        generator = np.random.default_rng(1)
        for _ in range(5):
            state, time = generator.normal(size=len(library.inputs)), float(generator.uniform(0, 5))
            np.testing.assert_allclose(vector_field(time, state), system.rhs(time, state), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_data_satisfy_the_equation(name):
    """Finite differences equal the right-hand side, at an eighth of the default step."""
    system = systems.SYSTEMS[name]()
    step = system.step / 8
    record = systems.simulate(system, points=800, step=step, noise=0.0, seed=0)
    x, times = record["truth"].values, record["time"].values
    ahead, behind, here = x[2:], x[:-2], x[1:-1]
    derivative = (ahead - behind) / (2 * step)
    states = here if system.order == 1 else np.hstack([here, derivative])
    rates = np.array([system.rhs(t, state) for t, state in zip(times[1:-1], states, strict=True)])
    expected = rates[:, -x.shape[1] :]
    left = derivative if system.order == 1 else (ahead - 2 * here + behind) / step**2
    scale = np.abs(expected).max(axis=0)
    # skip the initial transient of stiff systems
    later = slice(200 if system.stiff else 0, None)
    np.testing.assert_allclose(left[later] / scale, expected[later] / scale, atol=5e-3)


@pytest.mark.parametrize("name", NAMES)
def test_data_are_reproducible_with_the_given_noise(name):
    system = systems.SYSTEMS[name]()
    records = [systems.simulate(system, points=1500, step=system.step, noise=0.05, seed=seed) for seed in (1, 1, 2)]
    assert schema.check(records[0]).identical(records[1])
    assert not records[0]["data"].identical(records[2]["data"])
    noise = (records[0]["data"] - records[0]["truth"]).std("time") / records[0]["truth"].std("time")
    np.testing.assert_allclose(noise, 0.05, rtol=0.12)
    assert records[0]["truth"].attrs["units"] == system.unit
    assert records[0]["time"].attrs["units"] == system.time_unit


@pytest.mark.parametrize("name", NAMES)
def test_discovery_without_noise_at_default_settings(name):
    model, record = trained(name, n_bootstrap=20)
    report = experiments.get(name).report(model, record)
    figures = report.metrics
    assert figures["precision"] == figures["recall"] == 1
    assert figures["relative_error"] < 1e-4
    assert [e.left_text for e in report.equations] == [e.left_text for e in report.true_equations]
    assert figures["followed"] > 0.9 * float(report.trajectory["time"][-1]) * (0.5 if name == "two_body" else 1.0)


@pytest.mark.parametrize("name", ["lotka_volterra", "van_der_pol", "duffing"])
def test_discovery_with_one_percent_noise(name):
    model, record = trained(name, noise=1.0, points=3000, seed=3, n_bootstrap=20)
    figures = experiments.get(name).report(model, record).metrics
    assert figures["precision"] == figures["recall"] == 1
    assert figures["relative_error"] < 0.01


def test_configuration_sets_the_parameters():
    experiment = experiments.get("van_der_pol")
    config = experiment.Config(mu=0.5, points=2000)
    assert system_of(systems.VanDerPol, config) == systems.VanDerPol(mu=0.5)
    model, record = trained("van_der_pol", mu=0.5, points=2000, n_bootstrap=20)
    assert record.attrs["mu"] == 0.5
    assert experiment.report(model, record).equations[1].text(2) == "y' = -1.00 x + 0.50 y - 0.50 x^2 y"


def test_library_without_a_true_term():
    model, record = trained("van_der_pol", degree=1, points=1500, n_bootstrap=20)
    report = experiments.get("van_der_pol").report(model, record)
    assert report.coefficients.sizes["candidate"] == 3
    assert not any("x^2" in term for equation in report.equations for _, _, term in equation.terms)


@pytest.mark.parametrize(
    "name,given,message",
    [
        ("roessler", {"c": 100}, "less than or equal to 18"),
        ("roessler", {"window": 8}, r"the window \(8 grid points\) is too short"),
        ("roessler", {"window": 300, "points": 200}, r"longer than the record \(200 grid points\)"),
        ("pendulum", {"mode": "adam"}, "mode"),
        ("pendulum", {"mu": 1}, "mu"),
        ("two_body", {"learn": 3000}, r"learn \(3000 grid points\) leaves none of the 3000 points"),
        ("two_body", {"mode": "network", "learn": 80}, r"learn \(80 grid points\) is too short"),
    ],
)
def test_invalid_configuration_raises(name, given, message):
    with pytest.raises(ValueError, match=message):
        experiments.get(name).Config(**given)


def test_equations_of_second_order():
    model, record = trained("pendulum", points=600, n_bootstrap=20)
    (equation,) = experiments.get("pendulum").report(model, record).equations
    assert equation.text(2) == "theta'' = -0.20 theta' - 9.81 sin(theta)"
    assert equation.latex(1) == r"\ddot{\theta} = -0.2\,\dot{\theta} - 9.8\,\sin\left(\theta\right)"
