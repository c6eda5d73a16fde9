"""The mechanistic identifier of the SST experiment."""

import numpy as np
import pytest
import torch
import xarray as xr

from workbench.datasets.sst import dataset, synthetic
from workbench.experiments import sst
from workbench.models.sst.identifier import Identifier, dct_matrix, neighbors


def fine_record() -> xr.Dataset:
    field = synthetic.field(years=8, degrees=5.0).sel(lat=slice(20, -20))
    record = dataset.from_field(field, dataset.REGIONS["world"], training=66)
    return record.assign_attrs(training=66)


def test_identifier_ignores_the_test_period():
    record = fine_record()
    changed = record.copy(deep=True)
    changed["data"][record.attrs["training"] :] -= 9.0
    results = []
    for data in (record, changed):
        network = sst.model(sst.Config(mode="identifier", hidden=16, batch=32), data)
        losses = [network.step()["loss"] for _ in range(3)]
        results.append((losses, network.path()))
    assert results[0][0] == results[1][0]
    torch.testing.assert_close(results[0][1], results[1][1], rtol=0, atol=0, equal_nan=True)


def test_dct_matrix_is_orthonormal():
    rows = dct_matrix(208)
    assert rows.shape == (52, 208)
    torch.testing.assert_close(rows @ rows.T, torch.eye(52), atol=1e-5, rtol=0)


def test_neighbors_are_close_and_at_the_same_latitude():
    lat, lon = torch.tensor([0.0, 0.0, 0.0, 2.0]), torch.tensor([358.0, 2.0, 10.0, 0.0])
    assert [some.tolist() for some in neighbors(lat, lon)] == [[1], [0], [2], [3]]
    with pytest.raises(ValueError, match="no places at the same latitude within 5 degrees"):
        neighbors(torch.tensor([0.0, 10.0]), torch.tensor([0.0, 0.0]))


@pytest.mark.parametrize("mode,rows", [("identifier", 30), ("invariant", 1)])
def test_identifier_training_and_restore(mode, rows):
    record = fine_record()
    config = sst.Config(mode=mode, chunk=30, hidden=32, batch=64, epochs=60)
    network = sst.model(config, record)
    assert isinstance(network, Identifier)
    assert network.networks.rows == rows
    losses = [network.step()["loss"] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:5])
    report = sst.report(network, record)
    assert {"mse_given", "mse_after", "mse_honest", "separation"} <= set(report.metrics)
    other = sst.model(config.model_copy(update={"seed": 5}), record)
    other.restore(network.state())
    assert other.step() == network.step()
