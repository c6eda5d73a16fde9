"""Values, units and trajectories of valid files of every format."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.datasets.files import COSINE, DAYS, SINE, TIMES, csv, hdf5, netcdf, parquet, plain, table
from workbench.datasets import schema, tabular
from workbench.datasets.ode import lorenz
from workbench.datasets.tabular import Source, example, read


def with_units(file):
    for name, values, unit in (("time", TIMES, "s"), ("x", SINE, "m"), ("y", COSINE, "1")):
        file.create_dataset(name, data=values).attrs["units"] = unit


OVER_TIME = xr.Dataset(
    {"x": ("time", SINE, {"units": "m"}), "y": ("time", COSINE)}, coords={"time": ("time", TIMES, {"units": "s"})}
)
FRAME = pd.DataFrame({"time [s]": TIMES, "x [m]": SINE, "y": COSINE})
SAME = {
    "plain.csv": csv(),
    "tabs.tsv": csv().replace(b",", b"\t"),
    "semicolons.csv": csv().replace(b",", b";"),
    "bars.txt": csv().replace(b",", b" | "),
    "spaces.dat": b"# made by hand\n# t_s x y\n"
    + table("# t_s x y", lambda i: f"{TIMES[i]:8.2f}  {SINE[i]: .4f}\t{COSINE[i]: .4f}"),
    "windows.csv": b"\xef\xbb\xbf" + csv().replace(b"\n", b"\r\n") + b"\r\n\r\n",
    "utf16.csv": csv().decode().encode("utf-16"),
    "quoted.csv": csv(header='"time [s]","x [m]","y"'),
    "index.csv": table(",time [s],x [m],y", lambda i: f"{i},{TIMES[i]:.2f},{SINE[i]:.4f},{COSINE[i]:.4f}"),
    "trailing.csv": table("time [s],x [m],y", lambda i: f"{TIMES[i]:.2f},{SINE[i]:.4f},{COSINE[i]:.4f},"),
    "plain.h5": hdf5(with_units),
    "group.h5": hdf5(lambda f: with_units(f.create_group("deep/down"))),
    "compound.h5": hdf5(lambda f: f.create_dataset("table", data=FRAME.to_records(index=False))),
    "plain.nc": netcdf(OVER_TIME),
    "third.nc": netcdf(OVER_TIME, "scipy"),
    "plain.parquet": parquet(FRAME),
}


@pytest.mark.parametrize("name", SAME)
def test_every_format_gives_the_same_record(name):
    record = schema.check(read([Source(name, SAME[name])]))
    assert record["variable"].values.tolist() == ["x", "y"]
    np.testing.assert_allclose(record["data"].values, np.stack([SINE, COSINE], axis=1), atol=6e-5)
    np.testing.assert_allclose(record["time"].values, TIMES, atol=1e-9)
    assert record["time"].attrs["units"] == "s"
    assert record["unit"].values.tolist()[0] == ("1" if name == "spaces.dat" else "m")
    assert "60 grid points, one every 0.1 s" in record.attrs["sampling"]


def test_rows_of_equal_times_are_averaged_per_variable():
    """Three rows at t = 0.4, one of them without a value of y."""
    lines = [f"{i / 10:.1f},{i},{-i}" for i in range(40)]
    lines[5:5] = ["0.4,7,", "0.4,16,8"]
    record = read([Source("again.csv", "\n".join(["time,x,y", *lines]).encode())])
    assert record["data"].values[:6].tolist() == [[0, 0], [1, -1], [2, -2], [3, -3], [9, 2], [5, -5]]


def trajectories(file):
    for place in range(3):
        plain(file.create_group(f"run{place}"), t=TIMES, x=np.sin(TIMES + place))


TOGETHER = np.stack([np.sin(TIMES + place) for place in range(3)])
SEVERAL = {
    "column.csv": table("t,run,x", lambda i: f"{TIMES[i % 60]:.2f},{i // 60},{np.sin(TIMES[i % 60] + i // 60)}", 180),
    "words.csv": table("t,who,x", lambda i: f"{TIMES[i % 60]:.2f},no {i // 60},{np.sin(TIMES[i % 60] + i // 60)}", 180),
    "mingled.csv": table("t,run,x", lambda i: f"{TIMES[i // 3]:.2f},{i % 3},{np.sin(TIMES[i // 3] + i % 3)}", 180),
    "restarts.csv": table("t,x", lambda i: f"{TIMES[i % 60]:.2f},{np.sin(TIMES[i % 60] + i // 60)}", 180),
    "groups.h5": hdf5(trajectories),
    "shared.h5": hdf5(
        lambda f: (plain(f, t=TIMES), *(plain(f.create_group(f"g{i}"), x=TOGETHER[i]) for i in range(3)))
    ),
    "dimension.nc": netcdf(xr.Dataset({"x": (("trajectory", "time"), TOGETHER)}, coords={"time": TIMES})),
    "own times.nc": netcdf(
        xr.Dataset({"x": (("run", "obs"), TOGETHER), "time": (("run", "obs"), np.tile(TIMES, (3, 1)))})
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_trajectories_are_separated(name):
    record = schema.check(read([Source(name, SEVERAL[name])]))
    parts = schema.trajectories(record)
    assert len(parts) == 3
    for part, values in zip(parts, TOGETHER, strict=True):
        np.testing.assert_allclose(part["data"].values[:, 0], values, atol=1e-9)
        np.testing.assert_allclose(part["time"].values, TIMES, atol=1e-9)
    assert record.attrs["sampling"].startswith("3 trajectories of 180 grid points in all")


def test_each_file_is_a_trajectory():
    one, other = csv(), table("time,x,y", lambda i: f"{i},{i % 7},{i % 5}", 40)
    parts = schema.trajectories(read([Source("a.csv", one), Source("b.csv", other)]))
    assert [part.sizes["time"] for part in parts] == [60, 40]
    assert len(schema.trajectories(read([Source("a.csv", one)]))) == 1


def dates(form):
    return table("when,x", lambda i: f"{form(pd.Timestamp(DAYS[i]))},{SINE[i]}")


DATES = {
    "iso.csv": dates(lambda d: d.isoformat()),
    "zone.csv": dates(lambda d: f"{d.date()}T02:00:00+02:00"),
    "zulu.csv": dates(lambda d: f"{d.date()} 00:00:00.000Z"),
    "german.csv": dates(lambda d: d.strftime("%d.%m.%Y %H:%M")),
    "american.csv": dates(lambda d: d.strftime("%m/%d/%Y")),
    "british.csv": dates(lambda d: d.strftime("%d/%m/%Y")),
    "slashes.csv": dates(lambda d: d.strftime("%Y/%m/%d")),
    "days.nc": netcdf(xr.Dataset({"x": ("day", SINE)}, coords={"day": DAYS})),
    "days.parquet": parquet(pd.DataFrame({"when": DAYS.astype("datetime64[ns]"), "x": SINE})),
    "texts.h5": hdf5(lambda f: plain(f, when=np.array([str(day) for day in DAYS], dtype="S"), x=SINE)),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_of_every_format_become_days(name):
    record = read([Source(name, DATES[name])])
    np.testing.assert_allclose(record["time"].values, np.arange(60), atol=1e-9)
    assert record["time"].attrs["units"] == "day"
    assert record["time"].attrs["long_name"] == "time since 2020-01-01T00:00:00"
    assert record.attrs["repairs"] == ""


@pytest.mark.parametrize(
    "step,unit,number",
    [(np.timedelta64(20, "ms"), "s", 0.02), (np.timedelta64(5, "m"), "min", 5), (np.timedelta64(7, "D"), "day", 7)],
)
def test_the_time_unit_of_dates_follows_their_span(step, unit, number):
    moments = np.datetime64("2024-02-28T23:00:00", "ms") + step * np.arange(600 if unit == "s" else 60)
    record = read([Source("a.csv", table("time,x", lambda i: f"{moments[i]},{i % 7}", len(moments)))])
    assert record["time"].attrs["units"] == unit
    np.testing.assert_allclose(np.diff(record["time"].values), number)


def test_nonuniform_times_are_unchanged():
    times = np.linspace(0, 1, 60) ** 2 * 10
    record = read([Source("a.csv", table("t,x", lambda i: f"{times[i]:.8f},{SINE[i]}"))])
    np.testing.assert_allclose(record["time"].values, times, atol=1e-8)
    assert "uneven steps" in record.attrs["sampling"]


def test_time_and_trajectory_columns_can_be_given():
    content = table("a,b,case no", lambda i: f"{SINE[i % 30]},{i % 30},{i // 30}", 60)
    record = read([Source("a.csv", content)], time="b", trajectory="case no")
    assert record["variable"].values.tolist() == ["a"]
    assert len(schema.trajectories(record)) == 2


def test_an_increasing_column_is_used_as_time():
    record = read([Source("a.csv", table("depth,x", lambda i: f"{i * 0.5},{SINE[i]}"))])
    np.testing.assert_allclose(record["time"].values, 0.5 * np.arange(60))


def test_a_generated_record_is_read_without_its_truth():
    record = read([Source("lorenz.nc", netcdf(lorenz.simulate(points=100, step=0.01, noise=0.5, seed=0)))])
    expected = lorenz.simulate(points=100, step=0.01, noise=0.5, seed=0)
    assert record["variable"].values.tolist() == ["x", "y", "z"]
    np.testing.assert_allclose(record["data"].values, expected["data"].values)


def test_stored_records_load_by_name_only(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    record = read([Source("Ünlike any/Field Trip 3.csv", SEVERAL["column.csv"])])
    name = tabular.keep(record)
    assert name == tabular.keep(record)
    assert name.startswith("field-trip-3-")
    assert tabular.kept(name).identical(record)
    schema.check(tabular.kept(name))
    (path,) = (tmp_path / "tables").iterdir()
    assert path.stem == name
    other = tabular.keep(read([Source("Field Trip 3.csv", SEVERAL["restarts.csv"])]))
    assert other != name
    for wrong in ("../../etc/passwd", f"../tables/{name}", str(path), f"{name}.nc", "", "a" * 200):
        with pytest.raises(ValueError, match="expected `example` or the name"):
            tabular.kept(wrong)
    path.unlink()
    with pytest.raises(ValueError, match="upload its file again"):
        tabular.kept(name)


def test_the_example_is_read_as_a_file():
    record = schema.check(example.record())
    assert record["variable"].values.tolist() == ["hares", "lynx"]
    assert record["unit"].values.tolist() == ["1/km2", "1/km2"]
    assert np.isnan(record["data"].values).any()
    assert "column hares has no value" in record.attrs["repairs"]
    record["data"][:] = 0.0
    assert float(example.record()["data"].max()) > 1
