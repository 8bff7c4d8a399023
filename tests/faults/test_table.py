"""The table of live cases walks through every process there is, and the catalogue has every fault once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.courses import COURSES
from tests.faults.faults import CATALOGUE

pytestmark = pytest.mark.unit

DAGS = Path(__file__).parents[2] / "dags"
DECLARED = re.compile(r'^with \w+Process\(\s*"([a-z0-9_]+)"|^\s+dag_id="([a-z0-9_]+)"', re.MULTILINE)


def declared() -> set[str]:
    """Every process that a file in dags/ declares."""
    found = [pair for path in DAGS.rglob("*.py") for pair in DECLARED.findall(path.read_text(encoding="utf-8"))]
    return {process or dag for process, dag in found}


def test_every_file_declares_a_process() -> None:
    files = [path for path in DAGS.rglob("*.py") if path.name != "__init__.py"]
    assert len(declared()) >= len(files)


def test_every_process_has_a_live_case() -> None:
    walked = {process for course in COURSES for process in course.processes}
    assert walked == declared()


def test_every_case_says_how_its_processes_end() -> None:
    named = {process for course in COURSES for process in course.ends.processes}
    without_end = {
        "client_request",
        "debt_nightly",
        "exchange_1c_nightly",
        "exchange_1c_orders",
        "reconciliation_nightly",
        "retention_nightly",
    }  # judged by their deal or their run
    assert {process for course in COURSES for process in course.processes} - named == without_end


def test_faults_are_named_once_and_in_russian() -> None:
    assert len({one.title for one in CATALOGUE.values()}) == len(CATALOGUE)
    assert all(re.search("[а-я]", one.title) for one in CATALOGUE.values())
