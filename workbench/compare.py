"""One problem, several solvers: their solutions, how far they differ, how far they are from the truth, what they cost.

    from workbench.compare import Example, compare, every_variant
    example = Example("oscillator", T=100, h=0.01, K=3)
    for result in compare(example, every_variant()):
        print(result.variant.label, result.status, result.largest_difference, result.largest_error, result.seconds)

An `Example` has a closed form u(t) = Re sum_j A_j exp(s_j t), so that its k-th derivative is Re sum_j A_j s_j^k
exp(s_j t); a random `workbench.scaling.Case` serves too, without one. What is quick runs here; what is not runs in a
worker process that its budget can end, so that a caller who must redraw is never held up.
"""

import base64
import cmath
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import nan, prod
from typing import Any, NamedTuple

import numpy as np
import torch

from workbench._deprecated import moved_names
from workbench.jobs.sandbox import Outcome
from workbench.jobs.worker import judged
from workbench.scaling import Budget, Case, Host, JobStatus, variants
from workbench.scaling.timing import Peak, one_pass, require_served, solver
from workbench.solver import LinearODE, Weights
from workbench.solver.backends import load, select

__all__ = ["FORMS", "ClosedForm", "Example", "Variant", "VariantResult", "compare", "every_variant"]

QUICK = 0.1
"""Predicted seconds up to which a pass runs in the calling process although there is a worker."""
PROBE = 0.005
"""Seconds of a shortened pass from which the full one is predicted: long enough to be ruled by what grows."""
READING = 1e-3
"""Weight of a noisy reading beside the rows of the equation: the equation is trusted more."""


class ClosedForm(NamedTuple):
    """An equation sum_k c_k u^(k) = f with a closed form; all functions take the parameters by name."""

    title: str
    defaults: Mapping[str, float]
    coefficients: Callable[..., list[float]]
    modes: Callable[..., tuple[list[complex], list[complex]]]
    forcing: Callable[[np.ndarray, Mapping[str, float]], np.ndarray] = lambda t, parameters: np.zeros_like(t)


def _decay_modes(rate: float, start: float) -> tuple[list[complex], list[complex]]:
    return [-rate], [start]


def _oscillator_modes(damping: float, stiffness: float, start: float, velocity: float) -> tuple[list, list]:
    """u = (A e^(s t) + B e^(q t)), s and q the roots of s^2 + c s + w2 = 0, from u(0) and u'(0)."""
    root = cmath.sqrt(damping**2 / 4 - stiffness)
    if root == 0:
        raise ValueError(
            "damping: expected damping^2 != 4 stiffness: the critical oscillator is no sum of exponentials"
        )
    s, q = -damping / 2 + root, -damping / 2 - root
    return [s, q], [(velocity - q * start) / (s - q), (velocity - s * start) / (q - s)]


def _driven_modes(rate: float, frequency: float, start: float) -> tuple[list, list]:
    """The response to sin(w t) = Re(-i e^(i w t)) is Re(-i e^(i w t) / (i w + a))."""
    response = -1j / (1j * frequency + rate)
    return [-rate, 1j * frequency], [start - response.real, response]


FORMS = {
    "decay": ClosedForm(
        "u' + rate u = 0",
        {"rate": 1.0, "start": 1.0},
        lambda rate, start: [rate, 1.0],
        _decay_modes,
    ),
    "oscillator": ClosedForm(
        "u'' + damping u' + stiffness u = 0",
        {"damping": 0.1, "stiffness": 1.0, "start": 1.0, "velocity": 0.0},
        lambda damping, stiffness, start, velocity: [stiffness, damping, 1.0],
        _oscillator_modes,
    ),
    "driven": ClosedForm(
        "u' + rate u = sin(frequency t)",
        {"rate": 0.5, "frequency": 2.0, "start": 0.0},
        lambda rate, frequency, start: [rate, 1.0],
        _driven_modes,
        lambda t, parameters: np.sin(parameters["frequency"] * t),
    ),
}


@dataclass(frozen=True)
class Example:
    """A problem with a closed form: T grid points, step h, K derivatives kept, `central` rows, dtype, device.

    noise 0: the start is given, derivatives below the order of the equation. noise > 0: nothing but readings of u at
    every grid point, with normal noise of that standard deviation, weight `READING`; seeded. `parameters`: those of
    the form that differ from its defaults.

    Raises ValueError naming the field that does not fit.
    """

    form: str = "oscillator"
    T: int = 1000
    h: float = 0.01
    K: int = 3
    noise: float = 0.0
    central: bool = False
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"form: expected one of {', '.join(FORMS)}, found {self.form!r}")
        unknown = set(self.parameters) - set(FORMS[self.form].defaults)
        if unknown:
            raise ValueError(f"parameters: {self.form} has no {', '.join(sorted(unknown))}")
        if self.T < 2 or not self.h > 0 or self.noise < 0:
            found = f"T = {self.T}, h = {self.h}, noise = {self.noise}"
            raise ValueError(f"expected T >= 2, h > 0 and noise >= 0, found {found}")
        if self.order >= self.K:
            raise ValueError(f"K: expected more than the order {self.order} of {self.form}, found {self.K}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype: expected 'float32' or 'float64', found {self.dtype!r}")
        self.exact()

    @property
    def values(self) -> dict[str, float]:
        """Every parameter of the form by name."""
        return {**FORMS[self.form].defaults, **self.parameters}

    @property
    def order(self) -> int:
        """The highest derivative in the equation."""
        form = FORMS[self.form]
        return len(form.coefficients(**form.defaults)) - 1

    def time(self) -> np.ndarray:
        """The grid points (T), from 0."""
        return np.arange(self.T) * self.h

    def exact(self) -> np.ndarray:
        """The closed form and its derivatives (T, K)."""
        rates, amplitudes = (np.array(x, dtype=complex) for x in FORMS[self.form].modes(**self.values))
        waves = amplitudes * np.exp(np.multiply.outer(self.time(), rates))
        return np.stack([(waves * rates**k).sum(-1).real for k in range(self.K)], axis=-1)

    def readings(self) -> np.ndarray | None:
        """What was read of u, with noise (T); None without noise."""
        if self.noise == 0:
            return None
        return self.exact()[:, 0] + self.noise * np.random.default_rng(self.seed).normal(size=self.T)

    def problem(self) -> LinearODE:
        """The problem, batch shape (), D = E = 1; its tensors want gradients."""
        form, readings = FORMS[self.form], self.readings()
        c = np.zeros((1, 1, 1, self.K))
        c[..., : self.order + 1] = form.coefficients(**self.values)
        forcing = form.forcing(self.time(), self.values)[:, None]
        initial = self.exact()[:1, None, : self.order] if readings is None else readings[:, None, None]
        kind = getattr(torch, self.dtype)
        arrays = (c, forcing, initial, np.full(1, self.h))
        tensors = [torch.as_tensor(x, dtype=kind, device=self.device).requires_grad_() for x in arrays]
        weights = Weights() if readings is None else Weights(initial=READING)
        return LinearODE(*tensors, weights=weights, central=self.central, n_steps=self.T)


@dataclass(frozen=True)
class Variant:
    """A backend (a name of the table, or "module:function", as in `workbench.scaling.Case`) and its method."""

    backend: str
    method: str = "qr"

    @property
    def label(self) -> str:
        """For a legend."""
        return f"{self.backend.partition(':')[0]} {self.method}".strip()


REFERENCE = Variant("dense", "qr")


def every_variant() -> list[Variant]:
    """All that can serve here, by the table of backends: on the CPU, and `cuda` where there is a GPU for it."""
    pairs = variants("cpu") + [pair for pair in variants("cuda") if pair[0] == "cuda"]
    return [Variant(backend, method) for backend, method in pairs]


def placed(example: Any, variant: Variant) -> Any:
    """The example on the device that the variant works on."""
    return replace(example, device="cuda") if variant.backend == "cuda" else example


@dataclass(frozen=True, eq=False)
class VariantResult:
    """What one variant gave: u (B, T, D, K), and per grid point (T) the largest |difference| of u to the `reference`
    variant and the largest |error| against the closed form; None where unknown.

    forward, backward: seconds of one pass. memory_forward, memory: peak bytes above the inputs, NaN where it ran in
    this process. `words` says why a result is not OK.
    """

    variant: Variant
    status: JobStatus = JobStatus.OK
    words: str = ""
    u: np.ndarray | None = None
    forward: float = nan
    backward: float = nan
    memory_forward: float = nan
    memory: float = nan
    reference: Variant | None = None
    difference: np.ndarray | None = None
    error: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward

    @property
    def largest_difference(self) -> float:
        """Over all grid points; NaN where unknown."""
        return nan if self.difference is None else float(self.difference.max())

    @property
    def largest_error(self) -> float:
        """Over all grid points; NaN where unknown."""
        return nan if self.error is None else float(self.error.max())


@dataclass(frozen=True, eq=False)
class _Bench:
    """What all variants of one comparison share."""

    example: Example | Case
    budget: Budget
    memory: bool
    host: Host
    stop: threading.Event | None
    quick: float


def compare(
    example: Example | Case,
    variants: Sequence[Variant],
    *,
    reference: Variant | None = None,
    budget: Budget | None = None,
    memory: bool = False,
    host: Host | None = None,
    stop: threading.Event | None = None,
) -> Iterator[VariantResult]:
    """One Result per variant, the moment it is known; the reference comes first if it is among them.

    Variants that are predicted to be quick come first; the others then run in a worker until they are done or their
    budget, 2 s each if not said, ends them: such a Result is a mark. reference: what `difference` is taken to, waited
    for; None: the dense solver where it is quick, else the first variant that succeeds. memory: measure it, which runs
    every variant in a fresh process. host: a worker to use and keep; without one, up to a quarter of the budget counts
    as quick, and a worker is started where one is needed. To cancel: close the generator between two results, or set
    `stop`, which ends the running worker too.
    """
    own = host is None
    budget = budget or Budget(seconds=2.0)
    quick = budget.seconds / 4 if own else min(QUICK, budget.seconds / 4)
    bench = _Bench(example, budget, memory, host or Host(), stop, quick)
    try:
        yield from _results(bench, list(variants), reference)
    finally:
        if own:
            bench.host.close()


def _results(bench: _Bench, wanted: list[Variant], reference: Variant | None) -> Iterator[VariantResult]:
    base = None
    for result in _raw_results(bench, wanted, reference):
        if base is None and result.status is JobStatus.OK:
            base = result
        if result.variant in wanted:
            yield _judge(result, base, bench.example)


def _raw_results(bench: _Bench, wanted: list[Variant], reference: Variant | None) -> Iterator[VariantResult]:
    """The reference, what is quick, the rest; ends where `stop` was set. A reference not asked for must be quick."""
    first, rest = reference or REFERENCE, [v for v in wanted if v != (reference or REFERENCE)]
    slow = []
    for variant in (first, *rest):
        if bench.stop is not None and bench.stop.is_set():
            return
        found = float(len(slow)) if bench.memory else _try_here(bench, variant)
        if isinstance(found, float) and variant == reference:
            found = _try_worker(bench, variant)
        if isinstance(found, VariantResult):
            yield found
        elif found is not None and variant in wanted:
            slow.append((found, variant))
    for _, variant in sorted(slow, key=lambda pair: pair[0]):
        result = _try_worker(bench, variant)
        if result is None:
            return
        yield result


def _judge(result: VariantResult, base: VariantResult | None, example: Example | Case) -> VariantResult:
    """The result with its difference and its error."""
    if result.u is None or base is None:
        return result
    value = result.u[..., 0]
    error = None
    if isinstance(example, Example):
        error = _per_point(value - example.exact()[:, :1])
    return replace(result, reference=base.variant, difference=_per_point(value - base.u[..., 0]), error=error)


def _per_point(x: np.ndarray) -> np.ndarray:
    """Largest |x| (B, T, D) per grid point (T)."""
    return np.abs(np.moveaxis(x, -2, 0)).reshape(x.shape[-2], -1).max(-1)


def _try_here(bench: _Bench, variant: Variant) -> VariantResult | float:
    """The result of a variant that is quick, refuses or fails; else how many seconds it is predicted to take.

    Shortened problems are solved, twice as long each time, until the full one is predicted to be quick or one takes
    `PROBE`: time grows as T where the factor does, and as its size to 3/2 where that grows faster, as dense ones do.
    """
    example = placed(bench.example, variant)
    try:
        problem = example.problem()
        require_served(problem, variant.backend, variant.method)
        T, seconds, predicted = 16, 0.0, 0.0
        while T < example.T and seconds < PROBE:
            short = replace(example, T=T).problem()
            _run_here(short, variant)  # the first call of a kind pays for what it loads
            seconds = _run_here(short, variant).seconds
            growth = example.T / T
            kept = _factor_size(problem, variant) / _factor_size(short, variant)
            predicted = seconds * (kept**1.5 if kept > 1.5 * growth else growth)
            if predicted <= bench.quick:
                break
            T *= 2
        return predicted if predicted > bench.quick and T < example.T else _run_here(problem, variant)
    except Exception as error:
        return VariantResult(variant, *judged(error))


def _factor_size(problem: LinearODE, variant: Variant) -> float:
    """How many numbers the factor keeps; of a function of another package: taken as linear in T."""
    if ":" in variant.backend:
        return float(problem.T)
    name = select(problem, variant.backend, variant.method)
    return float(sum(prod(shape) for shape in load(name).factor_shapes(problem, variant.method, "factor")))


def _run_here(problem: LinearODE, variant: Variant) -> VariantResult:
    u, forward, backward = one_pass(solver(variant.backend, variant.method), problem)
    return VariantResult(variant, u=_array(u), forward=forward, backward=backward)


def _array(u: torch.Tensor) -> np.ndarray:
    return u.to("cpu", torch.float64).numpy()


def _try_worker(bench: _Bench, variant: Variant) -> VariantResult | None:
    """The result of a variant from a fresh process, within the budget; None if `stop` was set."""
    kind = type(bench.example).__name__
    arguments = {"kind": kind, "example": asdict(placed(bench.example, variant)), "variant": asdict(variant)}
    arguments["threads"] = torch.get_num_threads()
    outcome = bench.host.run("workbench.compare:solve_in_worker", arguments, bench.budget, bench.stop)
    return None if outcome.cancelled else _received(variant, outcome)


def _received(variant: Variant, outcome: Outcome) -> VariantResult:
    """The result of what the worker told; one that was ended after it had told is complete."""
    facts = {name: value for told in outcome.told for name, value in told.items()}
    if "u" not in facts:
        return VariantResult(variant, outcome.status, outcome.words)
    u = np.frombuffer(base64.b64decode(facts.pop("u"))).reshape(facts.pop("shape"))
    return VariantResult(variant, u=u, **facts)


def solve_in_worker(
    tell: Callable[..., None], kind: str, example: dict[str, Any], variant: dict[str, Any], threads: int
) -> None:
    """The job of the worker: tells u, seconds and memory of the first pass; the seconds again of a second if short."""
    torch.set_num_threads(threads)
    made = {"Example": Example, "Case": Case}[kind](**example)
    require_served(made.problem(), variant["backend"], variant["method"])
    function = solver(variant["backend"], variant["method"])
    one_pass(function, replace(made, T=min(made.T, 8)).problem())  # loads libraries
    problem = made.problem()
    tell(begin=True)
    peak, memory = Peak(str(problem.device)), []
    u, forward, backward = one_pass(function, problem, look=lambda: memory.append(float(peak.read())))
    if forward + backward < 2 * QUICK:
        _, forward, backward = one_pass(function, problem)
    u = np.ascontiguousarray(_array(u))
    packed = {"u": base64.b64encode(u.tobytes()).decode("ascii"), "shape": u.shape}
    tell(**packed, forward=forward, backward=backward, memory_forward=memory[0], memory=memory[1])


__getattr__ = moved_names(
    __name__,
    {
        "Result": "compare:VariantResult",
        "Form": "compare:ClosedForm",
    },
)
