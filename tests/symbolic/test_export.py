"""Exported equations give the same derivatives as the library."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
import sympy

from workbench.cli import main
from workbench.cli.options import EXPORTS
from workbench.symbolic import export
from workbench.symbolic.library import Library, LibrarySpec

MODELS = {
    "polynomials": (LibrarySpec(degree=2), ("x", "y", "z")),
    "many kinds": (
        LibrarySpec(
            degree=3,
            frequencies=(1.0, 2.5),
            rates=(-0.5,),
            offsets=(2.0,),
            expressions=("atan(x)*e", "abs(y)"),
            time=True,
        ),
        ("x", "y"),
    ),
    "second order": (LibrarySpec(degree=3, frequencies=(1.0,), order=2), ("angle",)),
    "odd names": (LibrarySpec(degree=2), ("Temp (C)", "lambda", "2nd")),
    "one variable": (LibrarySpec(degree=2), ("u",)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def equations(name: str, seed: int = 0) -> tuple[Library, np.ndarray]:
    """A random half of the terms, with coefficients of different magnitudes."""
    spec, variables = MODELS[name]
    library, random = spec.library(variables), np.random.default_rng(seed)
    shape = (len(library), len(variables))
    sizes = random.standard_normal(shape) * 10.0 ** random.integers(-3, 3, shape)
    return library, np.where(random.random(shape) < 0.5, sizes, 0.0)


def states(library: Library) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.uniform(0.0, 5.0, 20), random.uniform(-1.5, 1.5, (20, len(library.inputs)))


def assert_same(library: Library, coefficients: np.ndarray, rates: Callable[[float, np.ndarray], np.ndarray]) -> None:
    times, points = states(library)
    expected = library.right_hand_side(coefficients)
    for time, point in zip(times, points, strict=True):
        np.testing.assert_allclose(rates(time, point), expected(time, point), rtol=1e-12, atol=1e-12)


@every_model
def test_exported_python_runs(name):
    library, coefficients = equations(name)
    module: dict[str, object] = {}
    exec(compile(export.python(library, coefficients), "exported", "exec"), module)
    assert_same(library, coefficients, module["rates"])


@every_model
def test_sympy_parses_the_export(name):
    library, coefficients = equations(name)
    names = [sympy.Symbol(word) for word in export.code_names(library).values()]
    lines = export.sympy(library, coefficients).splitlines()
    symbols = {symbol.name: symbol for symbol in names} | {"t": sympy.Symbol("t")}
    rates = [sympy.sympify(line.split(" = ", 1)[1], locals=symbols) for line in lines]
    function = sympy.lambdify([symbols["t"], *names], rates, "numpy")

    def called(time: float, state: np.ndarray) -> np.ndarray:
        found = np.array(function(time, *state), dtype=float)
        return found if library.order == 1 else np.concatenate([state[len(found) :], found])

    assert_same(library, coefficients, called)


@pytest.mark.parametrize("name", sorted({*MODELS} - {"odd names"}))  # not valid in expressions
def test_json_round_trip(name):
    library, coefficients = equations(name)
    again, found = export.from_json(export.to_json(library, coefficients))
    assert (again.variables, again.order) == (library.variables, library.order)
    assert_same(library, coefficients, again.right_hand_side(found))


@every_model
def test_latex_contains_every_term(name):
    library, coefficients = equations(name)
    rows = export.latex(library, coefficients, digits=3).strip().splitlines()[1:-1]
    assert len(rows) == len(library.variables)
    for row, column in zip(rows, coefficients.T, strict=True):
        right = row.split("&= ")[1].removesuffix(r" \\")
        expected = [(f"{value:.3g}", name) for value, name in zip(column.tolist(), library.latex, strict=True) if value]
        for size, term in expected:
            shown = size.replace("-", "- ") if size.startswith("-") and not right.startswith(size) else size
            assert shown + ("" if term == "1" else rf"\,{term}") in right
        assert right.count("{") == right.count("}")


def test_latex_of_polynomials_evaluates_to_the_same_values():
    """Polynomials need only powers and thin spaces to be translated to Python."""
    library, coefficients = equations("polynomials")
    rows = export.latex(library, coefficients, digits=17).strip().splitlines()[1:-1]
    python = [
        re.sub(r"\^\{(\d)\}", r"**\1", row.split("&= ")[1].removesuffix(r" \\")).replace(r"\,", "*") for row in rows
    ]
    assert_same(
        library, coefficients, lambda time, u: [eval(text, dict(zip("xyz", u, strict=True))) for text in python]
    )


def test_equations_without_terms():
    library = LibrarySpec(degree=1).library(("x",))
    zeros = np.zeros((2, 1))
    assert export.sympy(library, zeros) == "x_dot = 0\n"
    assert r"\dot{x} &= 0" in export.latex(library, zeros)
    again, found = export.from_json(export.to_json(library, zeros))
    assert again.variables == ("x",)
    assert not found.any()


@pytest.mark.parametrize(
    "change,message",
    [
        ("{", "expected JSON"),
        ("[]", "expected the format 'equations/1', found list"),
        ({"format": "2"}, "expected the format 'equations/1', found '2'"),
        ({"equations": {}}, "a list of terms for each"),
        ({"equations": {"x": [{"coefficient": "much", "term": "x"}]}}, "could not convert"),
        ({"equations": {"x": [{"coefficient": 1, "term": "__import__('os')"}]}}, "expression"),
        (
            {"equations": {"x": [{"coefficient": 1, "term": "x + x"}, {"coefficient": 1, "term": "x"}]}},
            "distinct terms",
        ),
    ],
)
def test_invalid_json_raises_an_error(change, message):
    library, coefficients = LibrarySpec(degree=1).library(("x",)), np.ones((2, 1))
    text = change if isinstance(change, str) else json.dumps(json.loads(export.to_json(library, coefficients)) | change)
    with pytest.raises(ValueError, match=re.escape(message)):
        export.from_json(text)


@pytest.fixture(scope="module")
def lorenz_run(tmp_path_factory):
    """The run file of a trained Lorenz experiment."""
    run = tmp_path_factory.mktemp("lorenz") / "run.nc"
    assert main.main(["train", "lorenz", "--points", "500", "--output", str(run)]) == 0
    return run


@pytest.mark.parametrize("form", EXPORTS)
def test_the_export_command_writes_every_format(form, lorenz_run, tmp_path, capsys):
    run, output = lorenz_run, tmp_path / "equations"
    assert main.main(["export", str(run), "--as", form, "--output", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main.main(["export", str(run), "--as", form]) == 0
    assert capsys.readouterr().out == text
    assert set(export.WRITERS) == set(EXPORTS)


def test_the_export_command_fails_without_equations(tmp_path, capsys):
    run = tmp_path / "run.nc"
    assert main.main(["train", "linear", "--points", "20", "--output", str(run)]) == 0
    assert main.main(["export", str(run)]) == 1
    assert "has no equations in this mode" in capsys.readouterr().err
