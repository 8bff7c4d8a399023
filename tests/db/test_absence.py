"""Absence (features 47): a substitute for a period, chains, work that comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from include.deals import rights
from include.deals import services as deals
from include.notices.models import Notice
from include.process.rules import after, hours
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput, NotFound
from include.shared.models import Audit
from include.shared.work import PROCESS, reading, transaction
from include.staff import absence
from include.staff.models import Absence, Person
from include.staff.services import Viewer
from include.staff.stand_in import acts_for, away, stand_ins
from include.tasks import services as tasks
from include.tasks.models import Task
from include.workplace import day, services
from include.workplace.lines import lines_of
from tests.db.driver import MONDAY, QUOTE, Driver, alarm, on_stage, task

pytestmark = pytest.mark.db
WEEK = timedelta(days=7)


@pytest.fixture(autouse=True)
def nobody_away(driver: Driver) -> Iterator[None]:
    """Each test begins with everybody there."""
    yield
    with transaction(PROCESS) as work:
        work.session.execute(delete(Absence))


def go(driver: Driver, who: str, substitute: str | None, *, by: str | None = None, **when: Any) -> int:
    """Somebody goes away for a week from now (or as said)."""
    begins, ends = when.get("begins", driver.now), when.get("ends", driver.now + WEEK)
    with transaction(driver.company.viewer(by or who).actor) as work:
        made = absence.set_absence(
            work, driver.company[who], begins, ends, driver.company[substitute] if substitute else None
        )
        return made.id


def acting(driver: Driver, who: str) -> set[str]:
    """Logins of those whom this person acts for now."""
    with reading() as session:
        return {driver.company.login(one) for one in acts_for(session, driver.company[who], driver.now)}


def actor_of(driver: Driver, who: str) -> str | None:
    with reading() as session:
        found = stand_ins(session, [driver.company[who]], driver.now)
    return driver.company.login(found[driver.company[who]]) if found else None


def mine(driver: Driver, who: str) -> list[Any]:
    viewer = driver.company.viewer(who)
    return driver.read(lambda session: day.my_day(session, viewer, driver.now).tasks.items)  # type: ignore[no-any-return]


def given(driver: Driver, **spec: Any) -> tuple[int, Task]:
    """A deal of «Иванова» with one open task."""
    deal = driver.deal(on_stage(QUOTE, {"do": task(**spec)}))
    driver.move(deal, QUOTE)
    return deal, driver.open_task()


# --- who acts for whom ----------------------------------------------------------------------------------------------


def test_the_period_begins_inclusive_and_ends_exclusive(driver: Driver) -> None:
    begins, ends = MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=3)
    go(driver, "manager", "colleague", begins=begins, ends=ends)
    tick = timedelta(microseconds=1)
    for moment, acts in ((begins - tick, None), (begins, "colleague"), (ends - tick, "colleague"), (ends, None)):
        driver.now = moment
        assert actor_of(driver, "manager") == acts, moment
        assert acting(driver, "colleague") == ({"manager"} if acts else set())


def test_two_periods_that_touch_have_one_actor_each(driver: Driver) -> None:
    edge = MONDAY + timedelta(days=1)
    go(driver, "manager", "colleague", begins=MONDAY, ends=edge)
    go(driver, "manager", "boss", begins=edge, ends=edge + WEEK)
    assert actor_of(driver, "manager") == "colleague"
    driver.now = edge
    assert actor_of(driver, "manager") == "boss"


def test_a_chain_is_followed_to_whoever_is_there(driver: Driver) -> None:
    go(driver, "manager", "colleague")
    go(driver, "colleague", "boss")
    assert actor_of(driver, "manager") == actor_of(driver, "colleague") == "boss"
    assert acting(driver, "boss") == {"manager", "colleague"}
    assert acting(driver, "colleague") == set(), "кто сам отсутствует, никого не замещает"
    driver.now += WEEK  # everybody is back
    assert acting(driver, "boss") == set()


def test_a_chain_that_breaks_gives_work_back_step_by_step(driver: Driver) -> None:
    go(driver, "manager", "colleague", ends=MONDAY + WEEK)
    go(driver, "colleague", "boss", ends=MONDAY + timedelta(days=2))
    driver.now = MONDAY + timedelta(days=2)
    assert actor_of(driver, "manager") == "colleague"
    assert acting(driver, "boss") == set()


def test_a_circle_ends_in_nobody(driver: Driver) -> None:
    go(driver, "manager", "colleague")
    go(driver, "colleague", "boss")
    go(driver, "boss", "manager")
    assert [actor_of(driver, one) for one in ("manager", "colleague", "boss")] == [None, None, None]
    assert [acting(driver, one) for one in ("manager", "colleague", "boss")] == [set(), set(), set()]


def test_nobody_named_or_somebody_gone_ends_in_nobody(driver: Driver) -> None:
    go(driver, "manager", None)
    assert actor_of(driver, "manager") is None
    go(driver, "engineer", "colleague")
    with transaction(PROCESS) as work:
        work.session.get_one(Person, driver.company["colleague"]).active = False
    try:
        assert actor_of(driver, "engineer") is None
        assert acting(driver, "colleague") == {"engineer"}  # he cannot log in any more
    finally:
        with transaction(PROCESS) as work:
            work.session.get_one(Person, driver.company["colleague"]).active = True


def test_somebody_away_without_a_substitute_is_known_as_away(driver: Driver) -> None:
    go(driver, "manager", None)
    found = driver.read(lambda session: away(session, [driver.company["manager"]], driver.now))
    assert found[driver.company["manager"]].in_words() == "отсутствует, никто не замещает"


# --- what the substitute sees and does --------------------------------------------------------------------------------


def test_the_substitute_sees_the_tasks_and_knows_for_whom(driver: Driver) -> None:
    _, of_manager = given(driver, due=hours(5))
    assert mine(driver, "colleague") == []
    go(driver, "manager", "colleague")
    row = next(one for one in mine(driver, "colleague") if one.id == of_manager.id)
    assert (row.executor.name, row.acting.name, row.for_whom) == ("Иванова А.", "Петров А.", "за Иванову А.")
    own = next(one for one in mine(driver, "manager") if one.id == of_manager.id)
    assert own.acting is not None, "и сама она видит, кто за неё"
    driver.now += WEEK
    assert mine(driver, "colleague") == []
    assert next(one for one in mine(driver, "manager") if one.id == of_manager.id).acting is None
    assert driver.open_task().executor_id == driver.company["manager"], "работа не переходила"


def test_the_line_of_the_case_says_who_acts(driver: Driver) -> None:
    """★20: on whom it waits."""
    deal, _ = given(driver)
    case = driver.deal_row(deal).case_id
    go(driver, "manager", "colleague")
    line = driver.read(lambda session: lines_of(session, [case], driver.now)[case])
    assert "Иванова А. (замещает Петров А.)" in line.text
    driver.now += WEEK
    line = driver.read(lambda session: lines_of(session, [case], driver.now)[case])
    assert "замещает" not in line.text


def test_the_substitute_closes_in_his_own_name_for_the_other(driver: Driver) -> None:
    _, of_manager = given(driver)
    with pytest.raises(Forbidden):
        driver.close(of_manager, by="engineer")
    go(driver, "manager", "engineer")
    closed = driver.close(of_manager, by="engineer")
    assert (closed.closed_by, closed.closed_for) == (driver.company["engineer"], driver.company["manager"])
    said = driver.read(
        lambda session: session.scalars(
            select(Audit.text).where(Audit.action == "task.done", Audit.entity_id == of_manager.id)
        ).one()
    )
    assert said.endswith("за Иванову А. выполнил(а) Гусев А.")


def test_whoever_is_away_may_act_himself(driver: Driver) -> None:
    _, of_manager = given(driver)
    go(driver, "manager", "colleague")
    closed = driver.close(of_manager, by="manager")
    assert (closed.closed_by, closed.closed_for) == (driver.company["manager"], None)


def test_the_substitute_changes_the_term_and_gives_the_task(driver: Driver) -> None:
    _, of_manager = given(driver)
    go(driver, "manager", "engineer")
    viewer = driver.company.viewer("engineer")
    with transaction(viewer.actor) as work:
        services.change_term(work, viewer, of_manager.id, (driver.now + timedelta(days=1)).isoformat(), "так надо")
        services.give_task(work, viewer, of_manager.id, driver.company["colleague"], "")
    texts = driver.read(
        lambda session: list(session.scalars(select(Audit.text).where(Audit.entity_id == of_manager.id)))
    )
    assert sum("(за Иванову А.)" in one for one in texts) == 2
    assert driver.open_task().executor_id == driver.company["colleague"]


def test_deals_are_seen_changed_and_moved_only_while_he_stands_in(driver: Driver) -> None:
    deal, _ = given(driver)
    engineer = driver.company.viewer("engineer")
    with pytest.raises(NotFound), transaction(engineer.actor) as work:
        services.fill_deal(work, engineer, deal, {"amount": "100"})
    go(driver, "manager", "engineer")
    engineer = driver.company.viewer("engineer")
    assert driver.read(lambda session: rights.may_see(session, engineer, deal))
    with transaction(engineer.actor) as work:
        services.fill_deal(work, engineer, deal, {"amount": "100"})
        services.move_deal(work, engineer, deal, "Договор")
    driver.settle()
    driver.now += WEEK
    engineer = driver.company.viewer("engineer")
    with pytest.raises(Forbidden), transaction(engineer.actor) as work:  # he moved it there: still seen
        services.fill_deal(work, engineer, deal, {"amount": "200"})


def test_roles_and_departments_of_the_absent_count(driver: Driver) -> None:
    before = driver.company.viewer("engineer")
    go(driver, "accountant", "engineer")
    go(driver, "boss", "engineer")
    viewer = driver.company.viewer("engineer")
    assert viewer.roles == before.roles | {"accountant"}
    assert viewer.led_departments == driver.company.viewer("boss").led_departments
    assert viewer.access == "staff", "права администратора не замещают"
    go(driver, "admin", "engineer")
    assert not driver.company.viewer("engineer").is_admin


def test_the_head_as_a_substitute_is_recorded_as_acting_for(driver: Driver) -> None:
    _, of_manager = given(driver)
    go(driver, "manager", "boss")
    assert driver.close(of_manager, by="boss").closed_for == driver.company["manager"]


# --- what is told ----------------------------------------------------------------------------------------------------


def test_new_work_and_alarms_are_told_to_both_once(driver: Driver) -> None:
    go(driver, "manager", "engineer")
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", after(hours(2)))})
    driver.move(driver.deal(process), QUOTE)
    assert sorted(driver.told("Вам поставлена задача")) == ["engineer", "manager"]
    driver.later(hours=3)
    driver.settle()
    assert sorted(driver.told("Не закрыта задача")) == ["engineer", "manager"]
    texts = driver.read(
        lambda session: list(
            session.scalars(
                select(Notice.text).where(
                    Notice.person_id == driver.company["engineer"], Notice.case_id.in_(driver.cases)
                )
            )
        )
    )
    assert all(one.startswith("за Иванову А.: ") for one in texts)


def test_nobody_is_told_the_same_twice(driver: Driver) -> None:
    go(driver, "manager", "boss")
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", after(hours(1)), tell=["responsible", "head"])})
    driver.move(driver.deal(process), QUOTE)
    driver.later(hours=1)
    assert sorted(driver.told("Не закрыта задача")) == ["boss", "manager"]


def test_substitute_and_head_are_told_of_the_absence(driver: Driver) -> None:
    since = driver.read(lambda session: session.scalars(select(Notice.id).order_by(Notice.id.desc())).first()) or 0

    def told() -> dict[str, list[str]]:
        rows = driver.read(
            lambda session: session.execute(select(Notice.person_id, Notice.text).where(Notice.id > since)).all()
        )
        found: dict[str, list[str]] = {}
        for person, text in rows:
            found.setdefault(driver.company.login(person), []).append(text)
        return found

    made = go(driver, "manager", "colleague", by="admin")
    heard = told()
    assert set(heard) == {"manager", "colleague", "boss"}
    assert all(len(texts) == 1 for texts in heard.values())
    assert "Вы замещаете: Иванова А." in heard["colleague"][0]
    with transaction(driver.company.viewer("manager").actor) as work:
        absence.cancel_absence(work, made)
    assert [len(told()[one]) for one in ("colleague", "boss")] == [2, 2]
    texts = driver.read(
        lambda session: list(session.scalars(select(Audit.text).where(Audit.entity == "absence").order_by(Audit.id)))
    )
    assert all(one.startswith("Замещение: ") for one in texts)


# --- setting and cancelling ------------------------------------------------------------------------------------------


def test_periods_of_one_person_do_not_overlap(driver: Driver) -> None:
    go(driver, "manager", "colleague", begins=MONDAY, ends=MONDAY + WEEK)
    for begins, ends in (
        (MONDAY - WEEK, MONDAY + timedelta(seconds=1)),
        (MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)),
        (MONDAY + WEEK - timedelta(seconds=1), MONDAY + 2 * WEEK),
    ):
        with pytest.raises(Conflict, match="уже записано"):
            go(driver, "manager", None, begins=begins, ends=ends)
    go(driver, "manager", "colleague", begins=MONDAY + WEEK, ends=MONDAY + 2 * WEEK)
    go(driver, "colleague", "boss")  # another person's


def test_two_at_once_set_one(driver: Driver) -> None:
    def try_it(_: int) -> bool:
        try:
            go(driver, "manager", "colleague")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(try_it, range(4))) == [False, False, False, True]


WRONG = {
    "сам себе": {"substitute": "manager"},
    "конец раньше начала": {"begins": MONDAY + WEEK, "ends": MONDAY},
    "пустой": {"begins": MONDAY, "ends": MONDAY},
    "в прошлом": {"begins": MONDAY - WEEK, "ends": MONDAY},
    "дольше года": {"ends": MONDAY + timedelta(days=367)},
    "слишком далеко": {"begins": MONDAY + timedelta(days=367), "ends": MONDAY + timedelta(days=368)},
    "без пояса": {"begins": datetime(2026, 11, 24)},  # noqa: DTZ001 - that is the slip
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_is_refused(driver: Driver, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        go(driver, "manager", **{"substitute": "colleague", **WRONG[what]})
    assert refused.value.field


def test_who_may_set_it(driver: Driver) -> None:
    go(driver, "manager", "colleague", by="boss")
    go(driver, "colleague", None, by="admin")
    go(driver, "engineer", None)
    for other in ("manager", "chief"):
        with pytest.raises(Forbidden, match="сам сотрудник"):
            go(driver, "boss", None, by=other)
    with pytest.raises(Forbidden), transaction(driver.company.viewer("engineer").actor) as work:
        one = work.session.scalars(select(Absence).where(Absence.person_id == driver.company["manager"])).one()
        absence.cancel_absence(work, one.id)


def test_somebody_gone_is_no_substitute(driver: Driver) -> None:
    with pytest.raises(InvalidInput, match="работающего"), transaction(driver.company.viewer("manager").actor) as work:
        absence.set_absence(work, driver.company["manager"], MONDAY, MONDAY + WEEK, 10**6)


def test_back_early_ends_it_now_and_the_past_stays(driver: Driver) -> None:
    made = go(driver, "manager", "colleague")
    driver.now += timedelta(days=2)

    def cancel() -> Absence:
        with transaction(driver.company.viewer("manager").actor) as work:
            return absence.cancel_absence(work, made)

    ended = cancel()
    assert (ended.ends_at, ended.cancelled_at) == (driver.now, None)
    assert actor_of(driver, "manager") is None
    with pytest.raises(Conflict, match="прошлое не меняют"):
        cancel()
    go(driver, "manager", "boss")  # and may go again at once
    assert actor_of(driver, "manager") == "boss"


def test_one_that_has_not_begun_is_cancelled(driver: Driver) -> None:
    made = go(driver, "manager", "colleague", begins=MONDAY + WEEK, ends=MONDAY + 2 * WEEK)
    for _ in range(2):
        with transaction(driver.company.viewer("manager").actor) as work:
            assert absence.cancel_absence(work, made).cancelled_at is not None
    driver.now = MONDAY + WEEK
    assert actor_of(driver, "manager") is None


def test_an_unknown_one_is_not_found(driver: Driver) -> None:
    with pytest.raises(NotFound), transaction(driver.company.viewer("admin").actor) as work:
        absence.cancel_absence(work, 10**6)


def test_a_right_that_has_just_ended_is_gone_at_the_decision(driver: Driver) -> None:
    """Substitution is applied when it is decided, whatever the page showed."""
    _, of_manager = given(driver)
    go(driver, "manager", "engineer", ends=MONDAY + timedelta(hours=1))
    seen: Viewer = driver.company.viewer("engineer")
    assert driver.company["manager"] in seen.acts_for
    driver.now = MONDAY + timedelta(hours=1)
    again = driver.company.viewer("engineer")
    with pytest.raises(BackofficeError), transaction(again.actor) as work:
        tasks.close_task(work, again, of_manager.id)


def test_deals_of_the_absent_are_in_the_lists(driver: Driver) -> None:
    deal, _ = given(driver)
    go(driver, "manager", "engineer")
    engineer = driver.company.viewer("engineer")
    with transaction(engineer.actor) as work:
        assert deals.get_deal(work, deal).responsible_id == driver.company["manager"]
        assert rights.may_edit(work.session, engineer, deals.get_deal(work, deal))
