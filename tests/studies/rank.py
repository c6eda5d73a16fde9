"""Command line with the experiment `fit`, started by torchrun in the tests."""

import sys

from workbench import experiments
from workbench.cli import main

if __name__ == "__main__":
    experiments.TABLE["fit"] = "tests.studies.fit"
    sys.exit(main.main())
