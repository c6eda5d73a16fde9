"""Every notebook runs, at its short setting, and is what its script says."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
MOST_LINES = 80
"""Of code, brackets alone on a line not counted."""
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))


def test_each_notebook_has_its_script():
    assert SCRIPTS
    assert [path.stem for path in SCRIPTS] == [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_agrees_with_its_script(script):
    here, there = jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    cells = [[(cell.cell_type, cell.source) for cell in notebook.cells] for notebook in (here, there)]
    assert cells[0] == cells[1], "run `make notebooks`"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_short(script):
    code = "\n".join(cell.source for cell in jupytext.read(script).cells if cell.cell_type == "code")
    assert len(re.findall(r"^(?! *#).*\w", code, re.M)) <= MOST_LINES


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_runs(script, monkeypatch):
    monkeypatch.setenv("WORKBENCH_SHORT", "1")
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    resources = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=resources).execute()
