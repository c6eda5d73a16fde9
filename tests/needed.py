"""Packages that some tests need: where one is missing, CI fails, and elsewhere those tests are left out."""

import os
from importlib import import_module
from typing import Any

import pytest


def needed(name: str, install: str) -> Any:
    """The module of that name; `install` says how to get it."""
    return import_module(name) if os.environ.get("CI") == "true" else pytest.importorskip(name, reason=install)
