"""The README: its code runs and gives correct values, its links exist."""

import math
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_solver_example(capsys: pytest.CaptureFixture) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert len(blocks) == 1
    exec(compile(blocks[0], "README.md", "exec"), {})
    last, derivative = map(float, capsys.readouterr().out.split())
    t, a = 9.99, 0.05

    def u(a: float) -> float:
        w = math.sqrt(1 - a * a)
        return math.exp(-a * t) * (math.cos(w * t) + a / w * math.sin(w * t))

    assert last == pytest.approx(u(a), abs=1e-4)
    assert derivative == pytest.approx((u(a + 1e-4) - u(a - 1e-4)) / 4e-4, rel=1e-3)


PROSE = sorted(README.parent.glob("*.md")) + sorted((README.parent / "data").rglob("*.md"))


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page: Path) -> None:
    """Links within the project; the build of the documentation checks those of its pages."""
    text = page.read_text()
    headings = [heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.M)]
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([\w-]+))?\)", text):
        assert (page.parent / target).exists(), target
        assert target or anchor in headings, anchor
