"""The real app in a real browser, with and without threads: what a person does, and what must never happen."""

import re
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.dashboard.browser.browsing import (
    SLOW,
    button,
    entry,
    equation,
    expect,
    expect_painted,
    state,
    step_of,
    with_and_without_threads,
)

pytestmark = pytest.mark.browser


@with_and_without_threads
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


@pytest.mark.exhaustive
def test_the_three_dimensional_library_comes_only_where_it_is_drawn(visit):
    asked = []
    visit.context.on("request", lambda request: asked.append(request.url))
    flat = visit("experiment=decay")
    flat.wait_for_timeout(1500)
    assert [url for url in asked if "plotly" in url] == []
    solid = visit("experiment=rossler")
    expect(solid.locator(".js-plotly-plot").first).to_be_visible()
    assert len([url for url in asked if "plotly-" in url]) == 1


@pytest.mark.exhaustive
def test_without_the_three_dimensional_library_the_trajectory_is_drawn_over_time(visit):
    visit.context.route(re.compile("plotly-"), lambda route: route.abort())
    page = visit("experiment=rossler")
    expect(page.get_by_text("Time shown")).to_be_visible()
    expect_painted(page, 3)  # x, y and z
    visit.context.unroute_all()  # the tests share it
    assert all("ERR_FAILED" in complaint for complaint in visit.complaints)
    visit.complaints.clear()


@with_and_without_threads
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


@pytest.mark.exhaustive
@with_and_without_threads
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


@pytest.mark.exhaustive
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


def three_species(t: float, s: np.ndarray) -> tuple[float, float, float]:
    """Two competitors and their predator: nothing in the workbench knows it."""
    a, b, c = s
    return a * (1 - a - b - c), b * (1 - 1.5 * a - b - c), c * (-1 + 2.5 * a + 0.5 * b)


def field_notes() -> bytes:
    """A file as a spreadsheet writes it: semicolons, decimal commas, 1 % noise, values, lines and days missing."""
    times = 0.1 * np.arange(600)
    states = solve_ivp(three_species, (0, 60), (0.5, 0.3, 0.2), t_eval=times, rtol=1e-10, atol=1e-12).y.T
    noisy = states + 0.01 * states.std(axis=0) * np.random.default_rng(3).standard_normal(states.shape)
    lines = ["day;algae [g/l];moss [g/l];snails [g/l];remark"]
    for row in (row for row in range(600) if not 250 <= row < 262 and row not in (40, 41, 300)):
        values = [f"{value:.4f}" for value in noisy[row]]
        if row % 50 == 7:
            values[row % 3] = "n/a"
        lines.append(f"{times[row]:.1f};{';'.join(values)};ok".replace(".", ","))
    return "\n".join(lines).encode()


def upload(page: Any, name: str, content: bytes) -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})


def test_a_file_with_gaps_and_noise_leads_to_its_equations_without_a_setting(visit):
    page = visit("experiment=table")
    upload(page, "field notes.csv", field_notes())
    expect(page.get_by_text("field notes.csv: 588 grid points, one every 0.1 day.")).to_be_visible()
    expect(page.get_by_text("line 9, column moss holds no value; 4 of 588 values")).to_be_visible()
    expect(page.get_by_text("3 rows are missing from an even grid of step 0.1, first after line 41")).to_be_visible()
    expect(page.get_by_text("no value for 1.3 after line 249 (time 24.9); the record is cut there")).to_be_visible()
    expect_painted(page, 3)
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")
    number = r"(\d\.\d{3})"
    expected = {
        rf"^algae' = {number} algae - {number} algae\^2 - {number} algae moss - {number} algae snails$": (1, 1, 1, 1),
        rf"^moss' = {number} moss - {number} algae moss - {number} moss\^2 - {number} moss snails$": (1, 1.5, 1, 1),
        rf"^snails' = -{number} snails \+ {number} algae snails \+ {number} moss snails$": (1, 2.5, 0.5),
    }
    for pattern, values in expected.items():
        expect(equation(page, re.compile(pattern))).to_be_visible()
        found = re.match(pattern, equation(page, re.compile(pattern)).get_attribute("aria-label"))
        assert [float(word) for word in found.groups()] == pytest.approx(values, rel=0.05)
    expect(page.get_by_role("cell", name="l/(g day)").first).to_be_visible()
    address = page.url
    page.reload()
    expect(state(page)).to_have_text("Finished")
    assert page.url == address


@pytest.mark.exhaustive
@with_and_without_threads
def test_a_broken_file_is_refused_and_the_next_one_is_taken(visit):
    page = visit("experiment=table&record=..%2Fsecrets")
    expect(page.get_by_role("alert")).to_contain_text("record=../secrets, which cannot be used")
    upload(page, "bad.csv", field_notes().replace(b"n/a", b"gone", 3).replace(b";ok", b"", 100))
    expect(page.get_by_role("alert").last).to_contain_text("bad.csv: line 2 has 4 fields, most lines have 5")
    upload(page, "packed.csv", b"PK\x03\x04" + bytes(100))
    expect(page.get_by_role("alert").last).to_contain_text("packed.csv is a ZIP archive or a spreadsheet: unpack it")
    upload(page, "field notes.csv", field_notes())
    expect(page.get_by_text("field notes.csv: 588 grid points")).to_be_visible()
    expect(button(page, "Start")).to_be_enabled()


# Of every figure in view: whether it lies within its card; and whether the page is no wider than the window.
SPILLED = """() => {
    const spilled = []
    const walk = (root, card) => {
        for (const node of root.children ?? []) {
            const style = getComputedStyle(node), box = node.getBoundingClientRect()
            const inner = style.borderRadius === "8px" && style.borderStyle === "solid" && box.height > 150 ? box : card
            const drawn = node.classList.contains("bk-Figure") && box.height > 0
            const out = inner === null || box.bottom > inner.bottom || box.right > inner.right
            if (drawn && out) spilled.push("figure")
            if (node.tagName === "A" && node.closest("nav") && box.right > innerWidth) spilled.push(node.textContent)
            walk(node, inner)
            if (node.shadowRoot) walk(node.shadowRoot, inner)
        }
    }
    walk(document.body, null)
    const main = document.querySelector(".main-content, body")
    return main.scrollWidth > innerWidth ? [...spilled, "page"] : spilled
}"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("width, height", [(1280, 600), (390, 844)])
def test_whatever_the_window_figures_stay_in_their_cards_and_pages_in_reach(visit, width, height):
    page = visit()
    page.set_viewport_size({"width": width, "height": height})
    if width < 600:  # the settings are in front now; on a phone they are closed at first
        expect(page.locator(".MuiBackdrop-root")).to_be_visible()
        page.mouse.click(width - 8, height // 2)
        expect(page.locator(".MuiBackdrop-root")).to_be_hidden()
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")
    expect(page.get_by_text("How sure each term is")).to_be_visible()
    expect(page.locator(".bk-Figure:visible")).to_have_count(5)  # loss, terms, the coefficients of three variables
    page.wait_for_timeout(500)  # they take their sizes
    assert page.evaluate(SPILLED) == []
