"""Compare solvers on one problem: solutions, differences, errors against a closed form, time and memory.

    from workbench.compare import Example, compare, every_variant
    example = Example("oscillator", T=100, h=0.01, K=3)
    for result in compare(example, every_variant()):
        print(result.variant.label, result.status, result.largest_difference, result.largest_error, result.seconds)

An `Example` has the closed form u(t) = Re sum_j A_j exp(s_j t) with derivatives Re sum_j A_j s_j^k exp(s_j t); a random
`workbench.scaling.Case` has none. Quick variants run in the calling process; the others run in a worker process within
a budget, so that an interactive caller never blocks for long.
"""

from workbench._deprecated import moved_names
from workbench.compare.comparison import compare
from workbench.compare.problems import FORMS, ClosedForm, Example
from workbench.compare.running import solve_in_worker  # noqa: F401  (the worker finds it here)
from workbench.compare.variants import Variant, VariantResult, every_variant, on_device  # noqa: F401

__all__ = ["FORMS", "ClosedForm", "Example", "Variant", "VariantResult", "compare", "every_variant"]

__getattr__ = moved_names(__name__, {"Result": "compare:VariantResult", "Form": "compare:ClosedForm"})
