"""Процесс (Airflow DAG) проверок: в нём есть каждое слово, из которых пишутся процессы."""

from backoffice.process import (
    Alarm,
    CreateDeal,
    DateSensor,
    EmployeeTask,
    FieldSensor,
    MoveStage,
    Notify,
    Result,
    SetField,
    StageProcess,
    StageSensor,
    TaskSensor,
    after,
    at_field,
    came_from,
    days,
    filled,
    hours,
    term,
)

with StageProcess(
    "every_word", funnel="Проверка", stage="Начало", title="Все слова", owner="Отдел проверок", doc_md=__doc__, scheme=3
):
    take = SetField("take", "Взять", field="responsible", address="mover", only_if=~came_from("Конец"))
    call = EmployeeTask(
        "call",
        "Позвонить",
        to="responsible",
        due=term("call_term", hours(5), "Срок звонка"),
        guard=filled("call_result"),
        closes_itself=True,
        on_leave="keep",
        reentry="repeat",
        topic="calls",
        result=[Result("call_result", "Итог", choices={"yes": "да", "no": "нет"})],
    )
    late = Alarm("late", of=call, at=after(days(1)), tell=("responsible", "head"))
    said = FieldSensor("said", "Итог внесён", until=filled("call_result"))
    seen = TaskSensor("seen", "Звонок сделан", topic="calls")
    soon = DateSensor("soon", "За 2 часа до готовности", at=at_field("ready_at", minus=hours(2)))
    stuck = StageSensor("stuck", "Стоит 12 часов", stays_for=hours(12), since=2)
    tell = Notify("tell", "Уведомить", tell=("role:director",), says="Готово: {case}")
    deal = CreateDeal("deal", "Завести сделку")
    move = MoveStage("move", "Перевести", stage="Конец")

    take >> call >> [said, seen] >> soon >> stuck >> tell >> deal >> move
