"""Size of files and folders, and uniqueness of class names."""

import ast
from collections import Counter, defaultdict

from tests.project.files import ROOT, tracked

MAX_LINES = 350
MAX_FILES = 15
SOURCES = (".py", ".pyi", ".hpp", ".cpp")


def sources():
    return [path for path in tracked() if path.suffix in SOURCES]


def test_files_are_short():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    long = {name: length for name, length in lengths.items() if length > MAX_LINES}
    assert not long, f"more than {MAX_LINES} lines: {long}"


def test_folders_are_small():
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in sources())
    large = {folder: count for folder, count in counts.items() if count > MAX_FILES}
    assert not large, f"more than {MAX_FILES} files: {large}"


def test_class_names_are_unique():
    places = defaultdict(list)
    for path in (ROOT / "workbench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))
    shared = {name: files for name, files in places.items() if len(files) > 1}
    assert not shared, f"classes of the same name: {shared}"
