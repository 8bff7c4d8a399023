"""Own bank accounts: without them nobody can say which way a payment went."""

from __future__ import annotations

import re

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.money.models import OwnAccount
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.texts import storable, visible
from include.shared.work import Work

LONGEST_NAME = 300
_ACCOUNT = re.compile(r"[0-9]{5}[0-9ABCEHKMPTX][0-9]{14}")
_BIK = re.compile(r"[0-9]{9}")
_WEIGHTS = (7, 1, 3)
_LETTERS = {"A": 0, "B": 1, "C": 2, "E": 3, "H": 4, "K": 5, "M": 6, "P": 7, "T": 8, "X": 9}


def add_account(work: Work, *, account: str, bik: str, bank: str, organisation: str) -> OwnAccount:
    """Make an account of ours known, or put a closed one in use again.

    InvalidInput names the field that is wrong, Conflict an account that is known already.
    """
    number, code = clean_account(account, bik)
    named = {"bank": _name(bank, "bank", "банк"), "organisation": _name(organisation, "organisation", "организацию")}
    work.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"own_account/{number}"}
    )
    found = work.session.scalars(select(OwnAccount).where(OwnAccount.account == number)).first()
    if found is not None and found.active:
        msg = f"Счёт {number} уже есть: {found.organisation}, {found.bank}."
        raise Conflict(msg)
    if found is None:
        found = OwnAccount(account=number, added_at=work.now, added_by=work.actor.person_id)
        work.session.add(found)
    found.bik, found.bank, found.organisation, found.active = code, named["bank"], named["organisation"], True
    work.session.flush()
    work.audit(
        "own_account.added", f"Добавлен наш счёт {number} в {found.bank}", entity="own_account", entity_id=found.id,
        after={"account": number, "bik": code, **named},
    )  # fmt: skip
    return found


def set_active(work: Work, account_id: int, active: bool) -> OwnAccount:
    """Close an account or open it again; a closed one is still ours, statements of it are still read."""
    found = account_of(work.session, account_id)
    if found.active != active:
        found.active = active
        said = "снова действует" if active else "закрыт"
        work.audit(
            "own_account.changed", f"Наш счёт {found.account} {said}", entity="own_account", entity_id=found.id,
            before={"active": not active}, after={"active": active},
        )  # fmt: skip
    return found


def account_of(session: Session, account_id: int) -> OwnAccount:
    """Return an own account; NotFound when there is none."""
    found = session.get(OwnAccount, account_id)
    if found is None:
        msg = f"Нашего счёта № {account_id} нет."
        raise NotFound(msg)
    return found


def own_accounts(session: Session) -> list[OwnAccount]:
    """Return all accounts of ours, those in use first."""
    order = (OwnAccount.active.desc(), OwnAccount.organisation, OwnAccount.account)
    return list(session.scalars(select(OwnAccount).order_by(*order)))


def organisations(session: Session) -> list[str]:
    """Return the organisations that have an account in use, by name."""
    found = select(OwnAccount.organisation).where(OwnAccount.active).distinct().order_by(OwnAccount.organisation)
    return list(session.scalars(found))


def clean_account(account: str, bik: str) -> tuple[str, str]:
    """Return a checked account (20 signs) and БИК (9 digits) whose control key fits; InvalidInput otherwise."""
    code = re.sub(r"\s", "", bik or "")
    if not code.isascii() or not _BIK.fullmatch(code):
        msg = "БИК – 9 цифр, например 044525225."
        raise InvalidInput(msg, "bik")
    number = re.sub(r"\s", "", account or "").upper()
    if not number.isascii() or not _ACCOUNT.fullmatch(number):
        msg = "Номер счёта – 20 цифр."
        raise InvalidInput(msg, "account")
    if not key_fits(number, code):
        msg = "Номер счёта и БИК не подходят друг к другу: не сходится контрольная цифра. Проверьте оба."
        raise InvalidInput(msg, "account")
    return number, code


def key_fits(account: str, bik: str) -> bool:
    """Say whether the control digit of an account fits the bank (order of the Bank of Russia 515 of 08.09.1997)."""
    head = f"0{bik[4:6]}" if bik[6:] in ("000", "001", "002") else bik[6:]
    digits = [_LETTERS[one] if one in _LETTERS else int(one) for one in f"{head}{account}"]
    return sum(digit * _WEIGHTS[place % 3] for place, digit in enumerate(digits)) % 10 == 0


def _name(value: str, field: str, what: str) -> str:
    cleaned = " ".join((value or "").split())
    if not visible(cleaned) or len(cleaned) > LONGEST_NAME or not storable(cleaned):
        msg = f"Назовите {what} (до {LONGEST_NAME} знаков)."
        raise InvalidInput(msg, field)
    return cleaned
