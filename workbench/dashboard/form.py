"""Controls built from a pydantic Config: one per field, its message beside it, whatever the experiment."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from workbench import experiments
from workbench.dashboard import look
from workbench.dashboard.look import WIDE
from workbench.dashboard.session import TrainState
from workbench.dashboard.settings import Setting, written
from workbench.dashboard.upload import Upload
from workbench.datasets.tables import Source

FOLDED = ("solver", "training", "data")
MOST_SEGMENTS = 3


class Control:
    """One field: a row of buttons, a list or a line of text, and what is wrong with its value."""

    def __init__(self, setting: Setting, entered: Callable[[str, Any], None]) -> None:
        self.setting = setting
        self._entered = entered
        limits = f" ({setting.bounds})" if setting.bounds else ""
        common = {
            "description": setting.text + limits,
            "size": "small",
            "margin": (7, 0),
            "sizing_mode": "stretch_width",
        }
        if not setting.options:
            self.widget = pmui.TextInput(label=setting.label, value=written(setting.default), **common)
        else:
            few = len(setting.options) <= MOST_SEGMENTS or isinstance(setting.options[0], int)
            kind = pmui.RadioButtonGroup if few else pmui.Select
            options = {written(option): option for option in setting.options}
            self.widget = kind(label=setting.label, options=options, value=setting.default, **common)
        self.widget.param.watch(self._changed, "value")

    async def _changed(self, event: Any) -> None:
        if event.new is not None:
            self._entered(self.setting.name, event.new)

    def update(self, value: Any, error: str, *, visible: bool) -> None:
        """Show a value, as entered or default, and what is wrong with it ("": nothing)."""
        if self.setting.options:
            value = next((option for option in self.setting.options if written(option) == written(value)), None)
            message = {"label": f"{self.setting.label}: {error}" if error else self.setting.label}
        else:
            value, message = written(value), {"error_state": bool(error), "helper_text": error}
        self.widget.param.update(value=value, visible=visible, **message)


class Form:
    """The sidebar: which experiment, its main settings in view, the rest folded away."""

    def __init__(self, state: TrainState) -> None:
        self.state = state
        self._shown = None
        self._controls = {}
        titles = {experiments.get(name).title: name for name in experiments.names()}
        self._choice = pmui.Select(
            label="Data set",
            options=titles,
            value=state.experiment.name,
            size="small",
            margin=(4, 0, 4, 0),
            sizing_mode="stretch_width",
        )
        self._choice.param.watch(self._chosen, "value")
        self._summary = pn.pane.HTML("", stylesheets=[look.STYLE], margin=(0, 2, 6, 2), sizing_mode="stretch_width")
        self._files = pn.Column(**WIDE)
        self._fields = pn.Column(**WIDE)
        self._folds = []
        parts = (self._choice, self._summary, self._files, self._fields)
        self.view = pn.Column(*parts, margin=(10, 16), sizing_mode="stretch_width")

    async def _chosen(self, event: Any) -> None:
        if event.new != self.state.experiment.name:
            self.state.choose(event.new)

    def _entered(self, name: str, value: Any) -> None:
        if written(value) != written(self.state.shown().get(name)):
            self.state.enter(name, value)

    def _read(self, sources: Sequence[Source]) -> None:
        """Read files in a thread: a large one takes seconds, in which the page must answer."""
        pn.state.execute(partial(asyncio.to_thread, self.state.upload, sources))

    def update(self) -> None:
        """Show the state: build the controls of a new experiment, then values, messages and what the mode needs."""
        if self._shown is not self.state.experiment:
            self._build()
        values, wanted = self.state.shown(), {field.name for field in self.state.fields()}
        for name, control in self._controls.items():
            error = self.state.errors.get(name, "")
            control.update(values[name], error, visible=name in wanted or bool(error))
        for fold, controls in self._folds:
            fold.visible = any(control.widget.visible for control in controls)
            if any(control.setting.name in self.state.errors for control in controls):
                fold.active = [0]

    def _build(self) -> None:
        self._shown = self.state.experiment
        self._choice.value = self._shown.name
        self._summary.object = f'<div class="caption">{self._shown.summary}</div>'
        takes_files = hasattr(self._shown, "keep")
        self._files.objects = [Upload(self._read, self.state.refuse)] if takes_files else []
        fields = sorted(self.state.all_fields(), key=lambda field: field.name != "mode")
        self._controls = {field.name: Control(field, self._entered) for field in fields}
        self._folds = [self._fold(group) for group in FOLDED if any(field.group == group for field in fields)]
        main = [control.widget for control in self._controls.values() if control.setting.group not in FOLDED]
        self._fields.objects = [*main, *[fold for fold, _ in self._folds]]

    def _fold(self, group: str) -> tuple[pmui.Accordion, list[Control]]:
        controls = [control for control in self._controls.values() if control.setting.group == group]
        inside = pn.Column(*[control.widget for control in controls], **WIDE)
        return pmui.Accordion(
            (group.capitalize(), inside),
            active=[],
            dynamic=True,
            margin=(6, 0, 0, 0),
            sizing_mode="stretch_width",
            disable_gutters=True,
            title_variant="body2",
            sx=look.FOLD,
        ), controls
