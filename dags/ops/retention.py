"""Airflow DAG: ночная уборка старого (хранение).

Что делает
1. Стирает пачками, каждая – одна транзакция: переданные события, уведомления и ссылки из писем оконченных дел, файлы
   обмена с 1С в `done/` и `failed/`, разобранные отказы.
2. Просит двигатель (engine) убрать сторону Airflow – оконченные прогоны с журналами шагов, журнал действий, отметки
   программ, содержимое файлов, которого не называет ни одно дело, – и ждёт, пока он закончит.

Сроки – на странице настроек («Хранение: …», в днях, 0 – всегда). Журнал (audit) и факты дел не стираются никогда.
Живое дело не трогается, сколько бы ему ни было лет: открыта сделка, идёт процесс, есть открытая задача, согласование
или непереданное событие.

Когда: каждую ночь в 04:30 по Москве; вручную – кнопкой «Trigger». Посмотреть, что ушло бы: `make retention DRY=1`.
Повторный запуск безопасен: прерванное продолжится. Владелец: администратор.
Если упало: docs/runbook.md#retention.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task


@dag(
    dag_id="retention_nightly",
    dag_display_name="Хранение: ночная уборка",
    doc_md=__doc__,
    schedule="30 4 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Moscow"),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "Администратор",
        "retries": 4,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
)
def retention_nightly() -> None:
    """Remove what has been kept long enough."""

    @task(task_display_name="Убрать старое бэк-офиса", queue="io")
    def clean() -> int:
        """Remove our own rows and files; returns the number of the pass."""
        from include.retention import services  # noqa: PLC0415 - nothing of ours is loaded at parse time

        pass_id = services.begin()
        services.clean(pass_id)
        return pass_id

    @task(task_display_name="Дождаться уборки Airflow", queue="io")
    def wait(pass_id: int) -> dict[str, int]:
        """Wait for the engine and say what the pass removed."""
        from include.retention import services  # noqa: PLC0415 - nothing of ours is loaded at parse time

        done = services.wait_finished(pass_id)
        print(done.text)
        return done.removed

    wait(clean())


retention_nightly()
