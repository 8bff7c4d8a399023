"""An approver sees what has changed between two versions (★40)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.documents.difference import MOST_LINES, Comparison, compare

pytestmark = pytest.mark.unit
LINES = st.lists(st.sampled_from(["Цена 100 рублей", "Цена 200 рублей", "Срок", "Подписи", "а б в", ""]), max_size=30)


def told(found: Comparison) -> list[str]:
    marks = {"same": "{}", "removed": "[-{}-]", "added": "[+{}+]"}
    return ["".join(marks[part.kind].format(part.text) for part in one.parts) for one in found.changes]


def test_a_changed_word_is_marked_inside_its_paragraph() -> None:
    found = compare(["Предмет", "Цена 100 рублей", "Подписи"], ["Предмет", "Цена 200 рублей", "Подписи"])
    assert told(found) == ["Предмет", "Цена [-100 -][+200 +]рублей", "Подписи"]
    assert [one.kind for one in found.changes] == ["same", "changed", "same"]
    assert found.count == 1


def test_new_and_lost_paragraphs_are_told_whole() -> None:
    found = compare(["Предмет", "Неустойка 1 %", "Подписи"], ["Предмет", "Подписи", "Приложение"])
    assert told(found) == ["Предмет", "[-Неустойка 1 %-]", "Подписи", "[+Приложение+]"]


def test_the_same_text_has_no_changes_however_often_its_lines_repeat() -> None:
    lines = ["Итого", "шт."] * 500
    assert compare(lines, lines).count == 0
    assert compare(lines, [*lines[:300], "новое", *lines[300:]]).count == 1


def test_a_longer_text_says_that_its_end_was_not_compared() -> None:
    assert compare(["а"] * (MOST_LINES + 1), ["а"]).cut
    assert not compare(["а"] * MOST_LINES, ["а"]).cut


@given(LINES, LINES)
def test_both_texts_can_be_read_from_the_comparison(old: list[str], new: list[str]) -> None:
    changes = compare(old, new).changes

    def read(without: str) -> list[str]:
        kept = [
            "".join(part.text for part in one.parts if part.kind != without) for one in changes if one.kind != without
        ]
        return [one for one in kept if one]

    assert read("added") == [one for one in old if one]
    assert read("removed") == [one for one in new if one]


def test_two_texts_of_one_endless_paragraph_do_not_hang() -> None:
    begun = time.monotonic()
    compare(["слово " * 100_000], ["другое слово " * 100_000])
    compare([f"{one % 7} слово" for one in range(MOST_LINES)], [f"{one % 5} слово" for one in range(MOST_LINES)])
    assert time.monotonic() - begun < 10
