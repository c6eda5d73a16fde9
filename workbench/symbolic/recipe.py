"""A library said in a few settings, as a page or a file holds them."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench._deprecated import moved_names
from workbench.symbolic import expr, library
from workbench.symbolic.library import Library
from workbench.symbolic.parser import parse


@dataclass(frozen=True)
class LibrarySpec:
    """Which candidates a library has: polynomials up to `degree` (-1: none), and whatever else is asked for.

    frequencies: w of sin(w x), cos(w x); rates: r of exp(r x); offsets: k of 1/(k + x), x/(k + x), each for every
    variable; time: t counts as a variable in all of them; expressions: a person's own; order: 1 or 2, as in `Library`.
    """

    degree: int = 2
    frequencies: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    expressions: tuple[str, ...] = ()
    time: bool = False
    order: int = 1

    def library(self, variables: Sequence[str]) -> Library:
        """The library for these variables. Raises ValueError in words for whatever cannot be a candidate."""
        inputs = library.inputs(variables, self.order)
        names = (*inputs, expr.TIME) if self.time else inputs
        nodes = [
            *(library.polynomials(names, self.degree) if self.degree >= 0 else ()),
            *library.trigonometric(names, self.frequencies),
            *library.exponential(names, self.rates),
            *library.rational(names, self.offsets),
            *(parse(text, inputs) for text in self.expressions),
        ]
        return Library(variables, nodes, order=self.order)


__getattr__ = moved_names(
    __name__,
    {
        "Recipe": "symbolic.recipe:LibrarySpec",
    },
)
