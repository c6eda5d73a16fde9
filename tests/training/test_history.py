"""Records of a run: round trips by index, slice and dataset."""

import copy
import tracemalloc

import numpy as np
import pytest

from workbench.training.history import Record, Records


def record(step: int, **more: float) -> Record:
    coefficients = np.arange(6.0).reshape(3, 2) + step
    return Record(step, 100, {"loss": 1.0 / step, **more}, coefficients, 0.1 * step, 50.0 + step)


def same(one: Record, other: Record) -> bool:
    if (one.coefficients is None) != (other.coefficients is None):
        return False
    equal = one.coefficients is None or np.array_equal(one.coefficients, other.coefficients)
    rest = [(r.step, r.total, dict(r.metrics), r.seconds, r.memory_mb) for r in (one, other)]
    return equal and rest[0] == rest[1]


RECORDS = [record(1), record(2, rmse=0.5), record(3), record(4, rmse=0.25, horizon=3.0)]
BARE = [Record(step, 9, {"loss": 2.0}, None, 1.0, 2.0) for step in (1, 2, 3)]


@pytest.mark.parametrize("records", [RECORDS, BARE, []], ids=["full", "bare", "empty"])
def test_round_trips(records):
    history = Records(records)
    for copied in [history, Records.of(history.to_dataset()), copy.deepcopy(history), history[:]]:
        assert len(copied) == len(records)
        assert all(same(one, other) for one, other in zip(copied, records, strict=True))


def test_indices_and_slices_are_those_of_a_list():
    history = Records(RECORDS)
    assert same(history[-1], RECORDS[-1])
    assert [r.step for r in history[:2]] == [1, 2]
    with pytest.raises(IndexError):
        history[4]
    history = history[:3]
    history.append(record(4))
    assert [r.step for r in history] == [1, 2, 3, 4]


def test_returned_records_are_copies():
    history = Records(RECORDS)
    first, dataset = history[0], history.to_dataset()
    history.append(record(5))
    first.coefficients[:] = 0
    assert same(history[0], RECORDS[0])
    assert dataset.sizes["step"] == 4
    assert dataset.rmse.values[1] == 0.5
    assert np.isnan(dataset.rmse.values[0])
    assert dataset.seconds.attrs["units"] == "s"


def test_memory_per_step_is_that_of_its_numbers():
    tracemalloc.start()
    history = Records()
    for step in range(1, 20_001):
        history.append(record(step))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    numbers = 3 + 1 + 6
    assert used < 20_000 * 8 * numbers * 1.3
