"""Bank statements, payment sheets, deals and invoices for the tests of money."""

from __future__ import annotations

import datetime as dt
import io
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import openpyxl
from sqlalchemy import select

from include.companies.services import create_company
from include.money import intake, invoices, matching
from include.money.models import Invoice, OwnAccount, Payment
from include.shared.work import Actor, transaction
from tests.db.driver import Driver, Process

OURS, OURS_TOO, THEIRS = "40702810477266704262", "40702810000000074935", "40702810334949449692"
INN, OTHER_INN = "7707083893", "6154288189"
US = "ООО «Мы»"
_once = itertools.count(1)


def own_accounts(*accounts: str) -> None:
    """Make accounts ours; their control keys are not asked about here."""
    with transaction(Actor(kind="system")) as work:
        for one in accounts or (OURS,):
            if work.session.scalar(select(OwnAccount.id).where(OwnAccount.account == one)) is None:
                work.session.add(
                    OwnAccount(account=one, bik="044525225", bank="Банк", organisation=US, added_at=work.now)
                )


def client(inn: str = INN, name: str = "") -> int:
    """Return a counterparty with this ИНН."""
    from include.companies.models import Company

    with transaction(Actor(kind="system")) as work:
        found = work.session.scalar(select(Company.id).where(Company.inn == inn))
        return found or create_company(work, name or f"ООО Клиент {inn}", inn=inn, kpp="770701001").id


def deal_for(
    driver: Driver, amount: int = 1000, *, inn: str = INN, processes: Sequence[Process] = (), **more: Any
) -> int:
    """A deal of this sum with the counterparty of this ИНН."""
    made = driver.deal(*processes, company_id=client(inn), **more)
    driver.fill(made, amount=amount)
    return made


def invoice(driver: Driver, deal: int, amount: Any = 1000, number: str = "", day: str = "2026-11-20") -> Invoice:
    """An invoice of the deal as 1C made it."""
    said = number or f"С-{next(_once)}"
    with driver.acting("accountant") as work:
        return invoices.record(work, deal, number=said, date=dt.date.fromisoformat(day), amount=amount, organisation=US)


def paying(amount: Any, purpose: str, *, number: str = "7", inn: str = INN, **changes: Any) -> dict[str, Any]:
    """A payment that came to us, as a section of a statement."""
    return {
        "Номер": number, "Дата": "20.11.2026", "Сумма": f"{Decimal(str(amount)):.2f}", "ПлательщикСчет": THEIRS,
        "Плательщик": "ООО Ромашка", "ПлательщикИНН": inn, "ПолучательСчет": OURS, "ДатаПоступило": "21.11.2026",
        "Получатель": "ООО Мы", "НазначениеПлатежа": purpose, **changes,
    }  # fmt: skip


def spending(amount: Any, purpose: str, *, number: str = "8", inn: str = INN, to: str = THEIRS) -> dict[str, Any]:
    """A payment that left us."""
    return {
        "Номер": number, "Дата": "20.11.2026", "Сумма": f"{Decimal(str(amount)):.2f}", "ПлательщикСчет": OURS,
        "ДатаСписано": "20.11.2026", "ПолучательСчет": to, "Получатель": "ООО Ромашка", "ПолучательИНН": inn,
        "НазначениеПлатежа": purpose,
    }  # fmt: skip


def statement(*documents: dict[str, Any], opening: int = 100, wrong: Any = 0, accounts: tuple[str, ...] = (OURS,),
              encoding: str = "cp1251", doubled: bool = False) -> bytes:  # fmt: skip
    """A statement whose balances fit (unless ``wrong``): of the first account, or of several with the same papers."""
    said = ["1CClientBankExchange", "ВерсияФормата=1.03", "Кодировка=Windows", "ДатаНачала=20.11.2026",
            "ДатаКонца=21.11.2026", *(f"РасчСчет={one}" for one in accounts)]  # fmt: skip
    for one in accounts:
        came = sum((Decimal(d["Сумма"]) for d in documents if d["ПолучательСчет"] == one), Decimal(0))
        went = sum((Decimal(d["Сумма"]) for d in documents if d["ПлательщикСчет"] == one), Decimal(0))
        said += ["СекцияРасчСчет", "ДатаНачала=20.11.2026", "ДатаКонца=21.11.2026", f"РасчСчет={one}",
                 f"НачальныйОстаток={opening}.00", f"ВсегоПоступило={came:.2f}", f"ВсегоСписано={went:.2f}",
                 f"КонечныйОстаток={opening + came - went + Decimal(wrong):.2f}", "КонецРасчСчет"]  # fmt: skip
    for one in documents * (2 if doubled else 1):
        said += ["СекцияДокумент=Платежное поручение", *(f"{key}={value}" for key, value in one.items()),
                 "КонецДокумента"]  # fmt: skip
    return "\r\n".join([*said, "КонецФайла", ""]).encode(encoding)


def sheet(*rows: dict[str, Any]) -> bytes:
    """An xlsx with payments; the headings are the keys of the first row."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.append(list(rows[0]))
    for one in rows:
        page.append([one.get(key) for key in rows[0]])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def check(driver: Driver, content: bytes, kind: str = "bank", name: str = "kl_to_1c.txt") -> int:
    """Send a file; returns its number."""
    return intake.check_upload(driver.company.viewer("accountant").actor, kind, name, io.BytesIO(content))


def take(driver: Driver, content: bytes, kind: str = "bank", name: str = "kl_to_1c.txt") -> intake.Loaded:
    """Send a file, load it and let the matching run."""
    actor = driver.company.viewer("accountant").actor
    loaded = intake.load(actor, check(driver, content, kind, name))
    matching.run(actor)
    driver.settle()
    return loaded


def payments(driver: Driver, statement_id: int | None = None) -> list[Payment]:
    """The payments of a file (of all), in its order."""
    wanted = select(Payment).order_by(Payment.id)
    if statement_id is not None:
        wanted = wanted.where(Payment.statement_id == statement_id)
    return list(driver.read(lambda session: session.scalars(wanted).all()))


def paid(driver: Driver, deal: int) -> tuple[Decimal, Decimal]:
    """«Сумма оплаты» and the debt of a deal, in roubles."""
    row = driver.deal_row(deal)
    return row.paid, row.debt
