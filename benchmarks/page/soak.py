"""Soak test of the dashboard: memory of a page over a long time, update rate of many sessions.

    python benchmarks/page/soak.py [--minutes 30] [--sessions 20] [--json FILE]

First, a page displays a training that streams continuously; the memory of the server, browser and page heap is
recorded every ten seconds. It counts as flat if the median of the last third is within 10 % of that of the second third
(the first fills caches and the bounded history). Then many sessions train at once, and each counts its updates. One of
them is a page in a browser, the others are clients without one (see visitor.py), since users have their own cores.
Everything runs on the same cores.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import psutil
from latency import FLAGS, ROOT, open_page, press, served
from playwright.sync_api import Browser, Page, sync_playwright
from visitor import Visitor

QUICK = "mode=adam&hidden=16&batch=16&cycles=1&epochs=100000&points=1000"
"""Training with many short steps."""
FLAT = 0.10
SETTLING = 5.0
"""Seconds between the last arrival and the start of the count."""
COUNT = """() => {
    const all = root => [...root.querySelectorAll('*')].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])])
    const read = () => all(document).find(e => e.className === 'numbers')?.textContent
    let before = read()
    window.changes = []
    setInterval(() => { const now = read(); if (now !== before) { before = now; changes.push(Date.now() / 1e3) } }, 50)
}"""


def memory(page: Page, browser_process: psutil.Process, server: psutil.Process) -> dict[str, float]:
    """Megabytes of the server, all browser processes, and the page's heap after garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    processes = [browser_process, *browser_process.children(recursive=True)]
    return {
        "server": server.memory_info().rss / 1e6,
        "browser": sum(process.memory_info().rss for process in processes) / 1e6,
        "heap": heap / 1e6,
    }


def long_run(browser: Browser, address: str, minutes: float) -> dict[str, Any]:
    """Memory of one page with one training over `minutes`."""
    page, _ = open_page(browser, f"{address}?{QUICK}")
    press(page, "Start", "Running")
    children = psutil.Process().children(recursive=True)
    server = next(p for p in children if "panel" in p.cmdline())
    chromium = next(p for p in children if "--headless=new" in p.cmdline() and "--type" not in " ".join(p.cmdline()))
    samples, end = [], time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        page.wait_for_timeout(min(10_000, 1e3 * 60 * minutes / 12))
        samples.append(memory(page, chromium, server))
    state = page.get_by_role("status").first.inner_text()
    step = page.locator(".numbers").first.inner_text()
    press(page, "Stop", "Stopping", "Stopped")
    page.context.close()
    third = len(samples) // 3
    growth = {
        name: statistics.median(n[name] for n in samples[-third:])
        / statistics.median(n[name] for n in samples[third : 2 * third])
        - 1
        for name in samples[0]
    }
    return {
        "minutes": minutes,
        "state at the end": state,
        "numbers at the end": " ".join(step.split()),
        "MB": {
            name: [round(sample[name], 1) for sample in samples[:: max(1, len(samples) // 30)]] for name in samples[0]
        },
        "growth of the last third": {name: round(value, 4) for name, value in growth.items()},
        "flat": all(abs(value) <= FLAT for value in growth.values()),
    }


async def visitors(address: str, count: int, seconds: float) -> tuple[float, list[float], list[list[float]]]:
    """Start `count` sessions one after the other, each with a training.

    Returns the start of the count, the connection time of every session, and the times of its updates.
    """
    sessions, waits = [], []
    for _ in range(count):
        begin = time.time()
        sessions.append(await Visitor.connect(f"{address}?{QUICK}"))
        await sessions[-1].press("Start")
        waits.append(time.time() - begin)
    await asyncio.sleep(SETTLING)
    begin = time.time()
    await asyncio.sleep(seconds)
    changes = [list(visitor.changes) for visitor in sessions]
    for visitor in sessions:
        await visitor.press("Stop")
        await visitor.close()
    return begin, waits, changes


def crowd(browser: Browser, address: str, sessions: int, seconds: float = 30.0) -> dict[str, Any]:
    """Updates per second of each of many concurrent sessions."""
    page, _ = open_page(browser, f"{address}?{QUICK}")
    press(page, "Start", "Running")
    page.evaluate(COUNT)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(asyncio.run, visitors(address, sessions - 1, seconds))
        while not future.done():
            page.wait_for_timeout(500)
    begin, waits, changes = future.result()
    changes.append(page.evaluate("changes"))
    rates = [sum(begin < change < begin + seconds for change in times) / seconds for times in changes]
    page.context.close()
    return {
        "sessions": sessions,
        "seconds to come and start": {"median": round(statistics.median(waits), 2), "most": round(max(waits), 2)},
        "updates per second": {
            "least": round(min(rates), 2),
            "median": round(statistics.median(rates), 2),
            "page in the browser": round(rates[-1], 2),
        },
        "all at 1 Hz": min(rates) >= 1.0,
    }


def main() -> None:
    """Run the soak test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    report: dict[str, Any] = {"date": date.today().isoformat(), "commit": commit.stdout.strip()}
    with served(WORKBENCH_JOBS=str(max(2, options.sessions))) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        if options.minutes:
            report["one page"] = long_run(browser, address, options.minutes)
            write(report, options.json)  # at once: the next part takes minutes and may fail
        if options.sessions:
            report["crowd"] = crowd(browser, address, options.sessions)
        browser.close()
    write(report, options.json)
    print(json.dumps(report, indent=2))


def write(report: dict[str, Any], path: Path | None) -> None:
    """Write the report with the current machine load, if a path is given."""
    if path is None:
        return
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "load": round(os.getloadavg()[0], 1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report | {"machine": machine}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
