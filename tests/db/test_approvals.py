"""Approvals: rounds, order, who may decide, the file they are about, letter links (R002-61…67, R003-14, -16)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from include.approvals import core, inbox
from include.approvals import services as approvals
from include.approvals.core import Seat
from include.approvals.models import Approval, ApprovalSeat, DecisionLink
from include.deals.models import Deal
from include.documents.models import FileVersion
from include.notices.models import Notice
from include.shared import clock
from include.shared import settings as switches
from include.shared.db import query_text
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput, NotFound
from include.shared.models import Audit
from include.shared.work import Actor, reading, transaction
from include.staff import absence, admin
from include.staff.models import RoleHolder
from include.tasks.models import Task
from tests.db.driver import Driver, at_once

pytestmark = pytest.mark.db
FIX = {"title": "Устранить замечания к проекту договора", "to": "responsible", "due": {"working_days": 1}}
TERM = {"working_days": 2}
_keys = itertools.count(1)


@dataclass
class Desk:
    """One approval of a new deal of the manager, and the people around it."""

    driver: Driver
    case_id: int = 0
    deal_id: int = 0
    id: int = 0
    uploads: list[int] = field(default_factory=list)

    def id_of(self, login: str) -> int:
        return self.driver.company[login]

    def begin(self, *addresses: str, key: str = "", initiator: str | None = "engineer", **more: Any) -> Desk:
        self.deal_id = self.driver.deal()
        self.case_id = self.driver.deal_row(self.deal_id).case_id
        return self.again(*addresses, key=key, initiator=initiator, **more)

    def again(self, *addresses: str, key: str = "", initiator: str | None = "engineer", **more: Any) -> Desk:
        values = {
            "key": key or f"test/{next(_keys)}", "case_id": self.case_id, "instance_id": None, "step": "approval",
            "title": "Договор с клиентом", "description": "", "mode": "chain", "quorum": None, "field": None,
            "fix": None, "initiator_id": self.id_of(initiator) if initiator else None, "stage_id": None,
            "on_leave": "cancel", "term": TERM,
            "seats": [Seat(f"Согласующий {number}", address) for number, address in enumerate(addresses, 1)],
        }  # fmt: skip
        with self.acting() as work:
            self.id = core.open_approval(work, **{**values, **more}).id
        return self

    @contextmanager
    def acting(self, login: str | None = None) -> Iterator[Any]:
        actor = self.driver.company.viewer(login).actor if login else Actor(kind="process")
        with transaction(actor) as work:
            if self.case_id:
                work.lock_case(self.case_id)
            yield work

    def answer(self, login: str, answer: str = "approve", remark: str = "", **more: Any) -> str:
        viewer = self.driver.company.viewer(login)
        with transaction(viewer.actor) as work:
            return approvals.decide(work, viewer, self.id, answer, remark, **more).state

    def refused(self, login: str, answer: str = "approve", remark: str = "", **more: Any) -> BackofficeError:
        with pytest.raises(BackofficeError) as error:
            self.answer(login, answer, remark, **more)
        return error.value

    def upload(self, login: str | None = "colleague", content: str = "") -> int:
        number = len(self.uploads) + 1
        with self.acting() as work:
            version = FileVersion(
                case_id=self.case_id, field="contract_draft", number=number, content_hash=content or f"hash-{number}",
                size=10, name=f"Договор {number}.docx", media_type="application/docx", uploaded_at=work.now,
                uploaded_by=self.id_of(login) if login else None,
            )  # fmt: skip
            work.session.add(version)
            work.session.flush()
            core.file_replaced(work, self.case_id, "contract_draft", version)
            self.uploads.append(version.id)
            return version.id

    @property
    def row(self) -> Approval:
        return self.driver.read(lambda session: session.get_one(Approval, self.id))

    def seats(self) -> list[tuple[int, int, int, str]]:
        """Every seat of every round: round, position, attempt, state."""
        wanted = select(ApprovalSeat).where(ApprovalSeat.approval_id == self.id)
        rows = self.driver.read(
            lambda session: session.scalars(
                wanted.order_by(ApprovalSeat.round, ApprovalSeat.position, ApprovalSeat.attempt)
            ).all()
        )
        return [(one.round, one.position, one.attempt, one.state) for one in rows]

    def states(self) -> list[str]:
        """The states of the present round's seats."""
        return [one.state for one in self.driver.read(lambda session: core.round_seats(session, self.row))]

    def seat(self, position: int = 1) -> ApprovalSeat:
        return next(
            one for one in self.driver.read(lambda session: core.round_seats(session, self.row))
            if one.position == position
        )  # fmt: skip

    def deciders(self) -> set[str]:
        """Who may decide anything of it now."""

        def question(session: Any) -> set[int]:
            approval = session.get_one(Approval, self.id)
            asked = core.asked_seats(session, self.id)
            return {one for seat in asked for one in core.deciders(session, seat, approval, clock.now(session))}

        return {self.driver.company.login(one) for one in self.driver.read(question)}

    def lists_it(self) -> set[str]:
        """In whose list «ждут меня» it stands."""
        found = set()
        for login in self.driver.company.people:
            viewer = self.driver.company.viewer(login)
            ids, total = self.driver.read(lambda session, viewer=viewer: inbox.waiting_for(session, viewer, 1000))
            assert total == len(ids)
            if self.id in ids:
                found.add(login)
        return found

    def told(self, part: str) -> set[str]:
        wanted = select(Notice).where(Notice.approval_id == self.id)
        rows = self.driver.read(lambda session: session.scalars(wanted).all())
        return {self.driver.company.login(one.person_id) for one in rows if part in one.text}

    def trace(self) -> list[str]:
        wanted = select(Audit.text).where(Audit.entity == "approval", Audit.entity_id == self.id).order_by(Audit.id)
        return self.driver.read(lambda session: list(session.scalars(wanted)))

    def fix(self) -> Task | None:
        wanted = select(Task).where(Task.approval_id == self.id, Task.state == "open")
        return self.driver.read(lambda session: session.scalars(wanted).one_or_none())

    def put_right(self) -> None:
        task = self.fix()
        assert task is not None
        self.driver.close(task)

    def link(self, login: str) -> str:
        viewer = self.driver.company.viewer(login)
        with transaction(viewer.actor) as work:
            return approvals.make_link(work, viewer, self.id)

    def look(self, token: str) -> approvals.LinkView:
        return self.driver.read(lambda session: approvals.read_link(session, token, clock.now(session)))

    def use(self, token: str, answer: str = "approve", remark: str = "") -> approvals.LinkView:
        with transaction(Actor(kind="system")) as work:
            return approvals.decide_by_link(work, token, answer, remark)


@pytest.fixture
def desk(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("BACKOFFICE_SECRET", "secret-of-the-tests")
    made = Desk(driver)
    yield made
    for login in ("colleague", "chief", "engineer", "boss", "manager"):
        take_role(driver, "contract_approver", login)


def give_role(driver: Driver, role: str, login: str) -> None:
    with transaction(Actor(kind="system")) as work:
        admin.give_role(work, role, driver.company[login])
        core.role_changed(work, role, driver.company[login])


def take_role(driver: Driver, role: str, login: str) -> None:
    with transaction(Actor(kind="system")) as work:
        row = work.session.get(RoleHolder, (role, driver.company[login]))
        if row is not None:
            work.session.delete(row)


def away(driver: Driver, login: str, substitute: str | None, *, days: int = 5) -> int:
    with transaction(Actor(kind="system")) as work:
        begins = work.now
        person = driver.company[login]
        acting = driver.company[substitute] if substitute else None
        return absence.set_absence(work, person, begins, begins + timedelta(days=days), acting).id


def back(absence_id: int) -> None:
    with transaction(Actor(kind="system")) as work:
        absence.cancel_absence(work, absence_id)


def switch(code: str, value: Any) -> Callable[[], None]:
    with transaction(Actor(kind="system")) as work:
        before = switches.value_of(work.session, code, None)
        switches.change(work, code, value)
    return lambda: (switch(code, before), None)[1]


# --- rounds ---------------------------------------------------------------------------------------------------------


def test_the_approver_agrees_and_the_initiator_is_told(desk: Desk) -> None:
    """R002-64, R002-67: the approver is asked and told; his approval ends it with a notice to the initiator."""
    desk.begin("role:contract_approver|head")
    assert (desk.row.state, desk.deciders(), desk.told("Ждёт вашего решения")) == ("open", {"boss"}, {"boss"})
    assert desk.seat().due_at == desk.driver.now + timedelta(days=2)
    assert desk.answer("boss") == "approved"
    assert desk.told("Согласовано") == {"engineer"}
    assert (desk.seat().decided_by, desk.seat().decided_for) == (desk.id_of("boss"), None)
    assert desk.trace()[0] == "Начато согласование «Договор с клиентом»"
    assert any(one.startswith("Согласовано: Согласующий 1") for one in desk.trace())


def test_opening_twice_joins(desk: Desk) -> None:
    desk.begin("head", key="once/1")
    first = desk.id
    desk.again("head", "responsible", key="once/1")
    assert desk.id == first
    assert len(desk.seats()) == 1


@pytest.mark.parametrize("remark", ["", "   ", "\n\t", None, "\u200b\u200b", " \u3164", "\u2060\ufeff"])
def test_a_rejection_without_a_remark_is_refused_by_the_server(desk: Desk, remark: Any) -> None:
    """R002-65, R003-16: «он должен обязательно заполнить причину отклонения»."""
    desk.begin("head", fix=FIX)
    error = desk.refused("boss", "reject", remark)
    assert isinstance(error, InvalidInput)
    assert error.field == "remark"
    assert desk.states() == ["asked"]


@pytest.mark.parametrize("remark", ["я" * 4001, "плохо\x00"])
def test_a_remark_that_cannot_be_kept_is_refused(desk: Desk, remark: str) -> None:
    desk.begin("head")
    assert isinstance(desk.refused("boss", "approve", remark), InvalidInput)
    assert isinstance(desk.refused("boss", "maybe"), InvalidInput)


def test_a_rejection_gives_the_fix_with_its_reason_in_the_same_transaction(desk: Desk) -> None:
    """R002-65: then a task to the deal's responsible whose description holds the reason."""
    desk.begin("head", fix=FIX)
    assert desk.answer("boss", "reject", "нет реквизитов") == "rework"
    task = desk.fix()
    assert task is not None
    assert (task.title, desk.driver.company.login(task.executor_id), task.kind) == (FIX["title"], "manager", "fix")
    assert "Паздников А.: нет реквизитов" in task.description.replace(" (Согласующий 1)", "")
    assert (task.topic, task.key) == (f"{desk.row.key}/fix", f"{desk.row.key}/fix/1")
    assert task.due_at == desk.driver.now + timedelta(days=1)
    assert "manager" in desk.driver.told("Вам поставлена задача «Устранить замечания")


def test_without_a_fix_a_rejection_ends_the_approval(desk: Desk) -> None:
    desk.begin("head", "role:accountant")
    assert desk.answer("boss", "reject", "не нужно") == "rejected"
    assert desk.states() == ["rejected", "withdrawn"]
    assert "не нужно" in (desk.row.close_reason or "")
    assert desk.fix() is None


def test_any_number_of_rounds(desk: Desk) -> None:
    """R002-66: unlimited rounds, each with its number and its own remark."""
    desk.begin("head", fix=FIX)
    for number in range(1, 6):
        assert desk.row.round == number
        desk.answer("boss", "reject", f"замечание {number}")
        desk.put_right()
    assert (desk.row.round, desk.row.state) == (6, "open")
    assert desk.answer("boss") == "approved"
    rejected = [one for one in desk.seats() if one[3] == "rejected"]
    assert [one[0] for one in rejected] == [1, 2, 3, 4, 5]
    assert len([one for one in desk.driver.tasks() if one.approval_id == desk.id]) == 5


def test_a_chain_goes_on_at_whoever_returned_it_and_tells_the_earlier_ones(desk: Desk) -> None:
    """R003-14, R003-16 with A3-7: earlier approvers keep their approval and get a notice."""
    desk.begin("head", "role:accountant", "role:director", fix=FIX)
    assert desk.states() == ["asked", "waiting", "waiting"]
    assert isinstance(desk.refused("accountant"), Conflict)
    desk.answer("boss")
    assert desk.told("Ждёт вашего решения") == {"boss", "accountant"}
    desk.answer("accountant", "reject", "не те реквизиты")
    assert desk.states() == ["approved", "rejected", "withdrawn"]
    desk.put_right()
    assert desk.states() == ["approved", "asked", "waiting"]
    assert desk.deciders() == {"accountant"}
    assert desk.told("согласие сохранено") == {"boss"}
    desk.answer("accountant")
    assert desk.answer("director") == "approved"


def test_with_the_switch_everybody_is_asked_anew(desk: Desk) -> None:
    """A3-7: switch – from the start."""
    desk.begin("head", "role:accountant", fix={**FIX, "resume": "start"})
    desk.answer("boss")
    desk.answer("accountant", "reject", "нет")
    desk.put_right()
    assert desk.states() == ["asked", "waiting"]


def test_parallel_asks_all_at_once_and_one_rejection_withdraws_the_rest(desk: Desk) -> None:
    """Features 36."""
    desk.begin("head", "role:accountant", "role:director", mode="parallel", fix=FIX)
    assert desk.deciders() == {"boss", "accountant", "director"}
    desk.answer("director")
    desk.answer("boss", "reject", "дорого")
    assert desk.states() == ["rejected", "withdrawn", "approved"]
    assert isinstance(desk.refused("accountant"), Conflict)
    desk.put_right()
    assert desk.states() == ["asked", "asked", "approved"]
    desk.answer("accountant")
    assert desk.answer("boss") == "approved"


def test_a_quorum_ends_with_the_last_voice_that_is_needed(desk: Desk) -> None:
    desk.begin("head", "role:accountant", "role:director", mode="quorum", quorum=2)
    desk.answer("boss", "reject", "против")
    assert desk.row.state == "open"
    desk.answer("accountant")
    assert desk.answer("director") == "approved"


def test_a_quorum_that_cannot_be_reached_is_a_rejection(desk: Desk) -> None:
    desk.begin("head", "role:accountant", "role:director", mode="quorum", quorum=2, fix=FIX)
    desk.answer("boss", "reject", "против")
    assert desk.answer("director", "reject", "тоже против") == "rework"
    assert desk.states() == ["rejected", "withdrawn", "rejected"]
    task = desk.fix()
    assert task is not None
    assert "против" in task.description
    assert "тоже против" in task.description


def test_in_a_quorum_one_person_has_one_voice(desk: Desk) -> None:
    desk.begin("head", f"person:{desk.id_of('boss')}", "role:accountant", mode="quorum", quorum=2)
    desk.answer("boss")
    assert desk.states() == ["approved", "asked", "asked"]
    assert desk.deciders() == desk.lists_it() == {"accountant"}
    assert isinstance(desk.refused("boss", "reject", "передумал"), Conflict)
    assert desk.answer("accountant") == "approved"


def test_the_same_person_decides_once_in_a_chain(desk: Desk) -> None:
    """R003-10, features 43: «решил(а) ранее в этом согласовании»."""
    desk.begin("head", "role:accountant", f"person:{desk.id_of('boss')}")
    desk.answer("boss")
    assert desk.answer("accountant") == "approved"
    assert desk.seat(3).remark == core.ONCE
    assert desk.seat(3).decided_by == desk.id_of("boss")
    assert any(core.ONCE in one for one in desk.trace())


def test_the_same_person_decides_once_in_a_parallel_round(desk: Desk) -> None:
    desk.begin("head", f"person:{desk.id_of('boss')}", mode="parallel")
    assert desk.answer("boss") == "approved"


def test_who_decided_before_is_asked_when_he_does_not_hold_the_later_seat(desk: Desk) -> None:
    desk.begin("head", "role:accountant")
    desk.answer("boss")
    assert desk.states() == ["approved", "asked"]


# --- two at once, repeated deliveries -------------------------------------------------------------------------------


def test_of_two_holders_deciding_at_once_one_wins(desk: Desk) -> None:
    """A role with several holders: anyone, the first answer wins, the second is told by whom."""
    give_role(desk.driver, "contract_approver", "colleague")
    give_role(desk.driver, "contract_approver", "chief")
    for _ in range(5):
        desk.begin("role:contract_approver", "role:accountant")

        def act(number: int) -> str:
            try:
                desk.answer(("colleague", "chief")[number], ("approve", "reject")[number], "нет")
            except Conflict as error:
                return str(error)
            return "won"

        said = at_once(2, act)
        assert sorted(one == "won" for one in said) == [False, True]
        assert next(one for one in said if one != "won").startswith("Уже решил(а)")
        assert desk.seat(1).state in ("approved", "rejected")


def test_the_same_answer_twice_is_one_answer(desk: Desk) -> None:
    """A doubled delivery: same result, no error, nothing doubled."""
    desk.begin("head", fix=FIX)
    said = at_once(4, lambda _: desk.answer("boss", "reject", "нет реквизитов"))
    assert said == ["rework"] * 4
    assert len([one for one in desk.driver.tasks() if one.approval_id == desk.id]) == 1
    assert len([one for one in desk.trace() if one.startswith("Отклонено")]) == 1
    desk.put_right()
    seat = desk.seat()
    assert [desk.answer("boss", seat_id=seat.id) for _ in range(2)] == ["approved", "approved"]
    assert isinstance(desk.refused("boss", "reject", "передумал"), Conflict)


def test_a_late_copy_of_an_answer_does_not_answer_the_next_round(desk: Desk) -> None:
    desk.begin("head", fix=FIX)
    first = desk.seat().id
    desk.answer("boss", "reject", "нет реквизитов", seat_id=first)
    desk.put_right()
    assert desk.answer("boss", "reject", "нет реквизитов", seat_id=first) == "open"
    assert desk.states() == ["asked"]


# --- who may decide -------------------------------------------------------------------------------------------------


def test_a_role_given_to_another_while_it_waits(desk: Desk) -> None:
    """R001-16: the new holder sees it, is told and decides; who lost the role is refused in words."""
    give_role(desk.driver, "contract_approver", "colleague")
    desk.begin("role:contract_approver|head")
    assert desk.deciders() == desk.lists_it() == {"colleague"}
    take_role(desk.driver, "contract_approver", "colleague")
    give_role(desk.driver, "contract_approver", "chief")
    assert desk.deciders() == desk.lists_it() == {"chief"}
    assert "chief" in desk.told("Ждёт вашего решения")
    with pytest.raises(NotFound):  # he sees no more than before he held the role
        desk.answer("colleague")
    assert desk.answer("chief") == "approved"


def test_who_lost_the_role_and_still_sees_the_deal_is_told_who_decides(desk: Desk) -> None:
    give_role(desk.driver, "contract_approver", "manager")
    desk.begin("role:contract_approver")
    take_role(desk.driver, "contract_approver", "manager")
    give_role(desk.driver, "contract_approver", "chief")
    error = desk.refused("manager")
    assert isinstance(error, Forbidden)
    assert "решаете не вы, а Шилов А." in str(error)


def test_while_nobody_holds_the_role_the_fallback_decides(desk: Desk) -> None:
    """R002-62: role «Утверждающий договор», by default the head of the responsible."""
    desk.begin("role:contract_approver|head")
    assert desk.deciders() == desk.lists_it() == {"boss"}
    give_role(desk.driver, "contract_approver", "chief")
    assert desk.deciders() == desk.lists_it() == {"chief"}
    take_role(desk.driver, "contract_approver", "chief")
    assert desk.deciders() == desk.lists_it() == {"boss"}


def test_nobody_to_ask_waits_until_somebody_is_appointed(desk: Desk) -> None:
    desk.begin("role:contract_approver")
    assert (desk.row.state, desk.states(), desk.deciders()) == ("open", ["asked"], set())
    assert "«Утверждающий договор» не назначен" in str(desk.refused("admin"))
    give_role(desk.driver, "contract_approver", "chief")
    assert desk.told("Ждёт вашего решения") == {"chief"}
    assert desk.answer("chief") == "approved"


@pytest.mark.parametrize("login", ["admin", "manager", "boss"])
def test_nobody_decides_what_is_not_his(desk: Desk, login: str) -> None:
    desk.begin("role:accountant")
    assert isinstance(desk.refused(login), Forbidden)
    assert desk.states() == ["asked"]


def test_a_stranger_does_not_learn_of_it(desk: Desk) -> None:
    desk.begin("role:accountant")
    assert isinstance(desk.refused("chief"), NotFound)


def test_the_initiator_does_not_approve_his_own(desk: Desk) -> None:
    """Features 43: the self-approval ban; the question goes to the head above."""
    desk.begin("head", initiator="boss")
    assert desk.deciders() == desk.lists_it() == {"director"}
    assert desk.told("Ждёт вашего решения") == {"director"}
    error = desk.refused("boss")
    assert isinstance(error, Forbidden)
    assert "Своё не согласовывают" in str(error)
    assert desk.answer("director") == "approved"


def test_of_several_holders_only_the_banned_one_drops_out(desk: Desk) -> None:
    give_role(desk.driver, "contract_approver", "colleague")
    give_role(desk.driver, "contract_approver", "chief")
    desk.begin("role:contract_approver", initiator="chief")
    assert desk.deciders() == desk.lists_it() == {"colleague"}


def test_nobody_left_above_waits_and_says_so(desk: Desk) -> None:
    desk.begin("role:director", initiator="director")
    assert (desk.row.state, desk.deciders(), desk.lists_it()) == ("open", set(), set())


def test_the_ban_is_a_switch(desk: Desk) -> None:
    undo = switch("approval_self_ban", False)
    try:
        desk.begin("head", initiator="boss")
        assert desk.deciders() == desk.lists_it() == {"boss"}
        assert desk.answer("boss") == "approved"
    finally:
        undo()


def test_whoever_uploaded_the_present_file_does_not_approve_it(desk: Desk) -> None:
    """Features 43: and when the approver puts in a file himself, the question goes to his head."""
    desk.begin("head", field="contract_draft")
    desk.upload("manager")
    assert desk.deciders() == desk.lists_it() == {"boss"}
    desk.upload("boss")
    assert desk.deciders() == desk.lists_it() == {"director"}
    assert "director" in desk.told("Ждёт вашего решения")
    desk.upload("manager")
    assert desk.deciders() == desk.lists_it() == {"boss"}


def test_a_new_responsible_brings_his_head(desk: Desk) -> None:
    """AG-4: the head is that of the responsible now."""
    desk.begin("head")
    with desk.acting() as work:
        work.session.get_one(Deal, desk.deal_id).responsible_id = desk.id_of("engineer")
        work.session.flush()
        core.addresses_changed(work, desk.case_id)
    assert desk.deciders() == desk.lists_it() == {"chief"}
    assert "chief" in desk.told("Ждёт вашего решения")
    assert desk.answer("chief") == "approved"


def test_who_left_passes_his_questions_on(desk: Desk) -> None:
    desk.begin("head")
    with transaction(Actor(kind="system")) as work:
        room = work.session.execute(text("SELECT id FROM department WHERE name = 'Отдел продаж'")).scalar_one()
        admin.set_head(work, room, desk.id_of("colleague"))
        core.people_changed(work, [desk.id_of("boss")])
    try:
        assert desk.deciders() == desk.lists_it() == {"colleague"}
    finally:
        with transaction(Actor(kind="system")) as work:
            admin.set_head(work, room, desk.id_of("boss"))


# --- absence --------------------------------------------------------------------------------------------------------


def test_a_substitute_decides_and_the_trace_says_for_whom(desk: Desk) -> None:
    """Features 47: "for X by Y" in the trace; on return the work is his again."""
    gone = away(desk.driver, "boss", "colleague")
    try:
        desk.begin("head", "head")
        assert desk.deciders() == {"boss", "colleague"}
        assert "colleague" in desk.lists_it()
        desk.answer("colleague")
        seat = desk.seat()
        assert (seat.decided_by, seat.decided_for) == (desk.id_of("colleague"), desk.id_of("boss"))
        assert any("решил(а) Петров А." in one and "Паздников" in one for one in desk.trace())
    finally:
        back(gone)
    desk.again("head")
    assert desk.deciders() == {"boss"}
    assert desk.lists_it() == {"boss"}


def test_a_substitute_who_comes_in_while_it_waits(desk: Desk) -> None:
    desk.begin("head")
    assert isinstance(desk.refused("colleague"), NotFound)
    gone = away(desk.driver, "boss", "colleague")
    try:
        assert desk.answer("colleague") == "approved"
    finally:
        back(gone)


def test_the_absent_one_may_still_decide_himself(desk: Desk) -> None:
    gone = away(desk.driver, "boss", "colleague")
    try:
        desk.begin("head")
        desk.answer("boss")
        assert desk.seat().decided_for is None
        assert "Уже решил(а) Паздников А.: согласовано." in str(desk.refused("colleague"))
    finally:
        back(gone)


def test_a_substitute_does_not_approve_his_own(desk: Desk) -> None:
    gone = away(desk.driver, "boss", "colleague")
    try:
        desk.begin("head", initiator="colleague")
        assert desk.deciders() == {"boss"}
        assert "colleague" not in desk.lists_it()
        assert isinstance(desk.refused("colleague"), Forbidden)
    finally:
        back(gone)


# --- the file -------------------------------------------------------------------------------------------------------


def test_a_replaced_file_is_not_approved_unseen(desk: Desk) -> None:
    """★40: decided about what he saw."""
    desk.begin("head", field="contract_draft")
    assert "согласовывать нечего" in str(desk.refused("boss"))
    seen = desk.upload()
    desk.upload()
    error = desk.refused("boss", seen_version=seen)
    assert isinstance(error, Conflict)
    assert "Файл заменён" in str(error)
    assert desk.answer("boss", seen_version=desk.uploads[-1]) == "approved"
    assert desk.seat().version_id == desk.uploads[-1]


def test_a_replaced_file_voids_who_had_agreed_in_mid_chain(desk: Desk) -> None:
    """★40: the earlier one is asked anew first, the later one waits again; a repeated content changes nothing."""
    desk.begin("head", "role:accountant", "role:director", field="contract_draft")
    desk.upload()
    desk.answer("boss")
    assert desk.states() == ["approved", "asked", "waiting"]
    desk.upload(content="hash-1")
    assert desk.states() == ["approved", "asked", "waiting"]
    desk.upload()
    assert desk.states() == ["asked", "waiting", "waiting"]
    assert [one for one in desk.seats() if one[3] == "voided"] == [(1, 1, 1, "voided")]
    assert "boss" in desk.told("файл заменён")
    assert desk.lists_it() == {"boss"}
    desk.answer("boss")
    desk.answer("accountant")
    assert desk.answer("director") == "approved"


def test_who_is_asked_is_told_of_the_new_file(desk: Desk) -> None:
    desk.begin("head", "role:accountant", mode="parallel", field="contract_draft")
    desk.upload()
    desk.upload()
    assert desk.told("Посмотрите новую версию") == {"boss", "accountant"}


def test_a_file_replaced_between_rounds_asks_the_earlier_ones_anew(desk: Desk) -> None:
    """R002-66 with ★40."""
    desk.begin("head", "role:accountant", field="contract_draft", fix=FIX)
    desk.upload()
    desk.answer("boss")
    desk.answer("accountant", "reject", "исправить пункт 3")
    desk.upload()
    assert desk.states() == ["approved", "rejected"]
    desk.put_right()
    assert desk.states() == ["asked", "waiting"]
    desk.answer("boss")
    assert desk.answer("accountant") == "approved"


def test_a_file_replaced_after_all_have_agreed_says_so(desk: Desk) -> None:
    """★40: voided, told to the initiator, the approvers and the responsible."""
    desk.begin("head", field="contract_draft")
    desk.upload()
    desk.answer("boss")
    desk.upload(content="hash-1")
    assert desk.row.voided_at is None
    desk.upload()
    desk.upload()
    assert (desk.row.state, desk.row.voided_at) == ("approved", desk.driver.now)
    assert desk.told("изменён после согласования") == {"engineer", "boss", "manager"}
    assert len([one for one in desk.trace() if "изменён после согласования" in one]) == 1


def test_the_same_person_is_not_asked_once_only_when_the_file_is_another(desk: Desk) -> None:
    desk.begin("head", "role:accountant", f"person:{desk.id_of('boss')}", field="contract_draft", fix=FIX)
    desk.upload()
    desk.answer("boss")
    desk.upload()
    assert desk.states() == ["asked", "waiting", "waiting"]
    desk.answer("boss")
    assert desk.answer("accountant") == "approved"


# --- taken back -----------------------------------------------------------------------------------------------------


def test_a_lost_deal_takes_everything_back(desk: Desk) -> None:
    """AG-6."""
    desk.begin("head", fix=FIX)
    desk.answer("boss", "reject", "нет")
    with desk.acting() as work:
        core.withdraw_of_case(work, desk.case_id, "сделка проиграна")
    assert (desk.row.state, desk.row.close_reason, desk.fix()) == ("withdrawn", "сделка проиграна", None)
    desk.again("head")
    with desk.acting() as work:
        core.withdraw_of_case(work, desk.case_id, "сделка проиграна")
    assert desk.states() == ["withdrawn"]
    assert desk.told("Решение больше не нужно") == {"boss"}
    assert "снято: сделка проиграна" in str(desk.refused("boss"))


def test_leaving_the_stage_takes_back_what_is_not_kept(desk: Desk) -> None:
    desk.begin("head")
    stage = desk.driver.deal_row(desk.deal_id).stage_id
    kinds = {}
    for on_leave in ("cancel", "keep"):
        desk.again("head", stage_id=stage, on_leave=on_leave)
        kinds[on_leave] = desk.id
    with desk.acting() as work:
        core.withdraw_of_stage(work, desk.case_id, stage, "сделка ушла со стадии")
    states = {
        kind: desk.driver.read(lambda session, one=one: session.get_one(Approval, one).state)
        for kind, one in kinds.items()
    }
    assert states == {"cancel": "withdrawn", "keep": "open"}


def test_a_fix_taken_back_takes_the_approval_back(desk: Desk) -> None:
    desk.begin("head", fix=FIX)
    desk.answer("boss", "reject", "нет")
    from include.tasks import core as task_core

    with desk.acting() as work:
        task = work.session.scalars(select(Task).where(Task.approval_id == desk.id)).one()
        task_core.end(work, task, "withdrawn", "снято администратором")
    assert (desk.row.state, desk.row.close_reason) == ("withdrawn", "снято администратором")


# --- links of letters -----------------------------------------------------------------------------------------------


def test_a_link_decides_once_and_looking_at_it_decides_nothing(desk: Desk) -> None:
    """Features 38: GET never decides, single use; a second answer says when it was used."""
    desk.begin("head", fix=FIX)
    token = desk.link("boss")
    for _ in range(3):
        assert desk.look(token).state == "ready"
    assert desk.states() == ["asked"]
    with pytest.raises(InvalidInput):
        desk.use(token, "reject", " ")
    assert desk.look(token).state == "ready"
    desk.use(token, "reject", "нет реквизитов")
    assert desk.row.state == "rework"
    assert desk.seat().decided_by == desk.id_of("boss")
    assert desk.look(token).state == "used"
    with pytest.raises(Conflict, match="решение уже принято"):
        desk.use(token)


def test_only_the_hash_of_a_link_is_kept(desk: Desk) -> None:
    desk.begin("head")
    token = desk.link("boss")
    row = desk.driver.read(
        lambda session: session.scalars(select(DecisionLink).order_by(DecisionLink.id.desc())).first()
    )
    assert len(row.nonce_hash) == 64
    assert row.nonce_hash not in token
    wanted = text("SELECT count(*) FROM audit WHERE after::text LIKE :part OR text LIKE :part")
    assert desk.driver.read(lambda session: session.scalar(wanted, {"part": f"%{token[:20]}%"})) == 0


def test_two_uses_at_once_are_one(desk: Desk) -> None:
    desk.begin("head")
    token = desk.link("boss")

    def act(_: int) -> bool:
        try:
            desk.use(token)
        except Conflict:
            return False
        return True

    assert sorted(at_once(2, act)) == [False, True]
    assert desk.row.state == "approved"


@pytest.mark.parametrize("pattern", ["{0}x", "x{0}", "{1}", "a.b", "", "я", "{0}{0}{0}{0}{0}{0}{0}"])
def test_a_forged_link_is_nothing(desk: Desk, pattern: str) -> None:
    desk.begin("head")
    token = desk.link("boss")
    with pytest.raises(NotFound):
        desk.look(pattern.format(token, token[:-2]))


def test_a_link_of_another_secret_is_forged(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.begin("head")
    token = desk.link("boss")
    monkeypatch.setenv("BACKOFFICE_SECRET", "another")
    with pytest.raises(NotFound):
        desk.use(token)
    monkeypatch.delenv("BACKOFFICE_SECRET")
    with pytest.raises(Conflict, match="BACKOFFICE_SECRET"):
        desk.look(token)


def test_a_link_expires(desk: Desk) -> None:
    desk.begin("head")
    token = desk.link("boss")
    desk.driver.later(days=3)
    assert desk.look(token).state == "expired"
    with pytest.raises(Conflict, match="Срок ссылки истёк"):
        desk.use(token)
    assert desk.states() == ["asked"]


def test_a_link_is_void_after_whatever_takes_the_question_away(desk: Desk) -> None:
    """Bound to person, seat, round and file."""
    desk.begin("head", "role:accountant", field="contract_draft", fix=FIX)
    desk.upload()
    first, second = desk.link("boss"), desk.link("boss")
    desk.upload()
    assert desk.look(first).state == "replaced"
    third = desk.link("boss")
    assert desk.use(third).state == "used"
    assert desk.look(second).state == "decided"
    fourth = desk.link("accountant")
    with desk.acting() as work:
        core.withdraw_of_case(work, desk.case_id, "сделка проиграна")
    assert desk.look(fourth).state == "withdrawn"


def test_a_link_of_somebody_who_decides_no_more_is_void(desk: Desk) -> None:
    give_role(desk.driver, "contract_approver", "colleague")
    desk.begin("role:contract_approver")
    token = desk.link("colleague")
    take_role(desk.driver, "contract_approver", "colleague")
    assert desk.look(token).state == "lost"
    with pytest.raises(Conflict, match="решаете не вы"):
        desk.use(token)


def test_only_who_decides_gets_a_link(desk: Desk) -> None:
    desk.begin("head", initiator="engineer")
    for login in ("engineer", "admin", "manager"):
        with pytest.raises(Forbidden):
            desk.link(login)
    with pytest.raises(NotFound):
        desk.link("chief")


def test_a_link_decides_for_whom_he_stands_in(desk: Desk) -> None:
    gone = away(desk.driver, "boss", "colleague")
    try:
        desk.begin("head")
        desk.use(desk.link("colleague"))
        assert (desk.seat().decided_by, desk.seat().decided_for) == (desk.id_of("colleague"), desk.id_of("boss"))
    finally:
        back(gone)


# --- lists ----------------------------------------------------------------------------------------------------------


def test_the_lists_of_a_person(desk: Desk) -> None:
    desk.begin("head")
    viewer = desk.driver.company.viewer
    assert desk.id in desk.driver.read(lambda session: inbox.initiated_by(session, viewer("engineer"), 1000))[0]
    desk.answer("boss")
    ids, total = desk.driver.read(lambda session: inbox.decided_by(session, viewer("boss"), 1000))
    assert ids[0] == desk.id
    assert total == len(ids)
    assert desk.lists_it() == set()
    assert desk.driver.read(lambda session: inbox.waiting_for(session, viewer("boss"), 10, 10**6))[0] == []


MANY = """
    WITH made AS (
        INSERT INTO approval (key, case_id, step, title, term, created_at, state, closed_at)
        SELECT 'many/' || n, :case, 'x', 'x', '{}', :now, CASE WHEN n % 50 = 0 THEN 'open' ELSE 'approved' END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE CAST(:now AS timestamptz) END
        FROM generate_series(1, :number) n RETURNING id, state)
    INSERT INTO approval_seat (approval_id, round, position, title, address, holder, state)
    SELECT id, 1, 1, 'x', 'head', 'person:' || id % 500, CASE state WHEN 'open' THEN 'asked' ELSE 'approved' END
    FROM made"""

# --- whatever happens -----------------------------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["approve", "reject", "upload", "fix", "role", "away"]),
        st.sampled_from(["boss", "accountant", "director", "colleague"]),
    ),
    max_size=14,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from([("chain", None), ("parallel", None), ("quorum", 2)]),
    acts=ACTS,
    with_fix=st.booleans(),
)
def test_any_answers_leave_one_consistent_state(
    desk: Desk, mode: tuple[str, int | None], acts: list[tuple[str, str]], with_fix: bool
) -> None:
    """Whatever people do in whatever order: exactly one outcome, nobody asked for nothing, no doubled work."""
    desk.uploads = []
    desk.begin(
        "head", "role:accountant", "role:contract_approver|role:director", mode=mode[0], quorum=mode[1],
        field="contract_draft", fix=FIX if with_fix else None,
    )  # fmt: skip
    desk.upload()
    for act, login in acts:
        try:
            if act == "upload":
                desk.upload()
            elif act == "role":
                give_role(desk.driver, "contract_approver", login)
            elif act == "fix":
                if desk.fix() is not None:
                    desk.put_right()
            elif act in ("approve", "reject"):
                desk.answer(login, act, "замечание")
        except BackofficeError:
            pass
        _consistent(desk, mode)
    for login in ("boss", "accountant", "director", "colleague"):
        take_role(desk.driver, "contract_approver", login)


def _consistent(desk: Desk, mode: tuple[str, int | None]) -> None:
    row, states = desk.row, desk.states()
    asked = states.count("asked")
    assert (row.state == "open") == (asked > 0)
    assert (desk.fix() is not None) == (row.state == "rework")
    assert (row.closed_at is not None) == (row.state in ("approved", "rejected", "withdrawn"))
    if row.state == "approved":
        assert states.count("approved") >= (mode[1] or 3)
    if row.state in ("rejected", "rework"):
        assert "rejected" in states
    if row.state != "open":
        assert not {"asked", "waiting"} & set(states)
    if mode[0] == "chain" and row.state == "open":
        assert asked == 1
        assert states == ["approved"] * states.index("asked") + states[states.index("asked") :]
    with reading() as session:
        rows = session.scalars(select(ApprovalSeat).where(ApprovalSeat.approval_id == desk.id)).all()
        for one in rows:
            decided = one.state in ("approved", "rejected", "voided")
            assert (one.decided_at is not None) == (one.decided_by is not None)
            assert not decided or one.decided_by is not None
            assert one.state != "rejected" or one.remark
        if mode[0] == "quorum":
            present = [one for one in rows if one.round == row.round and one.state in ("approved", "rejected")]
            voices = [one.decided_by for one in present]
            assert len(voices) == len(set(voices))


def test_the_list_reads_by_the_indexes_however_many_approvals_there_are(desk: Desk) -> None:
    """The badge of every page costs one query over the partial indexes."""
    desk.begin("head")
    with transaction(Actor(kind="system")) as work:
        rows = {"case": desk.case_id, "now": work.now, "number": 20_000}
        work.session.execute(text("SET LOCAL statement_timeout = 0"))
        work.session.execute(text(MANY), rows)
        work.session.execute(text("ANALYZE approval_seat, approval"))
    viewer = desk.driver.company.viewer("boss")
    query = "EXPLAIN " + query_text("approvals/waiting_for")
    values = {"people": [viewer.person_id], "keys": [f"person:{viewer.person_id}"], "viewer": viewer.person_id}
    plan = desk.driver.read(
        lambda session: "\n".join(session.scalars(text(query), {**values, "limit": 1, "offset": 0}))
    )
    assert "ix_approval_seat_holder_asked" in plan
    assert "ix_approval_seat_fallback_asked" in plan
    assert "Seq Scan on approval" not in plan
    assert desk.driver.read(lambda session: inbox.waiting_count(session, viewer)) >= 1
