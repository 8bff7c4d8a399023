"""Numbers of documents are compared after look-alike letters are folded (579 of 579 numbers of one 1C are Cyrillic)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.shared.numbers import number_key

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ВК01276", "BK01276    "), ("№ 15", "15"), ("N15", "15"), ("No. 15", "# 15"), ("УТ – 15", "ут-15"),
        ("15.", "15"), ("ХАМ-1", "XAM-1"), ("А\u00a01", "A 1"), ("Ё-1", "Е-1"), ("15 / 2", "15/2"),
    ],
)  # fmt: skip
def test_the_same_number(one: str, other: str) -> None:
    assert number_key(one) == number_key(other) != ""


@pytest.mark.parametrize(("one", "other"), [("15", "015"), ("УТ-15", "15"), ("15/1", "15"), ("Р-1", "П-1")])
def test_different_numbers(one: str, other: str) -> None:
    assert number_key(one) != number_key(other)


@pytest.mark.parametrize("empty", [None, "", "  ", "№", "\u200b"])
def test_no_number(empty: str | None) -> None:
    assert number_key(empty) == ""


@given(st.text(max_size=30))
def test_the_key_of_a_key_is_the_key(text: str) -> None:
    assert number_key(number_key(text)) == number_key(text)
