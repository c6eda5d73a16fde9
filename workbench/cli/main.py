"""The same experiments from a shell: train, resume, runs, show, export, waves, study. See `workbench.cli`."""

import os
import sys
from collections.abc import Sequence

from workbench.cli.errors import PROGRAM, CommandError
from workbench.cli.options import command_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0, 1 for a run or a file that failed, 2 for bad arguments, 130 after Ctrl-C."""
    # Waiting threads must not keep a core busy: on a shared machine that costs a factor of ten. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = command_line(given).parse_args(given)
        return options.run(options)
    except CommandError as complaint:
        print(f"{PROGRAM}: {complaint}", file=sys.stderr)
        return complaint.status
    except SystemExit as end:  # argparse has printed its line
        return int(end.code or 0)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; a run file holds what was last saved", file=sys.stderr)
        return 130
