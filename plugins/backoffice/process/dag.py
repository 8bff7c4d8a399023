"""Processes: DAGs started by a stage, a person's form or a domain event; one file, one process, one screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import DAG, Param
from pydantic import BaseModel

from backoffice.process.steps import Alarm, CheckStarter, EmployeeTask, Step
from include.process.rules import Condition, check_condition
from include.process.scheme import PROCESS_TAG

NO_LIMIT = 100_000


class Process(DAG):
    """Base of all processes: waits for events, never for a clock; its runs may live for months.

    :param process_id: stable Latin id
    :param title: what people read
    :param listens: the tags under which the relay finds this process, e.g. ``on:stage:Товары/Счет/КП``
    :param only_if: whether an event begins the process at all; not met → only a trace stays, no run
    :param scheme: raise it together with ``since=`` of the steps that a new release adds
    """

    def __init__(
        self,
        process_id: str,
        *,
        title: str,
        listens: Sequence[str],
        owner: str,
        doc_md: str | None,
        scheme: int = 1,
        only_if: Condition | None = None,
        only_if_says: str = "условие процесса не выполнено",
        tags: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dag_id=process_id,
            dag_display_name=title,
            description=title,
            doc_md=doc_md,
            schedule=None,
            catchup=False,
            max_active_runs=NO_LIMIT,
            max_active_tasks=NO_LIMIT,
            default_args={"owner": owner, "trigger_rule": "none_failed", "retries": 0},
            tags={PROCESS_TAG, *listens, f"scheme:{scheme}", *tags},
            **kwargs,
        )
        if only_if is not None:
            check_condition(only_if.body)
        self.begins_if = None if only_if is None else {"condition": only_if.body, "says": only_if_says}

    def __exit__(self, *exc: Any) -> None:
        """Close the declaration: alarms start beside their tasks, and every step knows what comes next."""
        if exc[0] is None:
            self._complete()
        super().__exit__(*exc)  # type: ignore[no-untyped-call]

    def _complete(self) -> None:
        steps = [one for one in self.tasks if isinstance(one, Step)]
        alarms = [one for one in steps if isinstance(one, Alarm)]
        for alarm in alarms:
            for before in {one.task_id: one for task in alarm.watched for one in task.upstream_list}.values():
                alarm.set_upstream(before)
        for step in steps:
            after = [one for one in step.downstream_list if isinstance(one, Step) and not isinstance(one, Alarm)]
            step.spec["next"] = [f"«{one.spec['title']}»" for one in sorted(after, key=lambda one: one.task_id)]
            if isinstance(step, EmployeeTask):
                step.spec["alarms"] = [
                    {"tell": one.spec["tell"], "at": one.spec["at"]} for one in alarms if step in one.watched
                ]
            if self.begins_if is not None and not step.upstream_list:
                step.spec["begins_if"] = self.begins_if  # steps are all of a process that its events' reader sees
            step.seal()


class StageProcess(Process):
    """A process that a stage of a funnel, or of several funnels, starts: one run per visit of a deal."""

    def __init__(
        self,
        process_id: str,
        *,
        funnel: str | tuple[str, ...],
        stage: str,
        title: str | None = None,
        **kwargs: Any,
    ) -> None:
        funnels = (funnel,) if isinstance(funnel, str) else funnel
        super().__init__(
            process_id,
            title=title or f"{', '.join(funnels)}: {stage}",
            listens=[f"on:stage:{one}/{stage}" for one in funnels],
            tags=tuple(f"воронка:{one}" for one in funnels),
            **kwargs,
        )


class EventProcess(Process):
    """A process that a changed field or another domain event of a case starts: one run per event."""

    def __init__(
        self, process_id: str, *, title: str, field: str | None = None, event: str | None = None, **kwargs: Any
    ) -> None:
        if (field is None) == (event is None):
            msg = "EventProcess слушает одно: field= или event="
            raise ValueError(msg)
        listens = f"on:field:{field}" if field is not None else f"on:event:{event}"
        super().__init__(process_id, title=title, listens=[listens], **kwargs)


class ButtonProcess(Process):
    """A process that a person starts by a button on a deal's card; which stage offers it stands in BUTTONS."""

    def __init__(self, process_id: str, *, title: str, **kwargs: Any) -> None:
        super().__init__(process_id, title=title, listens=[f"on:button:{process_id}"], **kwargs)


class FormProcess(Process):
    """A process that a person starts by a form; the form's model gives our page and Airflow's own form."""

    def __init__(self, process_id: str, *, title: str, form: type[BaseModel], **kwargs: Any) -> None:
        schema = form.model_json_schema()
        params = {
            name: Param(
                default=one.get("default"),
                title=one.get("title", name),
                description=one.get("description"),
                type=_param_type(one),
                **({"examples": one["enum"]} if "enum" in one else {}),
            )
            for name, one in schema["properties"].items()
        }
        super().__init__(process_id, title=title, listens=[f"on:form:{process_id}"], params=params, **kwargs)

    def __enter__(self) -> Any:
        """Begin the declaration with the check of whoever started the run."""
        entered = super().__enter__()
        self._check = CheckStarter("check_starter", "Проверить право запустившего")
        return entered

    def _complete(self) -> None:
        for one in self.tasks:
            if not one.upstream_list and one is not self._check and not isinstance(one, Alarm):
                one.set_upstream(self._check)
        super()._complete()


def _param_type(schema: dict[str, Any]) -> list[str]:
    """Return types that an empty form fits too: our service decides what is missing, never Airflow.

    Airflow validates params again each time a waiting step is given to a triggerer, and an error there ends the
    triggerer itself: a run that the relay makes brings no form, and a form may grow while its runs wait.
    """
    kinds = [schema["type"]] if "type" in schema else [one["type"] for one in schema.get("anyOf", []) if "type" in one]
    return [*(kind for kind in kinds or ["string"] if kind != "null"), "null"]
