"""The bar above the cards: the buttons of a run, its state, its numbers."""

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from workbench.dashboard import look, words
from workbench.dashboard.cards import text
from workbench.dashboard.look import WIDE
from workbench.dashboard.session import TrainState


class Bar:
    """Start, Pause or Resume, Step, Stop, Reset; then state, step, time and memory. `answer` follows every press.

    icons: whether the font of the icons is there.
    """

    def __init__(self, state: TrainState, answer: Callable[[], None], *, icons: bool = True) -> None:
        self.state = state
        self._icons = icons
        self._answer = answer
        self.start = self._button("Start", "play_arrow", state.start, variant="contained")
        self.pause = self._button("Pause", "pause", state.toggle)
        self.step = self._button("Step", "skip_next", state.step)
        self.stop = self._button("Stop", "stop", state.stop)
        self.reset = self._button("Reset", "replay", state.reset, variant="text")
        buttons = pn.Row(self.start, self.pause, self.step, self.stop, self.reset, margin=0, styles=look.LINE)
        self._chip = text("", sizing_mode=None)
        self._numbers = text("", styles=look.share(1, 250))
        line = pn.Row(self._chip, self._numbers, styles={"gap": "20px", **look.share(1, 350)}, **WIDE)
        both = pn.Row(buttons, line, styles={**look.LINE, "gap": "8px 24px", "align-items": "center"}, **WIDE)
        self.view = pn.Column(both, styles={**look.CARD, "padding": "12px 18px"}, **WIDE)

    def update(self) -> None:
        """Show which buttons make sense, and the numbers of the run."""
        enabled = self.state.enabled()
        goes_on = enabled["resume"]
        self.pause.param.update(
            label="Resume" if goes_on else "Pause",
            icon=self._icon("play_arrow" if goes_on else "pause"),
            disabled=not (goes_on or enabled["pause"]),
        )
        for name in ("start", "step", "stop", "reset"):
            getattr(self, name).disabled = not enabled[name]
        snapshot = self.state.job.snapshot() if self.state.job else None
        # The browser draws one after the other: who reads "Paused" must not read the numbers of before.
        self._numbers.object = words.numbers(
            snapshot, wrong=bool(self.state.errors), changed=self.state.changed, replays=self.state.replay is not None
        )
        self._chip.object = words.chip(snapshot)

    def _icon(self, name: str) -> str | None:
        return name if self._icons else None

    def _button(self, label: str, icon: str, act: Callable[[], None], variant: str = "outlined") -> pmui.Button:
        button = pmui.Button(
            label=label,
            icon=self._icon(icon),
            icon_size="1.35em",
            size="small",
            margin=0,
            variant=variant,
            color="primary",
        )

        async def pressed(_: Any) -> None:
            act()
            self._answer()

        button.on_click(pressed)
        return button
