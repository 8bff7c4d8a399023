"""A task closed by mistake is opened again (★11): the course goes back to it, nothing is repeated, nothing is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from include.approvals import services as approvals
from include.approvals.models import Approval, ApprovalSeat
from include.process import engine
from include.process.models import OutboxEvent
from include.process.reading import live_instances
from include.process.reopen import Preview, preview, reopen_task
from include.process.rules import after, at_least, days, filled, hours
from include.shared.errors import BackofficeError, Conflict, Forbidden, GuardRefused, InvalidInput
from include.shared.models import Audit
from include.shared.work import transaction
from include.staff import absence
from include.tasks.models import Task
from tests.db.driver import QUOTE, Driver, Process, alarm, at_once, notice, on_stage, step, task, term_of

pytestmark = pytest.mark.db
CONTRACT = "Договор"
SHIPPING = "Отгрузка"
ACTS = ["close", "close", "reopen", "reopen", "away", "back", "later", "pay"]


def titled(driver: Driver, title: str) -> Task:
    """The newest task with this title."""
    return [one for one in driver.tasks() if one.title == title][-1]


def asked(driver: Driver, of_task: Task) -> Preview:
    return driver.read(lambda session: preview(session, session.get_one(Task, of_task.id), driver.now))


def refused(driver: Driver, of_task: Task, kind: type[BackofficeError] = Conflict, **more: Any) -> str:
    """Return why it may not be opened again; the page says the same before anybody tries."""
    before = (len(driver.instances()), [one.state for one in driver.tasks()])
    seen = asked(driver, of_task)
    with pytest.raises(kind) as said:
        driver.reopen(of_task, **more)
    assert (len(driver.instances()), [one.state for one in driver.tasks()]) == before, "отказ ничего не меняет"
    if kind is Conflict:
        assert (seen.possible, seen.why_not) == (False, str(said.value))
    return str(said.value)


def told(driver: Driver, part: str) -> int:
    return len(driver.told(part))


def chain(**more: Any) -> Process:
    """A note, three tasks one after another with a notice between."""
    return on_stage(QUOTE, {
        "begin": notice("Началось"), "first": task("Первая"), "between": notice("Между"), "second": task("Вторая"),
        "third": task("Третья"), **more,
    })  # fmt: skip


# --- what happens ---------------------------------------------------------------------------------------------------


def test_the_course_goes_back_to_the_task(driver: Driver) -> None:
    """★11: in one transaction it is open, untouched later steps are withdrawn, a new instance of the visit goes on."""
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    later = titled(driver, "Вторая")
    assert asked(driver, titled(driver, "Первая")) == Preview(
        possible=True,
        consequences=[
            "будет снята задача «Вторая» (Иванова А.)", "когда задачу выполнят снова, повторится: «Уведомить»",
        ],
    )  # fmt: skip
    opened = driver.reopen(titled(driver, "Первая"))
    assert (opened.state, opened.closed_at, opened.closed_by, opened.result) == ("open", None, None, None)
    assert driver.open_task().id == opened.id
    gone = driver.read(lambda session: session.get_one(Task, later.id))
    assert (gone.state, gone.close_reason) == ("withdrawn", "задача «Первая» открыта снова")
    old, new = driver.instances(process)
    assert (old.state, old.reason) == ("ended", "задача «Первая» открыта снова")
    assert (new.state, new.visit, new.run_id) == ("live", f"{old.visit}-again-1", f"{old.run_id}-again-1")
    assert (new.scheme_id, new.stage_id, new.head_id, new.payload) == (
        old.scheme_id, old.stage_id, old.head_id, {**old.payload, "reopened_from": old.id, "joins": []},
    )  # fmt: skip
    assert driver.state(process, "begin") == "done"
    assert driver.state(process, "first") == "waiting"
    assert told(driver, "Началось") == 1, "сделанное раньше не повторяется"


def test_closed_again_the_chain_goes_on_to_the_end(driver: Driver) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    driver.reopen(titled(driver, "Первая"))
    for title in ("Первая", "Вторая", "Третья"):
        driver.close(driver.open_task())
        assert titled(driver, title).state == "done"
    assert driver.violations() == []
    assert [(one.state, one.reason) for one in driver.instances(process)] == [
        ("ended", "задача «Первая» открыта снова"), ("ended", "завершён"),
    ]  # fmt: skip
    assert told(driver, "Вам поставлена задача «Первая»") == 1
    assert told(driver, "Вам поставлена задача «Вторая»") == 2, "вторая поставлена заново: первую сняли"


def test_the_last_task_of_a_finished_process(driver: Driver) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    for title in ("Первая", "Вторая", "Третья"):
        driver.close(titled(driver, title))
    assert asked(driver, titled(driver, "Третья")) == Preview(possible=True)
    driver.reopen(titled(driver, "Третья"))
    assert driver.violations() == []
    assert [one.reason for one in driver.instances(process)] == ["завершён", None]
    driver.close(driver.open_task())
    assert driver.instances(process)[-1].reason == "завершён"
    assert (told(driver, "Началось"), told(driver, "Между")) == (1, 1)


def test_again_and_again(driver: Driver) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    for number in (1, 2, 3):
        driver.close(titled(driver, "Первая"))
        driver.reopen(titled(driver, "Первая"))
        assert driver.instances(process)[-1].visit.endswith(f"-again-{number}")
        assert "again" not in driver.instances(process)[-1].visit.removesuffix(f"-again-{number}")
    assert len(driver.instances(process)) == 4
    driver.close(driver.open_task())
    assert driver.open_task().title == "Вторая"


def test_what_goes_on_beside_it_is_handed_over(driver: Driver) -> None:
    """A parallel branch neither stops nor begins anew: its task, its alarm's aim and its own done steps stay."""
    process = on_stage(QUOTE, {
        "first": task("Первая"), "second": task("Вторая"),
        "begun": notice("Рядом"), "beside": task("Соседняя", due=days(3)), "late": alarm("beside", after(hours(5))),
        "behind": notice("За соседней"),
    }, begun=[], behind=["beside"])  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    beside = titled(driver, "Соседняя")
    driver.later(hours=1)
    driver.close(titled(driver, "Первая"))
    driver.reopen(titled(driver, "Первая"))
    assert driver.violations() == []
    kept = titled(driver, "Соседняя")
    assert (kept.id, kept.state, kept.instance_id) == (beside.id, "open", driver.instances(process)[-1].id)
    assert told(driver, "Вам поставлена задача «Соседняя»") == 1
    assert [one.superseded_at for one in driver.aims(process, "late")] == [None]
    driver.later(hours=4)
    assert driver.told("Не закрыта задача «Соседняя»") == ["manager"]
    driver.close(kept)
    assert (told(driver, "Рядом"), told(driver, "За соседней")) == (1, 1)
    for title in ("Первая", "Вторая"):
        driver.close(titled(driver, title))
    assert driver.instances(process)[-1].reason == "завершён"


def test_a_skipped_branch_stays_skipped_and_a_condition_is_not_asked_again(driver: Driver) -> None:
    """The deal may have changed since: what had begun under a condition goes on."""
    process = on_stage(QUOTE, {
        "first": task("Первая"),
        "never": task("Никогда", only_if=filled("signed_on")), "given": task("По условию", only_if=filled("sent_on")),
    }, never=[], given=[])  # fmt: skip
    deal = driver.deal(process, fields={"sent_on": "2026-11-20"})
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    driver.fill(deal, signed_on="2026-11-21", sent_on=None)
    driver.reopen(titled(driver, "Первая"))
    assert driver.state(process, "never") == "skipped"
    assert {one.title for one in driver.tasks("open")} == {"Первая", "По условию"}


def test_an_alarm_ahead_is_armed_again(driver: Driver) -> None:
    """AG-1: the task is open, so its wait lives, at the same moment."""
    process = on_stage(QUOTE, {"first": task("Первая"), "late": alarm("first", after(hours(5))), "then": task("Потом")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.later(hours=1)
    driver.close(titled(driver, "Первая"))
    assert driver.state(process, "late") == "skipped"
    driver.reopen(titled(driver, "Первая"))
    assert driver.step(process, "late").moment == titled(driver, "Первая").created_at + timedelta(hours=5)
    driver.later(hours=4)
    assert driver.told("Не закрыта") == ["manager"]


def test_an_alarm_that_has_fired_does_not_fire_again(driver: Driver) -> None:
    process = on_stage(QUOTE, {
        "first": task("Первая"), "late": alarm("first", [after(hours(1)), after(hours(9))]), "then": task("Потом"),
    })  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.later(hours=2)
    assert told(driver, "Не закрыта") == 1
    driver.close(titled(driver, "Первая"))
    driver.reopen(titled(driver, "Первая"))
    driver.later(hours=1)
    assert told(driver, "Не закрыта") == 1
    driver.later(hours=6)
    assert told(driver, "Не закрыта") == 2


def test_the_term_stays_and_an_overdue_task_is_said_once(driver: Driver) -> None:
    """★11: the term is what it is; AG-4: the head is not told of the same term twice."""
    process = on_stage(QUOTE, {"first": task("Первая", due=hours(3)), "then": task("Потом")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    due = driver.open_task().due_at
    driver.later(hours=4)
    driver.close(driver.open_task())
    driver.later(hours=1)
    driver.reopen(titled(driver, "Первая"))
    assert driver.open_task().due_at == due
    assert driver.told("Просрочена задача «Первая»") == ["boss"]


def test_what_was_filled_in_is_kept_as_a_trace(driver: Driver) -> None:
    """★11: the answer given by mistake is not lost: it stands in the history, with whoever gave it."""
    fields = [{"code": "what", "title": "Что", "kind": "text", "required": True, "deal_field": "track_number"}]
    process = on_stage(QUOTE, {"first": task("Первая", result=fields), "then": task("Потом")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"), values={"what": "RU1"})
    assert (
        "поля сделки, заполненные при закрытии, останутся: «Что»"
        in asked(driver, titled(driver, "Первая")).consequences
    )
    opened = driver.reopen(titled(driver, "Первая"), "boss", "перепутал сделки")
    (row,) = driver.read(
        lambda session: session.scalars(
            select(Audit).where(Audit.action == "task.reopened", Audit.entity_id == opened.id)
        ).all()
    )
    assert (row.actor_id, row.reason, row.before["result"]) == (
        driver.company["boss"],
        "перепутал сделки",
        {"what": "RU1"},
    )
    assert row.before["closed_by"] == driver.company["manager"]
    assert driver.deal_row(deal).fields["track_number"] == "RU1"


def test_whoever_is_concerned_is_told(driver: Driver) -> None:
    process = on_stage(QUOTE, {"first": task("Первая"), "then": task("Потом", to="role:product_manager")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    driver.reopen(titled(driver, "Первая"), "boss")
    assert driver.told("Задача «Первая» открыта снова: закрыта по ошибке") == ["manager"]
    assert driver.told("Задача «Потом» снята: задача «Первая» открыта снова") == ["product"]


def test_a_kept_obligation_after_the_deal_has_gone_on(driver: Driver) -> None:
    """AG-6: an obligation closed by mistake comes back wherever the deal stands now, with what follows it."""
    process = on_stage(SHIPPING, {
        "ship": task("Отгрузить", on_leave="keep"), "late": alarm("ship", after(hours(9))),
        "confirm": task("Получить подтверждение", on_leave="keep"), "tell": notice("Подтверждено"),
    })  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.move(deal, "Подведение итогов")
    driver.later(hours=1)
    driver.close(driver.open_task())
    assert driver.open_task().title == "Получить подтверждение"
    driver.reopen(titled(driver, "Отгрузить"))
    assert driver.violations() == []
    assert driver.open_task().title == "Отгрузить"
    assert driver.instances(process)[-1].left_at is not None
    driver.later(hours=9)
    assert told(driver, "Не закрыта задача «Отгрузить»") == 1
    driver.close(driver.open_task())
    driver.close(driver.open_task())
    assert told(driver, "Подтверждено") == 1


def test_an_obligation_of_a_finished_visit(driver: Driver) -> None:
    """The instance was over before the deal left the stage, and did not notice the leaving."""
    process = on_stage(SHIPPING, {"ship": task("Отгрузить", on_leave="keep"), "tell": notice("Отгружено")})
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.close(driver.open_task())
    driver.later(hours=1)
    driver.move(deal, "Подведение итогов")
    driver.reopen(titled(driver, "Отгрузить"))
    assert driver.violations() == []
    driver.move(deal, SHIPPING)
    assert [one.state for one in driver.instances(process, live=True)] == ["live"], "новый заход ведёт её дальше"
    driver.close(driver.open_task())
    assert told(driver, "Отгружено") == 2


def test_leaving_the_stage_withdraws_a_reopened_task(driver: Driver) -> None:
    """AG-6: the new instance is of the same stay."""
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    driver.reopen(titled(driver, "Первая"))
    driver.move(deal, CONTRACT)
    assert driver.tasks("open") == []
    assert driver.instances(live=True) == []


def test_leaving_before_the_new_run_begins_loses_nothing(driver: Driver) -> None:
    """The event that starts the run is taken when its instance is over: nothing begins any more."""
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    watcher = driver.company.viewer("manager")
    with transaction(watcher.actor) as work:
        reopen_task(work, watcher, titled(driver, "Первая").id, "ошибка")
    driver.move(deal, CONTRACT, settle=False)
    event = driver.read(
        lambda session: session.scalars(
            select(OutboxEvent).where(OutboxEvent.kind == "reopened", OutboxEvent.case_id.in_(driver.cases))
        ).one()
    )
    assert event.listen_key == f"run:{process.id}"
    assert engine.begin(event.id, process.id, process.scheme) == engine.Begun(None, "сделка ушла со стадии")
    driver.settle()
    assert len(driver.instances(process)) == 2


def test_the_event_begins_the_run_of_the_instance_made(driver: Driver) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    watcher = driver.company.viewer("manager")
    with transaction(watcher.actor) as work:
        reopen_task(work, watcher, titled(driver, "Первая").id, "ошибка")
    new = driver.instances(process)[-1]
    event = driver.read(
        lambda session: session.scalars(select(OutboxEvent).where(OutboxEvent.visit == new.visit)).one()
    )
    assert engine.begin(event.id, process.id, process.scheme) == engine.Begun(new.run_id)
    assert engine.begin(event.id, process.id, process.scheme) == engine.Begun(new.run_id)
    old = driver.instances(process)[0]
    assert driver.look(process, old, "second").outcome == "skipped", "прежний прогон заканчивается сам"


def test_a_task_that_closed_itself_behind_is_no_obstacle(driver: Driver) -> None:
    """★26: nobody touched it; it joins as done and what follows it goes on."""
    pay = task("Получить расчёт", guard=at_least("paid", "amount"), closes_itself=True, reentry="repeat")
    process = on_stage(QUOTE, {"first": task("Первая"), "pay": pay, "last": task("Последняя")})
    deal = driver.deal(process, fields={"amount": "100"})
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    driver.fill(deal, paid="100")
    assert titled(driver, "Получить расчёт").evidence is not None
    driver.reopen(titled(driver, "Первая"))
    assert driver.violations() == []
    driver.close(driver.open_task())
    assert driver.open_task().title == "Последняя"
    assert len([one for one in driver.tasks() if one.title == "Получить расчёт"]) == 1


def test_a_task_done_in_an_earlier_visit_behind_is_no_obstacle(driver: Driver) -> None:
    """AG-6: what was done before this closing is no consequence of it."""
    process = on_stage(
        QUOTE, {"first": task("Первая", reentry="repeat"), "once": task("Однажды"), "end": notice("Конец")}
    )
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    driver.close(driver.open_task())
    driver.move(deal, CONTRACT)
    driver.later(hours=1)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    driver.reopen(titled(driver, "Первая"))
    driver.close(driver.open_task())
    assert driver.tasks("open") == []
    assert [one.title for one in driver.tasks()] == ["Первая", "Однажды", "Первая"]


def test_a_sensor_that_saw_the_closing_waits_again(driver: Driver) -> None:
    """A branch that only waited for this task goes back with it."""
    process = on_stage(QUOTE, {
        "first": task("Первая", topic="дело"), "seen": step("TaskSensor", "Дело сделано", topic="дело"),
        "then": task("После дела"),
    }, seen=[])  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    assert driver.open_task().title == "После дела"
    driver.reopen(titled(driver, "Первая"))
    assert driver.open_task().title == "Первая"
    assert driver.state(process, "seen") == "waiting"
    driver.close(driver.open_task())
    assert driver.open_task().title == "После дела"


def test_a_step_of_an_event_process(driver: Driver) -> None:
    process = Process("on:field:signed_on", {"first": task("Первая"), "second": task("Вторая")})
    deal = driver.deal(process)
    driver.fill(deal, signed_on="2026-11-20")
    driver.close(driver.open_task())
    driver.reopen(titled(driver, "Первая"))
    assert driver.violations() == []
    driver.close(driver.open_task())
    driver.close(driver.open_task())
    assert driver.instances(process)[-1].reason == "завершён"


def test_a_task_without_a_process(driver: Driver) -> None:
    deal = driver.deal()
    with transaction() as work:
        made = Task(
            key=f"by-hand/{deal}", case_id=driver.deal_row(deal).case_id, step="x", topic="x", title="Ручная",
            addressed_to="responsible", executor_id=driver.company["manager"], created_at=work.now, state="open",
            result_fields={"fields": []},
        )  # fmt: skip
        work.session.add(made)
    driver.close(made)
    assert driver.reopen(made).state == "open"
    assert driver.instances() == []


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(ACTS), max_size=9))
def test_whatever_people_do_nothing_is_lost_or_doubled(driver: Driver, acts: list[str]) -> None:
    """★11: any order of closing, opening again, leaving and coming back keeps every invariant of the engine."""
    process = on_stage(QUOTE, {
        "begin": notice("Началось"), "first": task("Первая", due=hours(3)), "late": alarm("first", after(hours(5))),
        "second": task("Вторая", on_leave="keep"), "pay": task("Расчёт", guard=at_least("paid", "amount"),
                                                              closes_itself=True, reentry="repeat"),
        "end": notice("Конец"), "beside": task("Соседняя"), "last": task("Последняя", on_leave="keep"),
    }, beside=["begin"], last=["beside"])  # fmt: skip
    driver.processes, driver.cases = [], set()
    deal = driver.deal(process, fields={"amount": "100"})
    driver.move(deal, QUOTE)
    for number, act in enumerate(acts):
        states = {"close": ("open",), "reopen": ("done",)}.get(act)
        found = driver.tasks(*states) if states else []
        try:
            if act == "close" and found:
                driver.close(found[number % len(found)])
            elif act == "reopen" and found:
                driver.reopen(found[-1 - number % len(found)])
            elif act in ("away", "back"):
                driver.move(deal, CONTRACT if act == "away" else QUOTE)
            elif act == "later":
                driver.later(hours=2)
            elif act == "pay":
                driver.fill(deal, paid="100")
        except (Conflict, GuardRefused):
            driver.settle()
        assert driver.violations() == [], acts[: number + 1]
    assert told(driver, "Началось") == len({one.payload["visit_id"] for one in driver.instances(process)})


# --- who and how often ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["manager", "boss", "admin"])
def test_its_executor_his_head_and_an_administrator_may(driver: Driver, login: str) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    assert driver.reopen(titled(driver, "Первая"), login).state == "open"


def test_whoever_stands_in_for_him_may_and_the_trace_says_for_whom(driver: Driver) -> None:
    """Features 47: a substitute puts right what was closed in the absent person's name."""
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    head = driver.company.viewer("boss")
    with transaction(head.actor) as work:
        away = absence.set_absence(
            work, driver.company["manager"], driver.now, driver.now + timedelta(days=2), driver.company["colleague"]
        )
    try:
        driver.reopen(titled(driver, "Первая"), "colleague")
    finally:  # the people are those of the whole module
        with transaction(head.actor) as work:
            absence.cancel_absence(work, away.id)
    (said,) = driver.read(
        lambda session: session.scalars(
            select(Audit.text).where(Audit.action == "task.reopened", Audit.entity_id == driver.open_task().id)
        ).all()
    )
    assert said == "Задача «Первая» открыта снова (за Иванову А.)"


def test_the_reconciler_waits_for_the_run_that_is_not_made_yet(driver: Driver) -> None:
    """The event is on its way: the new instance is not taken for one whose run was deleted."""
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    watcher = driver.company.viewer("manager")
    with transaction(watcher.actor) as work:
        reopen_task(work, watcher, titled(driver, "Первая").id, "ошибка")
    (live,) = [one for one in live_instances() if one.process == process.id]
    assert live.event_pending
    assert live.waiting_steps == ["first"]
    driver.settle()


@pytest.mark.parametrize("login", ["colleague", "chief", "accountant"])
def test_nobody_else_may(driver: Driver, login: str) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    assert "открыть задачу снова может" in refused(driver, titled(driver, "Первая"), Forbidden, by=login)


def test_a_reason_is_mandatory(driver: Driver) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    assert "почему" in refused(driver, titled(driver, "Первая"), InvalidInput, reason="  ")


def test_two_clicks_make_one_instance(driver: Driver) -> None:
    """Both at once: one opens it, the other is told so."""
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    watcher, first = driver.company.viewer("manager"), titled(driver, "Первая")

    def click(_number: int) -> str:
        try:
            with transaction(watcher.actor) as work:
                return reopen_task(work, watcher, first.id, "ошибка").state
        except Conflict as said:
            return str(said)

    assert sorted(at_once(4, click)) == ["open", *["Задача уже открыта."] * 3]
    driver.settle()
    assert len(driver.instances(process)) == 2


# --- what cannot be taken back --------------------------------------------------------------------------------------


def test_a_later_task_done_by_a_person(driver: Driver) -> None:
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    for title in ("Первая", "Вторая", "Третья"):
        driver.close(titled(driver, title))
    assert refused(driver, titled(driver, "Первая")) == (
        "После этой задачи уже выполнено: «Вторая», «Третья». Сначала откройте снова последнюю из них."
    )
    for title in ("Третья", "Вторая", "Первая"):
        driver.reopen(titled(driver, title))
        assert driver.open_task().title == title
        assert driver.violations() == []


def test_a_field_that_the_process_has_set(driver: Driver) -> None:
    process = chain(set=step("SetField", "Записать номер", field="track_number", value="RU1"), after=task("Потом"))
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    for title in ("Первая", "Вторая", "Третья"):
        driver.close(titled(driver, title))
    said = refused(driver, titled(driver, "Третья"))
    assert said == "Шаг «Записать номер» уже изменил поле сделки: это назад не взять."


def test_a_field_set_before_it_is_no_obstacle_and_is_not_set_again(driver: Driver) -> None:
    process = on_stage(QUOTE, {
        "set": step("SetField", "Записать номер", field="track_number", value="RU1"), "first": task("Первая"),
        "then": task("Потом"),
    })  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.fill(deal, track_number="RU2")
    driver.close(driver.open_task())
    driver.reopen(titled(driver, "Первая"))
    assert driver.deal_row(deal).fields["track_number"] == "RU2"


def test_a_move_that_the_process_has_made(driver: Driver) -> None:
    process = on_stage(QUOTE, {
        "first": task("Первая", on_leave="keep"), "go": step("MoveStage", "Перевести на «Договор»", stage=CONTRACT),
    })  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    said = refused(driver, titled(driver, "Первая"))
    assert said == "Шаг «Перевести на «Договор»» уже перевёл сделку на другую стадию: это назад не взять."


def test_a_deal_that_left_the_stage_by_hand(driver: Driver) -> None:
    """AG-6: its work was withdrawn; back on the stage the new visit has it, and there it may be opened."""
    process = chain()
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    driver.move(deal, CONTRACT)
    assert refused(driver, titled(driver, "Первая")) == (
        f"Сделка ушла со стадии «{QUOTE}»: верните сделку на эту стадию, тогда откройте задачу снова."
    )
    driver.move(deal, QUOTE, settle=False)
    assert "новым заходом" in refused(driver, titled(driver, "Первая"))
    driver.settle()
    driver.reopen(titled(driver, "Первая"))
    assert [one.title for one in driver.tasks("open")] == ["Первая"]
    driver.close(driver.open_task())
    assert driver.open_task().title == "Вторая"


def test_an_approval_behind_it(driver: Driver) -> None:
    """Undecided, it is withdrawn; once somebody has answered, the answer stands."""
    approve = step(
        "Approval", "Согласовать", by=[{"title": "Директор", "address": "role:director"}], mode="chain", quorum=None,
        file=None, term=term_of(days(2)), description="", on_leave="cancel", fix=None,
    )  # fmt: skip
    process = on_stage(QUOTE, {"first": task("Первая"), "approve": approve, "then": task("Потом")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    assert asked(driver, titled(driver, "Первая")).consequences == ["будет снято согласование «Согласовать»"]
    driver.reopen(titled(driver, "Первая"))
    assert driver.violations() == []
    assert [one.state for one in of_deal(driver, Approval)] == ["withdrawn"]
    driver.close(driver.open_task())
    decide(driver, of_deal(driver, Approval)[-1], "director")
    assert "«Согласовать»" in refused(driver, titled(driver, "Первая"))
    assert driver.open_task().title == "Потом"


def test_a_fix_takes_its_round_back(driver: Driver) -> None:
    """R002-66: closed by mistake, the remarks are put right again and the approver is asked anew; decided it stands."""
    fix = {"title": "Устранить замечания", "to": "responsible", "due": {"working_days": 1}}
    rework = step(
        "Rework", "Согласовать", by=[{"title": "Директор", "address": "role:director"}], mode="chain", quorum=None,
        file=None, term=term_of(days(2)), description="", on_leave="cancel", fix=fix,
    )  # fmt: skip
    process = on_stage(QUOTE, {"approve": rework, "then": task("Потом")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    decide(driver, of_deal(driver, Approval)[0], "director", "reject", "Не тот ИНН")
    driver.close(driver.open_task())
    (one,) = of_deal(driver, Approval)
    assert (one.round, one.state) == (2, "open")
    assert asked(driver, titled(driver, "Устранить замечания")).consequences == [
        "будет отменён круг 2 согласования «Согласовать»"
    ]
    driver.reopen(titled(driver, "Устранить замечания"))
    assert driver.violations() == []
    assert driver.told("Круг 2 согласования «Согласовать» отменён") == ["director"], "и держатель роли, один раз"
    (one,) = of_deal(driver, Approval)
    assert (one.round, one.state) == (1, "rework")
    assert driver.open_task().title == "Устранить замечания"
    assert len(driver.instances(process)) == 1
    driver.close(driver.open_task())
    seats = select(ApprovalSeat.state).where(ApprovalSeat.approval_id == one.id).order_by(ApprovalSeat.id)
    assert driver.read(lambda session: list(session.scalars(seats))) == ["rejected", "asked"]
    decide(driver, one, "director")
    assert "уже ушло дальше" in refused(driver, titled(driver, "Устранить замечания"))
    assert driver.open_task().title == "Потом"


def test_a_fix_whose_round_is_being_decided(driver: Driver) -> None:
    """One of two has answered in the new round, the other has not: his answer is not taken back; a kept one is none."""
    fix = {"title": "Устранить замечания", "to": "responsible"}
    seats = [{"title": "Директор", "address": "role:director"}, {"title": "Продакт", "address": "role:product_manager"},
             {"title": "Бухгалтер", "address": "role:accountant"}]  # fmt: skip
    rework = step("Rework", "Согласовать", by=seats, mode="parallel", quorum=None, file=None, term=term_of(days(2)),
                  description="", on_leave="cancel", fix=fix)  # fmt: skip
    process = on_stage(QUOTE, {"approve": rework})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    (one,) = of_deal(driver, Approval)
    decide(driver, one, "accountant")
    decide(driver, one, "director", "reject", "Не тот ИНН")
    driver.close(driver.open_task())
    driver.reopen(titled(driver, "Устранить замечания"))
    driver.close(driver.open_task())
    decide(driver, one, "product")
    said = refused(driver, titled(driver, "Устранить замечания"))
    assert said.startswith("Круг 2 согласования «Согласовать» уже решают: ответил Продакт.")


def test_a_lost_deal(driver: Driver) -> None:
    process = on_stage(QUOTE, {"first": task("Первая", on_leave="keep"), "then": task("Потом", on_leave="keep")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    driver.move(deal, "Сделка проиграна")
    assert "Сделка проиграна" in refused(driver, titled(driver, "Первая"))


def test_a_won_deal_still_has_its_obligations(driver: Driver) -> None:
    """R002-3: the deal is over when its last obligation is closed, not before."""
    won = on_stage("Сделка успешна", {"originals": task("Получить оригиналы документов", on_leave="keep")})
    deal = driver.deal(won)
    driver.move(deal, "Сделка успешна")
    driver.close(driver.open_task())
    assert driver.reopen(titled(driver, "Получить оригиналы документов")).state == "open"


def test_a_condition_that_would_close_it_at_once(driver: Driver) -> None:
    """★26: named with the fields to be put right; once they are, the task can be opened."""
    process = on_stage(QUOTE, {
        "pay": task("Получить расчёт", guard=at_least("paid", "amount"), closes_itself=True), "then": task("Потом"),
    })  # fmt: skip
    deal = driver.deal(process, fields={"amount": "100", "paid": "100"})
    driver.move(deal, QUOTE)
    assert refused(driver, titled(driver, "Получить расчёт")) == (
        "Условие задачи выполнено, она сразу закроется сама. Сначала исправьте: «Сумма сделки», «Сумма оплаты»."
    )
    driver.fill(deal, paid="60")
    driver.reopen(titled(driver, "Получить расчёт"))
    assert driver.open_task().title == "Получить расчёт"
    driver.fill(deal, paid="100")
    assert driver.open_task().title == "Потом"


@pytest.mark.parametrize(("state", "says"), [("withdrawn", "Задача снята"), ("replaced", "Задача заменена")])
def test_a_task_that_was_not_done(driver: Driver, state: str, says: str) -> None:
    first = on_stage(QUOTE, {"ask": task("Спросить", topic="ОС", shared_topic=True)})
    second = Process("on:field:quote_feedback_at", {"ask": task("Спросить снова", topic="ОС", shared_topic=True)})
    deal = driver.deal(first, second)
    driver.move(deal, QUOTE)
    if state == "replaced":
        driver.fill(deal, quote_feedback_at="30.11.2026")
    else:
        driver.move(deal, CONTRACT)
    assert titled(driver, "Спросить").state == state
    assert refused(driver, titled(driver, "Спросить")).startswith(says)


def test_a_topic_that_has_another_open_task(driver: Driver) -> None:
    """AG-7: one topic – one open task."""
    first = on_stage(QUOTE, {"ask": task("Спросить", topic="ОС", shared_topic=True)})
    ask_anew = task("Спросить снова", topic="ОС", shared_topic=True, reentry="replace")
    deal = driver.deal(first, Process("on:field:quote_feedback_at", {"ask": ask_anew}))
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    driver.fill(deal, quote_feedback_at="30.11.2026")
    other = driver.open_task()
    assert f"«Спросить снова» (№ {other.id})" in refused(driver, titled(driver, "Спросить"))


def test_another_process_that_went_on_because_of_it(driver: Driver) -> None:
    first = on_stage(QUOTE, {"do": task("Первая", topic="дело", shared_topic=True)})
    other = Process(
        "on:field:signed_on", {"seen": step("TaskSensor", "Дело сделано", topic="дело"), "then": task("Там")}
    )
    deal = driver.deal(first, other)
    driver.fill(deal, signed_on="2026-11-20")
    driver.move(deal, QUOTE)
    driver.close(titled(driver, "Первая"))
    said = refused(driver, titled(driver, "Первая"))
    assert f"процесс «Процесс {other.id}» (шаг «Дело сделано»)" in said


def test_a_process_that_has_begun_anew(driver: Driver) -> None:
    """Its newer visit comes to the task itself."""
    process = Process("on:field:signed_on", {"before": task("До", reentry="repeat"), "first": task("Первая")})
    deal = driver.deal(process)
    driver.fill(deal, signed_on="2026-11-20")
    driver.close(driver.open_task())
    driver.close(driver.open_task())
    driver.fill(deal, signed_on="2026-11-21")
    assert "новым заходом" in refused(driver, titled(driver, "Первая"))
    driver.close(driver.open_task())
    driver.reopen(titled(driver, "Первая"))
    assert driver.open_task().title == "Первая"


def of_deal(driver: Driver, model: Any) -> list[Any]:
    found = select(model).where(model.case_id.in_(driver.cases)).order_by(model.id)
    return driver.read(lambda session: list(session.scalars(found)))


def decide(driver: Driver, approval: Approval, login: str, answer: str = "approve", remark: str = "") -> None:
    watcher = driver.company.viewer(login)
    with transaction(watcher.actor) as work:
        approvals.decide(work, watcher, approval.id, answer, remark)
    driver.settle()
