"""A search with Optuna over the cells of a study: better than at first, resumed, failures noted, nothing repeated."""

from pathlib import Path

import optuna
import pytest

from workbench.studies import Choice, Search, Span, search

SPACE = {"drift": Span(0.0, 4.0), "length": Span(1, 3)}


def make(folder: Path, **given) -> Search:
    return Search(folder, "walk", **{"space": SPACE, "metric": "distance", **given})


def test_a_search_goes_on_where_it_stopped_and_finds_what_is_small(client, tmp_path):
    note = tmp_path / "diary"
    given = make(tmp_path / "s", seeds=(0, 1), settings={"diary": str(note)})
    first = list(search(given, client, 3))
    assert [trial.message for trial in first] == [""] * 3
    both = first + list(search(given, client, 12))
    assert sorted(trial.number for trial in both) == list(range(12))
    kept = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 's' / 'search.db'}")
    assert kept.best_value == min(trial.value for trial in both)
    assert {frozenset(trial.params) for trial in kept.trials} == {frozenset(SPACE)}
    assert kept.best_params["drift"] < 2
    steps = [line.split()[1:3] for line in note.read_text().splitlines()]
    assert len(steps) == sum(2 * trial.values["length"] for trial in both)
    assert list(search(given, client, 12)) == []


def test_failures_are_noted_and_a_cell_is_computed_once(client, tmp_path):
    note = tmp_path / "diary"
    space = {"drift": Choice((-10.0, 0.5)), "length": Choice((2, 3, -1))}
    given = make(tmp_path / "s", space=space, settings={"diary": str(note)}, maximise=True)
    ended = list(search(given, client, 14))
    assert len(ended) == 14
    for trial in ended:
        refused, failed = trial.values["length"] == -1, trial.values["drift"] == -10
        assert (trial.value is None) == (refused or failed)
        assert ("greater than or equal to 1" in trial.message) == refused
        assert ("no data so far out" in trial.message) == (failed and not refused)
    found = {trial.values["length"] for trial in ended if trial.value is not None}
    assert len(note.read_text().splitlines()) == sum(found)


def test_a_trial_that_a_kill_cut_short_is_queued_again(client, tmp_path):
    given = make(tmp_path / "s")
    cut = given.opened().ask()
    values = {name: kind.suggest(cut, name) for name, kind in SPACE.items()}
    (trial,) = search(given, client, 1)
    assert trial.values == values


def test_an_unknown_metric_is_named(client, tmp_path):
    (trial,) = search(make(tmp_path / "s", metric="beauty"), client, 1)
    assert trial.message == "a run reports no 'beauty'; it reports distance, loss"


@pytest.mark.parametrize(
    "given", [{"space": {}}, {"space": {"colour": Choice(("red",))}}, {"space": SPACE, "settings": {"drift": 1}}]
)
def test_what_cannot_be_searched_is_refused(tmp_path, given):
    with pytest.raises(ValueError, match="not among the free settings of walk: seed, length"):
        make(tmp_path, **given)


def test_a_span_has_two_ends():
    for low, high, log in ((1, 1, False), (2, 1, False), (0, 1, True)):
        with pytest.raises(ValueError, match="expected low < high"):
            Span(low, high, log)
