"""One kind of input for all registers: what was typed is kept as text until it is read, with Russian errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin.fields import BaseField
from typing_extensions import override

from backoffice.ui import format as written
from include.shared.working_time import Term

Choices = Callable[[Session], Mapping[str, str]]
LONGEST_NUMBER = 9
UNIT = "unit"  # a term is typed as a number and its unit


@dataclass
class Entry(BaseField):
    """A field of a register; ``kind`` is an input of ``_parts.html``, or password, switch or setting."""

    kind: str = "text"
    choices_of: Choices | Mapping[str, str] | None = field(default=None, compare=False)
    blank: str = "не выбрано"
    longest: int = 200
    rows: int = 4

    @override
    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """Return what was typed: a text, for a switch whether it is on."""
        typed = form_data.get(self.id)
        if self.kind == "switch":
            return typed == "yes"
        text = typed if isinstance(typed, str) else ""
        return text if self.kind == "password" else text.replace("\r\n", "\n").strip()

    @override
    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        """Raise ValueError with a Russian sentence unless the field can be read."""
        if value == "" and self.required:
            msg = f"Заполните поле «{self.label}»."
            raise ValueError(msg)
        self.read(value)

    def read(self, typed: Any) -> Any:
        """Return the value that was typed; ValueError says what is wrong."""
        if not isinstance(typed, str) or self.kind in ("text", "long", "password", "email"):
            return typed
        if typed == "":
            return None
        if self.kind == "number":
            return whole(typed)
        if self.kind == "person_id":
            return whole(typed)
        if self.kind == "date":
            return _read(date.fromisoformat, typed, "Напишите дату, например 31.12.2026.")
        if self.kind == "datetime":
            moment = _read(datetime.fromisoformat, typed, "Напишите дату и время, например 31.12.2026 09:00.")
            return moment.replace(tzinfo=ZoneInfo(written.OFFICE_ZONE)) if moment.tzinfo is None else moment
        return typed

    @override
    async def serialize_value(self, request: Request, value: Any) -> Any:
        """Return the value as a form takes it, or as a list tells it."""
        return self.as_typed(value) if request.state.action.is_form() else self.as_told(value)

    def as_typed(self, value: Any) -> Any:
        """Return a stored value as the input takes it."""
        if self.kind == "switch":
            return bool(value)
        if isinstance(value, datetime):
            return f"{value.astimezone(ZoneInfo(written.OFFICE_ZONE)):%Y-%m-%dT%H:%M}"
        return value.isoformat() if isinstance(value, date) else str(value)

    def as_told(self, value: Any) -> str:
        """Return a stored value in words."""
        if isinstance(value, bool):
            return "да" if value else "нет"
        if isinstance(value, datetime):
            return written.moment(value, written.OFFICE_ZONE)
        if isinstance(value, date):
            return f"{value:%d.%m.%Y}"
        if isinstance(self.choices_of, Mapping):
            return str(self.choices_of.get(str(value), value))
        return str(value)

    def described(self, value: Any, choices: Mapping[str, str]) -> dict[str, Any]:
        """Return the input as the form's template takes it."""
        return {
            "name": self.id, "title": self.label, "kind": "choice" if self.kind == "person_id" else self.kind,
            "value": "" if value is None else value, "choices": choices, "hint": self.help_text,
            "required": bool(self.required), "longest": self.longest, "rows": self.rows, "blank": self.blank,
            "autocomplete": "new-password",
        }  # fmt: skip


def shown(name: str, label: str, **more: Any) -> Entry:
    """Return a field that lists and the card tell, and no form asks."""
    return Entry(name, label, exclude_from_create=True, exclude_from_edit=True, **more)


def asked(name: str, label: str, **more: Any) -> Entry:
    """Return a field that forms ask, and another one tells."""
    return Entry(name, label, exclude_from_list=True, exclude_from_detail=True, **more)


def whole(typed: str) -> int:
    """Return a whole number that was typed; ValueError otherwise."""
    digits = typed.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_NUMBER):
        msg = "Введите целое число."
        raise ValueError(msg)
    return int(typed)


def term_of(number: str, unit: str) -> Term:
    """Return a term out of its two inputs; ValueError otherwise."""
    if unit not in written.UNIT_TITLES:
        msg = "Выберите единицу срока."
        raise ValueError(msg)
    return {unit: whole(number)}


def _read(reader: Callable[[str], Any], typed: str, said: str) -> Any:
    try:
        return reader(typed)
    except ValueError as error:
        raise ValueError(said) from error
