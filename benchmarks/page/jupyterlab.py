"""Measure the slider latency of notebook 02 in JupyterLab, in an offline browser.

    python benchmarks/page/jupyterlab.py [--json FILE]

Runs all cells, then moves each slider by keyboard. Times are measured in the page, from the key press to the frame that
shows the last change of the figure. Kernel, server and browser share the cores of the machine.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from latency import FLAGS, ROOT, free_port, wait_for
from playwright.sync_api import Locator, Page, sync_playwright

NOTEBOOK = "02_solver_variants.ipynb"
GOAL = 0.3
MOVES = {"T": 5 * ["ArrowRight"], "step h": 2 * ["ArrowLeft"], "derivatives": 2 * ["ArrowRight"]}
"""Keys pressed on each slider, by its name; T ends at 5,000 points."""
TIMEOUT = 60_000
# Record the time of the frame after each change of a figure, when it is visible.
WATCH = """() => {
    window.keyTime = 0, window.drawTime = 0
    document.addEventListener('keydown', () => { window.keyTime = performance.now(); window.drawTime = 0 }, true)
    const record = () => requestAnimationFrame(() => { window.drawTime = performance.now() })
    for (const document of Bokeh.documents) document.on_change(record)
    return Bokeh.documents.length
}"""
LATENCY = "() => window.drawTime > window.keyTime ? window.drawTime - window.keyTime : null"


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """URL of a JupyterLab for this folder with default settings."""
    port, settings = free_port(), folder / "settings"
    names = "WORKBENCH_DATA", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"
    options = [f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, "--LabApp.news_url=None", f"--ServerApp.root_dir={folder}"],
        cwd=ROOT,
        env=os.environ | {name: str(settings / name) for name in names},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://localhost:{port}/lab", process)
        yield f"http://localhost:{port}/lab/tree/{NOTEBOOK}"
    finally:
        process.terminate()
        process.wait(60)


def execute(page: Page, address: str) -> None:
    """Open the notebook and run all cells."""
    page.goto(address)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_text("h = 0.0001").wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    slider(page, "T").scroll_into_view_if_needed()
    page.locator(".bk-Figure").wait_for()
    page.wait_for_timeout(2000)


def slider(page: Page, name: str) -> Locator:
    """Handle of a slider."""
    row = page.locator(".widget-slider, .widget-inline-hbox").filter(
        has=page.locator(".widget-label", has_text=re.compile(f"^{name}$"))
    )
    return row.locator(".noUi-handle").first


def move(page: Page, name: str, keys: list[str]) -> list[float]:
    """Seconds from each key press to the last change of the figure."""
    handle, seconds = slider(page, name), []
    for key in keys:
        handle.focus()
        page.keyboard.press(key)
        page.wait_for_function(LATENCY)
        page.wait_for_timeout(1000)  # the figure may change again
        seconds.append(page.evaluate(LATENCY) / 1e3)
    return seconds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        context = browser.new_context(viewport={"width": 1400, "height": 1100})
        context.route(re.compile(r"^https?://(?!localhost)"), lambda route: route.abort())
        context.set_default_timeout(TIMEOUT)
        with jupyterlab(folder) as address:
            page = context.new_page()
            execute(page, address)
            if not page.evaluate(WATCH):
                raise RuntimeError("the notebook shows no figure")
            seconds = {label: move(page, label, keys) for label, keys in MOVES.items()}
        browser.close()
    every = [value for values in seconds.values() for value in values]
    report: dict[str, Any] = {
        "date": date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "load": round(os.getloadavg()[0], 1)},
        "seconds from key to figure": {label: [round(v, 3) for v in values] for label, values in seconds.items()},
        "median": round(statistics.median(every), 3),
        "most": round(max(every), 3),
        "goal": GOAL,
        "met": max(every) <= GOAL,
    }
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
