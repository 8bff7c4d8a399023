"""API: absences, substitutes, roles and the leaving of a person."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from backoffice.ui.routes.api_common import Body, FilterId, Line, Moment, Number, RowId, Text, failures
from backoffice.ui.security import AdminViewer, StaffViewer
from include.shared import clock
from include.shared.work import reading, transaction
from include.workplace import people
from include.workplace.shapes import AbsenceRow, HoldingsPage, PersonRef, RemapPage

router = APIRouter(tags=["Сотрудники"])
MOST_SUCCESSORS = 5000
RoleCode = Annotated[str, Path(max_length=100)]


class NewAbsence(Body):
    """A period in which a person is away (the end is no longer part of it), and who stands in for him."""

    begins_at: Moment
    ends_at: Moment
    substitute_id: Number | None = None
    reason: Annotated[Text, Field(max_length=300)] = ""


class Leaving(Body):
    """Who takes what: by group (``tasks``) or thing (``tasks:17``), which counts more."""

    plan: Annotated[dict[Annotated[Text, Field(max_length=200)], Number], Field(max_length=MOST_SUCCESSORS)]
    reason: Line
    deactivate: bool = True


class Left(BaseModel):
    """How much of each group went to whom."""

    person_id: int
    deactivated: bool
    received: dict[int, dict[str, int]]


class NewHolder(Body):
    """From whom a role is taken and to whom it is given; open work goes along unless ``move_open`` is false."""

    from_person_id: Number
    to_person_id: Number
    move_open: bool = True


class Remapped(BaseModel):
    """How many open tasks went along, how many the former holder finishes, how many approvals the role decides now."""

    role: str
    holder: PersonRef
    moved: int
    kept: int
    approvals: int


@router.get("/people/{person_id}/absences", summary="Отсутствия сотрудника", responses=failures(404))
def absences(viewer: StaffViewer, person_id: RowId) -> list[AbsenceRow]:
    """Return the present and coming absences of oneself, or of a person whom one leads."""
    with reading() as session:
        return people.absences(session, viewer, person_id, clock.now(session))


@router.post(
    "/people/{person_id}/absences", status_code=201, summary="Записать отсутствие", responses=failures(403, 404, 409)
)
def set_absence(viewer: StaffViewer, person_id: RowId, body: NewAbsence) -> AbsenceRow:
    """Record an absence: the person himself, his head or an administrator; periods do not overlap."""
    with transaction(viewer.actor) as work:
        return people.set_absence(
            work, viewer, person_id, body.begins_at, body.ends_at, body.substitute_id, body.reason
        )


@router.post("/absences/{absence_id}/cancel", summary="Снять отсутствие", responses=failures(403, 404, 409))
def cancel_absence(viewer: StaffViewer, absence_id: RowId) -> AbsenceRow:
    """Cancel an absence that has not begun, or end it now when the person is back early."""
    with transaction(viewer.actor) as work:
        return people.cancel_absence(work, viewer, absence_id)


@router.get("/people/{person_id}/holdings", summary="Что держит сотрудник", responses=failures(404))
def holdings(viewer: StaffViewer, person_id: RowId) -> HoldingsPage:
    """Return everything that a person holds, with proposed successors; of each group the first things are listed."""
    with reading() as session:
        return people.held_by(session, viewer, person_id, clock.now(session))


@router.post("/people/{person_id}/leave", summary="Передать всё и отпустить", responses=failures(403, 404, 409))
def leave(viewer: AdminViewer, person_id: RowId, body: Leaving) -> Left:
    """Hand over everything that a person holds in one act and let him go; 422 names a group without a successor."""
    with transaction(viewer.actor) as work:
        done = people.hand_over(work, viewer, person_id, body.plan, body.reason, deactivate=body.deactivate)
        return Left(
            person_id=person_id,
            deactivated=done.deactivated,
            received={to: dict(counts) for to, counts in done.received.items()},
        )


@router.get("/roles/{role_code}/remap", summary="Что перейдёт вместе с ролью", responses=failures(403, 404))
def preview_remap(viewer: AdminViewer, role_code: RoleCode, from_person_id: FilterId = None) -> RemapPage:
    """Return the open tasks and the waiting approvals that would go to a new holder of the role."""
    with reading() as session:
        return people.remap_preview(session, viewer, role_code, from_person_id or 0)


@router.post("/roles/{role_code}/remap", summary="Передать роль", responses=failures(403, 404, 409))
def remap(viewer: AdminViewer, role_code: RoleCode, body: NewHolder) -> Remapped:
    """Take a role from one person and give it to another: new and open work goes to him."""
    with transaction(viewer.actor) as work:
        done = people.remap(work, viewer, role_code, body.from_person_id, body.to_person_id, move_open=body.move_open)
        return Remapped(
            role=role_code, holder=people.person_ref(work.session, body.to_person_id), moved=done.moved, kept=done.kept,
            approvals=done.approvals,
        )  # fmt: skip
