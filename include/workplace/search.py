"""Search over deals, counterparties and tasks, each with the rights of whoever looks; rights are applied in SQL."""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, or_, select, union_all
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.companies.rules import KINDS
from include.deals import rights
from include.deals.facts import deal_link
from include.deals.models import Deal, Stage
from include.process.models import ProcessCase
from include.shared.search import END, HIT, SHORTEST, found_in, marked, number_of, words_of
from include.staff.models import Person
from include.staff.services import Viewer
from include.tasks.models import Task
from include.workplace.shapes import SearchGroup, SearchHit, SearchPart, SearchResult
from include.workplace.words import TASK_STATES

Kind = Literal["deals", "companies", "tasks"]
KINDS_FOUND: tuple[Kind, ...] = get_args(Kind)
TITLES: dict[Kind, str] = {"deals": "Сделки", "companies": "Контрагенты", "tasks": "Задачи"}
PER_GROUP = 8
SHORTEST_INN = 4


def search(
    session: Session, viewer: Viewer, query: str, *, kind: Kind | None = None, per_group: int = PER_GROUP
) -> SearchResult:
    """Return what fits the query, grouped; nothing for fewer than two signs. ``kind`` keeps one group only."""
    words, number = words_of(query), number_of(query)
    if not words or (sum(map(len, words)) < SHORTEST and number is None):
        return SearchResult(query=query, too_short=True, groups=[])
    asked = {"deals": _deals, "companies": _companies, "tasks": _tasks}
    groups = []
    for one in KINDS_FOUND if kind is None else (kind,):
        rows = session.execute(asked[one](viewer, query, words, number).limit(per_group + 1)).mappings().all()
        hits = [_HITS[one](row) for row in rows[:per_group]]
        groups.append(SearchGroup(kind=one, title=TITLES[one], hits=hits, has_more=len(rows) > per_group))
    return SearchResult(query=query, too_short=False, groups=[one for one in groups if one.hits])


def _deals(viewer: Viewer, _query: str, words: list[str], number: int | None) -> Select[*tuple[Any, ...]]:
    companies = select(Company.id).where(found_in(Company.name, words))
    # a union, not an «or»: each part has its own index
    found = [
        select(Deal.id).where(found_in(Deal.title, words)),
        select(Deal.id).where(Deal.company_id.in_(companies)),
    ]
    exact = Deal.id == (number or 0)
    if number is not None:
        found.append(select(Deal.id).where(exact))
    return (
        select(
            Deal.id,
            marked(Deal.title, words).label("title"),
            Stage.title.label("stage"),
            Company.name.label("company"),
            Deal.closed_at.is_(None).label("open"),
        )
        .join(Stage, Stage.id == Deal.stage_id)
        .outerjoin(Company, Company.id == Deal.company_id)
        .where(Deal.id.in_(union_all(*found)), rights.visible_to(viewer))
        .order_by(exact.desc(), Deal.closed_at.is_(None).desc(), Deal.id.desc())
    )


def _companies(_viewer: Viewer, query: str, words: list[str], _number: int | None) -> Select[*tuple[Any, ...]]:
    digits = query.strip()
    fits: list[ColumnElement[bool]] = [found_in(Company.name, words)]
    if digits.isascii() and digits.isdigit() and SHORTEST_INN <= len(digits) <= 12:
        fits.append(Company.inn.startswith(digits))
    return (
        select(Company.id, marked(Company.name, words).label("title"), Company.inn, Company.kind)
        .where(Company.active, or_(*fits))
        .order_by((Company.inn == digits).desc().nulls_last(), Company.search_key, Company.id)
    )


def _tasks(viewer: Viewer, _query: str, words: list[str], number: int | None) -> Select[*tuple[Any, ...]]:
    found = [select(Task.id).where(found_in(Task.title, words))]
    exact = Task.id == (number or 0)
    if number is not None:
        found.append(select(Task.id).where(exact))
    return (
        select(
            Task.id,
            marked(Task.title, words).label("title"),
            Task.state,
            ProcessCase.title.label("case"),
            Person,
        )
        .join(ProcessCase, ProcessCase.id == Task.case_id)
        .join(Person, Person.id == Task.executor_id)
        .where(Task.id.in_(union_all(*found)), rights.tasks_visible_to(viewer))
        .order_by(exact.desc(), (Task.state == "open").desc(), Task.id.desc())
    )


def _deal_hit(row: Any) -> SearchHit:
    note = " · ".join(one for one in (f"№ {row['id']}", row["stage"], row["company"]) if one)
    return _hit("deals", row, deal_link(row["id"]), note, row["open"])


def _company_hit(row: Any) -> SearchHit:
    note = f"ИНН {row['inn']}" if row["inn"] else KINDS.get(row["kind"], "")
    return _hit("companies", row, f"/backoffice/deals?company={row['id']}", note, True)


def _task_hit(row: Any) -> SearchHit:
    note = f"{row['case']} · {row['Person'].short_name} · {TASK_STATES[row['state']]}"
    return _hit("tasks", row, f"/backoffice/tasks/{row['id']}", note, row["state"] == "open")


_HITS = {"deals": _deal_hit, "companies": _company_hit, "tasks": _task_hit}


def _hit(kind: Kind, row: Any, link: str, note: str, is_open: bool) -> SearchHit:
    parts = _parts(row["title"])
    title = "".join(one.text for one in parts)
    return SearchHit(kind=kind, id=row["id"], title=title, parts=parts, note=note, link=link, open=is_open)


def _parts(text: str) -> list[SearchPart]:
    """Return the marked text as pieces that were found and pieces between them."""
    pieces = []
    for number, chunk in enumerate(text.split(HIT)):
        found, end, rest = chunk.partition(END) if number else ("", "", chunk)
        pieces += [(found, True), (rest, False)] if end or not number else [(chunk, False)]
    return [SearchPart(text=one, found=is_hit) for one, is_hit in pieces if one]
