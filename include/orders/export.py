"""What goes to 1C: the settings of the export, the content of an order, and a file of orders from contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.deals.models import Deal, Funnel, Stage
from include.exchange_1c.models import Nomenclature
from include.exchange_1c.rules import OFFICE_ZONE, CompanyKind, Vat
from include.exchange_1c.writer import Buyer, Order, OrderLine, write_orders
from include.orders import rules
from include.orders.models import DealLine
from include.orders.rules import FileForm, Lack, SettingsRefused
from include.reference.catalogue import DELIVERY_TERMS, SERVICES
from include.shared import settings
from include.shared.db import Json, among

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
DEFAULTS: Mapping[str, Any] = {
    "order_stages": "Товары: Комплектация; Услуги: В работе",
    "order_since": "",
    "order_organisation": "",
    "order_warehouse": "",
    "order_prefix": "СД-",
    "order_version": "2.08",
    "order_encoding": "utf-8",
    "order_bom": True,
    "order_container": False,
    "order_currency": "руб",
    "order_file_name": "orders_{date}_{number}.xml",
    "order_to_folder": True,
}


@dataclass(frozen=True)
class ExportSettings:
    """The settings of the export, checked: which stages, how orders are named, how files are written."""

    stages: tuple[int, ...]
    since: datetime
    organisation: str
    warehouse: str
    prefix: str
    form: FileForm
    file_name: str
    to_folder: bool

    @property
    def mark(self) -> str:
        """Return what changes when orders must be made up anew because of settings."""
        said = json.dumps([self.stages, self.since, self.organisation, self.warehouse, self.prefix], default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def export_settings(session: Session) -> ExportSettings:
    """Return the present settings; SettingsRefused names the one that cannot be followed."""
    value = {code: settings.value_of(session, code, default) for code, default in DEFAULTS.items()}
    form = FileForm.of(
        value["order_version"], value["order_encoding"], value["order_bom"], value["order_container"],
        value["order_currency"],
    )  # fmt: skip
    rules.file_name(value["order_file_name"], 1, EARLIEST)
    rules.order_number(value["order_prefix"], 1)
    return ExportSettings(
        stages=_stages(session, value["order_stages"]),
        since=_since(value["order_since"]),
        organisation=value["order_organisation"].strip(),
        warehouse=value["order_warehouse"].strip(),
        prefix=value["order_prefix"].strip(),
        form=form,
        file_name=value["order_file_name"],
        to_folder=value["order_to_folder"],
    )


def form_of(made: ExportSettings) -> Json:
    """Return the form of a file as a batch keeps it."""
    form = made.form
    return {
        "version": form.version, "encoding": form.encoding, "bom": form.bom, "container": form.container,
        "currency": form.currency,
    }  # fmt: skip


def _stages(session: Session, written: str) -> tuple[int, ...]:
    """Return the stages from the named one on, and the won ones, of each direction."""
    found: list[int] = []
    funnels = {one.title: one.code for one in session.scalars(select(Funnel))}
    for title, first in rules.stages_from(written).items():
        stages = list(session.scalars(select(Stage).where(Stage.funnel_code == funnels.get(title))))
        beginning = next((one for one in stages if one.title == first), None)
        if beginning is None:
            msg = f"Настройка «Заказы в 1С: с какой стадии»: в направлении «{title}» нет стадии «{first}»."
            raise SettingsRefused(msg)
        found += [
            one.id for one in stages if one.kind == "won" or (one.kind == "open" and one.position >= beginning.position)
        ]
    return tuple(sorted(found))


def _since(written: str) -> datetime:
    if not written.strip():
        return EARLIEST
    for form in ("%d.%m.%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(written.strip(), form).replace(tzinfo=OFFICE_ZONE)
        except ValueError:
            continue
    msg = (
        "Настройка «Заказы в 1С: сделки, созданные не раньше»: напишите дату, например 01.12.2026, или оставьте пустой."
    )
    raise SettingsRefused(msg)


# --- the content of an order ----------------------------------------------------------------------


@dataclass(frozen=True)
class DealOrder:
    """A deal as the export sees it: where it stands, what its order lacks, and its content when it lacks nothing."""

    deal_id: int
    case_id: int
    stage_id: int
    stage: str
    is_lost: bool
    lacks: list[Lack]
    content: Json | None


def deal_orders(session: Session, deal_ids: Collection[int], made: ExportSettings) -> dict[int, DealOrder]:
    """Return these deals with the content of their orders; four questions however many deals."""
    wanted = select(Deal, Stage, Company).join(Stage, Stage.id == Deal.stage_id)
    rows = session.execute(
        wanted.outerjoin(Company, Company.id == Deal.company_id).where(among(Deal.id, deal_ids))
    ).all()
    lines = _lines(session, deal_ids)
    found: dict[int, DealOrder] = {}
    for deal, stage, company in rows:
        of_deal = lines.get(deal.id, [])
        lacks = rules.lacks(_company_facts(company), [{"vat": one.vat, "name": one.name, "amount": one.amount}
                                                      for one, _ in of_deal])  # fmt: skip
        content = None if lacks else _content(deal, company, of_deal, made)
        found[deal.id] = DealOrder(deal.id, deal.case_id, stage.id, stage.title, stage.kind == "lost", lacks, content)
    return found


def _lines(session: Session, deal_ids: Collection[int]) -> dict[int, list[tuple[DealLine, Nomenclature | None]]]:
    found: dict[int, list[tuple[DealLine, Nomenclature | None]]] = {}
    rows = session.execute(
        select(DealLine, Nomenclature)
        .outerjoin(Nomenclature, Nomenclature.id == DealLine.nomenclature_id)
        .where(among(DealLine.deal_id, deal_ids), DealLine.removed_at.is_(None))
        .order_by(DealLine.deal_id, DealLine.position, DealLine.id)
    )
    for line, goods in rows:
        found.setdefault(line.deal_id, []).append((line, goods))
    return found


def _company_facts(company: Company | None) -> Json | None:
    if company is None:
        return None
    return {
        "name": company.name, "kind": company.kind, "inn": company.inn, "kpp": company.kpp, "active": company.active,
    }  # fmt: skip


def _content(
    deal: Deal, company: Company, lines: list[tuple[DealLine, Nomenclature | None]], made: ExportSettings
) -> Json:
    delivery = DELIVERY_TERMS.get(str(deal.fields.get("delivery_terms") or ""))
    is_service = deal.funnel_code == SERVICES
    return {
        "external_id": f"backoffice-deal-{deal.id}",
        "number": rules.order_number(made.prefix, deal.id),
        "comment": f"Сделка № {deal.id}: {deal.title}",
        "organisation": made.organisation,
        "warehouse": made.warehouse,
        "delivery": delivery,
        "cancelled": False,
        "buyer": {
            "external_id": company.external_id or f"backoffice-company-{company.id}",
            "kind": company.kind,
            "name": company.name,
            "full_name": company.full_name or company.name,
            "inn": company.inn,
            "kpp": company.kpp,
            "address": _address(company.details),
            "email": company.email,
            "phone": company.phone,
        },
        "lines": [_line(line, goods, is_service) for line, goods in lines],
    }


def _line(line: DealLine, goods: Nomenclature | None, is_service: bool) -> Json:
    vat = Vat(line.vat)
    kind = "Услуга" if is_service else "Товар"
    if goods is not None:
        said = goods.details.get("requisites", {}) if isinstance(goods.details, dict) else {}
        kind = str(said.get("ТипНоменклатуры") or said.get("ВидНоменклатуры") or "Товар")
    return {
        "external_id": goods.external_id if goods is not None else _id_of_text(line),
        "name": line.name,
        "sku": goods.sku if goods is not None else None,
        "unit_code": line.unit_code,
        "unit_name": line.unit_name,
        "quantity": f"{line.quantity:.3f}",
        "price": str(line.price),
        "amount": str(line.amount),
        "vat": vat.value,
        "vat_amount": str(rules.vat_inside(line.amount, vat)),
        "kind": kind,
    }


def _id_of_text(line: DealLine) -> str:
    """Return one id for one free text, so that 1C makes one item of it however often it is sold."""
    said = f"{line.name}|{line.unit_name}".lower()
    return f"backoffice-text-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _address(details: Mapping[str, Any]) -> str | None:
    known = [one for one in details.get("addresses", []) if isinstance(one, dict)]
    known.sort(key=lambda one: str(one.get("kind")) not in ("ЮридическийАдрес", "АдресРегистрации"))
    for one in known:
        if one.get("text"):
            return str(one["text"])
        if isinstance(one.get("fields"), dict) and one["fields"]:
            return ", ".join(str(value) for value in one["fields"].values() if value)
    return None


def digest(content: Mapping[str, Any]) -> str:
    """Return what tells two contents apart."""
    said = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def amount_of(content: Mapping[str, Any]) -> Decimal:
    """Return the sum of an order's content in roubles."""
    return sum((Decimal(one["amount"]) for one in content["lines"]), Decimal("0.00"))


# --- a file of orders -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    """A version of an order as it is written: its content, number of version, date and the deal's stage."""

    content: Mapping[str, Any]
    version: int
    ordered_at: datetime
    status: str


def write_file(out: BinaryIO, versions: Iterable[Version], form: Mapping[str, Any], made_at: datetime) -> None:
    """Write these orders as one file; the same arguments give the same bytes."""
    write_orders(
        out, (_order(one) for one in versions), made_at, version=form["version"], encoding=form["encoding"],
        bom=form["bom"], container=form["container"], currency=form["currency"],
    )  # fmt: skip


def _order(one: Version) -> Order:
    content = one.content
    comment = content["comment"] + (f" (изменение {one.version - 1})" if one.version > 1 else "")
    cancelled = bool(content["cancelled"])
    named = (
        ("Организация", content["organisation"]),
        ("Склад", content["warehouse"]),
        ("Статус заказа", one.status),
        ("Отменен", "true" if cancelled else "false"),
        ("Способ доставки", content["delivery"]),
        ("Версия заказа", str(one.version)),
    )
    return Order(
        external_id=content["external_id"],
        number=content["number"],
        at=one.ordered_at,
        buyer=_buyer(content["buyer"]),
        lines=tuple(_order_line(line) for line in content["lines"]),
        comment=comment,
        requisites=tuple((name, value) for name, value in named if value),
    )


def _buyer(said: Mapping[str, Any]) -> Buyer:
    return Buyer(**{**said, "kind": CompanyKind(said["kind"])})


def _order_line(said: Mapping[str, Any]) -> OrderLine:
    sums = {name: Decimal(said[name]) for name in ("quantity", "price", "amount", "vat_amount")}
    return OrderLine(**{**said, **sums, "vat": Vat(said["vat"])})
