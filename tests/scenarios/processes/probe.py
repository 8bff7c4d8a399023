"""Процессы (Airflow DAG) проверочной воронки «Проба»: по одному на слово, которого ещё нет в процессах компаний.

Владелец: тесты. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import (
    Alarm,
    DateSensor,
    EmployeeTask,
    EventProcess,
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
    at_least,
    days,
    equals,
    filled,
    hours,
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
