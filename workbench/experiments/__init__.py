"""The experiments by name. A new one is a module with the parts of `protocol.Experiment`, and a line in the table."""

from importlib import import_module

from workbench.experiments.protocol import Experiment

TABLE = {name: f"workbench.experiments.{name}" for name in ("lorenz", "sine", "linear", "sst")}


def names() -> list[str]:
    """The names of all experiments."""
    return list(TABLE)


def get(name: str) -> Experiment:
    """The experiment of that name. Raises ValueError, which lists the names, for an unknown one."""
    if name not in TABLE:
        raise ValueError(f"there is no experiment {name!r}; there are: {', '.join(TABLE)}")
    return import_module(TABLE[name])
