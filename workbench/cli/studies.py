"""Commands for studies: grid, search, resume."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.cli.errors import CommandError
from workbench.cli.settings import parse_settings


def study(options: argparse.Namespace) -> int:
    """Start a study: a grid, or a search."""
    with _studies() as (studies, study_cli):
        from workbench.studies.study import new_folder

        folder = options.output or new_folder(options.experiment)
        shared = {"folder": folder, "experiment": options.experiment, "settings": parse_settings(options)}
        if options.seeds is None:
            shared["seeds"] = [int(shared["settings"].pop("seed", 0))]
        else:
            shared["seeds"] = study_cli.seeds(options.seeds)
        if not options.search:
            return _run(studies.Study(**shared, axes=study_cli.axes(options.axis)), options)
        if options.axis:
            raise ValueError("--axis: not allowed with --search, which also takes the values of a setting")
        search = studies.Search(
            **shared, space=study_cli.space(options.search), metric=options.metric, maximise=options.maximise
        )
        with studies.connected(options.scheduler, workers=options.workers, threads=options.threads) as client:
            print(f"search: {folder}\nworkers: {client.dashboard_link}", flush=True)
            for line in study_cli.search_lines(search, client, options.trials, options.threads):
                print(line, flush=True)
    return 0


def resume_study(options: argparse.Namespace) -> int:
    """Resume a study."""
    with _studies() as (studies, _):
        by_name = studies.studies_folder() / options.folder
        return _run(studies.Study.load(by_name if by_name.exists() else Path(options.folder)), options)


def _run(study: Any, options: argparse.Namespace) -> int:
    """Run a study with lines of progress; the exit status is 1 if a cell failed."""
    from workbench.studies import cli as study_cli
    from workbench.studies import connected

    with connected(options.scheduler, workers=options.workers, threads=options.threads) as client:
        print(f"study: {study.folder}, {len(study.cells)} cells\nworkers: {client.dashboard_link}", flush=True)
        failed = False
        for line in study_cli.study_lines(study, client, threads=options.threads, retry_failed=options.retry_failed):
            failed |= line.startswith("failed: ")
            print(line, flush=True)
    print(f"results: {study.folder / 'study.nc'}")
    return 1 if failed else 0


@contextmanager
def _studies() -> Iterator[tuple[Any, Any]]:
    """Context with the package of studies and its command-line module; its errors become CommandErrors."""
    import logging

    try:
        from workbench import studies
        from workbench.studies import cli as study_cli
    except ModuleNotFoundError as error:
        raise CommandError(f"studies require {error.name}: pip install 'smnn-workbench[studies]'", 1) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost scheduler is reported in one line
    try:
        yield studies, study_cli
    except ValueError as error:
        raise CommandError(str(error), 2) from None
    except (OSError, TimeoutError) as error:
        raise CommandError(str(error), 1) from None
