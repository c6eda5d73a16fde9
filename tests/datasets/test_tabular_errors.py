"""Broken files: each is refused, or put right and told, in words that name the row and the column."""

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


# name of the file: (its bytes, what the refusal says)
REFUSED = {
    "empty.csv": (b"", "empty.csv is empty: expected a line of column names"),
    "blank.csv": (b" \n\n", "blank.csv is empty"),
    "comments.csv": (b"# nothing\n# at all\n", "comments.csv is empty"),
    "binary.csv": (bytes(range(1, 256)) * 9, "binary.csv is no text: a byte 0x01 stands in line 1"),
    "zeros.csv": (csv({5: "0.3,\x00,1"}), "zeros.csv is no text: a byte 0x00 stands in line 5"),
    "book.xlsx": (b"PK\x03\x04" + bytes(100), "book.xlsx is a ZIP archive or a spreadsheet: unpack it, or save"),
    "packed.csv.gz": (b"\x1f\x8b" + bytes(100), "packed.csv.gz is packed with gzip: unpack it first"),
    "frame.pkl": (b"\x80\x04" + bytes(100), "frame.pkl is a pickle, which could run anything"),
    "huge.csv": (b"1" * (LIMIT + 1), "huge.csv has 32.0 MB: expected at most 32 MB"),
    "one row.csv": (csv(dict.fromkeys(range(3, 62))), "one row of values (line 2): expected at least 20"),
    "header only.csv": (csv(dict.fromkeys(range(2, 62))), "a header and no values"),
    "short.csv": (csv(dict.fromkeys(range(10, 62))), "8 rows with a time (the last is line 9): expected at least 20"),
    "only time.csv": (table("time", lambda i: f"{i}"), "only time.csv has one column, 'time'"),
    "time and text.csv": (
        table("time,name", lambda i: f"{i},ann"),
        "column time is the time, and the others (name) hold no numbers",
    ),
    "all missing.csv": (table("time,x,y", lambda i: f"{i},,NA"), "and the others (x, y) hold no numbers"),
    "no time at all.csv": (table("time,x", lambda i: f",{i % 7}"), "column time holds no value in any row"),
    "no time column.csv": (
        table("a,b", lambda i: f"{SINE[i]},{COSINE[i]}"),
        "no column is called time, holds dates or grows from row to row (columns: a, b)",
    ),
    "words as times.csv": (
        table("time,x", lambda i: f"morning {i},{i % 7}"),
        "line 2, column time: 'morning 0' is neither: expected numbers or dates in the time column",
    ),
    "text in numbers.csv": (
        csv({i: f"{i},abc,1" for i in range(7, 27)}),
        "line 7, column x: 'abc' is no number, as are 20 of the 60 values of this column",
    ),
    "dates mixed.csv": (
        table("date,x", lambda i: f"{date(i) if i != 8 else '09.01.2020'},{i % 7}"),
        "line 10, column date: '09.01.2020' is written otherwise than '2020-01-01' in line 2",
    ),
    "dates and numbers.csv": (
        table("date,x", lambda i: f"{date(i) if i != 8 else 17},{i % 7}"),
        "line 10, column date: '17' is written otherwise than '2020-01-01'",
    ),
    "no such day.csv": (
        table("date,x", lambda i: f"{date(i) if i != 8 else '2020-02-31'},{i % 7}"),
        "line 10, column date: '2020-02-31' is no date",
    ),
    "day or month.csv": (
        table("date,x", lambda i: f"{day_slash(i)},{i % 7}"),
        "line 2, column date: '01/01/2000' may be read day or month first",
    ),
    "same times.csv": (
        table("t,x", lambda i: f"{i // 10},{i % 7}"),
        "line 3 has the same time, 0, as line 2, and 54 rows of 60 repeat a time",
    ),
    "constant.csv": (table("t,x", lambda i: f"{i},5"), "column t is the time, and the others (x) hold no numbers"),
    "ragged.csv": (
        csv({i: "1,2" for i in range(7, 27)}),
        "line 7 has 2 fields, most lines have 3; so do 20 of 61 lines",
    ),
    "gaps.csv": (
        table("t,x", lambda i: f"{i + 100 * (i // 10)},{i % 7}"),
        "the longest stretch without a gap has 10 rows: expected at least 20",
    ),
    "nearly empty.csv": (
        table("t,x,y", lambda i: f"{i},{i % 7},{i if i % 30 == 0 else ''}"),
        "column y has 2 values on 60 grid points: expected at least one in ten",
    ),
    "unclosed.csv": (csv({7: '0.5,"1,2' + "3" * 200_000}), "line 7 cannot be parted into fields"),
    "wide.csv": (table(",".join(f"c{i}" for i in range(300)), lambda i: ",".join(["1"] * 300)), "found 300"),
    "cut.h5": (WHOLE[: len(WHOLE) // 2], "cut.h5 cannot be read as HDF5, it may be cut off"),
    "head.h5": (WHOLE[:60], "head.h5 cannot be read as HDF5"),
    "no.h5": (b"hello\x00" * 20, "no.h5 does not begin as a .h5 file does"),
    "objects.h5": (
        hdf5(lambda f: (plain(f, t=TIMES), f.create_dataset("x", (60,), dtype=h5py.vlen_dtype(float)))),
        "dataset /x holds objects (object): expected numbers",
    ),
    "complex.h5": (hdf5(lambda f: plain(f, t=TIMES, x=np.exp(1j * TIMES))), "dataset /x holds values of type complex"),
    "cube.h5": (hdf5(lambda f: plain(f, t=TIMES, x=np.zeros((60, 3, 3)))), "dataset /x has the shape (60, 3, 3)"),
    "lengths.h5": (
        hdf5(lambda f: plain(f, t=TIMES, x=SINE, y=SINE[1:])),
        "dataset /y has 59 values, the others have 60",
    ),
    "nothing.h5": (hdf5(lambda f: f.create_group("a")), "holds no dataset with one or two dimensions"),
    "link.h5": (
        hdf5(lambda f: (plain(f, t=TIMES), f.__setitem__("x", h5py.ExternalLink("elsewhere.h5", "/x")))),
        "/x is a link to another file",
    ),
    "outside.h5": (
        hdf5(lambda f: (plain(f, t=TIMES), f.create_dataset("x", (60,), "u1", external=[("README.md", 0, 60)]))),
        "the values of /x lie in another file",
    ),
    "virtual.h5": (hdf5(lambda f: (plain(f, t=TIMES), virtual(f))), "the values of /x lie in another file"),
    "bomb.h5": (
        hdf5(lambda f: f.create_dataset("x", (10**9,), float, chunks=(10**6,), compression="gzip")),
        "20,000,000 values; /x goes beyond",
    ),
    "loop.h5": (
        hdf5(lambda f: (plain(f, t=TIMES, x=SINE), f.create_group("g").__setitem__("again", f["/"]))),
        "8 levels of groups",
    ),
    "cut.nc": (netcdf(OVER_TIME)[:3000], "cannot be read as HDF5, it may be cut off"),
    "cut3.nc": (netcdf(OVER_TIME, "scipy")[:500], "cannot be read as NetCDF, it may be cut off"),
    "grid.nc": (
        netcdf(GRID),
        "variable sst lies over (time: 60, lat: 3, lon: 4): expected time alone, or time and one dimension",
    ),
    "no time.nc": (netcdf(GRID.isel(time=0, drop=True)), "variable sst lies over (lat, lon): expected a dimension"),
    "cut.parquet": (parquet(FRAME)[:300], "cut.parquet cannot be read as Parquet"),
    "no rows.parquet": (parquet(FRAME[:0]), "no rows.parquet has 2 columns and 0 rows"),
    "text.parquet": (
        parquet(FRAME.assign(y=["1.5" if i % 3 else "bad" for i in range(60)])),
        "column y, row 1: 'bad' is no number, as are 20 of the 60 values",
    ),
}

# name of the file: (its bytes, what is said to have been put right)
MENDED = {
    "duplicate.csv": (csv({7: LINES[4]}), "line 7 has the same time, 0.4, as line 6; 1 row averaged"),
    "one word.csv": (csv({7: "0.50,abc,1"}), "line 7, column x: 'abc' is no number; taken as missing"),
    "division.csv": (csv({7: "0.50,#DIV/0!,1"}), "line 7, column x: '#DIV/0!' is no number"),
    "infinite.csv": (csv({7: "0.50,inf,1"}), "line 7, column x is infinite; taken as missing"),
    "filler.csv": (csv({7: "0.50,-9999,1"}), "line 7, column x is -9999, which stands for a missing value"),
    "missing.csv": (
        csv({7: "0.50,,1", 9: "0.70,NA,1"}),
        "line 7, column x holds no value; 2 of 60 values of this column are missing",
    ),
    "no time once.csv": (csv({7: ",0.4,1"}), "line 7 has no time; 1 row left out"),
    "unsorted.csv": (csv({7: LINES[6], 8: LINES[5]}), "line 8: time goes back from 0.6 to 0.5; rows put in order"),
    "line missing.csv": (csv({7: None}), "1 row is missing from an even grid of step 0.1, first after line 6"),
    "gap.csv": (
        csv(dict.fromkeys(range(30, 42))),
        "no value for 1.3 after line 29 (time 2.7); the record is cut there",
    ),
    "latin.csv": (csv(header="time,x [µm],y").decode().encode("cp1252"), "line 1 is not written in UTF-8"),
    "short line.csv": (csv({7: "0.50,1"}), "line 7 has 2 fields, most lines have 3; it is left out"),
    "cut off.csv": (csv({61: "5.9"}), "line 61 has 1 field, most lines have 3; it is left out"),
    "title.csv": (b"My measurements\n" + csv(), "line 1, 'My measurements', is no row of the table; left out"),
    "no header.csv": (csv({1: None}), "line 1 holds numbers, not names: the columns are called column_1 to column_3"),
    "units.csv": (b"time,x,y\ns,m,-\n" + csv({1: None}), "line 2 holds units, not values: s, m, -"),
    "same name.csv": (csv(header="time,x,x"), "columns 2 and 3 are both called x; the second is now x_3"),
    "twin.csv": (column("twin", lambda i: f"{SINE[i]:.4f}"), "column twin equals column x in every row; left out"),
    "constant.csv": (column("c", lambda i: 5), "column c is 5 from line 2 to the end: what never changes has no"),
    "text column.csv": (column("note", lambda i: "ok"), "column note holds text ('ok' in line 2); left out"),
    "empty column.csv": (column("c", lambda i: ""), "column c holds no value in any row; left out"),
    "thousands.csv": (
        table("t;x", lambda i: f"{i};1,{100 + i * i % 89}.5"),
        "line 2, column x: '1,100.5' is read as 1100.5, its thousands being set apart",
    ),
    "decimal comma.csv": (
        csv().decode().replace(",", ";").replace(".", ",").encode(),
        "numbers are written with a decimal comma, from line 2 on",
    ),
    "rounded.csv": (table("t,x", lambda i: f"{i / 30:.3f},{i % 7}"), "times are up to 1.0% of a step off an even grid"),
    "restart.csv": (
        table("t,x", lambda i: f"{i % 30},{i % 7}"),
        "line 32: time goes back from 29 to 0; taken as 2 trajectories one after the other",
    ),
    "odd names.csv": (csv(header="time,prey density,t"), "column 'prey density' is called prey_density in the"),
    "long.csv": (
        table("t,x", lambda i: f"{i},{i % 7}", rows=60_000),
        "60,000 rows are more than 50,000; one of 2 is learned from",
    ),
    "wrong ending.csv": (WHOLE, "wrong ending.csv is called .csv, but what is in it is HDF5; read as that"),
    "really parquet.txt": (parquet(FRAME), "is called .txt, but what is in it is Parquet; read as that"),
    "word.parquet": (
        parquet(FRAME.assign(y=[f"{i % 7}" if i != 4 else "bad" for i in range(60)])),
        "column y, row 5: 'bad' is no number; taken as missing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_put_right_is_refused_in_words(name):
    content, words = REFUSED[name]
    with pytest.raises(TableError) as refusal:
        read([Source(name, content)])
    assert words in str(refusal.value)
    assert str(refusal.value).startswith(name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", MENDED)
def test_what_is_put_right_is_said(name):
    content, words = MENDED[name]
    record = schema.check(read([Source(name, content)]))
    said = record.attrs["repairs"].split("\n")
    assert any(words in line for line in said), said
    assert record.sizes["time"] >= 20
    assert np.isfinite(record["data"].values).mean() > 0.9


def test_a_good_file_needs_no_word():
    assert read([Source("good.csv", csv())]).attrs["repairs"] == ""


def test_what_was_put_right_is_right():
    whole = read([Source("good.csv", csv())])
    for name in ("unsorted.csv", "duplicate.csv", "no header.csv", "decimal comma.csv", "title.csv", "cut off.csv"):
        found = read([Source(name, MENDED[name][0])])
        both = min(found.sizes["time"], 59)
        rows = slice(6, both) if name == "duplicate.csv" else slice(0, both)
        np.testing.assert_allclose(found["data"].values[rows], whole["data"].values[rows], err_msg=name)
        np.testing.assert_allclose(found["time"].values[:both], whole["time"].values[:both], err_msg=name)
    holes = read([Source("line missing.csv", MENDED["line missing.csv"][0])])["data"].values
    assert np.isnan(holes[5]).all()
    np.testing.assert_array_equal(np.delete(holes, 5, axis=0), np.delete(whole["data"].values, 5, axis=0))
    thousands = read([Source("thousands.csv", MENDED["thousands.csv"][0])])["data"].values[:, 0]
    np.testing.assert_array_equal(thousands[:12], 1100.5 + np.arange(12) ** 2 % 89)


def test_no_name_leads_out_of_a_sentence():
    with pytest.raises(TableError) as refusal:
        read([Source("../../etc/<b>passwd\n", b"")])
    assert str(refusal.value).startswith("_b_passwd_ is empty")


def test_several_files_must_have_the_same_columns():
    with pytest.raises(TableError, match=r"b\.csv: there is no column y, which a\.csv has"):
        read([Source("a.csv", csv()), Source("b.csv", table("time,x", lambda i: f"{i},{i % 7}"))])
    with pytest.raises(TableError, match="no file was given"):
        read([])
    with pytest.raises(TableError, match=r"a\.csv: there is no column when; there are: time, x, y"):
        read([Source("a.csv", csv())], time="when")
