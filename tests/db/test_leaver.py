"""A leaver (★48): one act moves everything a person holds, with a trace of each thing, and nothing is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from include.approvals import core as approvals
from include.approvals.core import Seat
from include.approvals.models import ApprovalSeat
from include.companies.models import Company as Counterparty
from include.companies.services import create_company
from include.deals import services as deals
from include.deals.models import Deal, Stage, StageVisit
from include.notices.models import Notice
from include.process import forms
from include.process.models import OutboxEvent, ProcessCase, ProcessInstance
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput
from include.shared.models import Audit
from include.shared.work import PROCESS, transaction
from include.staff import absence, admin, leaver
from include.staff.holdings import Holdings, holdings
from include.staff.models import Absence, Department, Person, RoleHolder
from include.staff.services import holders
from include.tasks.models import Task
from tests.db.driver import QUOTE, Driver, on_stage, task

pytestmark = pytest.mark.db
WHY = "уволилась"


@dataclass
class Leaver:
    """«Уходящая» with a head and a colleague, in a department of this test alone."""

    driver: Driver
    id: int
    login: str
    head: int
    colleague: int
    room: int
    role: str

    def holdings(self) -> Holdings:
        return self.driver.read(lambda session: holdings(session, self.id, self.driver.now))  # type: ignore[no-any-return]

    def plan(self, **more: int) -> dict[str, int]:
        return {**dict.fromkeys(leaver.TITLES, self.colleague), **more}

    def leave(self, plan: Mapping[str, int] | None = None, **more: Any) -> leaver.HandedOver:
        with transaction(self.driver.company.viewer("admin").actor) as work:
            done = leaver.hand_over(work, self.id, self.plan() if plan is None else plan, WHY, **more)
        self.driver.settle()
        return done


@pytest.fixture
def gone(driver: Driver) -> Leaver:
    with transaction(driver.company.viewer("admin").actor) as work:
        number = work.session.scalar(select(func.count(Audit.id))) or 0
        top = work.session.scalars(select(Department.id).where(Department.name == "Отдел продаж")).one()
        room = admin.add_department(work, f"Отдел {number}", parent_id=top)
        people = [
            admin.add_person(work, last_name=name, first_name="Анна", middle_name="Петровна", department_id=room.id).id
            for name in ("Уходящая", "Главная", "Соседняя")
        ]
        admin.set_head(work, room.id, people[1])
        made = admin.add_role(work, f"role_{number}", f"Роль {number}")
        admin.give_role(work, made.code, people[0])
        for login, person in zip(("gone", "gone_head", "neighbour"), people, strict=True):
            admin.set_account(work, person, f"{login}_{number}", "correct-horse-7")
            driver.company.people[f"{login}_{number}"] = person
        return Leaver(driver, people[0], f"gone_{number}", people[1], people[2], room.id, made.code)


def holding_everything(driver: Driver, gone: Leaver) -> dict[str, Any]:
    """One thing of every kind."""
    company = driver.company
    by_role = on_stage(QUOTE, {"own": task("Своя"), "role": task("По роли", to=f"role:{gone.role}")})
    by_role.upstream["role"] = []
    deal = driver.deal(by_role, responsible=gone.login)
    driver.move(deal, QUOTE, by=None)
    other = driver.deal(on_stage("Договор", {"named": task("Поле", to="field:product_manager")}))
    driver.fill(other, by=None, product_manager=gone.id)
    driver.move(other, "Договор")
    by_hand = driver.deal(on_stage("Комплектация", {"hand": task("Ручная")}))
    driver.move(by_hand, "Комплектация")
    with transaction(company.viewer("admin").actor) as work:
        from include.tasks import services as tasks

        by_hand_task = next(one for one in driver.tasks("open") if one.title == "Ручная")
        tasks.reassign(work, company.viewer("admin"), by_hand_task.id, gone.id, "")
        room = admin.add_department(work, f"Под {gone.room}", parent_id=gone.room)
        admin.set_head(work, room.id, gone.id)
        absence.set_absence(work, gone.colleague, driver.now, driver.now + timedelta(days=5), gone.id)
        firm = create_company(work, name=f"ООО «Ромашка {gone.id}»", kind="legal")
        work.session.get_one(Counterparty, firm.id).responsible_id = gone.id
    with transaction(company.viewer(gone.login).actor) as work:
        absence.set_absence(work, gone.id, driver.now + timedelta(days=9), driver.now + timedelta(days=12), None)
        data = {"direction": "Товары", "subject": "Заявка", "responsible_id": gone.id}
        request = forms.start_form(work, "client_request", company.viewer("admin"), data)
        case = driver.deal_row(deal).case_id
        work.lock_case(case)
        approvals.open_approval(
            work, key=f"test/{case}", case_id=case, instance_id=None, step="agree", title="Согласовать",
            description="", mode="chain", quorum=None, seats=[Seat("Юрист", f"person:{gone.id}")], field=None, fix=None,
            initiator_id=company["manager"], stage_id=None, on_leave="cancel", term={"days": 1},
        )  # fmt: skip
    driver.settle()
    return {"deal": deal, "other": other, "room": room.id, "firm": firm.id, "request": request.id}


def test_the_list_is_whole_and_proposes(driver: Driver, gone: Leaver) -> None:
    holding_everything(driver, gone)
    held = gone.holdings()
    assert {one.code for one in held.groups} == set(leaver.TITLES)
    proposed = {one.code: one.proposed for one in held.groups}
    assert proposed["departments"] == gone.head
    assert proposed["roles"] == gone.head, "роль больше никто не держит: руководителю"
    assert proposed["tasks"] == proposed["deals"] == gone.colleague, "у кого меньше открытых задач"
    follows = {one.title: one.follows for one in held.group("tasks").items}
    assert follows["По роли"] == f"roles:{gone.role}"
    assert str(follows["Своя"]).startswith("deals:")
    assert str(follows["Поле"]).startswith("fields:")
    assert follows["Ручная"] is None
    assert gone.holdings() == held, "второй раз – то же самое"


def test_one_act_moves_everything_and_leaves_nothing(driver: Driver, gone: Leaver) -> None:
    made = holding_everything(driver, gone)
    since = driver.read(lambda session: session.scalar(select(func.max(Notice.id)))) or 0
    audited = driver.read(lambda session: session.scalar(select(func.max(Audit.id)))) or 0
    done = gone.leave(gone.plan(absences=gone.head))
    assert gone.holdings().count == 0
    assert done.count >= len(leaver.TITLES)

    def after(session: Any) -> None:
        to = gone.colleague
        assert session.get_one(Deal, made["deal"]).responsible_id == to
        assert session.get_one(Deal, made["other"]).fields["product_manager"] == to
        assert session.get_one(Department, made["room"]).head_id == to
        assert session.get_one(Counterparty, made["firm"]).responsible_id == to
        assert holders(session, gone.role) == [to]
        payload = session.scalars(select(OutboxEvent.payload).where(OutboxEvent.case_id == made["request"])).first()
        assert payload["responsible"] == payload["form"]["responsible_id"] == to
        seat = session.scalars(select(ApprovalSeat).order_by(ApprovalSeat.id.desc()).limit(1)).one()
        assert (seat.holder, seat.address) == (f"person:{to}", f"person:{to}")
        assert session.scalars(select(Task).where(Task.executor_id == gone.id, Task.state == "open")).all() == []
        assert not session.get_one(Person, gone.id).active
        own = session.scalars(select(Absence).where(Absence.person_id == gone.id)).one()
        assert own.cancelled_at is not None
        substitutes = session.scalars(select(Absence.substitute_id).where(Absence.person_id == to)).all()
        assert substitutes == [gone.head]
        rows = session.scalars(select(Audit).where(Audit.id > audited)).all()
        found = {one.action for one in rows}
        assert found >= {
            "task.moved", "deal.responsible_changed", "deal.field_changed", "department.head_changed", "role.given",
            "role.taken", "company.responsible_changed", "request.responsible_changed", "approval.moved",
            "absence.substitute_changed", "absence.cancelled", "person.deactivated",
        }  # fmt: skip
        assert all(one.actor_id == driver.company["admin"] for one in rows if one.action == "task.moved")
        told = session.scalars(select(Notice).where(Notice.id > since, Notice.text.contains("Вам передана"))).all()
        assert sorted(one.person_id for one in told) == sorted(
            [gone.colleague, gone.head, gone.head]  # his own, and the colleague's as her substitute
        )

    driver.read(after)
    again = gone.leave()
    assert again.count == 0, "второй раз передавать нечего"


def test_without_a_successor_nothing_changes(driver: Driver, gone: Leaver) -> None:
    holding_everything(driver, gone)
    before = gone.holdings()
    for code in leaver.TITLES:
        plan = gone.plan(absences=gone.head)
        del plan[code]
        with pytest.raises(InvalidInput, match="кому передать") as refused:
            gone.leave(plan)
        assert refused.value.field == code
        assert leaver.TITLES[code].lower() in str(refused.value)
    assert gone.holdings() == before
    assert driver.read(lambda session: session.get_one(Person, gone.id).active)


def test_each_thing_may_go_to_somebody_of_its_own(driver: Driver, gone: Leaver) -> None:
    made = holding_everything(driver, gone)
    by_role = next(one for one in gone.holdings().group("tasks").items if one.title == "По роли")
    gone.leave(
        gone.plan(absences=gone.head, **{by_role.key: gone.head, f"deals:{made['deal']}": driver.company["manager"]})
    )
    assert driver.deal_row(made["deal"]).responsible_id == driver.company["manager"]
    executors = {one.title: one.executor_id for one in driver.tasks("open")}
    assert executors["По роли"] == gone.head
    assert executors["Своя"] == driver.company["manager"], "идёт со сделкой"
    assert executors["Ручная"] == gone.colleague


WRONG: dict[str, Callable[[Leaver], dict[str, int]]] = {
    "самому себе": lambda gone: gone.plan(absences=gone.head, tasks=gone.id),
    "уже ушедшему": lambda gone: gone.plan(absences=gone.head, deals=gone.driver.company["left"]),
    "никому такому": lambda gone: gone.plan(absences=gone.head, roles=10**6),
    "тому, кого замещают": lambda gone: gone.plan(absences=gone.colleague),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_plan_that_does_not_fit_is_refused(driver: Driver, gone: Leaver, what: str) -> None:
    holding_everything(driver, gone)
    with transaction(PROCESS) as work:
        left = admin.add_person(work, last_name="Ушедший", first_name="Иван").id
        admin.deactivate_person(work, left)
    driver.company.people["left"] = left
    before = gone.holdings()
    with pytest.raises(InvalidInput):
        gone.leave(WRONG[what](gone))
    assert gone.holdings() == before


@pytest.mark.parametrize("foreign", ["zzz", "zzz:1", "tasks:", "tasks:{task}", "deals:0", "roles:lawyer", ""])
def test_a_plan_names_only_what_he_holds(driver: Driver, gone: Leaver, foreign: str) -> None:
    holding_everything(driver, gone)
    driver.move(driver.deal(on_stage(QUOTE, {"other": task("Чужая")})), QUOTE)
    of_another = next(one for one in driver.tasks("open") if one.title == "Чужая")
    key, before = foreign.format(task=of_another.id), gone.holdings()
    plan = {**gone.plan(absences=gone.head), key: gone.colleague}
    with pytest.raises(InvalidInput, match=f"«{key}»") as refused:
        gone.leave(plan)
    assert refused.value.field == key
    with pytest.raises(InvalidInput, match=f"«{key}»"), transaction(driver.company.viewer("admin").actor) as work:
        leaver.preview(work, gone.id, plan)
    assert gone.holdings() == before


def test_a_plan_by_thing_delivered_twice_changes_nothing_more(driver: Driver, gone: Leaver) -> None:
    made = holding_everything(driver, gone)
    plan = gone.plan(absences=gone.head, **{f"deals:{made['deal']}": gone.head})
    assert gone.leave(plan).count
    assert gone.leave(plan).count == 0


def test_a_reason_is_asked_and_only_an_administrator_may(driver: Driver, gone: Leaver) -> None:
    for reason in ("", " ", "\u200b", "я" * 301, "\x00"):
        with pytest.raises(InvalidInput), transaction(driver.company.viewer("admin").actor) as work:
            leaver.hand_over(work, gone.id, gone.plan(), reason)
    with pytest.raises(Forbidden), transaction(driver.company.viewer("boss").actor) as work:
        leaver.hand_over(work, gone.id, gone.plan(), WHY)


def test_letting_go_alone_refuses_while_anything_is_held(driver: Driver, gone: Leaver) -> None:
    said = f"роли – 1.*/backoffice/people/{gone.id}/leave"
    boss = driver.company.viewer("admin").actor
    with pytest.raises(Conflict, match=said), transaction(boss) as work:
        admin.deactivate_person(work, gone.id)
    with transaction(boss) as work:
        admin.take_role(work, gone.role, gone.id)
        assert not admin.deactivate_person(work, gone.id).active


def test_work_may_be_handed_over_without_leaving(driver: Driver, gone: Leaver) -> None:
    holding_everything(driver, gone)
    gone.leave(gone.plan(absences=gone.head), deactivate=False)
    assert gone.holdings().count == 0
    assert driver.read(lambda session: session.get_one(Person, gone.id).active)
    coming = driver.read(
        lambda session: session.scalars(select(Absence.cancelled_at).where(Absence.person_id == gone.id)).all()
    )
    assert coming == [None], "её собственное отсутствие остаётся"


def test_another_holder_of_the_role_goes_on(driver: Driver, gone: Leaver) -> None:
    with transaction(driver.company.viewer("admin").actor) as work:
        admin.give_role(work, gone.role, gone.colleague)
    driver.move(driver.deal(on_stage(QUOTE, {"do": task(to=f"role:{gone.role}")})), QUOTE)
    assert driver.open_task().executor_id == gone.id
    held = gone.holdings()
    assert held.group("roles").items[0].proposed == gone.colleague
    gone.leave({"roles": gone.colleague})
    assert driver.open_task().executor_id == gone.colleague
    assert driver.read(lambda session: holders(session, gone.role)) == [gone.colleague]


def test_the_head_of_live_work_is_found_anew(driver: Driver, gone: Leaver) -> None:
    """A head leaves: what was resolved through him is resolved through his successor (AG-4)."""
    with transaction(driver.company.viewer("admin").actor) as work:
        admin.set_head(work, gone.room, gone.id)
    login = driver.company.login(gone.colleague)
    process = on_stage(QUOTE, {"do": task(), "check": task("Проверить", to="head")})
    process.upstream["check"] = []
    driver.move(driver.deal(process, responsible=login), QUOTE, by=None)
    assert {one.head_id for one in driver.instances()} == {gone.id}
    gone.leave(gone.plan(departments=gone.head, roles=gone.head, tasks=gone.head))
    assert {one.head_id for one in driver.instances()} == {gone.head}
    assert {one.title: one.executor_id for one in driver.tasks("open")}["Проверить"] == gone.head
    assert {one.creator_id for one in driver.tasks("open")} == {gone.head}


# --- at the same time ----------------------------------------------------------------------------------------------


def test_a_task_given_during_the_act_is_handed_over_too(driver: Driver, gone: Leaver) -> None:
    """Whoever gives work to the leaver at this moment comes before the act, or finds that he has left."""
    process = on_stage(QUOTE, {"do": task(to=f"role:{gone.role}")})
    numbers = [driver.deal(process) for _ in range(6)]
    for one in numbers:
        driver.move(one, QUOTE, settle=False)
    begun = threading.Barrier(2)

    def give() -> None:
        begun.wait()
        driver.settle()

    def leave() -> None:
        begun.wait()
        time.sleep(0.05)
        for _ in range(20):
            try:
                with transaction(driver.company.viewer("admin").actor) as work:
                    leaver.hand_over(work, gone.id, gone.plan(), WHY)
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(give), pool.submit(leave)]:
            one.result()
    driver.settle()
    assert gone.holdings().count == 0
    assert {one.executor_id for one in driver.tasks("open")} == {gone.colleague}
    assert len(driver.tasks("open")) == 6


def test_a_giver_waits_for_the_act_and_then_refuses(driver: Driver, gone: Leaver) -> None:
    """The lock itself: a deal is being given to the leaver while the act stands before its end."""
    deal = driver.deal()
    inside, outcome = threading.Event(), []

    def give() -> None:
        inside.wait()
        try:
            with transaction(driver.company.viewer("admin").actor) as work:
                deals.change_responsible(work, deal, gone.id, "так")
        except BackofficeError as refused:
            outcome.append(str(refused))

    with ThreadPoolExecutor(1) as pool:
        giving = pool.submit(give)
        with transaction(driver.company.viewer("admin").actor) as work:
            leaver.hand_over(work, gone.id, gone.plan(), WHY)
            inside.set()
            time.sleep(0.5)
            assert not giving.done()
        giving.result()
    assert outcome == ["Выберите работающего сотрудника."]
    assert driver.deal_row(deal).responsible_id == driver.company["manager"]


# --- size ----------------------------------------------------------------------------------------------------------


def test_a_large_desk_is_handed_over(driver: Driver, gone: Leaver) -> None:
    """1,000 tasks and 500 deals."""
    driver.check = False
    _fill(driver, gone, deals_=500, tasks_each=2)
    done = gone.leave()
    assert done.received[gone.colleague]["tasks"] == 1000
    assert done.received[gone.colleague]["deals"] == 500
    assert gone.holdings().count == 0


def _fill(driver: Driver, gone: Leaver, *, deals_: int, tasks_each: int) -> None:
    with transaction(PROCESS) as work:
        stage = work.session.scalars(select(Stage).where(Stage.funnel_code == "goods").order_by(Stage.position)).first()
        stage = stage or work.session.scalars(select(Stage).order_by(Stage.id)).first()
        assert stage is not None
        session, now = work.session, work.now
        cases = session.scalars(
            insert(ProcessCase).returning(ProcessCase.id),
            [{"key": f"big-{gone.id}-{one}", "kind": "deal", "title": f"Большая {one}"} for one in range(deals_)],
        ).all()
        rows = [
            {
                "case_id": case, "title": "Большая", "search_key": "большая", "funnel_code": stage.funnel_code,
                "stage_id": stage.id, "responsible_id": gone.id, "fields": {}, "created_at": now,
            }
            for case in cases
        ]  # fmt: skip
        made = session.execute(insert(Deal).returning(Deal.id, Deal.case_id), rows).all()
        session.execute(
            insert(StageVisit), [{"deal_id": one.id, "stage_id": stage.id, "entered_at": now} for one in made]
        )
        session.execute(
            insert(Task),
            [
                {
                    "key": f"big/{case}/{number}", "case_id": case, "step": "do", "topic": f"topic-{number}",
                    "title": "Дело", "addressed_to": ("responsible", "person:0")[number % 2], "executor_id": gone.id,
                    "created_at": now,
                }
                for case in cases
                for number in range(tasks_each)
            ],
        )  # fmt: skip


def test_nothing_of_the_leaver_is_named_in_the_database_as_acting(driver: Driver, gone: Leaver) -> None:
    """A property over the schema: wherever a person can hold something, the leaver holds nothing."""
    holding_everything(driver, gone)
    gone.leave(gone.plan(absences=gone.head))

    def left(session: Any) -> dict[str, int]:
        wanted = {
            "роли": select(func.count()).select_from(RoleHolder).where(RoleHolder.person_id == gone.id),
            "отделы": select(func.count()).select_from(Department).where(Department.head_id == gone.id),
            "задачи": select(func.count()).where(Task.executor_id == gone.id, Task.state == "open"),
            "сделки": select(func.count()).where(Deal.responsible_id == gone.id, Deal.closed_at.is_(None)),
            "заходы": select(func.count()).where(ProcessInstance.head_id == gone.id, ProcessInstance.state == "live"),
            "места": select(func.count()).where(
                ApprovalSeat.state == "asked", ApprovalSeat.holder == f"person:{gone.id}"
            ),
            "замещения": select(func.count()).where(
                Absence.substitute_id == gone.id, Absence.cancelled_at.is_(None), Absence.ends_at > driver.now
            ),
        }
        found = {name: session.scalar(one) for name, one in wanted.items()}
        named = text("SELECT count(*) FROM deal WHERE closed_at IS NULL AND fields::text LIKE :part")
        found["поля"] = session.scalar(named, {"part": f'%": {gone.id}%'})
        return {name: number for name, number in found.items() if number}

    assert driver.read(left) == {}
