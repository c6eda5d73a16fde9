"""All pages in a browser: navigation, use, URLs, accessibility, both themes."""

import csv
import io
import random
import re
from pathlib import Path

import pytest
import xarray as xr

from tests.dashboard.browser.browsing import (
    MILLISECONDS,
    SLOW,
    button,
    entry,
    expect,
    expect_painted,
    go,
    state,
    step_of,
    with_and_without_threads,
)
from tests.needed import needed

axe = needed("axe_playwright_python.sync_playwright", "install axe-playwright-python (extra: test)")

pytestmark = pytest.mark.browser

PAGES = ("Train", "Compare", "Scaling", "Studies", "Runs", "Data")
TINY = "page=scaling&first=10&last=100&per_decade=1&solvers=banded+qr&repeats=1&seconds=60"


def download(page, name: str) -> tuple[str, bytes]:
    with page.expect_download(timeout=MILLISECONDS) as pending:
        button(page, name).click()
    return pending.value.suggested_filename, Path(pending.value.path()).read_bytes()


def test_every_page_is_reached_by_link_back_button_and_url(visit):
    page = visit()
    for name in PAGES[1:]:
        go(page, name)
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
        expect(page).to_have_url(re.compile(f"page={name.lower()}"))
    page.go_back()
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_attribute("aria-current", "page")
    expect(page).to_have_url(re.compile("page=runs&search="))
    url = page.url
    page.reload()
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_attribute("aria-current", "page")
    expect(page).to_have_url(url)
    missing = visit("page=nowhere&experiment=decay")
    expect(missing.get_by_role("alert")).to_contain_text("page=nowhere")


def serious_violations(page) -> list[str]:
    """Serious accessibility violations found by axe after colour transitions."""
    violations = []
    for _ in range(5):  # colours change gradually, and slowly on a busy machine
        page.wait_for_timeout(1000)
        results = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [result for result in results if result["impact"] in ("serious", "critical")]
        violations = [f"{r['id']}: {node['target']} {node['html'][:160]}" for r in serious for node in r["nodes"][:4]]
        if not violations:
            break
    return violations


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "Train" else pytest.mark.exhaustive) for name in PAGES]
)
def test_pages_have_no_serious_accessibility_violations(visit, name):
    page = visit(f"page={name.lower()}" if name != "Train" else "experiment=rossler")
    if name == "Train":
        button(page, "Start").click()
        expect(state(page)).to_have_text("Finished")
    assert serious_violations(page) == []
    page.get_by_label("Toggle theme").click()
    expect(page.locator("body")).to_have_css("background-color", "rgb(18, 22, 27)")
    assert serious_violations(page) == []


def test_runs_are_listed_compared_exported_opened_and_deleted(visit):
    page = visit("experiment=rossler&noise=0.25")
    for _ in range(2):
        button(page, "Start").click()
        expect(state(page)).to_have_text("Finished")
        expect(button(page, "Start")).to_be_enabled()
        field = page.get_by_role("textbox", name=re.compile("^Noise"))
        field.fill("0.75")
        field.press("Enter")
    go(page, "Runs")
    page.get_by_role("textbox", name="Filter").fill("rossler noise=0")
    rows = page.get_by_role("checkbox", name=re.compile("^select rossler-"))
    rows.nth(0).click()
    expect(page).to_have_url(re.compile("select=rossler-"))
    rows.nth(1).click()
    expect(page.get_by_role("heading", name="Differences of the settings")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^noise 0.75 0.25"))).to_be_visible()
    expect_painted(page, 1)
    rows.nth(1).click()
    name, script = download(page, "Script")
    assert re.fullmatch(r"rossler-[\w-]+\.py", name)
    compile(script, name, "exec")
    assert download(page, "NetCDF")[1][:4] == b"\x89HDF"
    run = name.removesuffix(".py")
    page.get_by_role("link", name=run).click()
    expect(page).to_have_url(re.compile(f"run={run}"))
    expect(state(page)).to_have_text("Finished")
    go(page, "Runs")
    button(page, "Delete").click()
    button(page, "Delete 1 permanently").click()
    expect(page.get_by_role("link", name=run)).to_have_count(0)


def test_a_slider_updates_the_solution_and_slow_solvers_exceed_the_budget(visit):
    page = visit("page=compare&memory=false&budget=30&solvers=banded+qr")
    expect(page.get_by_role("row", name=re.compile(r"banded qr .* ms"))).to_be_visible()
    expect_painted(page, 3)
    slider = page.get_by_role("slider", name=re.compile("^Points"))
    slider.focus()
    slider.press("ArrowRight")
    expect(page).to_have_url(re.compile("points=200"))
    expect(page.get_by_text("on 200 grid points")).to_be_visible()
    slow = visit("page=compare&memory=false&budget=0.5&points=5000&solvers=dense+qr")
    expect(slow.get_by_text(re.compile("over the (time|memory) budget|out of memory")).first).to_be_visible()
    invalid = visit("page=compare&problem=oscillator&derivatives=2&speed=9")
    expect(invalid.get_by_role("alert").first).to_contain_text("speed=9")
    expect(invalid.get_by_text("expected more than the order 2").first).to_be_visible()


def test_two_solvers_race_in_lockstep(visit):
    page = visit("page=compare&memory=false&solvers=banded+qr&race=sine+constant&left=banded&right=native")
    button(page, "Start race").click()
    expect(page.locator(".chip", has_text="Finished")).to_have_count(2)
    steps = [text.split("of")[0] for text in page.locator(".numbers").all_inner_texts()]
    assert steps[0].split()[:2] == steps[1].split()[:2]
    expect_painted(page, 5)


@pytest.mark.exhaustive
@with_and_without_threads
def test_a_study_is_measured_saved_and_overlaid(visit):
    page = visit(TINY)
    button(page, "Measure").click()
    expect(page.get_by_text("points, done")).to_be_visible()
    expect_painted(page, 1)
    rows = list(csv.DictReader(io.StringIO(download(page, "CSV")[1].decode())))
    assert [(row["T"], row["status"]) for row in rows] == [("10", "ok"), ("100", "ok")]
    page.reload()
    expect(page.get_by_text("points, done")).to_be_visible()
    name = f"mine-{random.randrange(10**9)}"
    page.get_by_role("textbox", name="Name").fill(name)
    button(page, "Save").click()
    expect(page.get_by_role("alert")).to_contain_text(f"Saved as {name}")
    page.get_by_role("textbox", name="Name").fill("../../etc/passwd")
    button(page, "Save").click()
    expect(page.get_by_role("alert").last).to_contain_text("Expected a name of letters")
    other = visit(f"{TINY}&overlay={name}")
    expect(other.get_by_role("row", name=re.compile(rf"banded qr \({name}\)"))).to_be_visible()


@pytest.mark.exhaustive
def test_a_record_is_generated_and_downloaded(visit):
    page = visit("page=data&search=decay")
    expect(page.get_by_role("heading", name="Decay")).to_be_visible()
    expect(page.get_by_role("img", name="y over time")).to_be_visible()
    button(page, "Generate").click()
    expect(page.get_by_text("Generated.")).to_be_visible()
    name, content = download(page, "NetCDF")
    assert name == "decay.nc"
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as record:
        assert record.sizes == {"time": 200, "variable": 1}
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page).to_have_url(re.compile("experiment=decay"))


@pytest.mark.exhaustive
@with_and_without_threads
def test_a_hundred_rapid_clicks_are_all_handled(visit):
    page = visit(f"{SLOW}&steps=100000&delay=0.005")
    for kind in random.Random(3).choices(("Start", "Pause", "Resume", "Step", "Stop"), k=100):
        page.evaluate(
            """name => [...document.querySelectorAll('*')].flatMap(function deep(e) {
                return [e, ...(e.shadowRoot ? [...e.shadowRoot.querySelectorAll('*')].flatMap(deep) : [])] })
                .find(e => e.tagName === 'BUTTON' && !e.disabled && e.textContent.endsWith(name))?.click()""",
            kind,
        )
    field = entry(page, "Noise")  # handled after all clicks
    field.fill("0.25")
    field.press("Enter")
    expect(page).to_have_url(re.compile("noise=0.25"))
    page.wait_for_timeout(1000)
    if "Running" in state(page).inner_text():
        button(page, "Pause").click()
    if state(page).inner_text() == "Ready":
        button(page, "Step").click()
    expect(state(page)).to_have_text(re.compile("Paused|Stopped"))
    before = step_of(page)
    button(page, "Resume").click()
    expect(state(page)).to_have_text("Running")
    page.wait_for_timeout(1000)
    button(page, "Stop").click()
    expect(state(page)).to_have_text("Stopped")
    assert step_of(page) > before


ROWS = "".join(f"{i / 10},{i % 7 / 3}\n" for i in range(80))
# name: (bytes, part of the message); tests/datasets covers all kinds of invalid files
BROKEN = {
    "binary.csv": (bytes(range(1, 256)) * 9, "is not a text file"),
    "broken.h5": (b"\x89HDF\r\n\x1a\n" + bytes(200), "broken.h5"),
    "huge.csv": (b"1" * (33 * 2**20), "32 MB"),
}


@pytest.mark.exhaustive
@with_and_without_threads
def test_invalid_files_are_rejected_with_a_message_and_a_valid_one_is_read(visit):
    page = visit("page=data&search=own+data")
    expect(page.get_by_role("heading", name="Your own data")).to_be_visible()
    choose = page.locator("input[type=file]")
    for name, (content, message) in BROKEN.items():
        choose.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})
        expect(page.get_by_role("alert").filter(has_text=re.compile(re.escape(message)))).to_be_visible()
    valid = f"time,level\n{ROWS}".encode()
    choose.set_input_files({"name": "good.csv", "mimeType": "text/csv", "buffer": valid})
    expect(page.get_by_role("row", name=re.compile("^variables level"))).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page).to_have_url(re.compile("experiment=table.*record=good"))
