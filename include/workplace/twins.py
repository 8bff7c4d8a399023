"""Cards that may be one counterparty, as those who answer for the exchange see and decide them (issue 5, line 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from include.companies import twins
from include.companies.models import Company, CompanyTwin
from include.companies.rules import KINDS
from include.companies.services import get_company
from include.exchange_1c.rights import require_exchange
from include.shared.db import Json, among
from include.shared.work import Work, reading, transaction
from include.staff.services import Viewer, names
from include.workplace import history
from include.workplace.shapes import Page, PersonRef
from include.workplace.twins_shapes import CompanyCard, Difference, TwinCard, TwinCounts, TwinList, TwinRow

PER_PAGE = 50
STATES = {"open": "ждёт решения", "joined": "соединены", "separated": "разные"}
REASONS = {
    "same_inn_kpp": "одинаковые ИНН и КПП", "same_inn": "одинаковый ИНН, разные КПП", "by_hand": "выбраны человеком",
}  # fmt: skip
#: table → what of it names a card
TITLES = {
    "deal": "сделок", "contact": "контактов", "invoice": "счетов", "payment": "платежей",
    "one_c_document": "документов 1С",
}  # fmt: skip


def pairs(
    session: Session, viewer: Viewer, state: str = "open", *, page: int = 1, per_page: int = PER_PAGE
) -> TwinList:
    """Return a page of pairs of a state: those that wait the oldest first, the decided ones the newest first."""
    require_exchange(viewer)
    counted = dict(session.execute(select(CompanyTwin.state, func.count()).group_by(CompanyTwin.state)).tuples().all())
    order = CompanyTwin.id if state == twins.OPEN else CompanyTwin.decided_at.desc()
    rows = session.scalars(
        select(CompanyTwin)
        .where(CompanyTwin.state == state)
        .order_by(order, CompanyTwin.id)
        .offset((page - 1) * per_page)
        .limit(per_page)
    ).all()
    total = counted.get(state, 0)
    return TwinList(
        page=Page[TwinRow](items=_rows(session, rows), total=total, page=page, per_page=per_page),
        counts=TwinCounts(**{one: counted.get(one, 0) for one in STATES}),
    )


def pair(session: Session, viewer: Viewer, twin_id: int) -> TwinCard:
    """Return a pair: both cards, what names each, what differs, and what joining them would do."""
    require_exchange(viewer)
    twin = twins.twin_of(session, twin_id)
    kept, other = get_company(session, twin.kept_id), get_company(session, twin.other_id)
    cards = (_card(session, kept), _card(session, other))
    people = names(session, {twin.decided_by} if twin.decided_by is not None else set())
    return TwinCard(
        row=_rows(session, [twin])[0],
        kept=cards[0],
        other=cards[1],
        fields=_fields(kept, other),
        preview=_preview(kept, other, cards[1].hanging),
        decided_at=twin.decided_at,
        decided_by=PersonRef(id=twin.decided_by, name=people.get(twin.decided_by, "")) if twin.decided_by else None,
        history=history.of_entity(session, "company", twin.kept_id),
    )


def ask(viewer: Viewer, kept_id: int, other_id: int) -> TwinCard:
    """Put two cards that a person has chosen side by side; a pair that is there is shown."""
    return _act(viewer, lambda work: twins.ask(work, kept_id, other_id))


def join(viewer: Viewer, twin_id: int) -> TwinCard:
    """Make two cards one."""
    return _act(viewer, lambda work: twins.join(work, twin_id))


def separate(viewer: Viewer, twin_id: int) -> TwinCard:
    """Note that two cards are different counterparties."""
    return _act(viewer, lambda work: twins.separate(work, twin_id))


def undo(viewer: Viewer, twin_id: int) -> TwinCard:
    """Take a decision about two cards back."""
    return _act(viewer, lambda work: twins.undo(work, twin_id))


def _act(viewer: Viewer, act: Callable[[Work], CompanyTwin]) -> TwinCard:
    require_exchange(viewer)
    with transaction(viewer.actor) as work:
        twin_id = act(work).id
    with reading() as session:
        return pair(session, viewer, twin_id)


def _rows(session: Session, found: Sequence[CompanyTwin]) -> list[TwinRow]:
    ids = {one for twin in found for one in (twin.kept_id, twin.other_id)}
    rows = session.execute(select(Company.id, Company.name, Company.inn, Company.kpp).where(among(Company.id, ids)))
    said = {row.id: _named(row.name, row.inn, row.kpp) for row in rows}
    return [
        TwinRow(
            id=one.id, state=one.state, state_title=STATES[one.state], reason=REASONS[one.reason],
            kept=said[one.kept_id], kept_id=one.kept_id, other=said[one.other_id], other_id=one.other_id,
            exchange_id=one.exchange_id, found_at=one.found_at, link=f"/backoffice/twins/{one.id}",
        )
        for one in found
    ]  # fmt: skip


def named(one: Company) -> str:
    """Return a card as a list names it: with its ИНН and КПП."""
    return _named(one.name, one.inn, one.kpp)


def _named(name: str, inn: str | None, kpp: str | None) -> str:
    numbers = " / ".join(one for one in (inn, kpp) if one)
    return f"{name} ({numbers})" if numbers else name


def _card(session: Session, one: Company) -> CompanyCard:
    hanging = [f"{TITLES.get(found.table, found.table)}: {found.number}" for found in twins.hanging(session, one.id)]
    return CompanyCard(
        id=one.id, name=one.name, inn=one.inn, kpp=one.kpp, external_id=one.external_id, active=one.active,
        hanging=hanging,
    )  # fmt: skip


def _fields(kept: Company, other: Company) -> list[Difference]:
    told: dict[str, Callable[[Company], Any]] = {
        "Наименование": lambda one: one.name,
        "Полное наименование": lambda one: one.full_name,
        "Вид": lambda one: KINDS.get(one.kind, one.kind),
        "ИНН": lambda one: one.inn,
        "КПП": lambda one: one.kpp,
        "Почта": lambda one: one.email,
        "Телефон": lambda one: one.phone,
        "Адреса": lambda one: _listed(one.details.get("addresses")),
        "Счета в банках": lambda one: _listed(one.details.get("accounts")),
        "Контакты": lambda one: _listed(one.details.get("contacts")),
        "Ид 1С": lambda one: one.external_id,
        "Состояние": lambda one: "действует" if one.active else "не действует",
    }
    found = []
    for title, of in told.items():
        values = (str(of(kept) or "—"), str(of(other) or "—"))
        found.append(Difference(title=title, kept=values[0], other=values[1], differs=values[0] != values[1]))
    return found


def _listed(values: Iterable[Json] | None) -> str:
    """Return what 1C says of addresses, accounts or contacts, each in a line."""
    return "\n".join(", ".join(_words(one)) for one in values or ())


def _words(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [word for one in value.values() for word in _words(one)]
    if isinstance(value, list):
        return [word for one in value for word in _words(one)]
    return [str(value)] if value not in (None, "", True, False) else []


def _preview(kept: Company, other: Company, hanging: Sequence[str]) -> list[str]:
    moved = ", ".join(hanging)
    said = [
        f"Останется карточка № {kept.id} «{kept.name}».",
        f"К ней перейдут: {moved}." if moved else f"За карточкой № {other.id} ничего не числится, переходить нечему.",
    ]
    if kept.external_id is None and other.external_id is not None:
        said.append("Она возьмёт Ид и данные 1С второй карточки; то, чего в 1С нет, останется как было.")
    elif kept.external_id is not None and other.external_id is not None:
        said.append("Обе карточки есть в 1С: у второй останется её Ид, новые документы 1С по ней пойдут к первой.")
    said.append(f"Карточка № {other.id} перестанет действовать. Решение можно отменить.")
    return said
