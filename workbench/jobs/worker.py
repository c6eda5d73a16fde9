"""The process that measures: jobs come in as lines of JSON, what they tell goes out as lines of JSON.

A job {"call": "module:function", "arguments": {...}} calls function(tell, **arguments). Out go {"ready": true} once,
then per job {"pid": ...}, {"told": {...}} as often as it likes, {"end": status, "words": ...} (missing if it was
killed), {"gone": true}. On Linux each job is a fork of a process that has loaded torch and computed nothing: as good as
fresh, in milliseconds. Elsewhere the process serves one job and leaves.

    python -m workbench.jobs.worker [module to import before any job ...]
"""

import json
import os
import select
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import torch

from workbench.jobs.budget import JobStatus

FORKS = sys.platform == "linux"


def main() -> None:
    """Serve jobs until the input ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a solver prints must not stand between the lines
    _go_first_when_memory_ends()
    for module in sys.argv[1:]:
        import_module(module)
    _say(out, ready=True)
    for line in sys.stdin:
        if not FORKS:
            _serve(out, json.loads(line))
            _say(out, gone=True)
            return
        child = os.fork()
        if child == 0:
            threading.Thread(target=_leave_with_the_caller, daemon=True).start()
            _serve(out, json.loads(line))
            os._exit(0)
        os.waitpid(child, 0)
        _say(out, gone=True)


def _say(out: TextIO, **message: Any) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def _serve(out: TextIO, job: dict[str, Any]) -> None:
    """One job; what it raises becomes words."""
    _say(out, pid=os.getpid())
    module, _, name = job["call"].partition(":")
    try:
        function = getattr(import_module(module), name)
        function(lambda **facts: _say(out, told=facts), **job["arguments"])
        _say(out, end=JobStatus.OK, words="")
    except Exception as error:
        status, words = judged(error)
        _say(out, end=status, words=words)


def judged(error: Exception) -> tuple[JobStatus, str]:
    """The status and the words that an error stands for."""
    words = str(error).strip() or type(error).__name__
    from_allocator = any(phrase in words for phrase in ("not enough memory", "can't allocate memory"))
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or from_allocator:
        return JobStatus.OUT_OF_MEMORY, words
    refused = isinstance(error, ValueError) and words.startswith(("backend:", "method:"))
    return (JobStatus.REFUSED, words) if refused else (JobStatus.FAILED, f"{type(error).__name__}: {words}")


def _go_first_when_memory_ends() -> None:
    """Where the system has to end a process for want of memory, let it be this one (Linux)."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return


def _leave_with_the_caller() -> None:
    """A job does not outlive the process that asked for it: wait until the other end of the input is closed."""
    watch = select.poll()
    watch.register(0, select.POLLHUP)
    while not any(event & select.POLLHUP for _, event in watch.poll()):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
