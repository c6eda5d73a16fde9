"""Table experiment: equations in the names and units of the file, warnings, command line."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from workbench import experiments
from workbench.cli import main
from workbench.datasets.tabular import Source
from workbench.experiments import table
from workbench.symbolic import units
from workbench.training import Training, run_file


def tanks(t, s):
    return -0.5 * s[0], 0.5 * s[0] - 0.2 * s[1]


def csv(seed: int = 0, starts=((3.0, 0.0), (1.0, 2.0)), noise: float = 0.01) -> str:
    """Two tanks, one of which drains into the other, from several initial states."""
    random = np.random.default_rng(seed)
    lines = ["run;minutes;upper tank [l];lower tank [l]"]
    times = 0.1 * np.arange(120)
    for run, start in enumerate(starts):
        states = solve_ivp(tanks, (0, times[-1]), start, t_eval=times, rtol=1e-9).y.T
        noisy = states + noise * states.std(axis=0) * random.standard_normal(states.shape)
        lines += [f"{run};{t:.1f};{u:.5f};{v:.5f}" for t, (u, v) in zip(times, noisy, strict=True)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    return lambda text: table.keep([Source("tanks.csv", text.encode())])


def trained(**settings):
    training = Training(table, table.Config(**settings))
    for _ in training:
        pass
    return training


def test_equations_have_the_names_and_units_of_the_file(store):
    training = trained(record=store(csv()))
    report = training.report()
    assert [e.left_text for e in report.equations] == ["upper_tank'", "lower_tank'"]
    assert [[name for _, _, name in e.terms] for e in report.equations] == [
        ["upper_tank"],
        ["upper_tank", "lower_tank"],
    ]
    assert report.equations[0].terms[0][0] == pytest.approx(-0.5, rel=0.02)
    assert report.equations[1].left_latex == r"\mathrm{d}\,\mathrm{lower\_tank}/\mathrm{d}t"
    values = report.coefficients
    assert str(values["unit"].sel(candidate="upper_tank", variable="lower_tank").values) == "1/min"
    assert str(values["unit"].sel(candidate="1", variable="lower_tank").values) == "l/min"
    assert str(values["unit"].sel(candidate="upper_tank^2", variable="lower_tank").values) == "1/(l min)"
    assert ((values["lower"] <= values["estimate"]) & (values["estimate"] <= values["upper"])).all()
    assert report.metrics["degree"] == 1
    assert report.metrics["noise_share"] == pytest.approx(0.01, rel=0.3)
    error = (report.trajectory["estimate"] - report.trajectory["data"]) / report.trajectory["data"].std("time")
    assert float(np.abs(error).max()) < 0.1
    assert report.trajectory.sizes["time"] == 120, "the first of the two trajectories is shown"


def test_saved_run_resumes_exactly(store, tmp_path):
    config = table.Config(record=store(csv()), n_bootstrap=20)
    whole = trained(**config.model_dump())
    training = Training(table, config, path=tmp_path / "run.nc")
    training.step()
    training.save("stopped")
    again = Training(table, config, resume_from=run_file.read_run(tmp_path / "run.nc"))
    for _ in again:
        pass
    np.testing.assert_array_equal(again.model.coefficients(), whole.model.coefficients())


def test_column_selection(store):
    name = store(csv())
    data = table.data(table.Config(record=name, columns="upper_tank"))
    assert data["variable"].values.tolist() == ["upper_tank"]
    with pytest.raises(ValueError, match="unknown variable tub; expected some of upper_tank, lower_tank"):
        table.data(table.Config(record=name, columns="upper_tank, tub"))


def test_too_many_columns_raise(store):
    lines = [",".join(["time", *(f"v{i}" for i in range(25))])]
    lines += [",".join([str(t), *(f"{np.sin(t + i):.4f}" for i in range(25))]) for t in range(40)]
    with pytest.raises(ValueError, match="expected at most 20 variables, found 25; select some of v0, v1"):
        table.data(table.Config(record=store("\n".join(lines))))


@pytest.mark.parametrize("record", ["../x", "/etc/passwd", "a/b", "", "x" * 61, "a.nc", "A"])
def test_record_must_be_a_name(record):
    with pytest.raises(ValidationError, match="record"):
        table.Config(record=record)


def test_missing_record_raises(store):
    with pytest.raises(ValueError, match="table tanks-0123456789ab is not in the data folder"):
        table.data(table.Config(record="tanks-0123456789ab"))


def test_warnings_about_noise_and_residuals(store):
    noisy = trained(record=store(csv(noise=0.5)), n_bootstrap=20).report()
    assert any("at most 25% recommended" in message for message in noisy.warnings)
    times = 0.1 * np.arange(300)
    driven = np.sin(times) + 0.5 * np.sin(times**1.6)
    text = "t,x\n" + "".join(f"{t:.1f},{x:.5f}\n" for t, x in zip(times, driven, strict=True))
    hidden = trained(record=store(text), n_bootstrap=20).report()
    assert any("the equations may lack an unmeasured variable" in message for message in hidden.warnings)


def test_units_as_text():
    assert units.format_unit({"m": 1, "s": -2}) == "m/s^2"
    assert units.format_unit({"m s": -1, "day": -1}) == "1/((m s) day)"
    assert units.split_unit("mg/l") == (("mg", 1), ("l", -1))
    assert units.split_unit("1/km2") == (("1", 1), ("km2", -1))
    assert units.split_unit("m/s/s") == (("m/s/s", 1),)
    assert units.format_unit({"m": 0, "1": -2}) == "1"
    assert units.format_unit({"m": 2}) == "m^2"


def test_command_line_reads_files(store, tmp_path, capsys):
    path = tmp_path / "tanks.csv"
    path.write_text(csv())
    assert main.main(["train", "table", "--file", str(path), "--n-bootstrap", "20"]) == 0
    output = capsys.readouterr().out
    assert "tanks.csv: 2 trajectories of 240 grid points in all, one every 0.1 min" in output
    assert "warning: column 'upper tank' is named upper_tank in the equations" in output
    assert "  upper_tank' = -0.5" in output
    (run,) = (tmp_path / "runs").glob("table-*.nc")
    assert main.main(["export", str(run)]) == 0
    assert "def rates(t, u)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options,status,line",
    [
        ("--file {folder}/none.csv", 1, "--file: there is no file"),
        ("--file {folder}/bad.csv", 1, "--file: bad.csv is empty"),
        ("--file {folder}/bad.csv --record example", 2, "--file and --record: give only one of them"),
        ("--record ../bad.csv", 2, "--record: expected example, or the name"),
    ],
)
def test_invalid_files_give_one_line(options, status, line, store, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("")
    assert main.main(["train", "table", *options.format(folder=tmp_path).split()]) == status
    output = capsys.readouterr()
    assert line in output.err
    assert output.err.count("\n") == 1


def test_table_is_registered():
    assert experiments.get("table") is table
