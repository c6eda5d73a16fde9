"""The records of a run: what goes in comes out, step by step, sliced, and by way of a dataset."""

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


GIVEN = [record(1), record(2, rmse=0.5), record(3), record(4, rmse=0.25, horizon=3.0)]
BARE = [Record(step, 9, {"loss": 2.0}, None, 1.0, 2.0) for step in (1, 2, 3)]


@pytest.mark.parametrize("given", [GIVEN, BARE, []], ids=["whole", "bare", "none"])
def test_what_goes_in_comes_out(given):
    kept = Records(given)
    ways = [kept, Records.of(kept.to_dataset()), copy.deepcopy(kept), kept[:]]
    for way in ways:
        assert len(way) == len(given)
        assert all(same(one, other) for one, other in zip(way, given, strict=True))


def test_places_and_slices_are_those_of_a_list():
    kept = Records(GIVEN)
    assert same(kept[-1], GIVEN[-1])
    assert [r.step for r in kept[:2]] == [1, 2]
    with pytest.raises(IndexError):
        kept[4]
    kept = kept[:3]
    kept.append(record(4))
    assert [r.step for r in kept] == [1, 2, 3, 4]


def test_a_record_that_was_read_does_not_change_with_those_that_follow():
    kept = Records(GIVEN)
    before, dataset = kept[0], kept.to_dataset()
    kept.append(record(5))
    before.coefficients[:] = 0
    assert same(kept[0], GIVEN[0])
    assert dataset.sizes["step"] == 4
    assert dataset.rmse.values[1] == 0.5
    assert np.isnan(dataset.rmse.values[0])
    assert dataset.seconds.attrs["units"] == "s"


def test_a_step_takes_little_more_than_its_numbers():
    tracemalloc.start()
    kept = Records()
    for step in range(1, 20_001):
        kept.append(record(step))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    numbers = 3 + 1 + 6
    assert taken < 20_000 * 8 * numbers * 1.3
