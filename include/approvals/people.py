"""Who may decide a seat this moment: holders of its address, minus who may not (self-approval), and who acts for them.

A seat keeps the result as keys (``role:<code>``, ``person:<id>``) so that a person's list is found by an index; whether
he may decide is computed anew from the address whenever it matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from include.approvals.models import Approval, ApprovalSeat
from include.approvals.rules import DECIDED, QUORUM
from include.documents.models import FileVersion
from include.process.models import ProcessInstance
from include.shared import settings
from include.staff import services as staff
from include.staff.models import Person
from include.staff.stand_in import stand_ins
from include.tasks import core as task_core

BAN_SETTING = "approval_self_ban"
NOBODY = "nobody"
WORDS = {
    "responsible": "ответственный за сделку",
    "head": "руководитель ответственного",
    "initiator": "инициатор согласования",
    "mover": "тот, кто перевёл сделку",
}


@dataclass(frozen=True)
class Place:
    """Where a seat's question lies: the keys of its list, and the people themselves (without their substitutes)."""

    holder: str = NOBODY
    fallback: str | None = None
    people: tuple[int, ...] = ()


@dataclass
class Surroundings:
    """What the addresses of one approval are resolved with, read once."""

    session: Session
    approval: Approval
    facts: dict[str, Any] = field(default_factory=dict)
    head: int | None = None
    banned: frozenset[int] = frozenset()

    @classmethod
    def of(cls, session: Session, approval: Approval) -> Surroundings:
        """Read the facts of the approval's case and who may not decide."""
        instance = session.get(ProcessInstance, approval.instance_id) if approval.instance_id else None
        facts = task_core.case_facts(session, approval.case_id, instance)
        head = _head(session, instance, facts.get("responsible"))
        return cls(session, approval, facts, head, frozenset(banned(session, approval)))


def present_version(session: Session, approval: Approval) -> FileVersion | None:
    """Return the file that is agreed as it is now; None when the approval is about no file, or there is none yet."""
    if approval.field is None:
        return None
    return session.scalars(
        select(FileVersion)
        .where(FileVersion.case_id == approval.case_id, FileVersion.field == approval.field)
        .order_by(FileVersion.number.desc())
        .limit(1)
    ).first()


def banned(session: Session, approval: Approval) -> set[int]:
    """Return who may not decide because it is his own: the initiator and whoever uploaded the present file."""
    if not settings.value_of(session, BAN_SETTING, True):
        return set()
    version = present_version(session, approval)
    own = {approval.initiator_id, version.uploaded_by if version is not None else None}
    return {one for one in own if one is not None}


def place_of(around: Surroundings, address: str) -> Place:
    """Return where the question of an address lies now.

    Alternatives stand behind ``|``: the next one counts while nobody stands behind the one before. Whoever may not
    decide drops out; when nobody is left, his head and so on upward, in the end the director.
    """
    empty: list[str] = []  # roles that nobody holds now
    alternatives = address.split("|")
    for number, alternative in enumerate(alternatives):
        key, found = behind(around, alternative)
        if key is None:
            continue
        if not found:
            empty += [key] if key.startswith("role:") else []
            continue
        allowed = tuple(one for one in found if one not in around.banned)
        if not allowed:
            key, allowed = _upward(around, found)
            return Place(empty[0], key, allowed) if empty else Place(key, None, allowed)
        if empty:
            return Place(empty[0], key, allowed)
        rest = (behind(around, one)[0] for one in alternatives[number + 1 :]) if key.startswith("role:") else ()
        return Place(key, next((one for one in rest if one is not None), None), allowed)
    return Place(empty[0] if empty else NOBODY)


def behind(around: Surroundings, address: str) -> tuple[str | None, list[int]]:
    """Return the key and the active people behind one alternative of an address."""
    session = around.session
    if address.startswith("setting:"):
        role = settings.value_of(session, address.removeprefix("setting:"), "")
        return behind(around, f"role:{role}") if role else (None, [])
    if address.startswith("role:"):
        return address, staff.holders(session, address.removeprefix("role:"))
    person = _person(around, address)
    if person is None:
        return None, []
    return f"person:{person}", _active(session, [person])


def who_may(session: Session, approval: Approval, seat: ApprovalSeat, now: datetime) -> dict[int, int | None]:
    """Return who may decide a seat this moment, each with the absent person he stands in for (None: for himself)."""
    around = Surroundings.of(session, approval)
    own = place_of(around, seat.address).people
    acting = stand_ins(session, own, now)
    found: dict[int, int | None] = dict.fromkeys(own)
    for absent, substitute in sorted(acting.items()):
        if substitute not in around.banned:
            found.setdefault(substitute, absent)
    spent = _spent(session, approval, seat)
    return {one: absent for one, absent in found.items() if one not in spent and absent not in spent}


def waiting_for_role(session: Session, role_code: str) -> list[int]:
    """Return the open approvals that the holders of a role decide now, instead of a role that nobody holds too."""
    key = f"role:{role_code}"
    seats = session.execute(
        select(ApprovalSeat.approval_id, ApprovalSeat.holder)
        .join(Approval, Approval.id == ApprovalSeat.approval_id)
        .where(ApprovalSeat.state == "asked", Approval.state == "open", held_by([key]))
        .order_by(ApprovalSeat.approval_id)
    ).all()
    others = {holder for _, holder in seats if holder != key}
    held = {one for one in others if staff.holders(session, one.removeprefix("role:"))}
    return list(dict.fromkeys(number for number, holder in seats if holder not in held))


def _spent(session: Session, approval: Approval, seat: ApprovalSeat) -> set[int | None]:
    """Return who has had his one voice of a quorum at another seat of this round."""
    if approval.mode != QUORUM:
        return set()
    rows = session.execute(
        select(ApprovalSeat.decided_by, ApprovalSeat.decided_for).where(
            ApprovalSeat.approval_id == approval.id,
            ApprovalSeat.round == seat.round,
            ApprovalSeat.position != seat.position,
            ApprovalSeat.state.in_(DECIDED),
        )
    )
    return {one for row in rows for one in row if one is not None}


def in_words(session: Session, address: str) -> str:
    """Return an address as a person reads it: «роль «Утверждающий договор», иначе руководитель ответственного»."""
    return ", иначе ".join(_in_words(session, one) for one in address.split("|"))


def _in_words(session: Session, address: str) -> str:
    if address.startswith("setting:"):
        role = settings.value_of(session, address.removeprefix("setting:"), "")
        return _in_words(session, f"role:{role}") if role else "роль из настройки"
    if address.startswith("role:"):
        return f"роль «{staff.role_title(session, address.removeprefix('role:'))}»"
    if address.startswith("person:"):
        number = int(address.removeprefix("person:"))
        return staff.names(session, {number}).get(number, f"сотрудник № {number}")
    if address.startswith("field:"):
        return "сотрудник из поля сделки"
    return WORDS.get(address, address)


def _person(around: Surroundings, address: str) -> int | None:
    if address == "head":
        return around.head
    if address == "initiator":
        return around.approval.initiator_id
    if address.startswith("person:"):
        return int(address.removeprefix("person:"))
    if address in ("responsible", "mover") or address.startswith("field:"):
        found = around.facts.get(address.removeprefix("field:"))
        return int(found) if found else None
    msg = f"Неизвестный адресат согласования: {address}"
    raise ValueError(msg)


def _upward(around: Surroundings, people: Iterable[int]) -> tuple[str, tuple[int, ...]]:
    """Return who decides instead of people who may not: the nearest head above, else the director."""
    session = around.session
    for person in people:
        above, seen = staff.head_of(session, person), {person}
        while above is not None and above not in seen:
            if above not in around.banned:
                return f"person:{above}", (above,)
            seen.add(above)
            above = staff.head_of(session, above)
    directors = tuple(one for one in staff.holders(session, staff.DIRECTOR) if one not in around.banned)
    return f"role:{staff.DIRECTOR}", directors


def _head(session: Session, instance: ProcessInstance | None, responsible: int | None) -> int | None:
    """Return the head of this entry (AG-4), found anew when the one found before works here no more."""
    known = instance.head_id if instance is not None else None
    if known is not None and _active(session, [known]):
        return known
    return staff.head_of(session, int(responsible)) if responsible else None


def _active(session: Session, people: list[int]) -> list[int]:
    return list(session.scalars(select(Person.id).where(Person.id.in_(people), Person.active).order_by(Person.id)))


def held_by(keys: Iterable[str]) -> Any:
    """Return the condition on seats whose question lies under one of these keys."""
    wanted = sorted(set(keys))
    return or_(ApprovalSeat.holder.in_(wanted), ApprovalSeat.fallback.in_(wanted))
