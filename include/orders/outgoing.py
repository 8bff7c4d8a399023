"""Files of orders in exchange/1c/outgoing: each appears whole, once, whatever dies in the middle.

A batch is recorded; its file is written aside and made durable (``prepared_at``); then it gets its name in one step. A
prepared file that no longer stands aside has therefore been published, even when 1C has taken it already.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from include.installation.places import Places
from include.orders import batches
from include.orders.export import Version, export_settings, write_file
from include.orders.models import OrderBatch
from include.orders.rules import file_name
from include.shared import clock
from include.shared.db import engine
from include.shared.errors import Conflict
from include.shared.work import INTEGRATION, reading, transaction

OUTGOING_LOCK = 1_031_079  # pg_advisory_lock: one writer of the folder in the whole installation
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class OutgoingBusy(Conflict):
    """Another run is writing orders at this moment."""


class OutgoingFailed(Conflict):
    """The folder cannot be written: the orders wait, the next run goes on where this one stopped."""


def folder() -> Path:
    """Return the folder that 1C takes files of orders from."""
    return Places.from_environment().exchange / "outgoing"


def write_folder() -> str:
    """Write what waits as files, note which older files 1C has taken; returns what was done, in Russian.

    OutgoingBusy while another run is at it, OutgoingFailed when the disk refuses.
    """
    with reading() as session:
        made = export_settings(session)
    place = folder()
    with _alone():
        done = 0
        for batch_id in _open_batches():
            done += _go_on(place, batch_id)
        if not made.to_folder:
            return "Заказы отдаются по HTTP: файлы не пишутся."
        while True:
            with transaction(INTEGRATION) as work:
                upcoming = file_name(made.file_name, 0, work.now)
                if upcoming == made.file_name and (place / upcoming).exists():
                    return f"Записано заказов: {done}. Прежний файл {upcoming} ещё не забран: следующие ждут."
                batch = batches.new_batch(work, "folder")
            if batch is None:
                return f"Записано заказов: {done}."
            done += _go_on(place, batch.id)


def _open_batches() -> list[int]:
    with reading() as session:
        wanted = select(OrderBatch.id).where(OrderBatch.channel == "folder", OrderBatch.taken_at.is_(None))
        return list(session.scalars(wanted.order_by(OrderBatch.id)))


def _go_on(place: Path, batch_id: int) -> int:
    """Bring a batch one step further from wherever it was left; returns how many orders were sent by this."""
    with transaction(INTEGRATION) as work:
        batch = work.session.get_one(OrderBatch, batch_id)
        aside, final = place / f".orders-{batch.id}.ready", place / batch.file_name
        if batch.written_at is not None:
            if not final.exists():
                batches.batch_taken(work, batch)
            return 0
        prepared, held = batch.prepared_at is not None, batches.versions_of(work, batch)
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not prepared:
            _write_aside(aside, batch, held)
            with transaction(INTEGRATION) as work:
                work.session.get_one(OrderBatch, batch_id).prepared_at = clock.machine_now()
        if aside.exists():
            if final.exists():
                return 0  # somebody's file of this name stands there: it is never written over
            aside.rename(final)
            _make_durable(place)
    except OSError as error:
        msg = f"Файл заказов не записан: {_words(error)}. Заказы остаются в очереди, следующий запуск продолжит."
        raise OutgoingFailed(msg) from error
    with transaction(INTEGRATION) as work:
        return batches.batch_sent(work, work.session.get_one(OrderBatch, batch_id, with_for_update=True))


def _write_aside(aside: Path, batch: OrderBatch, held: list[Version]) -> None:
    part = aside.with_suffix(".part")
    try:
        with part.open("wb") as file:
            write_file(file, held, batch.form, batch.made_at)
            file.flush()
            os.fsync(file.fileno())
        part.replace(aside)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    _make_durable(aside.parent)


def _make_durable(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _words(error: OSError) -> str:
    if error.errno in NO_SPACE:
        return "на диске нет места"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "в папку exchange/1c/outgoing нельзя писать"
    return error.strerror or type(error).__name__


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the folder's lock on a connection of its own; OutgoingBusy when somebody else holds it."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(OUTGOING_LOCK))):
            msg = "Заказы в 1С уже пишутся: дождитесь конца и запустите снова."
            raise OutgoingBusy(msg)
        try:
            yield
        finally:
            with suppress(DBAPIError):  # a lost connection has lost the lock too
                connection.scalar(select(func.pg_advisory_unlock(OUTGOING_LOCK)))
