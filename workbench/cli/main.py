"""Entry point of the command line: train, resume, runs, show, export, waves, study."""

import os
import sys
from collections.abc import Sequence

from workbench.cli.errors import PROGRAM, CommandError
from workbench.cli.options import command_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0, 1 for a run or a file that failed, 2 for bad arguments, 130 after Ctrl-C."""
    # Busy-waiting threads cost a factor of ten on a shared machine. The variable is read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = command_line(argv).parse_args(argv)
        return options.run(options)
    except CommandError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.status
    except SystemExit as end:  # argparse has printed its line
        return int(end.code or 0)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; the run file has the last saved state", file=sys.stderr)
        return 130
