"""Commands and their options; the options of an experiment are the fields of its Config."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from workbench import experiments
from workbench.cli import runs
from workbench.cli import studies as study_commands
from workbench.cli.errors import PROGRAM
from workbench.cli.settings import option
from workbench.experiments.protocol import RENAMED_SETTINGS

EXPORTS = ("latex", "sympy", "python", "json")


class _ArgumentParser(argparse.ArgumentParser):
    """Parser that reports errors in one line."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def command_line(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Parser of all commands. Only the experiment named in `arguments` gets its options, since importing takes time."""
    parser = _ArgumentParser(prog=PROGRAM, description="Discover equations from data.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="command", required=True)
    train = commands.add_parser("train", help="train an experiment and save the run in a file", allow_abbrev=False)
    study = commands.add_parser("study", help="run a grid of settings or a search over them", allow_abbrev=False)
    _add_experiments(train, study, arguments)
    _add_run_commands(commands)
    waves = commands.add_parser("waves", help="generate data sets of PDE trajectories", allow_abbrev=False)
    _add_waves(waves)
    listing = commands.add_parser("runs", help="list the runs, newest first", allow_abbrev=False)
    listing.set_defaults(run=runs.list_runs)
    return parser


def _add_experiments(train: argparse.ArgumentParser, study: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Add a subcommand per experiment to `train` and `study`, and `study resume`."""
    runs_of = train.add_subparsers(metavar="experiment", required=True)
    studies_of = study.add_subparsers(metavar="experiment", required=True)
    named = next((word for word in arguments[1:] if not word.startswith("-")), None)
    for name in experiments.names():
        one = runs_of.add_parser(name, allow_abbrev=False, help=f"see {PROGRAM} train {name} --help")
        many = studies_of.add_parser(name, allow_abbrev=False, help=f"see {PROGRAM} study {name} --help")
        if name == named:
            _add_settings(one if arguments[0] == "train" else many, experiments.get(name))
        _add_grid(many)
        many.set_defaults(run=study_commands.study, experiment=name)
        _add_steps(one)
        one.add_argument(
            "--output", type=Path, metavar="PATH", help="run file to write; default: a new one in data/runs"
        )
        one.set_defaults(run=runs.train, experiment=name)
    resume = studies_of.add_parser("resume", help="resume a study", allow_abbrev=False)
    resume.add_argument("folder", metavar="STUDY", help="folder of a study, or its name in data/studies")
    resume.set_defaults(run=study_commands.resume_study)
    _add_workers(resume)


def _add_run_commands(commands: Any) -> None:
    """Add the commands for an existing run: resume, show, export."""
    parsers = {}
    for name, run, text in (
        ("resume", runs.resume, "resume a run exactly where it stopped"),
        ("show", runs.show, "print the results of a run"),
        ("export", runs.export, "export a run's equations"),
    ):
        parsers[name] = commands.add_parser(name, help=text, allow_abbrev=False)
        parsers[name].add_argument("run_file", metavar="RUN", help="run file, or the name of a run in data/runs")
        parsers[name].set_defaults(run=run)
    _add_steps(parsers["resume"])
    parsers["export"].add_argument("--as", dest="form", choices=EXPORTS, default="python", help="default: python")
    parsers["export"].add_argument(
        "--output", type=Path, metavar="PATH", help="file to write; default: standard output"
    )


def _add_waves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("set", metavar="SET", help="kdv-easy, kdv, ks or burgers")
    parser.add_argument("--split", choices=("train", "valid", "test"), help="default: all three")
    parser.add_argument(
        "--count", type=_positive, default=512, metavar="N", help="trajectories per split; default: 512"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="default: data/waves/seed-N")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--dealias", action="store_true", help="remove the upper third of the spectrum of u^2, unlike published files"
    )
    parser.set_defaults(run=runs.make_waves)


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=_positive, metavar="N", help="stop after N more steps; the run can be resumed")


def _add_grid(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("study")
    group.add_argument("--axis", action="append", default=[], metavar="NAME=X,Y,...", help="a setting and its values")
    group.add_argument("--seeds", metavar="N", help="number of seeds (0, 1, ...), or the seeds: 3,5; default: 1")
    group.add_argument("--output", type=Path, metavar="FOLDER", help="default: a new folder in data/studies")
    group.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="NAME=LOW..HIGH",
        help="a setting to search; also NAME=LOW..HIGH:log or NAME=X,Y,...",
    )
    group.add_argument("--trials", type=_positive, default=20, metavar="N", help="trials of a search; default: 20")
    group.add_argument("--metric", default="rmse", help="metric that a search minimises; default: rmse")
    group.add_argument("--maximise", action="store_true", help="maximise the metric")
    _add_workers(parser)


def _add_workers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("workers")
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="tcp://host:port of a Dask cluster; default: this machine"
    )
    group.add_argument(
        "--workers", type=_positive, metavar="N", help="processes on this machine; default: number of cores"
    )
    group.add_argument("--threads", type=_positive, default=1, metavar="N", help="threads per run; default: 1")
    group.add_argument("--retry-failed", action="store_true", help="run failed cells again")


def _positive(text: str) -> int:
    """Parse a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, found {text!r}")
    return int(text)


def _add_settings(parser: argparse.ArgumentParser, experiment: Any) -> None:
    """Add an option per field of the Config, which also validates the values."""
    parser.description = f"{experiment.title}. {experiment.summary}"
    if hasattr(experiment, "keep"):
        parser.add_argument(
            "--file",
            type=Path,
            nargs="+",
            metavar="PATH",
            help="CSV, Parquet, HDF5 or NetCDF files with one or more trajectories each",
        )
    groups = {}
    for name, field in experiment.Config.model_fields.items():
        extra = field.json_schema_extra
        if extra["group"] not in groups:
            groups[extra["group"]] = parser.add_argument_group(f"{extra['group']} settings")
        groups[extra["group"]].add_argument(
            *(option(spelling) for spelling in (name, *(old for old, new in RENAMED_SETTINGS.items() if new == name))),
            dest=f"setting:{name}",
            metavar=_metavar(field.annotation),
            help=_help(experiment.Config, name),
        )


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    return {int: "N", float: "X", bool: "{true,false}"}.get(kind, "TEXT")


_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _help(config: type, name: str) -> str:
    """Description of a field with its bounds, unit and defaults."""
    field = config.model_fields[name]
    bounds = " and ".join(
        f"{word} {getattr(m, key)}" for key, word in _SIGNS.items() for m in field.metadata if hasattr(m, key)
    )
    unit, modes = field.json_schema_extra["unit"], field.json_schema_extra["modes"]
    mode_defaults = {mode: values[name] for mode, values in config.mode_defaults.items() if name in values}
    default = f"default {field.default}" + "".join(f", {mode}: {value}" for mode, value in mode_defaults.items())
    notes = [bounds, f"in {unit}" if unit else "", f"only for {' and '.join(modes)}" if modes else "", default]
    return f"{field.description} [{'; '.join(filter(None, notes))}]".replace("%", "%%")
