"""The Train page in a browser, with and without server threads."""

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
def test_training_discovers_the_equations_and_a_reload_restores_them(visit):
    page = visit()
    expect(state(page)).to_have_text("Ready")
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")
    expect(equation(page, re.compile(r"^x' = -(10|9\.9\d*)\.?\d* x \+ (10|9\.9\d*)\.?\d* y$"))).to_be_visible()
    expect(page.get_by_text("7 of 7 true terms discovered, no false terms.")).to_be_visible()
    expect(button(page, "Start")).to_be_enabled()
    expect(button(page, "Pause")).to_be_disabled()
    expect(page).to_have_url(re.compile(r"experiment=lorenz.*run=lorenz-"))
    label, url = page.get_by_role("math").first.get_attribute("aria-label"), page.url
    page.reload()
    expect(state(page)).to_have_text("Finished")
    expect(equation(page, label)).to_be_visible()
    assert page.url == url


@pytest.mark.exhaustive
def test_plotly_is_loaded_only_for_three_dimensional_figures(visit):
    urls = []
    visit.context.on("request", lambda request: urls.append(request.url))
    flat = visit("experiment=decay")
    flat.wait_for_timeout(1500)
    assert [url for url in urls if "plotly" in url] == []
    solid = visit("experiment=rossler")
    expect(solid.locator(".js-plotly-plot").first).to_be_visible()
    assert len([url for url in urls if "plotly-" in url]) == 1


@pytest.mark.exhaustive
def test_without_plotly_the_trajectory_is_drawn_over_time(visit):
    visit.context.route(re.compile("plotly-"), lambda route: route.abort())
    page = visit("experiment=rossler")
    expect(page.get_by_text("Time shown")).to_be_visible()
    expect_painted(page, 3)  # x, y and z
    visit.context.unroute_all()  # shared by all tests
    assert all("ERR_FAILED" in error for error in visit.errors)
    visit.errors.clear()


@with_and_without_threads
def test_pause_step_stop_and_reset(visit):
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
    expect(page.get_by_text("Discover the equations behind the data")).to_be_visible()


@pytest.mark.exhaustive
@with_and_without_threads
def test_a_second_tab_shows_the_run_and_another_session_trains_independently(visit):
    first = visit(f"{SLOW}&steps=100000")
    button(first, "Start").click()
    expect(first).to_have_url(re.compile("run=rossler-"))
    second = visit(first.url.split("?")[1])
    expect(state(second)).to_have_text("Running")
    other = visit("experiment=decay")
    button(other, "Start").click()
    expect(state(other)).to_have_text("Finished")
    button(second, "Stop").click()
    expect(state(first)).to_have_text("Stopped")
    expect(state(other)).to_have_text("Finished")


def test_an_invalid_value_is_an_error_of_its_control(visit):
    page = visit("experiment=rossler&colour=red")
    expect(page.get_by_role("alert")).to_contain_text("colour=red")
    field = entry(page, "Sequence length")
    field.fill("700")
    field.press("Enter")
    expect(page.get_by_text("longer than the record of 600 points")).to_be_visible()
    expect(button(page, "Start")).to_be_disabled()
    field.fill("60")
    field.press("Enter")
    expect(page.get_by_text("longer than the record")).to_have_count(0)
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")


def test_a_failed_run_is_a_message_and_the_page_stays_usable(visit):
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
def test_dark_theme_and_all_options_of_the_cards(visit):
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
    """Two competitors and their predator, a system that is not part of the workbench."""
    a, b, c = s
    return a * (1 - a - b - c), b * (1 - 1.5 * a - b - c), c * (-1 + 2.5 * a + 0.5 * b)


def field_notes() -> bytes:
    """CSV file as exported by a spreadsheet: semicolons, decimal commas, 1 % noise, missing values, rows and days."""
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


def test_equations_are_discovered_from_a_file_with_gaps_and_noise_with_default_settings(visit):
    page = visit("experiment=table")
    upload(page, "field notes.csv", field_notes())
    expect(page.get_by_text("field notes.csv: 588 grid points, one every 0.1 day.")).to_be_visible()
    expect(page.get_by_text("line 9, column moss has no value; 4 of 588 values")).to_be_visible()
    expect(page.get_by_text("3 rows are missing from a uniform grid of step 0.1, first after line 41")).to_be_visible()
    expect(page.get_by_text("gap of 1.3 after line 249 (time 24.9); the record is split there")).to_be_visible()
    expect_painted(page, 3)
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")
    num = r"(\d\.\d{3})"
    expected = {
        rf"^algae' = {num} algae - {num} algae\^2 - {num} algae moss - {num} algae snails$": (
            1,
            1,
            1,
            1,
        ),
        rf"^moss' = {num} moss - {num} algae moss - {num} moss\^2 - {num} moss snails$": (1, 1.5, 1, 1),
        rf"^snails' = -{num} snails \+ {num} algae snails \+ {num} moss snails$": (1, 2.5, 0.5),
    }
    for pattern, values in expected.items():
        expect(equation(page, re.compile(pattern))).to_be_visible()
        match = re.match(pattern, equation(page, re.compile(pattern)).get_attribute("aria-label"))
        assert [float(number) for number in match.groups()] == pytest.approx(values, rel=0.05)
    expect(page.get_by_role("cell", name="l/(g day)").first).to_be_visible()
    url = page.url
    page.reload()
    expect(state(page)).to_have_text("Finished")
    assert page.url == url


@pytest.mark.exhaustive
@with_and_without_threads
def test_an_invalid_file_is_rejected_and_the_next_one_accepted(visit):
    page = visit("experiment=table&record=..%2Fsecrets")
    expect(page.get_by_role("alert")).to_contain_text("record=../secrets in the URL is invalid")
    upload(page, "bad.csv", field_notes().replace(b"n/a", b"gone", 3).replace(b";ok", b"", 100))
    expect(page.get_by_role("alert").last).to_contain_text("bad.csv: line 2 has 4 fields, most lines have 5")
    upload(page, "packed.csv", b"PK\x03\x04" + bytes(100))
    expect(page.get_by_role("alert").last).to_contain_text("packed.csv is a ZIP archive or a spreadsheet: unpack it")
    upload(page, "field notes.csv", field_notes())
    expect(page.get_by_text("field notes.csv: 588 grid points")).to_be_visible()
    expect(button(page, "Start")).to_be_enabled()


# Visible figures beyond their card, header links beyond the window, and whether the page is wider than the window.
OVERFLOWS = """() => {
    const overflows = []
    const walk = (root, card) => {
        for (const node of root.children ?? []) {
            const style = getComputedStyle(node), box = node.getBoundingClientRect()
            const inner = style.borderRadius === "8px" && style.borderStyle === "solid" && box.height > 150 ? box : card
            const isFigure = node.classList.contains("bk-Figure") && box.height > 0
            const isOutside = inner === null || box.bottom > inner.bottom || box.right > inner.right
            if (isFigure && isOutside) overflows.push("figure")
            if (node.tagName === "A" && node.closest("nav") && box.right > innerWidth) overflows.push(node.textContent)
            walk(node, inner)
            if (node.shadowRoot) walk(node.shadowRoot, inner)
        }
    }
    walk(document.body, null)
    const main = document.querySelector(".main-content, body")
    return main.scrollWidth > innerWidth ? [...overflows, "page"] : overflows
}"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("width, height", [(1280, 600), (390, 844)])
def test_figures_fit_their_cards_at_every_window_size(visit, width, height):
    page = visit()
    page.set_viewport_size({"width": width, "height": height})
    if width < 600:  # the sidebar covers the page; on a phone it is closed at first
        expect(page.locator(".MuiBackdrop-root")).to_be_visible()
        page.mouse.click(width - 8, height // 2)
        expect(page.locator(".MuiBackdrop-root")).to_be_hidden()
    button(page, "Start").click()
    expect(state(page)).to_have_text("Finished")
    expect(page.get_by_text("Confidence of the terms")).to_be_visible()
    expect(page.locator(".bk-Figure:visible")).to_have_count(5)  # loss, terms, the coefficients of three variables
    page.wait_for_timeout(500)  # layout
    assert page.evaluate(OVERFLOWS) == []
