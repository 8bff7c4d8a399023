"""Процессы (Airflow DAG) проверочной воронки «Проба»: по одному на слово, которого ещё нет в процессах компаний.

Владелец: тесты. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import (
    Alarm,
    Approval,
    Approver,
    Confirm,
    DateSensor,
    EmployeeTask,
    EventProcess,
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
    at_least,
    days,
    equals,
    filled,
    hours,
    result_of,
)

with StageProcess("probe_payment", funnel="Проба", stage="Оплата", owner="Тесты", doc_md=__doc__):
    pay = EmployeeTask(
        "pay",
        "Получить окончательный расчет",
        to="responsible",
        due=days(2),
        guard=at_least("paid", "amount"),
        closes_itself=True,
        on_leave="keep",
    )
    Alarm("pay_late", of=pay, at=after(days(1)), tell=("responsible",), says="Нет оплаты: {case}")
    pack = EmployeeTask(
        "pack",
        "Укомплектовать заказ",
        to="role:accountant",
        due=hours(4),
        result=(Result("note", "Что сделано"),),
    )
    pay >> pack

with StageProcess("probe_dates", funnel="Проба", stage="Даты", owner="Тесты", doc_md=__doc__):
    before = DateSensor("before", "За 2 часа до готовности", at=at_field("ready_on", minus=hours(2)))
    tell_ready = Notify("tell_ready", "Сообщить о готовности", tell=("responsible",), says="Скоро готовность: {case}")
    track = FieldSensor("track", "Ждать трек-номер", until=filled("track_number"))
    tell_track = Notify("tell_track", "Сообщить трек-номер", tell=("head",), says="Есть трек-номер: {case}")
    urgent = Notify(
        "urgent", "Предупредить о срочности", tell=("head",), says="Срочно: {case}", only_if=equals("emergency", True)
    )
    before >> tell_ready
    track >> tell_track >> urgent

with StageProcess("probe_stay", funnel="Проба", stage="Ожидание", owner="Тесты", doc_md=__doc__):
    stays = StageSensor("stays", "Всё ещё на стадии через 12 часов", stays_for=hours(12))
    update = EmployeeTask("update", "Актуализировать дату", to="responsible", due=hours(1), on_leave="cancel")
    stays >> update

with StageProcess("probe_auto", funnel="Проба", stage="Авто", owner="Тесты", doc_md=__doc__):
    mark = SetField("mark", "Отметить срочность", field="emergency", value=True)
    move = MoveStage("move", "Перевести на «Оплата»", stage="Оплата")
    mark >> move

with EventProcess("probe_follow", title="Проба: за трек-номером", field="track_number", owner="Тесты", doc_md=__doc__):
    packed = TaskSensor("packed", "Ждать комплектации", topic="probe_payment/pack")
    say = Notify("say", "Сообщить руководителю", tell=("head",), says="Собрано и отправлено: {case}")
    packed >> say

with StageProcess("probe_confirm", funnel="Проба", stage="Подтверждение", owner="Тесты", doc_md=__doc__):
    paid = Confirm(
        "paid", "Подтвердить оплату счета", to="role:accountant", due=hours(8), yes="Оплачен", no="Не оплачен",
        result=(Result("sum", "Сумма", "money"),),
    )  # fmt: skip
    go_on = EmployeeTask("go_on", "Продолжить работу", to="responsible", due=hours(8))
    paid >> go_on

with StageProcess("probe_form", funnel="Проба", stage="Данные", owner="Тесты", doc_md=__doc__):
    ask = FormRequest(
        "ask", "Указать данные о командировке", to="responsible", due=hours(8),
        asks=(Result("place", "Куда"), Result("advance", "Аванс", "money", required=False)),
    )  # fmt: skip
    allow = Approval("allow", "Согласовать командировку", by=(Approver("Руководитель", "head"),), term=hours(24))
    pay_out = EmployeeTask(
        "pay_out", "Выдать ДС для командировки", to="role:accountant", due=hours(8),
        only_if=result_of("allow", "outcome", "approved"), only_if_says="отказано",
    )  # fmt: skip
    ask >> allow >> pay_out

with StageProcess("probe_repeat", funnel="Проба", stage="Повтор", owner="Тесты", doc_md=__doc__):
    again = Repeat(
        "again", "Напоминать о товаре", every=days(1), holds=~filled("track_number"), at_most=2,
        tell=("responsible",), says="Товар готов, напоминание {times}: {case}",
    )  # fmt: skip
    call = EmployeeTask(
        "call", "Позвонить клиенту", to="responsible", due=hours(8), only_if=result_of("again", "stopped", "cap")
    )
    again >> call

with StageProcess("probe_chain", funnel="Проба", stage="Цепочка", owner="Тесты", doc_md=__doc__):
    chain = Rework(
        "chain", "Согласовать цепочкой", term=days(2),
        by=(Approver("Руководитель", "head"), Approver("Бухгалтер", "role:accountant"),
            Approver("Директор", "role:director")),
        fix=Fix("Исправить по замечаниям", to="responsible", due={"hours": 8}),
    )  # fmt: skip
    after_chain = EmployeeTask("after_chain", "Подписать", to="responsible", due=hours(8))
    chain >> after_chain

with StageProcess("probe_quorum", funnel="Проба", stage="Кворум", owner="Тесты", doc_md=__doc__):
    two_of_three = Approval(
        "two_of_three", "Согласовать двумя из трёх", mode="quorum", quorum=2, term=days(2),
        by=(Approver("Руководитель", "head"), Approver("Бухгалтер", "role:accountant"),
            Approver("Продакт", "role:product_manager")),
    )  # fmt: skip
    after_quorum = Notify("after_quorum", "Сообщить исход", tell=("responsible",), says="Решено: {case}")
    two_of_three >> after_quorum
