"""What the database can hold."""

from __future__ import annotations

import pytest

from include.shared.texts import storable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("good", ["", "Щётка «М»", "😀", 5, None, {"a": ["б"]}, ("x",)])
def test_what_people_write_is_kept(good: object) -> None:
    assert storable(good)


@pytest.mark.parametrize("bad", ["\x00", "а\x00б", "\ud800", {"a": "\x00"}, {"\x00": 1}, [["\udfff"]], ("\x00",)])
def test_what_only_breaks_is_not(bad: object) -> None:
    assert not storable(bad)
