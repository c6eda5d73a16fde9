"""Form fields of a Config: labels, bounds, validation, URLs."""

import pytest

from tests.fakes import decay, rossler
from workbench.dashboard.forms import settings
from workbench.experiments import lorenz

CONFIGS = [rossler.Config, decay.Config, lorenz.Config]


def setting(name: str) -> settings.Setting:
    return next(field for field in settings.settings(rossler.Config) if field.name == name)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__module__)
def test_every_field_has_a_label_and_a_description(config):
    fields = settings.settings(config)
    assert {field.name for field in fields} == set(config.model_fields)
    assert all((field.label and field.description.endswith(".")) or field.name in ("noise",) for field in fields)
    assert fields[-1].name == "seed"


def test_fields_have_bounds_units_groups_and_modes():
    assert setting("points").bounds == "at least 10 and at most 5000"
    assert setting("step").bounds == "above 0"
    assert setting("step").label == "Step (s)"
    assert setting("fail_at").label == "Fail at"
    assert setting("window").label == "Sequence length"
    assert (setting("method").group, setting("noise").group) == ("solver", "main")
    assert setting("delay").modes == ("slow",)


def test_only_choices_have_options():
    assert setting("mode").options == ("quick", "slow")
    assert setting("noise").options == ()
    assert setting("points").options == ()


@pytest.mark.parametrize("value", [0.1, 5e-4, 1 / 3, 1e-12, 2.5e8, 7, True, "qr"])
def test_formatted_values_are_parsed_exactly(value):
    text = settings.format_value(value)
    if isinstance(value, bool):
        assert text == "true"
    else:
        assert type(value)(text) == value


@pytest.mark.parametrize(
    "entered,field,message",
    [
        ({"noise": "-1"}, "noise", "at least 0"),
        ({"step": "0"}, "step", "above 0"),
        ({"points": "6000"}, "points", "at most 5000"),
        ({"noise": "much"}, "noise", "Expected a number, not “much”"),
        ({"noise": ""}, "noise", "Expected a number"),
        ({"noise": "nan"}, "noise", "nan must be at least 0"),
        ({"steps": "2.5"}, "steps", "whole number"),
        ({"mode": "none"}, "mode", "'quick' or 'slow'"),
        ({"colour": "red"}, "colour", "Unknown setting"),
        ({"window": "700"}, "window", "longer than the record of 600 points"),
    ],
)
def test_an_invalid_value_is_an_error_of_its_field(entered, field, message):
    config, errors = settings.validate(rossler.Config, entered)
    assert config is None
    assert list(errors) == [field]
    assert message in errors[field]
    assert errors[field].endswith(".")


def test_all_errors_are_reported():
    _, errors = settings.validate(rossler.Config, {"noise": "-1", "steps": "x"})
    assert set(errors) == {"noise", "steps"}


def test_defaults_depend_on_the_mode():
    assert settings.defaults(rossler.Config, {})["window"] == 50
    assert settings.defaults(rossler.Config, {"mode": "slow"})["window"] == 20
    assert settings.defaults(rossler.Config, {"mode": "nonsense"})["window"] == 50


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__module__)
def test_a_configuration_is_restored_from_the_url(config):
    original = config(seed=7)
    search = settings.query(original, {"experiment": "some"}, {"run": "run-1"})
    pairs, doubled = settings.parse_query(search)
    assert doubled == []
    assert (pairs.pop("experiment"), pairs.pop("run")) == ("some", "run-1")
    restored, errors = settings.validate(config, pairs)
    assert errors == {}
    assert restored == original


def test_repeated_keys_are_reported():
    pairs, doubled = settings.parse_query("?noise=1&noise=2&step=3")
    assert pairs == {"noise": "2", "step": "3"}
    assert doubled == ["noise"]
