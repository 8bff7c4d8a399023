"""Процесс (Airflow DAG) проверок: начинается формой."""

from backoffice.process import FormProcess, Notify
from include.deals.forms import ClientRequest

with FormProcess("asked", title="Спросили", form=ClientRequest, owner="Отдел проверок", doc_md=__doc__):
    Notify("tell", "Уведомить", tell=("responsible",), says="Спросили: {case}")
