"""What a file of 1C gives, record by record, and how it can be refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.exchange_1c.rules import CompanyKind, Unit, Vat
from include.shared.db import Json
from include.shared.errors import BackofficeError

MEGABYTE = 1024 * 1024


class ExchangeFileRefused(BackofficeError):
    """The file is not an exchange that we can read (format, encoding, DTD, size): set aside, the others go on."""


class ExchangeFileDamaged(ExchangeFileRefused):
    """The file is cut or broken inside: nothing of its whole exchange is applied."""


@dataclass(frozen=True)
class Limits:
    """Bounds against files that would eat memory: of a file and a record in bytes, of a field in characters."""

    file_bytes: int = 4096 * MEGABYTE
    record_bytes: int = 32 * MEGABYTE
    field_chars: int = 1_000_000


@dataclass(slots=True)
class Goods:
    """One Товар of the catalogue; ``raw`` holds what the file said where it differs from the normalised value."""

    line: int
    external_id: str
    name: str
    full_name: str | None
    sku: str | None
    barcode: str | None
    unit: Unit
    vat: Vat | None
    groups: list[str]
    is_deleted: bool
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class Counterparty:
    """One Контрагент of a 3.1 list; ``inn`` and ``kpp`` only when they passed their checks, else kept in ``raw``."""

    line: int
    external_id: str
    name: str
    full_name: str | None
    kind: CompanyKind
    inn: str | None
    kpp: str | None
    is_deleted: bool
    email: str | None
    phone: str | None
    addresses: list[Json]
    accounts: list[Json]
    contacts: list[Json]
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class Reject:
    """A record that cannot be loaded: quarantined with its line, reason and a masked piece of the source."""

    line: int
    external_id: str | None
    entity: str
    reason: str
    snippet: str


@dataclass(slots=True)
class Remark:
    """A warning: the record is loaded, and this is what was put right or left out in it."""

    line: int
    external_id: str
    entity: str
    text: str


Record = Goods | Counterparty | Reject | Remark
