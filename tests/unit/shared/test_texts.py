"""What the database can hold."""

from __future__ import annotations

import pytest

from include.shared.texts import storable, visible

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("good", ["", "Щётка «М»", "😀", 5, None, {"a": ["б"]}, ("x",)])
def test_what_people_write_is_kept(good: object) -> None:
    assert storable(good)


@pytest.mark.parametrize("bad", ["\x00", "а\x00б", "\ud800", {"a": "\x00"}, {"\x00": 1}, [["\udfff"]], ("\x00",)])
def test_what_only_breaks_is_not(bad: object) -> None:
    assert not storable(bad)


@pytest.mark.parametrize("seen", ["Щётка", " . ", "\u200b7", "😀", "✅", "й", "—", "☺\ufe0f"])
def test_a_sign_that_can_be_seen_is_text(seen: str) -> None:
    assert visible(seen)


INVISIBLE = ["", "  \t\n", "\u200b", "\u00a0\u2003", "\u2060\ufeff", "\u3164", "\u115f\u1160", "\uffa0", "\u2800",
             "\x00", "\u200d\ufe0f", "\u034f", "\ue000"]  # fmt: skip


@pytest.mark.parametrize("unseen", INVISIBLE)
def test_signs_that_nobody_sees_are_no_text(unseen: str) -> None:
    assert not visible(unseen)
