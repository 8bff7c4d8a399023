"""Процесс (Airflow DAG): входящее обращение (R002-9a).

1. Регистратор заполняет форму: направление, о чём обращение, компания, контакт, ответственный, откуда пришло.
2. Проверяется, что запустивший имеет на это право.
3. Обращение становится сделкой на стадии «Не обработан» выбранного направления; задач там нет. Первый перевод
   с этой стадии и есть приёмка лида в работу (R002-9b, R002-10).
4. Ответственный получает уведомление.

Владелец: отдел продаж. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import CreateDeal, FormProcess, Notify
from include.deals.forms import ClientRequest

with FormProcess(
    "client_request", title="Входящее обращение", form=ClientRequest, owner="Отдел продаж", doc_md=__doc__
):
    deal = CreateDeal("create_deal", "Завести сделку на «Не обработан»")
    tell = Notify(
        "tell_responsible",
        "Уведомить ответственного",
        tell=("responsible",),
        says="Новое обращение ждёт приёмки в работу: {case}",
    )

    deal >> tell
