"""Tasks: guards for everybody, results, terms, heads (AG-4), new responsible, topics."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from include.process.rules import after, at_least, filled, hours, in_future
from include.shared.errors import BackofficeError, Conflict, Forbidden, GuardRefused, InvalidInput, NotFound
from include.shared.work import transaction
from include.staff import admin
from include.staff.services import person_of
from include.tasks import services as tasks
from tests.db.driver import QUOTE, Driver, Process, alarm, at_once, notice, on_stage, task

pytestmark = pytest.mark.db
PAY = {"guard": at_least("paid", "amount"), "closes_itself": True}


def given(driver: Driver, **spec: Any) -> tuple[int, Process]:
    process = on_stage(QUOTE, {"do": task("Получить расчет", **spec), "tell": notice()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    return deal, process


def refused(driver: Driver, login: str, values: dict[str, Any] | None = None) -> BackofficeError:
    with pytest.raises(BackofficeError) as error:
        driver.close(driver.tasks()[-1], login, values)
    return error.value


@pytest.mark.parametrize("login", ["manager", "boss", "director", "admin"])
def test_a_guard_refuses_everybody_with_what_is_missing_and_where(driver: Driver, login: str) -> None:
    """R002-43: «задачу невозможно закрыть пока…» – administrator as well; ★26."""
    deal, _ = given(driver, **PAY)
    error = refused(driver, login)
    assert isinstance(error, GuardRefused)
    assert [(one.text, one.link) for one in error.missing] == [
        ("не заполнено поле «Сумма сделки»", f"/backoffice/deals/{deal}#field-amount")
    ]
    driver.fill(deal, amount="1000", paid="999,99")
    error = refused(driver, login)
    assert "«Сумма оплаты» 999,99" in str(error)
    assert driver.open_task().state == "open"


def test_a_guarded_task_closes_itself_with_evidence(driver: Driver) -> None:
    """★26, R002-43: payment arrives, the evidence is stored, the next step starts."""
    deal, _ = given(driver, **PAY)
    driver.fill(deal, amount="1000")
    driver.fill(deal, paid="1 000,00", by=None)
    (closed,) = driver.tasks()
    assert (closed.state, closed.closed_by, closed.close_reason) == ("done", None, "закрыта сама: условие выполнено")
    assert closed.evidence["facts"] == {"amount": "1000.00", "paid": "1000.00"}
    assert driver.told("Произошло") == ["manager"]


def test_a_guard_that_holds_from_the_beginning_closes_at_once(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(**PAY), "tell": notice()})
    deal = driver.deal(process, fields={"amount": "10", "paid": "10"})
    driver.move(deal, QUOTE)
    assert [one.state for one in driver.tasks()] == ["done"]


def test_a_result_bound_to_a_field_may_close_its_own_task_and_is_kept(driver: Driver) -> None:
    field = {"code": "sum", "title": "Сколько оплачено", "kind": "money", "required": True, "deal_field": "paid",
             "choices": {}}  # fmt: skip
    deal, _ = given(driver, result=[field], **PAY)
    driver.fill(deal, amount="10")
    closed = driver.close(driver.open_task(), values={"sum": "10"})
    assert (closed.state, closed.result, closed.closed_by) == ("done", {"sum": "10.00"}, driver.company["manager"])
    assert driver.close(closed, values={"sum": "10"}).result == {"sum": "10.00"}, "delivered twice"


def test_a_future_date_guard(driver: Driver) -> None:
    """R002-18: closes only when the date is changed to a future one."""
    deal, _ = given(driver, guard=in_future("quote_feedback_at"))
    driver.fill(deal, quote_feedback_at="20.11.2026")
    assert "нужна будущая дата" in str(refused(driver, "manager"))
    driver.fill(deal, quote_feedback_at="30.11.2026")
    driver.close(driver.open_task())


RESULT = [
    {"code": "answer", "title": "Ответ", "kind": "choice", "required": True, "choices": {"yes": "да", "no": "нет"}},
    {"code": "note", "title": "Заметка", "kind": "text", "required": False},
    {"code": "date", "title": "Дата ОС", "kind": "datetime", "required": False, "deal_field": "quote_feedback_at"},
]


@pytest.mark.parametrize(
    "values",
    [{}, {"answer": "может быть"}, {"answer": ["yes"]}, {"answer": "yes", "x": 1}, {"answer": "yes", "note": "\x00"},
     {"answer": "yes", "note": "\ud800"}, {"answer": "yes", "note": {"a": 1}}, {"answer": "yes", "date": "завтра"},
     {"answer": "yes", "note": "я" * 5000}, {"answer": "\u200b"}],
)  # fmt: skip
def test_a_wrong_result_is_refused_by_its_field_and_changes_nothing(driver: Driver, values: dict[str, Any]) -> None:
    given(driver, result=RESULT)
    assert isinstance(refused(driver, "manager", values), InvalidInput)
    assert driver.open_task().result is None


def test_a_result_is_stored_in_the_task_and_in_the_deal(driver: Driver) -> None:
    deal, _ = given(driver, result=RESULT)
    values = {"answer": "да", "note": " ок ", "date": "30.11.2026 12:00"}
    closed = driver.close(driver.open_task(), values=values)
    assert closed.result == {"answer": "yes", "note": "ок", "date": "2026-11-30T12:00:00+03:00"}
    assert driver.deal_row(deal).fields["quote_feedback_at"] == "2026-11-30T12:00:00+03:00"


def test_who_may_close(driver: Driver) -> None:
    given(driver)
    for stranger in ("colleague", "engineer", "chief", "accountant"):
        assert isinstance(refused(driver, stranger), Forbidden)
    only = driver.open_task()
    driver.close(only, "boss")
    again = driver.close(only, "manager")
    assert (again.state, again.closed_by) == ("done", driver.company["boss"]), "closing again changes nothing"
    assert driver.told("Произошло") == ["manager"]


def test_two_close_at_once_and_it_is_closed_once(driver: Driver) -> None:
    given(driver)
    only = driver.open_task()

    def close(_: int) -> str:
        watcher = driver.company.viewer("manager")
        with transaction(watcher.actor) as work:
            return tasks.close_task(work, watcher, only.id).state

    assert at_once(4, close) == ["done"] * 4
    closed = "SELECT count(*) FROM audit WHERE action = 'task.done' AND entity_id = :id"
    assert driver.read(lambda s: s.scalar(text(closed), {"id": only.id})) == 1


ANSWERED = {"answer": "да", "note": " ок ", "date": "30.11.2026 12:00"}


def test_a_result_delivered_twice_is_one_result(driver: Driver) -> None:
    deal, _ = given(driver, result=RESULT)
    only = driver.open_task()
    first = driver.close(only, values=ANSWERED)
    driver.fill(deal, quote_feedback_at="01.12.2026 10:00")  # the deal goes on, the result stays what it was
    repeats: list[dict[str, Any] | None] = [
        ANSWERED, {**ANSWERED, "answer": "yes", "note": "ок"}, None, {}, {"answer": "", "note": "\u200b"}
    ]  # fmt: skip
    for again in repeats:
        for login in ("manager", "boss"):
            closed = driver.close(only, login, again)
            assert (closed.result, closed.closed_by) == (first.result, driver.company["manager"])
    assert driver.deal_row(deal).fields["quote_feedback_at"] == "2026-12-01T10:00:00+03:00"
    closed_times = "SELECT count(*) FROM audit WHERE action = 'task.done' AND entity_id = :id"
    assert driver.read(lambda s: s.scalar(text(closed_times), {"id": only.id})) == 1


@pytest.mark.parametrize("login", ["manager", "boss"])
@pytest.mark.parametrize("other", [{**ANSWERED, "answer": "no"}, {"answer": "да"}, {"note": "другое"}])
def test_another_result_of_a_closed_task_is_refused_with_the_one_that_stands(
    driver: Driver, login: str, other: dict[str, Any]
) -> None:
    given(driver, result=RESULT)
    only = driver.open_task()
    kept = driver.close(only, values=ANSWERED).result
    with pytest.raises(Conflict) as refusal:
        driver.close(only, login, other)
    closer = driver.read(lambda s: person_of(s, driver.company["manager"]).short_name).rstrip(".")
    assert closer in str(refusal.value)
    assert "с другим итогом: Ответ – да; Заметка – ок; Дата ОС – 30.11.2026 12:00. Обновите" in str(refusal.value)
    assert driver.tasks()[-1].result == kept


def test_of_two_different_results_at_once_one_stands_and_the_other_is_told(driver: Driver) -> None:
    """Each of the two learns what became of his answer."""
    given(driver, result=RESULT)
    only = driver.open_task()
    sent = [("manager", "yes"), ("boss", "no")]

    def close(number: int) -> str:
        login, answer = sent[number]
        watcher = driver.company.viewer(login)
        try:
            with transaction(watcher.actor) as work:
                tasks.close_task(work, watcher, only.id, {"answer": answer})
        except Conflict:
            return "told"
        return answer

    said = at_once(2, close)
    assert said.count("told") == 1
    assert driver.tasks()[-1].result == {"answer": next(one for one in said if one != "told")}


def test_a_result_for_a_task_that_has_closed_itself_is_refused(driver: Driver) -> None:
    field = {"code": "sum", "title": "Сколько оплачено", "kind": "money", "deal_field": "paid"}
    deal, _ = given(driver, result=[field], **PAY)
    only = driver.open_task()
    driver.fill(deal, amount="10", paid="10")
    driver.close(only)
    with pytest.raises(Conflict, match=r"закрыта сама.*не записан"):
        driver.close(only, values={"sum": "7"})
    assert str(driver.deal_row(deal).paid) == "10.00"


def test_what_is_withdrawn_cannot_be_closed(driver: Driver) -> None:
    deal, _ = given(driver)
    driver.move(deal, "Договор")
    assert isinstance(refused(driver, "manager"), Conflict)
    with pytest.raises(NotFound), transaction() as work:
        tasks.close_task(work, driver.company.viewer("manager"), 10**9)


@pytest.mark.parametrize(
    ("due", "reason"),
    [("", "клиент"), ("30.11.2026", ""), ("20.11.2026", "клиент"), ("30.11.2126", "x"), ("30.11.2090", "x"),
     ("31.02.2026", "x"), ("30.11.2026", "\x00"), ("30.11.2026", "\ud800"), ("30.11.2026", "я" * 1001),
     ({"a": 1}, "x"), (None, "x"), ("30.11.2026", None), ("30.11.2026", ["x"]), ("30.11.2026", "\u200b\u3164")],
)  # fmt: skip
def test_a_wrong_term_is_refused(driver: Driver, due: Any, reason: Any) -> None:
    given(driver, due=hours(5))
    boss = driver.company.viewer("boss")
    with pytest.raises(InvalidInput), transaction(boss.actor) as work:
        tasks.change_term(work, boss, driver.open_task().id, due, reason)


def test_a_changed_term_is_kept_with_its_reason(driver: Driver) -> None:
    given(driver, due=hours(5))
    boss, only = driver.company.viewer("boss"), driver.open_task()
    with transaction(boss.actor) as work:
        tasks.change_term(work, boss, only.id, "30.11.2026", "клиент попросил")
    kept = driver.read(
        lambda s: s.execute(text(f"SELECT reason, old_due_at FROM task_term_change WHERE task_id = {only.id}")).one()
    )
    assert tuple(kept) == ("клиент попросил", only.due_at)
    driver.settle()


# --- heads ------------------------------------------------------------------------------------------------------------


def test_the_head_sets_and_watches_the_task(driver: Driver) -> None:
    """AG-4: creator and observer; notified only where the text says so."""
    given(driver)
    assert driver.company.login(driver.open_task().creator_id or 0) == "boss"
    assert driver.observers(driver.open_task()) == {"boss"}
    assert driver.told() == ["manager"]


@pytest.mark.parametrize(
    ("responsible", "head"), [("boss", "director"), ("product", "director"), ("engineer", "chief")]
)
def test_the_head_is_the_nearest_above(driver: Driver, responsible: str, head: str) -> None:
    """AG-4."""
    process = on_stage(QUOTE, {"do": task()})
    driver.move(driver.deal(process, responsible=responsible), QUOTE)
    assert driver.company.login(driver.open_task().creator_id or 0) == head


def test_the_director_has_no_head(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(due=hours(1)), "up": task("Наверх", to="head")}, up=[])
    driver.move(driver.deal(process, responsible="director"), QUOTE)
    driver.later(hours=2)
    assert driver.open_task().creator_id is None
    assert driver.told("Просрочена") == []
    assert driver.step(process, "up").waits_for == "некому поручить: руководитель ответственного не назначен"


def test_a_new_responsible_brings_his_head(driver: Driver) -> None:
    """AG-4: resolution is repeated if resp changes; work, creator and observers follow."""
    steps = {
        "do": task("Сам", due=hours(5)),
        "head": task("Руководитель", to="head"),
        "acc": task("Бухгалтер", to="role:accountant"),
        "late": alarm("do", after(hours(4)), tell=["responsible", "head"]),
    }
    process = on_stage(QUOTE, steps, head=[], acc=[])
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.give_to(deal, "engineer")
    found = {
        one.title: (driver.company.login(one.executor_id), driver.company.login(one.creator_id or 0))
        for one in driver.tasks()
    }
    assert found == {
        "Сам": ("engineer", "chief"),
        "Руководитель": ("chief", "chief"),
        "Бухгалтер": ("accountant", "chief"),
    }
    assert [driver.observers(one) for one in driver.tasks()] == [{"chief"}, set(), {"chief"}]
    assert sorted(driver.told("Вам передана")) == ["chief", "engineer"]
    driver.later(hours=6)
    assert sorted(driver.told("Не закрыта")) == ["chief", "engineer"]
    assert driver.told("Просрочена") == ["chief"]


def test_a_new_responsible_moves_the_work_of_both_live_processes(driver: Driver) -> None:
    first, second = on_stage(QUOTE, {"a": task("А")}), on_stage(QUOTE, {"b": task("Б")})
    deal = driver.deal(first, second)
    driver.move(deal, QUOTE)
    driver.give_to(deal, "colleague")
    assert {driver.company.login(one.executor_id) for one in driver.tasks("open")} == {"colleague"}
    assert len(driver.told("Вам передана")) == 2


def test_what_was_given_to_a_person_by_hand_stays_with_him(driver: Driver) -> None:
    deal, _ = given(driver)
    boss, only = driver.company.viewer("boss"), driver.open_task()
    with transaction(boss.actor) as work:
        tasks.reassign(work, boss, only.id, driver.company["colleague"], "заболел")
    driver.give_to(deal, "engineer")
    assert driver.company.login(driver.open_task().executor_id) == "colleague"
    assert driver.company.login(driver.open_task().creator_id or 0) == "chief"
    for who, why in ((driver.company["manager"], "\x00"), (driver.company["manager"], "я" * 2000), (10**6, "")):
        with pytest.raises(BackofficeError), transaction(boss.actor) as work:
            tasks.reassign(work, driver.company.viewer("admin"), only.id, who, why)


def test_a_dismissed_head_is_replaced_on_overdue(driver: Driver) -> None:
    with transaction(driver.company.viewer("admin").actor) as work:
        room = admin.add_department(work, "Временный отдел")
        head = admin.add_person(work, last_name="Временный", first_name="Иван", department_id=room.id)
        seller = admin.add_person(work, last_name="Продавец", first_name="Иван", department_id=room.id)
        admin.set_head(work, room.id, head.id)
        driver.company.people |= {"temp_head": head.id, "temp": seller.id}
    process = on_stage(QUOTE, {"do": task(due=hours(1))})
    driver.move(driver.deal(process, responsible="temp"), QUOTE)
    with transaction(driver.company.viewer("admin").actor) as work:
        admin.set_head(work, room.id, None)
        admin.deactivate_person(work, head.id)
    driver.later(hours=1)
    assert driver.told("Просрочена") == ["director"]


def test_the_guard_sees_only_its_own_deal(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(guard=filled("signed_on"), closes_itself=True)})
    one, other = driver.deal(process), driver.deal(process)
    driver.move(one, QUOTE)
    driver.move(other, QUOTE)
    driver.fill(one, signed_on="2026-11-20")
    assert [task_.state for task_ in driver.tasks()] == ["done", "open"]
