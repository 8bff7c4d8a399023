"""What stands around every page of a person: the company, his own settings, the bell, how many approvals wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from include.shared import clock
from include.staff.services import Viewer
from include.workplace import approvals, day, directory
from include.workplace.shapes import NoticeRow

COMPANY_NAME = "Бэк-офис"
BELL_SHOWN = 6


@dataclass(frozen=True)
class Surroundings:
    """The frame of a page with the newest notices and the number of approvals that wait; a guest has neither."""

    now: datetime
    frame: directory.Frame
    bell: list[NoticeRow]
    asked: int


def surroundings(
    session: Session, viewer: Viewer | None, frame: directory.Frame | None = None, asked: int | None = None
) -> Surroundings:
    """Read what stands around a page; ``frame`` and ``asked`` may be known already."""
    frame = frame or directory.frame(session, viewer.person_id if viewer else None, COMPANY_NAME)
    now = clock.now(session)
    if viewer is None:
        return Surroundings(now, frame, [], 0)
    bell = day.notices(session, viewer, limit=BELL_SHOWN)
    return Surroundings(now, frame, bell, approvals.waiting(session, viewer) if asked is None else asked)
