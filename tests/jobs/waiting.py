"""Wait for a step of a job."""

from tests.waiting import wait_until
from workbench.jobs.job import Job


def wait_for_step(job: Job, step: int) -> None:
    wait_until(lambda: job.snapshot().step >= step or job.state != "running", f"step {step}")
