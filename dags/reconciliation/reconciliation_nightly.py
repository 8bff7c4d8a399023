"""Airflow DAG: ночная сверка сделок, счетов, документов 1С и платежей.

Что делает
1. Сравнивает «Сумму оплаты» сделок с платежами, счета – с суммами сделок и с 1С, документы 1С – с банком, выписки –
   друг с другом, отправленные заказы – с ответами 1С.
2. Что не сходится, попадает на страницу «Сверка»: с ответственным, возрастом и следующим шагом. Ответственный узнаёт
   о новом одним уведомлением.
3. Что сошлось, закрывается само. Если разойдётся снова, возраст начнётся заново, прошлое останется в закрытых.

Сама сверка ничего не исправляет: деньги меняют только люди и загрузки.

Когда: каждую ночь в 05:30 по Москве, после обмена с 1С и сверки долга; вручную – кнопкой «Trigger» или на странице
«Сверка». Повторный запуск безопасен: то же расхождение не удвоится.
Владелец: бухгалтерия. Если упало: docs/runbook.md#process-failed.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task


@dag(
    dag_id="reconciliation_nightly",
    dag_display_name="Сверка: сделки, счета, 1С и банк",
    doc_md=__doc__,
    schedule="30 5 * * *",
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
    tags=["1С", "интеграции"],
)
def reconciliation_nightly() -> None:
    """Keep the list of what disagrees (★70)."""

    @task(task_display_name="Сверить и обновить список", queue="default")
    def compare() -> dict[str, int]:
        """Open what disagrees, close what agrees."""
        from include.reconciliation import services  # noqa: PLC0415 - nothing of ours is loaded at parse time

        found = services.run()
        print(found.text)
        return {"opened": found.opened, "closed": found.closed, "open": found.open}

    compare()


reconciliation_nightly()
