"""The board of a funnel and the list of deals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.deals import rights
from include.deals.facts import deal_link
from include.deals.models import Deal, Funnel, Stage, StageVisit
from include.shared.db import among
from include.shared.errors import NotFound
from include.shared.names import like_pattern
from include.shared.search import number_of
from include.staff.models import Department, Person
from include.staff.rules import short_name
from include.staff.services import Viewer
from include.tasks.models import Task
from include.workplace.directory import funnels
from include.workplace.lines import lines_of
from include.workplace.shapes import Board, BoardColumn, DealRow, FunnelRow, Page, PersonRef, StageRow

CARDS_PER_COLUMN = 10  # what a screen shows; a page of twenty takes half as long again and is twice as heavy
PER_PAGE = 50


@dataclass(frozen=True)
class DealFilter:
    """What a board or list is narrowed to."""

    query: str = ""
    responsible_id: int | None = None
    company_id: int | None = None
    mine: bool = False
    department_id: int | None = None  # with all below it
    company: str = ""  # a part of its name, or the beginning of its ИНН
    overdue: bool = False  # has a task whose term is over
    stuck_days: int | None = None  # stands on its stage for more days than this
    sum_from: Decimal | None = None
    sum_to: Decimal | None = None

    def condition(self, viewer: Viewer, now: datetime) -> ColumnElement[bool]:
        """Return the condition on ``deal``, rights included."""
        parts: list[ColumnElement[bool]] = [rights.visible_to(viewer)]
        if self.query.strip():
            parts.append(_by_text(self.query.strip()))
        if self.responsible_id is not None:
            parts.append(Deal.responsible_id == self.responsible_id)
        if self.mine:
            parts.append(Deal.responsible_id == viewer.person_id)
        if self.company_id is not None:
            parts.append(Deal.company_id == self.company_id)
        if self.department_id is not None:
            parts.append(Deal.responsible_id.in_(_people_below(self.department_id)))
        if self.company.strip():
            parts.append(Deal.company_id.in_(_companies(self.company.strip())))
        if self.overdue:
            late = select(Task.case_id).where(Task.state == "open", Task.due_at <= now)
            parts.append(Deal.case_id.in_(late))
        if self.stuck_days is not None:
            since = now - timedelta(days=self.stuck_days)
            stays = select(StageVisit.deal_id).where(StageVisit.left_at.is_(None), StageVisit.entered_at < since)
            parts += [Deal.id.in_(stays), Deal.closed_at.is_(None)]
        if self.sum_from is not None:
            parts.append(Deal.amount >= self.sum_from)
        if self.sum_to is not None:
            parts.append(Deal.amount <= self.sum_to)
        return and_(true(), *parts)


NO_FILTER = DealFilter()


def board(
    session: Session, viewer: Viewer, funnel: str, now: datetime, *, filters: DealFilter = NO_FILTER,
    per_column: int = CARDS_PER_COLUMN, turned: str | None = None, page: int = 1,
    lines: Sequence[FunnelRow] | None = None,
) -> Board:  # fmt: skip
    """Return the stages of a funnel (code or title) in order with counts, sums and the newest deals of each.

    The stage ``turned`` shows its ``page``, all others their first one; ``lines`` are the funnels, if they were read.
    """
    line = _funnel(session, funnel, lines)
    stage_id = next((one.id for one in line.stages if one.code == turned), None)
    condition = and_(Deal.funnel_code == line.code, filters.condition(viewer, now))
    totals, ids = _ranked(session, viewer, condition, per_column, stage_id, page)
    rows = _deal_rows(session, viewer, ids, now)
    columns = []
    for stage in line.stages:
        count, amount = totals.get(stage.id, (0, Decimal(0)))
        at = page if stage.id == stage_id else 1
        shown = [one for one in rows if one.stage.id == stage.id]
        columns.append(
            BoardColumn(stage=stage, count=count, amount=amount, deals=shown, page=at, has_more=count > at * per_column)
        )
    return Board(funnel=line, columns=columns)


def column(
    session: Session, viewer: Viewer, funnel: str, stage: str, now: datetime, *, filters: DealFilter = NO_FILTER,
    page: int = 1, per_column: int = CARDS_PER_COLUMN,
) -> BoardColumn:  # fmt: skip
    """Return one page of one stage of the board; NotFound for an unknown stage."""
    line = _funnel(session, funnel)
    row = next((one for one in line.stages if one.code == stage), None)
    if row is None:
        msg = f"В направлении «{line.title}» нет стадии «{stage}»."
        raise NotFound(msg)
    condition = and_(Deal.stage_id == row.id, filters.condition(viewer, now))
    totals, ids = _ranked(session, viewer, condition, per_column, row.id, page)
    count, amount = totals.get(row.id, (0, Decimal(0)))
    return BoardColumn(
        stage=row, count=count, amount=amount, deals=_deal_rows(session, viewer, ids, now), page=page,
        has_more=count > page * per_column,
    )  # fmt: skip


def card_of(session: Session, viewer: Viewer, deal_id: int, now: datetime) -> DealRow:
    """Return a deal as the board shows it; NotFound for one that the viewer may not see."""
    rights.require_seen(session, viewer, deal_id)
    return _deal_rows(session, viewer, [deal_id], now)[0]


def _ranked(
    session: Session, viewer: Viewer, condition: ColumnElement[bool], per_column: int, turned: int | None, page: int
) -> tuple[dict[int, tuple[int, Decimal]], list[int]]:
    """Return count and sum of each stage, and the ids of the deals that are shown."""
    # what one may see is found out once (a head's tasks and watched tasks are looked through); who sees all deals
    # has the newest of a full stage from its index at once
    how = "NOT MATERIALIZED" if rights.sees_all(viewer) else "MATERIALIZED"
    seen = select(Deal.id, Deal.stage_id, Deal.amount).where(condition).cte("seen").prefix_with(how)
    totals = (
        select(seen.c.stage_id, func.count().label("deals"), func.sum(seen.c.amount).label("amount"))
        .group_by(seen.c.stage_id)
        .cte("totals")
    )
    skipped = case((totals.c.stage_id == turned, (page - 1) * per_column), else_=0)
    newest = (
        select(seen.c.id)
        .where(seen.c.stage_id == totals.c.stage_id)
        .order_by(seen.c.id.desc())
        .limit(per_column)
        .offset(skipped)
        .lateral("newest")
    )
    # outer: past the last page there is still a count
    found = session.execute(select(totals, newest.c.id).select_from(totals.outerjoin(newest, true()))).all()
    stages = {one.stage_id: (one.deals, one.amount or Decimal(0)) for one in found}
    return stages, [one.id for one in found if one.id is not None]


def _by_text(query: str) -> ColumnElement[bool]:
    pattern = like_pattern(query)
    by_company = select(Company.id).where(Company.search_key.like(pattern))
    found: list[ColumnElement[bool]] = [Deal.search_key.like(pattern), Deal.company_id.in_(by_company)]
    number = number_of(query)
    if number is not None:
        found.append(Deal.id == number)
    return or_(*found)


def _companies(text: str) -> Select[int]:
    found: list[ColumnElement[bool]] = [Company.search_key.like(like_pattern(text))]
    if text.isascii() and text.isdigit():
        found.append(Company.inn.startswith(text))
    return select(Company.id).where(or_(*found))


def _people_below(department_id: int) -> Select[int]:
    below = select(Department.id).where(Department.id == department_id).cte("below", recursive=True)
    below = below.union(select(Department.id).join(below, Department.parent_id == below.c.id))
    return select(Person.id).where(Person.department_id.in_(select(below.c.id)))


def deals_list(
    session: Session, viewer: Viewer, now: datetime, *, filters: DealFilter = NO_FILTER, funnel: str | None = None,
    stage: str | None = None, live_only: bool = False, page: int = 1, per_page: int = PER_PAGE,
) -> Page[DealRow]:  # fmt: skip
    """Return a page of the deals that the viewer may see, newest first."""
    condition = [filters.condition(viewer, now)]
    if funnel:
        line = _funnel(session, funnel)
        condition.append(Deal.funnel_code == line.code)
    if stage:
        chosen = select(Stage.id).where(or_(Stage.code == stage, Stage.title == stage))
        condition.append(Deal.stage_id.in_(chosen))
    if live_only:
        condition.append(Deal.closed_at.is_(None))
    seen = select(Deal.id, func.count().over().label("total")).where(*condition).cte("seen")
    skipped = (page - 1) * per_page
    found = session.execute(select(seen).order_by(seen.c.id.desc()).limit(per_page).offset(skipped)).all()
    if found or page == 1:
        total = found[0].total if found else 0
    else:  # past the last page
        total = session.scalar(select(func.count()).select_from(Deal).where(*condition)) or 0
    deals = _deal_rows(session, viewer, [one.id for one in found], now)
    return Page(items=deals, total=total, page=page, per_page=per_page)


def _funnel(session: Session, funnel: str, lines: Sequence[FunnelRow] | None = None) -> FunnelRow:
    for one in funnels(session, fields=False) if lines is None else lines:
        if funnel in (one.code, one.title):
            return one
    msg = f"Направления «{funnel}» нет."
    raise NotFound(msg)


def _deal_rows(session: Session, viewer: Viewer, ids: Sequence[int], now: datetime) -> list[DealRow]:
    if not ids:
        return []
    rows = session.execute(_rows_of(ids, now)).all()
    cases = [one.case_id for one in rows]
    lines = lines_of(session, cases, now)
    takes_leads = rights.takes_leads(viewer)
    first = rights.first_stages(session) if takes_leads else frozenset[int]()
    stages: dict[int, StageRow] = {}
    people: dict[int, PersonRef] = {}
    return [
        DealRow(
            id=one.id,
            case_id=one.case_id,
            title=one.title,
            link=deal_link(one.id),
            funnel=one.funnel,
            stage=stages.get(one.stage_id)
            or stages.setdefault(
                one.stage_id,
                StageRow(id=one.stage_id, code=one.code, title=one.stage, kind=one.kind, position=one.position),
            ),
            company=one.company,
            company_id=one.company_id,
            responsible=people.get(one.responsible_id)
            or people.setdefault(
                one.responsible_id,
                PersonRef(id=one.responsible_id, name=short_name(one.last_name, one.first_name, one.middle_name)),
            ),
            amount=one.amount,
            debt=one.debt,
            overpaid=one.overpaid,
            created_at=one.created_at,
            stage_entered_at=one.entered_at,
            days_on_stage=max(0, (now - one.entered_at).days),
            open_tasks=one.open_tasks,
            overdue_tasks=one.late_tasks,
            line=lines[one.case_id],
            may_edit=(
                mine := viewer.is_admin
                or one.responsible_id == viewer.person_id
                or one.responsible_id in viewer.acts_for
                or one.department_id in viewer.led_departments
            ),
            may_move=mine or (takes_leads and one.stage_id in first),
        )
        for one in rows
    ]


def _rows_of(ids: Sequence[int], now: datetime) -> Select[*tuple[Any, ...]]:
    late = func.count().filter(Task.due_at <= now)
    open_ = Task.case_id == Deal.case_id, Task.state == "open"
    tasks = select(func.count().label("open"), late.label("late")).where(*open_).lateral("tasks")
    # columns, not objects: a board has hundreds of them
    return (
        select(
            Deal.id, Deal.case_id, Deal.title, Deal.company_id, Deal.amount, Deal.debt, Deal.overpaid, Deal.created_at,
            Deal.responsible_id, Deal.stage_id, Stage.code, Stage.title.label("stage"), Stage.kind, Stage.position,
            Person.last_name, Person.first_name, Person.middle_name, Person.department_id, StageVisit.entered_at,
            Company.name.label("company"), Funnel.title.label("funnel"),
            tasks.c.open.label("open_tasks"), tasks.c.late.label("late_tasks"),
        )
        .join(Stage, Stage.id == Deal.stage_id)
        .join(Funnel, Funnel.code == Deal.funnel_code)
        .join(Person, Person.id == Deal.responsible_id)
        .join(StageVisit, and_(StageVisit.deal_id == Deal.id, StageVisit.left_at.is_(None)))
        .outerjoin(Company, Company.id == Deal.company_id)
        .join(tasks, true())
        .where(among(Deal.id, ids))
        .order_by(Deal.id.desc())
    )  # fmt: skip
