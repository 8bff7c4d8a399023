"""What is kept for how long, and how a pass is told; audit and the facts of cases are not among it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

#: Longer than this is for ever: a moment so far back does not exist in every calendar.
LONGEST_DAYS = 36_500


@dataclass(frozen=True)
class Kind:
    """A kind of rows or files that grows without end: its setting, the default in days, what it is called."""

    setting: str
    title: str
    days: int
    counted: str


KINDS = {
    one.setting: one
    for one in (
        Kind("retention_runs_days", "Хранение: оконченные прогоны Airflow и журналы их шагов, дней", 365, "прогонов"),
        Kind(
            "retention_airflow_days", "Хранение: журнал действий Airflow и отметки его программ, дней", 365, "записей"
        ),
        Kind("retention_events_days", "Хранение: переданные события оконченных дел, дней", 180, "событий"),
        Kind("retention_notices_days", "Хранение: уведомления оконченных дел и прочитанные, дней", 180, "уведомлений"),
        Kind("retention_links_days", "Хранение: ссылки для решения из писем после их срока, дней", 30, "ссылок"),
        Kind(
            "retention_exchange_days",
            "Хранение: файлы, отказы, изменения и сеансы обмена с 1С, дней",
            180,
            "файлов и записей",
        ),
        Kind(
            "retention_contents_days",
            "Хранение: содержимое файлов, которого не называет ни одно дело, дней",
            30,
            "файлов",
        ),
    )
}
FOREVER = " (0 – всегда)"


def cutoff(now: datetime, days: int) -> datetime | None:
    """Return the moment before which a kind may go; None when it is kept for ever."""
    return None if days <= 0 or days > LONGEST_DAYS else now - timedelta(days=days)


def told(removed: Mapping[str, int], *, dry: bool = False) -> str:
    """Say in words what a pass removed, or what it would remove."""
    lines = [
        f"{kind.title.removesuffix(', дней')}: {removed[code]} {kind.counted}"
        for code, kind in KINDS.items()
        if removed.get(code)
    ]
    if not lines:
        return "Удалять нечего." if dry else "Хранение: удалять было нечего."
    return "\n".join([("Было бы удалено:" if dry else "Удалено:"), *(f"  {line}" for line in lines)])
