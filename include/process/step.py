"""What a step's word sees and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import select

from include.notices.services import notify
from include.process import rules
from include.process.models import ProcessCase, ProcessInstance, ProcessScheme, StepState
from include.process.scheme import TASK_WORDS
from include.shared import settings
from include.shared.calendar import load_calendar
from include.shared.errors import BackofficeError
from include.shared.work import Work
from include.shared.working_time import WORKING_UNITS, Term, WorkCalendar, moment_of
from include.staff import services as staff
from include.staff.addresses import SETTING, settled
from include.staff.models import Person
from include.tasks import core as task_core
from include.tasks.models import Task

CALENDAR_TIME = WorkCalendar()  # enough for hours and days: nobody asks it which days work


@dataclass(frozen=True)
class Done:
    """The step's fact has happened."""

    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Skip:
    """The step is not needed; the chain goes on."""

    reason: str


@dataclass(frozen=True)
class Stop:
    """The step's work was withdrawn or replaced; the chain behind it stops."""

    reason: str


@dataclass(frozen=True)
class Fail:
    """The step cannot be done for a business reason; it stands on the card until somebody puts it right."""

    reason: str


@dataclass(frozen=True)
class Wait:
    """The step waits: for what (words), on whom, and until which business moment it should look again."""

    for_what: str
    on: list[int] = field(default_factory=list)
    moment: datetime | None = None
    aimed: str | None = None  # why the moment is what it is; None keeps it out of the aim's history


Answer = Done | Skip | Stop | Fail | Wait


class NobodyToAsk(BackofficeError):
    """Work is addressed to somebody who is not there."""


@dataclass
class StepContext:
    """One step of one live instance inside the transaction of a look."""

    work: Work
    case: ProcessCase
    instance: ProcessInstance
    row: StepState
    spec: dict[str, Any]
    steps: dict[str, StepState] = field(default_factory=dict)  # the begun steps of this instance by id

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts of the case as they are in this transaction, and those of the event that began the process."""
        event = {f"event:{name}": value for name, value in self.instance.payload.items()}
        return {**task_core.case_facts(self.work.session, self.case.id, self.instance), **event}

    @property
    def key(self) -> str:
        """The key under which this step's effects are unique: process, case, visit, step."""
        return f"{self.instance.process}/{self.case.key}/{self.instance.visit}/{self.row.step}"

    def holds(self, condition: dict[str, Any] | None) -> bool:
        """Say whether a condition holds now."""
        if not condition:
            return True
        found = {name: self._asked_for(name) for name in rules.fields_of(condition) if ":" in name}
        asked = rules.with_numbers(condition, lambda ref: int(self._setting(ref)))
        return not rules.unmet(asked, {**self.facts, **found}, {}, self.work.now)

    def _asked_for(self, name: str) -> Any:
        """Return a fact that is found only when a condition asks for it."""
        if name.startswith(rules.ROUNDS):
            return self.rounds(name.removeprefix(rules.ROUNDS))
        if name.startswith(rules.STEP_RESULT):
            step, _, code = name.removeprefix(rules.STEP_RESULT).partition(".")
            row = self.sibling(step)
            return (row.result or {}).get(code) if row is not None else None
        return self.facts.get(name)

    def rounds(self, topic: str) -> int:
        """Return how many tasks of a topic have been given during the present stay on the stage (R002-25)."""
        entered = self.facts.get("stage_entered_at") or self.instance.started_at
        return task_core.rounds_of(self.work.session, self.case.id, topic, entered)

    def _setting(self, ref: dict[str, Any]) -> Any:
        value = ref["default"]
        return settings.value_of(self.work.session, ref["setting"], value) if ref.get("setting") else value

    def term(self, ref: dict[str, Any]) -> Term:
        """Return the present value of a term: chosen by a field or not, the setting, else the process's literal."""
        if "by" in ref:
            chosen = self.facts.get(ref["by"])
            ref = ref["terms"][chosen if chosen in ref["terms"] else ref["otherwise"]]
        return dict(self._setting(ref))

    @cached_property
    def before(self) -> list[StepState]:
        """The begun steps that stand right before this one in the order of the process."""
        scheme = self.work.session.get_one(ProcessScheme, self.instance.scheme_id)
        declared = next((one for one in scheme.body["steps"] if one["id"] == self.row.step), None)
        rows = (self.steps.get(one) for one in (declared or {}).get("upstream", []))
        return [row for row in rows if row is not None]

    def sibling(self, step: str) -> StepState | None:
        """Return the state of another step of this instance."""
        return self.steps.get(step)

    def task_of(self, step: str) -> Task | None:
        """Return the task that a step of this instance gave or joined."""
        row = self.sibling(step)
        return self.work.session.get(Task, row.task_id) if row is not None and row.task_id else None

    def moment(self, ref: dict[str, Any], task: Task | None = None) -> datetime | None:
        """Return the moment a reference aims at now, or None while its base is unknown."""
        anchor = self._anchor(str(ref["base"]), task)
        if anchor is None:
            return self.moment(ref["otherwise"], task) if "otherwise" in ref else None
        term = self.term(ref["offset"])
        calendar = load_calendar(self.work.session) if next(iter(term)) in WORKING_UNITS else CALENDAR_TIME
        return rules.aim(ref, anchor, term, calendar, self.case.time_zone)

    def _anchor(self, base: str, task: Task | None) -> datetime | None:
        if base == "task":
            return task.created_at if task else self.work.now if self.gives_task else None
        if base == "due":
            return task.due_at if task else None
        if base == "stage":
            return self.facts.get("stage_entered_at") or self.instance.started_at
        if base.startswith("step:"):
            row = self.sibling(base.removeprefix("step:"))
            return row.ended_at if row else None
        if base.startswith("field:"):
            return moment_of(self.facts.get(base.removeprefix("field:")), self.case.time_zone)
        if base == "opened":  # a task's term counts from its giving, which may be later than the step's beginning
            return self.work.now if self.gives_task else self.row.opened_at
        msg = f"Неизвестное начало отсчёта: {base}"
        raise ValueError(msg)

    def number(self, ref: dict[str, Any]) -> int:
        """Return the present value of a number."""
        return int(self._setting(ref))

    def add(self, moment: datetime, ref: dict[str, Any]) -> datetime:
        """Return the moment so long after another one."""
        term = self.term(ref)
        calendar = load_calendar(self.work.session) if next(iter(term)) in WORKING_UNITS else CALENDAR_TIME
        return calendar.add(moment, term, self.case.time_zone)

    def term_after(self, ref: dict[str, Any]) -> datetime:
        """Return the moment so long after the end of the steps before this one (its own beginning when it has none)."""
        ends = [row.ended_at for row in self.before if row.ended_at is not None]
        return self.add(max(ends, default=self.row.opened_at), ref)

    @property
    def gives_task(self) -> bool:
        """Say whether this step gives a person a task."""
        return self.spec["word"] in TASK_WORDS

    def people(self, *addresses: str) -> list[int]:
        """Return the active people behind addresses, each once, in their order; empty when there are none."""
        found = list(dict.fromkeys(one for address in addresses for one in self._behind(address) if one is not None))
        if not found:
            return []
        active = set(self.work.session.scalars(select(Person.id).where(Person.id.in_(found), Person.active)))
        return [one for one in found if one in active]

    def _behind(self, address: str) -> list[int | None]:
        session = self.work.session
        if address in ("responsible", "mover"):
            return [self.facts.get(address)]
        if address == "head":
            return [self.head]
        if address == "initiator":
            return [self.instance.payload.get("started_by")]
        if address.startswith(SETTING):
            return self._behind(settled(session, address))
        if address.startswith("field:"):
            name, _, role = address.removeprefix("field:").partition("|role:")
            person = session.get(Person, self.facts.get(name) or 0)
            if person is not None and person.active:
                return [person.id]
            return list(staff.holders(session, role)) if role else []
        if address.startswith("role:"):
            return list(staff.holders(session, address.removeprefix("role:")))
        if address.startswith("person:"):
            return [int(address.removeprefix("person:"))]
        msg = f"Неизвестный адресат: {address}"
        raise ValueError(msg)

    @cached_property
    def head(self) -> int | None:
        """The head of this entry (AG-4); found anew when the one found before works here no more."""
        head = self.work.session.get(Person, self.instance.head_id) if self.instance.head_id else None
        if head is not None and not head.active:
            responsible = self.facts.get("responsible")
            self.instance.head_id = staff.head_of(self.work.session, responsible) if responsible else None
        return self.instance.head_id

    def tell_head_overdue(self, task: Task, due: datetime) -> None:
        """Tell the head, once per term, that a task is overdue (AG-4)."""
        text = f"Просрочена задача «{task.title}»: {self.case.title}"
        key = f"{task.key}/overdue/{due.isoformat()}"
        notify(self.work, self.people("head"), text, key=key, case_id=self.case.id, task_id=task.id)

    def person(self, address: str) -> int:
        """Return the one person who gets the work; NobodyToAsk when there is none."""
        session = self.work.session
        for _ in range(2):  # whoever leaves this very moment: his work, and the address, go to somebody else
            found = self.people(address)
            if found and staff.lock_active(session, found[:1]):
                return found[0]
        msg = f"некому поручить: {self.address_in_words(address)} не назначен"
        raise NobodyToAsk(msg)

    def address_in_words(self, address: str) -> str:
        """Return «роль «Продакт»» for an address."""
        if address.startswith("role:"):
            return f"роль «{staff.role_title(self.work.session, address.removeprefix('role:'))}»"
        if address.startswith(SETTING):
            return self.address_in_words(settled(self.work.session, address))
        known = {
            "responsible": "ответственный", "head": "руководитель ответственного", "mover": "тот, кто перевёл",
            "initiator": "тот, кто запустил",
        }  # fmt: skip
        return known.get(address, address)
