"""Buffer of records: thinning, and reading with a cursor."""

import numpy as np

from workbench.jobs.buffer import Cursor, History
from workbench.training import Record


def record(step: int, total: int = 10_000) -> Record:
    return Record(step, total, {"loss": 1.0 / step}, None, 0.01 * step, 100.0)


def test_history_is_bounded_and_keeps_first_and_last():
    history = History(limit=100)
    for step in range(1, 5001):
        history.append(record(step))
    history.keep_last()
    steps = [r.step for r in history.read(Cursor())[0]]
    assert len(steps) <= 101
    assert steps[0] == 1
    assert steps[-1] == 5000
    assert np.ptp(np.diff(steps[1:-1])) == 0, "thinned evenly"


def test_reader_gets_each_record_once():
    history = History(limit=1000)
    cursor, seen = Cursor(), []
    for step in range(1, 501):
        history.append(record(step))
        if step % 7 == 0:
            new, cursor, restart = history.read(cursor)
            seen = [r.step for r in new] if restart else seen + [r.step for r in new]
    new, cursor, _ = history.read(cursor)
    assert seen + [r.step for r in new] == list(range(1, 501))
    assert history.read(cursor)[0] == []


def test_reader_starts_over_after_thinning():
    history = History(limit=10)
    history.append(record(1))
    _, cursor, _ = history.read(Cursor())
    for step in range(2, 30):
        history.append(record(step))
    new, cursor, restart = history.read(cursor)
    assert restart
    assert new[0].step == 1
    assert history.read(cursor)[2] is False
