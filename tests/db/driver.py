"""Plays a DAG on a real database without Airflow: begins instances for events, looks at steps in the graph's order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from include.deals import services as deals
from include.deals.models import Deal
from include.notices.models import Notice
from include.process import engine
from include.process.models import OutboxEvent, ProcessInstance, StepAim, StepState
from include.process.reading import Violation, violations
from include.process.reopen import reopen_task
from include.process.rules import Condition, MomentRef, TermRef
from include.process.scheme import RUN_PREFIX, scheme_body
from include.reference.services import load_reference
from include.shared import clock
from include.shared.work import PROCESS, Actor, reading, transaction
from include.staff import admin
from include.staff.services import Viewer, viewer
from include.tasks import services as tasks
from include.tasks.models import Task, TaskObserver

MOSCOW = ZoneInfo("Europe/Moscow")
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=MOSCOW)
NEW, QUOTE = "Не обработан", "Счет/КП"
FINAL = ("done", "skipped", "stopped")
PEOPLE = {  # login: (last name, department, roles)
    "director": ("Директоров", "Дирекция", ("director",)),
    "boss": ("Паздников", "Отдел продаж", ()),
    "manager": ("Иванова", "Отдел продаж", ()),
    "colleague": ("Петров", "Отдел продаж", ()),
    "chief": ("Шилов", "Отдел сервиса", ()),
    "engineer": ("Гусев", "Отдел сервиса", ()),
    "product": ("Орлова", "Дирекция", ("product_manager",)),
    "accountant": ("Белова", "Дирекция", ("accountant",)),
    "admin": ("Тихонов", "Дирекция", ()),
}
_numbers = itertools.count(1)


@dataclass
class Company:
    """People by login."""

    people: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, login: str) -> int:
        return self.people[login]

    def login(self, person_id: int) -> str:
        return next(login for login, one in self.people.items() if one == person_id)

    def viewer(self, login: str) -> Viewer:
        with reading() as session:
            found = viewer(session, login)
        assert found is not None
        return found


def hire() -> Company:
    """A director, two departments with heads and people."""
    company = Company()
    with transaction(Actor(kind="system")) as work:
        load_reference(work)
        top = admin.add_department(work, "Дирекция")
        rooms = {"Дирекция": top.id}
        for name in ("Отдел продаж", "Отдел сервиса"):
            rooms[name] = admin.add_department(work, name, parent_id=top.id).id
        for login, (last_name, room, roles) in PEOPLE.items():
            person = admin.add_person(work, last_name=last_name, first_name="Анна", department_id=rooms[room])
            company.people[login] = person.id
            access = "admin" if login == "admin" else "staff"
            admin.set_account(work, person.id, login, "correct-horse-7", access)
            for role in roles:
                admin.give_role(work, role, person.id)
        admin.set_head(work, rooms["Дирекция"], company["director"])
        admin.set_head(work, rooms["Отдел продаж"], company["boss"])
        admin.set_head(work, rooms["Отдел сервиса"], company["chief"])
    return company


# --- words as data, as the DAG's classes write them ---------------------------------------------------------------


def step(word: str, title: str, **spec: Any) -> dict[str, Any]:
    """Any word; conditions, moments and terms are written in their stored form."""
    stored = {name: _stored(value) for name, value in spec.items()}
    return json.loads(json.dumps({"word": word, "title": title, **stored}))  # type: ignore[no-any-return]


def _stored(value: Any) -> Any:
    if isinstance(value, (Condition, MomentRef, TermRef)):
        return value.body if isinstance(value, Condition) else value.body()
    return [_stored(one) for one in value] if isinstance(value, list) else value


def term_of(value: TermRef | dict[str, int]) -> dict[str, Any]:
    return (value if isinstance(value, TermRef) else TermRef(None, value)).body()


def task(title: str = "Сделать дело", *, due: Any = None, **spec: Any) -> dict[str, Any]:
    """EmployeeTask; ``due`` is a term or a moment."""
    if due is not None and not isinstance(due, MomentRef):
        due = MomentRef("opened", due if isinstance(due, TermRef) else TermRef(None, due))
    defaults = {
        "to": "responsible", "guard": None, "closes_itself": False, "on_leave": "cancel", "reentry": "once",
        "topic": title, "shared_topic": False, "description": "", "result": [],
    }  # fmt: skip
    return step("EmployeeTask", title, due=due, **{**defaults, **spec})


def alarm(of: str | list[str], at: Any, *, tell: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    defaults = {"lives": "task", "says": "Не закрыта задача «{task}»: {case}"}
    return step("Alarm", "Предупреждение", of=of, at=at, tell=tell or ["responsible"], **{**defaults, **spec})


def notice(says: str = "Произошло: {case}", tell: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    return step("Notify", "Уведомить", tell=tell or ["responsible"], says=says, **spec)


class Process:
    """A process as its DAG declares it: steps in order, each behind the one before unless ``after`` says otherwise."""

    def __init__(
        self, listens: str, steps: Mapping[str, dict[str, Any]], *, number: int = 1, **after: list[str]
    ) -> None:
        self.id = f"process_{next(_numbers)}"
        self.listens = listens
        self.number = number
        self.specs = {one: json.loads(json.dumps(spec)) for one, spec in steps.items()}
        self.upstream: dict[str, list[str]] = {}
        before: list[str] = []
        for one, spec in self.specs.items():
            if spec["word"] == "Alarm":
                of = spec["of"] if isinstance(spec["of"], str) else spec["of"][0]
                self.upstream[one] = list(self.upstream[of])
                continue
            self.upstream[one] = after.get(one, before)
            before = [one]
        for one, spec in self.specs.items():
            if spec["word"] == "EmployeeTask":
                watching = [a for a in self.specs.values() if a["word"] == "Alarm" and a["of"] == one]
                spec["alarms"] = [{"tell": a["tell"], "at": a["at"]} for a in watching]

    def hears(self, key: str) -> bool:
        """Say whether an event under this key begins the process."""
        return key == self.listens

    @property
    def scheme(self) -> dict[str, Any]:
        steps = [(one, self.upstream[one], spec) for one, spec in self.specs.items()]
        return scheme_body(f"Процесс {self.id}", self.number, steps)


def on_stage(stage: str, steps: Mapping[str, dict[str, Any]], funnel: str = "Товары", **more: Any) -> Process:
    return Process(f"on:stage:{funnel}/{stage}", steps, **more)


# --- the driver -----------------------------------------------------------------------------------------------------


class Driver:
    """Airflow's part: relay, scheduler and triggerer in one thread, on a clock that a test moves."""

    def __init__(self, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
        self.company = company
        self.now = MONDAY
        self.processes: list[Process] = []
        self.cases: set[int] = set()
        self.broken: set[tuple[str, str]] = set()  # runs that ops deleted
        self.check = True
        monkeypatch.setattr(clock, "machine_now", lambda: self.now)

    # acts of people

    def deal(self, *processes: Process, by: str | None = None, funnel: str = "Товары", **more: Any) -> int:
        """A new deal of the manager, with these processes installed."""
        self.processes += [one for one in processes if one not in self.processes]
        owner = self.company[more.pop("responsible", "manager")]
        with self.acting(by) as work:
            made = deals.create_deal(
                work, title=f"Сделка {next(_numbers)}", funnel=funnel, responsible_id=owner, **more
            )
            self.cases.add(made.case_id)
        self.settle()
        return made.id

    def acting(self, login: str | None) -> Any:
        return transaction(self.company.viewer(login).actor if login else PROCESS)

    def move(self, deal: int, stage: str, by: str | None = "manager", *, settle: bool = True) -> None:
        with self.acting(by) as work:
            deals.move_stage(work, deal, stage)
        if settle:
            self.settle()

    def fill(self, deal: int, by: str | None = "manager", *, settle: bool = True, **values: Any) -> None:
        with self.acting(by) as work:
            deals.set_fields(work, deal, values)
        if settle:
            self.settle()

    def give_to(self, deal: int, login: str) -> None:
        with self.acting("boss") as work:
            deals.change_responsible(work, deal, self.company[login], "отпуск")
        self.settle()

    def close(self, of_task: Task, by: str | None = None, values: Mapping[str, Any] | None = None) -> Task:
        watcher = self.company.viewer(by or self.company.login(of_task.executor_id))
        with transaction(watcher.actor) as work:
            closed = tasks.close_task(work, watcher, of_task.id, values)
        self.settle()
        return closed

    def reopen(self, of_task: Task, by: str | None = None, reason: str = "закрыта по ошибке") -> Task:
        watcher = self.company.viewer(by or self.company.login(of_task.executor_id))
        with transaction(watcher.actor) as work:
            opened = reopen_task(work, watcher, of_task.id, reason)
        self.settle()
        return opened

    def at(self, moment: str | datetime) -> None:
        """Let the clock come to a moment (Moscow time)."""
        to = datetime.fromisoformat(moment).replace(tzinfo=MOSCOW) if isinstance(moment, str) else moment
        assert to >= self.now
        self.now = to
        self.settle()

    def later(self, **period: float) -> None:
        self.at(self.now + timedelta(**period))

    # acts of Airflow

    def settle(self) -> None:
        """Do everything that is to be done now."""
        for _ in range(60):
            if not (self.relay() | self.look_around()):
                return
        raise AssertionError("не успокоилось")

    def relay(self) -> bool:
        with reading() as session:
            pending = session.execute(
                select(OutboxEvent.id, OutboxEvent.listen_key)
                .where(OutboxEvent.state == "pending", OutboxEvent.case_id.in_(self.cases))
                .order_by(OutboxEvent.id)
            ).all()
        for event, key in pending:
            for process in self.processes:
                if process.hears(key) or key == f"{RUN_PREFIX}{process.id}":
                    engine.begin(event, process.id, process.scheme)
            with transaction(PROCESS) as work:
                work.session.get_one(OutboxEvent, event).state = "done"
        return bool(pending)

    def look_around(self, *, live: bool = False) -> bool:
        moved = False
        for instance in self.instances(live=live):
            process = next((one for one in self.processes if one.id == instance.process), None)
            if process is None or (instance.process, instance.run_id) in self.broken:
                continue
            known = {row.step: row.state for row in self.steps(instance)}
            for one in process.specs:
                if known.get(one) in (*FINAL, "failed", "marked"):
                    continue
                if any(known.get(before) not in FINAL for before in process.upstream[one]):
                    continue
                seen = self.look(process, instance, one)
                moved |= known.get(one) is None or seen.outcome != "waiting"
        return moved

    def look(self, process: Process, instance: ProcessInstance, one: str) -> engine.Look:
        return engine.look(process.id, instance.run_id, one, process.specs[one])

    # what there is now

    def instances(self, process: Process | None = None, *, live: bool = False) -> list[ProcessInstance]:
        wanted = select(ProcessInstance).where(ProcessInstance.case_id.in_(self.cases)).order_by(ProcessInstance.id)
        if process is not None:
            wanted = wanted.where(ProcessInstance.process == process.id)
        if live:
            wanted = wanted.where(ProcessInstance.state == "live")
        return self.read(lambda session: list(session.scalars(wanted)))

    def steps(self, instance: ProcessInstance) -> list[StepState]:
        wanted = select(StepState).where(StepState.instance_id == instance.id).order_by(StepState.id)
        return self.read(lambda session: list(session.scalars(wanted)))

    def state(self, process: Process, one: str) -> str | None:
        """The state of a step in the newest instance."""
        found = {row.step: row.state for row in self.steps(self.instances(process)[-1])}
        return found.get(one)

    def step(self, process: Process, one: str) -> StepState:
        return next(row for row in self.steps(self.instances(process)[-1]) if row.step == one)

    def tasks(self, *states: str) -> list[Task]:
        wanted = select(Task).where(Task.case_id.in_(self.cases)).order_by(Task.id)
        if states:
            wanted = wanted.where(Task.state.in_(states))
        return self.read(lambda session: list(session.scalars(wanted)))

    def open_task(self) -> Task:
        (one,) = self.tasks("open")
        return one

    def observers(self, of_task: Task) -> set[str]:
        wanted = select(TaskObserver.person_id).where(TaskObserver.task_id == of_task.id)
        return self.read(lambda session: {self.company.login(one) for one in session.scalars(wanted)})

    def told(self, part: str = "") -> list[str]:
        """Logins of those who got a notice whose text contains this, in order."""
        wanted = select(Notice).where(Notice.case_id.in_(self.cases)).order_by(Notice.id)
        return self.read(
            lambda session: [self.company.login(one.person_id) for one in session.scalars(wanted) if part in one.text]
        )

    def aims(self, process: Process, one: str) -> list[StepAim]:
        row = self.step(process, one)
        wanted = select(StepAim).where(StepAim.step_id == row.id).order_by(StepAim.id)
        return self.read(lambda session: list(session.scalars(wanted)))

    def deal_row(self, deal: int) -> Deal:
        return self.read(lambda session: session.get_one(Deal, deal))

    def read(self, question: Callable[[Any], Any]) -> Any:
        with reading() as session:
            return question(session)

    def violations(self) -> list[Violation]:
        keys = self.read(
            lambda session: set(
                session.scalars(text("SELECT key FROM process_case WHERE id = ANY(:ids)"), {"ids": list(self.cases)})
            )
        )
        return [one for one in violations() if one.case_key in keys]


def at_once(number: int, act: Callable[[int], Any]) -> list[Any]:
    """Do the same in so many threads at once; the first failure is raised."""
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(act, range(number)))
