"""Steps of a process: one word, one box of Airflow's graph, one trigger; none of them uses a worker to wait."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import BaseOperatorMeta
from airflow.triggers.base import StartTriggerArgs

from include.process.rules import ChosenTerm, Condition, MomentRef, NumberRef, TermRef, check_condition, term_ref
from include.shared.working_time import Term

STEP_TRIGGER = "backoffice.triggers.steps.StepTrigger"
Reentry = Literal["once", "repeat", "replace"]
OnLeave = Literal["cancel", "keep"]


@dataclass(frozen=True)
class Result:
    """A result field that a person fills when closing a task.

    ``deal_field`` stores it on the deal as well; ``sets`` fills fields of the deal for an answer (R002-32).
    """

    code: str
    title: str
    kind: str = "text"
    required: bool = True
    deal_field: str | None = None
    choices: dict[str, str] = field(default_factory=dict)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        body = {
            "code": self.code, "title": self.title, "kind": self.kind, "required": self.required,
            "deal_field": self.deal_field, "choices": self.choices,
        }  # fmt: skip
        return {**body, "sets": self.sets} if self.sets else body


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
        due: TermRef | ChosenTerm | MomentRef | Term | None = None,
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
        if not isinstance(due, MomentRef):
            due = MomentRef("opened", due if isinstance(due, ChosenTerm) else term_ref(due))
        self.spec.update(
            to=to, due=due.body(), guard=guard.body if guard else None, closes_itself=closes_itself,
            on_leave=on_leave, reentry=reentry, topic=topic or step_id, shared_topic=topic is not None,
            description=description, result=[one.body() for one in result],
        )  # fmt: skip
        self.seal()


class Confirm(EmployeeTask):
    """A gate: a person confirms that something has happened; «no» keeps it shut and names the next check (R001-19).

    :param yes: what the answer that opens the gate is called, e.g. «Оплачен»
    :param no: what the other one is called, e.g. «Не оплачен»
    """

    word = "Confirm"
    ui_color = "#dcfce7"

    def __init__(
        self, step_id: str, title: str, *, yes: str = "Подтвердить", no: str = "Пока нет", **kwargs: Any
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec["answers"] = {"yes": yes, "no": no}
        self.seal()


class FormRequest(EmployeeTask):
    """Ask a person for data: the fields that he fills become facts of the case (R002-69)."""

    word = "FormRequest"
    ui_color = "#fae8ff"

    def __init__(self, step_id: str, title: str, *, asks: Sequence[Result], **kwargs: Any) -> None:
        super().__init__(step_id=step_id, title=title, result=asks, **kwargs)


@dataclass(frozen=True)
class Approver:
    """One who must agree: how his place is called, and who fills it (several addresses in turn: ``role:x|head``)."""

    title: str
    address: str


@dataclass(frozen=True)
class Fix:
    """The task that follows a refusal: what, to whom, until when."""

    title: str
    to: str
    due: Term = field(default_factory=lambda: {"working_days": 1})
    guard: Condition | None = None
    resume: Literal["who_returned", "start"] = "who_returned"

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "title": self.title, "to": self.to, "due": dict(self.due), "resume": self.resume,
            "guard": self.guard.body if self.guard else None,
        }  # fmt: skip


class Approval(Step):
    """Approvers decide, a refusal needs a remark (R002-64, R002-65); the result says ``approved`` or ``rejected``.

    :param by: who must agree, in their order
    :param mode: one after another, all at once, or so many of them (``quorum``)
    :param file: the file field that is agreed: a changed file voids what was agreed before (★40)
    :param term: how long each has
    """

    word = "Approval"
    ui_color = "#fee2e2"

    def __init__(
        self,
        step_id: str,
        title: str,
        *,
        by: Sequence[Approver],
        mode: Literal["chain", "parallel", "quorum"] = "chain",
        quorum: int | None = None,
        file: str | None = None,
        term: TermRef | Term | None = None,
        description: str = "",
        on_leave: OnLeave = "cancel",
        **kwargs: Any,
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        if (mode == "quorum") != (quorum is not None) or (quorum is not None and not 0 < quorum <= len(by)):
            msg = 'quorum= говорит, скольких согласий хватает; он нужен только с mode="quorum"'
            raise ValueError(msg)
        if term is None:
            term = TermRef(f"term:{self.dag_id}.{step_id}", {"working_days": 2}, f"Срок решения «{title}»")
        self.spec.update(
            by=[{"title": one.title, "address": one.address} for one in by], mode=mode, quorum=quorum, file=file,
            term=term_ref(term).body(), description=description, on_leave=on_leave, fix=None,
        )  # fmt: skip
        self.seal()


class Rework(Approval):
    """Approval with any number of rounds: remarks → a task to put them right → the approver again (R002-64…R002-66)."""

    word = "Rework"

    def __init__(self, step_id: str, title: str, *, fix: Fix, **kwargs: Any) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec["fix"] = fix.body()
        self.seal()


class Repeat(Step):
    """Tell people something every so often while a condition holds, with a cap (R002-46, R002-53).

    The result tells ``times`` and why it ``stopped``: ``condition`` or ``cap``.
    """

    word = "Repeat"
    ui_color = "#fef3c7"

    def __init__(
        self,
        step_id: str,
        title: str,
        *,
        every: TermRef | Term,
        holds: Condition,
        at_most: NumberRef | int,
        tell: Sequence[str],
        says: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        check_condition(holds.body)
        cap = at_most.body() if isinstance(at_most, NumberRef) else {"setting": None, "default": at_most}
        self.spec.update(every=term_ref(every).body(), holds=holds.body, at_most=cap, tell=list(tell), says=says)
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
    """Tell people something, once per run; with ``once="stage"`` once per stay of the deal on its stage."""

    word = "Notify"

    def __init__(
        self,
        step_id: str,
        title: str,
        *,
        tell: Sequence[str],
        says: str,
        once: Literal["run", "stage"] = "run",
        **kwargs: Any,
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        self.spec.update(tell=list(tell), says=says)
        if once == "stage":
            self.spec["once"] = once
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
    """Wait for a stage change: the deal arrives at a stage, leaves the present one, or has stayed for a term.

    :param stays_for: counts from the end of the step before it
    :param gives_way_to: a topic: a new task of it takes over from this wait (R002-18, R002-19)
    """

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
        gives_way_to: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(step_id=step_id, title=title, **kwargs)
        if sum((arrives is not None, leaves, stays_for is not None)) != 1:
            msg = "StageSensor ждёт одного: arrives=, leaves=True или stays_for="
            raise ValueError(msg)
        term = term_ref(stays_for).body() if stays_for is not None else None
        self.spec.update(arrives=arrives, leaves=leaves, stays_for=term)
        if gives_way_to is not None:
            self.spec["gives_way_to"] = gives_way_to
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
