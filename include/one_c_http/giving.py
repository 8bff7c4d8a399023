"""Orders that 1C asks for (``mode=query``): a batch is given until 1C has it, then the next one.

УТ 11 never says ``success``: that it comes with a new session and asks again means that it has the batch before, if
that one went out whole. Within one session the same batch is given again, to the byte.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import BinaryIO, cast

from sqlalchemy import select

from include.deals.models import Stage
from include.one_c_http import rules
from include.one_c_http.models import OneCSession
from include.one_c_http.sessions import Visit
from include.orders import batches
from include.orders import services as orders
from include.orders.export import export_settings, form_of, write_file
from include.orders.models import OrderBatch
from include.shared.work import INTEGRATION, Work, reading, transaction

IN_MEMORY = 4 * 1024 * 1024  # a larger answer waits on the disk


@dataclass
class Given:
    """An answer of orders: its batch (None: nothing waits), its bytes and their encoding."""

    batch_id: int | None
    content: BinaryIO
    encoding: str


def give_orders(visit: Visit) -> Given:
    """Return the orders that wait for this 1C; SettingsRefused when a setting of the export cannot be followed."""
    orders.prepare()
    with transaction(INTEGRATION) as work:
        batches.lock_orders(work)
        batch = _open_batch(work, visit)
        form = dict(batch.form) if batch is not None else form_of(export_settings(work.session))
        held = batches.versions_of(work, batch) if batch is not None else []
        made_at = batch.made_at if batch is not None else work.now
        batch_id = batch.id if batch is not None else None
    # the answer closes it when it is sent
    content = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115
    write_file(content, held, form, made_at)
    content.seek(0)
    return Given(batch_id, content, str(form["encoding"]))


def orders_went(batch_id: int) -> None:
    """Record that an answer went out whole."""
    with transaction(INTEGRATION) as work:
        batches.batch_sent(work, work.session.get_one(OrderBatch, batch_id, with_for_update=True))


def orders_taken(visit: Visit) -> None:
    """Record that 1C has what it was given in this session (``mode=success``); said twice it changes nothing."""
    with transaction(INTEGRATION) as work:
        batches.lock_orders(work)
        for batch in _untaken(work, visit):
            if batch.session_id == visit.session_id:
                batches.batch_taken(work, batch)


def statuses_xml() -> bytes:
    """Return at what an order may stand (``mode=info``)."""
    with reading() as session:
        titles = session.scalars(select(Stage.title).order_by(Stage.funnel_code, Stage.position))
        return rules.info_xml({title: title for title in titles})


def _open_batch(work: Work, visit: Visit) -> OrderBatch | None:
    for batch in _untaken(work, visit):
        if batch.session_id == visit.session_id or batch.written_at is None:
            batch.session_id = visit.session_id
            return batch
        batches.batch_taken(work, batch)
    return batches.new_batch(work, "http", session_id=visit.session_id)


def _untaken(work: Work, visit: Visit) -> list[OrderBatch]:
    """Return the batches that this account was given and has not been known to take, the oldest first."""
    wanted = (
        select(OrderBatch)
        .join(OneCSession, OneCSession.id == OrderBatch.session_id)
        .where(
            OrderBatch.channel == "http", OrderBatch.taken_at.is_(None), OneCSession.access_id == visit.access_id
        )
        .order_by(OrderBatch.id)
    )  # fmt: skip
    return list(work.session.scalars(wanted))
