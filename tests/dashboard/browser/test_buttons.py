"""Buttons that change faster than a browser draws."""

import asyncio

import panel as pn
import pytest

from tests.dashboard.browser.browsing import MILLISECONDS, button, expect, free_port
from workbench.dashboard.app.buttons import Button

pytestmark = pytest.mark.browser
GAPS = (2, 5, 8, 8, 8, 8, 12, 20) * 4
"""Milliseconds between two changes; about 8 are the worst case for a browser at an eighth of its speed."""


def test_a_state_reported_by_the_browser_is_ignored():
    """A slow browser reports an outdated state after the server has set a new one."""
    widget = Button(label="Start")
    widget._process_events({"disabled": True, "label": "Off"})
    assert (widget.disabled, widget.label) == (False, "Start")


@pytest.fixture
def flickering():
    """URL of a page with one button per gap; a click on "Go" disables and enables each."""

    def app() -> pn.Column:
        buttons = [Button(label=f"Flickers {i}") for i in range(len(GAPS))]
        go = Button(label="Go")

        async def flicker(_: object) -> None:
            for widget, gap in zip(buttons, GAPS, strict=True):
                widget.disabled = True
                await asyncio.sleep(gap / 1e3)
                widget.disabled = False
            go.label = "Done"

        go.on_click(flicker)
        return pn.Column(go, *buttons)

    port = free_port()
    server = pn.serve(app, port=port, show=False, threaded=True)
    yield f"http://localhost:{port}"
    server.stop()


@pytest.mark.browser
def test_buttons_end_in_the_state_set_by_the_server(flickering, context):
    """The final state does not depend on the speed of the browser."""
    page = context.new_page()
    page.goto(flickering)
    expect(button(page, "Go")).to_be_enabled(timeout=MILLISECONDS)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 8})
    button(page, "Go").click()
    expect(button(page, "Done")).to_be_visible(timeout=MILLISECONDS)
    flickers = page.get_by_role("button", name="Flickers", disabled=False)
    expect(flickers).to_have_count(len(GAPS), timeout=MILLISECONDS)
    page.close()
