"""One Airflow with two schedulers and two triggerers for all faults, and the cases that live in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

import pytest

from tests.faults.crowd import Crowd
from tests.faults.office import FaultOffice, open_office

START = datetime(2026, 12, 7, 6, 0, tzinfo=UTC)  # a Monday, 09:00 in Moscow
REPLICAS = "scheduler=2,engine=2,triggerer=2"
SEED, CASES = 4, 18


@pytest.fixture(scope="session")
def office() -> Iterator[FaultOffice]:
    """A running office with a small company."""
    with open_office(os.environ.get("REPLICAS") or REPLICAS) as made:
        made.advance(START)
        yield made


@pytest.fixture(scope="session")
def crowd(office: FaultOffice) -> Crowd:
    """Cases of every process, each kind standing at several of its waiting places."""
    crowd = Crowd(office, Random(SEED), CASES)
    crowd.spread()
    return crowd
