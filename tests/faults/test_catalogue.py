"""Every fault of the catalogue strikes once while cases of every process move; each case ends as its table says."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.crowd import Crowd
from tests.faults.faults import CATALOGUE, Frozen, HalfOpenListeners
from tests.faults.office import FaultOffice

pytestmark = pytest.mark.airflow

FROZEN_FOR = 6.0  # the whole minute of a frozen program is for make chaos


@pytest.mark.parametrize("name", CATALOGUE)
def test_nothing_is_lost_or_doubled(office: FaultOffice, crowd: Crowd, name: str) -> None:
    fault = CATALOGUE[name](rng=Random(name))
    because = fault.skipped(office)
    if because is not None:
        pytest.skip(because)
    if isinstance(fault, (Frozen, HalfOpenListeners)):
        fault.lasts = FROZEN_FOR
    crowd.gather()
    crowd.endure(fault)
    crowd.pass_time()
    assert crowd.wrong == []


def test_every_case_ends_as_its_table_says(crowd: Crowd) -> None:
    crowd.walk_to_the_end()
    assert len(crowd.ended) >= crowd.size
