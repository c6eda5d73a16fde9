"""For `panel serve --setup`: the fake experiments beside the real ones, so that a browser meets slow, failing runs.

With --num-threads, the thread that tells of a loaded page is always late here: what it has begun is well under way
before Panel takes the page for loaded. Elsewhere that happens now and then, on a busy machine.
"""

import threading
import time
from typing import Any

from panel.io.state import _state

from tests.dashboard.conftest import FAKES
from workbench import experiments

experiments.TABLE.update(FAKES)

execute = _state.execute


def execute_late(self: Any, callback: Any, schedule: Any = "auto") -> None:
    execute(self, callback, schedule)
    if schedule is False and threading.current_thread() is not threading.main_thread():
        time.sleep(0.3)


_state.execute = execute_late
