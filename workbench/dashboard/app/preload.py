"""Preload slow packages and the first data set in a background thread."""

import threading
from functools import cache


@cache
def warm() -> threading.Thread:
    """Start, once per process, a thread that imports slow packages and builds the first data set and its figure."""
    thread = threading.Thread(target=_warm, name="warm", daemon=True)
    thread.start()
    return thread


def _warm() -> None:
    import plotly.graph_objects as plotly

    import workbench.training  # noqa: F401
    from workbench import experiments
    from workbench.dashboard.train.preview import load_dataset
    from workbench.dashboard.train.replay import load_stored_run
    from workbench.jobs.run_index import listing
    from workbench.plots import trajectory

    listing.rows()
    load_stored_run()
    first = experiments.get(experiments.names()[0])
    data = trajectory.truncate(load_dataset(first.name, first.Config()), 0.0)
    if data.sizes["variable"] == 3:
        plotly.Figure(trajectory.phase(data, "", trajectory.camera_position(data), dark=False))
