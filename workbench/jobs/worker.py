"""Worker process of a sandbox: jobs come in and messages go out as lines of JSON.

A job {"call": "module:function", "arguments": {...}} calls function(report_progress, **arguments). The worker writes
{"ready": true} once, then per job {"pid": ...}, any number of {"message": {...}}, {"end": status, "reason": ...}
(missing if it was killed) and {"gone": true}. On Linux each job is a fork of a process that has loaded torch and
computed nothing: equivalent to a new process, but started in milliseconds. Elsewhere the process serves one job and
exits.

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
    os.dup2(2, 1)  # keeps the output of a solver out of the protocol
    _prefer_for_oom_killer()
    for module in sys.argv[1:]:
        import_module(module)
    _send(out, ready=True)
    for line in sys.stdin:
        if not FORKS:
            _serve(out, json.loads(line))
            _send(out, gone=True)
            return
        child = os.fork()
        if child == 0:
            threading.Thread(target=_exit_with_caller, daemon=True).start()
            _serve(out, json.loads(line))
            os._exit(0)
        os.waitpid(child, 0)
        _send(out, gone=True)


def _send(out: TextIO, **message: Any) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def _serve(out: TextIO, job: dict[str, Any]) -> None:
    """Run one job, and report the error that it raises."""
    _send(out, pid=os.getpid())
    module, _, name = job["call"].partition(":")
    try:
        function = getattr(import_module(module), name)
        function(lambda **message: _send(out, message=message), **job["arguments"])
        _send(out, end=JobStatus.OK, reason="")
    except Exception as error:
        status, reason = classify_error(error)
        _send(out, end=status, reason=reason)


def classify_error(error: Exception) -> tuple[JobStatus, str]:
    """Status and message of an error: out of memory, refused by a backend, or failed."""
    text = str(error).strip() or type(error).__name__
    from_allocator = any(phrase in text for phrase in ("not enough memory", "can't allocate memory"))
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or from_allocator:
        return JobStatus.OUT_OF_MEMORY, text
    refused = isinstance(error, ValueError) and text.startswith(("backend:", "method:"))
    return (JobStatus.REFUSED, text) if refused else (JobStatus.FAILED, f"{type(error).__name__}: {text}")


def _prefer_for_oom_killer() -> None:
    """Make this the first process that Linux kills when memory runs out."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return


def _exit_with_caller() -> None:
    """Exit when the other end of the input is closed, so that no job outlives its caller."""
    watch = select.poll()
    watch.register(0, select.POLLHUP)
    while not any(event & select.POLLHUP for _, event in watch.poll()):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
