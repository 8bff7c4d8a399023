"""Shapes of approvals: their lists, the page of one, what a letter's link shows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from include.workplace.shapes import CaseRef, PersonRef, Shape


class AgreedFile(Shape):
    """A version of the file that is agreed."""

    id: int
    number: int
    name: str
    size: int
    uploaded_at: datetime
    uploaded_by: PersonRef | None
    link: str


class ApprovalRow(Shape):
    """An approval in a list; ``waits_for`` names people or roles, ``for_whom`` the absent whose answer it would be."""

    id: int
    title: str
    state: str
    state_title: str
    round: int
    case: CaseRef
    initiator: PersonRef | None
    waits_for: list[str]
    for_whom: str | None
    created_at: datetime
    due_at: datetime | None
    overdue: bool
    voided: bool
    link: str


class SeatRow(Shape):
    """One approver's place in a round: whom it asks or asked, what he said, for whom and about which file."""

    id: int
    title: str
    state: str
    state_title: str
    asked_at: datetime | None
    due_at: datetime | None
    overdue: bool
    deciders: list[PersonRef]  # who may answer now; only while it is asked
    appoint: str | None  # whom to appoint, while nobody may
    decided_at: datetime | None
    decided_by: PersonRef | None
    for_whom: str | None  # «за Иванову А. П.»
    remark: str | None
    version: int | None  # the number of the file version he decided about
    kept: bool  # his approval of an earlier round still stands


class RoundRow(Shape):
    """One round with its seats."""

    number: int
    seats: list[SeatRow]


class ApprovalPage(Shape):
    """Everything about one approval; ``seat_id`` is the viewer's own open question."""

    approval: ApprovalRow
    description: str
    mode: Literal["chain", "parallel", "quorum"]
    order: str  # the mode in words
    file_field: str | None
    file: AgreedFile | None
    rounds: list[RoundRow]  # the newest first
    may_decide: bool
    seat_id: int | None
    for_whom: str | None
    fix_task_id: int | None
    close_reason: str | None
    closed_at: datetime | None
    voided_at: datetime | None


class LinkPage(Shape):
    """What a letter's link shows: only what is decided, nothing else of the case."""

    state: str
    words: str
    title: str
    description: str
    case_title: str
    time_zone: str
    asks: str | None
    decider: str
    round: int
    file_name: str | None
    file_number: int | None
    version_id: int | None
    remarks: list[SeatRow]
    expires_at: datetime
