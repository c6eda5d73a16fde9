"""What a person has chosen on one page: entered values, the Config they make, notices, the address. No widgets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import param
from pydantic import BaseModel, ConfigDict

from workbench.dashboard.forms import settings
from workbench.experiments.protocol import current_names


@dataclass(frozen=True)
class Notice:
    """A message above the page; `severity` is "info", "warning" or "error", `details` folds away."""

    severity: str
    text: str
    details: str = ""


class PageConfig(BaseModel):
    """The settings of a page that trains nothing: as `protocol.Config`, without a seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    mode_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}


class PageState(param.Parameterized):
    """Settings of one page in one session.

    `given` holds what a person (or the URL) has entered, as entered; every other field has its default. `config` is
    None while something entered is wrong, and `errors` says per field what. `revision` grows with every change that the
    page must show. A subclass says whose settings they are: `Config`, a class, and
    `title`.
    """

    Config: type[BaseModel]
    title = "This page"
    folds: Mapping[str, str] = {"solver": "Solver", "training": "Training", "data": "Data"}
    """The groups of settings that fold away, and their titles."""
    hidden: tuple[str, ...] = ()
    """Settings that have no control in the form: other parts of the page set them."""

    given = param.Dict(default={}, doc="Entered values by field.")
    config = param.Parameter(doc="The valid Config, or None.")
    errors = param.Dict(default={}, doc="Message by field.")
    notices = param.List(default=[], doc="Notices, oldest first.")
    revision = param.Integer(default=0)

    def enter(self, field: str, value: Any) -> None:
        """Set one field. Its default, entered or chosen, counts as untouched, so that another mode may change it."""
        given = {**self.given, field: value}
        if field != "mode" and settings.written(value) == settings.written(self.shown(without=field)[field]):
            del given[field]
        self._settle(given)

    def shown(self, *, without: str = "") -> dict[str, Any]:
        """The value of every field as the page shows it: as entered, else its default in this mode."""
        given = {key: value for key, value in self.given.items() if key != without}
        return {**settings.defaults(self.Config, given), **given}

    def all_fields(self) -> tuple[settings.Setting, ...]:
        """Every setting that has a control."""
        return tuple(field for field in settings.settings(self.Config) if field.name not in self.hidden)

    def fields(self) -> list[settings.Setting]:
        """The settings that matter in the chosen mode."""
        mode = self.shown().get("mode")
        return [field for field in self.all_fields() if not field.modes or mode in field.modes]

    def _settle(self, given: Mapping[str, Any]) -> None:
        config, errors = settings.check(self.Config, given)
        self.param.update(given=dict(given), config=config, errors=errors, revision=self.revision + 1)

    # notices and the address

    def tell(self, notice: Notice) -> None:
        """Show a notice."""
        self.param.update(notices=[*self.notices, notice], revision=self.revision + 1)

    def dismiss(self) -> None:
        """Take the notices away."""
        self.param.update(notices=[], revision=self.revision + 1)

    def read(self, search: str) -> None:
        """Take over what the search part of a URL asks for; what is unknown or wrong is named in a notice."""
        pairs, notices = self._pairs(search)
        self.notices = notices + self._read_settings(pairs)

    def query(self) -> str | None:
        """The search part of the URL: every setting; None while one is wrong."""
        return None if self.config is None else settings.query(self.config)

    def _pairs(self, search: str) -> tuple[dict[str, str], list[Notice]]:
        pairs, doubled = settings.parse_query(search)
        text = "The address holds “{}” more than once; the last one counts."
        return pairs, [Notice("warning", text.format(key)) for key in doubled]

    def _read_settings(self, pairs: Mapping[str, str]) -> list[Notice]:
        fields, pairs = self.Config.model_fields, current_names(self.Config, pairs)
        known = {key: value for key, value in pairs.items() if key in fields}
        notices = [
            Notice(
                "warning", f"The address holds {key}={value}, but {self.title} has no setting “{key}”; it is left out."
            )
            for key, value in pairs.items()
            if key not in fields
        ]
        base = settings.defaults(self.Config, known)
        touched = {key: value for key, value in known.items() if key == "mode" or value != settings.written(base[key])}
        self._settle(touched)
        return notices + [
            Notice("warning", f"The address holds {key}={known[key]}, which cannot be used: {text}")
            for key, text in self.errors.items()
            if key in known
        ]
