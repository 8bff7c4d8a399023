"""Heads (AG-4), and what the administrator does with departments, people, roles and logins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from include.reference.services import load_reference
from include.shared import clock
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput, NotFound
from include.shared.models import Audit
from include.shared.work import Actor, Work
from include.staff import admin
from include.staff.models import Account, Department, Person, RoleHolder
from include.staff.services import check_password, head_of, holders, viewer

pytestmark = pytest.mark.db
SYSTEM = Actor(kind="system")


@pytest.fixture
def work(database_engine: Engine, quick_passwords: None) -> Iterator[Work]:
    """One transaction with the reference data in it, rolled back afterwards."""
    with Session(database_engine) as session, session.begin() as begun:
        open_work = Work(session, SYSTEM, clock.machine_now())
        load_reference(open_work)
        yield open_work
        begun.rollback()


def _person(work: Work, name: str, department: Department | None = None) -> Person:
    return admin.add_person(
        work, last_name=name, first_name="Анна", department_id=department.id if department else None
    )


def test_the_head_is_the_nearest_one_above(work: Work) -> None:
    top = admin.add_department(work, "Дирекция")
    sales = admin.add_department(work, "Продажи", parent_id=top.id)
    team = admin.add_department(work, "Группа Юг", parent_id=sales.id)
    director, head, seller = (
        _person(work, "Первая", top),
        _person(work, "Вторая", sales),
        _person(work, "Третья", team),
    )
    admin.set_head(work, top.id, director.id)
    admin.set_head(work, sales.id, head.id)
    assert head_of(work.session, seller.id) == head.id


def test_an_inactive_head_is_passed_over(work: Work) -> None:
    top = admin.add_department(work, "Дирекция")
    sales = admin.add_department(work, "Продажи", parent_id=top.id)
    director, head, seller = (
        _person(work, "Первая", top),
        _person(work, "Вторая", sales),
        _person(work, "Третья", sales),
    )
    admin.set_head(work, top.id, director.id)
    admin.set_head(work, sales.id, head.id)
    head.active = False  # as an import leaves it: the service would have his work handed over first
    work.session.flush()
    assert head_of(work.session, seller.id) == director.id


def test_a_responsible_who_is_head_himself_answers_to_the_next_level(work: Work) -> None:
    top = admin.add_department(work, "Дирекция")
    sales = admin.add_department(work, "Продажи", parent_id=top.id)
    director, head = _person(work, "Первая", top), _person(work, "Вторая", sales)
    admin.set_head(work, top.id, director.id)
    admin.set_head(work, sales.id, head.id)
    assert head_of(work.session, head.id) == director.id


def test_without_a_head_above_the_director_is_asked(work: Work) -> None:
    sales = admin.add_department(work, "Продажи")
    director, seller, loner = _person(work, "Первая"), _person(work, "Вторая", sales), _person(work, "Третья")
    assert head_of(work.session, seller.id) is None
    admin.give_role(work, "director", director.id)
    assert head_of(work.session, seller.id) == director.id
    assert head_of(work.session, loner.id) == director.id
    assert head_of(work.session, director.id) is None
    admin.take_role(work, "director", director.id)
    admin.deactivate_person(work, director.id)
    assert head_of(work.session, seller.id) is None


def test_a_login_is_made_changed_and_ended(work: Work) -> None:
    person = _person(work, "Иванова")
    admin.set_account(work, person.id, " Ivanova ", "long-enough")
    assert check_password(work.session, "ivanova", "long-enough") is not None
    admin.set_account(work, person.id, "ivanova", "even-longer-word", access="ops")
    assert check_password(work.session, "ivanova", "long-enough") is None
    admin.set_account(work, person.id, "ivanova.m", access="ops")
    assert check_password(work.session, "ivanova.m", "even-longer-word").access == "ops"
    admin.deactivate_person(work, person.id, "уволилась")
    assert check_password(work.session, "ivanova.m", "even-longer-word") is None
    assert viewer(work.session, "ivanova.m") is None
    assert admin.deactivate_person(work, person.id) is person


def test_passwords_leave_no_trace_in_the_audit(work: Work) -> None:
    person = _person(work, "Иванова")
    admin.set_account(work, person.id, "ivanova", "long-enough")
    work.session.flush()
    rows = work.session.execute(select(Audit.text, Audit.before, Audit.after)).all()
    assert "Вход «ivanova» (сотрудник): Иванова А." in [row.text for row in rows]
    account = work.session.get_one(Account, person.id)
    assert not any("long-enough" in repr(row) or account.password_hash in repr(row) for row in rows)


def test_repeated_acts_leave_one_trace(work: Work) -> None:
    person = _person(work, "Иванова")
    department = admin.add_department(work, "Продажи")
    for _ in range(2):
        admin.give_role(work, "manager", person.id)
        admin.set_head(work, department.id, person.id)
    assert holders(work.session, "manager") == [person.id]
    for _ in range(2):
        admin.take_role(work, "manager", person.id)
        admin.set_head(work, department.id, None)
    assert work.session.scalars(select(RoleHolder)).all() == []
    actions = list(work.session.scalars(select(Audit.action).where(Audit.entity != "reference").order_by(Audit.id)))
    assert actions == [
        "person.added", "department.added", "role.given", "department.head_changed", "role.taken",
        "department.head_changed",
    ]  # fmt: skip


def test_the_last_administrator_stays(work: Work) -> None:
    first, second = _person(work, "Первая"), _person(work, "Вторая")
    admin.set_account(work, first.id, "first", "long-enough", "admin")
    with pytest.raises(Conflict, match="последний администратор"):
        admin.deactivate_person(work, first.id)
    with pytest.raises(Conflict, match="последний администратор"):
        admin.set_account(work, first.id, "first", access="staff")
    admin.set_account(work, second.id, "second", "long-enough", "admin")
    admin.set_account(work, first.id, "first", access="staff")
    with pytest.raises(Conflict):
        admin.deactivate_person(work, second.id)


def test_only_an_administrator_may(work: Work) -> None:
    for access in ("staff", "ops"):
        with pytest.raises(Forbidden, match="только администратор"):
            admin.add_department(replace(work, actor=Actor(1, "person", access)), "Продажи")
    assert admin.add_department(replace(work, actor=Actor(1, "person", "admin")), "Продажи").id


Act = Callable[[Work, Person], Any]
WRONG: dict[str, tuple[Act, type[BackofficeError]]] = {
    "no name": (lambda work, _: admin.add_department(work, "  "), InvalidInput),
    "a long name": (lambda work, _: admin.add_department(work, "я" * 201), InvalidInput),
    "a zero byte": (lambda work, _: admin.add_person(work, last_name="А\x00", first_name="Б"), InvalidInput),
    "a known department": (lambda work, _: admin.add_department(work, " Склад "), InvalidInput),
    "no parent": (lambda work, _: admin.add_department(work, "Новый", parent_id=999), NotFound),
    "no department": (
        lambda work, _: admin.add_person(work, last_name="А", first_name="Б", department_id=9),
        NotFound,
    ),
    "no first name": (lambda work, _: admin.add_person(work, last_name="А", first_name=""), InvalidInput),
    "bad mail": (
        lambda work, _: admin.add_person(work, last_name="А", first_name="Б", email="a@b"),
        InvalidInput,
    ),
    "bad zone": (
        lambda work, _: admin.add_person(work, last_name="А", first_name="Б", time_zone="../x"),
        InvalidInput,
    ),
    "no zone": (
        lambda work, _: admin.add_person(work, last_name="А", first_name="Б", time_zone="Mars/X"),
        InvalidInput,
    ),
    "a zone's folder": (
        lambda work, _: admin.add_person(work, last_name="А", first_name="Б", time_zone="Europe"),
        InvalidInput,
    ),
    "no such role": (lambda work, person: admin.give_role(work, "king\x00", person.id), NotFound),
    "nobody": (lambda work, _: admin.give_role(work, "manager", 999), NotFound),
    "a bad login": (
        lambda work, person: admin.set_account(work, person.id, "иванова", "long-enough"),
        InvalidInput,
    ),
    "a short password": (
        lambda work, person: admin.set_account(work, person.id, "anna", "short"),
        InvalidInput,
    ),
    "a broken password": (
        lambda work, person: admin.set_account(work, person.id, "anna", "\ud800" * 9),
        InvalidInput,
    ),
    "no password": (lambda work, person: admin.set_account(work, person.id, "anna"), InvalidInput),
    "a taken login": (
        lambda work, person: admin.set_account(work, person.id, "taken", "long-enough"),
        InvalidInput,
    ),
    "no such access": (
        lambda work, person: admin.set_account(work, person.id, "anna", "long-enough", "god"),
        InvalidInput,
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_bad_input_is_refused_in_russian(work: Work, what: str) -> None:
    admin.add_department(work, "Склад")
    other, person = _person(work, "Вторая"), _person(work, "Первая")
    admin.set_account(work, other.id, "taken", "long-enough")
    act, error = WRONG[what]
    with pytest.raises(error) as refused:
        act(work, person)
    assert any("а" <= letter <= "я" for letter in str(refused.value).lower())


def test_someone_who_left_gets_nothing(work: Work) -> None:
    person, department = _person(work, "Первая"), admin.add_department(work, "Склад")
    admin.deactivate_person(work, person.id)
    for act in (
        lambda: admin.give_role(work, "manager", person.id),
        lambda: admin.set_head(work, department.id, person.id),
        lambda: admin.set_account(work, person.id, "anna", "long-enough"),
    ):
        with pytest.raises(InvalidInput, match="уже не работает"):
            act()
