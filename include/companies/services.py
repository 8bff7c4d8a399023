"""Use cases of counterparties: find, show similar ones, create (R003-5, R003-6)."""

from __future__ import annotations

from functools import reduce
from operator import add

from sqlalchemy import ColumnElement, case, func, or_, select, text
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.companies.rules import KINDS, clean_inn, clean_kpp, clean_name, core_of, likeness
from include.shared import once
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.names import like_pattern, search_key
from include.shared.work import Work

FOUND_AT_MOST = 20
SIMILAR_AT_MOST = 10
ALIKE = 0.72
CANDIDATES = 300
LONGEST_CONTACT = 200


def find_companies(session: Session, query: str, limit: int = FOUND_AT_MOST) -> list[Company]:
    """Return active counterparties by a part of the name or the beginning of the ИНН, best first."""
    query = (query or "").replace("\x00", "").strip()[:200]
    statement = select(Company).where(Company.active)
    if query:
        key = search_key(query)
        found: list[ColumnElement[bool]] = [Company.search_key.like(like_pattern(query))]
        if query.isascii() and query.isdigit():
            found.append(Company.inn.startswith(query))
        statement = statement.where(or_(*found)).order_by(Company.search_key.startswith(key, autoescape=True).desc())
    return list(session.scalars(statement.order_by(Company.search_key, Company.id).limit(min(limit, FOUND_AT_MOST))))


def similar(session: Session, name: str, inn: str | None = None) -> list[Company]:
    """Return counterparties with a similar name or the same ИНН, to be shown before a new one is created."""
    core = core_of((name or "").replace("\x00", ""))
    words = sorted((word for word in core.split() if len(word) >= 3), key=len, reverse=True)[:3] or core.split()[:1]
    # the beginning of a word, so that an ending («-ая», «-ый») does not hide a likeness
    roots = [word[: max(3, len(word) - 2)] for word in words]
    found: list[ColumnElement[bool]] = [Company.search_key.like(like_pattern(one)) for one in roots]
    if inn:
        found.append(Company.inn == inn)
    if not found:
        return []
    # those that share most come first: common words («завод», «торговый дом») must not crowd the like one out
    shared: ColumnElement[int] = reduce(add, (case((one, 1), else_=0) for one in found))
    nearest = func.abs(func.length(Company.search_key) - len(search_key(name)))
    statement = select(Company).where(Company.active, or_(*found)).order_by(shared.desc(), nearest, Company.id)
    candidates = session.scalars(statement.limit(CANDIDATES)).all()
    scored = [(1.0 if inn and one.inn == inn else likeness(name, one.name), one) for one in candidates]
    close = [(score, one) for score, one in scored if score >= ALIKE or core in core_of(one.name)]
    return [one for _, one in sorted(close, key=lambda pair: (-pair[0], pair[1].id))[:SIMILAR_AT_MOST]]


def get_company(session: Session, company_id: int) -> Company:
    """Return a counterparty; NotFound when there is none."""
    company = session.get(Company, company_id)
    if company is None:
        msg = f"Контрагента № {company_id} нет."
        raise NotFound(msg)
    return company


def create_company(
    work: Work,
    name: str,
    *,
    inn: str | None = None,
    kpp: str | None = None,
    kind: str = "legal",
    email: str | None = None,
    phone: str | None = None,
    request_key: str | None = None,
) -> Company:
    """Create a counterparty; the same ``request_key`` of the same person joins the first one.

    Conflict names the existing one with the same ИНН and КПП; InvalidInput says what is wrong and in which field.
    """
    if kind not in KINDS:
        msg = f"Вид контрагента – одно из: {', '.join(KINDS)}."
        raise InvalidInput(msg, "kind")
    cleaned = clean_name(name)
    number = clean_inn(inn, kind)
    reason_code = clean_kpp(kpp, kind, number)
    made = once.joined(work, "company", request_key)
    if made is not None:
        return get_company(work.session, made)
    if number is not None:
        _refuse_double(work, number, reason_code)
    company = Company(
        name=cleaned,
        kind=kind,
        inn=number,
        kpp=reason_code,
        email=_contact(email, "email"),
        phone=_contact(phone, "phone"),
        search_key=search_key(cleaned),
        details={},
        active=True,
        responsible_id=work.actor.person_id,
        created_at=work.now,
        created_by=work.actor.person_id,
    )
    work.session.add(company)
    work.session.flush()
    work.audit(
        "company.created", f"Создан контрагент «{cleaned}»", entity="company", entity_id=company.id,
        after={"name": cleaned, "inn": number, "kpp": reason_code},
    )  # fmt: skip
    once.remember(work, "company", request_key, company.id)
    return company


def _refuse_double(work: Work, inn: str, kpp: str | None) -> None:
    """Raise Conflict when the counterparty exists; two people creating it at once come one after another."""
    key = {"key": f"company/{inn}/{kpp or ''}"}
    work.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)
    same_kpp = Company.kpp == kpp if kpp else Company.kpp.is_(None)
    existing = work.session.scalars(select(Company).where(Company.inn == inn, same_kpp).limit(1)).first()
    if existing is not None:
        if existing.joined_into_id is not None:
            existing = work.session.get_one(Company, existing.joined_into_id)
        what = f"ИНН {inn}" + (f" и КПП {kpp}" if kpp else "")
        msg = f"Контрагент с {what} уже есть: «{existing.name}» (№ {existing.id})."
        raise Conflict(msg)


def _contact(value: str | None, field: str) -> str | None:
    written = (value or "").strip()
    if len(written) > LONGEST_CONTACT or "\x00" in written:
        msg = f"Слишком длинно: до {LONGEST_CONTACT} знаков."
        raise InvalidInput(msg, field)
    return written or None
