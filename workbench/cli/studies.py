"""Commands about studies: a grid, a search, going on with one."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.cli.errors import CommandError
from workbench.cli.settings import typed


def study(options: argparse.Namespace) -> int:
    """A new study: a grid, or a search."""
    with _studies() as (studies, command):
        from workbench.studies.study import new_folder

        folder = options.output or new_folder(options.experiment)
        shared = {"folder": folder, "experiment": options.experiment, "settings": typed(options)}
        if options.seeds is None:
            shared["seeds"] = [int(shared["settings"].pop("seed", 0))]
        else:
            shared["seeds"] = command.seeds(options.seeds)
        if not options.search:
            return _run(studies.Study(**shared, axes=command.axes(options.axis)), options)
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


def resume_study(options: argparse.Namespace) -> int:
    """Go on with a study."""
    with _studies() as (studies, _):
        named = studies.studies_folder() / options.folder
        return _run(studies.Study.load(named if named.exists() else Path(options.folder)), options)


def _run(made: Any, options: argparse.Namespace) -> int:
    """Run a study with lines of progress; 1 if a cell failed."""
    from workbench.studies import cli as command
    from workbench.studies import connected

    with connected(options.scheduler, workers=options.workers, threads=options.threads) as client:
        print(f"study: {made.folder}, {len(made.cells)} cells\nworkers: {client.dashboard_link}", flush=True)
        failed = False
        for line in command.study_lines(made, client, threads=options.threads, retry_failed=options.retry_failed):
            failed |= line.startswith("failed: ")
            print(line, flush=True)
    print(f"results: {made.folder / 'study.nc'}")
    return 1 if failed else 0


@contextmanager
def _studies() -> Iterator[tuple[Any, Any]]:
    """The package of studies and what it says; a complaint for what it refuses."""
    import logging

    try:
        from workbench import studies
        from workbench.studies import cli as command
    except ModuleNotFoundError as error:
        raise CommandError(f"studies need {error.name}: pip install 'smnn-workbench[studies]'", 1) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost scheduler is told in one line
    try:
        yield studies, command
    except ValueError as error:
        raise CommandError(str(error), 2) from None
    except (OSError, TimeoutError) as error:
        raise CommandError(str(error), 1) from None
