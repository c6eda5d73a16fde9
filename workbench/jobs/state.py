"""State machine of a job.

              start                 begin_step
    PAUSED --------------> READY -------------> STEPPING
       ^                     ^                     |
       '------- pause -------'------ end_step -----'

A halt during a step takes effect at its end: `pause`, `stop` and `interrupt` turn STEPPING into PAUSING, STOPPING and
INTERRUPTING, and `end_step` these into PAUSED, STOPPED and INTERRUPTED. `start` also resumes
STOPPED and INTERRUPTED. FINISHED and FAILED are final, except that a failure after the last step turns FINISHED into
FAILED.
"""

from enum import Enum, auto


class JobState(Enum):
    """State of a job. READY: the next step may begin. PAUSING, STOPPING, INTERRUPTING: a halt waits for the step."""

    PAUSED = auto()
    READY = auto()
    STEPPING = auto()
    PAUSING = auto()
    STOPPING = auto()
    INTERRUPTING = auto()
    STOPPED = auto()
    INTERRUPTED = auto()
    FINISHED = auto()
    FAILED = auto()


IN_STEP = (JobState.STEPPING, JobState.PAUSING, JobState.STOPPING, JobState.INTERRUPTING)
ENDED = (JobState.STOPPED, JobState.INTERRUPTED, JobState.FINISHED, JobState.FAILED)
FINAL = (JobState.FINISHED, JobState.FAILED)
SETTLING = {JobState.PAUSING: "pausing", JobState.STOPPING: "stopping", JobState.INTERRUPTING: "stopping"}

HALTED = tuple(state.name.lower() for state in ENDED)
"""Public names of the states in which a job has ended."""
RESUMABLE = ("paused", "stopped", "interrupted")
ACTIVE = ("running", "queued")


def _halt(ended: JobState, in_step: JobState) -> dict[JobState, JobState]:
    """Transitions of a halt: to `ended` between two steps, to `in_step` during one."""
    between = (JobState.PAUSED, JobState.READY)
    return dict.fromkeys(between, ended) | {state: in_step for state in IN_STEP if state is not in_step}


TRANSITIONS = {
    "start": {
        **dict.fromkeys((JobState.PAUSED, JobState.STOPPED, JobState.INTERRUPTED), JobState.READY),
        **dict.fromkeys((JobState.PAUSING, JobState.STOPPING, JobState.INTERRUPTING), JobState.STEPPING),
    },
    "pause": {JobState.READY: JobState.PAUSED, JobState.STEPPING: JobState.PAUSING},
    "stop": _halt(JobState.STOPPED, JobState.STOPPING),
    "interrupt": _halt(JobState.INTERRUPTED, JobState.INTERRUPTING),
    "begin_step": {JobState.READY: JobState.STEPPING},
    "end_step": {
        JobState.STEPPING: JobState.READY,
        JobState.PAUSING: JobState.PAUSED,
        JobState.STOPPING: JobState.STOPPED,
        JobState.INTERRUPTING: JobState.INTERRUPTED,
    },
    "finish": dict.fromkeys(IN_STEP, JobState.FINISHED),
    "fail": dict.fromkeys(JobState, JobState.FAILED),
    **{f"open_{name}": {JobState.PAUSED: state} for name, state in zip(HALTED, ENDED, strict=True)},
}
"""Event -> {state: next state}. In any other state the event has no effect."""


def public_name(state: JobState, position: int) -> str:
    """Name of a state for users; `position`: number of turns until the job may compute, 0 if it may."""
    if state is JobState.READY:
        return "queued" if position else "running"
    return "running" if state in IN_STEP else state.name.lower()
