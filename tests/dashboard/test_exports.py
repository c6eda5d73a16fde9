"""Exports of runs: scripts and notebooks that reproduce a run, HTML reports, NetCDF."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import panel as pn
import pytest
from nbclient import NotebookClient

from tests.waiting import PATIENCE
from workbench import experiments
from workbench.dashboard.runs import exports
from workbench.training import Training, run_file


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a finished run of a real experiment, since exports must run on their own."""
    experiment = experiments.get("sine")
    path = tmp_path_factory.mktemp("real") / "sine-1.nc"
    for _ in Training(experiment, experiment.Config(seed=4), path=path):
        pass
    return path


def test_an_exported_script_reproduces_the_losses_exactly(run_path, tmp_path):
    file = tmp_path / "again.py"
    file.write_bytes(exports.script(run_path))
    process = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=PATIENCE, check=True)
    history = [line.split() for line in process.stdout.splitlines() if line[:1].isdigit()]
    records = run_file.read_run(run_path).records
    assert [(int(step), float(loss)) for step, loss in history] == list(
        zip(records.step.values.tolist(), records.loss.values.tolist(), strict=True)
    )


def test_an_exported_notebook_reproduces_the_losses_exactly(run_path, tmp_path):
    notebook = nbformat.reads(exports.notebook(run_path).decode(), as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    losses = [float(line.split()[1]) for line in text.splitlines() if line[:1].isdigit()]
    assert losses == run_file.read_run(run_path).records.loss.values.tolist()


def test_the_script_of_a_stopped_run_stops_at_its_last_step(new_job):
    job = new_job()
    for _ in range(3):
        job.step_once()
        assert job.wait(PATIENCE)
    text = exports.script(job.path).decode()
    assert "record.step == 3" in text
    compile(text, "again.py", "exec")


class UrlParser(HTMLParser):
    """Collects the URLs that the tags of a page load."""

    def __init__(self) -> None:
        super().__init__()
        self.urls = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_the_report_is_self_contained(run_path):
    pn.extension("plotly")  # as in the dashboard
    text = exports.page(run_path).decode()
    parser = UrlParser()
    parser.feed(text)
    assert parser.urls == []
    assert "@import" not in text.partition("<script")[0]
    assert text.startswith("<!DOCTYPE html>")
    for part in ("Learning curve", "Trajectory", "Settings", "Versions", "seed"):
        assert part in text
    assert len(text) < 3e6, "small enough to open at once"


def test_the_report_escapes_the_content_of_a_run_file(new_job):
    job = new_job()
    job.step_once()
    assert job.wait(PATIENCE)
    run_file.set_status(job.path, "failed", "<script>alert(1)</script>")
    assert "<script>alert(1)" not in exports.page(job.path).decode()


def test_an_invalid_file_cannot_be_exported(tmp_path):
    broken = tmp_path / "broken.nc"
    broken.write_bytes(b"nothing")
    for _, export in exports.FORMATS.values():
        with pytest.raises(ValueError, match=r"broken\.nc"):
            export(broken)
