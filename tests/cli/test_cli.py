"""The command line: the same runs from a shell, one line for what is wrong, Ctrl-C that loses nothing."""

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


def test_train_shows_progress_and_the_equations_and_keeps_the_run(folder, capsys):
    assert main.main(["train", "lorenz", "--mode", "projection", *SMALL]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^step 1 of 11 .*loss", told, re.MULTILINE)
    assert "  x' = -10.000 x + 10.000 y\n  true: x' = -10.000 x + 10.000 y" in told
    (path,) = folder.glob("*.nc")
    assert f"run file: {path}" in told
    run = run_file.read_run(path)
    assert (run.status, run.config["points"], run.steps) == ("finished", 1000, run.steps)
    assert f"step {run.steps} of {run.total}" in told
    assert run.metrics["recall"] == 1


def test_a_stopped_run_is_resumed_to_the_same_numbers(folder, capsys):
    whole, halves = folder / "whole.nc", folder / "halves.nc"
    assert main.main(["train", "lorenz", *TINY_ADAM, "--output", str(whole)]) == 0
    assert main.main(["train", "lorenz", *TINY_ADAM, "--output", str(halves), "--steps", "5"]) == 0
    assert f"resume {halves}" in capsys.readouterr().out
    assert run_file.read_run(halves).status == "stopped"
    assert main.main(["resume", "halves", "--steps", "3"]) == 0
    assert run_file.read_run(halves).steps == 8
    assert main.main(["resume", str(halves)]) == 0
    one, other = run_file.read_run(whole), run_file.read_run(halves)
    assert other.status == "finished"
    assert one.records.drop_vars(["seconds", "memory_mb"]).identical(other.records.drop_vars(["seconds", "memory_mb"]))


def test_the_list_and_the_details_of_runs(folder, capsys):
    assert main.main(["runs"]) == 0
    assert "No runs yet" in capsys.readouterr().out
    main.main(["train", "lorenz", *SMALL, "--noise", "0.1", "--output", str(folder / "first.nc")])
    (folder / "broken.nc").write_text("")
    capsys.readouterr()
    assert main.main(["runs"]) == 0
    told = capsys.readouterr()
    assert re.search(r"^first +lorenz auto +finished +step \d+ of 43", told.out, re.MULTILINE)
    assert "broken" in told.err
    assert main.main(["show", "first"]) == 0
    told = capsys.readouterr().out
    assert "noise 0.1" in told
    assert "torch" in told
    assert "true: z' = -2.667 z + 1.000 x y" in told
    assert re.search(r"noise, told from the data: 0\.(09|10)", told)


@pytest.mark.parametrize(
    "words,line",
    [
        ("train lorenz --noise -1", "--noise: must be greater than or equal to 0, not '-1'"),
        ("train lorenz --noise loud", "--noise: must be a valid number"),
        ("train lorenz --learning-rate 0", "--learning-rate: must be greater than 0"),
        ("train lorenz --mode guess", "--mode: must be 'auto', 'projection', 'smoothing' or 'adam', not 'guess'"),
        ("train lorenz --window 300 --points 200", "--window: the window (300 grid points) is longer than the record"),
        ("train lorenz --steps 0", "--steps: a whole number of at least 1 is needed, not '0'"),
        ("train lorenz --colour red", "unrecognized arguments: --colour red"),
        ("train lorenz --poin 100", "unrecognized arguments: --poin 100"),
        ("train lorentz", "invalid choice: 'lorentz'"),
        ("train", "required: experiment"),
        ("", "required: command"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(words, line, capsys):
    assert main.main(words.split()) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert line in told.err
    assert told.err.count("\n") == 1


def test_several_bad_values_are_all_named(capsys):
    main.main(["train", "lorenz", "--noise=-1", "--hidden=0"])
    told = capsys.readouterr().err
    assert "--noise" in told
    assert "--hidden" in told


def test_files_that_are_no_runs_are_one_line_and_status_1(folder, capsys):
    folder.mkdir()
    (folder / "text.nc").write_text("hello")
    for name, words in (("text", "not a readable run file"), ("nothing", "there is no run file")):
        assert main.main(["show", name]) == 1
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1


def test_an_existing_file_is_not_overwritten(folder, capsys):
    folder.mkdir()
    path = folder / "mine.nc"
    path.write_text("precious")
    assert main.main(["train", "lorenz", *SMALL, "--output", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_a_run_that_fails_is_one_line_and_status_1(folder, capsys, monkeypatch):
    monkeypatch.setitem(experiments.TABLE, "fake", "tests.training.fake")
    assert main.main(["train", "fake", "--fail-at", "4"]) == 1
    told = capsys.readouterr().err
    assert "the run failed: no memory for a matrix of 8 GB; what it found is kept in" in told
    assert told.count("\n") == 1
    (path,) = folder.glob("*.nc")
    assert main.main(["show", str(path)]) == 0
    assert "message: no memory" in capsys.readouterr().out


def test_help_tells_every_setting(capsys):
    assert main.main(["train", "lorenz", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for name, field in experiments.get("lorenz").Config.model_fields.items():
        assert "--" + name.replace("_", "-") in told
        assert " ".join(field.description.split()) in told
    assert "[at least 0 and at most 20; default 0.0]" in told
    assert "default 0, adam: 50]" in told


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts as POSIX does")
def test_ctrl_c_keeps_the_run_and_says_how_to_go_on(folder):
    path = folder / "run.nc"
    words = [sys.executable, "-m", "workbench", "train", "lorenz", *TINY_ADAM, "--epochs=100000", f"--output={path}"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not process.stdout.readline().startswith("step "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        told, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in complaints
    assert f"resume {path}" in told
    assert "x' =" in told
    run = run_file.read_run(path)
    assert run.status == "stopped"
    assert run.steps >= 1
    assert f"stopped at step {run.steps} of {run.total}" in told


def test_files_of_waves_are_made_with_a_bar(folder, capsys):
    command = ["waves", "burgers", "--count", "3", "--seed", "2", "--split", "test"]
    assert main.main(command) == 0
    told = capsys.readouterr().out
    path = folder.parent / "waves" / "seed-2" / "Burgers_test.h5"
    assert f"[{'#' * 30}] 3 of 3\n{path}\n" in told
    assert path.exists()
    assert main.main(["waves", "kvd"]) == 2
    assert "there is no set 'kvd'; there are: kdv-easy, kdv, ks, burgers" in capsys.readouterr().err
    assert main.main([*command, "--dealias"]) == 2
    assert "delete it, or name a folder" in capsys.readouterr().err
