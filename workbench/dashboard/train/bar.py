"""The bar above the cards: the buttons of a run, its state, its numbers."""

from collections.abc import Callable

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import text
from workbench.dashboard.train import text as words
from workbench.dashboard.train.state import TrainState


class Bar:
    """Start, Pause or Resume, Step, Stop, Reset; then state, step, time and memory. `answer` follows every press.

    icons: whether the font of the icons is there.
    """

    def __init__(self, state: TrainState, answer: Callable[[], None], *, icons: bool = True) -> None:
        self.state = state
        self._icons = icons
        self.start = button("Start", self._icon("play_arrow"), state.start, answer, variant="contained")
        self.pause = button("Pause", self._icon("pause"), state.toggle, answer)
        self.step = button("Step", self._icon("skip_next"), state.step, answer)
        self.stop = button("Stop", self._icon("stop"), state.stop, answer)
        self.reset = button("Reset", self._icon("replay"), state.reset, answer, variant="text")
        buttons = Row(self.start, self.pause, self.step, self.stop, self.reset, margin=0, styles=theme.LINE)
        self._chip = text("", sizing_mode=None)
        self._numbers = text("", styles=theme.share(1, 250))
        line = Row(self._chip, self._numbers, styles={"gap": "20px", **theme.share(1, 350)}, **WIDE)
        both = Row(buttons, line, styles={**theme.LINE, "gap": "8px 24px", "align-items": "center"}, **WIDE)
        self.view = Column(both, styles={**theme.CARD, "padding": "12px 18px"}, **WIDE)

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
