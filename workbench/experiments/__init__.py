"""Registry of experiments by name. An experiment implements `protocol.Experiment` and has an entry in TABLE."""

from importlib import import_module

from workbench.experiments.protocol import Experiment

SYSTEMS = ("roessler", "lotka_volterra", "van_der_pol", "duffing", "fitzhugh_nagumo", "oregonator", "pendulum")
TABLE = {
    "lorenz": "workbench.experiments.lorenz",
    **{name: f"workbench.experiments.systems:{name}" for name in SYSTEMS},
    "logistic": "workbench.experiments.logistic",
    "two_body": "workbench.experiments.two_body:two_body",
    "sine": "workbench.experiments.sine",
    "linear": "workbench.experiments.linear",
    "sst": "workbench.experiments.sst",
    "kdv": "workbench.experiments.kdv",
    "pde": "workbench.experiments.pde",
    "table": "workbench.experiments.table",
}
"""Name -> module, or module:object."""


def names() -> list[str]:
    """The names of all experiments."""
    return list(TABLE)


def get(name: str) -> Experiment:
    """The experiment `name`. Raises ValueError, listing the names, if it is unknown."""
    if name not in TABLE:
        raise ValueError(f"unknown experiment {name!r}; expected one of {', '.join(TABLE)}")
    return at(TABLE[name])


def at(place: str) -> Experiment:
    """Import the experiment at a path as in TABLE, which is its `__name__`, for instance in another process."""
    path, _, attribute = place.partition(":")
    module = import_module(path)
    return getattr(module, attribute) if attribute else module
