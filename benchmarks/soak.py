"""Whether the page and its server stay as small and as quick as they began: one page for a long time, many at once.

    python benchmarks/soak.py [--minutes 30] [--sessions 20] [--json FILE]

First a page follows a training that streams all the time; every ten seconds the memory of the server, of the browser
and of the page's own heap is noted. Flat means: the median of the last third is within 10 % of that of the second third
(the first fills caches and the history, which is bounded). Then so many sessions start a training each, all of them at
once, and every one counts how often its numbers change. One of them is a page in a browser, the others are visitors
without one (see visitor.py): users bring cores of their own. All of it runs on the same cores.
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
from page import FLAGS, ROOT, opened, press, served
from playwright.sync_api import Browser, Page, sync_playwright
from visitor import Visitor

QUICK = "mode=adam&hidden=16&batch=16&cycles=1&epochs=100000&points=1000"
"""A training of many short steps."""
FLAT = 0.10
SETTLING = 5.0
"""Seconds between the last arrival and the count."""
COUNT = """() => {
    const all = root => [...root.querySelectorAll('*')].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])])
    const read = () => all(document).find(e => e.className === 'numbers')?.textContent
    let before = read()
    window.changes = []
    setInterval(() => { const now = read(); if (now !== before) { before = now; changes.push(Date.now() / 1e3) } }, 50)
}"""


def memory(page: Page, browser_process: psutil.Process, server: psutil.Process) -> dict[str, float]:
    """Megabytes: of the server, of all processes of the browser, of the page's heap after its garbage is collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    family = [browser_process, *browser_process.children(recursive=True)]
    return {
        "server": server.memory_info().rss / 1e6,
        "browser": sum(process.memory_info().rss for process in family) / 1e6,
        "heap": heap / 1e6,
    }


def long_run(browser: Browser, address: str, minutes: float) -> dict[str, Any]:
    """One page, one training, for so long."""
    page, _ = opened(browser, f"{address}?{QUICK}")
    press(page, "Start", "Running")
    ours = psutil.Process().children(recursive=True)
    server = next(p for p in ours if "panel" in p.cmdline())
    chromium = next(p for p in ours if "--headless=new" in p.cmdline() and "--type" not in " ".join(p.cmdline()))
    notes, end = [], time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        page.wait_for_timeout(min(10_000, 1e3 * 60 * minutes / 12))
        notes.append(memory(page, chromium, server))
    state = page.get_by_role("status").first.inner_text()
    step = page.locator(".numbers").first.inner_text()
    press(page, "Stop", "Stopping", "Stopped")
    page.context.close()
    third = len(notes) // 3
    growth = {
        name: statistics.median(n[name] for n in notes[-third:])
        / statistics.median(n[name] for n in notes[third : 2 * third])
        - 1
        for name in notes[0]
    }
    return {
        "minutes": minutes,
        "state at the end": state,
        "numbers at the end": " ".join(step.split()),
        "MB": {name: [round(note[name], 1) for note in notes[:: max(1, len(notes) // 30)]] for name in notes[0]},
        "growth of the last third": {name: round(value, 4) for name, value in growth.items()},
        "flat": all(abs(value) <= FLAT for value in growth.values()),
    }


async def visitors(address: str, count: int, seconds: float) -> tuple[float, list[float], list[list[float]]]:
    """So many come, one after the other, and start a training each. When all have; how long each took to come; and the
    changes that each saw, until `seconds` after the last had come."""
    came, waits = [], []
    for _ in range(count):
        begin = time.time()
        came.append(await Visitor.come(f"{address}?{QUICK}"))
        await came[-1].press("Start")
        waits.append(time.time() - begin)
    await asyncio.sleep(SETTLING)
    begin = time.time()
    await asyncio.sleep(seconds)
    changes = [list(visitor.changes) for visitor in came]
    for visitor in came:
        await visitor.press("Stop")
        await visitor.leave()
    return begin, waits, changes


def crowd(browser: Browser, address: str, sessions: int, seconds: float = 30.0) -> dict[str, Any]:
    """So many sessions at once; updates per second of each."""
    page, _ = opened(browser, f"{address}?{QUICK}")
    press(page, "Start", "Running")
    page.evaluate(COUNT)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(asyncio.run, visitors(address, sessions - 1, seconds))
        while not coming.done():
            page.wait_for_timeout(500)
    begin, waits, changes = coming.result()
    changes.append(page.evaluate("changes"))
    rates = [sum(begin < change < begin + seconds for change in own) / seconds for own in changes]
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
    """Soak, print, write."""
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
            written(report, options.json)  # at once: what comes next takes minutes, and may fail
        if options.sessions:
            report["crowd"] = crowd(browser, address, options.sessions)
        browser.close()
    written(report, options.json)
    print(json.dumps(report, indent=2))


def written(report: dict[str, Any], path: Path | None) -> None:
    """Write the report, with the machine as it is now, if a file is asked for."""
    if path is None:
        return
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "load": round(os.getloadavg()[0], 1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report | {"machine": machine}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
