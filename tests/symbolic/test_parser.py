"""Parsing, printing and differentiation of typed expressions, and errors of invalid ones."""

import math
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.symbolic import expr, printers
from workbench.symbolic.expr import FUNCTIONS
from workbench.symbolic.library import Candidate
from workbench.symbolic.parser import MAX_DEPTH, MAX_EXPONENT, MAX_LENGTH, parse

VARIABLES = ("x", "y", "speed", "x'")
STATES = np.random.default_rng(0).uniform(0.2, 2.0, (20, len(VARIABLES)))
TIMES = np.linspace(0.3, 2.0, 20)


def candidate(text: str) -> Candidate:
    return Candidate(parse(text, VARIABLES), VARIABLES)


def values(text: str) -> np.ndarray:
    return candidate(text)(STATES, TIMES)


# parsing


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
def test_parsed_expressions_have_the_expected_values(text, expected):
    np.testing.assert_allclose(values(text), expected(*STATES.T, TIMES), rtol=1e-14)


INVALID = {
    "nothing": ("  ", "found an empty text"),
    "an attribute": ("x.real", "column 1: not an arithmetic expression"),
    "a dunder": ("x + __import__", "column 5: unknown name __import__; expected one of x, y, speed, x', t, pi, e"),
    "an unknown call": ("1 + foo(x)", "column 5: unknown function foo; expected one of sin, cos"),
    "a call of a variable": ("x(y + 1)", r"column 1: x is not a function; expected an operator, as in x\*"),
    "a call of a call": ("sin(x)(y)", "column 1: expected an operator before the parenthesis"),
    "a comprehension": ("[i for i in x]", "column 1: '\\[' is not allowed here"),
    "a generator": ("sin(x for x in y)", "column 4: not an arithmetic expression"),
    "a lambda": ("lambda: x", "column 7: ':' is not allowed here"),
    "a string": ('"x"', "column 1: '\"' is not allowed here"),
    "a string of primes": ("'x'", "column 1: unknown name 'x'"),
    "a condition": ("x if y else 1", "column 1: not an arithmetic expression"),
    "logic": ("x and y", "column 1: not an arithmetic expression"),
    "a truth value": ("x + True", "column 5: not an arithmetic expression"),
    "a star": ("sin(*x)", "column 5: not an arithmetic expression"),
    "two arguments": ("exp(x, y)", "column 6: ',' is not allowed here"),
    "no argument": ("exp()", "column 1: exp: expected one argument"),
    "a bare function": ("sin + x", r"column 1: sin is a function; expected sin\(...\)"),
    "a huge power": ("1 + x**100", f"column 8: expected an exponent between -{MAX_EXPONENT} and {MAX_EXPONENT}"),
    "a variable power": ("x**y", "column 4: expected a number as the exponent"),
    "powers of powers": ("9**9**9", "column 4: expected an exponent"),
    "no operator": ("2x", r"column 2: expected an operator after 2, as in 2\*x"),
    "a hexadecimal": ("0x10", "column 2: expected an operator after 0"),
    "an imaginary": ("1j*x", "column 2: expected an operator"),
    "a separator in a number": ("1_0*x", "column 2: expected an operator"),
    "an infinite number": ("x + 1e999", "column 5: the value is inf; expected a finite number"),
    "a division by zero": ("x + 1/(2 - 2)", "column 5: the value is undefined"),
    "a logarithm of -1": ("x*log(-1)", "column 3: the value is undefined"),
    "an overflow": ("exp(1e3) + x", "column 1: the value is undefined"),
    "half of it": ("x*(y + 1", "invalid syntax"),
    "a line break": ("x +\n y", "column 4: '\\\\n' is not allowed here"),
    "a comment": ("x # y", "column 3: '#' is not allowed"),
    "an assignment": ("(x := y)", "column 4: ':' is not allowed"),
    "too long": ("x+" * MAX_LENGTH + "x", f"expected at most {MAX_LENGTH} characters, found {2 * MAX_LENGTH + 1}"),
    "too deep": ("-" * (MAX_DEPTH + 5) + "x", f"expected at most {MAX_DEPTH} nested operations"),
    "wide letters before": ("α*x", "column 1: unknown name α"),
    "after wide letters": ("x*α + zz*2", "column 3: unknown name α"),
}


@pytest.mark.parametrize("fault", INVALID)
def test_invalid_expressions_raise_an_error_with_the_column(fault):
    text, message = INVALID[fault]
    with pytest.raises(ValueError, match=message):
        parse(text, VARIABLES)


@pytest.mark.parametrize("reserved", ["t", "pi", "e", "sin"])
def test_reserved_variable_names_are_rejected(reserved):
    with pytest.raises(ValueError, match=f"variable {reserved}: the name is reserved"):
        parse("x", ("x", reserved))


# arbitrary input

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
INPUTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


@settings(max_examples=500, deadline=None)
@given(text=INPUTS)
def test_arbitrary_text_gives_a_candidate_or_a_value_error(text):
    events = []
    recorders.append(events)
    try:
        parsed = candidate(text)
    except ValueError as error:
        assert "expected" in str(error)  # noqa: PT017
        return
    finally:
        recorders.remove(events)
        assert not events, f"{text!r} triggered {events}"
    assert parsed(STATES, TIMES).shape == (20,)
    np.testing.assert_array_equal(values(parsed.text), parsed(STATES, TIMES))


recorders: list[list[str]] = []
FORBIDDEN = ("exec", "import", "open", "os.", "subprocess.", "socket.", "ctypes.", "code.__new__")


def _record(event: str, arguments: tuple) -> None:
    # compiling to a syntax tree raises the event "compile", not "exec"; other threads may open files meanwhile
    if recorders and threading.current_thread() is threading.main_thread() and event.startswith(FORBIDDEN):
        recorders[-1].append(event)


sys.addaudithook(_record)


def test_the_audit_hook_records_execution():
    events = []
    recorders.append(events)
    try:
        eval("1 + 1")
    finally:
        recorders.remove(events)
    assert events == ["exec"]


# trees

NUMBERS = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0, -2.5, 1e-3, 123456.75])
LEAVES = st.one_of(
    NUMBERS.map(expr.number), st.sampled_from([*VARIABLES, "t"]).map(expr.name), st.just(expr.constant("pi"))
)


def _extended(inner: st.SearchStrategy) -> st.SearchStrategy:
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


TREES = st.recursive(LEAVES, _extended, max_leaves=8)


def evaluable(node: expr.Node) -> Candidate | None:
    try:
        return Candidate(node, VARIABLES)
    except ValueError:  # a constant part that is undefined, such as log(-1)
        return None


@settings(max_examples=300, deadline=None)
@given(node=TREES)
def test_printed_text_parses_to_the_same_tree(node):
    expression, text = evaluable(node), printers.text(node)
    if expression is None or len(text) > MAX_LENGTH:
        return
    try:
        again = candidate(text)
    except ValueError as error:
        assert "finite number" in str(error)  # noqa: PT017
        return
    np.testing.assert_array_equal(again(STATES, TIMES), expression(STATES, TIMES))
    assert printers.text(again.node) == text


@settings(max_examples=300, deadline=None)
@given(node=TREES, by=st.sampled_from([*VARIABLES, "t"]))
def test_derivatives_equal_those_of_torch(node, by):
    expression = evaluable(node)
    if expression is None:
        return
    x, time = (torch.from_numpy(a.copy()).requires_grad_() for a in (STATES, TIMES))
    result = expression(x, time)
    gradients = (
        torch.autograd.grad(result.sum(), (x, time), allow_unused=True) if result.requires_grad else (None, None)
    )
    gradient = gradients[1] if by == "t" else None if gradients[0] is None else gradients[0][:, VARIABLES.index(by)]
    expected = torch.zeros_like(time) if gradient is None else gradient
    derivative = expression.derivative(by)(x.detach(), time.detach())
    finite = result.isfinite() & expected.isfinite() & derivative.isfinite() & (expected.abs() < 1e8)
    torch.testing.assert_close(derivative[finite], expected[finite].detach(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "text", [*(f"{f}(0.7*x + 0.1*t)" for f in FUNCTIONS), "x^3", "x^-2", "x^0.5", "x*y/(1 + x^2)", "1/x"]
)
def test_derivatives_agree_with_finite_differences(text):
    expression, h = candidate(text), 1e-6
    for column, by in enumerate([*VARIABLES, "t"]):
        moved = [np.array(STATES) for _ in range(2)], [np.array(TIMES) for _ in range(2)]
        for sign, states, times in zip((1, -1), *moved, strict=True):
            where = times if by == "t" else states[:, column]
            where += sign * h
        up, down = (expression(states, times) for states, times in zip(*moved, strict=True))
        np.testing.assert_allclose(
            expression.derivative(by)(STATES, TIMES), (up - down) / (2 * h), rtol=1e-6, atol=1e-8
        )


# printing


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
def test_short_names_and_latex(text, short, latex):
    assert (candidate(text).name, candidate(text).latex) == (short, latex)


def test_rates_are_dotted_letters_or_d_over_dt_of_words():
    rates = [
        printers.rate(printers.latex(expr.name(name)), order) for name in ("x", "alpha", "hares") for order in (1, 2)
    ]
    assert rates == [
        *(r"\dot{x}", r"\ddot{x}", r"\dot{\alpha}", r"\ddot{\alpha}"),
        *(r"\mathrm{d}\,\mathrm{hares}/\mathrm{d}t", r"\mathrm{d}^2\,\mathrm{hares}/\mathrm{d}t^2"),
    ]
