"""Services of reference data: directions, stages, fields, calendar, settings back to default (R002-2, R002-5, AG-5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text

from include.deals import services as deals
from include.deals.models import Deal, DealField, Funnel, Stage
from include.process.rules import hours, term, working_days
from include.reference import registers, rules, services
from include.reference.rules import Mention
from include.shared import calendar, settings
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.models import Setting
from include.shared.work import Work, transaction
from tests.db.driver import NEW, QUOTE, Driver, at_once, on_stage, task

pytestmark = pytest.mark.db


def act(driver: Driver, doing: Callable[[Work], Any], login: str = "admin") -> Any:
    with transaction(driver.company.viewer(login).actor) as work:
        return doing(work)


def traces(driver: Driver) -> tuple[int, int]:
    return driver.read(
        lambda s: tuple(
            s.execute(
                text(
                    "SELECT (SELECT count(*) FROM audit),"
                    " (SELECT count(*) FROM outbox_event WHERE kind = 'reference_changed')"
                )
            ).one()
        )
    )  # type: ignore[no-any-return]


def order(driver: Driver, funnel: str) -> list[str]:
    def titles(session: Any) -> list[str]:
        wanted = select(Stage.title).where(Stage.funnel_code == funnel).order_by(Stage.position)
        return list(session.scalars(wanted))

    return driver.read(titles)  # type: ignore[no-any-return]


def new_funnel(driver: Driver, code: str) -> str:
    act(driver, lambda work: services.add_funnel(work, code, f"Направление {code}"))
    return code


def test_a_new_direction_can_be_worked_in_at_once(driver: Driver) -> None:
    code = new_funnel(driver, "fresh")
    assert order(driver, code) == [NEW, "Сделка успешна", "Сделка проиграна"]
    with transaction(driver.company.viewer("manager").actor) as work:
        deal = deals.create_deal(work, title="Первая", funnel=code, responsible_id=driver.company["manager"])
        assert work.session.get_one(Stage, deal.stage_id).title == NEW


def test_stages_are_placed_renamed_and_kept_in_order(driver: Driver) -> None:
    code = new_funnel(driver, "ordered")
    one = act(driver, lambda work: services.add_stage(work, code, "one", "Первая"))
    two = act(driver, lambda work: services.add_stage(work, code, "two", "Вторая"))
    assert order(driver, code) == [NEW, "Первая", "Вторая", "Сделка успешна", "Сделка проиграна"]
    act(driver, lambda work: services.change_stage(work, two.id, title="Вторая!", kind="open", position=2))
    assert order(driver, code) == [NEW, "Вторая!", "Первая", "Сделка успешна", "Сделка проиграна"]
    act(driver, lambda work: services.change_stage(work, one.id, title="Первая", kind="open", position=99))
    assert order(driver, code)[-1] == "Первая"
    places = driver.read(
        lambda s: list(s.scalars(select(Stage.position).where(Stage.funnel_code == code).order_by(Stage.position)))
    )
    assert places == [1, 2, 3, 4, 5]


def test_a_change_of_nothing_leaves_no_trace(driver: Driver) -> None:
    code = new_funnel(driver, "quiet")
    stage = act(driver, lambda work: services.add_stage(work, code, "one", "Первая"))
    act(driver, lambda work: services.add_field(work, "quiet_field", "Тихое", "text"))
    act(driver, lambda work: calendar.set_day(work, date(2027, 4, 1), False, "Ремонт"))
    before = traces(driver)
    act(driver, lambda work: services.change_funnel(work, code, title=f"Направление {code}"))
    act(driver, lambda work: services.change_stage(work, stage.id, title="Первая", kind="open", position=2))
    act(driver, lambda work: services.change_field(work, "quiet_field", title="Тихое", kind="text"))
    act(driver, lambda work: calendar.set_day(work, date(2027, 4, 1), False, "Ремонт"))
    act(driver, lambda work: settings.change(work, "identification_alarm", {"hours": 5}))
    act(driver, lambda work: settings.reset(work, "identification_alarm"))
    assert traces(driver) == before


def test_every_change_leaves_audit_and_event(driver: Driver) -> None:
    code = new_funnel(driver, "traced")
    stage = act(driver, lambda work: services.add_stage(work, code, "one", "Первая"))
    changes: list[Callable[[Work], Any]] = [
        lambda work: services.add_stage(work, code, "two", "Вторая"),
        lambda work: services.change_stage(work, stage.id, title="Первейшая", kind="open"),
        lambda work: services.retire_stage(work, stage.id),
        lambda work: services.restore_stage(work, stage.id),
        lambda work: services.change_funnel(work, code, title="След"),
        lambda work: services.add_field(work, "traced_field", "След", "text"),
        lambda work: services.change_field(work, "traced_field", title="Следы", kind="text"),
        lambda work: calendar.add_day(work, date(2027, 4, 2), False, "Ремонт"),
        lambda work: calendar.remove_day(work, date(2027, 4, 2)),
        lambda work: settings.change(work, "identification_alarm", {"hours": 6}),
        lambda work: settings.reset(work, "identification_alarm"),
    ]
    for number, change in enumerate(changes):
        audit, events = traces(driver)
        act(driver, change)
        assert traces(driver) == (audit + 1, events + 1), number
    last = driver.read(lambda s: s.execute(text("SELECT actor_id FROM audit ORDER BY id DESC LIMIT 1")).scalar())
    assert last == driver.company["admin"]


@pytest.mark.parametrize(
    ("doing", "field"),
    [
        (lambda work: services.add_funnel(work, "goods", "Ещё"), "code"),
        (lambda work: services.add_funnel(work, "more", "Товары"), "title"),
        (lambda work: services.add_funnel(work, "more", "А/Б"), "title"),
        (lambda work: services.add_stage(work, "goods", "quote", "Ещё"), "code"),
        (lambda work: services.add_stage(work, "goods", "more", "Договор"), "title"),
        (lambda work: services.add_stage(work, "goods", "more", "Ещё", "half"), "kind"),
        (lambda work: services.add_stage(work, "goods", "more", "Ещё", "lost", 1), "position"),
        (lambda work: services.add_stage(work, "goods", "more", "Ещё", "open", 0), "position"),
        (lambda work: services.add_field(work, "complexity", "Ещё", "text"), "code"),
        (lambda work: services.add_field(work, "amount", "Ещё", "text"), "code"),
        (lambda work: services.add_field(work, "more", "Трек-номер", "text", funnel_code="goods"), "title"),
        (lambda work: services.add_field(work, "more", "Ещё", "choice"), "choices"),
        (lambda work: services.add_field(work, "more", "Ещё", "text", choices={"a": "b"}), "choices"),
        (lambda work: services.add_field(work, "more", "Ещё", "text", funnel_code="none"), "funnel_code"),
        (lambda work: services.add_field(work, "more", "Ещё", "number"), "kind"),
        (lambda work: calendar.set_day(work, date(1999, 1, 1), True, "x"), "day"),
        (lambda work: calendar.set_day(work, date(2027, 1, 1), True, " "), "title"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_beside_its_field(
    driver: Driver, doing: Callable[[Work], Any], field: str
) -> None:
    before = traces(driver)
    with pytest.raises(InvalidInput) as refused:
        act(driver, doing)
    assert refused.value.field == field
    assert traces(driver) == before


def test_only_an_administrator_changes_reference_data(driver: Driver) -> None:
    for doing in (
        lambda work: services.add_funnel(work, "own", "Своё"),
        lambda work: services.retire_stage(work, 1),
        lambda work: services.add_field(work, "own", "Своё", "text"),
    ):
        with pytest.raises(Forbidden):
            act(driver, doing, "director")


def test_a_stage_with_deals_is_not_retired(driver: Driver) -> None:
    code = new_funnel(driver, "busy")
    stage = act(driver, lambda work: services.add_stage(work, code, "one", "Занятая"))
    with transaction(driver.company.viewer("manager").actor) as work:
        deal = deals.create_deal(work, title="Стоит", funnel=code, responsible_id=driver.company["manager"])
        deals.move_stage(work, deal.id, "Занятая")
    with pytest.raises(Conflict, match="сделок: 1"):
        act(driver, lambda work: services.retire_stage(work, stage.id))
    with pytest.raises(InvalidInput, match="сделок: 1"):
        act(driver, lambda work: services.change_stage(work, stage.id, title="Занятая", kind="won"))
    with transaction(driver.company.viewer("manager").actor) as work:
        deals.move_stage(work, deal.id, NEW)
    act(driver, lambda work: services.retire_stage(work, stage.id))
    with pytest.raises(InvalidInput, match="нет стадии «Занятая»"), transaction() as work:
        deals.move_stage(work, deal.id, "Занятая")
    act(driver, lambda work: services.restore_stage(work, stage.id))
    assert order(driver, code) == [NEW, "Занятая", "Сделка успешна", "Сделка проиграна"]


def test_a_stage_cannot_be_entered_and_retired_at_once(driver: Driver) -> None:
    code = new_funnel(driver, "raced")
    for number in range(4):
        name = f"Стадия {number}"
        stage = act(driver, lambda work, n=number, t=name: services.add_stage(work, code, f"s{n}", t))
        with transaction(driver.company.viewer("manager").actor) as work:
            deal = deals.create_deal(work, title="Едет", funnel=code, responsible_id=driver.company["manager"])

        def race(which: int, deal_id: int = deal.id, stage_id: int = stage.id, title: str = name) -> str:
            try:
                if which:
                    act(driver, lambda work: services.retire_stage(work, stage_id))
                else:
                    act(driver, lambda work: deals.move_stage(work, deal_id, title), "manager")
            except (Conflict, InvalidInput):
                return "refused"
            return "done"

        assert sorted(at_once(2, race)) == ["done", "refused"]
    lost = text("SELECT count(*) FROM deal JOIN stage ON stage.id = deal.stage_id WHERE NOT stage.active")
    assert driver.read(lambda s: s.scalar(lost)) == 0


def test_a_direction_keeps_its_beginning_and_its_ends(driver: Driver) -> None:
    code = new_funnel(driver, "ends")
    first, won, lost = driver.read(
        lambda s: list(s.scalars(select(Stage.id).where(Stage.funnel_code == code).order_by(Stage.position)))
    )
    with pytest.raises(InvalidInput, match="Первой"):
        act(driver, lambda work: services.change_stage(work, won, title="Сделка успешна", kind="won", position=1))
    for stage in (won, lost):
        with pytest.raises(Conflict, match="должна остаться"):
            act(driver, lambda work, one=stage: services.retire_stage(work, one))
    with pytest.raises(InvalidInput, match="Первой"):
        act(driver, lambda work: services.retire_stage(work, first))


def test_names_that_processes_are_written_with_stay(driver: Driver) -> None:
    code = new_funnel(driver, "named")
    title = f"Направление {code}"
    stage = act(driver, lambda work: services.add_stage(work, code, "one", "Счёт"))
    act(driver, lambda work: services.add_field(work, "named", "Поле", "choice", choices={"a": "А", "b": "Б"}))
    mentions = [Mention("quotes", "Счёт", title), Mention("others", "Счёт", "Другое"), Mention("reads", "named"),
                Mention("reads", "a")]  # fmt: skip
    for doing, said in (
        (lambda work: services.change_stage(work, stage.id, title="КП", kind="open", mentions=mentions), "quotes"),
        (lambda work: services.retire_stage(work, stage.id, mentions), "quotes"),
        (lambda work: services.change_funnel(work, code, title="Иначе", mentions=mentions), "quotes"),
        (lambda work: services.change_field(work, "named", title="Поле", kind="text", mentions=mentions), "reads"),
        (
            lambda work: services.change_field(
                work, "named", title="Поле", kind="choice", choices={"b": "Б"}, mentions=mentions
            ),
            "reads",
        ),
    ):
        with pytest.raises((InvalidInput, Conflict), match=said) as refused:
            act(driver, doing)
        assert "others" not in str(refused.value)
    only_others = [Mention("others", "Счёт", "Другое")]
    act(driver, lambda work: services.change_stage(work, stage.id, title="КП", kind="open", mentions=only_others))
    act(driver, lambda work: services.change_field(
        work, "named", title="Поле!", kind="choice", choices={"a": "Альфа", "b": "Б"}, mentions=mentions))  # fmt: skip


def test_a_filled_field_keeps_its_kind_and_its_used_choices(driver: Driver) -> None:
    act(driver, lambda work: services.add_field(work, "used", "Поле", "choice", choices={"a": "А", "b": "Б"}))
    act(driver, lambda work: services.change_field(work, "used", title="Поле", kind="text"))
    act(driver, lambda work: services.change_field(
        work, "used", title="Поле", kind="choice", choices={"a": "А", "b": "Б"}))  # fmt: skip
    with transaction(driver.company.viewer("manager").actor) as work:
        deal = deals.create_deal(work, title="С полем", funnel="Товары", responsible_id=driver.company["manager"])
        deals.set_fields(work, deal.id, {"used": "a"})
    for changed, field in (
        ({"kind": "text"}, "kind"),
        ({"kind": "choice", "choices": {"b": "Б"}}, "choices"),
        ({"kind": "choice", "choices": {"a": "А", "b": "Б"}, "funnel_code": "services"}, "funnel_code"),
    ):
        with pytest.raises(InvalidInput) as refused:
            act(driver, lambda work, one=changed: services.change_field(work, "used", title="Поле", **one))
        assert refused.value.field == field
    act(driver, lambda work: services.change_field(work, "used", title="Поле", kind="choice", choices={"a": "Первый"}))
    assert driver.read(lambda s: s.get_one(DealField, "used").options) == {"choices": {"a": "Первый"}}


def test_a_setting_goes_back_to_its_default_and_follows_it_again(driver: Driver) -> None:
    with transaction() as work:
        settings.declare(work, "back", "Назад", "term", {"hours": 1})
    act(driver, lambda work: settings.change(work, "back", {"days": 2}))
    act(driver, lambda work: settings.reset(work, "back"))
    row = driver.read(lambda s: s.get_one(Setting, "back"))
    assert (row.value, row.changed_at, row.changed_by) == ({"hours": 1}, None, None)
    with transaction() as work:
        settings.declare(work, "back", "Назад", "term", {"hours": 3})
    assert driver.read(lambda s: s.get_one(Setting, "back").value) == {"hours": 3}
    with pytest.raises(NotFound):
        act(driver, lambda work: settings.reset(work, "нет такой"))


def test_a_setting_names_a_role_that_there_is(driver: Driver) -> None:
    with transaction() as work:
        settings.declare(work, "whose", "Чья", "role", "director")
    with pytest.raises(InvalidInput):
        act(driver, lambda work: settings.change(work, "whose", "nobody"))
    with pytest.raises(InvalidInput):
        act(driver, lambda work: settings.change(work, "whose", ""))
    act(driver, lambda work: settings.change(work, "whose", "accountant"))
    with transaction() as work:
        settings.declare(work, "whose_if_any", "Чья, если чья-то", "role", "")
    act(driver, lambda work: settings.change(work, "whose_if_any", "accountant"))
    act(driver, lambda work: settings.change(work, "whose_if_any", ""))


def test_a_changed_calendar_wakes_only_what_counts_working_time(driver: Driver) -> None:
    """AG-3: a wait counts in working time of the company's own calendar; others are left in peace."""
    kept_term = term("kept_term", hours(5), "Срок")
    made: dict[str, int] = {}
    for name, due in (("plain", hours(5)), ("kept", kept_term), ("working", working_days(1))):
        made[name] = driver.deal(on_stage(QUOTE, {"do": task(name, due=due)}))  # begun by the ones installed by now
        driver.move(made[name], QUOTE)
    act(driver, lambda work: settings.change(work, "kept_term", {"working_days": 1}))
    driver.settle()

    def touched(doing: Callable[[Work], Any]) -> set[str]:
        with transaction(driver.company.viewer("admin").actor) as work:
            doing(work)
            return {name for name, one in made.items() if work.session.get_one(Deal, one).case_id in work.touched}

    day = date(2026, 11, 25)
    assert touched(lambda work: calendar.set_day(work, day, False, "Санитарный день")) == {"working", "kept"}
    assert touched(lambda work: calendar.remove_day(work, day)) == {"working", "kept"}
    with pytest.raises(NotFound):
        act(driver, lambda work: calendar.remove_day(work, day))


def test_the_history_of_a_row_is_its_own(driver: Driver) -> None:
    code = new_funnel(driver, "told")
    act(driver, lambda work: services.change_funnel(work, code, title="Рассказ"))
    act(driver, lambda work: calendar.set_day(work, date(2027, 7, 1), False, "Отпуск"))
    with transaction() as work:
        texts = [one.text for one in registers.history(work.session, "funnel", code)]
        assert texts == ["Направление «Рассказ»: изменено", f"Создано направление «Направление {code}»"]
        assert len(registers.history(work.session, "calendar_day", "2027-07-01")) == 1
        assert registers.history(work.session, "funnel", "goods") == []


def test_choices_are_written_one_per_line() -> None:
    known = {"simple": "простой", "complex": "очень: сложный"}
    assert rules.choices(rules.in_lines(known)) == known
    for wrong in ("простой", "a: А\na: Б", "А: а", ":", "a:"):
        with pytest.raises(InvalidInput):
            rules.choices(wrong)


def test_positions_of_directions(driver: Driver) -> None:
    code = new_funnel(driver, "last")
    act(driver, lambda work: services.change_funnel(work, code, title=f"Направление {code}", position=1))
    first = driver.read(lambda s: s.scalars(select(Funnel.code).order_by(Funnel.position)).first())
    assert first == code
