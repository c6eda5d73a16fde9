"""Commands for runs (train, resume, runs, show, export) and for PDE data sets (waves)."""

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
from workbench.cli.progress import train_with_progress
from workbench.cli.settings import config_of, parse_settings
from workbench.cli.text import print_report


def train(options: argparse.Namespace) -> int:
    """Train an experiment, and save the run in a file."""
    from workbench.training import run_file

    experiment = experiments.get(options.experiment)
    settings = parse_settings(options)
    if files := getattr(options, "file", None):
        settings["record"] = _import_files(experiment, files, settings)
    config = config_of(experiment, settings)
    path = options.output or run_file.new_run_path(experiment.name, run_file.runs_folder())
    if path.exists():
        raise CommandError(f"--output: {path} exists already; resume it, or choose another file", 2)
    print(f"{experiment.title}: {', '.join(f'{name} {value}' for name, value in config.model_dump().items())}")
    with _training_class() as training:
        return train_with_progress(lambda: training(experiment, config, path=path), options.steps)


def _import_files(experiment: Any, files: Sequence[Path], settings: Mapping[str, Any]) -> str:
    """Read files into a record, print the warnings of the reader, and return the name of the record."""
    from workbench.datasets import tabular

    if "record" in settings:
        raise CommandError("--file and --record: give only one of them; a file becomes the record", 2)
    try:
        name = experiment.keep([tabular.Source.of(path) for path in files])
    except (OSError, ValueError) as error:
        raise CommandError(f"--file: {error}", 1) from None
    record = tabular.kept(name)
    print(f"{record.attrs['title']}: {record.attrs['sampling']}")
    for repair in filter(None, str(record.attrs["repairs"]).split("\n")):
        print(f"  warning: {repair}")
    return name


def resume(options: argparse.Namespace) -> int:
    """Resume a run."""
    run = _read(options.run_file)
    experiment, config = _experiment_of(run)
    print(f"{experiment.title}, {run.status} at step {run.steps} of {run.total}")
    with _training_class() as training:
        return train_with_progress(lambda: training(experiment, config, path=run.path, resume_from=run), options.steps)


@contextmanager
def _training_class() -> Iterator[Callable[..., Any]]:
    """Context with the Training class: for this process, or for all processes that torchrun has started."""
    from workbench.training import Training

    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Training
        return
    from workbench.training.distributed import DistributedTraining, process_group

    with process_group() as ranks, ExitStack() as stack:
        if not ranks.is_first:  # only the first one prints
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        yield partial(DistributedTraining, ranks=ranks)


def list_runs(options: argparse.Namespace) -> int:
    """Print a line per run, newest first."""
    from workbench.training import run_file

    folder = run_file.runs_folder()
    summaries = run_file.list_runs(folder)
    for run in (run for run in summaries if not run.error):
        mode = f" {run.config['mode']}" if "mode" in run.config else ""
        result = f"rmse {run.metrics['rmse']:.3g}" if "rmse" in run.metrics else run.message
        progress = f"step {run.steps} of {run.total}"
        print(f"{run.path.stem:34s} {run.experiment + mode:20s} {run.status:9s} {progress}  {result}".rstrip())
    for run in (run for run in summaries if run.error):
        print(f"{run.path.stem:34s} {run.error}", file=sys.stderr)
    if not summaries:
        print(f"No runs in {folder}. To create one: {PROGRAM} train {experiments.names()[0]}")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the settings and the results of a run."""
    from workbench.training import Training

    run = _read(options.run_file)
    experiment, config = _experiment_of(run)
    print(f"{experiment.title}, {run.status} at step {run.steps} of {run.total}, created {run.created}")
    print("settings: " + ", ".join(f"{name} {value}" for name, value in config.model_dump().items()))
    print("versions: " + ", ".join(f"{name} {version}" for name, version in run.versions.items()))
    if run.message:
        print(f"message: {run.message}")
    if run.state:
        print_report(Training(experiment, config, resume_from=run).best_report())
    return 0


def export(options: argparse.Namespace) -> int:
    """Print the equations of a run, or write them to a file."""
    from workbench.symbolic.export import WRITERS
    from workbench.training import Training

    run = _read(options.run_file)
    experiment, config = _experiment_of(run)
    model = Training(experiment, config, resume_from=run).model
    library, coefficients = getattr(model, "library", None), model.coefficients()
    if library is None or coefficients is None:
        raise CommandError(f"{run.path}: {experiment.title} has no equations in this mode", 1)
    text = WRITERS[options.form](library, coefficients)
    if options.output is None:
        print(text, end="")
    else:
        options.output.write_text(text, encoding="utf-8")
        print(f"written: {options.output}")
    return 0


def make_waves(options: argparse.Namespace) -> int:
    """Generate files of PDE trajectories, with a progress bar."""
    from workbench.datasets.pde import hdf5

    arguments = {name: getattr(options, name) for name in ("seed", "folder", "device", "dealias")}
    for split in [options.split] if options.split else hdf5.SPLITS:

        def progress(done: int, total: int, split: str = split) -> None:
            filled = round(30 * done / total)
            print(f"\r{split:5s} [{'#' * filled}{'.' * (30 - filled)}] {done} of {total}", end="", flush=True)

        try:
            path = hdf5.generate(options.set, split, options.count, progress=progress, **arguments)
        except (ValueError, RuntimeError) as error:
            raise CommandError(str(error), 2) from error
        print(f"\n{path}")
    return 0


def _read(name: str) -> Any:
    """Read a run by its path, or by its name in the folder of runs."""
    from workbench.training import run_file

    by_name = run_file.runs_folder() / f"{name}.nc"
    path = by_name if not Path(name).exists() and by_name.exists() else Path(name)
    try:
        return run_file.read_run(path)
    except (FileNotFoundError, ValueError) as error:
        raise CommandError(str(error), 1) from None


def _experiment_of(run: Any) -> tuple[Any, Any]:
    """Experiment and Config of a run."""
    try:
        experiment = experiments.get(run.experiment)
    except ValueError as error:
        raise CommandError(f"{run.path}: {error}", 1) from None
    return experiment, config_of(experiment, run.config)
