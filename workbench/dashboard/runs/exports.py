"""A run for elsewhere: as a script or a notebook that makes it again, as NetCDF, as one page that opens offline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import experiments
from workbench.dashboard.runs.page_file import report_page
from workbench.training import run_file
from workbench.training.run_file import Run


def script(path: Path) -> bytes:
    """A Python script that makes the run of a file again and prints its losses, every digit.

    Raises ValueError for a file that is no run, or whose experiment is not known here.
    """
    run = _read(path)
    parts = [f'"""{_headline(run)}\n\n{_made_with(run)}\n"""\n', _imports(), _settings(run), _loop(run), _result()]
    return "\n".join(parts).encode()


def notebook(path: Path) -> bytes:
    """The same as a notebook (format 4.5, no outputs), with its learning curve. Raises as `script`."""
    run = _read(path)
    cells = [
        _cell("markdown", f"# {_headline(run)}\n\n{_made_with(run)}"),
        _cell("code", _imports().strip()),
        _cell("code", _settings(run).strip()),
        _cell("markdown", "The training: one record per step. On the machine of the run the losses are the same."),
        _cell("code", _loop(run).strip()),
        _cell("code", _CURVE.strip()),
        _cell("markdown", "What it has found."),
        _cell("code", _result().strip()),
    ]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(document, indent=1) + "\n").encode()


def netcdf(path: Path) -> bytes:
    """The run file itself. Raises as `runs.read_run`."""
    run_file.read_run(path)
    return path.read_bytes()


def page(path: Path) -> bytes:
    """One HTML page with everything in it; nothing is fetched when it opens. Raises as `script`."""
    return report_page(_read(path)).encode()


KINDS: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "Script": (".py", script),
    "Notebook": (".ipynb", notebook),
    "NetCDF": (".nc", netcdf),
    "Report": (".html", page),
}
"""By name: how the file's name ends, and what makes its content from the path of a run file."""


def _read(path: Path) -> Run:
    run = run_file.read_run(path)
    experiments.get(run.experiment)
    return run


def _headline(run: Run) -> str:
    return f"{experiments.get(run.experiment).title}: the run {run.path.stem} again"


def _made_with(run: Run) -> str:
    made = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return (
        f"Made on {run.created} with {made}.\nWith the same versions on the same machine every loss is the same to the "
        f"last digit."
    )


def _imports() -> str:
    return "import torch\n\nfrom workbench import experiments\n" + "from workbench.training import Training\n"


def _settings(run: Run) -> str:
    lines = "".join(f"    {name}={value!r},\n" for name, value in run.config.items())
    threads = run.versions.get("threads", "")
    same = f"torch.set_num_threads({threads})  # as in the run: sums in another order round differently\n"
    return (
        (same if threads.isdecimal() else "")
        + f"experiment = experiments.get({run.experiment!r})\n"
        + f"config = experiment.Config(\n{lines})\n"
    )


def _loop(run: Run) -> str:
    """To the end; of a run that was halted before: so many steps."""
    halt = (
        ""
        if run.status == "finished"
        else f"    if record.step == {run.steps}:  # as far as the run has come\n        break\n"
    )
    return (
        "training = Training(experiment, config)\n"
        "for record in training:\n"
        "    print(record.step, repr(record.metrics['loss']))\n".replace("'", '"')
        + halt
    )


def _result() -> str:
    return (
        "report = training.best_report()\n"
        "for equation in report.equations:\n"
        "    print(equation.text())\n"
        "for name, value in report.metrics.items():\n"
        "    print(name, value)\n"
    )


_CURVE = """
from bokeh.models import ColumnDataSource
from bokeh.plotting import output_notebook, show
from bokeh.resources import INLINE

from workbench.plots import loss

output_notebook(INLINE, hide_banner=True)
show(loss.curve(ColumnDataSource(loss.columns(training.records, "loss", None)), "loss", log=True))
"""


def _cell(kind: str, source: str) -> dict[str, Any]:
    cell = {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
