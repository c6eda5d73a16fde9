"""How quick the page is, in a real browser: usable, first update after Start, Stop and Pause, and what
following a run costs it. One run, printed and written as JSON.

    python benchmarks/page.py [--repeat 5] [--json FILE] [--address http://localhost:5006/app]

Without --address the app is served from this folder (warmed up). Times are taken in the page itself, from
the click to the frame that shows the answer; medians over the repeats. The browser renders in software here, on the
same cores as the server, so a machine with a GPU is quicker.
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

ROOT = Path(__file__).parents[1]
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
# Clicks and waits in the page, frame by frame, until the state of the run is one of `wanted`; milliseconds, or null.
PRESS = """async ([button, root, wanted]) => {
    const begin = performance.now()
    button.click()
    while (performance.now() - begin < 60000) {
        if (wanted.includes(root.querySelector('.chip')?.textContent)) return performance.now() - begin
        await new Promise(requestAnimationFrame)
    }
    return null
}"""


@contextmanager
def served(**more: str) -> Iterator[str]:
    """The app on a free port, its run files in a folder that goes away; `more` goes to its environment."""
    port = free_port()
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port), "--warm"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "WORKBENCH_DATA": folder, **more}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        try:
            yield waited(f"http://localhost:{port}/app", process)
        finally:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def waited(address: str, process: subprocess.Popen) -> str:
    """The address, as soon as it answers."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            urlopen(address, timeout=60).close()
            return address
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError("the app did not come up")


def opened(browser: Browser, address: str) -> tuple[Page, float]:
    """A page in a fresh context, and the seconds until Start could be pressed."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    begin = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("button", name="Start").click(trial=True)
    seconds = time.perf_counter() - begin
    page.get_by_text("The record to learn from").wait_for()
    page.wait_for_timeout(1500)
    return page, seconds


def state_root(page: Page) -> ElementHandle:
    """What holds the state of the run, across its redraws."""
    return page.get_by_role("status").evaluate_handle("element => element.getRootNode()")


def press(page: Page, name: str, *wanted: str) -> float:
    """Seconds from a click on the button `name` until the run shows one of the states `wanted`."""
    button = page.get_by_role("button", name=name).first.element_handle()
    milliseconds = page.evaluate(PRESS, [button, state_root(page), list(wanted)])
    if milliseconds is None:
        raise RuntimeError(f"{name} was not answered")
    return milliseconds / 1e3


def discovery(browser: Browser, address: str) -> dict[str, float]:
    """One visit in the default setting: usable, first update, end."""
    page, usable = opened(browser, address)
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
    """Pause and Stop while networks train, which keeps both cores busy."""
    page, _ = opened(browser, f"{address}?mode=adam")
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
    """Milliseconds per adam step with the page open and with it closed, in turn in one job: medians."""
    page, _ = opened(browser, f"{address}?mode=adam&cycles=1&epochs=100000")
    press(page, "Start", "Running")
    page.get_by_role("math").first.wait_for()
    run, watched, alone = page.url, [], []
    for _ in range(pairs):
        page.wait_for_timeout(3000)
        watched.append(pace(page, seconds))
        page.goto("about:blank")
        time.sleep(seconds)
        alone.append(since(page, run, watched[-1]))
    press(page, "Stop", "Stopping", "Stopped")
    page.context.close()
    open_, closed = statistics.median(one["ms"] for one in watched), statistics.median(alone)
    return {
        "ms per step, page open": open_,
        "ms per step, page closed": closed,
        "speed with the page open": closed / open_,
    }


def numbers(page: Page) -> tuple[int, float]:
    """Step and training seconds as the page shows them."""
    step, seconds = page.locator(".numbers b").all_inner_texts()[:2]
    return int(step.replace(",", "")), float(seconds.replace(",", ""))


def pace(page: Page, seconds: float) -> dict[str, float]:
    """Milliseconds of wall time per step over the next `seconds`."""
    begin, (first, _) = time.perf_counter(), numbers(page)
    page.wait_for_timeout(1e3 * seconds)
    last, _ = numbers(page)
    end = time.perf_counter()
    return {"ms": 1e3 * (end - begin) / max(1, last - first), "step": last, "time": end}


def since(page: Page, run: str, before: dict[str, float]) -> float:
    """Milliseconds of wall time per step since `before`; the page is opened again for a look."""
    end = time.perf_counter()
    page.goto(run)
    page.locator(".numbers b").first.wait_for()
    extra = time.perf_counter() - end
    step, _ = numbers(page)
    return 1e3 * (end + extra - before["time"]) / max(1, step - before["step"])


# Milliseconds from a key on the slider until the page shows the solution of so many grid points, or null.
SLIDE = """async ([slider, points]) => {
    const all = root => [...root.querySelectorAll('*')].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])])
    const told = e => e.shadowRoot === null && (e.tagName === 'TR' || e.className === 'caption')
    const said = () => all(document).filter(told).map(e => e.textContent).join('|')
    const key = {key: 'ArrowRight', code: 'ArrowRight', bubbles: true, composed: true}
    const begin = performance.now()
    for (const kind of ['keydown', 'keyup']) slider.dispatchEvent(new KeyboardEvent(kind, key))
    while (performance.now() - begin < 30000) {
        const words = said()
        const there = words.includes(`on ${points} grid points`) && /native qr[^|]*ms/.test(words)
        if (there) return performance.now() - begin
        await new Promise(requestAnimationFrame)
    }
    return null
}"""


def sliding(browser: Browser, address: str) -> dict[str, float]:
    """The slider of the Compare page, released at 5,000 grid points."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{address}?page=compare&points=2000&solvers=native+qr&memory=false")
    page.get_by_role("row", name=re.compile("^native qr")).wait_for()
    page.wait_for_timeout(3000)
    slider = page.get_by_role("slider", name="Points")
    slider.focus()
    milliseconds = page.evaluate(SLIDE, [slider.element_handle(), "5,000"])
    page.context.close()
    if milliseconds is None:
        raise RuntimeError("the slider was not answered")
    return {"slider to solution of 5,000 points": milliseconds / 1e3}


def measured(address: str, repeat: int) -> dict[str, float]:
    """The medians of all figures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        discovery(browser, address)  # the first visit of a server compiles and caches; it does not count
        visits = [
            discovery(browser, address) | control(browser, address) | sliding(browser, address) for _ in range(repeat)
        ]
        figures = {name: statistics.median(visit[name] for visit in visits) for name in visits[0]}
        figures |= following(browser, address)
        browser.close()
    return figures


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--address")
    options = parser.parse_args()
    if options.address:
        figures = measured(options.address, options.repeat)
    else:
        with served() as address:
            figures = measured(address, options.repeat)
    for name, value in figures.items():
        unit = "" if name.startswith(("ms", "speed")) else " s"
        goal = f"  (goal {GOALS[name]}{unit})" if name in GOALS else ""
        print(f"{name:36s} {value:8.2f}{unit}{goal}")
    if options.json:
        write(options.json, figures, options.repeat)


def write(path: Path, figures: dict[str, float], repeat: int) -> None:
    """The figures with where and when they were taken."""
    report: dict[str, Any] = {"figures": {name: round(value, 3) for name, value in figures.items()}, "goals": GOALS}
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "load": round(os.getloadavg()[0], 1)}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    report |= {"repeat": repeat, "date": date.today().isoformat(), "commit": commit.stdout.strip(), "machine": machine}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
