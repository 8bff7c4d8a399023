"""Absences: a person is away for a period and another one stands in for him (features 47).

Nothing is moved when a period begins or ends: ``stand_in`` computes who acts at each read and each decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.notices.services import notify
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.texts import storable
from include.shared.work import Work
from include.staff.models import Absence, Person
from include.staff.services import head_of, led_by, person_of
from include.staff.stand_in import acts_for, stand_ins

LONGEST = timedelta(days=366)
LONGEST_REASON = 300


def set_absence(
    work: Work,
    person_id: int,
    begins_at: datetime,
    ends_at: datetime,
    substitute_id: int | None,
    reason: str = "",
) -> Absence:
    """Say that a person is away from ``begins_at`` until ``ends_at`` (exclusive) and who acts for him meanwhile.

    He says it himself, or his head, or an administrator. Periods of one person do not overlap; the substitute and the
    head are told.
    """
    person = _locked(work, person_id)
    _require_right(work, person)
    _check_period(work, begins_at, ends_at)
    substitute = _substitute(work, person, substitute_id)
    _refuse_overlap(work, person, begins_at, ends_at)
    reason = _reason(reason)
    said = _said(person, begins_at, ends_at)
    acting = f"замещает {substitute.short_name}" if substitute else "без замещения"
    absence = Absence(
        person_id=person.id, substitute_id=substitute_id, begins_at=begins_at, ends_at=ends_at, reason=reason,
        created_at=work.now, created_by=work.actor.person_id,
    )  # fmt: skip
    if work.actor.person_id != person.id:  # before the absence stands, or his substitute would be told it twice
        key = f"absence/{person.id}/{begins_at.isoformat()}/{work.now.isoformat()}"
        notify(work, [person.id], f"Записано ваше отсутствие {said}; {acting}", key=key)
    work.session.add(absence)
    work.session.flush()
    work.audit(
        "absence.set", f"Замещение: {person.short_name} отсутствует {said}; {acting}", entity="absence",
        entity_id=absence.id, after=_values(absence), reason=reason or None,
    )  # fmt: skip
    if substitute is not None:
        notify(work, [substitute.id], f"Вы замещаете: {person.short_name}, {said}", key=f"absence/{absence.id}/set")
    _tell_head(work, absence, f"{person.short_name} отсутствует {said}; {acting}", "set")
    return absence


def cancel_absence(work: Work, absence_id: int) -> Absence:
    """Cancel an absence that has not begun, or end it now when it has: the person is back early."""
    absence = absence_of(work.session, absence_id)
    person = _locked(work, absence.person_id)
    work.session.refresh(absence)
    _require_right(work, person)
    if absence.cancelled_at is not None:
        return absence
    if absence.ends_at <= work.now:
        msg = "Это отсутствие уже закончилось: прошлое не меняют."
        raise Conflict(msg)
    before = _values(absence)
    begun = absence.begins_at < work.now
    if begun:
        absence.ends_at = work.now
    else:
        absence.cancelled_at = work.now
    said = "вернулся(лась) раньше" if begun else "отсутствие отменено"
    work.session.flush()
    work.audit(
        "absence.cancelled", f"Замещение: {person.short_name} – {said}", entity="absence", entity_id=absence.id,
        before=before, after={**_values(absence), "cancelled": not begun},
    )  # fmt: skip
    told = f"{person.short_name} – {said}"
    if absence.substitute_id is not None:
        key = f"absence/{absence.id}/cancelled"
        notify(work, [absence.substitute_id], f"Замещать больше не нужно: {told}", key=key)
    if work.actor.person_id != person.id:
        notify(work, [person.id], f"Ваше отсутствие: {said}", key=f"absence/{absence.id}/own")
    _tell_head(work, absence, told, "cancelled")
    return absence


def absence_of(session: Session, absence_id: int) -> Absence:
    """Return an absence; NotFound when there is none."""
    absence = session.get(Absence, absence_id)
    if absence is None:
        msg = f"Отсутствия № {absence_id} нет."
        raise NotFound(msg)
    return absence


def absences_of(session: Session, person_id: int, now: datetime) -> list[Absence]:
    """Return the present and coming absences of a person, the nearest first."""
    statement = (
        select(Absence)
        .where(Absence.person_id == person_id, Absence.cancelled_at.is_(None), Absence.ends_at > now)
        .order_by(Absence.begins_at)
    )
    return list(session.scalars(statement))


def substitutions_of(session: Session, person_id: int, now: datetime) -> list[Absence]:
    """Return the present and coming absences of others in which this person is the substitute, the nearest first."""
    statement = (
        select(Absence)
        .where(Absence.substitute_id == person_id, Absence.cancelled_at.is_(None), Absence.ends_at > now)
        .order_by(Absence.begins_at, Absence.id)
    )
    return list(session.scalars(statement))


def _locked(work: Work, person_id: int) -> Person:
    """Return a person with his absences locked: two periods set at once come one after another."""
    person = person_of(work.session, person_id)
    work.session.execute(text("SELECT 1 FROM person WHERE id = :id FOR NO KEY UPDATE"), {"id": person_id})
    work.session.refresh(person)
    return person


def _require_right(work: Work, person: Person) -> None:
    actor = work.actor
    if actor.person_id is None or actor.person_id == person.id or actor.access == "admin":
        return
    if person.department_id is not None and person.department_id in led_by(work.session, [actor.person_id]):
        return
    msg = "Отсутствие записывает сам сотрудник, его руководитель или администратор."
    raise Forbidden(msg)


def _check_period(work: Work, begins_at: datetime, ends_at: datetime) -> None:
    if begins_at.tzinfo is None or ends_at.tzinfo is None:
        msg = "Укажите начало и конец с часовым поясом."
        raise InvalidInput(msg, "begins_at")
    if ends_at <= begins_at:
        msg = "Отсутствие кончается позже, чем начинается."
        raise InvalidInput(msg, "ends_at")
    if ends_at <= work.now:
        msg = "Это время уже прошло: укажите конец в будущем."
        raise InvalidInput(msg, "ends_at")
    if ends_at - begins_at > LONGEST:
        msg = "Отсутствие записывают не дольше чем на год."
        raise InvalidInput(msg, "ends_at")
    if begins_at > work.now + LONGEST:
        msg = "Отсутствие записывают не дальше чем на год вперёд."
        raise InvalidInput(msg, "begins_at")


def _substitute(work: Work, person: Person, substitute_id: int | None) -> Person | None:
    if not person.active:
        msg = f"{person.short_name} уже не работает."
        raise InvalidInput(msg, "person_id")
    if substitute_id is None:
        return None
    if substitute_id == person.id:
        msg = "Замещать самого себя нельзя: выберите другого сотрудника."
        raise InvalidInput(msg, "substitute_id")
    substitute = work.session.get(Person, substitute_id)
    if substitute is None or not substitute.active:
        msg = "Выберите работающего сотрудника."
        raise InvalidInput(msg, "substitute_id")
    return substitute


def _refuse_overlap(work: Work, person: Person, begins_at: datetime, ends_at: datetime) -> None:
    other = work.session.scalars(
        select(Absence)
        .where(
            Absence.person_id == person.id,
            Absence.cancelled_at.is_(None),
            Absence.ends_at > begins_at,
            Absence.begins_at < ends_at,
        )
        .order_by(Absence.begins_at)
    ).first()
    if other is not None:
        msg = f"В это время отсутствие уже записано: {_said(person, other.begins_at, other.ends_at)}."
        raise Conflict(msg)


def _tell_head(work: Work, absence: Absence, said: str, what: str) -> None:
    head = head_of(work.session, absence.person_id)
    if head is not None and head not in (absence.substitute_id, work.actor.person_id):
        notify(work, [head], said, key=f"absence/{absence.id}/{what}/head")


def _said(person: Person, begins_at: datetime, ends_at: datetime) -> str:
    zone = ZoneInfo(person.time_zone)
    return f"с {begins_at.astimezone(zone):%d.%m.%Y %H:%M} до {ends_at.astimezone(zone):%d.%m.%Y %H:%M}"


def _values(absence: Absence) -> dict[str, object]:
    return {
        "person": absence.person_id,
        "substitute": absence.substitute_id,
        "begins_at": absence.begins_at,
        "ends_at": absence.ends_at,
    }


def _reason(value: str) -> str:
    reason = " ".join((value or "").split())
    if len(reason) > LONGEST_REASON or not storable(reason):
        msg = f"Причина – до {LONGEST_REASON} знаков."
        raise InvalidInput(msg, "reason")
    return reason


__all__ = ["absence_of", "absences_of", "acts_for", "cancel_absence", "set_absence", "stand_ins", "substitutions_of"]
