"""Orders to 1C: made up when a deal comes to its stage, sent once, confirmed by what 1C sends back (R002-8).

A version is made only when the content of an order has really changed; what keeps an order back is written down with
its reason, and the order goes by itself once that is put right.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from include.deals.models import Deal, Stage
from include.exchange_1c.rules import DocumentKind
from include.orders import rules
from include.orders.batches import lock_orders
from include.orders.export import (
    DealOrder,
    ExportSettings,
    Version,
    amount_of,
    deal_orders,
    digest,
    export_settings,
    form_of,
    write_file,
)
from include.orders.models import OrderBatch, OrderExport
from include.orders.outgoing import write_folder
from include.shared.db import Json, query_text
from include.shared.errors import Conflict, NotFound
from include.shared.numbers import number_key
from include.shared.work import INTEGRATION, Work, transaction

PORTION = 200
OUT = ("written", "taken", "confirmed", "failed")  # 1C may have it


@dataclass(frozen=True)
class Prepared:
    """What a look at all deals brought: orders put into the queue, taken out of it, kept back."""

    queued: int
    withdrawn: int
    kept_back: int

    @property
    def text(self) -> str:
        """Say it in Russian."""
        return f"Заказов в очередь: {self.queued}, снято: {self.withdrawn}, не готовы: {self.kept_back}."


@dataclass
class _Latest:
    """The newest version of a deal's order that was not replaced (else the newest at all)."""

    id: int
    version: int
    state: str
    sha256: str
    content: Json
    ordered_at: datetime
    highest: int
    sent_at: datetime | None


def prepare() -> Prepared:
    """Make up the orders of all deals that have changed since the last look; safe to repeat, several at once wait.

    SettingsRefused when a setting of the export cannot be followed: nothing is made up then.
    """
    told: Counter[str] = Counter()
    while True:
        with transaction(INTEGRATION) as work:
            lock_orders(work)
            made = export_settings(work.session)
            rows = work.session.execute(
                text(query_text("orders/changed_deals")),
                {"settings": made.mark, "stages": list(made.stages), "since": made.since, "portion": PORTION},
            ).all()
            if not rows:
                break
            told += _look(work, made, {row.id: row.seen for row in rows})
    return Prepared(told["queued"], told["withdrawn"], told["kept_back"])


def _look(work: Work, made: ExportSettings, seen: dict[int, str]) -> Counter[str]:
    found = deal_orders(work.session, seen, made)
    latest = _latest(work, seen)
    told: Counter[str] = Counter()
    looks = []
    for deal_id, mark in seen.items():
        one, last = found[deal_id], latest.get(deal_id)
        problems = []
        if one.is_lost or one.stage_id not in made.stages:
            told[_take_back(work, one, last)] += 1
        elif one.content is None:
            problems = [lack.as_json() for lack in one.lacks]
            told["kept_back"] += 1
            if last is not None and last.state == "waiting":
                _replace(work, last, one, "заказ больше не готов: " + "; ".join(lack.text for lack in one.lacks))
                told["withdrawn"] += 1
        else:
            told[_offer(work, one, last, one.content)] += 1
        looks.append({"deal_id": deal_id, "seen": mark, "problems": problems})
    work.session.flush()
    work.session.execute(
        text(query_text("orders/note_looks")), {"looks": json.dumps(looks, ensure_ascii=False), "now": work.now}
    )
    return told


def _latest(work: Work, deals: Iterable[int]) -> dict[int, _Latest]:
    rows = work.session.execute(text(query_text("orders/latest_versions")), {"deals": list(deals)})
    return {
        row.deal_id: _Latest(
            row.id, row.version, row.state, row.sha256, row.content, row.ordered_at, row.highest, row.sent_at
        )
        for row in rows
    }


def _offer(work: Work, one: DealOrder, last: _Latest | None, content: Json) -> str:
    """Put an order into the queue unless 1C has this very content; one that still waits there is brought up to date."""
    sha = digest(content)
    if last is not None and last.state != "replaced":
        if last.sha256 == sha:
            return "same"
        if last.state == "waiting":
            values: dict[str, Any] = {"content": content, "sha256": sha, "amount": amount_of(content)}
            values |= {"number": content["number"], "number_key": number_key(content["number"])}
            work.session.execute(update(OrderExport).where(OrderExport.id == last.id).values(**values))
            return "queued"
    _queue(work, one, last, content, sha)
    return "queued"


def _queue(
    work: Work, one: DealOrder, last: _Latest | None, content: Json, sha: str, why: str | None = None
) -> OrderExport:
    row = OrderExport(
        deal_id=one.deal_id,
        version=(last.highest if last else 0) + 1,
        state="waiting",
        external_id=content["external_id"],
        number=content["number"],
        number_key=number_key(content["number"]),
        ordered_at=last.ordered_at if last else work.now,
        content=content,
        status=one.stage,
        sha256=sha,
        amount=amount_of(content),
        queued_at=work.now,
        reason=why,
    )
    work.session.add(row)
    work.session.flush()
    if content["cancelled"]:
        said = f"Отмена заказа {row.number} поставлена в очередь в 1С"
    else:
        change = f", изменение {row.version - 1}" if row.version > 1 else ""
        said = f"Заказ {row.number} поставлен в очередь в 1С{change}"
    work.audit(
        "order.queued", said, entity="order_export", entity_id=row.id, case_id=one.case_id, reason=why,
        after={"version": row.version, "amount": str(row.amount)},
    )  # fmt: skip
    return row


def _take_back(work: Work, one: DealOrder, last: _Latest | None) -> str:
    """Withdraw what still waits of a deal that has left its stage; of a lost one 1C is told when it has the order."""
    if last is None or last.state == "replaced":
        return "same"
    why = "сделка проиграна" if one.is_lost else f"сделка ушла на стадию «{one.stage}»"
    was_waiting = last.state == "waiting"
    if was_waiting:
        _replace(work, last, one, why)
        sent = _latest_sent(work, one.deal_id)
        if sent is None:
            return "withdrawn"
        last = _Latest(sent.id, sent.version, sent.state, sent.sha256, sent.content, sent.ordered_at, last.highest,
                       sent.sent_at)  # fmt: skip
    if not one.is_lost or last.content["cancelled"]:
        return "withdrawn" if was_waiting else "same"
    content = {**last.content, "cancelled": True}
    _queue(work, one, last, content, digest(content), why)
    return "queued"


def _latest_sent(work: Work, deal_id: int) -> OrderExport | None:
    wanted = select(OrderExport).where(OrderExport.deal_id == deal_id, OrderExport.state.in_(OUT))
    return work.session.scalars(wanted.order_by(OrderExport.version.desc()).limit(1)).first()


def _replace(work: Work, last: _Latest, one: DealOrder, why: str) -> None:
    work.session.execute(
        update(OrderExport).where(OrderExport.id == last.id).values(state="replaced", ended_at=work.now, reason=why)
    )
    work.audit(
        "order.withdrawn", f"Заказ {last.content['number']} снят с очереди в 1С", entity="order_export",
        entity_id=last.id, case_id=one.case_id, reason=why,
    )  # fmt: skip


def send_to_folder() -> str:
    """Make up what has changed, then write what waits into exchange/1c/outgoing; returns what was done, in Russian."""
    prepared = prepare()
    return f"{prepared.text} {write_folder()}"


# --- what 1C says ---------------------------------------------------------------------------------


def confirm_from_documents(work: Work, exchange_id: int) -> int:
    """Confirm the orders that the documents of an exchange speak of; returns how many. Called within that exchange.

    A document is an order's when it has its Ид, or when it is an order of that number made not before ours. One that 1C
    has cancelled or marked for deletion says that the order failed there.
    """
    lock_orders(work)
    asked = {"exchange_id": exchange_id, "order_kind": DocumentKind.ORDER.value}
    rows = work.session.execute(text(query_text("orders/confirmed_by_exchange")), asked).all()
    if not rows:
        return 0
    told: list[Json] = []
    for row in rows:
        state = "failed" if row.is_ended and not row.wanted_ended else "confirmed"
        number, day = rules.number_in_1c(row.details, row.number, row.date, own=row.number_key == row.own_key)
        told.append({"id": row.id, "state": state, "number_1c": number, "date_1c": day})
    work.session.execute(
        text(query_text("orders/note_confirmed")),
        {"told": json.dumps(told, ensure_ascii=False, default=str), "exchange_id": exchange_id, "now": work.now},
    )
    for row, one in zip(rows, told, strict=True):
        number_1c, date_1c = one["number_1c"], one["date_1c"]
        in_1c = f": № {number_1c}" if number_1c else ""
        at = f" от {date_1c:%d.%m.%Y}" if number_1c and date_1c else ""
        verdict = "принят в 1С" if one["state"] == "confirmed" else "в 1С отменён"
        if row.wanted_ended and one["state"] == "confirmed":
            verdict = "отменён в 1С, как мы и просили"
        work.audit(
            f"order.{one['state']}", f"Заказ {row.own_number} {verdict}{in_1c}{at} (обмен № {exchange_id})",
            entity="order_export", entity_id=row.id, case_id=row.case_id,
            after={"number_1c": number_1c, "date_1c": date_1c},
        )  # fmt: skip
        work.touch(row.case_id)
    return len(rows)


def send_again(work: Work, export_id: int) -> OrderExport:
    """Put the newest version of an order into the queue once more, as a version of its own; Conflict while it waits."""
    row = work.session.get(OrderExport, export_id)
    if row is None:
        msg = f"Заказа № {export_id} в списке нет."
        raise NotFound(msg)
    deal = work.session.get_one(Deal, row.deal_id)
    work.lock_case(deal.case_id)
    lock_orders(work)
    last = _latest(work, [row.deal_id])[row.deal_id]
    if last.state == "waiting":
        msg = "Заказ уже стоит в очереди: он уйдёт при ближайшей отправке."
        raise Conflict(msg)
    if last.id != row.id or last.state not in OUT:
        msg = "Есть более новая версия этого заказа. Обновите страницу."
        raise Conflict(msg)
    stage = work.session.get_one(Stage, deal.stage_id)
    one = DealOrder(deal.id, deal.case_id, stage.id, stage.title, stage.kind == "lost", [], last.content)
    return _queue(work, one, last, last.content, last.sha256, "отправить снова")


def file_of(session: Session, export_id: int) -> bytes:
    """Return one version of an order as the file that 1C gets: in the form it went in, or else the present one."""
    row = session.get(OrderExport, export_id)
    if row is None:
        msg = f"Заказа № {export_id} в списке нет."
        raise NotFound(msg)
    batch = session.get(OrderBatch, row.batch_id) if row.batch_id is not None else None
    form = batch.form if batch is not None else form_of(export_settings(session))
    made_at = batch.made_at if batch is not None else row.queued_at
    out = BytesIO()
    write_file(out, [Version(row.content, row.version, row.ordered_at, row.status)], form, made_at)
    return out.getvalue()
