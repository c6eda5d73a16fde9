"""What a page needs to know of a Config: its fields, what is wrong with a value, how it looks in a URL. No widgets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from workbench.experiments.protocol import Config

MOST_BUTTONS = 6


@dataclass(frozen=True)
class Setting:
    """One field of a Config, ready to become a control.

    `options` holds the values of a choice ((): free entry); `bounds` says in words what is allowed. `ticks` holds the
    values of a slider; `many`: several of the options may be chosen, written one after the other with commas.
    """

    name: str
    label: str
    text: str
    group: str
    modes: tuple[str, ...]
    options: tuple[Any, ...]
    bounds: str
    default: Any
    ticks: tuple[Any, ...] = ()
    many: bool = False


def settings(config: type[Config]) -> tuple[Setting, ...]:
    """The fields of a Config class in their order; the seed, which every Config has, last."""
    found = [_setting(name, info) for name, info in config.model_fields.items()]
    return tuple(sorted(found, key=lambda setting: setting.name == "seed"))


def _setting(name: str, info: FieldInfo) -> Setting:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, Mapping) else {}
    limits = {
        key: getattr(rule, key) for rule in info.metadata for key in ("ge", "gt", "le", "lt") if hasattr(rule, key)
    }
    unit = str(extra.get("unit", ""))
    label = name.replace("_", " ")
    return Setting(
        name=name,
        label=label[:1].upper() + label[1:] + (f" ({unit})" if unit else ""),
        text=info.description or "",
        group=str(extra.get("group", "main")),
        modes=tuple(extra.get("modes", ())),
        options=tuple(extra["many"]) if "many" in extra else _options(info.annotation, limits),
        bounds=_words(limits),
        default=info.default,
        ticks=tuple(extra.get("ticks", ())),
        many="many" in extra,
    )


def _options(kind: Any, limits: Mapping[str, Any]) -> tuple[Any, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    if kind is bool:
        return (True, False)
    if kind is int and {"ge", "le"} <= limits.keys() and limits["le"] - limits["ge"] < MOST_BUTTONS:
        return tuple(range(limits["ge"], limits["le"] + 1))
    return ()


_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _words(limits: Mapping[str, Any]) -> str:
    return " and ".join(f"{_SIGNS[key]} {written(value)}" for key, value in limits.items())


def written(value: Any) -> str:
    """A value as a person writes it (and as the URL holds it); `float(written(x)) == x`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        short = f"{value:.12g}"
        return short if float(short) == value else repr(value)
    return str(value)


def defaults(config: type[Config], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every field that `given` leaves out, in the mode that `given` names."""
    base = {name: info.default for name, info in config.model_fields.items()}
    base.update(config.mode_defaults.get(given.get("mode", base.get("mode")), {}))
    return base


def check(config: type[Config], given: Mapping[str, Any]) -> tuple[Config | None, dict[str, str]]:
    """The Config that `given` makes, or None and a message per field; "" is the key of what belongs to no field."""
    try:
        return config.model_validate(dict(given)), {}
    except ValidationError as error:
        messages = {}
        for fault in error.errors():
            text = _message(fault)
            messages.setdefault(_field(fault["loc"], text, config.model_fields), text)
        return None, messages


def _field(where: Sequence[Any], text: str, names: Mapping[str, Any]) -> str:
    """The field a fault belongs to: where it happened, else the first field that its message names."""
    if where:
        return str(where[0])
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
            return f"{fault['input']} must be {_SIGNS[key]} {written(limits[key])}."
    if kind in ("int_parsing", "int_from_float", "int_type"):
        return f"A whole number is needed, not “{fault['input']}”."
    if kind in ("float_parsing", "float_type", "finite_number"):
        return f"A number is needed, not “{fault['input']}”."
    if kind == "extra_forbidden":
        return "There is no such setting."
    text = str(fault["msg"]).removeprefix("Value error, ")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def query(config: Config, before: Mapping[str, str] | None = None, after: Mapping[str, str] | None = None) -> str:
    """The whole configuration as the search part of a URL, `?...`, between what else the URL holds."""
    values = {name: written(value) for name, value in config.model_dump().items()}
    return "?" + urlencode({**(before or {}), **values, **(after or {})})


def parse_query(search: str) -> tuple[dict[str, str], list[str]]:
    """The keys and values of a URL's search part, and the keys that stand in it more than once."""
    pairs = parse_qsl(search.removeprefix("?"), keep_blank_values=True)
    keys = [key for key, _ in pairs]
    return dict(pairs), sorted({key for key in keys if keys.count(key) > 1})


def without(search: str, *keys: str) -> str:
    """The search part of a URL without these keys."""
    pairs = parse_qsl(search.removeprefix("?"), keep_blank_values=True)
    return "?" + urlencode([(key, value) for key, value in pairs if key not in keys])
