"""Процесс (Airflow DAG): разбор отказов обмена с 1С (R002-8).

1. Обмен применён, и в нём есть записи, попавшие в карантин, или файлы, которые не приняты целиком (архив,
   CommerceML 1.x, чужой файл).
2. Ответственному за обмен с 1С ставится задача «Разобрать отказы обмена с 1С»; срок – 1 рабочий день.
   Причины отказов стоят в отчёте обмена (report.txt рядом с файлами в папках done и failed).
3. Если за этот срок она не закрыта, уведомляются он и его руководитель.

Владелец: администратор обмена с 1С. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import Alarm, EmployeeTask, EventProcess, Result, after, equals, term, working_days

SORT_OUT = term("exchange_rejects_term", working_days(1), "Срок разбора отказов обмена с 1С")

with EventProcess(
    "exchange_1c_rejects",
    title="Обмен с 1С: разбор отказов",
    event="exchange_applied",
    owner="Администратор обмена с 1С",
    doc_md=__doc__,
):
    sort_out = EmployeeTask(
        "sort_out",
        "Разобрать отказы обмена с 1С",
        to="role:one_c",
        due=SORT_OUT,
        only_if=~(equals("rejects", 0) & equals("refused_files", 0)),
        only_if_says="отказов нет",
        result=(Result("outcome", "Что сделано с отказами"),),
    )
    Alarm("sort_out_late", of=sort_out, at=after(SORT_OUT), tell=("role:one_c", "head"))
