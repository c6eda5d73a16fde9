"""Save and load the state of Adam, parameter by parameter."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")
"""Moments that `torch.optim.Adam` stores for every parameter, in addition to `step`."""


def adam_state(optimizer: torch.optim.Adam) -> list[dict[str, Tensor]]:
    """`step` and MOMENTS of each parameter in the order of the optimizer; {} for one without a gradient so far."""
    state = optimizer.state_dict()
    return [state["state"].get(index, {}) for group in state["param_groups"] for index in group["params"]]


def load_adam_state(optimizer: torch.optim.Adam, states: Iterable[Mapping[str, Tensor]]) -> None:
    """Replace the state of each parameter by a copy of `states`, as returned by `adam_state`."""
    copies = {
        index: {name: value.clone() for name, value in state.items()} for index, state in enumerate(states) if state
    }
    optimizer.load_state_dict({"state": copies, "param_groups": optimizer.state_dict()["param_groups"]})
