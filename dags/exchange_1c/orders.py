"""Airflow DAG: заказы в 1С (R002-8).

Что делает
1. Составляет заказы из сделок, дошедших до стадии из настройки «Заказы в 1С: с какой стадии», и из выигранных. Чего
   заказу не хватает, видно на странице «Заказы в 1С» и в строках сделки; исправленное уходит само.
2. Кладёт заказы файлом CommerceML в папку `exchange/1c/outgoing` – каждый один раз; изменение сделки уходит новой
   версией, проигранная – отменой. Если 1С забирает заказы по HTTP, файлов не пишет.
3. Завершает то, что не закончила оборвавшаяся 1С: принятые по HTTP документы отдаёт в загрузку, недосланный каталог
   убирает.

Заказ считается принятым, когда о нём скажет следующий обмен с 1С.

Когда: каждые 30 минут; вручную – кнопкой «Trigger».
Владелец: администратор обмена с 1С. Если упало: причина – в журнале шага (неверная настройка, нет места на диске);
docs/runbook.md#process-failed. Повторный запуск безопасен: ничего не уйдёт дважды.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task


@dag(
    dag_id="exchange_1c_orders",
    dag_display_name="Обмен с 1С: заказы в 1С",
    doc_md=__doc__,
    schedule="*/30 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Moscow"),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "Администратор обмена с 1С",
        "retries": 4,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
    tags=["1С", "интеграции"],
)
def exchange_1c_orders() -> None:
    """Send orders to 1C and end what a broken exchange left (R002-8)."""

    @task(task_display_name="Завершить оборванные обмены", queue="io")
    def tidy() -> list[str]:
        """Publish or give up what idle sessions of 1C left."""
        from include.one_c_http import services  # noqa: PLC0415 - nothing of ours is loaded at parse time

        return services.tidy()

    @task(task_display_name="Отправить заказы в 1С", queue="io")
    def send() -> str:
        """Make up the orders that have changed and write them for 1C."""
        from include.orders import services  # noqa: PLC0415 - nothing of ours is loaded at parse time

        said = services.send_to_folder()
        print(said)
        return said

    tidy()
    send()


exchange_1c_orders()
