"""Consistency of pyproject.toml, environment.yml and constraints.txt."""

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# Build tools that pip does not install. The bound of cmake is that of CMakeLists.txt.
BUILD = {"cmake": ">=3.21", "cxx-compiler": "", "ninja": ""}
PIP_ONLY = ["axe-playwright-python"]
CONDA_NAMES = {"torch": "pytorch", "dask": "dask-core", "playwright": "playwright-python"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(*extras: str) -> dict[str, SpecifierSet]:
    """Map names to version bounds, for the base dependencies and these extras without references to the project."""
    lists = [project()["dependencies"], *(project()["optional-dependencies"][extra] for extra in extras)]
    parsed = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(r.name): r.specifier for r in parsed if r.name != project()["name"]}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_the_test_extra_includes_all_tested_extras():
    assert "smnn-workbench[app,cuda,docs,notebooks,studies]" in project()["optional-dependencies"]["test"]


def test_environment_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    lines = [line for line in environment["dependencies"] if isinstance(line, str) and line != "pip"]
    conda = {name: SpecifierSet(bounds) for name, _, bounds in (line.partition(" ") for line in lines)}
    expected = requirements("app", "docs", "notebooks", "studies", "test")
    by_pip = [f"{name} {expected.pop(name)}" for name in PIP_ONLY]
    expected = {CONDA_NAMES.get(name, name): bounds for name, bounds in expected.items()}
    expected |= {name: SpecifierSet(bounds) for name, bounds in BUILD.items()}
    assert conda == expected | {"python": SpecifierSet(project()["requires-python"])}
    assert (
        f"cmake_minimum_required(VERSION {BUILD['cmake'].removeprefix('>=')})" in (ROOT / "CMakeLists.txt").read_text()
    )
    assert environment["name"] == project()["name"]
    assert environment["dependencies"][-1] == {"pip": [*by_pip, "-e ."]}


def test_constraints_satisfy_pyproject():
    versions = pins()
    for name, bounds in requirements("app", "cuda", "docs", "notebooks", "studies", "test").items():
        assert name in versions, f"constraints.txt does not pin {name}"
        assert versions[name] in bounds, (
            f"constraints.txt pins {name} {versions[name]}, pyproject.toml requires {bounds}"
        )


def test_torch_and_panel_versions():
    assert pins()["torch"] == "2.13.0"
    assert requirements("app")["panel"] == SpecifierSet(">=1.9.4,<1.10")
