"""Measure the latency of the dashboard in a browser, and the cost of displaying a run.

    python benchmarks/page/latency.py [--repeat 5] [--json FILE] [--address http://localhost:5006/app]

Prints the results and writes them as JSON. Without --address the app is served from this folder, warmed up. Times are
measured in the page, from the click to the frame that shows the response; medians over the repeats. The browser renders
in software on the cores of the server, so a machine with a GPU is faster.
"""

import argparse
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, ElementHandle, Page, sync_playwright

ROOT = Path(__file__).parents[2]
FLAGS = [
    *("--headless=new", "--no-sandbox", "--no-first-run", "--disable-quic", "--disable-sync"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing"),
    *("--disable-background-networking", "--disable-component-update"),
]
GOALS = {
    "page usable": 4.0,
    "Start to first update": 0.5,
    "Pause answers": 0.2,
    "Stop answers": 0.2,
    "slider to solution of 5,000 points": 0.3,
    "speed with the page open": 0.8,
}
# Click and wait, frame by frame, until the status of the run is one of `expected`; milliseconds, or null.
PRESS = """async ([button, root, expected]) => {
    const begin = performance.now()
    button.click()
    while (performance.now() - begin < 60000) {
        if (expected.includes(root.querySelector('.chip')?.textContent)) return performance.now() - begin
        await new Promise(requestAnimationFrame)
    }
    return null
}"""


@contextmanager
def served(**variables: str) -> Iterator[str]:
    """URL of the app on a free port, with a temporary data folder and additional environment variables."""
    port = free_port()
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port), "--warm"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "WORKBENCH_DATA": folder, **variables}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        try:
            yield wait_for(f"http://localhost:{port}/app", process)
        finally:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    """Free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str, process: subprocess.Popen) -> str:
    """Wait until a URL responds, and return it. Raises RuntimeError after two minutes."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            urlopen(address, timeout=60).close()
            return address
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError("the app did not start")


def open_page(browser: Browser, address: str) -> tuple[Page, float]:
    """Page in a new context, and the seconds until Start is clickable."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    begin = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("button", name="Start").click(trial=True)
    seconds = time.perf_counter() - begin
    page.get_by_text("Training data.").wait_for()
    page.wait_for_timeout(1500)
    return page, seconds


def state_root(page: Page) -> ElementHandle:
    """Shadow root of the run status, stable across redraws."""
    return page.get_by_role("status").evaluate_handle("element => element.getRootNode()")


def press(page: Page, name: str, *expected: str) -> float:
    """Seconds from a click on the button `name` until the run has one of the expected states."""
    button = page.get_by_role("button", name=name).first.element_handle()
    milliseconds = page.evaluate(PRESS, [button, state_root(page), list(expected)])
    if milliseconds is None:
        raise RuntimeError(f"no response to {name}")
    return milliseconds / 1e3


def discovery(browser: Browser, address: str) -> dict[str, float]:
    """Run with default settings: page usable, first update, end."""
    page, usable = open_page(browser, address)
    begin = time.perf_counter()
    update = press(page, "Start", "Running", "Finished")
    page.get_by_text("Finished").wait_for()
    end = time.perf_counter() - begin
    page.context.close()
    return {
        "page usable": usable,
        "Start to first update": update,
        "Start to the end": end,
    }


def control(browser: Browser, address: str) -> dict[str, float]:
    """Latency of Pause and Stop while networks train, which uses both cores."""
    page, _ = open_page(browser, f"{address}?mode=adam")
    press(page, "Start", "Running")
    page.get_by_role("math").first.wait_for()
    page.wait_for_timeout(2000)
    pause = press(page, "Pause", "Pausing", "Paused")
    page.get_by_text("Paused").wait_for()
    press(page, "Resume", "Running")
    page.wait_for_timeout(1000)
    stop = press(page, "Stop", "Stopping", "Stopped")
    page.get_by_text("Stopped").wait_for()
    page.context.close()
    return {"Pause answers": pause, "Stop answers": stop}


def following(browser: Browser, address: str, seconds: float = 10.0, pairs: int = 3) -> dict[str, float]:
    """Median milliseconds per Adam step of one job, alternately with the page open and closed."""
    page, _ = open_page(browser, f"{address}?mode=adam&cycles=1&epochs=100000")
    press(page, "Start", "Running")
    page.get_by_role("math").first.wait_for()
    run, with_page, without_page = page.url, [], []
    for _ in range(pairs):
        page.wait_for_timeout(3000)
        with_page.append(step_time(page, seconds))
        page.goto("about:blank")
        time.sleep(seconds)
        without_page.append(step_time_since(page, run, with_page[-1]))
    press(page, "Stop", "Stopping", "Stopped")
    page.context.close()
    open_, closed = statistics.median(one["ms"] for one in with_page), statistics.median(without_page)
    return {
        "ms per step, page open": open_,
        "ms per step, page closed": closed,
        "speed with the page open": closed / open_,
    }


def numbers(page: Page) -> tuple[int, float]:
    """Displayed step and training time."""
    step, seconds = page.locator(".numbers b").all_inner_texts()[:2]
    return int(step.replace(",", "")), float(seconds.replace(",", ""))


def step_time(page: Page, seconds: float) -> dict[str, float]:
    """Wall time per step in milliseconds over the next `seconds`."""
    begin, (first, _) = time.perf_counter(), numbers(page)
    page.wait_for_timeout(1e3 * seconds)
    last, _ = numbers(page)
    end = time.perf_counter()
    return {"ms": 1e3 * (end - begin) / max(1, last - first), "step": last, "time": end}


def step_time_since(page: Page, run: str, before: dict[str, float]) -> float:
    """Wall time per step in milliseconds since `before`; opens the page again to read it."""
    end = time.perf_counter()
    page.goto(run)
    page.locator(".numbers b").first.wait_for()
    extra = time.perf_counter() - end
    step, _ = numbers(page)
    return 1e3 * (end + extra - before["time"]) / max(1, step - before["step"])


# Milliseconds from a key press on the slider until the solution of `points` grid points is displayed, or null.
SLIDE = """async ([slider, points]) => {
    const all = root => [...root.querySelectorAll('*')].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])])
    const hasText = e => e.shadowRoot === null && (e.tagName === 'TR' || e.className === 'caption')
    const pageText = () => all(document).filter(hasText).map(e => e.textContent).join('|')
    const key = {key: 'ArrowRight', code: 'ArrowRight', bubbles: true, composed: true}
    const begin = performance.now()
    for (const kind of ['keydown', 'keyup']) slider.dispatchEvent(new KeyboardEvent(kind, key))
    while (performance.now() - begin < 30000) {
        const text = pageText()
        const isSolved = text.includes(`on ${points} grid points`) && /native qr[^|]*ms/.test(text)
        if (isSolved) return performance.now() - begin
        await new Promise(requestAnimationFrame)
    }
    return null
}"""


def slider(browser: Browser, address: str) -> dict[str, float]:
    """Latency of the slider of the Compare page at 5,000 grid points."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{address}?page=compare&points=2000&solvers=native+qr&memory=false")
    page.get_by_role("row", name=re.compile("^native qr")).wait_for()
    page.wait_for_timeout(3000)
    handle = page.get_by_role("slider", name="Points")
    handle.focus()
    milliseconds = page.evaluate(SLIDE, [handle.element_handle(), "5,000"])
    page.context.close()
    if milliseconds is None:
        raise RuntimeError("no response to the slider")
    return {"slider to solution of 5,000 points": milliseconds / 1e3}


def measure(address: str, repeat: int) -> dict[str, float]:
    """Medians of all measurements."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        discovery(browser, address)  # warm-up: the first visit compiles and fills caches
        visits = [
            discovery(browser, address) | control(browser, address) | slider(browser, address) for _ in range(repeat)
        ]
        figures = {name: statistics.median(visit[name] for visit in visits) for name in visits[0]}
        figures |= following(browser, address)
        browser.close()
    return figures


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--address")
    options = parser.parse_args()
    if options.address:
        figures = measure(options.address, options.repeat)
    else:
        with served() as address:
            figures = measure(address, options.repeat)
    for name, value in figures.items():
        unit = "" if name.startswith(("ms", "speed")) else " s"
        goal = f"  (goal {GOALS[name]}{unit})" if name in GOALS else ""
        print(f"{name:36s} {value:8.2f}{unit}{goal}")
    if options.json:
        write(options.json, figures, options.repeat)


def write(path: Path, figures: dict[str, float], repeat: int) -> None:
    """Write the results with machine and date."""
    report: dict[str, Any] = {"figures": {name: round(value, 3) for name, value in figures.items()}, "goals": GOALS}
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "load": round(os.getloadavg()[0], 1)}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    report |= {"repeat": repeat, "date": date.today().isoformat(), "commit": commit.stdout.strip(), "machine": machine}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
