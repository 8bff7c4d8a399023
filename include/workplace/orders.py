"""Lines of deals and orders to 1C as people see and change them: the right first, then the service."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.deals import rights
from include.deals import services as deals
from include.deals.models import Deal
from include.exchange_1c.models import Nomenclature
from include.exchange_1c.rights import require_exchange
from include.exchange_1c.rules import Vat
from include.orders import lines as deal_lines_of
from include.orders import rules, services
from include.orders.export import export_settings
from include.orders.models import DealLine, OrderBatch, OrderExport, OrderLook
from include.orders.rules import SettingsRefused
from include.shared.db import Json, among
from include.shared.errors import NotFound
from include.shared.work import Work, reading, transaction
from include.staff.services import Viewer
from include.workplace.orders_shapes import (
    DealLines,
    GoodsRow,
    KeptBack,
    LineRow,
    OrderCounts,
    OrderList,
    OrderRow,
    Problem,
    RemovedLine,
)
from include.workplace.shapes import Page

PER_PAGE = 50
STATES: Mapping[str, str] = {
    "waiting": "ждёт отправки",
    "written": "отправлен",
    "taken": "забран 1С",
    "confirmed": "принят в 1С",
    "failed": "отменён в 1С",
    "replaced": "заменён",
}
#: What a list shows by its name
FILTERS: Mapping[str, tuple[str, ...]] = {
    "": ("waiting", "written", "taken", "confirmed", "failed"),
    "waiting": ("waiting",),
    "sent": ("written", "taken"),
    "confirmed": ("confirmed",),
    "failed": ("failed",),
}


# --- lines ----------------------------------------------------------------------------------------


def deal_lines(session: Session, viewer: Viewer, deal_id: int) -> DealLines:
    """Return the lines of a deal that the viewer may read, with what becomes of its order."""
    deal = rights.require_seen(session, viewer, deal_id)
    found = deal_lines_of.lines_of(session, deal_id)
    removed = deal_lines_of.last_removed(session, deal_id)
    look = session.get(OrderLook, deal_id)
    versions = _versions().where(OrderExport.deal_id == deal_id).order_by(OrderExport.version.desc())
    return DealLines(
        deal_id=deal.id,
        title=deal.title,
        link=f"/backoffice/deals/{deal.id}",
        may_edit=rights.may_edit(session, viewer, deal),
        lines=_line_rows(session, found),
        total=sum((one.amount for one in found), Decimal("0.00")),
        vat_total=sum((rules.vat_inside(one.amount, Vat(one.vat)) for one in found if one.vat), Decimal("0.00")),
        amount=deal.amount,
        removed=RemovedLine(id=removed.id, text=deal_lines_of.in_words(removed)) if removed is not None else None,
        problems=_problems(deal_id, look.problems if look is not None else ()),
        orders=_order_rows(session, session.execute(versions).all()),
    )


def goods(session: Session, query: str) -> list[GoodsRow]:
    """Return goods of 1C by a part of the name, by the article or the bar code."""
    return [
        GoodsRow(
            id=one.id, name=one.name, sku=one.sku, unit_code=one.unit_code, unit_name=one.unit_name, vat=one.vat,
        )
        for one in deal_lines_of.find_goods(session, query)
    ]  # fmt: skip


def goods_row(session: Session, goods_id: int) -> GoodsRow | None:
    """Return one active item, None when there is none."""
    one = session.get(Nomenclature, goods_id)
    if one is None or not one.active:
        return None
    return GoodsRow(
        id=one.id, name=one.name, sku=one.sku, unit_code=one.unit_code, unit_name=one.unit_name, vat=one.vat
    )


def add_line(viewer: Viewer, deal_id: int, values: Mapping[str, Any], request_key: str | None = None) -> LineRow:
    """Add a line to a deal."""
    return _line_act(viewer, deal_id, lambda work: deal_lines_of.add_line(work, deal_id, values, request_key))


def change_line(viewer: Viewer, deal_id: int, line_id: int, values: Mapping[str, Any]) -> LineRow:
    """Change what is given of a line."""
    return _line_act(viewer, deal_id, lambda work: deal_lines_of.change_line(work, deal_id, line_id, values))


def remove_line(viewer: Viewer, deal_id: int, line_id: int) -> LineRow:
    """Remove a line; ``restore_line`` brings it back."""
    return _line_act(viewer, deal_id, lambda work: deal_lines_of.remove_line(work, deal_id, line_id))


def restore_line(viewer: Viewer, deal_id: int, line_id: int) -> LineRow:
    """Bring a removed line back."""
    return _line_act(viewer, deal_id, lambda work: deal_lines_of.restore_line(work, deal_id, line_id))


def take_amount(viewer: Viewer, deal_id: int) -> Decimal:
    """Make the sum of the lines «Сумма сделки»."""
    with transaction(viewer.actor) as work:
        _editable(work, viewer, deal_id)
        return deal_lines_of.take_amount(work, deal_id)


def _line_act(viewer: Viewer, deal_id: int, act: Callable[[Work], DealLine]) -> LineRow:
    with transaction(viewer.actor) as work:
        _editable(work, viewer, deal_id)
        return _line_rows(work.session, [act(work)])[0]


def _editable(work: Work, viewer: Viewer, deal_id: int) -> None:
    """Lock the deal's case first, so that the right is asked on what will be changed."""
    if rights.may_see(work.session, viewer, deal_id):
        deals.get_deal(work, deal_id)
    rights.require_edit(work.session, viewer, deal_id)


def _line_rows(session: Session, found: Sequence[DealLine]) -> list[LineRow]:
    known = {one.nomenclature_id for one in found if one.nomenclature_id is not None}
    asked = select(Nomenclature.id, Nomenclature.sku).where(among(Nomenclature.id, known))
    articles = {row.id: row.sku for row in session.execute(asked)} if known else {}
    return [
        LineRow(
            id=one.id, position=one.position, nomenclature_id=one.nomenclature_id, name=one.name,
            sku=articles.get(one.nomenclature_id or 0), unit_code=one.unit_code, unit_name=one.unit_name,
            quantity=one.quantity, price=one.price, vat=one.vat,
            vat_title=rules.VAT_TITLES[one.vat] if one.vat else "не указан", amount=one.amount,
        )
        for one in found
    ]  # fmt: skip


# --- orders ---------------------------------------------------------------------------------------


def orders(session: Session, viewer: Viewer, *, state: str = "", page: int = 1, per_page: int = PER_PAGE) -> OrderList:
    """Return the orders that a filter finds (``FILTERS``), the newest first, with how many stand where."""
    require_exchange(viewer)
    wanted = OrderExport.state.in_(FILTERS[state])
    total = session.scalar(select(func.count()).select_from(OrderExport).where(wanted)) or 0
    rows = session.execute(
        _versions().where(wanted).order_by(OrderExport.id.desc()).offset((page - 1) * per_page).limit(per_page)
    ).all()
    return OrderList(
        counts=_counts(session),
        wrong_setting=_wrong_setting(session),
        page=Page[OrderRow](items=_order_rows(session, rows), total=total, page=page, per_page=per_page),
    )


def kept_back(session: Session, viewer: Viewer, *, page: int = 1, per_page: int = PER_PAGE) -> Page[KeptBack]:
    """Return the deals whose orders cannot go yet, those that wait longest first."""
    require_exchange(viewer)
    lacking = OrderLook.problems != []
    total = session.scalar(select(func.count()).select_from(OrderLook).where(lacking)) or 0
    rows = session.execute(
        select(OrderLook, Deal.title, Company.name)
        .join(Deal, Deal.id == OrderLook.deal_id)
        .outerjoin(Company, Company.id == Deal.company_id)
        .where(lacking)
        .order_by(OrderLook.since, OrderLook.deal_id)
        .offset((page - 1) * per_page)
        .limit(per_page)
    ).all()
    items = [
        KeptBack(
            deal_id=look.deal_id, title=title, company=company, link=f"/backoffice/deals/{look.deal_id}/lines",
            since=look.since, problems=_problems(look.deal_id, look.problems),
        )
        for look, title, company in rows
    ]  # fmt: skip
    return Page[KeptBack](items=items, total=total, page=page, per_page=per_page)


def order_row(session: Session, viewer: Viewer, export_id: int) -> OrderRow:
    """Return one version of an order."""
    require_exchange(viewer)
    rows = _order_rows(session, session.execute(_versions().where(OrderExport.id == export_id)).all())
    if not rows:
        msg = f"Заказа № {export_id} в списке нет."
        raise NotFound(msg)
    return rows[0]


def send_again(viewer: Viewer, export_id: int) -> OrderRow:
    """Put an order into the queue once more, as a version of its own."""
    require_exchange(viewer)
    with transaction(viewer.actor) as work:
        made = services.send_again(work, export_id)
        return order_row(work.session, viewer, made.id)


def content_of(viewer: Viewer, export_id: int) -> bytes:
    """Return one version of an order as the file that 1C gets."""
    require_exchange(viewer)
    with reading() as session:
        return services.file_of(session, export_id)


def _versions() -> Select[OrderExport, str, str, str]:
    return (
        select(OrderExport, Deal.title, OrderBatch.channel, OrderBatch.file_name)
        .join(Deal, Deal.id == OrderExport.deal_id)
        .outerjoin(OrderBatch, OrderBatch.id == OrderExport.batch_id)
    )


def _order_rows(session: Session, rows: Sequence[Any]) -> list[OrderRow]:
    newest = _newest(session, {row[0].deal_id for row in rows})
    return [
        OrderRow(
            id=one.id,
            deal_id=one.deal_id,
            deal_title=title,
            company=str(one.content["buyer"]["name"]),
            link=f"/backoffice/deals/{one.deal_id}/lines#orders",
            number=one.number,
            version=one.version,
            state=one.state,
            state_title=STATES[one.state],
            is_cancelling=bool(one.content["cancelled"]),
            amount=one.amount,
            queued_at=one.queued_at,
            sent_at=one.sent_at,
            ended_at=one.ended_at,
            way=None if channel is None else f"файл {file_name}" if channel == "folder" else "по HTTP",
            number_1c=one.number_1c,
            date_1c=one.date_1c,
            exchange_id=one.confirmed_exchange_id,
            reason=one.reason,
            may_send_again=one.state in services.OUT and newest.get(one.deal_id) == one.version,
        )
        for one, title, channel, file_name in rows
    ]


def _newest(session: Session, deal_ids: Collection[int]) -> dict[int, int]:
    if not deal_ids:
        return {}
    wanted = (
        select(OrderExport.deal_id, func.max(OrderExport.version))
        .where(among(OrderExport.deal_id, deal_ids), OrderExport.state != "replaced")
        .group_by(OrderExport.deal_id)
    )
    return {row[0]: row[1] for row in session.execute(wanted)}


def _counts(session: Session) -> OrderCounts:
    found = {
        row[0]: row[1]
        for row in session.execute(select(OrderExport.state, func.count()).group_by(OrderExport.state)).all()
    }
    lacking = session.scalar(select(func.count()).select_from(OrderLook).where(OrderLook.problems != [])) or 0
    return OrderCounts(
        waiting=found.get("waiting", 0), sent=found.get("written", 0) + found.get("taken", 0),
        confirmed=found.get("confirmed", 0), failed=found.get("failed", 0), kept_back=lacking,
    )  # fmt: skip


def _wrong_setting(session: Session) -> str | None:
    try:
        export_settings(session)
    except SettingsRefused as refused:
        return str(refused)
    return None


def _problems(deal_id: int, said: Sequence[Json]) -> list[Problem]:
    places = {"company": f"/backoffice/deals/{deal_id}", "lines": f"/backoffice/deals/{deal_id}/lines"}
    return [
        Problem(code=one["code"], text=one["text"], link=places.get(one["place"], places["company"])) for one in said
    ]
