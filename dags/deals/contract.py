"""Процесс (Airflow DAG): воронки «Товары» и «Услуги», стадия «Договор».

1. Определяется руководитель (R002-26).
2. «Нужен ли договор» не заполнено – ответственному ставится «Указать, нужен ли договор»; ответа ждём. Нет – сделка
   сама переходит на «Комплектация», а услуги – на «Ожидание выезда на объект» (R002-27, A2-11).
3. Да – «Сформировать и отправить Договор» (R002-28).
4. После неё, если «Дата получения обратной связи по Договору» пуста, –
   «Заполнить дату получения обратной связи по Договору»; закрыть её нельзя, пока даты нет (R002-29).
5. Дата заполнена – «Получить обратную связь по договору» с этим сроком; если в срок задача открыта, ответственный
   уведомляется (R002-30). Итог «подписан» отмечает «Договор подписан» (R002-32).
   Дату изменили – процесс «Договор: новая дата обратной связи» (R002-31).

Дальше сделку переводят вручную (R002-32). Ушла со стадии: задачи снимаются, ожидания отменяются (AG-6).
Владелец: отдел продаж. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import (
    Alarm,
    EmployeeTask,
    FieldSensor,
    MoveStage,
    Result,
    StageProcess,
    at_due,
    at_field,
    equals,
    filled,
    hours,
    on_funnel,
    term,
    working_days,
)

NEEDED, NOT_NEEDED = equals("contract_needed", True), equals("contract_needed", False)
ANSWERS = {"signed": "подписан", "remarks": "есть замечания", "no_answer": "ответа нет"}

with StageProcess(
    "contract", funnel=("Товары", "Услуги"), stage="Договор", title="Договор", owner="Отдел продаж", doc_md=__doc__
):
    needed = EmployeeTask(
        "needed",
        "Указать, нужен ли договор",
        to="responsible",
        due=term("contract_needed_term", hours(4), "Срок ответа, нужен ли договор"),
        guard=filled("contract_needed"),
        closes_itself=True,
        only_if=~filled("contract_needed"),
        only_if_says="уже указано",
    )
    answered = FieldSensor("answered", "Ответ, нужен ли договор", until=filled("contract_needed"))
    to_picking = MoveStage(
        "to_picking",
        "Договор не нужен: перевести на «Комплектация»",
        stage="Комплектация",
        only_if=NOT_NEEDED & on_funnel("Товары"),
        only_if_says="договор нужен или это услуги",
    )
    to_site_visit = MoveStage(
        "to_site_visit",
        "Договор не нужен: перевести на «Ожидание выезда на объект»",
        stage="Ожидание выезда на объект",
        only_if=NOT_NEEDED & on_funnel("Услуги"),
        only_if_says="договор нужен или это товары",
    )
    send = EmployeeTask(
        "send",
        "Сформировать и отправить Договор",
        to="responsible",
        due=term("contract_term", working_days(1), "Срок отправки договора"),
        topic="contract",
        only_if=NEEDED,
        only_if_says="договор не нужен",
    )
    date = EmployeeTask(
        "date",
        "Заполнить дату получения обратной связи по Договору",
        to="responsible",
        due=term("contract_date_term", working_days(1), "Срок заполнения даты обратной связи по Договору"),
        guard=filled("contract_feedback_at"),
        closes_itself=True,
        only_if=NEEDED & ~filled("contract_feedback_at"),
        only_if_says="дата уже заполнена или договор не нужен",
    )
    feedback = EmployeeTask(
        "feedback",
        "Получить обратную связь по договору",
        to="responsible",
        due=at_field("contract_feedback_at", fixed=True),
        topic="contract_feedback",
        only_if=NEEDED,
        only_if_says="договор не нужен",
        result=(Result("outcome", "Итог", "choice", choices=ANSWERS, sets={"signed": {"contract_signed": True}}),),
    )
    Alarm(
        "feedback_late", of=feedback, at=at_due(), tell=("responsible",), says="Нет обратной связи по договору: {case}"
    )

    needed >> answered >> [to_picking, to_site_visit] >> send >> date >> feedback
