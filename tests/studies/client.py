"""Client process that runs the study of a folder on a scheduler, and can be killed.

python -m tests.studies.client FOLDER ADDRESS
"""

import sys
from pathlib import Path

from workbench import experiments
from workbench.studies import Study, connected, run

if __name__ == "__main__":
    experiments.TABLE["walk"] = "tests.studies.walk"
    with connected(sys.argv[2]) as client:
        run(Study.load(Path(sys.argv[1])), client)
