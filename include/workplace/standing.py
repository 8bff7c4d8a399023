"""Deals that stand because a step was not done: whoever answers for them sees them in «Мой день»."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from include.deals.facts import deal_link
from include.shared.db import query_text
from include.staff.services import Viewer
from include.workplace.lines import lines_of
from include.workplace.shapes import StandingRow

SHOWN = 20


def standing(
    session: Session, viewer: Viewer, now: datetime, scope: Literal["mine", "department"] = "mine"
) -> list[StandingRow]:
    """Return the deals that stand at a step, with the line that says why and who can have it repeated."""
    of_department = scope == "department"
    asked = {
        "people": [viewer.person_id, *sorted(viewer.acts_for)],
        "departments": sorted(viewer.led_departments) if of_department else [],
        "everybody": of_department and viewer.is_admin,
        "limit": SHOWN,
    }
    rows = session.execute(text(query_text("workplace/standing_cases")), asked).all()
    lines = lines_of(session, [row.case_id for row in rows], now) if rows else {}
    return [StandingRow(title=row.title, link=deal_link(row.deal_id), text=lines[row.case_id].text) for row in rows]
