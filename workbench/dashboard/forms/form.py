"""Controls generated from a pydantic Config: one per field, with its error message."""

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
from workbench.dashboard.forms.settings import Setting, format_value
from workbench.dashboard.forms.upload import Upload
from workbench.dashboard.train.state import TrainState
from workbench.datasets.tabular import Source

MAX_BUTTONS = 3
"""Maximum number of options shown as buttons; more are a drop-down list."""


class Control:
    """Widget of one field (buttons, drop-down list, slider, check boxes or text field) with its error message."""

    def __init__(self, setting: Setting, on_enter: Callable[[str, Any], None]) -> None:
        self.setting = setting
        self._on_enter = on_enter
        self.widget = self._build()
        self.widget.param.watch(self._on_change, "value_throttled" if setting.ticks else "value")

    def _build(self) -> Any:
        setting = self.setting
        limits = f" ({setting.bounds})" if setting.bounds else ""
        common = {
            "description": setting.description + limits,
            "size": "small",
            "margin": (7, 0),
            "sizing_mode": "stretch_width",
            "label": setting.label,
        }
        if setting.ticks:
            return pmui.DiscreteSlider(options=self._ticks(), value=setting.default, **common)
        if setting.multiple:
            selected = [name.strip() for name in setting.default.split(",")]
            return pmui.CheckBoxGroup(options=list(setting.options), value=selected, **common)
        if not setting.options:
            return pmui.TextInput(value=format_value(setting.default), **common)
        is_short = len(setting.options) <= MAX_BUTTONS or isinstance(setting.options[0], int)
        Widget = pmui.RadioButtonGroup if is_short else pmui.Select
        options = {format_value(option): option for option in setting.options}
        return Widget(options=options, value=setting.default, **common)

    def _ticks(self, *extra: Any) -> dict[str, Any]:
        """Slider values by label; `extra` adds values given in the URL."""
        return {format_value(value): value for value in sorted({*self.setting.ticks, *extra})}

    def _on_change(self, event: Any) -> None:
        if event.new is not None:
            value = ", ".join(event.new) if self.setting.multiple else event.new
            if self.setting.ticks:  # value_throttled of a DiscreteSlider is a position
                value = list(self.widget.options.values())[value]
            self._on_enter(self.setting.name, value)

    def update(self, value: Any, error: str, *, visible: bool) -> None:
        """Show a value, entered or default, and its error message ("" if valid)."""
        message = {"label": f"{self.setting.label}: {error}" if error else self.setting.label}
        if self.setting.ticks:
            value = self._on_slider(value)
        elif self.setting.multiple:
            value = [name.strip() for name in str(value).split(",") if name.strip() in self.setting.options]
        elif self.setting.options:
            value = next(
                (option for option in self.setting.options if format_value(option) == format_value(value)), None
            )
        else:
            value, message = format_value(value), {"error_state": bool(error), "helper_text": error}
        self.widget.param.update(value=value, visible=visible, **message)

    def _on_slider(self, value: Any) -> Any:
        """Value as a number; added to the slider if it is not one of its ticks."""
        try:
            number = type(self.setting.default)(value)
        except ValueError:
            return self.setting.default
        if number not in self.widget.options.values():
            self.widget.options = self._ticks(number)
        return number


class Controls:
    """Controls of all settings of a state: main settings on top, the rest in collapsible groups."""

    def __init__(self, state: PageState) -> None:
        self.state = state
        self._Config = None
        self._controls = {}
        self._groups = []
        self.view = Column(**WIDE)

    def _on_enter(self, name: str, value: Any) -> None:
        if format_value(value) != format_value(self.state.values().get(name)):
            self.state.enter(name, value)

    def update(self) -> None:
        """Show the state: build the controls of a new Config, then set values, messages and visibility."""
        is_new = self._Config is not self.state.Config
        if is_new:
            self._build()
        values, active = self.state.values(), {field.name for field in self.state.fields()}
        for name, control in self._controls.items():
            error = self.state.errors.get(name, "")
            control.update(values[name], error, visible=name in active or bool(error))
        for accordion, controls in self._groups:
            accordion.visible = any(control.widget.visible for control in controls)
            if any(control.setting.name in self.state.errors for control in controls):
                accordion.active = [0]
        if is_new:  # last: models must not change in the turn in which they are added to the document
            groups = self.state.groups
            main = [control.widget for control in self._controls.values() if control.setting.group not in groups]
            self.view.objects = [*main, *[accordion for accordion, _ in self._groups]]

    def _build(self) -> None:
        self._Config = self.state.Config
        fields = sorted(self.state.all_fields(), key=lambda field: field.name != "mode")
        self._controls = {field.name: Control(field, self._on_enter) for field in fields}
        names = [name for name in self.state.groups if any(field.group == name for field in fields)]
        self._groups = [self._accordion(name) for name in names]

    def _accordion(self, group: str) -> tuple[pmui.Accordion, list[Control]]:
        controls = [control for control in self._controls.values() if control.setting.group == group]
        body = Column(*[control.widget for control in controls], **WIDE)
        return pmui.Accordion(
            (self.state.groups[group], body),
            active=[],
            dynamic=True,
            margin=(6, 0, 0, 0),
            sizing_mode="stretch_width",
            disable_gutters=True,
            title_variant="body2",
            sx=theme.ACCORDION,
        ), controls


class Form:
    """Sidebar of the Train page: choice of the experiment, then its settings."""

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
        self._choice.param.watch(self._on_choice, "value")
        self._summary = pn.pane.HTML("", stylesheets=[theme.STYLE], margin=(0, 2, 6, 2), sizing_mode="stretch_width")
        self._files = Column(**WIDE)
        self._controls = Controls(state)
        self.view = Column(self._choice, self._summary, self._files, self._controls.view, **theme.SIDE)

    def _on_choice(self, event: Any) -> None:
        if event.new != self.state.experiment.name:
            self.state.select_experiment(event.new)

    def _read(self, sources: Sequence[Source]) -> None:
        """Read files in a thread: a large one takes seconds, and the page must stay responsive."""
        pn.state.execute(partial(asyncio.to_thread, self.state.upload, sources))

    def update(self) -> None:
        """Show the state."""
        takes_files = hasattr(self.state.experiment, "keep")
        if takes_files != bool(len(self._files)):
            self._files.objects = [Upload(self._read, self.state.show_upload_error)] if takes_files else []
        self._choice.value = self.state.experiment.name
        self._summary.object = f'<div class="caption">{self.state.experiment.summary}</div>'
        self._controls.update()
