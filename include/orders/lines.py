"""Use cases of a deal's lines: add, change, remove, bring back, and «Сумма сделки» from them (R002-5, R002-43)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from include.deals import services as deals
from include.deals.models import Deal
from include.exchange_1c.models import Nomenclature
from include.exchange_1c.rules import OKEI
from include.orders import rules
from include.orders.models import DealLine
from include.shared import once
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.names import like_pattern, search_key
from include.shared.texts import roubles
from include.shared.work import Work

PIECE = "796"
FOUND_AT_MOST = 20
CHANGEABLE = ("name", "unit_code", "quantity", "price", "vat", "nomenclature_id")


def lines_of(session: Session, deal_id: int) -> list[DealLine]:
    """Return the lines of a deal in order, without the removed ones."""
    wanted = select(DealLine).where(DealLine.deal_id == deal_id, DealLine.removed_at.is_(None))
    return list(session.scalars(wanted.order_by(DealLine.position, DealLine.id)))


def last_removed(session: Session, deal_id: int) -> DealLine | None:
    """Return the line that was removed last, or None: that one is offered to be brought back."""
    wanted = select(DealLine).where(DealLine.deal_id == deal_id, DealLine.removed_at.is_not(None))
    return session.scalars(wanted.order_by(DealLine.removed_at.desc(), DealLine.id.desc()).limit(1)).first()


def total_of(session: Session, deal_id: int) -> Decimal:
    """Return the sum of a deal's lines in roubles, VAT inside."""
    found = select(func.sum(DealLine.amount)).where(DealLine.deal_id == deal_id, DealLine.removed_at.is_(None))
    return session.scalar(found) or Decimal("0.00")


def find_goods(session: Session, query: str, limit: int = FOUND_AT_MOST) -> list[Nomenclature]:
    """Return active goods by a part of the name, by the article or the bar code, best first."""
    typed = (query or "").replace("\x00", "").strip()[:200]
    if not typed:
        return []
    key = search_key(typed)
    named = Nomenclature.search_key.like(like_pattern(typed))
    coded = or_(Nomenclature.sku == typed, Nomenclature.barcode == typed)
    best = case((coded, 0), (Nomenclature.search_key.startswith(key, autoescape=True), 1), else_=2)
    wanted = select(Nomenclature).where(Nomenclature.active, or_(named, coded))
    return list(session.scalars(wanted.order_by(best, Nomenclature.search_key, Nomenclature.id).limit(limit)))


def add_line(work: Work, deal_id: int, values: Mapping[str, Any], request_key: str | None = None) -> DealLine:
    """Add a line at the end; a repeated ``request_key`` of the same person joins the first one.

    ``values``: nomenclature_id or name, quantity, price, and where goods do not say it unit_code and vat. InvalidInput
    names the field.
    """
    deal = deals.get_deal(work, deal_id)
    made = once.joined(work, "deal_line", request_key)
    if made is not None:
        return work.session.get_one(DealLine, made)
    present = lines_of(work.session, deal_id)
    if len(present) >= rules.MOST_LINES:
        msg = f"В сделке – до {rules.MOST_LINES} строк."
        raise InvalidInput(msg)
    goods = _goods(work, values.get("nomenclature_id"))
    unit_code, unit_name = _unit(values.get("unit_code"), goods)
    quantity, price = rules.clean_quantity(values.get("quantity")), rules.clean_price(values.get("price"))
    vat = rules.clean_vat(values.get("vat"))
    line = DealLine(
        deal_id=deal_id,
        position=max((one.position for one in present), default=0) + 1,
        nomenclature_id=goods.id if goods else None,
        name=rules.clean_line_name(values.get("name") or (goods.name if goods else None)),
        unit_code=unit_code,
        unit_name=unit_name,
        quantity=quantity,
        price=price,
        vat=vat if vat or goods is None else goods.vat,
        amount=_amount(quantity, price),
    )
    work.session.add(line)
    work.session.flush()
    _said(work, deal, line, "added", f"Добавлена строка {in_words(line)}", after=_facts(line))
    once.remember(work, "deal_line", request_key, line.id)
    return line


def change_line(work: Work, deal_id: int, line_id: int, values: Mapping[str, Any]) -> DealLine:
    """Change what is given of a line; what stays the same leaves no trace. InvalidInput names the field."""
    deal, line = _line(work, deal_id, line_id)
    unknown = set(values) - set(CHANGEABLE)
    if unknown:
        msg = f"У строки нет поля «{sorted(unknown)[0]}»."
        raise InvalidInput(msg, sorted(unknown)[0])
    before = _facts(line)
    if "nomenclature_id" in values:
        goods = _goods(work, values["nomenclature_id"])
        line.nomenclature_id = goods.id if goods else None
    if "name" in values:
        line.name = rules.clean_line_name(values["name"])
    if "unit_code" in values and values["unit_code"] != line.unit_code:
        line.unit_code, line.unit_name = rules.clean_unit(values["unit_code"])
    if "vat" in values:
        line.vat = rules.clean_vat(values["vat"])
    if "quantity" in values:
        line.quantity = rules.clean_quantity(values["quantity"])
    if "price" in values:
        line.price = rules.clean_price(values["price"])
    line.amount = _amount(line.quantity, line.price)
    after = _facts(line)
    changed = {name: value for name, value in after.items() if value != before[name]}
    if changed:
        was = {name: before[name] for name in changed}
        _said(work, deal, line, "changed", f"Изменена строка {in_words(line)}", before=was, after=changed)
    return line


def remove_line(work: Work, deal_id: int, line_id: int) -> DealLine:
    """Remove a line; it can be brought back."""
    deal, line = _line(work, deal_id, line_id)
    line.removed_at = work.now
    _said(work, deal, line, "removed", f"Убрана строка {in_words(line)}", before=_facts(line))
    return line


def restore_line(work: Work, deal_id: int, line_id: int) -> DealLine:
    """Bring a removed line back to its place; one that stands is left as it is."""
    deal = deals.get_deal(work, deal_id)
    line = _found(work, deal_id, line_id)
    if line.removed_at is None:
        return line
    if len(lines_of(work.session, deal_id)) >= rules.MOST_LINES:
        msg = f"В сделке – до {rules.MOST_LINES} строк."
        raise InvalidInput(msg)
    line.removed_at = None
    _said(work, deal, line, "restored", f"Возвращена строка {in_words(line)}", after=_facts(line))
    return line


def take_amount(work: Work, deal_id: int) -> Decimal:
    """Make the sum of the lines «Сумма сделки»; Conflict when there are no lines."""
    deals.get_deal(work, deal_id)
    if not lines_of(work.session, deal_id):
        msg = "В сделке нет строк: сумму брать не из чего."
        raise Conflict(msg)
    total = total_of(work.session, deal_id)
    deals.set_fields(work, deal_id, {"amount": str(total)})
    return total


def in_words(line: DealLine) -> str:
    """Return «Насос» – 2 шт × 1 500,00 ₽ = 3 000,00 ₽."""
    quantity = f"{line.quantity.normalize():f}".replace(".", ",")
    name = line.name if len(line.name) <= 80 else f"{line.name[:79]}…"
    return f"«{name}»: {quantity} {line.unit_name} × {roubles(line.price)} = {roubles(line.amount)}"


def _amount(quantity: Decimal, price: Decimal) -> Decimal:
    amount = rules.line_amount(quantity, price)
    if amount > rules.LARGEST_AMOUNT:
        msg = "Сумма строки слишком велика: проверьте количество и цену."
        raise InvalidInput(msg, "quantity")
    return amount


def _goods(work: Work, given: Any) -> Nomenclature | None:
    if given in (None, ""):
        return None
    goods = work.session.get(Nomenclature, given) if isinstance(given, int) and 0 < given < 2**63 else None
    if goods is None:
        msg = "Такого товара нет: найдите его снова."
        raise InvalidInput(msg, "nomenclature_id")
    return goods


def _unit(given: Any, goods: Nomenclature | None) -> tuple[str | None, str]:
    if given in (None, "") and goods is not None and goods.unit_name:
        return goods.unit_code, goods.unit_name
    return rules.clean_unit(given) if given not in (None, "") else (PIECE, OKEI[PIECE])


def _line(work: Work, deal_id: int, line_id: int) -> tuple[Deal, DealLine]:
    deal = deals.get_deal(work, deal_id)
    line = _found(work, deal_id, line_id)
    if line.removed_at is not None:
        msg = "Эту строку уже убрали. Обновите страницу."
        raise Conflict(msg)
    return deal, line


def _found(work: Work, deal_id: int, line_id: int) -> DealLine:
    line = work.session.get(DealLine, line_id)
    if line is None or line.deal_id != deal_id:
        msg = f"Строки № {line_id} в этой сделке нет."
        raise NotFound(msg)
    work.session.refresh(line)
    return line


def _facts(line: DealLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "nomenclature_id": line.nomenclature_id,
        "unit": line.unit_name,
        "quantity": str(line.quantity.quantize(rules.THOUSANDTH)),
        "price": str(line.price),
        "vat": line.vat,
        "amount": str(line.amount),
    }


def _said(
    work: Work,
    deal: Deal,
    line: DealLine,
    act: str,
    text: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    work.session.flush()
    work.audit(
        f"deal_line.{act}", text, entity="deal_line", entity_id=line.id, case_id=deal.case_id, before=before,
        after=after,
    )  # fmt: skip
    work.touch(deal.case_id)
