"""The commands and their options; those of an experiment are the fields of its Config."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from workbench import experiments
from workbench.cli import runs
from workbench.cli import studies as about_studies
from workbench.cli.errors import PROGRAM
from workbench.cli.settings import option
from workbench.experiments.protocol import RENAMED_SETTINGS

EXPORTS = ("latex", "sympy", "python", "json")


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def command_line(given: Sequence[str]) -> argparse.ArgumentParser:
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
        many.set_defaults(run=about_studies.study, experiment=name)
        _add_stopping(one)
        one.add_argument(
            "--output", type=Path, metavar="PATH", help="the run file to write; default: a new one in data/runs"
        )
        one.set_defaults(run=runs.train, experiment=name)
    again = studies.add_parser("resume", help="go on with a study", allow_abbrev=False)
    again.add_argument("folder", metavar="STUDY", help="the folder of a study, or its name in data/studies")
    again.set_defaults(run=about_studies.resume_study)
    _add_workers(again)
    resume = commands.add_parser("resume", help="go on with a run exactly where it stopped", allow_abbrev=False)
    show = commands.add_parser("show", help="what a run has found", allow_abbrev=False)
    for command, run in ((resume, runs.resume), (show, runs.show)):
        command.add_argument("run_file", metavar="RUN", help="a run file, or the name of a run in data/runs")
        command.set_defaults(run=run)
    _add_stopping(resume)
    export = commands.add_parser("export", help="the equations of a run, for elsewhere", allow_abbrev=False)
    export.add_argument("run_file", metavar="RUN", help="a run file, or the name of a run in data/runs")
    export.add_argument("--as", dest="form", choices=EXPORTS, default="python", help="default: python")
    export.add_argument("--output", type=Path, metavar="PATH", help="the file to write; default: on the screen")
    export.set_defaults(run=runs.export)
    waves = commands.add_parser("waves", help="make files of waves to forecast or to discover from", allow_abbrev=False)
    _add_waves(waves)
    listing = commands.add_parser("runs", help="list the runs, newest first", allow_abbrev=False)
    listing.set_defaults(run=runs.list_runs)
    return parser


def _add_waves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("set", metavar="SET", help="kdv-easy, kdv, ks or burgers")
    parser.add_argument("--split", choices=("train", "valid", "test"), help="default: all three")
    parser.add_argument("--count", type=_whole, default=512, metavar="N", help="trajectories per split; default: 512")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="default: data/waves/seed-N")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--dealias", action="store_true", help="cut the upper third of u^2 off; published files do not")
    parser.set_defaults(run=runs.make_waves)


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
