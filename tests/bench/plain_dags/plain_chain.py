"""The chain of 15 steps of processes/bench_chain.py as an Airflow DAG of its own operators: the baseline."""

from itertools import pairwise

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG

NO_LIMIT = 100_000  # the default of 16 would not let the cases of the bench wait side by side


def nothing() -> None:
    """Stand where our step does a small act."""


def ask(number: int) -> HITLOperator:
    """Ask a person, as Airflow itself can."""
    return HITLOperator(task_id=f"t{number:02}", subject=f"Шаг {number}", options=["Готово"])


with DAG("plain_chain", schedule=None, max_active_runs=NO_LIMIT, max_active_tasks=NO_LIMIT):
    tasks = [ask(n) for n in range(1, 11)]
    urgent = PythonOperator(task_id="urgent", python_callable=nothing)
    seen = DateTimeSensorAsync(task_id="seen", target_time="{{ dag_run.run_after }}")
    date = DateTimeSensorAsync(task_id="date", target_time="{{ dag_run.run_after }}")
    last = ask(14)
    tell = PythonOperator(task_id="tell", python_callable=nothing)

    for before, after in pairwise(tasks):
        before >> after
    tasks[-1] >> urgent >> seen >> date >> last >> tell
