"""Airflow DAG: ночная загрузка номенклатуры и контрагентов из 1С (R002-8).

Что делает
1. Берёт файлы CommerceML (2.x и 3.1) из папки `exchange/1c/incoming` – все вместе, как один обмен, в порядке 1С.
2. Читает их потоком; непонятные записи уходят в карантин с причиной, битый файл отменяет весь обмен.
3. Применяет обмен одной транзакцией: номенклатура – по Ид, контрагенты – по Ид, затем по ИНН и КПП.
4. Кладёт файлы в `done/` или `failed/` вместе с отчётом `report.txt` и сообщает о событии `exchange_applied`.

Нет файлов – запуск завершается успешно и говорит об этом.

Когда: каждую ночь в 02:30 по Москве; вручную – кнопкой «Trigger» (файлы берутся сразу же, как дописаны).
Владелец: администратор обмена с 1С.
Если упало: откройте `report.txt` в папке `failed/` и раздел
[«Обмен с 1С не загружен»](docs/runbook.md#exchange-1c-failed). Повторный запуск безопасен: ничего не удвоится.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException


@dag(
    dag_id="exchange_1c_nightly",
    dag_display_name="Обмен с 1С: ночная загрузка",
    doc_md=__doc__,
    schedule="30 2 * * *",
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
def exchange_1c_nightly() -> None:
    """Take what 1C has left in the folder (R002-8)."""

    @task(task_display_name="Загрузить файлы из 1С", queue="io")
    def load() -> dict[str, int | str | None]:
        """Apply one exchange; a file that 1C must send again fails without retries."""
        from include.exchange_1c import services  # noqa: PLC0415 - nothing of ours is loaded at parse time

        outcome = services.receive()
        print(outcome.text)
        if outcome.is_failed:
            msg = f"Обмен с 1С № {outcome.exchange_id} не загружен: смотрите report.txt в папке failed."
            raise AirflowFailException(msg)
        return {"exchange_id": outcome.exchange_id, "state": outcome.state}

    load()


exchange_1c_nightly()
