"""The documentation builds without warnings, its code runs, and its pages load no external resources."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.discovery import report
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.S)


@pytest.mark.parametrize("page", report.PAGES)
def test_tables_are_those_of_the_results(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "<!-- table " in text
    assert report.updated(text) == text, "run benchmarks/discovery/report.py"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=pytest.mark.exhaustive if page.stem == "studies" else [])  # a cluster
        for page in PAGES
        if blocks(page)
    ],
)
def test_the_code_runs(page, tmp_path):
    """The code blocks of a page run as one script in an empty folder."""
    file = tmp_path / f"{page.stem}_example.py"
    file.write_text("\n".join(blocks(page)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, file], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout or "print(" not in file.read_text()


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Folder of the built pages; warnings, including those of broken references and links, are errors."""
    folder = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(ROOT / "docs"),
        str(folder),
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    return folder


def test_every_page_is_built(built):
    assert all((built / page.with_suffix(".html").name).exists() for page in PAGES)
    assert "<math" in (built / "mathematics.html").read_text()


def test_no_page_loads_external_resources(built):
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]*src=\"(https?:)?//|<link[^>]*href=\"(https?:)?//|url\(['\"]?https?:"
    )
    for file in [*built.rglob("*.html"), *built.rglob("*.css")]:
        assert not loaded.search(file.read_text()), file.name


def test_public_names_exist():
    """Every name on the page of the public interface can be imported from its package."""
    text = (ROOT / "docs" / "stability.md").read_text()
    rows = re.findall(r"^\| `(workbench[\w.]*)` \| (.*) \|$", text, re.M)
    assert len(rows) > 3
    code = []
    for package, names in rows:
        for name in re.findall(r"`([\w.]+)`", names):
            module, _, leaf = f"{package}.{name}".rpartition(".")
            code.append(f"from {module} import {leaf}")
    assert len(code) > 30
    result = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
