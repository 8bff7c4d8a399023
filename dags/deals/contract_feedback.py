"""Процесс (Airflow DAG): изменена «Дата получения обратной связи по Договору» (R002-31).

1. Дату изменили, пока сделка стоит на «Договор» и обратную связь уже запрашивали; заполнили раньше – она станет сроком
   первой задачи, изменили после – остаётся только запись.
2. Ставится «Получить обратную связь по Договору» с новым сроком; прежняя открытая задача этой темы заменяется (AG-7).
   В срок, если задача ещё открыта, ответственный уведомляется. Итог «подписан» отмечает «Договор подписан» (R002-32).

Владелец: отдел продаж. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import (
    Alarm,
    EmployeeTask,
    EventProcess,
    Result,
    at_due,
    at_field,
    filled,
    given,
    on_stage,
    still_open,
)

ANSWERS = {"signed": "подписан", "remarks": "есть замечания", "no_answer": "ответа нет"}

with EventProcess(
    "contract_feedback",
    title="Договор: новая дата обратной связи",
    field="contract_feedback_at",
    only_if=on_stage("Договор") & given("contract_feedback") & ~still_open("contract") & filled("contract_feedback_at"),
    only_if_says="дата изменена не на стадии «Договор» или до первой задачи: только запись",
    owner="Отдел продаж",
    doc_md=__doc__,
):
    feedback = EmployeeTask(
        "feedback",
        "Получить обратную связь по Договору",
        to="responsible",
        due=at_field("contract_feedback_at", fixed=True),
        topic="contract_feedback",
        reentry="replace",
        result=(Result("outcome", "Итог", "choice", choices=ANSWERS, sets={"signed": {"contract_signed": True}}),),
    )
    Alarm(
        "feedback_late", of=feedback, at=at_due(), tell=("responsible",), says="Нет обратной связи по договору: {case}"
    )
