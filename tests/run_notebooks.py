"""Run notebooks in one process, which imports the packages once; used by test_notebooks.py.

python -m tests.run_notebooks NOTEBOOK.ipynb ...    # prints {notebook: error or ""} as JSON
"""

import json
import sys
from pathlib import Path

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output


def error_of(shell: InteractiveShell, notebook: Path) -> str:
    """Run a notebook cell by cell in an empty namespace; return its first error or ""."""
    shell.reset()
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        with capture_output():
            result = shell.run_cell(cell.source)
        if not result.success:
            return f"{result.error_before_exec or result.error_in_exec!r} in\n{cell.source}"
    return ""


if __name__ == "__main__":
    shell = InteractiveShell.instance()
    print(json.dumps({name: error_of(shell, Path(name)) for name in sys.argv[1:]}))
