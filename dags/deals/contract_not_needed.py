"""Процесс (Airflow DAG): на стадии «Договор» ответили, что договор не нужен (R002-27).

1. «Нужен ли договор» стало «нет», когда сделка уже стоит на «Договор», – она сама переходит на «Комплектация»,
   а услуги – на «Ожидание выезда на объект» (A2-11). Открытые задачи по договору снимаются (AG-6).

Владелец: отдел продаж. Если шаг упал: docs/runbook.md#process-failed.
"""

from backoffice.process import EventProcess, MoveStage, equals, on_funnel, on_stage

with EventProcess(
    "contract_not_needed",
    title="Договор не нужен",
    field="contract_needed",
    only_if=on_stage("Договор") & equals("contract_needed", False),
    only_if_says="договор нужен или сделка на другой стадии",
    owner="Отдел продаж",
    doc_md=__doc__,
):
    MoveStage(
        "to_picking",
        "Перевести на «Комплектация»",
        stage="Комплектация",
        only_if=on_funnel("Товары") & equals("contract_needed", False),
        only_if_says="это услуги, или договор снова нужен",
    )
    MoveStage(
        "to_site_visit",
        "Перевести на «Ожидание выезда на объект»",
        stage="Ожидание выезда на объект",
        only_if=on_funnel("Услуги") & equals("contract_needed", False),
        only_if_says="это товары, или договор снова нужен",
    )
