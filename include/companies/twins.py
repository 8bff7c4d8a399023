"""Cards that may be one counterparty: found by ИНН, never by name; a person joins or separates them and may undo it.

Joining moves everything that names the other card to the kept one, gives it what 1C knows and puts the other one out of
use. What was moved is remembered, so that undoing gives back exactly that, as far as nobody has changed it meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, func, select, text, update
from sqlalchemy.orm import Session

from include.companies.models import Company, CompanyTwin
from include.shared.db import Base, Json, among, query_text
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.work import Work

#: What 1C is the master of: a kept card without an Ид of its own takes these from the other one, where it has them.
FROM_1C = ("name", "search_key", "full_name", "kind", "inn", "kpp", "email", "phone")
OPEN, JOINED, SEPARATED = "open", "joined", "separated"


@dataclass(frozen=True)
class Hanging:
    """What names a card: the table and the column, and how many rows of it."""

    table: str
    column: str
    number: int


@cache
def references() -> tuple[Column[Any], ...]:
    """Return every column of the business database that names a counterparty, but for those of the twins themselves."""
    own = {(Company.__tablename__, "joined_into_id"), (CompanyTwin.__tablename__, "kept_id"),
           (CompanyTwin.__tablename__, "other_id")}  # fmt: skip
    of_company = Company.__table__.c.id
    found = (
        key.parent for table in Base.metadata.sorted_tables for key in table.foreign_keys if key.column is of_company
    )
    return tuple(one for one in found if (one.table.name, one.name) not in own)


def note(work: Work, exchange_id: int, external_ids: Collection[str]) -> int:
    """Ask about the counterparties of these Ид that came although cards with the same ИНН exist; returns how many."""
    if not external_ids:
        return 0
    values = {"exchange_id": exchange_id, "external_ids": list(external_ids), "now": work.now}
    result: Any = work.session.execute(text(query_text("companies/note_twins")), values)
    return int(result.rowcount)


def ask(work: Work, kept_id: int, other_id: int) -> CompanyTwin:
    """Put two cards that a person has chosen into the queue; a pair that is there, either way round, is returned."""
    if kept_id == other_id:
        msg = "Выберите две разные карточки."
        raise InvalidInput(msg, "other_id")
    rows = _cards(work, {kept_id, other_id})
    for one in rows.values():
        if one.joined_into_id is not None:
            msg = f"Карточка «{one.name}» (№ {one.id}) уже соединена с карточкой № {one.joined_into_id}."
            raise Conflict(msg)
    found = work.session.scalar(
        select(CompanyTwin).where(
            ((CompanyTwin.kept_id == kept_id) & (CompanyTwin.other_id == other_id))
            | ((CompanyTwin.kept_id == other_id) & (CompanyTwin.other_id == kept_id))
        )
    )
    if found is not None:
        if found.state == SEPARATED:
            _decide(work, found, OPEN)
        return found
    made = CompanyTwin(kept_id=kept_id, other_id=other_id, reason="by_hand", state=OPEN, found_at=work.now)
    work.session.add(made)
    work.session.flush()
    return made


def twin_of(session: Session, twin_id: int) -> CompanyTwin:
    """Return a pair; NotFound when there is none."""
    found = session.get(CompanyTwin, twin_id)
    if found is None:
        msg = f"Пары карточек № {twin_id} нет."
        raise NotFound(msg)
    return found


def hanging(session: Session, company_id: int) -> list[Hanging]:
    """Return what names a card, without what nothing is of."""
    found = []
    for column in references():
        number = session.scalar(select(func.count()).select_from(column.table).where(column == company_id)) or 0
        if number:
            found.append(Hanging(column.table.name, column.name, number))
    return found


def join(work: Work, twin_id: int) -> CompanyTwin:
    """Make two cards one: the older one is kept; Conflict when somebody has decided about them meanwhile."""
    twin = _locked(work, twin_id)
    _require(twin, OPEN, "Об этой паре уже решено. Обновите страницу.")
    cards = _cards(work, {twin.kept_id, twin.other_id})
    kept, other = cards[twin.kept_id], cards[twin.other_id]
    for one in (kept, other):
        if one.joined_into_id is not None:
            msg = f"Карточка «{one.name}» уже соединена с карточкой № {one.joined_into_id}."
            raise Conflict(msg)
    rows = {_name(column): _move(work, column, other.id, kept.id) for column in references()}
    moved: Json = {"rows": {name: ids for name, ids in rows.items() if ids}, "other_was_active": other.active}
    if kept.external_id is None and other.external_id is not None:
        moved["external_id"] = other.external_id
        moved["before"] = {name: getattr(kept, name) for name in (*FROM_1C, "details")}
        external_id, other.external_id = other.external_id, None
        work.session.flush()  # the Ид is unique: one card gives it up before the other one takes it
        kept.external_id = external_id
        for name in FROM_1C:
            setattr(kept, name, getattr(other, name) or getattr(kept, name))
        kept.details = kept.details | other.details
        moved["after"] = {name: getattr(kept, name) for name in (*FROM_1C, "details")}
    else:  # what staff entered on the other card and the kept one lacks is not lost
        moved["before"] = {name: getattr(kept, name) for name in ("email", "phone")}
        kept.email, kept.phone = kept.email or other.email, kept.phone or other.phone
        moved["after"] = {name: getattr(kept, name) for name in ("email", "phone")}
    other.joined_into_id, other.active = kept.id, False
    twin.moved = moved
    _decide(work, twin, JOINED)
    number = sum(len(ids) for ids in moved["rows"].values())
    _say(work, twin, f"Карточка «{other.name}» (№ {other.id}) соединена с «{kept.name}»; перенесено записей: {number}")
    return twin


def separate(work: Work, twin_id: int) -> CompanyTwin:
    """Note that two cards are different counterparties: the pair is not asked about again."""
    twin = _locked(work, twin_id)
    _require(twin, OPEN, "Об этой паре уже решено. Обновите страницу.")
    _decide(work, twin, SEPARATED)
    _say(work, twin, f"Карточки № {twin.kept_id} и № {twin.other_id} – разные контрагенты")
    return twin


def undo(work: Work, twin_id: int) -> CompanyTwin:
    """Take a decision back: what joining moved goes back as far as nobody has moved or changed it since."""
    twin = _locked(work, twin_id)
    if twin.state == OPEN:
        msg = "Отменять нечего: об этой паре ещё не решено."
        raise Conflict(msg)
    if twin.state == JOINED:
        _take_apart(work, twin)
    twin.moved = {}
    _say(work, twin, f"Решение о карточках № {twin.kept_id} и № {twin.other_id} отменено")
    _decide(work, twin, OPEN)
    return twin


def _take_apart(work: Work, twin: CompanyTwin) -> None:
    cards = _cards(work, {twin.kept_id, twin.other_id})
    kept, other, moved = cards[twin.kept_id], cards[twin.other_id], twin.moved
    if kept.joined_into_id is not None:
        msg = f"Сначала отмените соединение карточки «{kept.name}» с карточкой № {kept.joined_into_id}."
        raise Conflict(msg)
    for column in references():
        ids = moved["rows"].get(_name(column), [])
        if ids:
            key = _key(column.table)
            work.session.execute(
                update(column.table).where(among(key, ids), column == kept.id).values({column.name: other.id})
            )
    for name, value in moved["before"].items():
        if getattr(kept, name) == moved["after"][name]:
            setattr(kept, name, value)
    if moved.get("external_id") is not None and kept.external_id == moved["external_id"]:
        kept.external_id = None
        work.session.flush()
        other.external_id = moved["external_id"]
    other.joined_into_id, other.active = None, bool(moved["other_was_active"])


def _cards(work: Work, ids: Collection[int]) -> dict[int, Company]:
    """Return the cards locked, in the order of their numbers: two decisions about one card come one after another."""
    rows = work.session.scalars(
        select(Company).where(Company.id.in_(ids)).order_by(Company.id).with_for_update()
        .execution_options(populate_existing=True)
    ).all()  # fmt: skip
    found = {one.id: one for one in rows}
    for one in ids:
        if one not in found:
            msg = f"Контрагента № {one} нет."
            raise NotFound(msg)
    return found


def _locked(work: Work, twin_id: int) -> CompanyTwin:
    found = work.session.get(CompanyTwin, twin_id, with_for_update=True, populate_existing=True)
    if found is None:
        msg = f"Пары карточек № {twin_id} нет."
        raise NotFound(msg)
    return found


def _move(work: Work, column: Column[Any], source: int, target: int) -> list[int]:
    key = _key(column.table)
    rows = work.session.execute(
        update(column.table).where(column == source).values({column.name: target}).returning(key)
    )
    return sorted(rows.scalars())


def _key(table: FromClause) -> ColumnElement[int]:
    (key,) = table.primary_key
    found: ColumnElement[int] = key
    return found


def _name(column: Column[Any]) -> str:
    return f"{column.table.name}.{column.name}"


def _require(twin: CompanyTwin, state: str, otherwise: str) -> None:
    if twin.state != state:
        raise Conflict(otherwise)


def _decide(work: Work, twin: CompanyTwin, state: str) -> None:
    twin.state = state
    twin.decided_at = None if state == OPEN else work.now
    twin.decided_by = None if state == OPEN else work.actor.person_id
    work.session.flush()


def _say(work: Work, twin: CompanyTwin, said: str) -> None:
    work.audit(
        "company.twin", said, entity="company", entity_id=twin.kept_id,
        after={"twin": twin.id, "kept": twin.kept_id, "other": twin.other_id, **_short(twin.moved)},
    )  # fmt: skip


def _short(moved: Json) -> Json:
    return {"moved": {name: len(ids) for name, ids in moved.get("rows", {}).items()}}
