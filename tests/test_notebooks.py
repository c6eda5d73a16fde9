"""Every notebook runs with its short settings and agrees with its script."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
MAX_LINES = 80
"""Lines of code, without those that hold only brackets."""
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
SLOW = ("02_solver_variants", "06_waves", "07_sea_surface_temperature", "09_scaling")
"""Notebooks that run only with --exhaustive."""


def test_each_notebook_has_a_script():
    assert SCRIPTS
    assert [path.stem for path in SCRIPTS] == [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_agrees_with_its_script(script):
    pair = jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    cells = [[(cell.cell_type, cell.source) for cell in notebook.cells] for notebook in pair]
    assert cells[0] == cells[1], "run `make notebooks`"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_short(script):
    code = "\n".join(cell.source for cell in jupytext.read(script).cells if cell.cell_type == "code")
    assert len(re.findall(r"^(?! *#).*\w", code, re.M)) <= MAX_LINES


@pytest.fixture(scope="session")
def errors(tmp_path_factory):
    """Map every notebook to its first error or ""; all run in one process, which imports the packages once."""
    broken = tmp_path_factory.mktemp("notebooks") / "broken.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in ("x = 1", "x / 0", "x = 2")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), broken)
    notebooks = [str(broken), *(str(script.with_suffix(".ipynb")) for script in SCRIPTS if script.stem not in SLOW)]
    result = subprocess.run(
        [sys.executable, "-m", "tests.run_notebooks", *notebooks],
        cwd=ROOT,
        env=os.environ | {"WORKBENCH_SHORT": "1"},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert result.returncode == 0, result.stderr
    errors = json.loads(result.stdout.splitlines()[-1])
    assert errors.pop(str(broken)) == "ZeroDivisionError('division by zero') in\nx / 0"
    return errors


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.stem not in SLOW], ids=lambda path: path.stem)
def test_the_notebook_runs(script, errors):
    assert errors[str(script.with_suffix(".ipynb"))] == ""


@pytest.mark.exhaustive
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_runs_in_a_jupyter_kernel(script, monkeypatch):
    monkeypatch.setenv("WORKBENCH_SHORT", "1")
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    resources = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=resources).execute()
