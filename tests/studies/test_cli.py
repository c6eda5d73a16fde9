"""Study commands: grid, search, resume, and one-line errors."""

import re

import pytest
import xarray as xr

from workbench.cli import main


def address(client) -> list[str]:
    return ["--scheduler", client.scheduler.address]


def test_grid_is_run_saved_printed_and_resumed(client, tmp_path, capsys):
    folder = tmp_path / "studies" / "mine"
    arguments = ["study", "walk", "--axis", "drift=0,0.5", "--seeds", "2", "--length", "3", "--output", str(folder)]
    assert main.main([*arguments, *address(client)]) == 0
    output = capsys.readouterr().out
    assert f"study: {folder}, 4 cells" in output
    assert re.search(r"^4 of 4 cells", output, re.MULTILINE)
    assert re.search(r"^ +drift +distance .*memory_mb", output, re.MULTILINE)
    with xr.open_dataset(folder / "study.nc", engine="h5netcdf") as results:
        assert dict(results.sizes) == {"drift": 2, "seed": 2}
        median = float(results.distance.sel(drift=0.5).median())
    assert re.search(rf"^ +0\.5 +{re.escape(f'{median:.4g}')} ", output, re.MULTILINE)
    times = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*.nc")}
    assert main.main(["study", "resume", "mine", *address(client)]) == 0
    assert "4 of 4 cells" in capsys.readouterr().out
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_failed_cells_are_printed_with_status_1(client, tmp_path, capsys):
    arguments = ["study", "walk", "--axis", "fail-at=0,2", "--seed", "4", "--output", str(tmp_path / "s")]
    assert main.main([*arguments, *address(client)]) == 1
    assert "failed: fail_at=2, seed=4: ArithmeticError: the ground gave way" in capsys.readouterr().out


def test_search_prints_its_trials_and_the_best(client, tmp_path, capsys):
    arguments = [
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
    assert main.main([*arguments, "--output", str(tmp_path / "s"), *address(client)]) == 0
    output = capsys.readouterr().out
    values = [float(value) for value in re.findall(r"^trial .*distance ([\d.]+)$", output, re.MULTILINE)]
    assert len(values) == 4
    best = float(re.search(r"^best: drift .* distance ([\d.]+)$", output, re.MULTILINE).group(1))
    assert best == pytest.approx(min(values), rel=1e-3)


@pytest.mark.parametrize(
    "arguments,line",
    [
        ("walk --axis drift", "expected NAME=VALUE,VALUE,..., found 'drift'"),
        ("walk --axis drift=0 --axis drift=1", "--axis: drift is given twice"),
        ("walk --axis colour=red", "axis colour: walk has no such setting"),
        ("walk --axis drift=0,99", "drift=99, seed=0: drift Input should be less than or equal to 10"),
        ("walk --axis drift=0,1 --drift 2", "axis drift: the name is taken"),
        ("walk --seeds many", "--seeds: expected a number of seeds"),
        ("walk --search drift=4..1", "--search drift=4..1: expected low < high"),
        ("walk --search drift=1..2 --axis length=1,2", "--axis: not allowed with --search"),
        ("walk --workers 0", "--workers: expected an integer of at least 1"),
        ("walks", "invalid choice: 'walks'"),
    ],
)
def test_invalid_arguments_give_one_line_and_status_2(arguments, line, capsys):
    assert main.main(["study", *arguments.split()]) == 2
    output = capsys.readouterr()
    assert line in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments,line",
    [
        ("resume nothing", "nothing: there is no study"),
        ("walk --scheduler tcp://127.0.0.1:1", "there is no scheduler at tcp://127.0.0.1:1"),
    ],
)
def test_missing_study_or_scheduler_gives_one_line_and_status_1(arguments, line, capsys, monkeypatch):
    monkeypatch.setattr("workbench.studies.cluster.PATIENCE", 0.5)
    assert main.main(["study", *arguments.split()]) == 1
    output = capsys.readouterr().err
    assert line in output
    assert output.count("\n") == 1
