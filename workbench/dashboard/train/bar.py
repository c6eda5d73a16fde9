"""Control bar: buttons, status and progress of a run."""

from collections.abc import Callable

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import html_pane
from workbench.dashboard.train import text
from workbench.dashboard.train.state import TrainState


class Bar:
    """Buttons Start, Pause/Resume, Step, Stop, Reset; status, step, time and memory.

    refresh: called after every click. icons: whether the icon font is available.
    """

    def __init__(self, state: TrainState, refresh: Callable[[], None], *, icons: bool = True) -> None:
        self.state = state
        self._icons = icons
        self.start = button("Start", self._icon("play_arrow"), state.start, refresh, variant="contained")
        self.pause = button("Pause", self._icon("pause"), state.toggle, refresh)
        self.step = button("Step", self._icon("skip_next"), state.step, refresh)
        self.stop = button("Stop", self._icon("stop"), state.stop, refresh)
        self.reset = button("Reset", self._icon("replay"), state.reset, refresh, variant="text")
        buttons = Row(self.start, self.pause, self.step, self.stop, self.reset, margin=0, styles=theme.LINE)
        self._chip = html_pane("", sizing_mode=None)
        self._numbers = html_pane("", styles=theme.flex(1, 250))
        line = Row(self._chip, self._numbers, styles={"gap": "20px", **theme.flex(1, 350)}, **WIDE)
        both = Row(buttons, line, styles={**theme.LINE, "gap": "8px 24px", "align-items": "center"}, **WIDE)
        self.view = Column(both, styles={**theme.CARD, "padding": "12px 18px"}, **WIDE)

    def update(self) -> None:
        """Enable the applicable buttons and show the progress of the run."""
        enabled = self.state.enabled()
        can_resume = enabled["resume"]
        self.pause.param.update(
            label="Resume" if can_resume else "Pause",
            icon=self._icon("play_arrow" if can_resume else "pause"),
            disabled=not (can_resume or enabled["pause"]),
        )
        for name in ("start", "step", "stop", "reset"):
            getattr(self, name).disabled = not enabled[name]
        snapshot = self.state.job.snapshot() if self.state.job else None
        # The browser draws in this order, so that "Paused" never appears beside outdated numbers.
        self._numbers.object = text.numbers(
            snapshot,
            is_invalid=bool(self.state.errors),
            is_changed=self.state.is_changed,
            is_replay=self.state.replay is not None,
        )
        self._chip.object = text.chip(snapshot)

    def _icon(self, name: str) -> str | None:
        return name if self._icons else None
