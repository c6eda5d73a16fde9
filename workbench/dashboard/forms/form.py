"""Controls built from a pydantic Config: one per field, its message beside it, whatever the experiment or page."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from workbench import experiments
from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.forms.page_state import PageState
from workbench.dashboard.forms.settings import Setting, written
from workbench.dashboard.forms.upload import Upload
from workbench.dashboard.train.state import TrainState
from workbench.datasets.tabular import Source

MOST_SEGMENTS = 3


class Control:
    """One field: buttons, a list, a slider, boxes to tick or a line of text, and what is wrong with its value."""

    def __init__(self, setting: Setting, entered: Callable[[str, Any], None]) -> None:
        self.setting = setting
        self._entered = entered
        self.widget = self._made()
        self.widget.param.watch(self._changed, "value_throttled" if setting.ticks else "value")

    def _made(self) -> Any:
        setting = self.setting
        limits = f" ({setting.bounds})" if setting.bounds else ""
        common = {
            "description": setting.text + limits,
            "size": "small",
            "margin": (7, 0),
            "sizing_mode": "stretch_width",
            "label": setting.label,
        }
        if setting.ticks:
            return pmui.DiscreteSlider(options=self._ticks(), value=setting.default, **common)
        if setting.many:
            chosen = [name.strip() for name in setting.default.split(",")]
            return pmui.CheckBoxGroup(options=list(setting.options), value=chosen, **common)
        if not setting.options:
            return pmui.TextInput(value=written(setting.default), **common)
        few = len(setting.options) <= MOST_SEGMENTS or isinstance(setting.options[0], int)
        kind = pmui.RadioButtonGroup if few else pmui.Select
        options = {written(option): option for option in setting.options}
        return kind(options=options, value=setting.default, **common)

    def _ticks(self, *more: Any) -> dict[str, Any]:
        """The values of a slider, and one besides that somebody wrote into the address."""
        return {written(value): value for value in sorted({*self.setting.ticks, *more})}

    def _changed(self, event: Any) -> None:
        if event.new is not None:
            value = ", ".join(event.new) if self.setting.many else event.new
            if self.setting.ticks:  # a DiscreteSlider tells the position at which it was released, not the value there
                value = list(self.widget.options.values())[value]
            self._entered(self.setting.name, value)

    def update(self, value: Any, error: str, *, visible: bool) -> None:
        """Show a value, as entered or default, and what is wrong with it ("": nothing)."""
        message = {"label": f"{self.setting.label}: {error}" if error else self.setting.label}
        if self.setting.ticks:
            value = self._on_slider(value)
        elif self.setting.many:
            value = [name.strip() for name in str(value).split(",") if name.strip() in self.setting.options]
        elif self.setting.options:
            value = next((option for option in self.setting.options if written(option) == written(value)), None)
        else:
            value, message = written(value), {"error_state": bool(error), "helper_text": error}
        self.widget.param.update(value=value, visible=visible, **message)

    def _on_slider(self, value: Any) -> Any:
        """The value as a number; the slider learns it where it is none of its ticks."""
        try:
            number = type(self.setting.default)(value)
        except ValueError:
            return self.setting.default
        if number not in self.widget.options.values():
            self.widget.options = self._ticks(number)
        return number


class Controls:
    """The controls of all settings of a state: the main ones in view, the rest folded away."""

    def __init__(self, state: PageState) -> None:
        self.state = state
        self._shown = None
        self._controls = {}
        self._folds = []
        self.view = Column(**WIDE)

    def _entered(self, name: str, value: Any) -> None:
        if written(value) != written(self.state.shown().get(name)):
            self.state.enter(name, value)

    def update(self) -> None:
        """Show the state: build the controls of a new Config, then values, messages and what the mode needs."""
        built = self._shown is not self.state.Config
        if built:
            self._build()
        values, wanted = self.state.shown(), {field.name for field in self.state.fields()}
        for name, control in self._controls.items():
            error = self.state.errors.get(name, "")
            control.update(values[name], error, visible=name in wanted or bool(error))
        for fold, controls in self._folds:
            fold.visible = any(control.widget.visible for control in controls)
            if any(control.setting.name in self.state.errors for control in controls):
                fold.active = [0]
        if built:  # last: what has come into the document must not change in the same turn
            main = [
                control.widget for control in self._controls.values() if control.setting.group not in self.state.folds
            ]
            self.view.objects = [*main, *[fold for fold, _ in self._folds]]

    def _build(self) -> None:
        self._shown = self.state.Config
        fields = sorted(self.state.all_fields(), key=lambda field: field.name != "mode")
        self._controls = {field.name: Control(field, self._entered) for field in fields}
        folds = self.state.folds
        self._folds = [self._fold(group) for group in folds if any(field.group == group for field in fields)]

    def _fold(self, group: str) -> tuple[pmui.Accordion, list[Control]]:
        controls = [control for control in self._controls.values() if control.setting.group == group]
        inside = Column(*[control.widget for control in controls], **WIDE)
        return pmui.Accordion(
            (self.state.folds[group], inside),
            active=[],
            dynamic=True,
            margin=(6, 0, 0, 0),
            sizing_mode="stretch_width",
            disable_gutters=True,
            title_variant="body2",
            sx=theme.FOLD,
        ), controls


class Form:
    """The sidebar of the Train page: which experiment, then its settings."""

    def __init__(self, state: TrainState) -> None:
        self.state = state
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
        self._summary = pn.pane.HTML("", stylesheets=[theme.STYLE], margin=(0, 2, 6, 2), sizing_mode="stretch_width")
        self._files = Column(**WIDE)
        self._controls = Controls(state)
        self.view = Column(self._choice, self._summary, self._files, self._controls.view, **theme.SIDE)

    def _chosen(self, event: Any) -> None:
        if event.new != self.state.experiment.name:
            self.state.choose(event.new)

    def _read(self, sources: Sequence[Source]) -> None:
        """Read files in a thread: a large one takes seconds, in which the page must answer."""
        pn.state.execute(partial(asyncio.to_thread, self.state.upload, sources))

    def update(self) -> None:
        """Show the state."""
        takes_files = hasattr(self.state.experiment, "keep")
        if takes_files != bool(len(self._files)):
            self._files.objects = [Upload(self._read, self.state.refuse)] if takes_files else []
        self._choice.value = self.state.experiment.name
        self._summary.object = f'<div class="caption">{self.state.experiment.summary}</div>'
        self._controls.update()
