"""Command line: train, resume, runs, show, waves, one-line errors, and Ctrl-C."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE
from workbench import experiments
from workbench.cli import main
from workbench.training import run_file

ROOT = Path(__file__).parents[2]
SMALL = ["--points", "1000"]
TINY_ADAM = ["--mode=adam", "--points=60", "--window=8", "--batch=8", "--hidden=8", "--epochs=2", "--cycles=2"]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    return tmp_path / "runs"


def test_train_prints_progress_and_equations_and_saves_the_run(folder, capsys):
    assert main.main(["train", "lorenz", "--mode", "projection", *SMALL]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^step 1 of 11 .*loss", output, re.MULTILINE)
    assert "  x' = -10.000 x + 10.000 y\n  true: x' = -10.000 x + 10.000 y" in output
    (path,) = folder.glob("*.nc")
    assert f"run file: {path}" in output
    run = run_file.read_run(path)
    assert (run.status, run.config["points"], run.steps) == ("finished", 1000, run.steps)
    assert f"step {run.steps} of {run.total}" in output
    assert run.metrics["recall"] == 1


def test_resumed_run_equals_an_uninterrupted_one(folder, capsys):
    whole, parts = folder / "whole.nc", folder / "parts.nc"
    assert main.main(["train", "lorenz", *TINY_ADAM, "--output", str(whole)]) == 0
    assert main.main(["train", "lorenz", *TINY_ADAM, "--output", str(parts), "--steps", "5"]) == 0
    assert f"resume {parts}" in capsys.readouterr().out
    assert run_file.read_run(parts).status == "stopped"
    assert main.main(["resume", "parts", "--steps", "3"]) == 0
    assert run_file.read_run(parts).steps == 8
    assert main.main(["resume", str(parts)]) == 0
    one, other = run_file.read_run(whole), run_file.read_run(parts)
    assert other.status == "finished"
    assert one.records.drop_vars(["seconds", "memory_mb"]).identical(other.records.drop_vars(["seconds", "memory_mb"]))


def test_runs_and_show(folder, capsys):
    assert main.main(["runs"]) == 0
    assert "No runs in" in capsys.readouterr().out
    main.main(["train", "lorenz", *SMALL, "--noise", "0.1", "--output", str(folder / "first.nc")])
    (folder / "broken.nc").write_text("")
    capsys.readouterr()
    assert main.main(["runs"]) == 0
    output = capsys.readouterr()
    assert re.search(r"^first +lorenz auto +finished +step (\d+) of \1 ", output.out, re.MULTILINE)
    assert "broken" in output.err
    assert main.main(["show", "first"]) == 0
    output = capsys.readouterr().out
    assert "noise 0.1" in output
    assert "torch" in output
    assert "true: z' = -2.667 z + 1.000 x y" in output
    assert re.search(r"estimated noise level: 0\.(09|10)", output)


@pytest.mark.parametrize(
    "arguments,line",
    [
        ("train lorenz --noise -1", "--noise: must be greater than or equal to 0, not '-1'"),
        ("train lorenz --noise loud", "--noise: must be a valid number"),
        ("train lorenz --learning-rate 0", "--learning-rate: must be greater than 0"),
        ("train lorenz --mode guess", "--mode: must be 'auto', 'projection', 'smoothing' or 'adam', not 'guess'"),
        ("train lorenz --window 300 --points 200", "--window: the window (300 grid points) is longer than the record"),
        ("train lorenz --steps 0", "--steps: expected an integer of at least 1, found '0'"),
        ("train lorenz --colour red", "unrecognized arguments: --colour red"),
        ("train lorenz --poin 100", "unrecognized arguments: --poin 100"),
        ("train lorentz", "invalid choice: 'lorentz'"),
        ("train", "required: experiment"),
        ("", "required: command"),
    ],
)
def test_invalid_arguments_give_one_line_and_status_2(arguments, line, capsys):
    assert main.main(arguments.split()) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert line in output.err
    assert output.err.count("\n") == 1


def test_all_invalid_values_are_named(capsys):
    main.main(["train", "lorenz", "--noise=-1", "--hidden=0"])
    output = capsys.readouterr().err
    assert "--noise" in output
    assert "--hidden" in output


def test_invalid_run_files_give_one_line_and_status_1(folder, capsys):
    folder.mkdir()
    (folder / "text.nc").write_text("hello")
    for name, message in (("text", "not a readable run file"), ("nothing", "there is no run file")):
        assert main.main(["show", name]) == 1
        output = capsys.readouterr().err
        assert message in output
        assert output.count("\n") == 1


def test_existing_file_is_not_overwritten(folder, capsys):
    folder.mkdir()
    path = folder / "mine.nc"
    path.write_text("precious")
    assert main.main(["train", "lorenz", *SMALL, "--output", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_failed_run_gives_one_line_and_status_1(folder, capsys, monkeypatch):
    monkeypatch.setitem(experiments.TABLE, "fake", "tests.training.fake")
    assert main.main(["train", "fake", "--fail-at", "4"]) == 1
    output = capsys.readouterr().err
    assert "the run failed: no memory for a matrix of 8 GB; its best state is saved in" in output
    assert output.count("\n") == 1
    (path,) = folder.glob("*.nc")
    assert main.main(["show", str(path)]) == 0
    assert "message: no memory" in capsys.readouterr().out


def test_help_describes_all_settings(capsys):
    assert main.main(["train", "lorenz", "--help"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    for name, field in experiments.get("lorenz").Config.model_fields.items():
        assert "--" + name.replace("_", "-") in output
        assert " ".join(field.description.split()) in output
    assert "[at least 0 and at most 20; default 0.0]" in output
    assert "default 0, adam: 50]" in output


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_saves_the_run_and_prints_how_to_resume(folder):
    path = folder / "run.nc"
    command = [sys.executable, "-m", "workbench", "train", "lorenz", *TINY_ADAM, "--epochs=100000", f"--output={path}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not process.stdout.readline().startswith("step "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"resume {path}" in output
    assert "x' =" in output
    run = run_file.read_run(path)
    assert run.status == "stopped"
    assert run.steps >= 1
    assert f"stopped at step {run.steps} of {run.total}" in output


def test_waves_are_generated_with_a_progress_bar(folder, capsys):
    command = ["waves", "burgers", "--count", "3", "--seed", "2", "--split", "test"]
    assert main.main(command) == 0
    output = capsys.readouterr().out
    path = folder.parent / "waves" / "seed-2" / "Burgers_test.h5"
    assert f"[{'#' * 30}] 3 of 3\n{path}\n" in output
    assert path.exists()
    assert main.main(["waves", "kvd"]) == 2
    assert "there is no set 'kvd'; there are: kdv-easy, kdv, ks, burgers" in capsys.readouterr().err
    assert main.main([*command, "--dealias"]) == 2
    assert "delete it or choose another folder" in capsys.readouterr().err
