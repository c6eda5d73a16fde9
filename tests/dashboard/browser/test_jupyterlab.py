"""`workbench.explore` in JupyterLab, in an offline browser."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.dashboard.browser.browsing import MILLISECONDS, button, equation, expect, free_port, state, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.exhaustive]

CELL = 'import workbench\nworkbench.explore("lorenz", points=1000)'


@pytest.fixture
def lab(tmp_path):
    """URL of a JupyterLab with one notebook and default settings."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)], metadata=kernel)
    (tmp_path / "own").mkdir()
    nbformat.write(notebook, tmp_path / "own" / "cell.ipynb")
    names = "WORKBENCH_DATA", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"
    address = f"http://localhost:{(port := free_port())}"
    options = [f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    news = ["--LabApp.news_url=None", f"--ServerApp.root_dir={tmp_path / 'own'}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, *news],
            cwd=Path(__file__).parents[3],
            env=os.environ | {name: str(tmp_path / name) for name in names},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(f"{address}/lab", process, tmp_path / "log")
            yield f"{address}/lab/tree/cell.ipynb"
        finally:
            process.terminate()
            process.wait(60)


def test_a_notebook_cell_displays_a_training_offline(lab, browser):
    expect.set_options(timeout=MILLISECONDS)
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.route(re.compile(r"^https?://(?!localhost)"), lambda route: route.abort())
    page, errors = context.new_page(), []
    page.set_default_timeout(MILLISECONDS)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(lab)
    # a cell can be executed before the kernel and the extensions of the page are ready
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=MILLISECONDS)
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible(timeout=MILLISECONDS)
    expect(page.get_by_role("textbox", name=re.compile("^Noise"))).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    expect(state(page)).to_have_text("Ready")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(state(page)).to_have_text("Finished")
    expect(equation(page, re.compile(r"^x' = -10\.\d* x \+ 10\.\d* y$"))).to_be_visible()
    expect(button(page, "Pause")).to_be_disabled()
    assert [text for text in errors if not text.startswith("Failed to load resource: net::ERR_FAILED")] == []
    context.close()
