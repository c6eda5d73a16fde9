"""Expressions that a person types: read, written, differentiated; and whatever is no expression, refused in words."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.symbolic import expr, printers
from workbench.symbolic.expr import FUNCTIONS
from workbench.symbolic.library import Candidate
from workbench.symbolic.parser import DEEPEST, LARGEST_POWER, LONGEST, parse

VARIABLES = ("x", "y", "speed", "x'")
STATES = np.random.default_rng(0).uniform(0.2, 2.0, (20, len(VARIABLES)))
TIMES = np.linspace(0.3, 2.0, 20)


def candidate(text: str) -> Candidate:
    return Candidate(parse(text, VARIABLES), VARIABLES)


def values(text: str) -> np.ndarray:
    return candidate(text)(STATES, TIMES)


# what is read


@pytest.mark.parametrize(
    "text,expected",
    [
        ("x*y - 2*speed", lambda x, y, s, v, t: x * y - 2 * s),
        ("-x^2 + x**-1", lambda x, y, s, v, t: -(x**2) + 1 / x),
        ("x/y/speed", lambda x, y, s, v, t: x / y / s),
        ("x - (y - speed)", lambda x, y, s, v, t: x - (y - s)),
        ("2^-3 * x ^ 0.5", lambda x, y, s, v, t: 0.125 * np.sqrt(x)),
        ("x'*abs(x')", lambda x, y, s, v, t: v * np.abs(v)),
        ("sin(2*pi*t) + e", lambda x, y, s, v, t: np.sin(2 * np.pi * t) + math.e),
        ("  exp(-x)/(1 + tanh(y)^2)  ", lambda x, y, s, v, t: np.exp(-x) / (1 + np.tanh(y) ** 2)),
        (
            "log(x) + sqrt(y) + atan(speed) + sign(x - 1)",
            lambda x, y, s, v, t: np.log(x) + y**0.5 + np.arctan(s) + np.sign(x - 1),
        ),
        ("1.5e-1*x + .5", lambda x, y, s, v, t: 0.15 * x + 0.5),
        ("3", lambda x, y, s, v, t: 3 + 0 * x),
        ("x^3.0*y^(1/2)", lambda x, y, s, v, t: x**3 * np.sqrt(y)),
    ],
)
def test_an_expression_means_what_it_says(text, expected):
    np.testing.assert_allclose(values(text), expected(*STATES.T, TIMES), rtol=1e-14)


REFUSED = {
    "nothing": ("  ", "found nothing"),
    "an attribute": ("x.real", "column 1: this is no arithmetic"),
    "a dunder": ("x + __import__", "column 5: unknown name __import__; expected one of x, y, speed, x', t, pi, e"),
    "an unknown call": ("1 + foo(x)", "column 5: unknown function foo; expected one of sin, cos"),
    "a call of a variable": ("x(y + 1)", r"column 1: x is no function; expected an operator, as in x\*"),
    "a call of a call": ("sin(x)(y)", "column 1: expected an operator before the parenthesis"),
    "a comprehension": ("[i for i in x]", "column 1: '\\[' has no meaning here"),
    "a generator": ("sin(x for x in y)", "column 4: this is no arithmetic"),
    "a lambda": ("lambda: x", "column 7: ':' has no meaning here"),
    "a string": ('"x"', "column 1: '\"' has no meaning here"),
    "a string of primes": ("'x'", "column 1: unknown name 'x'"),
    "a condition": ("x if y else 1", "column 1: this is no arithmetic"),
    "logic": ("x and y", "column 1: this is no arithmetic"),
    "a truth value": ("x + True", "column 5: this is no arithmetic"),
    "a star": ("sin(*x)", "column 5: this is no arithmetic"),
    "two arguments": ("exp(x, y)", "column 6: ',' has no meaning here"),
    "no argument": ("exp()", "column 1: exp: expected one argument"),
    "a bare function": ("sin + x", r"column 1: sin is a function; expected sin\(...\)"),
    "a huge power": ("1 + x**100", f"column 8: expected an exponent between -{LARGEST_POWER} and {LARGEST_POWER}"),
    "a variable power": ("x**y", "column 4: expected a number as the exponent"),
    "powers of powers": ("9**9**9", "column 4: expected an exponent"),
    "no operator": ("2x", r"column 2: expected an operator after 2, as in 2\*x"),
    "a hexadecimal": ("0x10", "column 2: expected an operator after 0"),
    "an imaginary": ("1j*x", "column 2: expected an operator"),
    "a separator in a number": ("1_0*x", "column 2: expected an operator"),
    "an infinite number": ("x + 1e999", "column 5: this is inf; expected a finite number"),
    "a division by zero": ("x + 1/(2 - 2)", "column 5: this has no value"),
    "a logarithm of -1": ("x*log(-1)", "column 3: this has no value"),
    "an overflow": ("exp(1e3) + x", "column 1: this has no value"),
    "half of it": ("x*(y + 1", "this cannot be read"),
    "a line break": ("x +\n y", "column 4: '\\\\n' has no meaning here"),
    "a comment": ("x # y", "column 3: '#' has no meaning"),
    "an assignment": ("(x := y)", "column 4: ':' has no meaning"),
    "too long": ("x+" * LONGEST + "x", f"expected at most {LONGEST} characters, found {2 * LONGEST + 1}"),
    "too deep": ("-" * (DEEPEST + 5) + "x", f"expected at most {DEEPEST} operations inside each other"),
    "wide letters before": ("α*x", "column 1: unknown name α"),
    "after wide letters": ("x*α + zz*2", "column 3: unknown name α"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_expression_is_refused_in_words(fault):
    text, words = REFUSED[fault]
    with pytest.raises(ValueError, match=words):
        parse(text, VARIABLES)


@pytest.mark.parametrize("taken", ["t", "pi", "e", "sin"])
def test_a_variable_may_not_mean_something_else(taken):
    with pytest.raises(ValueError, match=f"variable {taken}: this name has a meaning"):
        parse("x", ("x", taken))


# whatever is typed

PIECES = [
    *VARIABLES,
    "t",
    "pi",
    "e",
    *FUNCTIONS,
    *"+-*/^().,'\"[]{}:=@ \n_0123456789",
    "**",
    "//",
    "1e",
    "e5",
    "lambda",
]
PIECES += [
    "__import__",
    "('os')",
    ".system",
    "exec(",
    "if",
    "else",
    "for",
    "in",
    "1j",
    "\\",
    "\0",
    "ʹ",
    "２",
    "ﬁ",
    "é",
    "#",
]
TYPED = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


@settings(max_examples=500, deadline=None)
@given(text=TYPED)
def test_anything_typed_is_a_candidate_or_a_sentence(text):
    events = []
    watching.append(events)
    try:
        found = candidate(text)
    except ValueError as error:
        assert "expected" in str(error)  # noqa: PT017
        return
    finally:
        watching.remove(events)
        assert not events, f"{text!r} made Python do {events}"
    assert found(STATES, TIMES).shape == (20,)
    np.testing.assert_array_equal(values(found.text), found(STATES, TIMES))


watching: list[list[str]] = []
FORBIDDEN = ("exec", "import", "open", "os.", "subprocess.", "socket.", "ctypes.", "code.__new__")


def _watch(event: str, arguments: tuple) -> None:
    # a compile that only makes a tree raises "compile", never "exec"
    if watching and event.startswith(FORBIDDEN):
        watching[-1].append(event)


sys.addaudithook(_watch)


def test_the_watch_sees_what_is_run():
    events = []
    watching.append(events)
    try:
        eval("1 + 1")
    finally:
        watching.remove(events)
    assert events == ["exec"]


# trees

NUMBERS = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0, -2.5, 1e-3, 123456.75])
LEAVES = st.one_of(
    NUMBERS.map(expr.number), st.sampled_from([*VARIABLES, "t"]).map(expr.name), st.just(expr.constant("pi"))
)


def _grown(inner: st.SearchStrategy) -> st.SearchStrategy:
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda p: expr.add(*p)),
        pair.map(lambda p: expr.subtract(*p)),
        pair.map(lambda p: expr.multiply(*p)),
        pair.filter(lambda p: p[1] != expr.ZERO).map(lambda p: expr.divide(*p)),
        inner.map(expr.negate),
        st.tuples(inner.filter(lambda n: n != expr.ZERO), st.sampled_from([2.0, 3.0, -1.0, -2.0, 4.0])).map(
            lambda p: expr.power(*p)
        ),
        st.tuples(st.sampled_from(["sin", "cos", "tan", "tanh", "atan", "exp", "log", "sqrt", "abs"]), inner).map(
            lambda p: expr.call(*p)
        ),
    )


TREES = st.recursive(LEAVES, _grown, max_leaves=8)


def evaluable(node: expr.Node) -> Candidate | None:
    try:
        return Candidate(node, VARIABLES)
    except ValueError:  # a part without names that has no value, as log(-1)
        return None


@settings(max_examples=300, deadline=None)
@given(node=TREES)
def test_what_is_written_is_read_back(node):
    found, text = evaluable(node), printers.text(node)
    if found is None or len(text) > LONGEST:
        return
    try:
        again = candidate(text)
    except ValueError as error:
        assert "finite number" in str(error)  # noqa: PT017
        return
    np.testing.assert_array_equal(again(STATES, TIMES), found(STATES, TIMES))
    assert printers.text(again.node) == text


@settings(max_examples=300, deadline=None)
@given(node=TREES, by=st.sampled_from([*VARIABLES, "t"]))
def test_derivatives_are_those_of_torch(node, by):
    found = evaluable(node)
    if found is None:
        return
    x, time = (torch.from_numpy(a.copy()).requires_grad_() for a in (STATES, TIMES))
    result = found(x, time)
    gradients = (
        torch.autograd.grad(result.sum(), (x, time), allow_unused=True) if result.requires_grad else (None, None)
    )
    gradient = gradients[1] if by == "t" else None if gradients[0] is None else gradients[0][:, VARIABLES.index(by)]
    expected = torch.zeros_like(time) if gradient is None else gradient
    derivative = found.derivative(by)(x.detach(), time.detach())
    there = result.isfinite() & expected.isfinite() & derivative.isfinite() & (expected.abs() < 1e8)
    torch.testing.assert_close(derivative[there], expected[there].detach(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "text", [*(f"{f}(0.7*x + 0.1*t)" for f in FUNCTIONS), "x^3", "x^-2", "x^0.5", "x*y/(1 + x^2)", "1/x"]
)
def test_derivatives_agree_with_finite_differences(text):
    found, h = candidate(text), 1e-6
    for column, by in enumerate([*VARIABLES, "t"]):
        moved = [np.array(STATES) for _ in range(2)], [np.array(TIMES) for _ in range(2)]
        for sign, states, times in zip((1, -1), *moved, strict=True):
            where = times if by == "t" else states[:, column]
            where += sign * h
        up, down = (found(states, times) for states, times in zip(*moved, strict=True))
        np.testing.assert_allclose(found.derivative(by)(STATES, TIMES), (up - down) / (2 * h), rtol=1e-6, atol=1e-8)


# how they are written


@pytest.mark.parametrize(
    "text,short,latex",
    [
        ("x^2*y", "x^2 y", r"x^{2}\,y"),
        ("x*speed", "x speed", r"x\,\mathrm{speed}"),
        ("x'", "x'", r"\dot{x}"),
        ("1/(1 + x)", "1/(1 + x)", r"\frac{1}{1 + x}"),
        ("(x/y)^2", "(x/y)^2", r"\left(\frac{x}{y}\right)^{2}"),
        ("sin(2*pi*t)", "sin(2 pi t)", r"\sin\left(2\,\pi\,t\right)"),
        ("exp(-x)", "exp(-x)", r"\exp\left(-x\right)"),
        ("-2*x", "-2 x", r"-2\,x"),
        ("x - -2*y", "x - (-2 y)", r"x - \left(-2\,y\right)"),
        ("sqrt(abs(x))", "sqrt(abs(x))", r"\sqrt{\left|x\right|}"),
        ("x^-1", "x^(-1)", "x^{-1}"),
        ("1e-7*x", "1e-07 x", r"1\cdot 10^{-7}\,x"),
    ],
)
def test_an_expression_is_written_for_people(text, short, latex):
    assert (candidate(text).name, candidate(text).latex) == (short, latex)


def test_a_dot_stands_over_letters_and_words_are_derived_by_d_over_dt():
    written = [
        printers.rate(printers.latex(expr.name(name)), order) for name in ("x", "alpha", "hares") for order in (1, 2)
    ]
    assert written == [
        *(r"\dot{x}", r"\ddot{x}", r"\dot{\alpha}", r"\ddot{\alpha}"),
        *(r"\mathrm{d}\,\mathrm{hares}/\mathrm{d}t", r"\mathrm{d}^2\,\mathrm{hares}/\mathrm{d}t^2"),
    ]
