"""Import of packages that some tests require: a missing one fails in CI and skips the tests elsewhere."""

import os
from importlib import import_module
from typing import Any

import pytest


def needed(name: str, install: str) -> Any:
    """Import a module; `install` is the advice shown if it is missing."""
    return import_module(name) if os.environ.get("CI") == "true" else pytest.importorskip(name, reason=install)
