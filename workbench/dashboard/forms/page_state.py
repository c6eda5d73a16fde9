"""State of one page: entered values, Config, notices, URL. No widgets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import param
from pydantic import BaseModel, ConfigDict

from workbench.dashboard.forms import settings
from workbench.experiments.protocol import current_names


@dataclass(frozen=True)
class Notice:
    """Message above the page. severity: "info", "warning" or "error"; details: collapsed text."""

    severity: str
    text: str
    details: str = ""


class PageConfig(BaseModel):
    """Settings of a page without training: as `protocol.Config`, without a seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    mode_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}


class PageState(param.Parameterized):
    """Settings of one page in one session.

    entered: values given by the user or the URL, unconverted; other fields have their defaults. config: None while a
    value is invalid. errors: messages by field. revision: increases with every change that the page must show.
    Subclasses define `Config` and `title`.
    """

    Config: type[BaseModel]
    title = "This page"
    groups: Mapping[str, str] = {"solver": "Solver options", "training": "Training", "data": "Data"}
    """Titles of the collapsible groups of settings."""
    hidden: tuple[str, ...] = ()
    """Settings without a control in the form, set by other parts of the page."""

    entered = param.Dict(default={}, doc="Entered values by field.")
    config = param.Parameter(doc="Valid Config, or None.")
    errors = param.Dict(default={}, doc="Error message by field.")
    notices = param.List(default=[], doc="Notices, oldest first.")
    revision = param.Integer(default=0)

    def enter(self, field: str, value: Any) -> None:
        """Set one field. A value equal to the default counts as not entered, so that another mode may change it."""
        entered = {**self.entered, field: value}
        if field != "mode" and settings.format_value(value) == settings.format_value(self.values(without=field)[field]):
            del entered[field]
        self._validate(entered)

    def values(self, *, without: str = "") -> dict[str, Any]:
        """Value of every field: as entered, else its default in the current mode."""
        entered = {key: value for key, value in self.entered.items() if key != without}
        return {**settings.defaults(self.Config, entered), **entered}

    def all_fields(self) -> tuple[settings.Setting, ...]:
        """All settings with a control."""
        return tuple(field for field in settings.settings(self.Config) if field.name not in self.hidden)

    def fields(self) -> list[settings.Setting]:
        """Settings of the current mode."""
        mode = self.values().get("mode")
        return [field for field in self.all_fields() if not field.modes or mode in field.modes]

    def _validate(self, entered: Mapping[str, Any]) -> None:
        config, errors = settings.validate(self.Config, entered)
        self.param.update(entered=dict(entered), config=config, errors=errors, revision=self.revision + 1)

    # notices and URL

    def notify(self, notice: Notice) -> None:
        """Add a notice."""
        self.param.update(notices=[*self.notices, notice], revision=self.revision + 1)

    def dismiss(self) -> None:
        """Remove all notices."""
        self.param.update(notices=[], revision=self.revision + 1)

    def read(self, search: str) -> None:
        """Apply the search part of a URL; unknown keys and invalid values become notices."""
        pairs, notices = self._pairs(search)
        self.notices = notices + self._read_settings(pairs)

    def query(self) -> str | None:
        """Search part of the URL with every setting; None while one is invalid."""
        return None if self.config is None else settings.query(self.config)

    def _pairs(self, search: str) -> tuple[dict[str, str], list[Notice]]:
        pairs, doubled = settings.parse_query(search)
        text = "The URL contains “{}” more than once; the last value is used."
        return pairs, [Notice("warning", text.format(key)) for key in doubled]

    def _read_settings(self, pairs: Mapping[str, str]) -> list[Notice]:
        fields, pairs = self.Config.model_fields, current_names(self.Config, pairs)
        values = {key: value for key, value in pairs.items() if key in fields}
        defaults = settings.defaults(self.Config, values)
        self._validate(
            {key: v for key, v in values.items() if key == "mode" or v != settings.format_value(defaults[key])}
        )
        unknown = [
            f"{key}={value} in the URL is ignored: {self.title} has no setting “{key}”."
            for key, value in pairs.items()
            if key not in fields
        ]
        invalid = [
            f"{key}={values[key]} in the URL is invalid: {text}" for key, text in self.errors.items() if key in values
        ]
        return [Notice("warning", text) for text in unknown + invalid]
