"""Networks of the published Lorenz model, initialised from a given random generator.

Source: Chen, Yao, Locatello, Alistarh et al., "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn

LATENT = 64
"""Size of the latent vector of `Coefficients`."""


def layers(sizes: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them; weights and biases from U(-1, 1) / sqrt(inputs)."""
    modules = []
    for inputs, outputs in pairwise(sizes):
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.uniform_(-1 / sqrt(inputs), 1 / sqrt(inputs), generator=generator)
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


class Denoiser(nn.Module):
    """Maps windows (..., T, D) to windows (..., T, D): T D -> hidden -> hidden -> T D."""

    def __init__(self, window: int, variables: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        size = window * variables
        self.net = layers((size, hidden, hidden, size), generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(-2)).unflatten(-1, x.shape[-2:])


class Coefficients(nn.Module):
    """Xi (C, D) from a learnable vector: LATENT -> hidden -> hidden -> C D."""

    def __init__(self, candidates: int, variables: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.shape = (candidates, variables)
        self.latent = nn.Parameter(torch.randn(LATENT, generator=generator))
        self.net = layers((LATENT, hidden, hidden, candidates * variables), generator)

    def forward(self) -> Tensor:
        return self.net(self.latent).unflatten(-1, self.shape)
