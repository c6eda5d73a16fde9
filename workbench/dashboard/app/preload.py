"""Import and try out what the first run needs while nobody waits for it."""

import threading
from functools import cache


@cache
def warm() -> threading.Thread:
    """Start, once per process, a thread that imports the slow packages and makes the first record and its figure."""
    thread = threading.Thread(target=_warm, name="warm", daemon=True)
    thread.start()
    return thread


def _warm() -> None:
    import plotly.graph_objects as plotly

    import workbench.training  # noqa: F401
    from workbench import experiments
    from workbench.dashboard.train.preview import record
    from workbench.dashboard.train.replay import stored
    from workbench.jobs.run_index import listing
    from workbench.plots import trajectory

    listing.rows()
    stored()
    first = experiments.get(experiments.names()[0])
    data = trajectory.until(record(first.name, first.Config()), 0.0)
    if data.sizes["variable"] == 3:
        plotly.Figure(trajectory.phase(data, "", trajectory.eye(data), dark=False))
