"""Training: records, best state, failures, saving, and exact resumption."""

import math
import time
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.training import fake
from workbench.experiments import lorenz
from workbench.training import Training, run_file, train, training


def plain(records: list[training.Record]) -> list[tuple]:
    """Reproducible part of the records of a run."""
    return [(r.step, r.total, dict(r.metrics), r.coefficients.tolist()) for r in records]


def test_every_step_gives_a_record():
    records = list(train(fake, fake.Config(length=4)))
    assert [r.step for r in records] == [1, 2, 3, 4]
    assert {r.total for r in records} == {4}
    assert records[1].metrics == {"loss": 0.5}
    assert records[0].coefficients.shape == (3, 1)
    assert all(1 < r.memory_mb < 1e6 for r in records)
    assert np.all(np.diff([r.seconds for r in records]) > 0)


def test_time_between_steps_is_not_training_time():
    run = Training(fake, fake.Config())
    for _ in islice(run, 3):
        time.sleep(0.05)
    assert run.records[-1].seconds < 0.05


def test_iteration_can_be_interrupted_and_continued():
    run = Training(fake, fake.Config(length=6))
    assert [r.step for r in islice(run, 2)] == [1, 2]
    assert [r.step for r in run] == [3, 4, 5, 6]
    assert plain(run.records) == plain(train(fake, fake.Config(length=6)))


def test_best_state_has_the_smallest_monitored_metric():
    run = Training(fake, fake.Config(length=40))
    states = {record.step: run.model.state() for record in run}
    distances = {r.step: r.metrics["distance"] for r in run.records if "distance" in r.metrics}
    best = min(distances, key=distances.get)
    assert run.best.step == best != 40
    np.testing.assert_array_equal(run.best.state["numbers"], states[best]["numbers"])
    report = run.best_report()
    assert report.metrics["rmse"] == np.abs(states[best]["numbers"]).max()
    assert run.best_report() is report
    np.testing.assert_array_equal(run.model.numbers, states[40]["numbers"])
    assert run.report().metrics["rmse"] == np.abs(states[40]["numbers"]).max()


def test_new_stage_discards_the_best_state_of_earlier_ones():
    config = fake.Config(length=40, give_up_at=30)
    run = Training(fake, config)
    list(run)
    later = {r.step: r.metrics["distance"] for r in run.records if "distance" in r.metrics and r.step >= 30}
    assert run.best.step == min(later, key=later.get)
    assert run.best.value > min(r.metrics.get("distance", math.inf) for r in run.records)


@pytest.mark.parametrize("stop", [1, 2, 5, 7])
def test_resumed_run_equals_uninterrupted_run(stop, tmp_path):
    config, path = fake.Config(length=9, give_up_at=4), tmp_path / "run.nc"
    whole = Training(fake, config)
    list(whole)
    first = Training(fake, config, path=path)
    list(islice(first, stop))
    first.save("stopped")
    second = Training(fake, config, path=path, resume_from=run_file.read_run(path))
    list(second)
    assert plain(second.records) == plain(whole.records)
    assert (second.best.step, second.best.stage, second.best.value) == (
        whole.best.step,
        whole.best.stage,
        whole.best.value,
    )
    assert second.seconds > first.seconds
    read = run_file.read_run(path)
    assert (read.status, read.steps, read.created) == ("finished", 9, first._created)


LORENZ = {
    "auto": {"points": 1000, "noise": 0.5},
    "projection": {"points": 600, "noise": 0.1},
    "adam": {
        "coefficients": "learned",
        "points": 60,
        "window": 8,
        "batch": 8,
        "epochs": 3,
        "cycles": 2,
        "hidden": 16,
        "threshold": 0.12,
    },
}


def test_resumed_adam_with_solved_coefficients_equals_uninterrupted_run():
    config = lorenz.Config(mode="adam", points=200, window=20, batch=16, epochs=1, cycles=2, hidden=16)
    whole, first = lorenz.model(config, lorenz.data(config)), lorenz.model(config, lorenz.data(config))
    expected = [whole.step() for _ in range(16)]
    for _ in range(5):
        first.step()
    second = lorenz.model(config, lorenz.data(config))
    second.restore(first.state())
    np.testing.assert_array_equal(second.coefficients(), first.coefficients())
    assert [second.step() for _ in range(11)] == expected[5:]


@cache
def uninterrupted(config: lorenz.Config) -> list[training.Record]:
    return list(train(lorenz, config))


@pytest.mark.parametrize(
    "mode,stop",
    [
        ("auto", 2),
        ("auto", 10),
        ("auto", 13),
        ("projection", 1),
        ("projection", 4),
        ("adam", 1),
        ("adam", 6),
        ("adam", 17),
        ("adam", 18),
        ("adam", 25),
    ],
)
def test_resumed_lorenz_run_equals_uninterrupted_run(mode, stop, tmp_path):
    config, path = lorenz.Config(mode=mode, **LORENZ[mode]), tmp_path / "run.nc"
    whole = uninterrupted(config)
    first = Training(lorenz, config, path=path)
    list(islice(first, stop))
    first.save("running")
    second = Training(lorenz, config, resume_from=run_file.read_run(path))
    list(second)
    assert len(whole) > stop
    assert plain(second.records) == plain(whole)


def test_failure_is_saved_and_raised(tmp_path):
    path = tmp_path / "run.nc"
    run = Training(fake, fake.Config(fail_at=6, seed=1), path=path)
    with pytest.raises(MemoryError):
        list(run)
    assert 0 < run.best.step < 5
    read = run_file.read_run(path)
    assert (read.status, read.message, read.steps) == ("failed", "no memory for a matrix of 8 GB", 5)
    assert np.isfinite(read.state["numbers"]).all()
    assert read.state_step == read.best_step == run.best.step
    again = Training(fake, fake.Config(seed=1), resume_from=read)
    assert [r.step for r in again.records] == list(range(1, run.best.step + 1))
    assert next(iter(again)).step == run.best.step + 1


def test_nonfinite_metric_raises_with_step_and_name(tmp_path):
    path = tmp_path / "run.nc"
    with pytest.raises(FloatingPointError, match="step 5: distance is nan"):
        list(train(fake, fake.Config(nan_at=5), path=path))
    read = run_file.read_run(path)
    assert "step 5" in read.message
    assert np.isfinite(read.best_state["numbers"]).all()


def test_run_that_failed_in_its_first_step_can_be_resumed(tmp_path):
    path = tmp_path / "run.nc"
    with pytest.raises(MemoryError):
        list(train(fake, fake.Config(fail_at=1), path=path))
    again = Training(fake, fake.Config(length=2), resume_from=run_file.read_run(path))
    assert [r.step for r in again] == [1, 2]


def test_error_is_raised_if_the_failed_run_cannot_be_saved(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with pytest.raises(MemoryError):
        list(train(fake, fake.Config(fail_at=1), path=tmp_path / "file" / "run.nc"))
    assert "could not be saved" in caplog.text


def test_saving_takes_a_bounded_fraction_of_the_training_time(monkeypatch, tmp_path):
    clock, cost, saves = [0.0], 3.0, []

    def counted() -> float:
        clock[0] += 0.5  # read before and after each step, which thus takes at least a second
        return clock[0]

    def write(run):
        saves.append(clock[0])
        clock[0] += cost

    monkeypatch.setattr(training.time, "perf_counter", counted)
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(run_file, "write_run", write)
    waited = 0.0
    for _ in train(fake, fake.Config(length=1200), path=tmp_path / "run.nc"):
        clock[0] += 9.0  # time between steps is no training time, and does not count for saving
        waited += 9.0
    assert saves[0] <= 10.0, "the first step is saved immediately"
    assert 5 < len(saves) < 20
    assert cost * len(saves) < 1.6 * training.SAVING_SHARE * (clock[0] - waited)


def test_finished_run_is_saved_once(monkeypatch, tmp_path):
    statuses = []
    monkeypatch.setattr(run_file, "write_run", lambda run: statuses.append(run.status))
    run = Training(fake, fake.Config(length=3), path=tmp_path / "run.nc")
    list(run)
    run.save("finished")
    assert statuses[-1] == "finished"
    assert statuses.count("finished") == 1


def test_reserved_metric_name_raises(monkeypatch):
    monkeypatch.setattr(fake.Walk, "step", lambda self: {"loss": 1.0, "seconds": 2.0})
    with pytest.raises(ValueError, match="invalid metric name 'seconds'"):
        next(train(fake, fake.Config()))


def test_run_file_of_the_first_version_resumes_identically():
    """A file of the first version with run files, which had fewer settings; it continued with these losses."""
    run = run_file.read_run(Path(__file__).parent / "older" / "lorenz_first_format.nc")
    assert run.steps == 3
    again = Training(lorenz, lorenz.Config(**run.config), resume_from=run)
    losses = [record.metrics["loss"] for record in islice(again, 2)]
    np.testing.assert_allclose(losses, [2.7151536941528320, 2.8812949657440186], rtol=1e-5)
