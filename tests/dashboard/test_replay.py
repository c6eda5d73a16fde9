"""Replay of the stored run on the Train page."""

from types import SimpleNamespace

import pytest

from workbench.dashboard.train import replay
from workbench.jobs.buffer import Cursor


@pytest.fixture
def replay_and_clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(replay.time, "monotonic", lambda: clock.now)
    return replay.Replay(replay.load_stored_run()), clock


def test_the_stored_run_plays_its_frames_and_restarts(replay_and_clock):
    run, clock = replay_and_clock
    n_frames = len(run._records)
    records, cursor, restart = run.read(Cursor())
    assert (len(records), restart) == (1, True)
    clock.now += 3 / replay.RATE
    records, cursor, restart = run.read(cursor)
    assert ([r.step for r in records], restart) == ([2, 3, 4], False)
    assert run.report.metrics == {}
    clock.now += n_frames / replay.RATE
    assert run.report.metrics["rmse"] < 0.05
    assert [len(equation.terms) for equation in run.report.true_equations] == [2, 3, 2]
    clock.now += replay.PAUSE
    records, _, restart = run.read(cursor)
    assert (records[0].step, restart) == (1, True)


def test_the_replay_ends_after_its_loops(replay_and_clock):
    run, clock = replay_and_clock
    clock.now += 1e4
    version = run.version
    clock.now += 1e4
    assert run.version == version
    assert run.frame == len(run._records) - 1
