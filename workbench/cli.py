"""The same experiments from a shell: train, resume, runs, show, study. Only here the project prints."""

import argparse
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from workbench import experiments

PROGRAM = "python -m workbench"
SECONDS_BETWEEN_LINES = 1.0
EXPORTS = ("latex", "sympy", "python", "json")
METRICS = {  # how the metrics of a report are introduced, and their units
    "rmse": ("root mean square error of the true terms", ""),
    "max_error": ("largest error of a true term", ""),
    "precision": ("share of the discovered terms that are true", ""),
    "recall": ("share of the true terms that are discovered", ""),
    "noise": ("standard deviation of the noise, told from the data", ""),
    "degree": ("highest degree of the polynomials", ""),
    "noise_share": ("noise, as a share of how its variable varies", ""),
    "left_over": ("what the equations leave over, in units of the noise", ""),
    "horizon": ("simulation stays with the truth for", " Lyapunov times"),
    "frequency": ("frequency", " per unit of time"),
    "damping": ("damping", " per unit of time"),
    "clean_rmse": ("root mean square error of the curve", ""),
    "noise_rms": ("root mean square of the noise", ""),
    "mse_given": ("mean squared error, first 10 points of the target given (standardised)", ""),
    "mse_after": ("mean squared error after the given points", ""),
    "mse_honest": ("mean squared error with nothing of the target given", ""),
    "mse_climatology": ("mean squared error of climatology", ""),
    "separation": ("cells whose latitude band is told right", ""),
    "chance": ("by guessing", ""),
    "coverage": ("share of values inside the 95 % band", ""),
    "modes": ("Fourier modes used", ""),
    **{f"nmse_{n}": (f"normalised mean square error over {n} frames", "") for n in (20, 40, 100)},
    **{f"published_nmse_{n}": (f"the same over {n} frames, over the forecast's square", "") for n in (20, 40, 100)},
    **{f"persistence_{n}": (f"of the last frame held for {n}", "") for n in (20, 40, 100)},
    "relative_error": ("largest relative error of a true term", ""),
    "followed": ("simulation stays with the truth for", " units of time"),
    "r_median": ("median relative error of r", ""),
    "K_median": ("median relative error of K", ""),
    "r_95": ("95th percentile of the relative error of r", ""),
    "K_95": ("95th percentile of the relative error of K", ""),
    **{f"rolled_{n}": (f"largest error of the roll-out up to orbit {n}, over the distance", "") for n in (1, 5, 10)},
    **{f"error_{K}": (f"largest error with {K} derivatives, over the largest value", "") for K in (2, 3, 4, 5)},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0, 1 for a run or a file that failed, 2 for bad arguments, 130 after Ctrl-C."""
    # Waiting threads must not keep a core busy: on a shared machine that costs a factor of ten. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser(given).parse_args(given)
        return options.run(options)
    except _Complaint as complaint:
        print(f"{PROGRAM}: {complaint}", file=sys.stderr)
        return complaint.status
    except SystemExit as end:  # argparse has printed its line
        return int(end.code or 0)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; a run file holds what was last saved", file=sys.stderr)
        return 130


class _Complaint(Exception):
    """One line for the person who typed the command."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(" ".join(text.split()))
        self.status = status


# the options


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """All commands. Only the experiment that `given` names gets its options: importing one takes a while."""
    parser = _Parser(prog=PROGRAM, description="Discover equations from data.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="command", required=True)
    train = commands.add_parser("train", help="train an experiment and keep the run in a file", allow_abbrev=False)
    choices = train.add_subparsers(metavar="experiment", required=True)
    study = commands.add_parser("study", help="a grid of runs, or a search over settings", allow_abbrev=False)
    studies = study.add_subparsers(metavar="experiment", required=True)
    named = next((word for word in given[1:] if not word.startswith("-")), None)
    for name in experiments.names():
        one = choices.add_parser(name, allow_abbrev=False, help=f"see: {PROGRAM} train {name} --help")
        many = studies.add_parser(name, allow_abbrev=False, help=f"see: {PROGRAM} study {name} --help")
        if name == named:
            _add_settings(one if given[0] == "train" else many, experiments.get(name))
        _add_grid(many)
        many.set_defaults(run=_study, experiment=name)
        _add_stopping(one)
        one.add_argument(
            "--output", type=Path, metavar="PATH", help="the run file to write; default: a new one in data/runs"
        )
        one.set_defaults(run=_train, experiment=name)
    again = studies.add_parser("resume", help="go on with a study", allow_abbrev=False)
    again.add_argument("folder", metavar="STUDY", help="the folder of a study, or its name in data/studies")
    again.set_defaults(run=_resume_study)
    _add_workers(again)
    resume = commands.add_parser("resume", help="go on with a run exactly where it stopped", allow_abbrev=False)
    show = commands.add_parser("show", help="what a run has found", allow_abbrev=False)
    for command, run in ((resume, _resume), (show, _show)):
        command.add_argument("run_file", metavar="RUN", help="a run file, or the name of a run in data/runs")
        command.set_defaults(run=run)
    _add_stopping(resume)
    export = commands.add_parser("export", help="the equations of a run, for elsewhere", allow_abbrev=False)
    export.add_argument("run_file", metavar="RUN", help="a run file, or the name of a run in data/runs")
    export.add_argument("--as", dest="form", choices=EXPORTS, default="python", help="default: python")
    export.add_argument("--output", type=Path, metavar="PATH", help="the file to write; default: on the screen")
    export.set_defaults(run=_export)
    waves = commands.add_parser("waves", help="make files of waves to forecast or to discover from", allow_abbrev=False)
    _add_waves(waves)
    listing = commands.add_parser("runs", help="list the runs, newest first", allow_abbrev=False)
    listing.set_defaults(run=_list)
    return parser


def _add_waves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("set", metavar="SET", help="kdv-easy, kdv, ks or burgers")
    parser.add_argument("--split", choices=("train", "valid", "test"), help="default: all three")
    parser.add_argument("--count", type=_whole, default=512, metavar="N", help="trajectories per split; default: 512")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="default: data/waves/seed-N")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--dealias", action="store_true", help="cut the upper third of u^2 off; published files do not")
    parser.set_defaults(run=_make_waves)


def _add_stopping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=_whole, metavar="N", help="stop after N more steps; the run can be resumed")


def _add_grid(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("study")
    group.add_argument("--axis", action="append", default=[], metavar="NAME=X,Y,...", help="a setting and its values")
    group.add_argument("--seeds", metavar="N", help="how many seeds (0, 1, ...), or which: 3,5; default: 1")
    group.add_argument("--output", type=Path, metavar="FOLDER", help="where; default: a new one in data/studies")
    group.add_argument(
        "--search", action="append", default=[], metavar="NAME=LOW..HIGH", help="a setting to search; :log, or X,Y,..."
    )
    group.add_argument("--trials", type=_whole, default=20, metavar="N", help="of a search; default 20")
    group.add_argument("--metric", default="rmse", help="what a search makes small; default rmse")
    group.add_argument("--maximise", action="store_true", help="a search makes it large instead")
    _add_workers(parser)


def _add_workers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("workers")
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="tcp://host:port of a Dask cluster; default: this machine"
    )
    group.add_argument("--workers", type=_whole, metavar="N", help="processes on this machine; default: all cores")
    group.add_argument("--threads", type=_whole, default=1, metavar="N", help="of each run; default 1")
    group.add_argument("--retry-failed", action="store_true", help="run cells that failed once more")


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, not {text!r}")
    return int(text)


def _add_settings(parser: argparse.ArgumentParser, experiment: Any) -> None:
    """An option per field of the Config. Values stay text: the Config itself judges them."""
    parser.description = f"{experiment.title}. {experiment.summary}"
    if hasattr(experiment, "keep"):
        parser.add_argument(
            "--file",
            type=Path,
            nargs="+",
            metavar="PATH",
            help="CSV, Parquet, HDF5 or NetCDF files to learn from, each with one or more trajectories",
        )
    groups = {}
    for name, field in experiment.Config.model_fields.items():
        extra = field.json_schema_extra
        if extra["group"] not in groups:
            groups[extra["group"]] = parser.add_argument_group(f"{extra['group']} settings")
        groups[extra["group"]].add_argument(
            _option(name),
            dest=f"setting:{name}",
            metavar=_metavar(field.annotation),
            help=_help(experiment.Config, name),
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    return {int: "N", float: "X", bool: "{true,false}"}.get(kind, "TEXT")


_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _help(config: type, name: str) -> str:
    """The sentence of a field, then its bounds, unit and defaults."""
    field = config.model_fields[name]
    bounds = " and ".join(
        f"{word} {getattr(m, key)}" for key, word in _SIGNS.items() for m in field.metadata if hasattr(m, key)
    )
    unit, modes = field.json_schema_extra["unit"], field.json_schema_extra["modes"]
    others = {mode: values[name] for mode, values in config.mode_defaults.items() if name in values}
    default = f"default {field.default}" + "".join(f", {mode}: {value}" for mode, value in others.items())
    notes = [bounds, f"in {unit}" if unit else "", f"only for {' and '.join(modes)}" if modes else "", default]
    return f"{field.description} [{'; '.join(filter(None, notes))}]".replace("%", "%%")


def _config(experiment: Any, given: Mapping[str, Any]) -> Any:
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
            lines.append(f"{_option(field)}: {text}{value}" if field else text)
        raise _Complaint("; ".join(lines), 2) from None


def _settings(options: argparse.Namespace) -> dict[str, str]:
    """The settings that were typed, as text."""
    typed = {key: value for key, value in vars(options).items() if key.startswith("setting:") and value is not None}
    return {key.removeprefix("setting:"): value for key, value in typed.items()}


# the commands


def _train(options: argparse.Namespace) -> int:
    from workbench import runs

    experiment = experiments.get(options.experiment)
    given = _settings(options)
    if files := getattr(options, "file", None):
        given["record"] = _kept(experiment, files, given)
    config = _config(experiment, given)
    path = options.output or runs.new_run_path(experiment.name, runs.runs_folder())
    if path.exists():
        raise _Complaint(f"--output: {path} exists already; resume it, or name another file", 2)
    print(f"{experiment.title}: {', '.join(f'{name} {value}' for name, value in config.model_dump().items())}")
    with _training() as training:
        return _follow(lambda: training(experiment, config, path=path), options.steps)


def _kept(experiment: Any, files: Sequence[Path], given: Mapping[str, Any]) -> str:
    """What is in files, read and kept; what had to be put right is printed."""
    from workbench.datasets import tables

    if "record" in given:
        raise _Complaint("--file and --record: one of them only; a file becomes the record", 2)
    try:
        name = experiment.keep([tables.Source.of(path) for path in files])
    except (OSError, ValueError) as error:
        raise _Complaint(f"--file: {error}", 1) from None
    record = tables.kept(name)
    print(f"{record.attrs['title']}: {record.attrs['sampling']}")
    for repair in filter(None, str(record.attrs["repairs"]).split("\n")):
        print(f"  put right: {repair}")
    return name


def _resume(options: argparse.Namespace) -> int:
    run = _read(options.run_file)
    experiment, config = _origin(run)
    print(f"{experiment.title}, {run.status} at step {run.steps} of {run.total}")
    with _training() as training:
        return _follow(lambda: training(experiment, config, path=run.path, resume_from=run), options.steps)


@contextmanager
def _training() -> Iterator[Callable[..., Any]]:
    """What makes a Training: in this process, or together with the others that torchrun has started."""
    from workbench.training import Training

    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Training
        return
    from workbench.studies.parallel import SharedTraining, joined

    with joined() as ranks, ExitStack() as stack:
        if not ranks.first:  # the first one speaks for all
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        yield partial(SharedTraining, ranks=ranks)


def _study(options: argparse.Namespace) -> int:
    with _studies() as (studies, command):
        from workbench.studies.plan import new_folder

        folder = options.output or new_folder(options.experiment)
        shared = {"folder": folder, "experiment": options.experiment, "settings": _settings(options)}
        if options.seeds is None:
            shared["seeds"] = [int(shared["settings"].pop("seed", 0))]
        else:
            shared["seeds"] = command.seeds(options.seeds)
        if not options.search:
            return _run_study(studies.Study(**shared, axes=command.axes(options.axis)), options)
        if options.axis:
            raise ValueError("--axis: a search has none; --search tries the values of a setting")
        given = studies.Search(
            **shared, space=command.space(options.search), metric=options.metric, maximise=options.maximise
        )
        with studies.connected(options.scheduler, workers=options.workers, threads=options.threads) as client:
            print(f"search: {folder}\nworkers: {client.dashboard_link}", flush=True)
            for line in command.search_lines(given, client, options.trials, options.threads):
                print(line, flush=True)
    return 0


def _resume_study(options: argparse.Namespace) -> int:
    with _studies() as (studies, _):
        named = studies.studies_folder() / options.folder
        return _run_study(studies.Study.load(named if named.exists() else Path(options.folder)), options)


def _run_study(study: Any, options: argparse.Namespace) -> int:
    """Run a study with lines of progress; 1 if a cell failed."""
    from workbench.studies import command, connected

    with connected(options.scheduler, workers=options.workers, threads=options.threads) as client:
        print(f"study: {study.folder}, {len(study.cells)} cells\nworkers: {client.dashboard_link}", flush=True)
        failed = False
        for line in command.study_lines(study, client, threads=options.threads, retry_failed=options.retry_failed):
            failed |= line.startswith("failed: ")
            print(line, flush=True)
    print(f"results: {study.folder / 'study.nc'}")
    return 1 if failed else 0


@contextmanager
def _studies() -> Iterator[tuple[Any, Any]]:
    """The package of studies and what it says; a complaint for what it refuses."""
    import logging

    try:
        from workbench import studies
        from workbench.studies import command
    except ModuleNotFoundError as error:
        raise _Complaint(f"studies need {error.name}: pip install 'smnn-workbench[studies]'", 1) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost scheduler is told in one line
    try:
        yield studies, command
    except ValueError as error:
        raise _Complaint(str(error), 2) from None
    except (OSError, TimeoutError) as error:
        raise _Complaint(str(error), 1) from None


def _list(options: argparse.Namespace) -> int:
    from workbench import runs

    folder = runs.runs_folder()
    found = runs.list_runs(folder)
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


def _show(options: argparse.Namespace) -> int:
    from workbench.training import Training

    run = _read(options.run_file)
    experiment, config = _origin(run)
    print(f"{experiment.title}, {run.status} at step {run.steps} of {run.total}, begun {run.created}")
    print("settings: " + ", ".join(f"{name} {value}" for name, value in config.model_dump().items()))
    print("made with: " + ", ".join(f"{name} {version}" for name, version in run.versions.items()))
    if run.message:
        print(f"message: {run.message}")
    if run.state:
        _print_report(Training(experiment, config, resume_from=run).best_report())
    return 0


def _export(options: argparse.Namespace) -> int:
    from workbench.models.exporting import WRITERS
    from workbench.training import Training

    run = _read(options.run_file)
    experiment, config = _origin(run)
    model = Training(experiment, config, resume_from=run).model
    library, coefficients = getattr(model, "library", None), model.coefficients()
    if library is None or coefficients is None:
        raise _Complaint(f"{run.path}: {experiment.title} finds no equations in this mode", 1)
    text = WRITERS[options.form](library, coefficients)
    if options.output is None:
        print(text, end="")
    else:
        options.output.write_text(text, encoding="utf-8")
        print(f"written: {options.output}")
    return 0


def _make_waves(options: argparse.Namespace) -> int:
    from workbench.datasets import field_files

    given = {name: getattr(options, name) for name in ("seed", "folder", "device", "dealias")}
    for split in [options.split] if options.split else field_files.SPLITS:

        def progress(done: int, total: int, split: str = split) -> None:
            filled = round(30 * done / total)
            print(f"\r{split:5s} [{'#' * filled}{'.' * (30 - filled)}] {done} of {total}", end="", flush=True)

        try:
            path = field_files.generate(options.set, split, options.count, progress=progress, **given)
        except (ValueError, RuntimeError) as error:
            raise _Complaint(str(error), 2) from error
        print(f"\n{path}")
    return 0


def _read(name: str) -> Any:
    """The run of a path, or of a name in the folder of runs."""
    from workbench import runs

    named = runs.runs_folder() / f"{name}.nc"
    path = named if not Path(name).exists() and named.exists() else Path(name)
    try:
        return runs.read_run(path)
    except (FileNotFoundError, ValueError) as error:
        raise _Complaint(str(error), 1) from None


def _origin(run: Any) -> tuple[Any, Any]:
    """The experiment and the Config of a run."""
    try:
        experiment = experiments.get(run.experiment)
    except ValueError as error:
        raise _Complaint(f"{run.path}: {error}", 1) from None
    return experiment, _config(experiment, run.config)


# following a run


def _follow(begin: Callable[[], Any], steps: int | None) -> int:
    """Train to the end, for `steps` steps or until Ctrl-C, with lines of progress and the equations at the end."""
    training, stopped = None, False
    try:
        with _interrupts() as interrupted:
            training = begin()
            for taken, _ in enumerate(_shown(training), start=1):
                stopped = bool(interrupted) or taken == steps
                if stopped and not training.model.done:
                    training.save("stopped")
                    break
    except Exception as error:
        path = training.path if training else None
        kept = f"; what it found is kept in {path}" if path and path.exists() else ""
        raise _Complaint(f"the run failed: {error or type(error).__name__}{kept}", 1) from error
    if training.records:
        _print_report(training.best_report())
    print(f"run file: {training.path}")
    if not training.model.done:
        print(f"stopped at step {len(training.records)} of {training.model.total_steps}")
        print(f"to go on: {PROGRAM} resume {training.path}")
    return 130 if interrupted and not training.model.done else 0


def _shown(training: Any) -> Iterator[Any]:
    """The records of a training, the first, the last and one per second printed."""
    printed, record = -1e9, None
    for record in training:
        if time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
            _print_progress(record)
            printed, shown = time.monotonic(), record
        yield record
    if record is not None and shown is not record:
        _print_progress(record)


def _print_progress(record: Any) -> None:
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in record.metrics.items())
    print(f"step {record.step} of {record.total}  {record.seconds:.2f} s  {metrics}", flush=True)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that Ctrl-C fills; the second Ctrl-C interrupts at once."""
    received = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, before)
        print("stopping after this step; Ctrl-C again to stop at once", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def _print_report(report: Any) -> None:
    """The discovered equations beside the true ones, then the metrics."""
    from workbench.views import record

    true = dict(zip((e.left_text for e in report.true_equations), report.true_equations, strict=True))
    for equation in report.equations:
        print(f"  {equation.text()}")
        if equation.left_text in true:
            print(f"  true: {true[equation.left_text].text()}")
    if report.equations and report.trajectory is not None and (units := record.units(report.trajectory)):
        print(f"  units: {units}")
    for name, value in report.metrics.items():
        words, unit = METRICS.get(name, (name, ""))
        print(f"  {words}: {value:.4g}{unit}")
    _print_certainty(report.coefficients)
    for sentence in report.judgement.sentences if report.judgement else ():
        print(f"  {sentence}")
    for doubt in report.doubts:
        print(f"  doubt: {doubt}")


def _print_certainty(coefficients: Any) -> None:
    """A line per term that is, or may be, in an equation: the estimate, its 95 % interval, how often it is kept."""
    if coefficients is None or "inclusion" not in coefficients:
        return
    from workbench.views.certainty import rows

    print("  how sure: coefficient, 95 % interval, inclusion probability")
    for variable, term, estimate, interval, inclusion, verdict in rows(coefficients):
        words = f"{estimate}, {interval}, {inclusion}" if interval else f"{verdict}, {inclusion}"
        print(f"    equation of {variable}, {term}: {words}")
