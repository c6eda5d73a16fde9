"""What a page knows of a Config: fields, faults in words, and the way through a URL and back."""

import pytest

from tests.fakes import decay, rossler
from workbench.dashboard.forms import settings
from workbench.experiments import lorenz

CONFIGS = [rossler.Config, decay.Config, lorenz.Config]


def setting(name: str) -> settings.Setting:
    return next(field for field in settings.settings(rossler.Config) if field.name == name)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__module__)
def test_every_field_is_there_with_a_label_and_a_sentence(config):
    fields = settings.settings(config)
    assert {field.name for field in fields} == set(config.model_fields)
    assert all((field.label and field.text.endswith(".")) or field.name in ("noise",) for field in fields)
    assert fields[-1].name == "seed"


def test_bounds_units_groups_and_modes_are_read():
    assert setting("points").bounds == "at least 10 and at most 5000"
    assert setting("step").bounds == "above 0"
    assert setting("step").label == "Step (s)"
    assert setting("fail_at").label == "Fail at"
    assert (setting("method").group, setting("noise").group) == ("solver", "main")
    assert setting("delay").modes == ("slow",)


def test_choices_have_options_and_numbers_have_none():
    assert setting("mode").options == ("quick", "slow")
    assert setting("noise").options == ()
    assert setting("points").options == ()


@pytest.mark.parametrize("value", [0.1, 5e-4, 1 / 3, 1e-12, 2.5e8, 7, True, "qr"])
def test_what_is_written_reads_back(value):
    text = settings.written(value)
    if isinstance(value, bool):
        assert text == "true"
    else:
        assert type(value)(text) == value


@pytest.mark.parametrize(
    "given,field,words",
    [
        ({"noise": "-1"}, "noise", "at least 0"),
        ({"step": "0"}, "step", "above 0"),
        ({"points": "6000"}, "points", "at most 5000"),
        ({"noise": "much"}, "noise", "A number is needed, not “much”"),
        ({"noise": ""}, "noise", "A number is needed"),
        ({"noise": "nan"}, "noise", "nan must be at least 0"),
        ({"steps": "2.5"}, "steps", "whole number"),
        ({"mode": "none"}, "mode", "'quick' or 'slow'"),
        ({"colour": "red"}, "colour", "no such setting"),
        ({"window": "700"}, "window", "longer than the record of 600 points"),
    ],
)
def test_a_fault_is_a_sentence_at_its_field(given, field, words):
    config, errors = settings.check(rossler.Config, given)
    assert config is None
    assert list(errors) == [field]
    assert words in errors[field]
    assert errors[field].endswith(".")


def test_all_faults_are_told_at_once():
    _, errors = settings.check(rossler.Config, {"noise": "-1", "steps": "x"})
    assert set(errors) == {"noise", "steps"}


def test_defaults_follow_the_mode():
    assert settings.defaults(rossler.Config, {})["window"] == 50
    assert settings.defaults(rossler.Config, {"mode": "slow"})["window"] == 20
    assert settings.defaults(rossler.Config, {"mode": "nonsense"})["window"] == 50


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__module__)
def test_a_configuration_survives_the_url(config):
    made = config(seed=7)
    search = settings.query(made, {"experiment": "some"}, {"run": "run-1"})
    pairs, doubled = settings.parse_query(search)
    assert doubled == []
    assert (pairs.pop("experiment"), pairs.pop("run")) == ("some", "run-1")
    again, errors = settings.check(config, pairs)
    assert errors == {}
    assert again == made


def test_a_key_that_stands_twice_is_told():
    pairs, doubled = settings.parse_query("?noise=1&noise=2&step=3")
    assert pairs == {"noise": "2", "step": "3"}
    assert doubled == ["noise"]
