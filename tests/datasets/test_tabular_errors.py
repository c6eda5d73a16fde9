"""Errors and warnings for malformed files; they name the row and the column."""

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.datasets.files import COSINE, DAYS, LINES, SINE, TIMES, column, csv, hdf5, netcdf, parquet, plain, table
from workbench.datasets import schema
from workbench.datasets.tabular import LIMIT, Source, TableError, read

WHOLE = hdf5(lambda f: plain(f, t=TIMES, x=SINE))
OVER_TIME = xr.Dataset({"x": ("time", SINE)}, coords={"time": TIMES})
GRID = xr.Dataset({"sst": (("time", "lat", "lon"), np.zeros((60, 3, 4)))}, coords={"time": DAYS})
FRAME = pd.DataFrame({"time": TIMES, "x [m]": SINE})


def date(row: int) -> str:
    return f"{DAYS[row]}"


def day_slash(row: int) -> str:
    return f"{row % 12 + 1:02d}/{row % 12 + 1:02d}/{2000 + row // 12}"


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((60,), dtype=float)
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(60,))
    file.create_virtual_dataset("x", layout)


# file name: (content, expected part of the error message)
ERRORS = {
    "empty.csv": (b"", "empty.csv is empty: expected a header line"),
    "blank.csv": (b" \n\n", "blank.csv is empty"),
    "comments.csv": (b"# nothing\n# at all\n", "comments.csv is empty"),
    "binary.csv": (bytes(range(1, 256)) * 9, "binary.csv is not a text file (byte 0x01 in line 1)"),
    "zeros.csv": (csv({5: "0.3,\x00,1"}), "zeros.csv is not a text file (byte 0x00 in line 5)"),
    "book.xlsx": (b"PK\x03\x04" + bytes(100), "book.xlsx is a ZIP archive or a spreadsheet: unpack it, or save"),
    "packed.csv.gz": (b"\x1f\x8b" + bytes(100), "packed.csv.gz is compressed with gzip: unpack it first"),
    "frame.pkl": (b"\x80\x04" + bytes(100), "frame.pkl is a pickle, which can execute code"),
    "huge.csv": (b"1" * (LIMIT + 1), "huge.csv has 32.0 MB: expected at most 32 MB"),
    "one row.csv": (csv(dict.fromkeys(range(3, 62))), "one row of values (line 2): expected at least 20 rows"),
    "header only.csv": (csv(dict.fromkeys(range(2, 62))), "a header but no values"),
    "short.csv": (csv(dict.fromkeys(range(10, 62))), "8 rows with a time (up to line 9): expected at least 20"),
    "only time.csv": (table("time", lambda i: f"{i}"), "only time.csv has one column, 'time'"),
    "time and text.csv": (
        table("time,name", lambda i: f"{i},ann"),
        "the time column is time, and no other column (name) has numbers that vary",
    ),
    "all missing.csv": (
        table("time,x,y", lambda i: f"{i},,NA"),
        "no other column (x, y) has numbers that vary",
    ),
    "no time at all.csv": (table("time,x", lambda i: f",{i % 7}"), "the time column time is empty"),
    "no time column.csv": (
        table("a,b", lambda i: f"{SINE[i]},{COSINE[i]}"),
        "there is no time column among a, b: expected a column named time",
    ),
    "words as times.csv": (
        table("time,x", lambda i: f"morning {i},{i % 7}"),
        "line 2, column time: 'morning 0' is not a time: expected numbers or dates",
    ),
    "text in numbers.csv": (
        csv({i: f"{i},abc,1" for i in range(7, 27)}),
        "line 7, column x: 'abc' is not a number (20 of 60 values of this column are not)",
    ),
    "dates mixed.csv": (
        table("date,x", lambda i: f"{date(i) if i != 8 else '09.01.2020'},{i % 7}"),
        "line 10, column date: '09.01.2020' differs in format from '2020-01-01' in line 2",
    ),
    "dates and numbers.csv": (
        table("date,x", lambda i: f"{date(i) if i != 8 else 17},{i % 7}"),
        "line 10, column date: '17' differs in format from '2020-01-01'",
    ),
    "no such day.csv": (
        table("date,x", lambda i: f"{date(i) if i != 8 else '2020-02-31'},{i % 7}"),
        "line 10, column date: '2020-02-31' is not a valid date",
    ),
    "day or month.csv": (
        table("date,x", lambda i: f"{day_slash(i)},{i % 7}"),
        "line 2, column date: '01/01/2000' is ambiguous, the day or the month may come first",
    ),
    "same times.csv": (
        table("t,x", lambda i: f"{i // 10},{i % 7}"),
        "line 3 has the same time as line 2 (0); 54 of 60 rows repeat a time",
    ),
    "constant.csv": (
        table("t,x", lambda i: f"{i},5"),
        "no other column (x) has numbers that vary",
    ),
    "ragged.csv": (
        csv({i: "1,2" for i in range(7, 27)}),
        "line 7 has 2 fields, most lines have 3 (20 of 61 lines differ)",
    ),
    "gaps.csv": (
        table("t,x", lambda i: f"{i + 100 * (i // 10)},{i % 7}"),
        "the longest segment without a gap has 10 rows: expected at least 20",
    ),
    "nearly empty.csv": (
        table("t,x,y", lambda i: f"{i},{i % 7},{i if i % 30 == 0 else ''}"),
        "column y has 2 values on 60 grid points: expected at least one in ten",
    ),
    "unclosed.csv": (csv({7: '0.5,"1,2' + "3" * 200_000}), "line 7 cannot be split into fields"),
    "wide.csv": (table(",".join(f"c{i}" for i in range(300)), lambda i: ",".join(["1"] * 300)), "found 300"),
    "cut.h5": (WHOLE[: len(WHOLE) // 2], "cut.h5 cannot be read as HDF5, it may be truncated"),
    "head.h5": (WHOLE[:60], "head.h5 cannot be read as HDF5"),
    "no.h5": (b"hello\x00" * 20, "no.h5 is not a valid .h5 file"),
    "objects.h5": (
        hdf5(lambda f: (plain(f, t=TIMES), f.create_dataset("x", (60,), dtype=h5py.vlen_dtype(float)))),
        "dataset /x has elements of type object: expected numbers",
    ),
    "complex.h5": (hdf5(lambda f: plain(f, t=TIMES, x=np.exp(1j * TIMES))), "dataset /x has values of type complex"),
    "cube.h5": (hdf5(lambda f: plain(f, t=TIMES, x=np.zeros((60, 3, 3)))), "dataset /x has shape (60, 3, 3)"),
    "lengths.h5": (
        hdf5(lambda f: plain(f, t=TIMES, x=SINE, y=SINE[1:])),
        "dataset /y has 59 values, the others have 60",
    ),
    "nothing.h5": (hdf5(lambda f: f.create_group("a")), "has no dataset of one or two dimensions"),
    "link.h5": (
        hdf5(lambda f: (plain(f, t=TIMES), f.__setitem__("x", h5py.ExternalLink("elsewhere.h5", "/x")))),
        "/x is a link to another file",
    ),
    "outside.h5": (
        hdf5(lambda f: (plain(f, t=TIMES), f.create_dataset("x", (60,), "u1", external=[("README.md", 0, 60)]))),
        "/x is stored in another file",
    ),
    "virtual.h5": (hdf5(lambda f: (plain(f, t=TIMES), virtual(f))), "/x is stored in another file"),
    "bomb.h5": (
        hdf5(lambda f: f.create_dataset("x", (10**9,), float, chunks=(10**6,), compression="gzip")),
        "20,000,000 values; exceeded at /x",
    ),
    "loop.h5": (
        hdf5(lambda f: (plain(f, t=TIMES, x=SINE), f.create_group("g").__setitem__("again", f["/"]))),
        "8 levels of groups",
    ),
    "cut.nc": (netcdf(OVER_TIME)[:3000], "cannot be read as HDF5, it may be truncated"),
    "cut3.nc": (netcdf(OVER_TIME, "scipy")[:500], "cannot be read as NetCDF, it may be truncated"),
    "grid.nc": (
        netcdf(GRID),
        "variable sst is over (time: 60, lat: 3, lon: 4): expected time alone, or time and one dimension",
    ),
    "no time.nc": (netcdf(GRID.isel(time=0, drop=True)), "variable sst is over (lat, lon): expected a dimension"),
    "cut.parquet": (parquet(FRAME)[:300], "cut.parquet cannot be read as Parquet"),
    "no rows.parquet": (parquet(FRAME[:0]), "no rows.parquet has 2 columns and 0 rows"),
    "text.parquet": (
        parquet(FRAME.assign(y=["1.5" if i % 3 else "bad" for i in range(60)])),
        "column y, row 1: 'bad' is not a number (20 of 60 values",
    ),
}

# file name: (content, expected part of a warning)
WARNINGS = {
    "duplicate.csv": (csv({7: LINES[4]}), "line 7 has the same time as line 6 (0.4); 1 row averaged"),
    "one word.csv": (csv({7: "0.50,abc,1"}), "line 7, column x: 'abc' is not a number; treated as missing"),
    "division.csv": (csv({7: "0.50,#DIV/0!,1"}), "line 7, column x: '#DIV/0!' is not a number"),
    "infinite.csv": (csv({7: "0.50,inf,1"}), "line 7, column x is infinite; treated as missing"),
    "filler.csv": (csv({7: "0.50,-9999,1"}), "line 7, column x is the fill value -9999; treated as missing"),
    "missing.csv": (
        csv({7: "0.50,,1", 9: "0.70,NA,1"}),
        "line 7, column x has no value; 2 of 60 values of this column are missing",
    ),
    "no time once.csv": (csv({7: ",0.4,1"}), "line 7 has no time; 1 row dropped"),
    "unsorted.csv": (csv({7: LINES[6], 8: LINES[5]}), "line 8: time decreases from 0.6 to 0.5; rows sorted by time"),
    "line missing.csv": (csv({7: None}), "1 row is missing from a uniform grid of step 0.1, first after line 6"),
    "gap.csv": (
        csv(dict.fromkeys(range(30, 42))),
        "gap of 1.3 after line 29 (time 2.7); the record is split there",
    ),
    "latin.csv": (csv(header="time,x [µm],y").decode().encode("cp1252"), "line 1 is not valid UTF-8"),
    "short line.csv": (csv({7: "0.50,1"}), "line 7 has 2 fields, most lines have 3; dropped"),
    "cut off.csv": (csv({61: "5.9"}), "line 61 has 1 field, most lines have 3; dropped"),
    "title.csv": (b"My measurements\n" + csv(), "line 1, 'My measurements', is not a table row; dropped"),
    "no header.csv": (csv({1: None}), "line 1 has numbers instead of names; columns are named column_1 to column_3"),
    "units.csv": (b"time,x,y\ns,m,-\n" + csv({1: None}), "line 2 is read as units: s, m, -"),
    "same name.csv": (csv(header="time,x,x"), "columns 2 and 3 are both named x; the second is renamed x_3"),
    "twin.csv": (column("twin", lambda i: f"{SINE[i]:.4f}"), "column twin equals column x in every row; ignored"),
    "constant.csv": (column("c", lambda i: 5), "column c is constant (5 from line 2); ignored"),
    "text column.csv": (column("note", lambda i: "ok"), "column note has text ('ok' in line 2); ignored"),
    "empty column.csv": (column("c", lambda i: ""), "column c is empty; ignored"),
    "thousands.csv": (
        table("t;x", lambda i: f"{i};1,{100 + i * i % 89}.5"),
        "line 2, column x: '1,100.5' is read as 1100.5 (60 values with thousands separators)",
    ),
    "decimal comma.csv": (
        csv().decode().replace(",", ";").replace(".", ",").encode(),
        "decimal commas are read as decimal points, from line 2",
    ),
    "rounded.csv": (
        table("t,x", lambda i: f"{i / 30:.3f},{i % 7}"),
        "times deviate by up to 1.0% of a step from",
    ),
    "restart.csv": (
        table("t,x", lambda i: f"{i % 30},{i % 7}"),
        "line 32: time decreases from 29 to 0; split into 2 trajectories",
    ),
    "odd names.csv": (csv(header="time,prey density,t"), "column 'prey density' is named prey_density in the"),
    "long.csv": (
        table("t,x", lambda i: f"{i},{i % 7}", rows=60_000),
        "60,000 rows exceed the limit of 50,000; one row in 2 is used",
    ),
    "wrong ending.csv": (WHOLE, "wrong ending.csv has the extension .csv but is read as HDF5"),
    "really parquet.txt": (parquet(FRAME), "has the extension .txt but is read as Parquet"),
    "word.parquet": (
        parquet(FRAME.assign(y=[f"{i % 7}" if i != 4 else "bad" for i in range(60)])),
        "column y, row 5: 'bad' is not a number; treated as missing",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_malformed_files_raise_errors_that_name_the_position(name):
    content, message = ERRORS[name]
    with pytest.raises(TableError) as error:
        read([Source(name, content)])
    assert message in str(error.value)
    assert str(error.value).startswith(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WARNINGS)
def test_corrections_are_reported_as_warnings(name):
    content, message = WARNINGS[name]
    record = schema.check(read([Source(name, content)]))
    warnings = record.attrs["repairs"].split("\n")
    assert any(message in warning for warning in warnings), warnings
    assert record.sizes["time"] >= 20
    assert np.isfinite(record["data"].values).mean() > 0.9


def test_a_valid_file_has_no_warnings():
    assert read([Source("good.csv", csv())]).attrs["repairs"] == ""


def test_corrected_files_have_the_values_of_the_valid_file():
    whole = read([Source("good.csv", csv())])
    for name in ("unsorted.csv", "duplicate.csv", "no header.csv", "decimal comma.csv", "title.csv", "cut off.csv"):
        record = read([Source(name, WARNINGS[name][0])])
        points = min(record.sizes["time"], 59)
        rows = slice(6, points) if name == "duplicate.csv" else slice(0, points)
        np.testing.assert_allclose(record["data"].values[rows], whole["data"].values[rows], err_msg=name)
        np.testing.assert_allclose(record["time"].values[:points], whole["time"].values[:points], err_msg=name)
    values = read([Source("line missing.csv", WARNINGS["line missing.csv"][0])])["data"].values
    assert np.isnan(values[5]).all()
    np.testing.assert_array_equal(np.delete(values, 5, axis=0), np.delete(whole["data"].values, 5, axis=0))
    thousands = read([Source("thousands.csv", WARNINGS["thousands.csv"][0])])["data"].values[:, 0]
    np.testing.assert_array_equal(thousands[:12], 1100.5 + np.arange(12) ** 2 % 89)


def test_file_names_are_sanitised_in_messages():
    with pytest.raises(TableError) as error:
        read([Source("../../etc/<b>passwd\n", b"")])
    assert str(error.value).startswith("_b_passwd_ is empty")


def test_several_files_must_have_the_same_columns():
    with pytest.raises(TableError, match=r"b\.csv: there is no column y as in a\.csv"):
        read([Source("a.csv", csv()), Source("b.csv", table("time,x", lambda i: f"{i},{i % 7}"))])
    with pytest.raises(TableError, match="no file was given"):
        read([])
    with pytest.raises(TableError, match=r"a\.csv: there is no column when; there are: time, x, y"):
        read([Source("a.csv", csv())], time="when")
