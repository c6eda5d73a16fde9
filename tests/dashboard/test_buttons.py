"""Buttons whose state changes faster than a browser draws."""

import asyncio

import panel as pn
import pytest

from tests.dashboard.browsing import MILLISECONDS, button, expect, free_port
from workbench.dashboard.buttons import Button

pytestmark = pytest.mark.browser
GAPS = (2, 5, 8, 8, 8, 8, 12, 20)
"""Milliseconds between two changes; about 8 are the worst where a browser runs at an eighth of its speed."""


@pytest.fixture
def flickering():
    """The address of a page with a button that is disabled and enabled again, many times; its last word is "Done"."""

    def app() -> pn.Column:
        made, said = Button(label="Flickers"), pn.pane.HTML("")
        kept = []

        async def flicker() -> None:
            for gap in GAPS * 8:
                made.param.update(disabled=True, label="Off")
                await asyncio.sleep(gap / 1e3)
                made.param.update(disabled=False, label="Flickers")
                await asyncio.sleep(0.3)
                (model,) = (model for model, _ in made._models.values())
                kept.append((made.disabled, made.label, model.data.disabled, model.data.label))
            wrong = [state for state in kept if state != (False, "Flickers", False, "Flickers")]
            said.object = f"Done {len(kept)}, wrong {len(wrong)}"

        pn.state.onload(lambda: pn.state.execute(flicker))
        return pn.Column(made, said)

    port = free_port()
    server = pn.serve(app, port=port, show=False, threaded=True)
    yield f"http://localhost:{port}"
    server.stop()


def test_the_last_word_on_a_button_is_the_servers(flickering, context):
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 8})
    page.goto(flickering)
    expect(page.get_by_text("Done")).to_have_text(f"Done {len(GAPS) * 8}, wrong 0", timeout=MILLISECONDS)
    expect(button(page, "Flickers")).to_be_enabled()
    page.close()
