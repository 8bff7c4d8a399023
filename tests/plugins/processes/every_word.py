"""Процесс (Airflow DAG) проверок: в нём есть каждое слово, из которых пишутся процессы."""

from backoffice.process import (
    Alarm,
    Approval,
    Approver,
    Confirm,
    CreateDeal,
    DateSensor,
    EmployeeTask,
    FieldSensor,
    Fix,
    FormRequest,
    MoveStage,
    Notify,
    Repeat,
    Result,
    Rework,
    SetField,
    StageProcess,
    StageSensor,
    TaskSensor,
    after,
    at_field,
    by_field,
    came_from,
    changed,
    days,
    filled,
    hours,
    number,
    result_of,
    rounds,
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

    paid = Confirm("paid", "Оплачено", to="role:accountant", due=hours(8), yes="Оплачен", no="Не оплачен")
    asked = FormRequest("asked", "Спросить", to="responsible", asks=[Result("place", "Куда")])
    allowed = Approval(
        "allowed", "Разрешить", mode="quorum", quorum=1, term=days(2), only_if=result_of("asked", "place", "Омск"),
        by=[Approver("Руководитель", "head"), Approver("Директор", "role:director|head")],
    )  # fmt: skip
    agreed = Rework(
        "agreed", "Согласовать", by=[Approver("Директор", "role:director")], file="contract_draft",
        fix=Fix("Исправить", to="responsible", guard=filled("contract_draft")),
    )  # fmt: skip
    again = Repeat(
        "again", "Напоминать", every=days(14), holds=~filled("track_number"), tell=("responsible",),
        at_most=number("many", 6, "Сколько раз"), says="Напоминание {times}: {case}",
    )  # fmt: skip
    renew = EmployeeTask(
        "renew", "Сменить дату", to="setting:somebody|responsible", guard=changed("ready_at"), topic="renewal",
        due=by_field("complexity", {"simple": hours(4), "complex": days(1)}, otherwise="complex"),
        only_if=rounds("calls", number("rounds", 3, "Кругов")),
    )  # fmt: skip

    take >> call >> [said, seen] >> soon >> stuck >> tell >> deal >> move
    paid >> asked >> allowed >> agreed >> again >> renew
