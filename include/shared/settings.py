"""Settings that the business changes without code; the literal beside the call is only the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.shared.db import query_text
from include.shared.errors import InvalidInput, NotFound
from include.shared.models import Setting
from include.shared.reference_event import reference_changed
from include.shared.texts import storable
from include.shared.work import Work, jsonable

KINDS = {"term", "switch", "number", "role", "text"}


def value_of(session: Session, code: str, default: Any) -> Any:
    """Return the present value of a setting, or ``default`` while nobody has changed it."""
    row = session.execute(select(Setting.value).where(Setting.code == code)).first()
    return default if row is None else row[0]


def declare(work: Work, code: str, title: str, kind: str, default: Any) -> None:
    """Make a setting known (shown on the settings page) without touching a value that staff changed."""
    declare_all(work, [{"code": code, "title": title, "kind": kind, "default": default}])


def declare_all(work: Work, declared: Sequence[Mapping[str, Any]]) -> None:
    """Make settings known; those that are known already cost one read and lock nothing."""
    for one in declared:
        if one["kind"] not in KINDS:
            msg = f"Неизвестный вид настройки: {one['kind']}."
            raise InvalidInput(msg)
    codes = [one["code"] for one in declared]
    rows = work.session.execute(
        select(Setting.code, Setting.title, Setting.default, Setting.changed_at).where(Setting.code.in_(codes))
    )
    known = {code: (title, default, changed_at) for code, title, default, changed_at in rows}
    for one in sorted(declared, key=lambda one: str(one["code"])):
        title, default, changed_at = known.get(one["code"], (None, None, None))
        if changed_at is not None or (title, default) == (one["title"], one["default"]):
            continue
        new = {"title": one["title"], "default": one["default"], "value": one["default"]}
        statement = insert(Setting).values(code=one["code"], kind=one["kind"], **new)
        work.session.execute(
            statement.on_conflict_do_update(index_elements=[Setting.code], set_=new, where=Setting.changed_at.is_(None))
        )


def change(work: Work, code: str, value: Any) -> None:
    """Change a setting with audit; the waits that read it re-aim.

    NotFound for an unknown code, InvalidInput for a value of another kind.
    """
    row = _locked(work, code)
    check_value(row.kind, value)
    if row.kind == "role" and value != row.default:  # an empty one, where the default is «nobody in particular», too
        _check_role(work, value)
    if row.value == jsonable(value):
        return
    before, row.value = row.value, jsonable(value)
    row.changed_at, row.changed_by = work.now, work.actor.person_id
    _changed(work, row, before, f"Настройка «{row.title}» изменена")


def reset(work: Work, code: str) -> None:
    """Give a setting its default back; it follows the default of later releases again."""
    row = _locked(work, code)
    if row.changed_at is None:
        return
    before, row.value = row.value, row.default
    row.changed_at, row.changed_by = None, None
    _changed(work, row, before, f"Настройка «{row.title}» возвращена по умолчанию")


UNITS = {"minutes", "hours", "days", "working_days", "working_hours"}
LONGEST_TERM = 3660
LARGEST_NUMBER = 1_000_000
LONGEST_TEXT = 1000
WORDS = {
    "term": f'Срок – целое число до {LONGEST_TERM} и единица, например {{"hours": 5}} или {{"working_days": 1}}.',
    "switch": "Переключатель бывает включён или выключен.",
    "number": f"Введите целое число от 0 до {LARGEST_NUMBER}.",
    "role": "Выберите роль.",
    "text": f"Текст – до {LONGEST_TEXT} знаков, без служебных.",
}


def check_value(kind: str, value: Any) -> None:
    """Raise InvalidInput unless the value fits the setting's kind (a term is ``{"hours": 5}``)."""
    fits = {
        "term": isinstance(value, dict)
        and len(value) == 1
        and all(
            unit in UNITS and isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= LONGEST_TERM
            for unit, n in value.items()
        ),
        "switch": isinstance(value, bool),
        "number": isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_NUMBER,
        "role": isinstance(value, str) and storable(value),
        "text": isinstance(value, str) and storable(value) and len(value) <= LONGEST_TEXT,
    }
    if not fits[kind]:
        raise InvalidInput(WORDS[kind], "value")


def _locked(work: Work, code: str) -> Setting:
    row = work.session.get(Setting, code, with_for_update=True, populate_existing=True)
    if row is None:
        msg = f"Настройки «{code}» нет."
        raise NotFound(msg)
    return row


def _check_role(work: Work, code: str) -> None:
    if work.session.scalar(text("SELECT 1 FROM role WHERE code = :code"), {"code": code}) is None:
        raise InvalidInput(WORDS["role"], "value")


def _changed(work: Work, row: Setting, before: Any, said: str) -> None:
    work.audit("setting.changed", said, entity="setting", before={row.code: before}, after={row.code: row.value})
    reference_changed(work, "setting", row.code)
    work.touched.update(work.session.scalars(text(query_text("process/cases_with_setting")), {"code": row.code}))
