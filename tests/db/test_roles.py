"""Roles given anew with their open work, taken from the structure; heads found anew (R001-16…-18, AG-4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from include.approvals import core as approvals
from include.approvals.core import Seat
from include.approvals.models import ApprovalSeat
from include.notices.models import Notice
from include.process.models import OutboxEvent, ProcessInstance
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.models import Audit
from include.shared.work import PROCESS, transaction
from include.staff import admin, structure
from include.staff.models import Department, Person
from include.staff.services import head_of, holders, roles_of
from tests.db.driver import QUOTE, Driver, on_stage, task

pytestmark = pytest.mark.db


@pytest.fixture
def role(driver: Driver) -> str:
    """A role of this test alone, held by «Гусев»."""
    with transaction(driver.company.viewer("admin").actor) as work:
        number = len(driver.read(lambda session: list(session.scalars(select(Audit.id)))))
        made = admin.add_role(work, f"lawyer_{number}", f"Юрист {number}")
        admin.give_role(work, made.code, driver.company["engineer"])
        return made.code


def by_admin(driver: Driver, act: Callable[[Any], Any]) -> Any:
    with transaction(driver.company.viewer("admin").actor) as work:
        done = act(work)
    driver.settle()
    return done


def executor(driver: Driver, number: int = 0) -> str:
    return driver.company.login(driver.tasks("open")[number].executor_id)


def with_task(driver: Driver, to: str, **more: Any) -> int:
    process = on_stage(QUOTE, {"do": task(to=to, due={"days": 2})})
    deal = driver.deal(process, **more)
    driver.move(deal, QUOTE)
    return deal


def room(driver: Driver, name: str) -> int:
    return driver.read(lambda session: session.scalars(select(Department.id).where(Department.name == name)).one())  # type: ignore[no-any-return]


# --- given anew -----------------------------------------------------------------------------------------------------


def test_a_new_mapping_moves_open_and_new_work(driver: Driver, role: str) -> None:
    """R001-17: «Процесс будет работать на него», with trace and notice."""
    with_task(driver, f"role:{role}")
    done = by_admin(
        driver,
        lambda work: admin.remap_role(work, role, driver.company["engineer"], driver.company["colleague"]),
    )
    assert (done.moved, done.kept) == (1, 0)
    assert executor(driver) == "colleague"
    assert driver.told("Вам передана задача") == ["colleague"]
    with_task(driver, f"role:{role}")
    assert executor(driver, 1) == "colleague"
    moved = driver.read(lambda session: session.scalars(select(Audit).where(Audit.action == "task.moved")).all())
    assert [one.before["executor"] for one in moved if one.case_id in driver.cases] == [driver.company["engineer"]]
    one = next(iter(driver.instances()))
    assert driver.steps(one)[0].waits_on == [driver.company["colleague"]]


def test_the_open_work_may_stay(driver: Driver, role: str) -> None:
    with_task(driver, f"role:{role}")
    done = by_admin(
        driver,
        lambda work: admin.remap_role(
            work, role, driver.company["engineer"], driver.company["colleague"], move_open=False
        ),
    )
    assert (done.moved, done.kept) == (0, 1)
    assert executor(driver) == "engineer"
    by_admin(driver, lambda work: admin.give_role(work, role, driver.company["boss"]))
    assert executor(driver) == "engineer", "его собственная и дальше"
    with_task(driver, f"role:{role}")
    assert executor(driver, 1) != "engineer"


def test_the_preview_shows_what_will_move(driver: Driver, role: str) -> None:
    with_task(driver, "responsible", responsible="engineer")
    driver.processes.clear()
    with_task(driver, f"role:{role}")
    people = driver.company["engineer"], driver.company["colleague"]
    shown = driver.read(lambda session: admin.preview_remap(session, role, *people))
    assert [task_id for _, task_id in shown.tasks] == [driver.tasks("open")[1].id]
    by_admin(driver, lambda work: admin.give_role(work, role, driver.company["boss"]))
    shown = driver.read(lambda session: admin.preview_remap(session, role, people[1], people[0]))
    assert shown.tasks == [], "у того, кто роль держит, ничего не забирают"


def test_a_field_that_fell_back_to_the_role_follows_it(driver: Driver, role: str) -> None:
    with_task(driver, f"field:product_manager|role:{role}")
    named = with_task(driver, f"field:product_manager|role:{role}", fields={"product_manager": driver.company["boss"]})
    by_admin(driver, lambda work: admin.remap_role(work, role, driver.company["engineer"], driver.company["colleague"]))
    assert [executor(driver, number) for number in (0, 1)] == ["colleague", "boss"]
    assert driver.deal_row(named).fields["product_manager"] == driver.company["boss"]


def test_a_task_given_by_hand_stays(driver: Driver, role: str) -> None:
    from include.tasks import services as tasks

    with_task(driver, f"role:{role}")
    boss = driver.company.viewer("admin")
    with transaction(boss.actor) as work:
        tasks.reassign(work, boss, driver.open_task().id, driver.company["manager"], "")
    by_admin(driver, lambda work: admin.remap_role(work, role, driver.company["engineer"], driver.company["colleague"]))
    assert executor(driver) == "manager"


def test_a_role_taken_away_goes_to_another_holder_or_waits_for_the_next(driver: Driver, role: str) -> None:
    with_task(driver, f"role:{role}")
    by_admin(driver, lambda work: admin.give_role(work, role, driver.company["colleague"]))
    assert executor(driver) == "engineer"
    by_admin(driver, lambda work: admin.take_role(work, role, driver.company["engineer"]))
    assert executor(driver) == "colleague"
    by_admin(driver, lambda work: admin.take_role(work, role, driver.company["colleague"]))
    assert executor(driver) == "colleague", "роль никто не держит: задача остаётся"
    by_admin(driver, lambda work: admin.give_role(work, role, driver.company["boss"]))
    assert executor(driver) == "boss"


def test_many_tasks_are_told_in_one_notice(driver: Driver, role: str) -> None:
    process = on_stage(QUOTE, {f"step_{one}": task(f"Дело {one}", to=f"role:{role}") for one in range(12)})
    process.upstream = {one: [] for one in process.upstream}
    driver.move(driver.deal(process), QUOTE)
    assert len(driver.tasks("open")) == 12
    before = driver.read(lambda session: session.scalar(select(func.count(Notice.id))))
    by_admin(driver, lambda work: admin.remap_role(work, role, driver.company["engineer"], driver.company["colleague"]))
    new = driver.read(lambda session: session.scalars(select(Notice).order_by(Notice.id).offset(before)).all())
    assert [(one.person_id, one.text) for one in new] == [(driver.company["colleague"], next(one.text for one in new))]
    assert "12" in new[0].text


def test_a_mapping_that_does_not_fit_is_refused(driver: Driver, role: str) -> None:
    company = driver.company
    for who, to, error in (
        ("colleague", "boss", Conflict),
        ("engineer", "engineer", Conflict),
    ):
        with pytest.raises(error, match="не держит"):
            by_admin(driver, lambda work, who=who, to=to: admin.remap_role(work, role, company[who], company[to]))
    with pytest.raises(NotFound):
        by_admin(driver, lambda work: admin.remap_role(work, "nosuch", company["engineer"], company["boss"]))
    assert driver.read(lambda session: holders(session, role)) == [company["engineer"]]


def test_an_approval_that_waits_goes_to_the_new_holder(driver: Driver, role: str) -> None:
    """R001-16: a role changing while an approval waits."""
    waits_for(driver, f"role:{role}")
    by_admin(driver, lambda work: admin.remap_role(work, role, driver.company["engineer"], driver.company["colleague"]))
    told = driver.told("Согласовать")
    assert told.count("colleague") == 1


@pytest.mark.parametrize(
    ("address", "follows"),
    [
        ("role:{role}", True), ("field:product_manager|role:{role}", True), ("role:{empty}|role:{role}", True),
        ("role:{role}|head", True), ("role:accountant|role:{role}", False),
    ],
)  # fmt: skip
def test_an_approval_that_would_go_along_is_shown_and_counted(
    driver: Driver, role: str, address: str, follows: bool
) -> None:
    """R001-17 «показать их»: what the role decides now, not what it would decide only after somebody else."""
    by_admin(driver, lambda work: admin.add_role(work, f"{role}_empty", f"Никто {role}"))
    asked = waits_for(driver, address.format(role=role, empty=f"{role}_empty"))
    people = driver.company["engineer"], driver.company["colleague"]
    shown = driver.read(lambda session: admin.preview_remap(session, role, *people))
    assert (shown.tasks, shown.approvals) == ([], [asked] if follows else [])
    done = by_admin(driver, lambda work: admin.remap_role(work, role, *people))
    assert (done.moved, done.kept, done.approvals) == (0, 0, int(follows))
    told = driver.told("Ждёт вашего решения: «Согласовать»")
    assert ("colleague" in told) is follows


def waits_for(driver: Driver, address: str) -> int:
    """Open an approval that waits for an address."""
    deal = driver.deal()
    with transaction(PROCESS) as work:
        case = driver.deal_row(deal).case_id
        work.lock_case(case)
        return approvals.open_approval(
            work, key=f"test/{case}", case_id=case, instance_id=None, step="agree", title="Согласовать",
            description="", mode="chain", quorum=None, seats=[Seat("Юрист", address)], field=None, fix=None,
            initiator_id=driver.company["manager"], stage_id=None, on_leave="cancel", term={"days": 1},
        ).id  # fmt: skip


# --- taken from the structure ---------------------------------------------------------------------------------------


@pytest.fixture
def department(driver: Driver) -> int:
    """A department of this test alone, led by «Петров», under sales."""
    with transaction(driver.company.viewer("admin").actor) as work:
        number = len(driver.read(lambda session: list(session.scalars(select(Audit.id)))))
        made = admin.add_department(work, f"Юристы {number}", parent_id=room(driver, "Отдел продаж"))
        admin.set_head(work, made.id, driver.company["colleague"])
        return made.id


def test_a_role_follows_the_head_of_its_department(driver: Driver, role: str, department: int) -> None:
    """R001-18: «Просто меняете нужного человека в структуре и все»."""
    company = driver.company
    with_task(driver, f"role:{role}")
    by_admin(driver, lambda work: admin.set_role_source(work, role, department))
    assert driver.read(lambda session: holders(session, role)) == [company["colleague"]]
    assert driver.read(lambda session: role in roles_of(session, [company["colleague"]]))
    assert driver.read(lambda session: role not in roles_of(session, [company["engineer"]]))
    assert executor(driver) == "colleague"
    by_admin(driver, lambda work: admin.set_head(work, department, company["engineer"]))
    assert executor(driver) == "engineer"
    with_task(driver, f"role:{role}")
    assert executor(driver, 1) == "engineer"
    with pytest.raises(Conflict, match="берётся из структуры"):
        by_admin(driver, lambda work: admin.give_role(work, role, company["boss"]))
    by_admin(driver, lambda work: admin.set_head(work, department, None))
    assert driver.read(lambda session: holders(session, role)) == []
    by_admin(driver, lambda work: admin.set_head(work, department, company["boss"]))
    assert [executor(driver, number) for number in (0, 1)] == ["boss", "boss"]
    by_admin(driver, lambda work: admin.set_role_source(work, role, None))
    assert driver.read(lambda session: holders(session, role)) == [company["boss"]], "назначен тот, кто держал"


def test_work_without_an_addressee_finds_the_new_head(driver: Driver, role: str, department: int) -> None:
    by_admin(driver, lambda work: admin.set_head(work, department, None))
    by_admin(driver, lambda work: admin.set_role_source(work, role, department))
    with_task(driver, f"role:{role}")
    assert driver.tasks("open") == []
    by_admin(driver, lambda work: admin.set_head(work, department, driver.company["engineer"]))
    assert executor(driver) == "engineer"


# --- heads ----------------------------------------------------------------------------------------------------------


def heads(driver: Driver) -> set[str | None]:
    return {driver.company.login(one.head_id) if one.head_id else None for one in driver.instances()}


def test_a_changed_head_takes_over_what_was_resolved_through_him(driver: Driver) -> None:
    """AG-4: creator, observer, «head» tasks and the instance itself."""
    sales, company = room(driver, "Отдел продаж"), driver.company
    process = on_stage(QUOTE, {"do": task(), "check": task("Проверить", to="head")})
    process.upstream["check"] = []
    driver.move(driver.deal(process), QUOTE)
    assert heads(driver) == {"boss"}
    by_admin(driver, lambda work: admin.set_head(work, sales, company["chief"]))
    try:
        assert heads(driver) == {"chief"}
        done = {one.step: one for one in driver.tasks("open")}
        assert company.login(done["check"].executor_id) == "chief"
        assert company.login(done["do"].executor_id) == "manager"
        assert {company.login(one.creator_id or 0) for one in done.values()} == {"chief"}
        assert driver.observers(done["do"]) == {"chief"}
    finally:
        by_admin(driver, lambda work: admin.set_head(work, sales, company["boss"]))
    assert heads(driver) == {"boss"}


def test_another_department_means_another_head(driver: Driver) -> None:
    company = driver.company
    with_task(driver, "responsible")
    person = driver.read(lambda session: session.get_one(Person, company["manager"]))
    named = {one: getattr(person, one) for one in ("last_name", "first_name", "middle_name", "post", "email")}
    sales, service = room(driver, "Отдел продаж"), room(driver, "Отдел сервиса")
    by_admin(driver, lambda work: admin.update_person(work, person.id, **named, department_id=service))
    assert heads(driver) == {"chief"}
    by_admin(driver, lambda work: admin.update_person(work, person.id, **named, department_id=sales))
    assert heads(driver) == {"boss"}


def test_another_parent_means_another_head(driver: Driver, department: int) -> None:
    company = driver.company
    by_admin(driver, lambda work: admin.set_head(work, department, None))
    with transaction(company.viewer("admin").actor) as work:
        company.people["lawyer"] = admin.add_person(
            work, last_name="Юристов", first_name="Иван", department_id=department
        ).id
    with_task(driver, "responsible", responsible="lawyer")
    assert heads(driver) == {"boss"}
    by_admin(driver, lambda work: admin.move_department(work, department, room(driver, "Отдел сервиса")))
    assert heads(driver) == {"chief"}
    with pytest.raises(InvalidInput, match="сам входит"):
        by_admin(driver, lambda work: admin.move_department(work, room(driver, "Дирекция"), department))


def test_all_heads_at_once_are_those_found_one_by_one(driver: Driver, department: int) -> None:
    def both(session: Any) -> tuple[dict[int, int | None], dict[int, int | None]]:
        people = session.scalars(select(Person.id)).all()
        return structure.heads_of_all(session), {one: head_of(session, one) for one in people}

    at_once, one_by_one = driver.read(both)
    assert at_once == one_by_one
    assert len(set(at_once.values())) > 2


def test_the_work_of_untouched_cases_is_left_alone(driver: Driver) -> None:
    with_task(driver, "responsible", responsible="engineer")
    before = driver.read(
        lambda session: session.scalars(select(ProcessInstance.head_id).where(ProcessInstance.state == "live")).all()
    )
    seq = driver.read(lambda session: session.scalar(select(func.count(Audit.id))))
    by_admin(driver, lambda work: structure.structure_changed(work))
    assert driver.read(lambda session: session.scalar(select(func.count(Audit.id)))) == seq
    assert before == driver.read(
        lambda session: session.scalars(select(ProcessInstance.head_id).where(ProcessInstance.state == "live")).all()
    )


# --- reference data: each change leaves audit and event -------------------------------------------------------------


def test_each_change_leaves_its_audit_and_its_event(driver: Driver) -> None:
    state: dict[str, Any] = {}

    def name() -> dict[str, Any]:
        return {"last_name": "Новиков", "first_name": "Иван"}

    acts: list[tuple[str, Callable[[Any], Any]]] = [
        ("department.added", lambda work: state.update(room=admin.add_department(work, "Новый отдел").id)),
        ("department.renamed", lambda work: admin.rename_department(work, state["room"], "Новейший отдел")),
        ("department.moved", lambda work: admin.move_department(work, state["room"], room(driver, "Дирекция"))),
        ("person.added", lambda work: state.update(one=admin.add_person(work, **name()).id)),
        ("person.changed", lambda work: admin.update_person(work, state["one"], **name(), post="Юрист")),
        ("account.set", lambda work: admin.set_account(work, state["one"], "novikov", "long-enough")),
        ("department.head_changed", lambda work: admin.set_head(work, state["room"], state["one"])),
        ("department.head_changed", lambda work: admin.set_head(work, state["room"], None)),
        ("role.added", lambda work: admin.add_role(work, "notary", "Нотариус")),
        ("role.renamed", lambda work: admin.rename_role(work, "notary", "Главный нотариус")),
        ("role.given", lambda work: admin.give_role(work, "notary", state["one"])),
        ("role.taken", lambda work: admin.take_role(work, "notary", state["one"])),
        ("role.source_changed", lambda work: admin.set_role_source(work, "notary", state["room"])),
        ("role.source_changed", lambda work: admin.set_role_source(work, "notary", None)),
        ("role.deleted", lambda work: admin.delete_role(work, "notary")),
        ("department.deleted", lambda work: admin.delete_department(work, state["room"])),
        ("person.deactivated", lambda work: admin.deactivate_person(work, state["one"])),
        ("person.activated", lambda work: admin.activate_person(work, state["one"])),
    ]
    for action, act in acts:
        counted = select(func.count(OutboxEvent.id)).where(OutboxEvent.kind == "reference_changed")
        audited = select(func.count(Audit.id)).where(Audit.action == action)
        before = driver.read(lambda session, one=counted, two=audited: (session.scalar(one), session.scalar(two)))
        by_admin(driver, act)
        after = driver.read(lambda session, one=counted, two=audited: (session.scalar(one), session.scalar(two)))
        assert after == (before[0] + 1, before[1] + 1), action


def test_what_is_used_is_not_deleted(driver: Driver, role: str, department: int) -> None:
    with pytest.raises(Conflict, match="держат"):
        by_admin(driver, lambda work: admin.delete_role(work, role))
    with_task(driver, f"role:{role}")
    by_admin(driver, lambda work: admin.take_role(work, role, driver.company["engineer"]))
    with pytest.raises(Conflict, match="открытые задачи"):
        by_admin(driver, lambda work: admin.delete_role(work, role))
    by_admin(driver, lambda work: admin.set_role_source(work, role, department))
    with pytest.raises(Conflict, match="роли из структуры"):
        by_admin(driver, lambda work: admin.delete_department(work, department))
    with pytest.raises(Conflict, match="сотрудники"):
        by_admin(driver, lambda work: admin.delete_department(work, room(driver, "Отдел продаж")))


WRONG = {
    "код": lambda work: admin.add_role(work, "Юрист", "Юрист"),
    "занятый код": lambda work: admin.add_role(work, "manager", "Ещё менеджер"),
    "занятое название": lambda work: admin.add_role(work, "other", "Менеджер"),
    "пустое название": lambda work: admin.rename_role(work, "manager", " "),
    "чужое название": lambda work: admin.rename_role(work, "manager", "Директор"),
}


@pytest.mark.parametrize("what", WRONG)
def test_bad_roles_are_refused(driver: Driver, what: str) -> None:
    with pytest.raises(InvalidInput):
        by_admin(driver, WRONG[what])


def test_seats_are_counted(driver: Driver) -> None:
    """The fixture of approvals above has left nothing asked of somebody who does not hold the role."""
    asked = driver.read(
        lambda session: session.scalars(select(ApprovalSeat.holder).where(ApprovalSeat.state == "asked")).all()
    )
    assert all(one.startswith("role:") for one in asked)
