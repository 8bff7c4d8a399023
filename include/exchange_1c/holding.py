"""What a person decides about exchanges: it is recorded here, and the next run of the loading carries it out."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.exchange_1c.models import Exchange, ExchangeFile
from include.exchange_1c.rights import require_exchange
from include.exchange_1c.services import filed_files, origin_of, quarantine_of
from include.installation.places import Places
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.work import Work, transaction
from include.staff.services import Viewer

DECISIONS = {
    "confirm": "снять и загрузить",
    "keep": "загрузить, ничего не снимая",
    "refuse": "не загружать",
}
#: An exchange that holds one of these is not given up for a newer catalogue: what it says would be lost.
_OWN_WORD = {"Документ", "Контрагент"}


def decide(exchange_id: int, decision: str, reason: str, viewer: Viewer) -> None:
    """Record what becomes of a held exchange; Conflict when it is not held or somebody has decided already."""
    require_exchange(viewer)
    if decision not in DECISIONS:
        msg = f"Решение – одно из: {', '.join(DECISIONS)}."
        raise InvalidInput(msg, "decision")
    with transaction(viewer.actor) as work:
        exchange = _held(work, exchange_id)
        exchange.decision, exchange.decision_reason = decision, reason
        exchange.decided_by, exchange.decided_at = viewer.person_id, work.now
        work.audit(
            "exchange.decided", f"Обмен с 1С № {exchange_id}: {DECISIONS[decision]}", entity="exchange",
            entity_id=exchange_id, reason=reason,
        )  # fmt: skip


def replaced_by_newest(session: Session, exchange_id: int) -> tuple[int, list[int]] | None:
    """Return the newest exchange in the queue and those given up for it (the held one first); None without a queue."""
    waiting = list(
        session.scalars(
            select(Exchange.id)
            .where(Exchange.filed_at.is_(None), Exchange.state == "queued", Exchange.id > exchange_id)
            .order_by(Exchange.id)
        )
    )
    if not waiting:
        return None
    *between, newest = waiting
    rows = session.execute(select(ExchangeFile.exchange_id, ExchangeFile.counts).where(
        ExchangeFile.exchange_id.in_(between))).all()  # fmt: skip
    own = {row.exchange_id for row in rows if _OWN_WORD & set(row.counts)}
    return newest, [exchange_id, *(one for one in between if one not in own)]


def replace_by_newest(exchange_id: int, reason: str, viewer: Viewer) -> int:
    """Give up the held exchange and older catalogues behind it for the newest one; returns that one.

    Conflict when nothing waits behind it, or when the newest brings changes only: those do not replace a full export.
    """
    require_exchange(viewer)
    with transaction(viewer.actor) as work:
        held = _held(work, exchange_id)
        found = replaced_by_newest(work.session, exchange_id)
        if found is None:
            msg = "Заменить нечем: за этим обменом никто не ждёт."
            raise Conflict(msg)
        newest, given_up = found
        files = work.session.execute(
            select(ExchangeFile.is_full, ExchangeFile.counts).where(ExchangeFile.exchange_id == newest)
        ).all()
        if not any(row.is_full and row.counts.get("Товар") for row in files):
            msg = f"Обмен № {newest} – не полная выгрузка товаров: он не заменит задержанный. Решите о задержанном."
            raise Conflict(msg)
        for one in given_up:
            exchange = held if one == exchange_id else work.session.get_one(Exchange, one, with_for_update=True)
            exchange.state, exchange.finished_at = "replaced", work.now
            exchange.decided_by, exchange.decided_at = viewer.person_id, work.now
            exchange.decision_reason = reason
            said = f"заменён обменом № {newest}: {reason}"
            exchange.report = exchange.report | {"state": "replaced", "error": said, "replaced_by": newest}
            work.audit(
                "exchange.replaced", f"Обмен с 1С № {one} {said}", entity="exchange", entity_id=one, reason=reason
            )
        return newest


def take_again(exchange_id: int, viewer: Viewer) -> int:
    """Ask for the quarantine of an exchange (of a failed one: for all of it) to be taken again; returns the new one.

    Conflict when nothing stands in its quarantine, when its files are gone, or when that is asked for already.
    """
    require_exchange(viewer)
    with transaction(viewer.actor) as work:
        asked = work.session.get(Exchange, exchange_id, with_for_update=True)
        if asked is None:
            raise NotFound(_none(exchange_id))
        if asked.filed_at is None:
            msg = f"Обмен № {exchange_id} ещё не окончен."
            raise Conflict(msg)
        origin = origin_of(exchange_id)
        first = work.session.get_one(Exchange, origin, with_for_update=True)
        waiting = select(Exchange.id).where(Exchange.retake_of == origin, Exchange.state == "received")
        if (already := work.session.scalar(waiting)) is not None:
            msg = f"Это уже попросили: обмен № {already} ждёт загрузки."
            raise Conflict(msg)
        if first.state != "failed" and not quarantine_of(origin):
            msg = "В карантине этого обмена нет записей, которые можно взять снова."
            raise Conflict(msg)
        if not filed_files(Places.from_environment().exchange, origin):
            msg = "Файлы этого обмена уже убраны: выгрузите их из 1С ещё раз."
            raise Conflict(msg)
        made = Exchange(
            source="again", place=first.place, state="received", started_at=work.now,
            digest=f"again/{origin}/{work.now.isoformat()}", retake_of=origin, asked_by=viewer.person_id,
        )  # fmt: skip
        work.session.add(made)
        work.session.flush()
        work.audit(
            "exchange.asked_again", f"Карантин обмена с 1С № {origin} будет взят снова: обмен № {made.id}",
            entity="exchange", entity_id=made.id,
        )  # fmt: skip
        return made.id


def _held(work: Work, exchange_id: int) -> Exchange:
    found = work.session.get(Exchange, exchange_id, with_for_update=True)
    if found is None:
        raise NotFound(_none(exchange_id))
    if found.state != "held":
        msg = f"Обмен № {exchange_id} решения не ждёт."
        raise Conflict(msg)
    if found.decision is not None:
        msg = f"Об обмене № {exchange_id} уже решено: {DECISIONS[found.decision]}."
        raise Conflict(msg)
    return found


def _none(exchange_id: int) -> str:
    return f"Обмена № {exchange_id} нет."
