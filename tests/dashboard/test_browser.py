"""The real app in a real browser, with and without threads: what a person does, and what must never happen."""

import re

import pytest

from tests.dashboard.browsing import SLOW, button, entry, equation, expect, expect_painted, state, step_of

pytestmark = pytest.mark.browser


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
