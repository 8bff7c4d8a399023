"""Процесс (Airflow DAG): воронка «Услуги», стадия «Первичная идентификация».

1. Если сделка пришла со стадии «Не обработан» и её перевёл человек, ответственным становится он (R002-10).
2. Определяется руководитель нового ответственного (R002-11): он постановщик и наблюдатель задач стадии.
3. Ответственному ставится задача «Выполнить Экспресс-идентификацию» (R002-12).
4. Параллельно ожидание 5 часов: если задача ещё открыта, уведомляются ответственный и его руководитель
   (R002-13).

Сделка ушла со стадии: задача снимается, ожидание отменяется (AG-6).
Владелец: отдел сервиса. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import (
    Alarm,
    EmployeeTask,
    SetField,
    StageProcess,
    after,
    came_from,
    hours,
    moved_by_person,
    term,
)

with StageProcess(
    "services_identification",
    funnel="Услуги",
    stage="Первичная идентификация",
    owner="Отдел сервиса",
    doc_md=__doc__,
):
    take_over = SetField(
        "take_over",
        "Назначить ответственным того, кто перевёл сделку",
        field="responsible",
        address="mover",
        only_if=came_from("Не обработан") & moved_by_person(),
        only_if_says="сделка пришла не со стадии «Не обработан» или её перевёл робот",
    )
    identify = EmployeeTask(
        "identify",
        "Выполнить Экспресс-идентификацию",
        to="responsible",
        due=term("identification_term", hours(5), "Срок экспресс-идентификации"),
        on_leave="cancel",
    )
    Alarm(
        "identify_late",
        of=identify,
        at=after(term("identification_alarm", hours(5), "Предупреждение об идентификации")),
        tell=("responsible", "head"),
        says="Идентификация не выполнена за отведённое время: {case}",
    )

    take_over >> identify
