"""Search with Optuna: improvement, resumption, failures, cached cells."""

from pathlib import Path

import optuna
import pytest

from workbench.studies import Choice, Search, Span, search

SPACE = {"drift": Span(0.0, 4.0), "length": Span(1, 3)}


def make(folder: Path, **arguments) -> Search:
    return Search(folder, "walk", **{"space": SPACE, "metric": "distance", **arguments})


def test_search_resumes_and_minimises_the_metric(client, tmp_path):
    diary = tmp_path / "diary"
    definition = make(tmp_path / "s", seeds=(0, 1), settings={"diary": str(diary)})
    first = list(search(definition, client, 3))
    assert [trial.message for trial in first] == [""] * 3
    both = first + list(search(definition, client, 12))
    assert sorted(trial.number for trial in both) == list(range(12))
    stored = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 's' / 'search.db'}")
    assert stored.best_value == min(trial.value for trial in both)
    assert {frozenset(trial.params) for trial in stored.trials} == {frozenset(SPACE)}
    assert stored.best_params["drift"] < 2
    steps = [line.split()[1:3] for line in diary.read_text().splitlines()]
    assert len(steps) == sum(2 * trial.values["length"] for trial in both)
    assert list(search(definition, client, 12)) == []


def test_failures_are_recorded_and_cells_are_computed_once(client, tmp_path):
    diary = tmp_path / "diary"
    space = {"drift": Choice((-10.0, 0.5)), "length": Choice((2, 3, -1))}
    definition = make(tmp_path / "s", space=space, settings={"diary": str(diary)}, maximise=True)
    ended = list(search(definition, client, 14))
    assert len(ended) == 14
    for trial in ended:
        refused, failed = trial.values["length"] == -1, trial.values["drift"] == -10
        assert (trial.value is None) == (refused or failed)
        assert ("greater than or equal to 1" in trial.message) == refused
        assert ("no data so far out" in trial.message) == (failed and not refused)
    lengths = {trial.values["length"] for trial in ended if trial.value is not None}
    assert len(diary.read_text().splitlines()) == sum(lengths)


def test_trial_of_a_killed_search_is_queued_again(client, tmp_path):
    definition = make(tmp_path / "s")
    trial = definition.optuna_study().ask()
    values = {name: kind.suggest(trial, name) for name, kind in SPACE.items()}
    (repeated,) = search(definition, client, 1)
    assert repeated.values == values


def test_unknown_metric_is_named(client, tmp_path):
    (trial,) = search(make(tmp_path / "s", metric="beauty"), client, 1)
    assert trial.message == "a run reports no 'beauty'; it reports distance, loss"


@pytest.mark.parametrize(
    "arguments", [{"space": {}}, {"space": {"colour": Choice(("red",))}}, {"space": SPACE, "settings": {"drift": 1}}]
)
def test_invalid_space_is_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="not among the free settings of walk: seed, length"):
        make(tmp_path, **arguments)


def test_invalid_span_is_refused():
    for low, high, log in ((1, 1, False), (2, 1, False), (0, 1, True)):
        with pytest.raises(ValueError, match="expected low < high"):
            Span(low, high, log)
