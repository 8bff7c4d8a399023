"""Full text search: how titles are indexed and how what a person typed becomes a query.

PostgreSQL's own search, no extension: Russian word forms («насосы» finds «насоса») beside the words as written, each
found by its beginning. Signs that its parser reads as parts of numbers, files or addresses become spaces first.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, Index, func, literal, text
from sqlalchemy.dialects.postgresql import TSQUERY

SIGNS = "-./:@_+&=~?#<>;,\\«»"
FOLDED = str.maketrans(SIGNS + "ёЁ", " " * len(SIGNS) + "еЕ")
SHORTEST, MOST_WORDS, LONGEST_WORD = 2, 8, 50
HIT, END = "\ue000", "\ue001"  # private signs: no text has them, so they mark what was found
# plain text, never parameters: the expression of the index and that of the question must be the same
_RUSSIAN, _SIMPLE = text("'russian'::regconfig"), text("'simple'::regconfig")
_SIGNS, _SPACES = text("'-./:@_+&=~?#<>;,\\«»ёЁ'"), text("'                   еЕ'")
_WORD = re.compile(r"[^\W_]+")


def words_of(query: str) -> list[str]:
    """Return the words of a query as the index knows them."""
    return [one[:LONGEST_WORD] for one in _WORD.findall(query.translate(FOLDED))][:MOST_WORDS]


def number_of(query: str) -> int | None:
    """Return the number that a query is («№ 42», «42»), or None."""
    digits = query.strip().removeprefix("№").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


def vector(column: Any) -> ColumnElement[Any]:
    """Return the indexed form of a text column; the same expression stands in the index and in the question."""
    folded = func.translate(column, _SIGNS, _SPACES)
    forms = func.to_tsvector(_RUSSIAN, folded)
    return forms.op("||")(func.to_tsvector(_SIMPLE, folded))


def search_index(name: str, column: Any) -> Index:
    """Return the index that makes ``found_in`` quick."""
    return Index(name, vector(column), postgresql_using="gin")


def typed(words: list[str]) -> ColumnElement[Any]:
    """Return the question: every word, in any form or as the beginning of a longer one."""
    parts = [
        func.to_tsquery("russian", prefix, type_=TSQUERY).op("||")(func.to_tsquery("simple", prefix, type_=TSQUERY))
        for prefix in (literal(f"'{one}':*") for one in words)
    ]
    return reduce(lambda one, other: one.self_group().op("&&")(other.self_group()), parts)


def found_in(column: Any, words: list[str]) -> ColumnElement[bool]:
    """Return the condition that the text has all these words."""
    return vector(column).self_group().bool_op("@@")(typed(words))


def marked(column: Any, words: list[str]) -> ColumnElement[str]:
    """Return the text with what was found between ``HIT`` and ``END``."""
    options = f"HighlightAll=true, StartSel={HIT}, StopSel={END}"
    return func.ts_headline(_RUSSIAN, column, typed(words), options)
