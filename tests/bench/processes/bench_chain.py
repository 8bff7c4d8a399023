"""Процесс (Airflow DAG) стенда: цепочка из 15 шагов нашими словами; рядом в plain_dags/ она же словами Airflow.

Владелец: тесты. Если шаг упал: docs/runbook.md#process-failed.
"""

from itertools import pairwise

from backoffice.process import (
    DateSensor,
    EmployeeTask,
    FieldSensor,
    Notify,
    SetField,
    StageProcess,
    at_field,
    days,
    equals,
)

with StageProcess("bench_chain", funnel="Стенд", stage="Работа", owner="Тесты", doc_md=__doc__):
    tasks = [EmployeeTask(f"t{n:02}", f"Шаг {n}", to="responsible", due=days(2)) for n in range(1, 11)]
    urgent = SetField("urgent", "Отметить срочность", field="emergency", value=True)
    seen = FieldSensor("seen", "Ждать отметки", until=equals("emergency", True))
    date = DateSensor("date", "Ждать готовности", at=at_field("ready_on"))
    last = EmployeeTask("t14", "Сдать", to="responsible", due=days(2))
    tell = Notify("tell", "Сообщить", tell=("responsible",), says="Сдано: {case}")

    for before, after in pairwise(tasks):
        before >> after
    tasks[-1] >> urgent >> seen >> date >> last >> tell
