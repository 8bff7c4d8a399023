"""One Airflow for all scenarios: it starts once, everything else shares it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.installation.installation import Installation, free_port
from tests.scenarios import stories, stories_selling
from tests.scenarios.office import Office
from tests.scenarios.table import Seen, run_all

START = datetime(2026, 12, 7, 6, 0, tzinfo=UTC)  # a Monday, 09:00 in Moscow

STORIES = [*stories.STORIES, *stories_selling.STORIES]


@pytest.fixture(scope="session")
def office() -> Iterator[Office]:
    """A running office with a small company and the probe funnel."""
    home = Path(tempfile.mkdtemp(prefix="backoffice-scenarios-"))
    installation = Installation(home, port=free_port(), clock="virtual", extra_dags=Path(__file__).parent / "processes")
    try:
        installation.prepare()
        installation.start()
        installation.wait_healthy(timeout=300)
        made = Office(installation)
        made.settle()
        yield made
    finally:
        installation.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def told_stories(office: Office) -> dict[tuple[str, int], Seen]:
    """What was seen after each row of each story, all walked together."""
    return run_all(office, STORIES, START)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The copy of the office last: its programs stop meanwhile."""
    items.sort(key=lambda item: "test_restore" in item.nodeid)
