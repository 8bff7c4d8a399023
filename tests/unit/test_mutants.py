"""The breaks of ``make mutants`` fit the present code: each place and each test that must notice is there."""

from __future__ import annotations

import pytest

from include.installation.places import PROJECT
from tests.mutants.breaks import BREAKS, Break

pytestmark = pytest.mark.unit


def test_there_are_enough_and_each_has_its_name() -> None:
    names = [one.name for one in BREAKS]
    assert len(names) == len(set(names)) >= 12


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_a_break_has_its_place_and_its_test(one: Break) -> None:
    text = (PROJECT / one.file).read_text(encoding="utf-8")
    assert one.planted_in(text) != text
    file, _, name = one.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (PROJECT / file).read_text(encoding="utf-8")
