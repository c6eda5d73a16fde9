"""Words to avoid in prose: docstrings, comments, strings and Markdown."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.files import ROOT, tracked

PHRASES = (
    r"told",
    r"foretells?",
    r"foretold",
    r"left over",
    r"put right",
    r"what is none",
    r"stands beside",
    r"so many",
)
GAP = r"[\s#/*]+"  # also across lines of a comment
PATTERN = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b".replace(" ", GAP), re.IGNORECASE)
EXCLUDED = ("benchmarks/results/", "CHANGELOG.md", "tests/project/test_prose.py")
CXX_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def prose(text: str, suffix: str) -> str:
    """Replace everything but prose by blanks; line numbers do not change."""
    if suffix == ".md":
        return text
    spans = _python_spans(text) if suffix == ".py" else (match.span() for match in CXX_COMMENT.finditer(text))
    blank = list(re.sub(r"[^\n]", " ", text))
    for start, stop in spans:
        blank[start:stop] = text[start:stop]
    return "".join(blank)


def _python_spans(text: str) -> Iterator[tuple[int, int]]:
    """Character spans of strings and comments."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if tokenize.tok_name[token.type] in ("STRING", "COMMENT", "FSTRING_MIDDLE"):
            (line, column), (last, end) = token.start, token.end
            yield starts[line - 1] + column, starts[last - 1] + end


def hits(text: str, suffix: str) -> list[str]:
    """Line number and phrase of every match."""
    text = prose(text, suffix)
    return [f"{text.count(chr(10), 0, m.start()) + 1}: {' '.join(m[0].split())}" for m in PATTERN.finditer(text)]


def files() -> list[Path]:
    names = {path: path.relative_to(ROOT).as_posix() for path in tracked()}
    return [
        path
        for path, name in names.items()
        if path.suffix in (".py", ".md", ".hpp", ".cpp") and not name.startswith(EXCLUDED)
    ]


def test_prose_uses_plain_words():
    found = [
        f"{path.relative_to(ROOT)}:{hit}"
        for path in files()
        for hit in hits(path.read_text(encoding="utf-8"), path.suffix)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text, suffix",
    [
        ('"""A level told from data."""', ".py"),
        ("x = 1  # what is left\n# over", ".py"),
        ('f"{x} foretold"', ".py"),
        ("It stands\nbeside.", ".md"),
        ("int x; // so many", ".cpp"),
        ("/* put\n * right */", ".hpp"),
    ],
)
def test_a_phrase_is_found(text, suffix):
    assert hits(text, suffix)


@pytest.mark.parametrize("text, suffix", [("told = 1", ".py"), ("bool told;", ".cpp"), ("retold", ".md")])
def test_code_and_other_words_pass(text, suffix):
    assert not hits(text, suffix)
