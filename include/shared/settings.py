"""Settings that the business changes without code; the literal beside the call is only the default."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.shared.errors import InvalidInput, NotFound
from include.shared.models import Setting
from include.shared.work import Work, jsonable

KINDS = {"term", "switch", "number", "role", "text"}


def value_of(session: Session, code: str, default: Any) -> Any:
    """Return the present value of a setting, or ``default`` while nobody has changed it."""
    row = session.execute(select(Setting.value).where(Setting.code == code)).first()
    return default if row is None else row[0]


def declare(work: Work, code: str, title: str, kind: str, default: Any) -> None:
    """Make a setting known (shown on the settings page) without touching a value that staff changed."""
    if kind not in KINDS:
        msg = f"Неизвестный вид настройки: {kind}."
        raise InvalidInput(msg)
    statement = insert(Setting).values(code=code, title=title, kind=kind, value=default, default=default)
    work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[Setting.code], set_={"title": title, "default": default}, where=Setting.changed_at.is_(None)
        )
    )


def change(work: Work, code: str, value: Any) -> None:
    """Change a setting with audit; NotFound for an unknown code, InvalidInput for a value of another kind."""
    row = work.session.get(Setting, code, with_for_update=True)
    if row is None:
        msg = f"Настройки «{code}» нет."
        raise NotFound(msg)
    check_value(row.kind, value)
    before, row.value = row.value, jsonable(value)
    row.changed_at, row.changed_by = work.now, work.actor.person_id
    work.audit(
        "setting.changed",
        f"Настройка «{row.title}» изменена",
        entity="setting",
        before={code: before},
        after={code: row.value},
    )


UNITS = {"minutes", "hours", "days", "working_days", "working_hours"}


def check_value(kind: str, value: Any) -> None:
    """Raise InvalidInput unless the value fits the setting's kind (a term is ``{"hours": 5}``)."""
    fits = {
        "term": isinstance(value, dict)
        and len(value) == 1
        and all(
            unit in UNITS and isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= 3660
            for unit, n in value.items()
        ),
        "switch": isinstance(value, bool),
        "number": isinstance(value, int) and not isinstance(value, bool),
        "role": isinstance(value, str),
        "text": isinstance(value, str),
    }
    if not fits[kind]:
        msg = (
            'Срок задаётся числом и единицей, например {"hours": 5} или {"working_days": 1}.'
            if kind == "term"
            else "Значение не подходит к виду этой настройки."
        )
        raise InvalidInput(msg, "value")
