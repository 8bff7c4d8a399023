"""Every row of every story, on the real scheduler and triggerer with the virtual clock."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import START, STORIES
from tests.scenarios.table import Row, Seen, check

pytestmark = pytest.mark.airflow

ROWS = [
    pytest.param(one.name, number, row, id=f"{one.lines}: {one.name}, {row.at}, строка {number + 1}")
    for one in STORIES
    for number, row in enumerate(one.rows)
]


@pytest.mark.parametrize(("name", "number", "row"), ROWS)
def test_row(told_stories: dict[tuple[str, int], Seen], name: str, number: int, row: Row) -> None:
    check(row, told_stories[name, number], START)
