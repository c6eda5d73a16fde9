"""Studies from a shell: the grid, the search, going on, and one line for what is wrong."""

import re

import pytest
import xarray as xr

from workbench.cli import main


def address(client) -> list[str]:
    return ["--scheduler", client.scheduler.address]


def test_a_grid_is_run_kept_told_and_gone_on_with(client, tmp_path, capsys):
    folder = tmp_path / "studies" / "mine"
    words = ["study", "walk", "--axis", "drift=0,0.5", "--seeds", "2", "--length", "3", "--output", str(folder)]
    assert main.main([*words, *address(client)]) == 0
    told = capsys.readouterr().out
    assert f"study: {folder}, 4 cells" in told
    assert re.search(r"^4 of 4 cells", told, re.MULTILINE)
    assert re.search(r"^ +drift +distance .*memory_mb", told, re.MULTILINE)
    with xr.open_dataset(folder / "study.nc", engine="h5netcdf") as found:
        assert dict(found.sizes) == {"drift": 2, "seed": 2}
        middle = float(found.distance.sel(drift=0.5).median())
    assert re.search(rf"^ +0\.5 +{re.escape(f'{middle:.4g}')} ", told, re.MULTILINE)
    times = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*.nc")}
    assert main.main(["study", "resume", "mine", *address(client)]) == 0
    assert "4 of 4 cells" in capsys.readouterr().out
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_failed_cells_are_told_and_are_status_1(client, tmp_path, capsys):
    words = ["study", "walk", "--axis", "fail-at=0,2", "--seed", "4", "--output", str(tmp_path / "s")]
    assert main.main([*words, *address(client)]) == 1
    assert "failed: fail_at=2, seed=4: ArithmeticError: the ground gave way" in capsys.readouterr().out


def test_a_search_tells_its_trials_and_the_best(client, tmp_path, capsys):
    words = [
        "study",
        "walk",
        "--search",
        "drift=0..4",
        "--search",
        "length=1,2",
        "--trials",
        "4",
        "--metric",
        "distance",
    ]
    assert main.main([*words, "--output", str(tmp_path / "s"), *address(client)]) == 0
    told = capsys.readouterr().out
    values = [float(value) for value in re.findall(r"^trial .*distance ([\d.]+)$", told, re.MULTILINE)]
    assert len(values) == 4
    best = float(re.search(r"^best: drift .* distance ([\d.]+)$", told, re.MULTILINE).group(1))
    assert best == pytest.approx(min(values), rel=1e-3)


@pytest.mark.parametrize(
    "words,line",
    [
        ("walk --axis drift", "NAME=VALUE,VALUE,... is needed, not 'drift'"),
        ("walk --axis drift=0 --axis drift=1", "--axis: drift is given twice"),
        ("walk --axis colour=red", "axis colour: walk has no such setting"),
        ("walk --axis drift=0,99", "drift=99, seed=0: drift Input should be less than or equal to 10"),
        ("walk --axis drift=0,1 --drift 2", "axis drift: the name is taken"),
        ("walk --seeds many", "--seeds: a number of seeds"),
        ("walk --search drift=4..1", "--search drift=4..1: expected low < high"),
        ("walk --search drift=1..2 --axis length=1,2", "--axis: a search has none"),
        ("walk --workers 0", "--workers: a whole number of at least 1 is needed"),
        ("walks", "invalid choice: 'walks'"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(words, line, capsys):
    assert main.main(["study", *words.split()]) == 2
    told = capsys.readouterr()
    assert line in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    "words,line",
    [
        ("resume nothing", "nothing: there is no study"),
        ("walk --scheduler tcp://127.0.0.1:1", "there is no scheduler at tcp://127.0.0.1:1"),
    ],
)
def test_what_is_not_there_is_one_line_and_status_1(words, line, capsys, monkeypatch):
    monkeypatch.setattr("workbench.studies.cluster.PATIENCE", 0.5)
    assert main.main(["study", *words.split()]) == 1
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
