"""Sphinx configuration (`make docs` writes build/docs). No page loads resources from other machines."""

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "S-MNN workbench"
author = "The S-MNN workbench developers"
html_title = project
html_theme = "furo"
html_math_renderer = "mathml"
html_show_sphinx = False
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stay in the source
autodoc_preserve_defaults = True
default_role = "code"
nitpicky = True
nitpick_ignore = [("py:class", "collections.abc.Callable")]  # an alias; the Python documentation is not linked
highlight_language = "text"


def _inline(page: Any, node: nodes.math) -> None:
    page.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(page: Any, node: nodes.math_block) -> None:
    page.body.append(f'<div style="margin: 0.8em 0">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def plain(app: Any, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Convert a plain-text docstring: indented blocks are literal, `code` is code, all else is escaped."""
    converted = []
    for paragraph in "\n".join(lines).strip("\n").split("\n\n"):
        rows = paragraph.split("\n")
        if rows[0].startswith("    "):
            converted += ["::", "", *rows, ""]
            continue
        is_list = rows[0].startswith("- ")
        for row in rows:
            is_argument = re.match(r"[\w. ,()=]+: ", row) and len(rows) > 1  # "argument: description"
            indent = "  " if is_list and row.startswith("  ") else ""
            converted += ["", _escaped(row)] if is_argument else [indent + _escaped(row.strip())]
        converted.append("")
    lines[:] = converted


def _escaped(text: str) -> str:
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"``{part}``" if i % 2 else re.sub(r"([\\*_|`<>])", r"\\\1", part) for i, part in enumerate(parts))


def setup(app: Sphinx) -> None:
    """Render formulas as MathML, which needs no script, and docstrings as plain text."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("autodoc-process-docstring", plain)
