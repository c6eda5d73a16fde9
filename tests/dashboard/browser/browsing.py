"""Helpers of browser tests: server, page checks, locators."""

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
"""For tests that depend on the order in which the server handles messages; others use one thread."""
MILLISECONDS = 1000 * PATIENCE  # timeout for Playwright
SLOW = "experiment=rossler&mode=slow"
NEVER = ("_pending_writes", "Error thrown from periodic callback", "the page could not be drawn")
# Whether each visible canvas has a size and a painted pixel.
PAINTED = """canvases => canvases.filter(canvas => canvas.checkVisibility()).map(canvas =>
    canvas.width * canvas.height > 0 &&
    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value > 0))"""


def free_port() -> int:
    """Free port. Chromium blocks 5060 and 5061; ports assigned by the system are far above."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(folder: Path, *options: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """URL of the app with the fake experiments, and its process. Its log must not contain NEVER."""
    port = free_port()
    setup = ["--setup", "tests/fakes/setup.py", "--warm"]
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port), *setup, *options]
    variables = {**os.environ, "WORKBENCH_DATA": str(folder), "PYTHONPATH": str(ROOT), **environment}
    log = folder / "server.log"
    with log.open("a") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_for(f"http://localhost:{port}/app", process, log)
            yield f"http://localhost:{port}/app", process
        finally:
            process.terminate()
            process.wait(PATIENCE)
    text = log.read_text()
    assert [message for message in NEVER if message in text] == [], text


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    """Wait until a server responds, possibly with an error."""

    def responds() -> bool:
        try:
            urlopen(address, timeout=PATIENCE).close()
        except HTTPError:
            return True
        except (URLError, ConnectionError):
            return False
        return True

    try:
        wait_until(responds, "the server starts", process)
    except pytest.fail.Exception as failure:
        pytest.fail(f"{failure}: {log.read_text()}")


class Visits:
    """Opens pages; `check` asserts that they logged no error, loaded nothing from other servers, and reported no
    changes of figures to the server.
    """

    def __init__(self, server: str, context: "sync_api.BrowserContext") -> None:
        self.server, self.context = server, context
        self.foreign_urls, self.errors, self.figure_messages = [], [], []

    def __call__(self, search: str = "") -> "sync_api.Page":
        """Open a page and wait until it is loaded."""
        page = self.context.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("request", self._on_request)
        page.on("websocket", lambda socket: socket.on("framesent", self._on_frame))
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{self.server}?{search}" if search else self.server)
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible(timeout=MILLISECONDS)
        if "page=" not in search:
            expect(page.get_by_role("heading", name="Trajectory")).to_be_visible(timeout=MILLISECONDS)
        return page

    def check(self) -> None:
        for page in self.context.pages:
            page.close()
        assert self.foreign_urls == [], self.foreign_urls
        assert self.errors == [], self.errors
        assert self.figure_messages == [], self.figure_messages

    def _on_request(self, request: "sync_api.Request") -> None:
        allowed = (self.server.rsplit("/", 1)[0], self.server.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(allowed):
            self.foreign_urls.append(request.url)

    def _on_console(self, message: "sync_api.ConsoleMessage") -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _on_frame(self, frame: str | bytes) -> None:
        if re.search(r'"attr":"(start|end|inner_width|inner_height|axis_line_color)"', str(frame)):
            self.figure_messages.append(frame)


def button(page: Any, name: str) -> "sync_api.Locator":
    return page.get_by_role("button", name=re.compile(rf"\b{name}$"))


def entry(page: Any, label: str) -> "sync_api.Locator":
    return page.get_by_role("textbox", name=re.compile(rf"^{label}"))


def state(page: Any) -> "sync_api.Locator":
    return page.locator(".chip").first


def step_of(page: Any) -> int:
    return int(re.search(r"step ([\d,]+)", page.locator(".numbers").first.inner_text()).group(1).replace(",", ""))


def go(page: Any, name: str) -> None:
    """Click a link in the header."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()


def expect_painted(page: Any, count: int) -> None:
    """Wait until `count` Bokeh figures are visible and painted; Plotly figures are not counted."""
    end, painted = time.monotonic() + PATIENCE, []
    while time.monotonic() < end and painted != [True] * count:
        painted = page.locator(".bk-Figure canvas.bk-layer:first-of-type").evaluate_all(PAINTED)
        page.wait_for_timeout(200)
    assert painted == [True] * count


def equation(page: Any, text: str | re.Pattern) -> "sync_api.Locator":
    return page.get_by_role("math", name=text).first
