"""Payments of a file as movements on our accounts, and what of the file a person must know before it is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from include.money.purposes import invoice_mentions, is_refund, listed_numbers
from include.money.records import (
    INTERNAL,
    UNKNOWN,
    AccountSection,
    CellProblem,
    Limits,
    Party,
    Reject,
    Remark,
    SpreadsheetPayment,
    StatementPayment,
)
from include.money.rules import payment_key
from include.money.spreadsheet import PaymentSheet
from include.money.staging import Leg
from include.money.statement import StatementFile
from include.shared.db import Json

SHOWN = 200  # problems and warnings that a report keeps; all of them are counted


@dataclass
class Found:
    """What came out of a file beside its payments: what stops it, what is left out of it, what to look at."""

    stops: list[Json] = field(default_factory=list)  # nothing of the file may be loaded
    rejects: list[Json] = field(default_factory=list)  # these payments are not loaded, the others may be
    warnings: list[Json] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: {"stops": 0, "rejects": 0, "warnings": 0})

    def add(self, where: str, line: int, text: str, cell: str | None = None) -> None:
        """Note one thing under stops, rejects or warnings."""
        self.counts[where] += 1
        kept: list[Json] = getattr(self, where)
        if len(kept) < SHOWN:
            kept.append({"line": line, "cell": cell, "text": text})


class BankLegs:
    """A statement of the bank as legs; ``found`` and ``head`` are whole when ``legs`` has ended."""

    def __init__(self, path: Path, own: Mapping[str, int], limits: Limits | None = None) -> None:
        """Look at the beginning of the file; StatementRefused when it is no statement."""
        self._own = own
        self.found = Found()
        self.file = StatementFile(path, own, limits)

    def legs(self) -> Iterator[Leg]:
        """Give one leg for each of our accounts that a payment moves; StatementDamaged when the file is cut."""
        for record in self.file.records():
            if isinstance(record, StatementPayment):
                yield from self._sides(record)
            elif isinstance(record, Reject):
                self.found.add("rejects", record.line, f"Платёж № {record.number or 'б/н'}: {record.reason}")
            elif isinstance(record, Remark):
                named = f"№ {record.number}: " if record.number and record.entity == "payment" else ""
                self.found.add("warnings", record.line, f"{named}{record.text}")
        check = self.file.check
        for one in check.disagreements:
            self.found.add("stops", one.line, one.text)
        if check.unknown and not check.unknown_accounts:
            text = f"Документов, в которых нет ни одного нашего счёта: {check.unknown}. Они не загружаются."
            self.found.add("warnings", 0, text)
        if check.unknown_accounts:
            named = ", ".join(one.account for one in check.unknown_accounts[:5])
            text = f"Выписка о счёте, которого нет среди наших: {named}. Добавьте его и проверьте файл снова."
            self.found.add("stops", 0, text)

    def _sides(self, payment: StatementPayment) -> Iterator[Leg]:
        if payment.direction == UNKNOWN:
            return
        mentions = tuple(dict.fromkeys(one.number_key for one in invoice_mentions(payment.purpose)))
        refund = is_refund(payment.purpose)
        for own, other, direction, day in (
            (payment.payer, payment.payee, "out", payment.left_on),
            (payment.payee, payment.payer, "in", payment.came_on),
        ):
            if own.account is None or own.account not in self._own:
                continue
            key = payment_key(
                own.account, direction, payment.number, payment.date, payment.amount, other.account, payment.purpose
            )
            yield Leg(
                line=payment.line, own_account_id=self._own[own.account], direction=direction,
                internal=payment.direction == INTERNAL, refund=refund, base_key=key, kind=payment.kind,
                number=payment.number, date=day, amount=payment.amount, counter_account=other.account,
                counter_inn=other.inn, counter_kpp=other.kpp, counter_name=other.name, purpose=payment.purpose,
                mentions=mentions, details=_details(payment, other),
            )  # fmt: skip

    def stated(self) -> dict[tuple[int, str], Decimal | None]:
        """Return what the sections state of each of our accounts and directions; None where a period lacks it."""
        sums: dict[tuple[int, str], Decimal | None] = {}
        seen: set[tuple[Any, ...]] = set()
        for one in self.file.check.sections:
            same = (
                one.account, one.date_from, one.date_to, one.opening, one.incoming, one.outgoing, one.closing,
            )  # fmt: skip
            if one.account not in self._own or same in seen:
                continue
            seen.add(same)
            for direction, amount in (("in", one.incoming), ("out", one.outgoing)):
                key = self._own[one.account], direction
                before = sums.get(key, Decimal(0))
                sums[key] = None if amount is None or before is None else before + amount
        return sums

    def sections(self) -> list[AccountSection]:
        """Return the balances of our accounts as the file states them."""
        return [one for one in self.file.check.sections if one.account in self._own]


class SheetLegs:
    """A table of payments as legs; ``found`` is whole when ``legs`` has ended."""

    def __init__(
        self, path: Path, own: Mapping[str, int], deals: Collection[int], limits: Limits | None = None
    ) -> None:
        """Look at the package; ``deals`` are the numbers of deals that a row may name."""
        self._own = own
        self._deals = deals
        self.found = Found()
        self.file = PaymentSheet(path, limits)

    def legs(self) -> Iterator[Leg]:
        """Give a leg for each row without a wrong cell; StatementRefused or Damaged when it is no such table."""
        for record in self.file.records():
            if isinstance(record, SpreadsheetPayment):
                if record.account is not None and record.account not in self._own:
                    text = f"Счёта {record.account} нет среди наших: добавьте его или очистите ячейку."
                    self.found.add("rejects", record.line, text)
                    continue
                yield self._leg(record)
            elif isinstance(record, CellProblem):
                said = f"«{record.title}»: {record.reason}" + (f" Стоит: {record.value}" if record.value else "")
                self.found.add("rejects", record.line, said, f"{record.column}{record.line}")
            else:
                self.found.add("warnings", record.line, record.text)

    def _leg(self, row: SpreadsheetPayment) -> Leg:
        mentions = (*listed_numbers(row.invoice or ""), *invoice_mentions(row.purpose))
        said: Json = {
            "invoice": row.invoice, "invoice_date": row.invoice_date.isoformat() if row.invoice_date else None,
            "deal": row.deal, "raw": row.raw, "other": row.details,
        }  # fmt: skip
        if row.deal and deal_number(row.deal) not in self._deals:
            text = f"Сделка «{row.deal}» по номеру не найдена: платёж будет сопоставлен по остальным данным."
            self.found.add("warnings", row.line, text)
        purpose = row.purpose or (f"Счёт {row.invoice}" if row.invoice else "")
        key = payment_key(
            row.account or "", "in", row.number, row.date, row.amount, row.payer.account or row.payer.inn,
            f"{row.purpose}|{row.invoice or ''}|{row.payer.name}",
        )  # fmt: skip
        return Leg(
            line=row.line, own_account_id=self._own.get(row.account) if row.account else None, direction="in",
            internal=False, refund=is_refund(row.purpose), base_key=key, kind="", number=row.number, date=row.date,
            amount=row.amount, counter_account=row.payer.account, counter_inn=row.payer.inn, counter_kpp=row.payer.kpp,
            counter_name=row.payer.name, purpose=purpose,
            mentions=tuple(dict.fromkeys(one.number_key for one in mentions)),
            details={name: value for name, value in said.items() if value},
        )  # fmt: skip


def deal_number(said: str | None) -> int | None:
    """Return the number of a deal that a cell names («12», «№ 12»), None for anything else."""
    digits = (said or "").replace("№", "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def _details(payment: StatementPayment, other: Party) -> Json:
    found: Json = {
        "bank": other.bank, "bik": other.bik, "correspondent": other.correspondent, "document_date":
        payment.date.isoformat(), "priority": payment.priority, "uin": payment.uin,
        "payer_status": payment.payer_status, "kbk": payment.kbk, "oktmo": payment.oktmo,
        "raw": payment.raw, "other": payment.details,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}
