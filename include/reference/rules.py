"""What reference data must look like: codes, names, choices of a field, and which names processes rely on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from include.shared.errors import InvalidInput
from include.shared.texts import storable

LONGEST_TITLE, LONGEST_CODE, MOST_CHOICES = 200, 40, 100
_CODE = re.compile(rf"[a-z][a-z0-9_]{{0,{LONGEST_CODE - 1}}}")

STAGE_KINDS = {"open": "в работе", "won": "успех", "lost": "проигрыш"}
FIELD_KINDS = {
    "text": "текст", "bool": "да / нет", "date": "дата", "datetime": "дата и время", "money": "сумма",
    "choice": "выбор из списка", "person": "сотрудник", "file": "файл",
}  # fmt: skip


@dataclass(frozen=True)
class Mention:
    """A name that a process is written with; without a funnel it may mean any of them."""

    process: str
    text: str
    funnel: str | None = None


def title(value: str, what: str, field: str = "title") -> str:
    """Return a name with single spaces; InvalidInput for an empty or unfit one."""
    cleaned = " ".join((value or "").split())
    if not cleaned:
        msg = f"Заполните поле «{what}»."
        raise InvalidInput(msg, field)
    if len(cleaned) > LONGEST_TITLE or not storable(cleaned) or not cleaned.isprintable():
        msg = f"«{what}» – до {LONGEST_TITLE} знаков, без служебных."
        raise InvalidInput(msg, field)
    return cleaned


def code(value: str, field: str = "code") -> str:
    """Return a code: Latin small letters, digits and «_», a letter first."""
    cleaned = (value or "").strip()
    if _CODE.fullmatch(cleaned) is None:
        msg = f"Код – до {LONGEST_CODE} знаков: латинские строчные буквы, цифры и «_», первой стоит буква."
        raise InvalidInput(msg, field)
    return cleaned


def choices(lines: str) -> dict[str, str]:
    """Read choices written one per line as «code: title»."""
    found: dict[str, str] = {}
    for line in filter(None, (one.strip() for one in (lines or "").splitlines())):
        written, colon, name = line.partition(":")
        if not colon:
            msg = f"Строка «{line[:60]}»: напишите код, двоеточие и название, например «simple: простой»."
            raise InvalidInput(msg, "choices")
        key = code(written, "choices")
        if key in found:
            msg = f"Код «{key}» стоит дважды."
            raise InvalidInput(msg, "choices")
        found[key] = title(name, "Название варианта", "choices")
    if len(found) > MOST_CHOICES:
        msg = f"Вариантов – до {MOST_CHOICES}."
        raise InvalidInput(msg, "choices")
    return found


def in_lines(known: dict[str, str]) -> str:
    """Write choices as a person edits them."""
    return "\n".join(f"{key}: {name}" for key, name in known.items())


def who_names(mentions: Iterable[Mention], text: str, funnel: str | None = None) -> list[str]:
    """Return the processes written with this name; with ``funnel``, only those that may mean that direction."""
    return sorted(
        {
            one.process
            for one in mentions
            if one.text == text and (funnel is None or one.funnel is None or one.funnel == funnel)
        }
    )
