"""Export a run as a script or notebook that reproduces it, as NetCDF, or as a self-contained HTML report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import experiments
from workbench.dashboard.runs.page_file import report_page
from workbench.training import run_file
from workbench.training.run_file import Run


def script(path: Path) -> bytes:
    """Python script that reproduces a run and prints its losses to full precision.

    Raises ValueError for a file that is not a run, or whose experiment is unknown.
    """
    run = _read(path)
    parts = [f'"""{_headline(run)}\n\n{_provenance(run)}\n"""\n', _imports(), _settings(run), _loop(run), _result()]
    return "\n".join(parts).encode()


def notebook(path: Path) -> bytes:
    """Notebook (format 4.5, without outputs) that reproduces a run and plots its learning curve. Raises as `script`."""
    run = _read(path)
    cells = [
        _cell("markdown", f"# {_headline(run)}\n\n{_provenance(run)}"),
        _cell("code", _imports().strip()),
        _cell("code", _settings(run).strip()),
        _cell("markdown", "Training, one record per step. On the machine of the run the losses are identical."),
        _cell("code", _loop(run).strip()),
        _cell("code", _CURVE.strip()),
        _cell("markdown", "Discovered equations and metrics."),
        _cell("code", _result().strip()),
    ]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(document, indent=1) + "\n").encode()


def netcdf(path: Path) -> bytes:
    """Run file itself. Raises as `run_file.read_run`."""
    run_file.read_run(path)
    return path.read_bytes()


def page(path: Path) -> bytes:
    """Self-contained HTML report. Raises as `script`."""
    return report_page(_read(path)).encode()


FORMATS: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "Script": (".py", script),
    "Notebook": (".ipynb", notebook),
    "NetCDF": (".nc", netcdf),
    "Report": (".html", page),
}
"""File suffix and export function, which takes the path of a run file, by name."""


def _read(path: Path) -> Run:
    run = run_file.read_run(path)
    experiments.get(run.experiment)
    return run


def _headline(run: Run) -> str:
    return f"{experiments.get(run.experiment).title}: reproduction of run {run.path.stem}"


def _provenance(run: Run) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return (
        f"Created on {run.created} with {versions}.\nWith the same versions on the same machine all losses are "
        f"identical to the last digit."
    )


def _imports() -> str:
    return "import torch\n\nfrom workbench import experiments\n" + "from workbench.training import Training\n"


def _settings(run: Run) -> str:
    lines = "".join(f"    {name}={value!r},\n" for name, value in run.config.items())
    threads = run.versions.get("threads", "")
    set_threads = f"torch.set_num_threads({threads})  # as in the run: the order of sums affects rounding\n"
    return (
        (set_threads if threads.isdecimal() else "")
        + f"experiment = experiments.get({run.experiment!r})\n"
        + f"config = experiment.Config(\n{lines})\n"
    )


def _loop(run: Run) -> str:
    """Training loop; stops at the last step of a run that did not finish."""
    halt = (
        ""
        if run.status == "finished"
        else f"    if record.step == {run.steps}:  # last step of the run\n        break\n"
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
