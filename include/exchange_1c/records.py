"""What a file of 1C gives, record by record, and how it can be refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from include.exchange_1c.rules import OFFICE_ZONE, CompanyKind, DocumentKind, Unit, Vat
from include.shared.db import Json
from include.shared.errors import BackofficeError

MEGABYTE = 1024 * 1024


class ExchangeFileRefused(BackofficeError):
    """The file is not an exchange that we can read (format, encoding, DTD, size): set aside, the others go on."""


class ExchangeFileDamaged(ExchangeFileRefused):
    """The file is cut or broken inside: nothing of its whole exchange is applied."""


@dataclass(frozen=True)
class Limits:
    """Bounds against files that would eat memory or disk: of a file and a record in bytes, of a field in characters.

    Of an archive: how many files, how many bytes of all of them together, and how many times bigger than the archive
    they may be (a real export shrinks 10–60 times, a bomb a thousand).
    """

    file_bytes: int = 4096 * MEGABYTE
    record_bytes: int = 32 * MEGABYTE
    field_chars: int = 1_000_000
    archive_files: int = 100_000
    archive_bytes: int = 8192 * MEGABYTE
    archive_ratio: int = 300


@dataclass(slots=True)
class Group:
    """One Группа of the classifier (``kind`` "group") or Категория ("category"); children stand before parents."""

    line: int
    external_id: str
    name: str
    parent_id: str | None = None
    is_deleted: bool = False
    kind: str = "group"
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class Property:
    """One Свойство of goods; ``values`` of a reference (ТипЗначений = Справочник) by their ids, in the file's order."""

    line: int
    external_id: str
    name: str
    value_type: str = ""  # Строка | Число | Время | Справочник, as written
    values: dict[str, str] = field(default_factory=dict)
    is_deleted: bool = False
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class PriceType:
    """One ТипЦены: the kind of prices that ``Price.price_type_id`` names."""

    line: int
    external_id: str
    name: str
    currency: str | None = None  # ISO code, RUB for «руб»
    is_tax_included: bool | None = None  # Налог/УчтеноВСумме
    is_deleted: bool = False
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class Warehouse:
    """One Склад; its address and contacts as for counterparties."""

    line: int
    external_id: str
    name: str
    is_deleted: bool = False
    addresses: list[Json] = field(default_factory=list)
    contacts: list[Json] = field(default_factory=list)
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class MeasureUnit:
    """One ЕдиницаИзмерения of the classifier; ``external_id`` is its Ид, or its code where it has none."""

    line: int
    external_id: str
    unit: Unit
    full_name: str | None = None
    international: str | None = None
    is_deleted: bool = False
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


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
    barcodes: list[str] = field(default_factory=list)  # all of them; ``barcode`` is the first
    manufacturer: str | None = None  # the name; all that the file says of it is in ``details``
    characteristics: dict[str, str] = field(default_factory=dict)  # ХарактеристикиТовара: name → value
    goods_id: str = ""  # what stands before «#» in the id: the goods themselves
    characteristic_id: str | None = None  # what stands behind it


@dataclass(slots=True)
class Offer:
    """One Предложение: goods, or one characteristic of them, that prices and stock belong to.

    Its prices and stock follow as records of their own. A file of prices or stock alone (3.1) has offers without a
    name: those give only ``Price`` and ``Stock``, no ``Offer``, so nothing is overwritten by what is not there.
    """

    line: int
    external_id: str
    goods_id: str
    characteristic_id: str | None
    name: str
    sku: str | None = None
    barcodes: list[str] = field(default_factory=list)
    unit: Unit = field(default_factory=lambda: Unit(None, None, None))
    characteristics: dict[str, str] = field(default_factory=dict)
    quantity: Decimal | None = None  # of all warehouses together, when the file says it
    is_deleted: bool = False
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class Price:
    """One Цена of an offer (``offer_id``): ``amount`` for one ``unit`` × ``coefficient``."""

    line: int
    offer_id: str
    goods_id: str
    price_type_id: str
    amount: Decimal
    currency: str | None = None  # None: that of the type of prices
    unit: str | None = None
    coefficient: Decimal = Decimal(1)
    min_quantity: Decimal | None = None
    raw: Json = field(default_factory=dict)


@dataclass(slots=True)
class Stock:
    """How much of an offer is in one warehouse, negative too; ``warehouse_id`` None: in all of them together."""

    line: int
    offer_id: str
    goods_id: str
    warehouse_id: str | None
    quantity: Decimal
    raw: Json = field(default_factory=dict)


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
class Tax:
    """One Налог of a document or of its line; ``vat`` when it is НДС and its rate is stated."""

    name: str
    vat: Vat | None = None
    amount: Decimal | None = None
    is_included: bool | None = None  # УчтеноВСумме


@dataclass(slots=True)
class Discount:
    """One Скидка (a Наценка with its sign turned) of a document or of its line."""

    name: str
    amount: Decimal | None = None
    percent: Decimal | None = None
    is_included: bool | None = None


@dataclass(slots=True)
class DocumentLine:
    """One Товар of a document."""

    line: int
    external_id: str | None  # as goods: «goods#characteristic»
    name: str
    sku: str | None = None
    unit: Unit = field(default_factory=lambda: Unit(None, None, None))
    quantity: Decimal | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    coefficient: Decimal | None = None
    is_service: bool = False
    taxes: list[Tax] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """One Документ; subordinate ones (ПодчиненныеДокументы) follow it as records of their own with ``parent_id``.

    A flag is None where the file says nothing of it. ``external_id`` is the Ид; without one it is made of the kind,
    number and date (``has_own_id`` is False then), for «Номер» is the safe key of such exchanges.
    """

    line: int
    external_id: str
    kind: DocumentKind
    operation: str  # ХозОперация as written
    number: str
    at: datetime | None
    has_own_id: bool = True
    parent_id: str | None = None
    role: str | None = None
    currency: str | None = None
    rate: Decimal | None = None
    amount: Decimal | None = None
    number_1c: str | None = None  # «Номер по 1С» / Номер1С where it differs from the number of the site
    at_1c: datetime | None = None
    due: datetime | None = None  # СрокПлатежа
    comment: str | None = None
    counterparties: list[Counterparty] = field(default_factory=list)
    lines: list[DocumentLine] = field(default_factory=list)
    taxes: list[Tax] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    is_deleted: bool = False
    is_posted: bool | None = None
    is_cancelled: bool | None = None
    is_paid: bool | None = None
    paid_at: datetime | None = None
    payment_number: str | None = None
    paid_amount: Decimal | None = None
    is_shipped: bool | None = None
    shipped_at: datetime | None = None
    shipment_number: str | None = None
    status: str | None = None  # «Статус заказа»
    requisites: Json = field(default_factory=dict)  # ЗначенияРеквизитов as written
    raw: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)

    @property
    def date(self) -> date | None:
        """The day of the document in the office's time zone."""
        return self.at.astimezone(OFFICE_ZONE).date() if self.at else None

    @property
    def counterparty(self) -> Counterparty | None:
        """The other side of the document: the buyer or payer, else the first that is named."""
        for one in self.counterparties:
            if one.details.get("Роль") in {"Покупатель", "Плательщик", "Получатель"}:
                return one
        return self.counterparties[0] if self.counterparties else None


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


Catalogue = Group | Property | PriceType | Warehouse | MeasureUnit | Goods | Offer | Price | Stock
#: What ``CommerceFile(path, limits, everything=True).records()`` yields; without the flag only Goods, Counterparty,
#: Reject and Remark come, for consumers that know no others, and the rest is counted.
Record = Catalogue | Counterparty | Document | Reject | Remark
