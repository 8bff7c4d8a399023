"""Steps of a process: one word, one box of Airflow's graph, one trigger; none of them uses a worker to wait."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import BaseOperatorMeta
from airflow.triggers.base import StartTriggerArgs

from include.process.rules import Condition, MomentRef, TermRef, check_condition
from include.shared.working_time import Term

STEP_TRIGGER = "backoffice.triggers.steps.StepTrigger"
Reentry = Literal["once", "repeat", "replace"]
OnLeave = Literal["cancel", "keep"]


@dataclass(frozen=True)
class Result:
    """A result field that a person fills when closing a task; ``deal_field`` stores it on the deal as well."""

    code: str
    title: str
    kind: str = "text"
    required: bool = True
    deal_field: str | None = None
    choices: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "code": self.code, "title": self.title, "kind": self.kind, "required": self.required,
            "deal_field": self.deal_field, "choices": self.choices,
        }  # fmt: skip


class _Words(BaseOperatorMeta):
    """Lets a step be written as a sentence: id and title first; Airflow's operators take keywords only."""

    def __call__(cls, *sentence: str, **kwargs: Any) -> Any:  # noqa: N805 - a metaclass: its self is the class
        return super().__call__(**dict(zip(("step_id", "title"), sentence, strict=False)), **kwargs)


class Step(BaseOperator, metaclass=_Words):
    """Base of all words: keeps what the step is as plain data, which travels in the stored trigger.

    :param step_id: stable Latin id, never renamed or dropped while runs live
    :param title: what people read
    :param only_if: the condition; not met → the step is skipped and the chain goes on (§2 of the design)
    :param since: the number of the scheme that added this step; instances of an older scheme skip it
    """

    ui_color = "#e8f1fb"
    start_from_trigger = True
    word: ClassVar[str] = ""

    def __init__(
        self,
        step_id: str,
        title: str,
        *,
        only_if: Condition | None = None,
        only_if_says: str | None = None,
        since: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(task_id=step_id, task_display_name=title, **kwargs)
        self.spec: dict[str, Any] = {"word": type(self).word, "title": title}
        if only_if is not None:
            check_condition(only_if.body)
            self.spec["only_if"] = only_if.body
        if only_if_says is not None:
            self.spec["only_if_says"] = only_if_says
        if since is not None:
            self.spec["since"] = since
        self.seal()

    def seal(self) -> None:
        """Write the step into its trigger's arguments; the process calls it again when the order is known."""
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=STEP_TRIGGER,
            trigger_kwargs={"spec": json.dumps(self.spec, ensure_ascii=False, sort_keys=True)},
            next_method="execute_complete",
            timeout=None,
        )

    def execute(self, context: Any) -> Any:
        """Do what the trigger does, inline: only ``dag.test()`` calls this."""
        from backoffice.process.inline import look_inline  # noqa: PLC0415 - parsing a DAG must stay light

        return look_inline(context, self.spec)

    def execute_complete(self, context: Any, event: Any = None) -> Any:  # noqa: ARG002 - Airflow's signature
        """Never reached in the normal way: the trigger ends the task itself."""
        return self.execute(context)


class EmployeeTask(Step):
    """A task for a person: given once per visit, closed by him, guarded on the server for everybody.

    :param to: ``responsible``, ``head``, ``mover``, ``role:<code>``, ``field:<code>`` or ``person:<id>``
    :param due: the term (AG-5); a moment (``at_field``) is allowed
    :param guard: what must hold before it may be closed («задачу невозможно закрыть пока…»)
    :param closes_itself: close when an outside event makes the guard true (★26)
    :param on_leave: what happens when the deal leaves the stage by hand (AG-6)
    :param topic: one topic – one open task (AG-7); default is the step itself
    """

    word = "EmployeeTask"
    ui_color = "#dbeafe"

    def __init__(
        self,
        step_id: str,
        title: str,
        *,
        to: str,
        due: TermRef | MomentRef | Term | None = None,
        guard: Condition | None = None,
        closes_itself: bool = False,
        on_leave: OnLeave = "cancel",
        reentry: Reentry = "once",
        topic: str | None = None,
        description: str = "",
        result: Sequence[Result] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        if guard is not None:
            check_condition(guard.body)
        if due is None:
            due = TermRef(f"term:{self.dag_id}.{step_id}", {"working_days": 1}, f"Срок задачи «{title}»")
        moment = due if isinstance(due, MomentRef) else MomentRef("opened", _term_ref(due))
        self.spec.update(
            to=to, due=moment.body(), guard=guard.body if guard else None, closes_itself=closes_itself,
            on_leave=on_leave, reentry=reentry, topic=topic or step_id, shared_topic=topic is not None,
            description=description, result=[one.body() for one in result],
        )  # fmt: skip
        self.seal()


class Alarm(Step):
    """The parallel wait of a task: tells people at a moment while the task is still open (AG-1…AG-3).

    It starts together with its task; nothing waits for it.

    :param of: the task, or several: cancelled when all of them are closed (R002-21)
    :param at: the moment, or a series: each fires once, of several past ones only the latest (AG-3)
    """

    word = "Alarm"
    ui_color = "#fef3c7"

    def __init__(
        self,
        step_id: str,
        *,
        of: EmployeeTask | Sequence[EmployeeTask],
        at: MomentRef | Sequence[MomentRef],
        tell: Sequence[str],
        says: str = "Не закрыта задача «{task}»: {case}",
        title: str | None = None,
        lives: Literal["task", "stage"] = "task",
        **kwargs: Any,
    ) -> None:
        watched = [of] if isinstance(of, EmployeeTask) else list(of)
        titles = ", ".join(f"«{one.spec['title']}»" for one in watched)
        super().__init__(step_id=step_id, title=title or f"Предупреждение: {titles}", **kwargs)
        self.watched = watched
        self.spec.update(
            of=watched[0].task_id if len(watched) == 1 else [one.task_id for one in watched],
            at=at.body() if isinstance(at, MomentRef) else [one.body() for one in at],
            tell=list(tell), says=says, lives=lives,
        )  # fmt: skip
        self.seal()


class Notify(Step):
    """Tell people something, once."""

    word = "Notify"

    def __init__(self, step_id: str, title: str, *, tell: Sequence[str], says: str, **kwargs: Any) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec.update(tell=list(tell), says=says)
        self.seal()


class SetField(Step):
    """Set a field of the deal to a value, or to the person behind an address (``address="mover"``)."""

    word = "SetField"

    def __init__(
        self, step_id: str, title: str, *, field: str, value: Any = None, address: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec.update(field=field, value=value, address=address)
        self.seal()


class MoveStage(Step):
    """Move the deal to another stage of its funnel."""

    word = "MoveStage"

    def __init__(self, step_id: str, title: str, *, stage: str, **kwargs: Any) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec.update(stage=stage)
        self.seal()


class CreateDeal(Step):
    """Make a registered request a deal on «Не обработан» (R002-9a)."""

    word = "CreateDeal"


class CheckStarter(Step):
    """Check again that whoever started the form process had the right to; the first step of every form process."""

    word = "CheckStarter"


class StageSensor(Step):
    """Wait for a stage change: the deal arrives at a stage, leaves the present one, or has stayed for a term."""

    word = "StageSensor"
    ui_color = "#ede9fe"

    def __init__(
        self,
        step_id: str,
        title: str,
        *,
        arrives: str | None = None,
        leaves: bool = False,
        stays_for: TermRef | Term | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        if sum((arrives is not None, leaves, stays_for is not None)) != 1:
            msg = "StageSensor ждёт одного: arrives=, leaves=True или stays_for="
            raise ValueError(msg)
        term = _term_ref(stays_for).body() if stays_for is not None else None
        self.spec.update(arrives=arrives, leaves=leaves, stays_for=term)
        self.seal()


class TaskSensor(Step):
    """Wait until a task of a topic is closed as done, whichever process gave it."""

    word = "TaskSensor"
    ui_color = "#ede9fe"

    def __init__(self, step_id: str, title: str, *, topic: str, **kwargs: Any) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec.update(topic=topic)
        self.seal()


class DateSensor(Step):
    """Wait for a moment; it re-aims when its field changes and keeps the old aims (★13)."""

    word = "DateSensor"
    ui_color = "#ede9fe"

    def __init__(self, step_id: str, title: str, *, at: MomentRef, **kwargs: Any) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec.update(at=at.body())
        self.seal()


class FieldSensor(Step):
    """Wait until a condition over the case's fields holds (an event, no polling)."""

    word = "FieldSensor"
    ui_color = "#ede9fe"

    def __init__(self, step_id: str, title: str, *, until: Condition, **kwargs: Any) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        check_condition(until.body)
        self.spec.update(until=until.body)
        self.seal()


def _term_ref(value: TermRef | Term) -> TermRef:
    return value if isinstance(value, TermRef) else TermRef(None, value)
