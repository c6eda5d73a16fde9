"""What was typed, as the Config of an experiment."""

import argparse
import re
from collections.abc import Mapping
from typing import Any

from workbench.cli.errors import CommandError


def option(name: str) -> str:
    """How a setting is typed."""
    return "--" + name.replace("_", "-")


def config_of(experiment: Any, given: Mapping[str, Any]) -> Any:
    """The Config of these values; a complaint that names the options which are wrong."""
    from pydantic import ValidationError

    try:
        return experiment.Config(**given)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            words = re.findall(r"\w+", fault["msg"])
            field = (
                fault["loc"][0]
                if fault["loc"]
                else next((w for w in words if w in experiment.Config.model_fields), None)
            )
            text = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            value = f", not {given[field]!r}" if fault["loc"] and field in given else ""
            lines.append(f"{option(field)}: {text}{value}" if field else text)
        raise CommandError("; ".join(lines), 2) from None


def typed(options: argparse.Namespace) -> dict[str, str]:
    """The settings that were typed, as text."""
    given = {key: value for key, value in vars(options).items() if key.startswith("setting:") and value is not None}
    return {key.removeprefix("setting:"): value for key, value in given.items()}
