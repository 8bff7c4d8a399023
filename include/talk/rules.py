"""Who is called in a comment: «@Иванова», «@Иванова А. П.» or «@login»; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from include.shared.errors import InvalidInput
from include.shared.names import search_key

LONGEST_TEXT = 4000
MOST_MENTIONS = 20
_CALL = re.compile(r"(?<!\w)@(?=\w)")
_INITIALS = re.compile(r"\s+(\w)\.?(?:\s*(\w)\.?)?(?!\w)")


@dataclass(frozen=True)
class Callee:
    """A person who can be called."""

    person_id: int
    last_name: str
    initials: str  # «АП»
    login: str | None = None

    @property
    def short_name(self) -> str:
        """Return «Иванова А. П.»."""
        return " ".join([self.last_name, *(f"{one}." for one in self.initials)])


def mentioned(text: str, people: Sequence[Callee], chosen: Iterable[int] = (), author: int | None = None) -> list[int]:
    """Return who is called in a text; the longest name counts, and who was chosen from the list settles namesakes.

    InvalidInput names the namesakes among whom the author has to choose. A word behind «@» that is nobody's name is
    only a word.
    """
    found = list(dict.fromkeys(chosen))
    others = [one for one in people if one.person_id != author]
    for call in _CALL.finditer(text):
        fitting = _called(text[call.end() :], others)
        if not fitting or any(one.person_id in found for one in fitting):
            continue
        if len(fitting) > 1:
            raise InvalidInput(_namesakes(fitting), "text")
        found.append(fitting[0].person_id)
    if len(found) > MOST_MENTIONS:
        msg = f"В одном сообщении можно позвать до {MOST_MENTIONS} человек."
        raise InvalidInput(msg, "text")
    return found


def _called(rest: str, people: Sequence[Callee]) -> list[Callee]:
    """Return those whose name stands at the beginning, by the longest of the names that do."""
    logins = [one for one in people if one.login and _begins(rest, one.login)]
    names = [one for one in people if _begins(rest, one.last_name)]
    longest = max((len(one.last_name) for one in names), default=0)
    names = [one for one in names if len(one.last_name) == longest]
    longest_login = max((len(one.login or "") for one in logins), default=0)
    if longest_login > longest:
        return [one for one in logins if len(one.login or "") == longest_login]
    written = _INITIALS.match(rest[longest:]) if names else None
    if written is not None:
        initials = search_key("".join(part for part in written.groups() if part))
        exact = [one for one in names if search_key(one.initials).startswith(initials)]
        return exact or names
    return names


def _begins(rest: str, name: str) -> bool:
    """Say whether the name stands at the beginning as a whole word; case and ё do not matter."""
    here, beyond = rest[: len(name)], rest[len(name) : len(name) + 1]
    return here.lower().replace("ё", "е") == name.lower().replace("ё", "е") and not (beyond.isalnum() or beyond == "_")


def _namesakes(people: Iterable[Callee]) -> str:
    known = sorted(people, key=lambda one: (one.short_name, one.person_id))
    said = "; ".join(one.short_name + (f" (@{one.login})" if one.login else "") for one in known)
    return f"Кого вы зовёте: {said}? Напишите с инициалами или логин."
