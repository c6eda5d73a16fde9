"""What the browser tests share: a server, a browser that listens for complaints, and ways to find things on a page."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.needed import needed
from tests.waiting import PATIENCE, wait_until

sync_api = needed("playwright.sync_api", "install playwright (extra: test)")
expect = sync_api.expect

ROOT = Path(__file__).parents[3]
FLAGS = [
    *("--headless=new", "--no-sandbox", "--no-first-run", "--disable-quic", "--disable-sync"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing"),
    *("--disable-background-networking", "--disable-component-update"),
]
FOUR_THREADS = "four threads"
with_and_without_threads = pytest.mark.parametrize(
    "server", ["one thread", pytest.param(FOUR_THREADS, marks=pytest.mark.exhaustive)], indirect=True
)
"""For what depends on the order in which a server handles messages; the rest is served by one thread."""
MILLISECONDS = 1000 * PATIENCE  # as Playwright takes it
SLOW = "experiment=rossler&mode=slow"
NEVER = ("_pending_writes", "Error thrown from periodic callback", "the page could not be drawn")
# Of every canvas in view: whether it has a size and something is painted on it.
PAINTED = """canvases => canvases.filter(canvas => canvas.checkVisibility()).map(canvas =>
    canvas.width * canvas.height > 0 &&
    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value > 0))"""


def free_port() -> int:
    """Chromium refuses 5060 and 5061; the ports that a system gives out are far above."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(folder: Path, *options: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of the app, which also knows the fake experiments, and its process; its log must be free of NEVER."""
    port = free_port()
    setup = ["--setup", "tests/fakes/setup.py", "--warm"]
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port), *setup, *options]
    known = {**os.environ, "WORKBENCH_DATA": str(folder), "PYTHONPATH": str(ROOT), **environment}
    log = folder / "server.log"
    with log.open("a") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=known, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_for(f"http://localhost:{port}/app", process, log)
            yield f"http://localhost:{port}/app", process
        finally:
            process.terminate()
            process.wait(PATIENCE)
    said = log.read_text()
    assert [words for words in NEVER if words in said] == [], said


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    """Wait until a server answers, if only with an error."""

    def answers() -> bool:
        try:
            urlopen(address, timeout=PATIENCE).close()
        except HTTPError:
            return True
        except (URLError, ConnectionError):
            return False
        return True

    try:
        wait_until(answers, "the server comes up", process)
    except pytest.fail.Exception as failure:
        pytest.fail(f"{failure}: {log.read_text()}")


class Visits:
    """Opens pages; `check` says that none has complained, asked for a foreign address, or kept the server busy with
    what its figures do by themselves."""

    def __init__(self, server: str, context: "sync_api.BrowserContext") -> None:
        self.server, self.context = server, context
        self.foreign, self.complaints, self.chatter = [], [], []

    def __call__(self, search: str = "") -> "sync_api.Page":
        """A page that is ready."""
        page = self.context.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("request", self._asked)
        page.on("websocket", lambda socket: socket.on("framesent", self._sent))
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.server}?{search}" if search else self.server)
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible(timeout=MILLISECONDS)
        if "page=" not in search:
            expect(page.get_by_role("heading", name="Trajectory")).to_be_visible(timeout=MILLISECONDS)
        return page

    def check(self) -> None:
        for page in self.context.pages:
            page.close()
        assert self.foreign == [], self.foreign
        assert self.complaints == [], self.complaints
        assert self.chatter == [], self.chatter

    def _asked(self, request: "sync_api.Request") -> None:
        ours = (self.server.rsplit("/", 1)[0], self.server.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(ours):
            self.foreign.append(request.url)

    def _said(self, message: "sync_api.ConsoleMessage") -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _sent(self, frame: str | bytes) -> None:
        if re.search(r'"attr":"(start|end|inner_width|inner_height|axis_line_color)"', str(frame)):
            self.chatter.append(frame)


def button(page: Any, name: str) -> "sync_api.Locator":
    return page.get_by_role("button", name=re.compile(rf"\b{name}$"))


def entry(page: Any, label: str) -> "sync_api.Locator":
    return page.get_by_role("textbox", name=re.compile(rf"^{label}"))


def state(page: Any) -> "sync_api.Locator":
    return page.locator(".chip").first


def step_of(page: Any) -> int:
    return int(re.search(r"step ([\d,]+)", page.locator(".numbers").first.inner_text()).group(1).replace(",", ""))


def go(page: Any, name: str) -> None:
    """Follow a link of the header."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()


def expect_painted(page: Any, count: int) -> None:
    """Wait until there are `count` visible Bokeh figures with something on their canvases; Plotly has its own."""
    end, painted = time.monotonic() + PATIENCE, []
    while time.monotonic() < end and painted != [True] * count:
        painted = page.locator(".bk-Figure canvas.bk-layer:first-of-type").evaluate_all(PAINTED)
        page.wait_for_timeout(200)
    assert painted == [True] * count


def equation(page: Any, text: str | re.Pattern) -> "sync_api.Locator":
    return page.get_by_role("math", name=text).first
