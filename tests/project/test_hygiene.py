"""Machine paths, registry hosts, pickle, bare asserts, unfinished code, notebook outputs and large files are absent."""

import ast
import json
import re
from pathlib import Path

import pytest

from tests.project.files import ROOT, tracked

MACHINE_PATH = re.compile(r"(?<![\w.:/~*-])/(?:root|work|home|tmp|Users|farm)(?:/|\b(?![\w-]))")
REGISTRY_HOST = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|anaconda\.org|registry\.npmjs\.org|deb\.debian\.org|download\.pytorch\.org|ghcr\.io)"
)
LOOSE_END = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
PICKLERS = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
PICKLING_CALLS = {"torch.save", "torch.load", "to_pickle", "read_pickle"}


def texts() -> dict[Path, str]:
    binary = {".png", ".gif", ".ico", ".nc", ".h5", ".npz", ".woff2"}
    return {path: path.read_text(encoding="utf-8") for path in tracked() if path.suffix not in binary}


def matching_lines(pattern: re.Pattern[str], text: str) -> list[str]:
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def pickling(source: str) -> list[str]:
    """Line and call of everything in `source` that pickles or could unpickle."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            lines += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in PICKLERS]
        elif isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            if call in PICKLING_CALLS or call.split(".")[-1] in PICKLING_CALLS:
                lines.append(f"{node.lineno}: {call}")
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    lines.append(f"{node.lineno}: {call} with allow_pickle")
    return lines


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_file_contains_a_machine_path_or_registry_host(pattern):
    wrong = [
        f"{path.relative_to(ROOT)}:{line}" for path, text in texts().items() for line in matching_lines(pattern, text)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_pickle_no_bare_assert_no_unfinished_code():
    wrong = []
    for path, text in texts().items():
        if path.suffix == ".py":
            in_package = path.is_relative_to(ROOT / "workbench")
            asserts = [node for node in ast.walk(ast.parse(text)) if in_package and isinstance(node, ast.Assert)]
            lines = [*matching_lines(LOOSE_END, text), *pickling(text), *(f"{node.lineno}: assert" for node in asserts)]
            wrong += [f"{path.relative_to(ROOT)}:{line}" for line in lines]
    assert not wrong, "\n".join(wrong)


def test_notebooks_contain_no_outputs():
    wrong = []
    for path in tracked():
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            wrong += [path.name for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert not wrong, f"run `make notebooks`, which clears the outputs of {sorted(set(wrong))}"


def test_no_large_files():
    large = [str(path.relative_to(ROOT)) for path in tracked() if path.stat().st_size > 1e6]
    assert not large, f"over 1 MB: {large}"


@pytest.mark.parametrize("top", ["root", "work", "home", "tmp"])
def test_a_machine_path_is_detected(top):
    path = f"/{top}/here"
    assert matching_lines(MACHINE_PATH, f'open("{path}")')
    assert matching_lines(MACHINE_PATH, f"cd {path[:-5]} && make")
    assert not matching_lines(MACHINE_PATH, f"https://example.org{path} ./a{path} ..{path}")


@pytest.mark.parametrize(
    "source",
    [
        "import pickle as p",
        "from cloudpickle import dumps",
        "torch.save(x, f)",
        "np.load(f, allow_pickle=True)",
        "frame.to_pickle(f)",
    ],
)
def test_pickle_is_detected(source):
    assert pickling(source)
    assert not pickling("np.load(f, allow_pickle=False)")
