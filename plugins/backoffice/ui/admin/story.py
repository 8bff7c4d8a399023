"""The history of a row in words: who, when, what, from what to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from backoffice.ui import format as written
from include.reference.registers import department_names, history
from include.reference.rules import FIELD_KINDS, STAGE_KINDS
from include.staff.admin import ACCESSES
from include.staff.services import names
from include.workplace.words import ACTORS

WORDS = {
    "name": "название", "title": "название", "parent": "входит в", "head": "руководитель", "post": "должность",
    "department": "отдел", "department_id": "отдел", "last_name": "фамилия", "first_name": "имя",
    "middle_name": "отчество", "email": "почта", "time_zone": "часовой пояс", "active": "действует",
    "login": "имя входа", "access": "доступ", "password_changed": "пароль сменён", "role": "роль",
    "person": "сотрудник", "substitute": "замещает", "begins_at": "с", "ends_at": "до", "cancelled": "отменено",
    "position": "место", "kind": "вид", "options": "варианты", "funnel_code": "направление", "working": "рабочий",
    "stages": "стадии", "holders": "кто держал",
}  # fmt: skip
PEOPLE = {"head", "person", "substitute", "holders"}
DEPARTMENTS = {"parent", "department", "department_id"}
MOMENTS = {"begins_at", "ends_at"}
KEYS = {"code", "day"}  # they name the row itself
CODES = {**ACCESSES, **STAGE_KINDS, **FIELD_KINDS}


@dataclass(frozen=True)
class Line:
    """One line of the history, ready to be shown."""

    at: datetime
    who: str
    text: str
    reason: str | None
    changes: list[tuple[str, str, str]]


def story(session: Session, entity: str, key: int | str, kind: str | None = None) -> list[Line]:
    """Return the newest history of a row; ``kind`` is the kind of a setting, whose value goes under its code."""
    told = history(session, entity, key)
    people = {one.who_id for one in told if one.who_id is not None}
    for one in told:
        people |= {number for facts in (one.before, one.after) for number in _people(facts)}
    known, departments = names(session, people), department_names(session)
    words = Words(known, departments, key, kind)
    return [
        Line(
            one.at,
            known.get(one.who_id or 0) or ACTORS.get(one.who_kind, one.who_kind),
            one.text,
            one.reason,
            words.changes(one.before, one.after),
        )
        for one in told
    ]


@dataclass(frozen=True)
class Words:
    """What is needed to tell stored facts in words."""

    people: Mapping[int, str]
    departments: Mapping[int, str]
    key: int | str
    kind: str | None

    def changes(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Return (what, from, to) of what differs."""
        return [
            ("значение" if name == self.key else WORDS.get(name, name), self.told(name, before.get(name)),
             self.told(name, after.get(name)))
            for name in {**before, **after}
            if name not in KEYS and before.get(name) != after.get(name)
        ]  # fmt: skip

    def told(self, name: str, value: Any) -> str:
        """Return one stored value in words."""
        if value is None or value == "":
            return "—"
        if name == self.key and self.kind is not None:
            return written.setting_value(value, self.kind)
        if isinstance(value, bool):
            return "да" if value else "нет"
        if isinstance(value, list):
            return ", ".join(self.told(name, one) for one in value)
        if isinstance(value, dict):
            return ", ".join(str(one) for one in (value.get("choices") or value).values()) or "—"
        if name in PEOPLE and isinstance(value, int):
            return self.people.get(value, f"№ {value}")
        if name in DEPARTMENTS and isinstance(value, int):
            return self.departments.get(value, f"№ {value}")
        if name in MOMENTS:
            return written.moment(value, written.OFFICE_ZONE)
        return CODES.get(value, str(value)) if name in ("access", "kind") else str(value)


def _people(facts: Mapping[str, Any]) -> set[int]:
    found: set[int] = set()
    for name in PEOPLE & facts.keys():
        value = facts[name]
        found |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)}
    return found
