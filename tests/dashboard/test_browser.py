"""The real app in a real browser, with and without threads: what a person does, and what must never happen."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="install playwright (extra: test)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
FLAGS = [
    *("--headless=new", "--no-sandbox", "--no-first-run", "--disable-quic", "--disable-sync"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing"),
    *("--disable-background-networking", "--disable-component-update"),
]
PATIENCE = 60_000
SLOW = "experiment=rossler&mode=slow"
NEVER = ("_pending_writes", "Error thrown from periodic callback", "the page could not be drawn")
# Of every canvas: whether it has a size and something is painted on it.
PAINTED = """canvases => canvases.map(canvas => canvas.checkVisibility() && canvas.width * canvas.height > 0
    && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value > 0))"""


def free_port() -> int:
    """Chromium refuses 5060 and 5061; the ports that a system gives out are far above."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module", params=["one thread", "four threads"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the served app; it also knows the fake experiments."""
    port, folder = free_port(), tmp_path_factory.mktemp("served")
    threads = ["--num-threads", "4"] if request.param == "four threads" else []
    setup = ["--setup", "tests/dashboard/fake_setup.py", "--warm"]
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port), *setup, *threads]
    environment = {**os.environ, "WORKBENCH_DATA": str(folder), "PYTHONPATH": str(ROOT)}
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_for(f"http://localhost:{port}/app", process, log)
            yield f"http://localhost:{port}/app"
        finally:
            process.terminate()
            process.wait(20)
    said = log.read_text()
    assert [words for words in NEVER if words in said] == [], said


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            urlopen(address, timeout=60).close()
            return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"the server did not come up: {log.read_text()}")


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def context(browser: "sync_api.Browser") -> "sync_api.BrowserContext":
    return browser.new_context(viewport={"width": 1280, "height": 800})


@pytest.fixture
def visit(server: str, context: "sync_api.BrowserContext") -> Iterator[Callable[..., "sync_api.Page"]]:
    """`visit(search)` opens a page that is ready.

    No page may complain, ask for a foreign address, or keep the server busy with what its figures do by themselves.
    """
    foreign, complaints, chatter = [], [], []

    def asked(request: "sync_api.Request") -> None:
        if not request.url.startswith((server.rsplit("/", 1)[0], server.replace("http", "ws"), "data:", "blob:")):
            foreign.append(request.url)

    def said(message: "sync_api.ConsoleMessage") -> None:
        if message.type == "error":
            complaints.append(message.text)

    def sent(frame: str | bytes) -> None:
        if re.search(r'"attr":"(start|end|inner_width|inner_height|axis_line_color)"', str(frame)):
            chatter.append(frame)

    def open_page(search: str = "") -> "sync_api.Page":
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", asked)
        page.on("websocket", lambda socket: socket.on("framesent", sent))
        page.on("console", said)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{server}?{search}" if search else server)
        expect(page.get_by_role("heading", name="Trajectory")).to_be_visible(timeout=PATIENCE)
        return page

    expect.set_options(timeout=PATIENCE)
    yield open_page
    for page in context.pages:
        page.close()
    assert foreign == []
    assert complaints == []
    assert chatter == []


def button(page: "sync_api.Page", name: str) -> "sync_api.Locator":
    return page.get_by_role("button", name=re.compile(rf"\b{name}$"))


def entry(page: "sync_api.Page", label: str) -> "sync_api.Locator":
    return page.get_by_role("textbox", name=re.compile(rf"^{label}"))


def state(page: "sync_api.Page") -> "sync_api.Locator":
    return page.get_by_role("status")


def step_of(page: "sync_api.Page") -> int:
    return int(re.search(r"step ([\d,]+)", page.locator(".numbers").inner_text()).group(1).replace(",", ""))


def expect_painted(page: "sync_api.Page", count: int) -> None:
    """Wait until there are `count` Bokeh figures with something on their canvases; Plotly has canvases of its own."""
    end, painted = time.monotonic() + PATIENCE / 1e3, []
    while time.monotonic() < end and painted != [True] * count:
        painted = page.locator(".bk-Figure canvas.bk-layer:first-of-type").evaluate_all(PAINTED)
        page.wait_for_timeout(200)
    assert painted == [True] * count


def equation(page: "sync_api.Page", text: str | re.Pattern) -> "sync_api.Locator":
    return page.get_by_role("math", name=text).first


def test_start_leads_to_the_equations_and_a_reload_finds_them_again(visit):
    page = visit()
    expect(state(page)).to_have_text("Ready")
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")
    expect(equation(page, re.compile(r"^x' = -(10|9\.9\d*)\.?\d* x \+ (10|9\.9\d*)\.?\d* y$"))).to_be_visible()
    expect(page.get_by_text("7 of 7 true terms found, none besides.")).to_be_visible()
    expect(button(page, "Start")).to_be_enabled()
    expect(button(page, "Pause")).to_be_disabled()
    expect(page).to_have_url(re.compile(r"experiment=lorenz.*run=lorenz-"))
    found, address = page.get_by_role("math").first.get_attribute("aria-label"), page.url
    page.reload()
    expect(state(page)).to_have_text("Finished")
    expect(equation(page, found)).to_be_visible()
    assert page.url == address


def test_pause_is_stable_step_is_one_and_stop_ends(visit):
    page = visit(SLOW)
    button(page, "Step").click()
    expect(state(page)).to_have_text("Paused")
    expect(page.locator(".numbers")).to_contain_text("step 1 of 400")
    button(page, "Resume").click()
    expect(state(page)).to_have_text("Running")
    expect(button(page, "Start")).to_be_disabled()
    button(page, "Pause").click()
    expect(state(page)).to_have_text("Paused")
    before = step_of(page)
    page.wait_for_timeout(500)
    assert step_of(page) == before
    button(page, "Step").click()
    expect(page.locator(".numbers")).to_contain_text(f"step {before + 1} of 400")
    button(page, "Stop").click()
    expect(state(page)).to_have_text("Stopped")
    expect(page.locator(".numbers")).to_contain_text("best state is kept")
    button(page, "Reset").click()
    expect(state(page)).to_have_text("Ready")
    expect(page.get_by_text("Find the equations behind the data")).to_be_visible()


def test_a_second_tab_watches_and_another_session_trains_on_its_own(visit):
    one = visit(f"{SLOW}&steps=100000")
    button(one, "Start").click()
    expect(one).to_have_url(re.compile("run=rossler-"))
    watcher = visit(one.url.split("?")[1])
    expect(state(watcher)).to_have_text("Running")
    other = visit("experiment=decay")
    button(other, "Start").click()
    expect(state(other)).to_have_text("Finished")
    button(watcher, "Stop").click()
    expect(state(one)).to_have_text("Stopped")
    expect(state(other)).to_have_text("Finished")


def test_a_bad_value_is_explained_at_its_control(visit):
    page = visit("experiment=rossler&colour=red")
    expect(page.get_by_role("alert")).to_contain_text("colour=red")
    window = entry(page, "Window")
    window.fill("700")
    window.press("Enter")
    expect(page.get_by_text("longer than the record of 600 points")).to_be_visible()
    expect(button(page, "Start")).to_be_disabled()
    window.fill("60")
    window.press("Enter")
    expect(page.get_by_text("longer than the record")).to_have_count(0)
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")


def test_a_crash_is_a_message_and_the_page_lives_on(visit):
    page = visit("experiment=rossler&fail_at=4")
    button(page, "Start").click()
    expect(page.get_by_role("alert")).to_contain_text("failed after step 3: the step length became negative")
    page.get_by_text("Details").click()
    expect(page.get_by_text("FloatingPointError").first).to_be_visible()
    page.get_by_role("button", name="Training").click()
    field = entry(page, "Fail at")
    field.fill("0")
    field.press("Enter")
    expect(page.locator(".numbers")).to_contain_text("settings differ")
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")


def test_dark_theme_and_every_choice_of_a_card_can_be_drawn(visit):
    page = visit("experiment=rossler")
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")
    page.get_by_label("Toggle theme").click()
    button(page, "over time").click()
    button(page, "linear").click()
    series, curves, paths = 3, 1, 3
    expect_painted(page, series + curves + paths)
    page.get_by_label("Decimals").click()
    page.get_by_role("menuitem", name="1", exact=True).click()
    expect(equation(page, re.compile(r"^y' = 1\.0 x \+ 0\.2 y$"))).to_be_visible()
