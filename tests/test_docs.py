"""The documentation builds without a warning, its code runs, and its pages load nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.S)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=pytest.mark.exhaustive if page.stem == "studies" else [])  # a cluster
        for page in PAGES
        if blocks(page)
    ],
)
def test_the_code_runs(page, tmp_path):
    """As a file of its own, in a folder of its own."""
    file = tmp_path / f"{page.stem}_example.py"
    file.write_text("\n".join(blocks(page)))
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, file], cwd=tmp_path, env=known, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or "print(" not in file.read_text()


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The pages, built with every warning an error: a broken reference or link between pages is one."""
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
    made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    assert made.returncode == 0, made.stderr
    return folder


def test_every_page_is_built(built):
    assert all((built / page.with_suffix(".html").name).exists() for page in PAGES)
    assert "<math" in (built / "mathematics.html").read_text()


def test_no_page_loads_anything_from_elsewhere(built):
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]*src=\"(https?:)?//|<link[^>]*href=\"(https?:)?//|url\(['\"]?https?:"
    )
    for file in [*built.rglob("*.html"), *built.rglob("*.css")]:
        assert not loaded.search(file.read_text()), file.name


def test_what_is_called_public_is_there():
    """Each name that the page on the public interface gives for a package can be imported from it."""
    text = (ROOT / "docs" / "stability.md").read_text()
    rows = re.findall(r"^\| `(workbench[\w.]*)` \| (.*) \|$", text, re.M)
    assert len(rows) > 3
    code = []
    for package, names in rows:
        for name in re.findall(r"`([\w.]+)`", names):
            module, _, leaf = f"{package}.{name}".rpartition(".")
            code.append(f"from {module} import {leaf}")
    assert len(code) > 30
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
