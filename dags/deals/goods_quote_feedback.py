"""Процесс (Airflow DAG): «Товары», изменена «Дата получения обратной связи по КП» (R002-19, R002-24, R002-25).

1. Дату заполнили или изменили, пока сделка стоит на «Счет/КП» и обратную связь уже запрашивали (R002-24, A2-10);
   заполнили раньше – она лишь станет сроком первой задачи, изменили после – остаётся только запись.
2. Ставится «Получить обратную связь по КП/счету» со сроком – новой датой; прежняя открытая задача этой темы
   заменяется (AG-7). В срок, если задача ещё открыта, ответственный уведомляется.
3. Это уже третий круг – после закрытия уведомляется руководитель (R002-25; число кругов – в настройках, 0 – не
   уведомлять).
4. Сделка ещё 12 часов на стадии – снова «Актуализировать дату получения обратной связи» (R002-18), и так до ухода
   сделки со стадии: «дожим».

Владелец: отдел продаж. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import (
    Alarm,
    EmployeeTask,
    EventProcess,
    Notify,
    StageSensor,
    at_due,
    at_field,
    changed,
    filled,
    given,
    hours,
    in_future,
    number,
    on_funnel,
    on_stage,
    rounds,
    still_open,
    term,
)

with EventProcess(
    "goods_quote_feedback",
    title="Товары: новая дата обратной связи по КП",
    field="quote_feedback_at",
    only_if=on_funnel("Товары")
    & on_stage("Счет/КП")
    & given("quote_feedback")
    & ~still_open("quote")
    & filled("quote_feedback_at"),
    only_if_says="дата изменена не на стадии «Счет/КП» или до первой задачи: только запись",
    owner="Отдел продаж",
    doc_md=__doc__,
):
    feedback = EmployeeTask(
        "feedback",
        "Получить обратную связь по КП/счету",
        to="responsible",
        due=at_field("quote_feedback_at", fixed=True),
        topic="quote_feedback",
        reentry="replace",
    )
    Alarm("feedback_late", of=feedback, at=at_due(), tell=("responsible",), says="Нет обратной связи по КП: {case}")
    many_rounds = Notify(
        "many_rounds",
        "Уведомить руководителя: много кругов",
        tell=("head",),
        says="Обратную связь по КП запрашивают уже несколько кругов: {case}",
        once="stage",
        only_if=rounds("quote_feedback", number("quote_rounds_alarm", 3, "После скольких кругов звать руководителя")),
        only_if_says="кругов ещё мало",
    )
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
        reentry="replace",
    )

    feedback >> many_rounds >> still_here >> new_date
