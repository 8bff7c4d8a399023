"""Approvals as a person meets them: his lists, the page of one, the section of a deal's card, a letter's link."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import BinaryIO, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.approvals import core, inbox, people
from include.approvals.core import asked_seats
from include.approvals.models import Approval, ApprovalSeat
from include.approvals.services import LinkView, read_link
from include.deals import rights
from include.deals.models import Deal, DealField, Stage
from include.documents import storage
from include.documents.models import FileVersion
from include.process.models import ProcessCase
from include.shared.errors import NotFound
from include.shared.work import reading
from include.staff.models import Person, Role
from include.staff.services import Viewer, names
from include.tasks.models import Task
from include.workplace.approval_shapes import AgreedFile, ApprovalPage, ApprovalRow, LinkPage, RoundRow, SeatRow
from include.workplace.day import case_ref
from include.workplace.shapes import CaseRef, Page, PersonRef

PER_PAGE = 50
SHOWN_OF_CASE = 10
Scope = Literal["mine", "initiated", "decided"]
LISTS = {"mine": inbox.waiting_for, "initiated": inbox.initiated_by, "decided": inbox.decided_by}
STATES = {
    "open": "согласуется",
    "rework": "устраняются замечания",
    "approved": "согласовано",
    "rejected": "отклонено",
    "withdrawn": "снято",
}
VOIDED = "согласование не действует: файл изменён"
SEAT_STATES = {
    "waiting": "очередь не пришла",
    "asked": "ждёт решения",
    "approved": "согласовано",
    "rejected": "отклонено",
    "voided": "не действует: файл заменён",
    "withdrawn": "решение не понадобилось",
}


def approvals_list(
    session: Session, viewer: Viewer, now: datetime, *, scope: Scope = "mine", page: int = 1, per_page: int = PER_PAGE
) -> Page[ApprovalRow]:
    """Return a page of approvals: waiting for the viewer (most urgent first), asked for by him, decided by him."""
    ids, total = LISTS[scope](session, viewer, per_page, (page - 1) * per_page)
    return Page(items=_rows(session, viewer, ids, now), total=total, page=page, per_page=per_page)


def counts(session: Session, viewer: Viewer) -> dict[str, int]:
    """Return how many approvals each list holds."""
    return {scope: of(session, viewer, 1)[1] for scope, of in LISTS.items()}


def approval_page(session: Session, viewer: Viewer, approval_id: int, now: datetime) -> ApprovalPage:
    """Return everything about an approval that the viewer may see; NotFound otherwise."""
    approval = session.get(Approval, approval_id)
    if approval is None or not inbox.may_see(session, viewer, approval, now):
        msg = f"Согласования № {approval_id} нет."
        raise NotFound(msg)
    return _page(session, viewer, approval, now)


def approvals_of_case(session: Session, viewer: Viewer, case_id: int, now: datetime) -> list[ApprovalPage]:
    """Return the newest approvals of a case whose deal the viewer sees."""
    found = select(Approval).where(Approval.case_id == case_id).order_by(Approval.id.desc()).limit(SHOWN_OF_CASE)
    return [_page(session, viewer, one, now) for one in session.scalars(found)]


def approvals_of_deal(session: Session, viewer: Viewer, deal_id: int, now: datetime) -> list[ApprovalPage]:
    """Return the newest approvals of a deal; NotFound for a foreign one."""
    return approvals_of_case(session, viewer, rights.require_seen(session, viewer, deal_id).case_id, now)


def link_page(session: Session, token: str, now: datetime) -> LinkPage:
    """Return what a letter's link shows to whoever opens it; changes nothing."""
    return link_shown(session, read_link(session, token, now), now)


def link_shown(session: Session, view: LinkView, now: datetime) -> LinkPage:
    """Return the page of a link that was read: of the case only what is decided."""
    approval = session.get_one(Approval, view.approval_id)
    case = session.get_one(ProcessCase, approval.case_id)
    version = session.get(FileVersion, view.version_id) if view.version_id is not None else None
    involved = {one for one in (approval.initiator_id, view.person_id) if one is not None}
    said = names(session, involved)
    rejected = [one for one in _seats(session, approval) if one.state == "rejected"]
    return LinkPage(
        state=view.state,
        words=view.words,
        title=approval.title,
        description=approval.description,
        case_title=case.title,
        time_zone=case.time_zone,
        asks=said.get(approval.initiator_id or 0),
        decider=said[view.person_id],
        round=approval.round,
        file_name=version.name if version is not None else None,
        file_number=version.number if version is not None else None,
        version_id=view.version_id if view.state == "ready" else None,
        remarks=_seat_rows(session, approval, rejected, now),
        expires_at=view.expires_at,
    )


def file_of_link(version_id: int) -> tuple[BinaryIO, str, str]:
    """Return the content, name and media type of the file that a working link is about; the caller closes it."""
    with reading() as session:
        version = session.get_one(FileVersion, version_id)
    return storage.open_whole(version.content_hash), version.name, version.media_type


def waiting(session: Session, viewer: Viewer) -> int:
    """Return how many approvals wait for the viewer."""
    return inbox.waiting_count(session, viewer)


def _page(session: Session, viewer: Viewer, approval: Approval, now: datetime) -> ApprovalPage:
    seats = _seats(session, approval)
    rows = {one.id: row for one, row in zip(seats, _seat_rows(session, approval, seats, now), strict=True)}
    numbers = sorted({one.round for one in seats}, reverse=True)
    own, absent = _own(session, viewer, approval, now)
    fixing = select(Task.id).where(Task.approval_id == approval.id, Task.state == "open")
    return ApprovalPage(
        approval=_rows(session, viewer, [approval.id], now)[0],
        description=approval.description,
        mode=approval.mode,  # type: ignore[arg-type]
        order=_order(approval, len({one.position for one in seats})),
        file_field=_field_title(session, approval.field),
        file=_file(session, people.present_version(session, approval)),
        rounds=[
            RoundRow(number=number, seats=[rows[one.id] for one in seats if one.round == number]) for number in numbers
        ],
        may_decide=own is not None,
        seat_id=own.id if own is not None else None,
        for_whom=session.get_one(Person, absent).for_whom if absent is not None else None,
        fix_task_id=session.scalar(fixing.limit(1)),
        close_reason=approval.close_reason,
        closed_at=approval.closed_at,
        voided_at=approval.voided_at,
    )


def _own(session: Session, viewer: Viewer, approval: Approval, now: datetime) -> tuple[ApprovalSeat | None, int | None]:
    for seat in asked_seats(session, approval.id):
        may = people.who_may(session, approval, seat, now)
        if viewer.person_id in may:
            return seat, may[viewer.person_id]
    return None, None


def _seats(session: Session, approval: Approval) -> Sequence[ApprovalSeat]:
    statement = select(ApprovalSeat).where(ApprovalSeat.approval_id == approval.id)
    return session.scalars(statement.order_by(ApprovalSeat.round, ApprovalSeat.position, ApprovalSeat.attempt)).all()


def _seat_rows(session: Session, approval: Approval, seats: Sequence[ApprovalSeat], now: datetime) -> list[SeatRow]:
    asked = {one.id: core.deciders(session, one, approval, now) for one in seats if one.state == "asked"}
    involved = {one.decided_by for one in seats} | {person for found in asked.values() for person in found}
    said = names(session, {one for one in involved if one is not None})
    absent = {one.decided_for for one in seats if one.decided_for is not None}
    for_whom = {one.id: one.for_whom for one in session.scalars(select(Person).where(Person.id.in_(absent)))}
    versions = {one.version_id for one in seats if one.version_id is not None}
    numbers = dict(
        session.execute(select(FileVersion.id, FileVersion.number).where(FileVersion.id.in_(versions))).all()
    )
    return [
        SeatRow(
            id=one.id,
            title=one.title,
            state=one.state,
            state_title=SEAT_STATES[one.state],
            asked_at=one.asked_at,
            due_at=one.due_at,
            overdue=one.state == "asked" and one.due_at is not None and one.due_at <= now,
            deciders=[PersonRef(id=person, name=said[person]) for person in asked.get(one.id, [])],
            appoint=people.in_words(session, one.address) if one.state == "asked" and not asked[one.id] else None,
            decided_at=one.decided_at,
            decided_by=_ref(said, one.decided_by),
            for_whom=for_whom.get(one.decided_for or 0),
            remark=one.remark,
            version=numbers.get(one.version_id or 0),
            kept=one.state == "approved" and one.asked_at is None,
        )
        for one in seats
    ]


def _rows(session: Session, viewer: Viewer, ids: Iterable[int], now: datetime) -> list[ApprovalRow]:
    wanted = list(ids)
    found = {
        row["Approval"].id: row
        for row in session.execute(
            select(
                Approval, Approval.case_id, ProcessCase.key.label("case_key"), ProcessCase.title.label("case_title"),
                ProcessCase.time_zone, Deal.id.label("deal_id"), Stage.title.label("stage"),
            )
            .join(ProcessCase, ProcessCase.id == Approval.case_id)
            .outerjoin(Deal, Deal.case_id == Approval.case_id)
            .outerjoin(Stage, Stage.id == Deal.stage_id)
            .where(Approval.id.in_(wanted))
        ).mappings()
    }  # fmt: skip
    asked: dict[int, list[ApprovalSeat]] = {one: [] for one in wanted}
    for seat in session.scalars(
        select(ApprovalSeat)
        .where(ApprovalSeat.approval_id.in_(wanted), ApprovalSeat.state == "asked")
        .order_by(ApprovalSeat.position)
    ):
        asked[seat.approval_id].append(seat)
    keys = {one for seats in asked.values() for seat in seats for one in (seat.holder, seat.fallback) if one}
    said = _said(session, keys)
    absent = {
        f"person:{one.id}": one.for_whom
        for one in session.scalars(select(Person).where(Person.id.in_(sorted(viewer.acts_for))))
    }
    seen = set(
        session.scalars(
            select(Deal.id).where(Deal.id.in_([row["deal_id"] for row in found.values()]), rights.visible_to(viewer))
        )
    )
    initiators = names(session, {row["Approval"].initiator_id for row in found.values()} - {None})
    rows = []
    for one in wanted:
        approval: Approval = found[one]["Approval"]
        case = case_ref(found[one])
        due = min((seat.due_at for seat in asked[one] if seat.due_at is not None), default=None)
        rows.append(
            ApprovalRow(
                id=one,
                title=approval.title,
                state=approval.state,
                state_title=VOIDED if approval.voided_at is not None else STATES[approval.state],
                round=approval.round,
                case=case if case.deal_id in seen else _without_link(case),
                initiator=_ref(initiators, approval.initiator_id),
                waits_for=[said.get(seat.holder, seat.title) for seat in asked[one]],
                for_whom=next((absent[seat.holder] for seat in asked[one] if seat.holder in absent), None),
                created_at=approval.created_at,
                due_at=due,
                overdue=due is not None and due <= now,
                voided=approval.voided_at is not None,
                link=f"/backoffice/approvals/{one}",
            )
        )
    return rows


def _said(session: Session, keys: set[str]) -> dict[str, str]:
    """Return in words where questions lie: the person's name, the role's title."""
    persons = {int(one.removeprefix("person:")) for one in keys if one.startswith("person:")}
    roles = [one.removeprefix("role:") for one in keys if one.startswith("role:")]
    titles = session.execute(select(Role.code, Role.title).where(Role.code.in_(roles))).all()
    return {
        **{f"person:{one}": name for one, name in names(session, persons).items()},
        **{f"role:{code}": f"роль «{title}»" for code, title in titles},
    }


def _without_link(case: CaseRef) -> CaseRef:
    return case.model_copy(update={"link": None, "deal_id": None})


def _file(session: Session, version: FileVersion | None) -> AgreedFile | None:
    if version is None:
        return None
    who = names(session, {version.uploaded_by} if version.uploaded_by is not None else set())
    return AgreedFile(
        id=version.id,
        number=version.number,
        name=version.name,
        size=version.size,
        uploaded_at=version.uploaded_at,
        uploaded_by=_ref(who, version.uploaded_by),
        link=f"/backoffice/files/{version.id}",
    )


def _field_title(session: Session, code: str | None) -> str | None:
    if code is None:
        return None
    return session.scalar(select(DealField.title).where(DealField.code == code)) or code


def _order(approval: Approval, seats: int) -> str:
    if seats == 1:
        return "решает один согласующий"
    if approval.mode == "quorum":
        return f"достаточно согласия: {approval.quorum} из {seats}"
    return "по очереди" if approval.mode == "chain" else "все сразу, нужно согласие каждого"


def _ref(people_: dict[int, str], person_id: int | None) -> PersonRef | None:
    return None if person_id is None else PersonRef(id=person_id, name=people_.get(person_id, f"№ {person_id}"))
