"""What every solver test shares."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small lose more by waking threads than they win, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`native` refuses central rows (test_native.py): such combinations are no tests, rather than skipped ones."""

    def refused(item: pytest.Item) -> bool:
        values = getattr(item, "callspec", None)
        return values is not None and values.params.get("backend") == "native" and values.params.get("central") is True

    none = [item for item in items if refused(item)]
    if none:
        config.hook.pytest_deselected(items=none)
        items[:] = [item for item in items if not refused(item)]
