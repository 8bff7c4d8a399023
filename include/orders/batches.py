"""Batches of orders: what goes to 1C together, as a file of the folder or as one answer over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, text, update

from include.deals.models import Deal, Stage
from include.orders import rules
from include.orders.export import Version, export_settings, form_of
from include.orders.models import OrderBatch, OrderExport
from include.shared.work import Work

ORDERS_LOCK = 1_031_078  # pg_advisory_xact_lock: orders are made up and put into batches one after another
MOST_IN_BATCH = 500


def lock_orders(work: Work) -> None:
    """Keep others from making up orders and batches until this transaction ends."""
    work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ORDERS_LOCK})


def new_batch(work: Work, channel: str, *, session_id: int | None = None) -> OrderBatch | None:
    """Put what waits into a batch (at most MOST_IN_BATCH orders); None when nothing waits. Orders are locked first."""
    lock_orders(work)
    made = export_settings(work.session)
    waiting = list(
        work.session.scalars(
            select(OrderExport.id).where(OrderExport.state == "waiting").order_by(OrderExport.id).limit(MOST_IN_BATCH)
        )
    )
    if not waiting:
        return None
    batch = OrderBatch(
        channel=channel,
        file_name="",
        form=form_of(made),
        made_at=work.now,
        session_id=session_id,
    )
    work.session.add(batch)
    work.session.flush()
    batch.file_name = rules.file_name(made.file_name, batch.id, work.now)
    stage = select(Stage.title).join(Deal, Deal.stage_id == Stage.id).where(Deal.id == OrderExport.deal_id)
    work.session.execute(
        update(OrderExport)
        .where(OrderExport.id.in_(waiting))
        .values(state="written", batch_id=batch.id, status=stage.scalar_subquery())
        .execution_options(synchronize_session=False)
    )
    return batch


def versions_of(work: Work, batch: OrderBatch) -> list[Version]:
    """Return what a batch holds, in order."""
    rows = work.session.scalars(select(OrderExport).where(OrderExport.batch_id == batch.id).order_by(OrderExport.id))
    return [Version(row.content, row.version, row.ordered_at, row.status) for row in rows]


def batch_sent(work: Work, batch: OrderBatch) -> int:
    """Record that a batch has gone: on each deal's history, too; returns how many orders it held."""
    if batch.written_at is not None:
        return 0
    batch.written_at = work.now
    rows = _of_batch(work, batch)
    by = f"в файле {batch.file_name}" if batch.channel == "folder" else "по HTTP"
    for row, case_id in rows:
        row.sent_at = work.now
        change = f" (изменение {row.version - 1})" if row.version > 1 else ""
        what = "Отмена заказа" if row.content["cancelled"] else "Заказ"
        said = f"{what} {row.number}{change} {'отправлена' if row.content['cancelled'] else 'отправлен'} в 1С {by}"
        work.audit("order.sent", said, entity="order_export", entity_id=row.id, case_id=case_id)
    return len(rows)


def batch_taken(work: Work, batch: OrderBatch) -> None:
    """Record that 1C has taken a batch; what it confirmed already stays confirmed."""
    if batch.taken_at is not None:
        return
    batch_sent(work, batch)
    batch.taken_at = work.now
    work.session.execute(
        update(OrderExport)
        .where(OrderExport.batch_id == batch.id, OrderExport.state == "written")
        .values(state="taken")
        .execution_options(synchronize_session=False)
    )


def batch_undone(work: Work, batch: OrderBatch) -> None:
    """Give the orders of a batch that never wholly went back to the queue."""
    work.session.execute(
        update(OrderExport)
        .where(OrderExport.batch_id == batch.id, OrderExport.state == "written")
        .values(state="waiting", batch_id=None)
        .execution_options(synchronize_session=False)
    )
    work.session.flush()
    work.session.delete(batch)


def _of_batch(work: Work, batch: OrderBatch) -> Sequence[tuple[OrderExport, int]]:
    rows = work.session.execute(
        select(OrderExport, Deal.case_id)
        .join(Deal, Deal.id == OrderExport.deal_id)
        .where(OrderExport.batch_id == batch.id)
        .order_by(OrderExport.id)
    )
    return [(row[0], row[1]) for row in rows]
