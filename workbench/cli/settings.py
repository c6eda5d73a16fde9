"""Command-line options as the Config of an experiment."""

import argparse
import re
from collections.abc import Mapping
from typing import Any

from workbench.cli.errors import CommandError


def option(name: str) -> str:
    """Option of a setting."""
    return "--" + name.replace("_", "-")


def config_of(experiment: Any, values: Mapping[str, Any]) -> Any:
    """Config with these values. Raises CommandError naming the invalid options."""
    from pydantic import ValidationError

    try:
        return experiment.Config(**values)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            names = re.findall(r"\w+", fault["msg"])
            field = (
                fault["loc"][0]
                if fault["loc"]
                else next((name for name in names if name in experiment.Config.model_fields), None)
            )
            text = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            value = f", not {values[field]!r}" if fault["loc"] and field in values else ""
            lines.append(f"{option(field)}: {text}{value}" if field else text)
        raise CommandError("; ".join(lines), 2) from None


def parse_settings(options: argparse.Namespace) -> dict[str, str]:
    """Settings given on the command line, as text."""
    values = {name.removeprefix("setting:"): v for name, v in vars(options).items() if name.startswith("setting:")}
    return {name: value for name, value in values.items() if value is not None}
