"""What a file with payments gives, record by record, and how it can be refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal

from include.shared.db import Json
from include.shared.errors import BackofficeError

MEGABYTE = 1024 * 1024
#: which way a payment went, seen from our accounts
INCOMING, OUTGOING, INTERNAL, UNKNOWN = "in", "out", "internal", "unknown"


class StatementRefused(BackofficeError):
    """The file is no statement or sheet that we can read (format, encoding, size, columns): nothing is loaded."""


class StatementDamaged(StatementRefused):
    """The file is cut or broken inside: nothing of it is loaded."""


@dataclass(frozen=True)
class Limits:
    """Bounds against files that would eat memory: bytes of a file, characters of a line and of a section, counts."""

    file_bytes: int = 4096 * MEGABYTE
    line_chars: int = 32_000
    section_chars: int = 256_000
    accounts: int = 10_000  # sections with balances
    days: int = 200_000  # of all accounts together, for the control of balances
    broken_lines: int = 200  # with bytes that are no letters of the encoding
    sheet_bytes: int = 64 * MEGABYTE  # an xlsx as it is sent
    sheet_unpacked: int = 1024 * MEGABYTE  # of all its sheets
    sheet_rows: int = 1_048_576


@dataclass(slots=True)
class StatementHead:
    """The header of a statement; ``encoding`` is what the bytes are, ``declared`` what the file calls it."""

    line: int
    version: str
    encoding: str
    declared: str
    sender: str
    recipient: str
    created_on: dt.date | None
    created_at: dt.time | None
    date_from: dt.date | None
    date_to: dt.date | None
    accounts: list[str]
    kinds: list[str]
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class AccountSection:
    """One СекцияРасчСчет: the balances and turnover of an account for a period, in roubles; None is not stated."""

    line: int
    account: str
    date_from: dt.date | None
    date_to: dt.date | None
    opening: Decimal | None
    incoming: Decimal | None
    outgoing: Decimal | None
    closing: Decimal | None
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class Party:
    """The payer or the payee; ``inn`` and ``kpp`` only when they passed their checks and are the party's own."""

    account: str | None = None
    inn: str | None = None
    kpp: str | None = None
    name: str = ""
    bank: str = ""
    bik: str | None = None
    correspondent: str | None = None


@dataclass(slots=True)
class StatementPayment:
    """One СекцияДокумент; ``raw`` holds what the file said where it differs, ``details`` every other key.

    ``direction`` is seen from our accounts: in, out, internal (both are ours), unknown (neither is).
    ``charged_on`` and ``received_on`` are ДатаСписано and ДатаПоступило.
    """

    line: int
    kind: str
    number: str
    number_key: str
    date: dt.date
    amount: Decimal
    charged_on: dt.date | None
    received_on: dt.date | None
    payer: Party
    payee: Party
    purpose: str
    priority: str | None = None
    uin: str | None = None
    payer_status: str | None = None  # СтатусСоставителя: stated only in payments to the budget
    kbk: str | None = None
    oktmo: str | None = None
    direction: str = UNKNOWN
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)

    @property
    def left_on(self) -> dt.date:
        """The day the money left the payer's account: when it was charged, else the document's date."""
        return self.charged_on or self.date

    @property
    def came_on(self) -> dt.date:
        """The day the money came to the payee's account: when it was received, else the document's date."""
        return self.received_on or self.date


@dataclass(slots=True)
class SpreadsheetPayment:
    """One row of a sheet with payments; ``invoice`` and ``deal`` are what the columns name, as written."""

    line: int
    number: str
    number_key: str
    date: dt.date
    amount: Decimal
    payer: Party
    purpose: str
    invoice: str | None = None
    invoice_date: dt.date | None = None
    deal: str | None = None
    account: str | None = None  # of ours, where the sheet names it
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class CellProblem:
    """A cell that cannot be taken: its row is not loaded; ``reason`` says in Russian what is wrong and what to do."""

    line: int
    column: str  # the letter as the sheet shows it
    title: str  # the heading of the column
    value: str
    reason: str


@dataclass(slots=True)
class Reject:
    """A payment that cannot be loaded: its line, its number, the reason and a masked piece of the source."""

    line: int
    number: str
    entity: str
    reason: str
    snippet: str


@dataclass(slots=True)
class Remark:
    """A warning: the record is loaded, and this is what was put right or left out in it."""

    line: int
    number: str
    entity: str
    text: str


@dataclass(frozen=True, slots=True)
class UnknownAccount:
    """An account of the file that we do not know as ours, with what the file says of its bank."""

    account: str
    bik: str | None
    bank: str | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What of an account's balances does not add up: what the file states, what comes out, in roubles."""

    account: str
    date_from: dt.date | None
    date_to: dt.date | None
    what: str  # closing | incoming | outgoing | chain | period | section | orders
    stated: Decimal | None
    counted: Decimal | None
    text: str
    line: int = 0


@dataclass(slots=True)
class AccountTotals:
    """What the documents of the file make on one account."""

    account: str
    incoming: Decimal = Decimal(0)
    incoming_count: int = 0
    outgoing: Decimal = Decimal(0)
    outgoing_count: int = 0


@dataclass(slots=True)
class StatementCheck:
    """What came out when the whole file was read: counts, whether the balances add up, and exactly what does not."""

    documents: int = 0
    rejected: int = 0
    remarks: int = 0
    incoming: int = 0
    outgoing: int = 0
    internal: int = 0
    unknown: int = 0
    ended: bool = False  # КонецФайла stands
    sections: list[AccountSection] = field(default_factory=list)
    totals: list[AccountTotals] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    unknown_accounts: list[UnknownAccount] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        """Say whether nothing disagrees (a file without account sections has nothing to disagree)."""
        return not self.disagreements


@dataclass(slots=True)
class SheetCheck:
    """What came out when the whole sheet was read; ``columns`` says which heading was taken for what."""

    title: str = ""
    header_line: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    payments: int = 0
    amount: Decimal = Decimal(0)
    rows_with_problems: int = 0
    problems: int = 0
    remarks: int = 0


StatementRecord = StatementHead | AccountSection | StatementPayment | Reject | Remark
SheetRecord = SpreadsheetPayment | CellProblem | Remark
