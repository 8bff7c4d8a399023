"""Процесс (Airflow DAG): воронка «Товары», стадия «Счет/КП».

1. Определяется руководитель (R002-14): он постановщик и наблюдатель задач стадии.
2. Срок задачи зависит от сложности сделки: простой – 4 часа, сложный – 1 рабочий день, очень сложный – 3 (R002-15).
   Сложность не указана – считаем сложным и ставим ответственному задачу «Указать сложность сделки».
3. Ответственному ставится задача «Сформировать и отправить КП»; через срок по сложности, если она ещё открыта,
   он уведомляется (R002-16).
4. Она закрыта – ставится «Получить обратную связь по КП»; срок – «Дата получения обратной связи по КП», а если её нет,
   3 дня. В срок, если задача ещё открыта, ответственный уведомляется (R002-17, R002-24).
5. Задача закрыта, а сделка ещё 12 часов на стадии – ставится «Актуализировать дату получения обратной связи». Закрыть
   её можно, только изменив дату на будущую; изменили – закроется сама (R002-18). Что дальше – процесс «Товары: новая
   дата обратной связи по КП» (R002-19); он же перехватывает ожидание, если дату изменили раньше.

Сделка ушла со стадии: задачи снимаются, ожидания отменяются (AG-6).
Владелец: отдел продаж. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import (
    Alarm,
    EmployeeTask,
    StageProcess,
    StageSensor,
    after,
    at_due,
    at_field,
    by_field,
    changed,
    days,
    filled,
    hours,
    in_future,
    term,
    working_days,
)

BY_COMPLEXITY = by_field(
    "complexity",
    {
        "simple": term("quote_term_simple", hours(4), "Срок КП: простой случай"),
        "complex": term("quote_term_complex", working_days(1), "Срок КП: сложный случай"),
        "very_complex": term("quote_term_very_complex", working_days(3), "Срок КП: очень сложный случай"),
    },
    otherwise="complex",
)
NO_DATE = after(term("quote_feedback_term", days(3), "Срок обратной связи по КП, если даты нет"))

with StageProcess("goods_quote", funnel="Товары", stage="Счет/КП", owner="Отдел продаж", doc_md=__doc__):
    complexity = EmployeeTask(
        "complexity",
        "Указать сложность сделки",
        to="responsible",
        due=term("quote_complexity_term", hours(4), "Срок указания сложности"),
        guard=filled("complexity"),
        closes_itself=True,
        only_if=~filled("complexity"),
        only_if_says="сложность указана",
    )
    quote = EmployeeTask("quote", "Сформировать и отправить КП", to="responsible", due=BY_COMPLEXITY, topic="quote")
    Alarm("quote_late", of=quote, at=after(BY_COMPLEXITY), tell=("responsible",), says="КП ещё не отправлено: {case}")

    feedback = EmployeeTask(
        "feedback",
        "Получить обратную связь по КП",
        to="responsible",
        due=at_field("quote_feedback_at", otherwise=NO_DATE, fixed=True),
        topic="quote_feedback",
    )
    Alarm("feedback_late", of=feedback, at=at_due(), tell=("responsible",), says="Нет обратной связи по КП: {case}")

    still_here = StageSensor(
        "still_here",
        "Сделка ещё 12 часов на стадии",
        stays_for=term("quote_stays_for", hours(12), "Сколько ждать перевода после обратной связи по КП"),
        gives_way_to="quote_feedback",
    )
    new_date = EmployeeTask(
        "new_date",
        "Актуализировать дату получения обратной связи",
        to="responsible",
        guard=changed("quote_feedback_at") & in_future("quote_feedback_at"),
        closes_itself=True,
        topic="quote_feedback_date",
        reentry="repeat",
    )

    quote >> feedback >> still_here >> new_date
