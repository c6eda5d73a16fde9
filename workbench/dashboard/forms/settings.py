"""Fields of a Config for forms: labels, bounds, validation, conversion to and from URLs. No widgets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from workbench.experiments.protocol import Config

MAX_CHOICES = 6
"""Maximum number of values of a bounded integer that is shown as a choice."""
LABELS = {"window": "sequence length", "backend": "solver", "noise": "noise level"}
"""Label of a field whose name is not the term used on the page."""


@dataclass(frozen=True)
class Setting:
    """One field of a Config.

    options: values to choose from; empty for free entry. bounds: allowed range as text. ticks: values of a slider.
    multiple: whether several options may be selected; the value is then a comma-separated list.
    """

    name: str
    label: str
    description: str
    group: str
    modes: tuple[str, ...]
    options: tuple[Any, ...]
    bounds: str
    default: Any
    ticks: tuple[Any, ...] = ()
    multiple: bool = False


def settings(config: type[Config]) -> tuple[Setting, ...]:
    """Fields of a Config class in order of definition, the seed last."""
    fields = [_setting(name, info) for name, info in config.model_fields.items()]
    return tuple(sorted(fields, key=lambda setting: setting.name == "seed"))


def _setting(name: str, info: FieldInfo) -> Setting:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, Mapping) else {}
    keys = ("ge", "gt", "le", "lt")
    limits = {key: getattr(rule, key) for rule in info.metadata for key in keys if hasattr(rule, key)}
    unit = str(extra.get("unit", ""))
    label = LABELS.get(name, name.replace("_", " "))
    return Setting(
        name=name,
        label=label[:1].upper() + label[1:] + (f" ({unit})" if unit else ""),
        description=info.description or "",
        group=str(extra.get("group", "main")),
        modes=tuple(extra.get("modes", ())),
        options=tuple(extra["many"]) if "many" in extra else _options(info.annotation, limits),
        bounds=_format_bounds(limits),
        default=info.default,
        ticks=tuple(extra.get("ticks", ())),
        multiple="many" in extra,
    )


def _options(kind: Any, limits: Mapping[str, Any]) -> tuple[Any, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    if kind is bool:
        return (True, False)
    if kind is int and {"ge", "le"} <= limits.keys() and limits["le"] - limits["ge"] < MAX_CHOICES:
        return tuple(range(limits["ge"], limits["le"] + 1))
    return ()


_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _format_bounds(limits: Mapping[str, Any]) -> str:
    return " and ".join(f"{_SIGNS[key]} {format_value(value)}" for key, value in limits.items())


def format_value(value: Any) -> str:
    """Text of a value, as in forms and URLs; `float(format_value(x)) == x`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        short = f"{value:.12g}"
        return short if float(short) == value else repr(value)
    return str(value)


def defaults(config: type[Config], entered: Mapping[str, Any]) -> dict[str, Any]:
    """Default of every field in the mode named in `entered`."""
    base = {name: info.default for name, info in config.model_fields.items()}
    base.update(config.mode_defaults.get(entered.get("mode", base.get("mode")), {}))
    return base


def validate(config: type[Config], entered: Mapping[str, Any]) -> tuple[Config | None, dict[str, str]]:
    """Config with the entered values, or None, and error messages by field; key "" holds errors of no field."""
    try:
        return config.model_validate(dict(entered)), {}
    except ValidationError as error:
        messages = {}
        for fault in error.errors():
            text = _message(fault)
            messages.setdefault(_field(fault["loc"], text, config.model_fields), text)
        return None, messages


def _field(location: Sequence[Any], text: str, names: Mapping[str, Any]) -> str:
    """Field of a validation error: its location, else the first field named in its message."""
    if location:
        return str(location[0])
    words = re.findall(r"\w+", text.lower())
    return next((word for word in words if word in names), "")


def _message(fault: Mapping[str, Any]) -> str:
    limits = fault.get("ctx", {})
    kind = fault["type"]
    for word, key in (
        ("greater_than_equal", "ge"),
        ("greater_than", "gt"),
        ("less_than_equal", "le"),
        ("less_than", "lt"),
    ):
        if kind == word:
            return f"{fault['input']} must be {_SIGNS[key]} {format_value(limits[key])}."
    if kind in ("int_parsing", "int_from_float", "int_type"):
        return f"Expected a whole number, not “{fault['input']}”."
    if kind in ("float_parsing", "float_type", "finite_number"):
        return f"Expected a number, not “{fault['input']}”."
    if kind == "extra_forbidden":
        return "Unknown setting."
    text = str(fault["msg"]).removeprefix("Value error, ")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def query(config: Config, before: Mapping[str, str] | None = None, after: Mapping[str, str] | None = None) -> str:
    """Configuration as the search part of a URL, `?...`, between the pairs `before` and `after`."""
    values = {name: format_value(value) for name, value in config.model_dump().items()}
    return "?" + urlencode({**(before or {}), **values, **(after or {})})


def parse_query(search: str) -> tuple[dict[str, str], list[str]]:
    """Keys and values of the search part of a URL, and the keys that occur more than once."""
    pairs = parse_qsl(search.removeprefix("?"), keep_blank_values=True)
    keys = [key for key, _ in pairs]
    return dict(pairs), sorted({key for key in keys if keys.count(key) > 1})


def remove_keys(search: str, *keys: str) -> str:
    """Search part of a URL without the given keys."""
    pairs = parse_qsl(search.removeprefix("?"), keep_blank_values=True)
    return "?" + urlencode([(key, value) for key, value in pairs if key not in keys])
