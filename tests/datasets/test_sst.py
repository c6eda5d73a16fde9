"""Loaders of sea-surface temperature: samples of the published files and generated malformed files."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from workbench.datasets import schema
from workbench.datasets.sst import dataset, loaders, synthetic
from workbench.datasets.sst.dataset import REGIONS

SAMPLES = Path(__file__).parents[3] / "shared/data/sst"
HINT = "put the SST samples into ../shared/data/sst (see data/cards/sst.md)"


@pytest.fixture
def sample(required):
    def path_of(name: str) -> Path:
        required((SAMPLES / name).exists(), HINT)
        return SAMPLES / name

    return path_of


def grid(tmp_path: Path, *, degrees: float = 2.0, name: str = "sst", units: str = "degC", dates=None, shift=0.0):
    """A small file with the schema of ERSST: land value -9.97e36, _FillValue NaN, latitudes from north to south."""
    dates = np.arange("2010-01", "2012-01", dtype="datetime64[M]").astype("datetime64[ns]") if dates is None else dates
    lat, lon = np.arange(4, -5, -degrees), np.arange(150, 162, degrees)
    values = 26.0 + np.random.default_rng(0).standard_normal((len(dates), len(lat), len(lon))) + shift
    values = values.astype("f4")
    values[:, 0, 0] = -9.96921e36
    attributes = {"units": units, "missing_value": np.float32(-9.96921e36)}
    field = xr.Dataset(
        {name: (("time", "lat", "lon"), values, attributes)}, coords={"time": dates, "lat": lat, "lon": lon}
    )
    path = tmp_path / "field.nc"
    field.to_netcdf(path, engine="h5netcdf", encoding={name: {"_FillValue": np.float32(np.nan)}})
    return path


# published samples


def test_ersst_sample(sample):
    field = loaders.open_ersst(sample("ersstv5.sst.mnmean.2010-2020.nc"))
    assert field["sst"].chunks is not None, "must stay lazy"
    assert field["sst"].shape == (128, 89, 180)
    assert float(field["lat"][0]) == 88.0
    values = field["sst"].values
    assert np.nanmin(values) >= -1.8001
    assert np.nanmax(values) < 40
    assert np.isnan(values[:, ~field["ocean"].values]).all()
    assert field["ocean"].values.sum() == 10_988
    box = dataset.from_field(field, REGIONS["pacific"], training=80)
    assert box.sizes["variable"] == 1626


def test_cells_of_sea_ice_are_excluded_by_the_training_period_only(sample):
    field = loaders.open_ersst(sample("ersstv5.sst.mnmean.2010-2020.nc")).load()
    record = dataset.from_field(field, REGIONS["world"], training=80)
    assert record.sizes["variable"] == 8055
    later = field.copy(deep=True)
    later["sst"][90, 45, 100:120] = -1.8
    assert dataset.from_field(later, REGIONS["world"], training=80).sizes["variable"] == 8055
    assert record["data"].values[:80].min() > -1.8


def test_oisst_mask_sample(sample):
    ocean = loaders.open_mask(sample("oisst_v2.lsmask.nc"))
    assert ocean.dtype == bool
    assert int(ocean.sum()) == 44_219
    assert not bool(ocean.sel(lat=47.5, lon=8.5, method="nearest"))


def test_nino_regions_sample(sample):
    weekly = loaders.read_nino(sample("wksst9120.for"))
    assert weekly["sst"].shape == (2346, 4)
    assert str(weekly["time"].values[0])[:10] == "1981-09-02"
    assert str(weekly["time"].values[-1])[:10] == "2026-08-12"
    np.testing.assert_allclose(weekly["sst"][0], [20.6, 24.8, 26.5, 28.3])
    np.testing.assert_allclose(weekly["anomaly"][0], [-0.1, -0.1, -0.2, -0.3])


def test_monthly_grid_means_agree_with_the_weekly_region(sample):
    field = loaders.open_ersst(sample("ersstv5.sst.mnmean.2010-2020.nc"))
    box = dataset.from_field(field, REGIONS["nino34"], training=80)
    assert box.sizes["variable"] == 130
    monthly = (box["data"] * box["area"]).sum("variable") / box["area"].sum()
    weekly = loaders.read_nino(sample("wksst9120.for"))["sst"].sel(variable="Nino 3.4")
    means = weekly.resample(time="MS").mean().sel(time=field["time"])
    assert np.corrcoef(monthly, means)[0, 1] > 0.98


def test_oisst_land_comes_from_the_mask(sample, tmp_path):
    mask = sample("oisst_v2.lsmask.nc")
    ocean = loaders.open_mask(mask)
    dates = np.datetime64("2020-01-05", "ns") + 7 * np.arange(5) * np.timedelta64(1, "D")
    values = np.full((5, 180, 360), 20.0, dtype="f4")
    full = xr.Dataset(
        {"sst": (("time", "lat", "lon"), values, {"units": "degC"})},
        coords={"time": dates, "lat": ocean["lat"].values, "lon": ocean["lon"].values},
    )
    full.to_netcdf(tmp_path / "week.nc", engine="scipy")
    field = loaders.open_oisst(tmp_path / "week.nc", mask)
    assert int(np.isfinite(field["sst"][0]).sum()) == 44_219
    other = full.assign_coords(lon=full["lon"] + 0.25)
    other.to_netcdf(tmp_path / "shifted.nc", engine="scipy")
    with pytest.raises(ValueError, match="its lon differ"):
        loaders.open_oisst(tmp_path / "shifted.nc", mask)


# the monthly series and records


def test_the_monthly_series_needs_no_file():
    series = loaders.elnino()
    assert series["sst"].shape == (732, 1)
    assert "embedded" in series.attrs["title"]
    assert float(series["sst"][0, 0]) == pytest.approx(23.11)
    assert float(series["sst"].sel(time="1997-12-01")[0]) > 26
    schema.check(dataset.from_series(series))


def test_times_in_years_have_the_lengths_of_months():
    record = dataset.from_series(loaders.elnino())
    days = np.diff(record["time"].values) * dataset.DAYS_PER_YEAR
    assert sorted(set(np.rint(days).astype(int))) == [28, 29, 30, 31]
    assert record["time"].attrs["units"] == "year"


def test_a_region_may_cross_the_meridian_and_has_area_weights():
    field = synthetic.field(years=3)
    atlantic = dataset.from_field(field, dataset.Region("Atlantic", -30, 30, 300, 450), training=24)
    assert (np.diff(atlantic["lon"].values) > 0).all()
    assert atlantic["longitude"].values.min() >= 300
    assert atlantic["longitude"].values.max() > 440
    np.testing.assert_allclose(atlantic["area"], np.cos(np.deg2rad(atlantic["latitude"])))
    name = str(atlantic["variable"].values[0])
    where = field["sst"].sel(lat=atlantic["latitude"][0], lon=atlantic["longitude"][0] % 360)
    np.testing.assert_allclose(atlantic["data"].sel(variable=name), where)


@pytest.mark.parametrize(
    "lat,lon,name", [(10, 150, "10N 150E"), (-4.5, 190, "4.5S 170W"), (0, 0, "0N 0E"), (60, 358, "60N 2W")]
)
def test_cell_names(lat, lon, name):
    assert dataset.cell_name(lat, lon) == name


def test_the_synthetic_field_is_labelled_and_seeded():
    field = synthetic.field(years=40, degrees=20.0, seed=1)
    assert "SYNTHETIC" in field.attrs["title"]
    values = field["sst"].values[:, :, -1]
    month = np.arange(len(values)) % 12
    anomaly = values - np.stack([values[month == m].mean(axis=0) for m in range(12)])[month]
    autocorrelation = (anomaly[1:] * anomaly[:-1]).sum(0) / (anomaly**2).sum(0)
    assert autocorrelation[[0, -1]].mean() < autocorrelation[3] < 0.95, "anomalies decay slowest at the equator"
    again = synthetic.field(years=40, degrees=20.0, seed=1)
    np.testing.assert_array_equal(values, again["sst"].values[:, :, -1])


# invalid input


@pytest.mark.parametrize(
    "options,message",
    [
        ({"name": "air"}, r"expected 'sst' over .* found air over"),
        ({"units": "K", "shift": 273.15}, "Kelvin"),
        ({"units": "degC", "shift": 273.15}, "Kelvin"),
        ({"units": "degF", "shift": 53.0}, "Fahrenheit"),
        ({"units": "m/s"}, "expected temperatures in degC"),
        ({"degrees": 1.0}, "spacing is 1 degrees, expected 2 of NOAA ERSST"),
    ],
)
def test_another_product_or_unit_raises(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        loaders.open_ersst(grid(tmp_path, **options))


def test_a_gap_in_time_raises(tmp_path):
    dates = np.arange("2010-01", "2012-01", dtype="datetime64[M]").astype("datetime64[ns]")
    with pytest.raises(ValueError, match="2010-05-01 is followed by 2010-07-01: a gap"):
        loaders.open_ersst(grid(tmp_path, dates=np.delete(dates, 5)))
    with pytest.raises(ValueError, match="expected consecutive months"):
        loaders.open_ersst(grid(tmp_path, dates=dates[0] + 7 * np.arange(20) * np.timedelta64(1, "D")))


def test_the_raw_land_value_is_land(tmp_path):
    field = loaders.open_ersst(grid(tmp_path))
    assert not field["ocean"].values[0, 0]
    assert field["ocean"].values.sum() == field["ocean"].size - 1


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_file_raises(tmp_path, share):
    path = grid(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"field\.nc: cannot be read.*truncated"):
        loaders.open_ersst(path)


def test_a_file_of_another_format_raises(tmp_path):
    path = tmp_path / "page.nc"
    path.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match="expected a NetCDF file, found the first bytes"):
        loaders.open_ersst(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        loaders.open_ersst(tmp_path / "nothing.nc")


def test_a_region_without_ocean_cells_raises():
    field = synthetic.field(years=3)
    with pytest.raises(ValueError, match="it is all land"):
        dataset.from_field(field, dataset.Region("inland", 0, 30, 20, 60), training=24)
    with pytest.raises(ValueError, match="is outside"):
        dataset.from_field(field, dataset.Region("the pole", 80, 90, 0, 360), training=24)


def test_a_gap_in_a_cell_raises():
    field = synthetic.field(years=3)
    field["sst"][5:8, 3, -1] = np.nan
    with pytest.raises(ValueError, match=r"the cell 45N 5W has no value on 2000-06-01 \(3 of 36 are missing, 1 cells"):
        dataset.from_field(field, REGIONS["world"], training=24)
    series = loaders.elnino()
    series["sst"][12, 0] = np.nan
    with pytest.raises(ValueError, match="Nino 1\\+2 has no value on 1951-01-01"):
        dataset.from_series(series)


HEADER = " Weekly SST data\n\n                Nino1+2      Nino3        Nino34        Nino4\n Week\n"
WEEK = " {date}     20.6-0.1     24.8-0.1     26.5-0.2     28.3-0.3\n"


@pytest.mark.parametrize(
    "text,message",
    [
        ("time,sst\n1,2\n", "expected the header"),
        (HEADER, "at least 2 weeks"),
        (HEADER + WEEK.format(date="02SEP1981") + " 09SEP1981     20.1-0.6     24.8", r"line 6.*may be truncated"),
        (HEADER + WEEK.format(date="02SEP1981") + WEEK.format(date="16SEP1981"), "followed by 1981-09-16: a gap"),
        (HEADER + WEEK.format(date="02SEP1981") + WEEK.format(date="09XYZ1981"), "expected a date as 02SEP1981"),
    ],
)
def test_a_malformed_nino_file_raises(tmp_path, text, message):
    path = tmp_path / "weeks.for"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        loaders.read_nino(path)
