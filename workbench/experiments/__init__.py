"""The experiments by name. A new one has the parts of `protocol.Experiment`, and a line in the table."""

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
"""Where each is: a module, or an object of one after a colon."""


def names() -> list[str]:
    """The names of all experiments."""
    return list(TABLE)


def get(name: str) -> Experiment:
    """The experiment of that name. Raises ValueError, which lists the names, for an unknown one."""
    if name not in TABLE:
        raise ValueError(f"there is no experiment {name!r}; there are: {', '.join(TABLE)}")
    return at(TABLE[name])


def at(place: str) -> Experiment:
    """The experiment at a place as in the table: what its `__name__` says, so that another process finds it."""
    module, _, attribute = place.partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found
