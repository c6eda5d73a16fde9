"""Buttons whose state changes faster than a browser draws."""

import asyncio

import panel as pn
import pytest

from tests.dashboard.browser.browsing import MILLISECONDS, button, expect, free_port
from workbench.dashboard.app.buttons import Button

pytestmark = pytest.mark.browser
GAPS = (2, 5, 8, 8, 8, 8, 12, 20) * 4
"""Milliseconds between two changes; about 8 are the worst where a browser runs at an eighth of its speed."""


def test_the_state_that_a_browser_reports_is_not_taken():
    """As a slow browser reports it: a state of before, when the server has set another one since."""
    made = Button(label="Start")
    made._process_events({"disabled": True, "label": "Off"})
    assert (made.disabled, made.label) == (False, "Start")


@pytest.fixture
def flickering():
    """The address of a page with a button per gap: at a press of "Go" each is disabled and enabled again."""

    def app() -> pn.Column:
        made = [Button(label=f"Flickers {i}") for i in range(len(GAPS))]
        go = Button(label="Go")

        async def flicker(_: object) -> None:
            for flickering, gap in zip(made, GAPS, strict=True):
                flickering.disabled = True
                await asyncio.sleep(gap / 1e3)
                flickering.disabled = False
            go.label = "Done"

        go.on_click(flicker)
        return pn.Column(go, *made)

    port = free_port()
    server = pn.serve(app, port=port, show=False, threaded=True)
    yield f"http://localhost:{port}"
    server.stop()


@pytest.mark.browser
def test_the_last_word_on_a_button_is_the_servers(flickering, context):
    """However slow the browser is: in the end every button is as the server has set it last."""
    page = context.new_page()
    page.goto(flickering)
    expect(button(page, "Go")).to_be_enabled(timeout=MILLISECONDS)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 8})
    button(page, "Go").click()
    expect(button(page, "Done")).to_be_visible(timeout=MILLISECONDS)
    flickers = page.get_by_role("button", name="Flickers", disabled=False)
    expect(flickers).to_have_count(len(GAPS), timeout=MILLISECONDS)
    page.close()
