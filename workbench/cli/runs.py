"""Commands about runs: train, resume, runs, show, export; and the files of waves."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from workbench import experiments
from workbench.cli.errors import PROGRAM, CommandError
from workbench.cli.progress import follow
from workbench.cli.settings import config_of, typed
from workbench.cli.text import print_report


def train(options: argparse.Namespace) -> int:
    """Train an experiment, of which the run is kept in a file."""
    from workbench.training import run_file

    experiment = experiments.get(options.experiment)
    given = typed(options)
    if files := getattr(options, "file", None):
        given["record"] = _kept(experiment, files, given)
    config = config_of(experiment, given)
    path = options.output or run_file.new_run_path(experiment.name, run_file.runs_folder())
    if path.exists():
        raise CommandError(f"--output: {path} exists already; resume it, or name another file", 2)
    print(f"{experiment.title}: {', '.join(f'{name} {value}' for name, value in config.model_dump().items())}")
    with _training() as training:
        return follow(lambda: training(experiment, config, path=path), options.steps)


def _kept(experiment: Any, files: Sequence[Path], given: Mapping[str, Any]) -> str:
    """What is in files, read and kept; what had to be put right is printed."""
    from workbench.datasets import tabular

    if "record" in given:
        raise CommandError("--file and --record: one of them only; a file becomes the record", 2)
    try:
        name = experiment.keep([tabular.Source.of(path) for path in files])
    except (OSError, ValueError) as error:
        raise CommandError(f"--file: {error}", 1) from None
    record = tabular.kept(name)
    print(f"{record.attrs['title']}: {record.attrs['sampling']}")
    for repair in filter(None, str(record.attrs["repairs"]).split("\n")):
        print(f"  put right: {repair}")
    return name


def resume(options: argparse.Namespace) -> int:
    """Go on with a run."""
    run = _read(options.run_file)
    experiment, config = _origin(run)
    print(f"{experiment.title}, {run.status} at step {run.steps} of {run.total}")
    with _training() as training:
        return follow(lambda: training(experiment, config, path=run.path, resume_from=run), options.steps)


@contextmanager
def _training() -> Iterator[Callable[..., Any]]:
    """What makes a Training: in this process, or together with the others that torchrun has started."""
    from workbench.training import Training

    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Training
        return
    from workbench.training.distributed import SharedTraining, joined

    with joined() as ranks, ExitStack() as stack:
        if not ranks.first:  # the first one speaks for all
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        yield partial(SharedTraining, ranks=ranks)


def list_runs(options: argparse.Namespace) -> int:
    """A line per run, the newest first."""
    from workbench.training import run_file

    folder = run_file.runs_folder()
    found = run_file.list_runs(folder)
    for run in (run for run in found if not run.error):
        mode = f" {run.config['mode']}" if "mode" in run.config else ""
        found_out = f"rmse {run.metrics['rmse']:.3g}" if "rmse" in run.metrics else run.message
        progress = f"step {run.steps} of {run.total}"
        print(f"{run.path.stem:34s} {run.experiment + mode:20s} {run.status:9s} {progress}  {found_out}".rstrip())
    for run in (run for run in found if run.error):
        print(f"{run.path.stem:34s} {run.error}", file=sys.stderr)
    if not found:
        print(f"No runs yet in {folder}: {PROGRAM} train {experiments.names()[0]} makes one.")
    return 0


def show(options: argparse.Namespace) -> int:
    """What a run has found."""
    from workbench.training import Training

    run = _read(options.run_file)
    experiment, config = _origin(run)
    print(f"{experiment.title}, {run.status} at step {run.steps} of {run.total}, begun {run.created}")
    print("settings: " + ", ".join(f"{name} {value}" for name, value in config.model_dump().items()))
    print("made with: " + ", ".join(f"{name} {version}" for name, version in run.versions.items()))
    if run.message:
        print(f"message: {run.message}")
    if run.state:
        print_report(Training(experiment, config, resume_from=run).best_report())
    return 0


def export(options: argparse.Namespace) -> int:
    """The equations of a run as text, on the screen or in a file."""
    from workbench.symbolic.export import WRITERS
    from workbench.training import Training

    run = _read(options.run_file)
    experiment, config = _origin(run)
    model = Training(experiment, config, resume_from=run).model
    library, coefficients = getattr(model, "library", None), model.coefficients()
    if library is None or coefficients is None:
        raise CommandError(f"{run.path}: {experiment.title} finds no equations in this mode", 1)
    text = WRITERS[options.form](library, coefficients)
    if options.output is None:
        print(text, end="")
    else:
        options.output.write_text(text, encoding="utf-8")
        print(f"written: {options.output}")
    return 0


def make_waves(options: argparse.Namespace) -> int:
    """Files of waves, with a bar of progress."""
    from workbench.datasets.pde import hdf5

    given = {name: getattr(options, name) for name in ("seed", "folder", "device", "dealias")}
    for split in [options.split] if options.split else hdf5.SPLITS:

        def progress(done: int, total: int, split: str = split) -> None:
            filled = round(30 * done / total)
            print(f"\r{split:5s} [{'#' * filled}{'.' * (30 - filled)}] {done} of {total}", end="", flush=True)

        try:
            path = hdf5.generate(options.set, split, options.count, progress=progress, **given)
        except (ValueError, RuntimeError) as error:
            raise CommandError(str(error), 2) from error
        print(f"\n{path}")
    return 0


def _read(name: str) -> Any:
    """The run of a path, or of a name in the folder of runs."""
    from workbench.training import run_file

    named = run_file.runs_folder() / f"{name}.nc"
    path = named if not Path(name).exists() and named.exists() else Path(name)
    try:
        return run_file.read_run(path)
    except (FileNotFoundError, ValueError) as error:
        raise CommandError(str(error), 1) from None


def _origin(run: Any) -> tuple[Any, Any]:
    """The experiment and the Config of a run."""
    try:
        experiment = experiments.get(run.experiment)
    except ValueError as error:
        raise CommandError(f"{run.path}: {error}", 1) from None
    return experiment, config_of(experiment, run.config)
