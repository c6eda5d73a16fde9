"""What must not stand in the tree: machine paths, registry hosts, pickle, bare asserts, loose ends, outputs."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MACHINE_PATH = re.compile(r"(?<![\w.:/~*-])/(?:root|work|home|tmp|Users|farm)(?:/|\b(?![\w-]))")
REGISTRY_HOST = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|anaconda\.org|registry\.npmjs\.org|deb\.debian\.org|download\.pytorch\.org|ghcr\.io)"
)
LOOSE_END = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
PICKLERS = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
PICKLING_CALLS = {"torch.save", "torch.load", "to_pickle", "read_pickle"}


def tracked() -> list[Path]:
    """The files of the project: those git knows and those it would take."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(path for name in run.stdout.split("\0") if name and (path := ROOT / name).is_file())


def texts() -> dict[Path, str]:
    binary = {".png", ".gif", ".ico", ".nc", ".h5", ".npz", ".woff2"}
    return {path: path.read_text(encoding="utf-8") for path in tracked() if path.suffix not in binary}


def found(pattern: re.Pattern[str], text: str) -> list[str]:
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def pickling(source: str) -> list[str]:
    """Where `source` pickles or could unpickle, one line each."""
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
def test_no_file_names_a_machine_or_a_registry(pattern):
    wrong = [f"{path.relative_to(ROOT)}:{line}" for path, text in texts().items() for line in found(pattern, text)]
    assert not wrong, "\n".join(wrong)


def test_code_is_clean():
    wrong = []
    for path, text in texts().items():
        if path.suffix == ".py":
            ours = path.is_relative_to(ROOT / "workbench")
            asserts = [node for node in ast.walk(ast.parse(text)) if ours and isinstance(node, ast.Assert)]
            lines = [*found(LOOSE_END, text), *pickling(text), *(f"{node.lineno}: assert" for node in asserts)]
            wrong += [f"{path.relative_to(ROOT)}:{line}" for line in lines]
    assert not wrong, "\n".join(wrong)


def test_notebooks_carry_no_outputs():
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
def test_a_machine_path_is_found(top):
    path = f"/{top}/here"
    assert found(MACHINE_PATH, f'open("{path}")')
    assert found(MACHINE_PATH, f"cd {path[:-5]} && make")
    assert not found(MACHINE_PATH, f"https://example.org{path} ./a{path} ..{path}")


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
def test_pickle_is_found(source):
    assert pickling(source)
    assert not pickling("np.load(f, allow_pickle=False)")
