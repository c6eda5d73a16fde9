"""Files of PDE trajectories: published layout, failed rows, resuming."""

import logging
from dataclasses import replace

import h5py
import numpy as np
import pytest

from workbench.datasets import schema
from workbench.datasets.pde import equations, hdf5


@pytest.fixture
def quick(monkeypatch):
    """A set of short trajectories named quick, in blocks of two."""
    setup = replace(equations.SETUPS["kdv-easy"], end=2.0, substeps=2, frames=12, kept=8, points=32)
    monkeypatch.setitem(equations.SETUPS, "quick", setup)
    monkeypatch.setattr(hdf5, "BLOCK", 2)
    return setup


def test_a_file_has_the_published_layout(quick, tmp_path):
    path = hdf5.generate("quick", "train", 5, folder=tmp_path)
    assert path.name == "KdV_train_5_easy.h5"
    with h5py.File(path) as file:
        shapes = {name: values.shape for name, values in file["train"].items()}
        assert shapes == {"pde_8-32": (5, 8, 32), "t": (5, 8), "x": (5, 32), "dx": (5,), "dt": (5,)}
        assert {values.dtype for values in file["train"].values()} == {np.dtype(np.float64)}
        dx, dt = file["train/dx"][:], file["train/dt"][:]
        np.testing.assert_allclose(file["train/x"][:, 1], dx)
        np.testing.assert_allclose(np.diff(file["train/t"][:], axis=1), np.tile(dt[:, None], 7))
    assert hdf5.generate("quick", "valid", 2, folder=tmp_path).name == "KdV_valid_easy.h5"


def test_a_file_is_read_as_a_record_of_trajectories(quick, tmp_path):
    training = equations.simulate(quick, range(3), seed=4)
    record = hdf5.read(hdf5.generate("quick", "test", 3, seed=4, folder=tmp_path))
    assert schema.check(record) is record
    expected = equations.simulate(quick, range(3), seed=4, split=2)
    np.testing.assert_allclose(record.data.values, expected.u, atol=1e-12)
    np.testing.assert_allclose(record.length.values, expected.lengths)
    assert np.abs(record.data.values - training.u).max() > 0.1
    one = schema.one(record, 1)
    assert one.data.dims == ("time", "x")
    assert float(one.x[-1] + one.x[1]) == pytest.approx(float(record.length[1]))


def test_a_published_file_loads_without_its_failed_rows(tmp_path, caplog):
    path = tmp_path / "KdV_valid.h5"
    u = np.random.default_rng(0).standard_normal((4, 6, 16))
    u[2] = 0.0
    with h5py.File(path, "w") as file:
        group = file.create_group("valid")
        columns = {"pde_6-16": u, "t": np.tile(np.arange(6.0), (4, 1)), "x": np.zeros((4, 16)), "dt": np.ones(4)}
        for name, values in {**columns, "dx": np.full(4, 0.5)}.items():
            group.create_dataset(name, data=values)
    with caplog.at_level(logging.WARNING):
        record = hdf5.read(path)
    np.testing.assert_array_equal(record.data.values, u[[0, 1, 3]])
    assert record.length.values.tolist() == [8.0] * 3
    assert "1 failed trajectories are skipped: [2]" in caplog.text
    assert list(record.attrs["skipped"]) == [2]
    with h5py.File(path, "a") as file:
        file["valid/pde_6-16"][...] = 0.0
    with pytest.raises(ValueError, match="all trajectories have failed"):
        hdf5.read(path)


def test_generation_resumes_after_an_interruption(quick, tmp_path, monkeypatch):
    blocks = []
    simulate = equations.simulate
    monkeypatch.setattr(hdf5, "simulate", lambda *a, **k: blocks.append(a[1]) or simulate(*a, **k))

    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hdf5.generate("quick", "train", 7, folder=tmp_path, progress=interrupt)
    assert blocks == [range(0, 2), range(2, 4)]
    reports = []
    path = hdf5.generate("quick", "train", 7, folder=tmp_path, progress=lambda *two: reports.append(two))
    assert blocks[2:] == [range(4, 6), range(6, 7)]
    assert reports == [(2, 7), (4, 7), (6, 7), (7, 7)]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    np.testing.assert_allclose(hdf5.read(path).data.values, simulate(quick, range(7), seed=0).u, atol=1e-12)
    hdf5.generate("quick", "train", 7, folder=tmp_path)
    assert len(blocks) == 4


def test_blocks_of_other_settings_are_not_used(quick, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hdf5.generate("quick", "train", 4, seed=1, folder=tmp_path, progress=interrupt)
    path = hdf5.generate("quick", "train", 4, seed=2, folder=tmp_path)
    np.testing.assert_allclose(hdf5.read(path).data.values, equations.simulate(quick, range(4), seed=2).u, atol=1e-12)
    with pytest.raises(ValueError, match="found seed 2"):
        hdf5.generate("quick", "train", 4, seed=1, folder=tmp_path)


def test_invalid_arguments_and_files_raise_errors(tmp_path):
    with pytest.raises(ValueError, match="no set 'kvd'; there are: kdv-easy, kdv, ks, burgers"):
        hdf5.generate("kvd", "train", 1, folder=tmp_path)
    with pytest.raises(ValueError, match="no split 'dev'; there are: train, valid, test"):
        hdf5.generate("kdv", "dev", 1, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="no file"):
        hdf5.read(tmp_path / "none.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_group("train").create_dataset("u", data=[1.0])
    with pytest.raises(ValueError, match=r"expected a group train.*found \{'train': \['u'\]\}"):
        hdf5.read(tmp_path / "other.h5")


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda r: r.drop_vars("length"), "needs 'length'"),
        (
            lambda r: r.transpose("frame", "trajectory", "point"),
            r"data must be over \('trajectory', 'frame', 'point'\)",
        ),
        (lambda r: r.isel(frame=slice(1)), "at least 2 frames, found 1"),
        (lambda r: r.assign(data=r.data.where(r.data < 0)), "data"),
        (
            lambda r: r.assign_coords(t=-r.t.assign_attrs(units="1", long_name="t")),
            "t has no attribute|times must increase",
        ),
    ],
)
def test_an_invalid_record_of_fields_raises(quick, change, message):
    fields = equations.simulate(quick, range(2), seed=0)
    record = hdf5.as_dataset(fields.u, fields.t, fields.lengths, title="quick")
    with pytest.raises(ValueError, match=message):
        schema.check(change(record))
