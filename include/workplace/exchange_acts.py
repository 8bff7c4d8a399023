"""What a person decides about an exchange with 1C; it is recorded here and carried out by the next run."""

from __future__ import annotations

from include.exchange_1c import holding
from include.exchange_1c.rights import require_exchange
from include.money.allocation import clean_reason
from include.shared.errors import Conflict
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import exchange, exchange_words
from include.workplace.exchange_shapes import ExchangeCard


def require_reason(reason: str) -> str:
    """Return a reason as it is kept; InvalidInput when there is none."""
    return clean_reason(reason)


def held_card(viewer: Viewer, exchange_id: int) -> ExchangeCard:
    """Return a held exchange that nobody has decided about; Conflict for any other."""
    with reading() as session:
        shown = exchange.card(session, viewer, exchange_id)
    if shown.may_decide:
        return shown
    row = shown.row
    msg = (
        f"Об обмене № {row.id} уже решено: «{row.decision_title}». Решение исполнит ближайшая загрузка."
        if row.decision
        else f"Обмен № {row.id} решения не ждёт: он {row.state_title}."
    )
    raise Conflict(msg)


def decide(viewer: Viewer, exchange_id: int, decision: str, reason: str) -> str:
    """Record what becomes of a held exchange and return it in words."""
    require_exchange(viewer)
    holding.decide(exchange_id, decision, require_reason(reason), viewer)
    return f"Решение об обмене № {exchange_id} записано: {exchange_words.DECISIONS[decision]}."


def replace(viewer: Viewer, exchange_id: int, reason: str) -> tuple[int, str]:
    """Give up the held exchange and the queued ones for the newest of them; return that one and words for it."""
    require_exchange(viewer)
    newest = holding.replace_by_newest(exchange_id, require_reason(reason), viewer)
    return newest, f"Обмен № {exchange_id} заменён: будет загружен новейший, № {newest}."


def take_again(viewer: Viewer, exchange_id: int) -> tuple[int, str]:
    """Ask for a quarantine (of a failed exchange: all of it) to be taken again; return the new exchange and words."""
    require_exchange(viewer)
    made = holding.take_again(exchange_id, viewer)
    return made, f"Обмен № {exchange_id} будет взят снова: это обмен № {made}."
