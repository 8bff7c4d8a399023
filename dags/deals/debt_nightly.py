"""Airflow DAG: ночная сверка долга (R002-74).

Что делает
1. Находит сделки, у которых долг или переплата расходятся с суммами: их могли изменить в обход карточки – большой
   загрузкой или прямо в базе.
2. Исправляет их (долг = «Сумма сделки» − «Сумма оплаты», меньше нуля не бывает: тогда это переплата) и пишет в историю
   каждой сделки «Ночная сверка долга». О новой переплате узнаёт бухгалтер.
3. Кто ждал оплаты, смотрит на сделку заново: задача, которой не хватало только её, закроется сама.

При каждом изменении суммы или оплаты на карточке долг пересчитывается сразу; здесь – страховка.

Когда: каждую ночь в 03:30 по Москве; вручную – кнопкой «Trigger». Повторный запуск безопасен: исправленное не меняется.
Владелец: бухгалтерия. Если упало: docs/runbook.md#process-failed.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task


@dag(
    dag_id="debt_nightly",
    dag_display_name="Долг: ночная сверка",
    doc_md=__doc__,
    schedule="30 3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Moscow"),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "Бухгалтерия",
        "retries": 4,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
)
def debt_nightly() -> None:
    """Compare what deals owe with their sums (R002-74)."""

    @task(task_display_name="Сверить долг с суммами", queue="default")
    def check() -> dict[str, int]:
        """Put right what differs."""
        from include.deals import services  # noqa: PLC0415 - nothing of ours is loaded at parse time

        checked = services.nightly_check()
        print(checked.text)
        return {"mended": checked.mended, "overpaid": checked.overpaid}

    check()


debt_nightly()
