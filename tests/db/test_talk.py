"""Talk about a case: who is called, who is told once, who may read, what is taken back (issue 3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from include.notices.models import Notice
from include.process.models import ProcessCase
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.models import Audit
from include.shared.work import transaction
from include.staff import admin
from include.staff.models import Department, Person
from include.workplace import talk
from include.workplace.day import notices
from include.workplace.shapes import CommentRow, TalkPage
from tests.db.driver import Driver

pytestmark = pytest.mark.db


def say(driver: Driver, deal: int, text: str, by: str = "manager", **more: Any) -> CommentRow:
    viewer = driver.company.viewer(by)
    with transaction(viewer.actor) as work:
        return talk.say_in_deal(work, viewer, deal, text, **more)


def read(driver: Driver, deal: int, by: str = "manager", **more: Any) -> TalkPage:
    viewer = driver.company.viewer(by)
    found: TalkPage = driver.read(lambda session: talk.deal_talk(session, viewer, deal, driver.now, **more))
    return found


def act(driver: Driver, what: Any, comment: int, by: str = "manager") -> CommentRow:
    viewer = driver.company.viewer(by)
    with transaction(viewer.actor) as work:
        row: CommentRow = what(work, viewer, comment)
        return row


# --- rights -------------------------------------------------------------------------------------------------------


def test_a_foreign_deal_is_neither_read_nor_talked_about(driver: Driver) -> None:
    deal = driver.deal()
    with pytest.raises(NotFound):
        read(driver, deal, by="engineer")
    with pytest.raises(NotFound):
        say(driver, deal, "Можно?", by="engineer")


def test_whoever_is_called_may_read_the_deal_as_long_as_the_call_stands(driver: Driver) -> None:
    deal = driver.deal()
    said = say(driver, deal, "@Гусев посмотрите смету")
    assert [one.name for one in said.mentions] == ["Гусев А."]
    assert [one.text for one in read(driver, deal, by="engineer").comments] == ["@Гусев посмотрите смету"]
    say(driver, deal, "Смотрю", by="engineer")
    act(driver, talk.remove, said.id)
    with pytest.raises(NotFound):
        read(driver, deal, by="engineer")
    act(driver, talk.bring_back, said.id)
    assert len(read(driver, deal, by="engineer").comments) == 2


# --- notices ------------------------------------------------------------------------------------------------------


def test_the_called_and_the_responsible_are_told_once(driver: Driver) -> None:
    deal = driver.deal()
    say(driver, deal, "@Гусев и ещё раз @engineer? @Гусев А.", by="boss", mentions=[driver.company["engineer"]])
    assert driver.told("зовёт вас") == ["engineer"]
    assert driver.told("пишет в обсуждении") == ["manager"]
    say(driver, deal, "@Иванова, что с договором?", by="boss")
    assert driver.told("зовёт вас") == ["engineer", "manager"]
    assert driver.told("пишет в обсуждении") == ["manager"]  # called, so not told a second time
    say(driver, deal, "Готовлю")
    say(driver, deal, "@Иванова напоминание себе")
    assert len(driver.told()) == 3  # nobody is told of his own words


def test_a_notice_leads_to_its_comment(driver: Driver) -> None:
    deal = driver.deal()
    said = say(driver, deal, "@Гусев посмотрите")
    engineer = driver.company.viewer("engineer")
    (notice, *_) = driver.read(lambda session: notices(session, engineer))
    assert notice.link == f"/backoffice/deals/{deal}#comment-{said.id}"
    assert "посмотрите" not in notice.text  # what is taken back is not kept elsewhere


# --- who is called ------------------------------------------------------------------------------------------------


def test_namesakes_are_listed_and_settled_by_initials_login_or_choice(driver: Driver) -> None:
    with transaction() as work:
        room = work.session.scalar(select(func.max(Department.id)))
        other = admin.add_person(work, last_name="Гусев", first_name="Пётр", middle_name="Ильич", department_id=room)
        admin.set_account(work, other.id, "gusev2", "correct-horse-7", "staff")
        other_id = other.id
    driver.company.people["gusev2"] = other_id
    deal = driver.deal()
    with pytest.raises(InvalidInput, match=r"Гусев А\. \(@engineer\); Гусев П\. И\. \(@gusev2\)"):
        say(driver, deal, "@Гусев, посмотрите")
    assert read(driver, deal).comments == []
    for text in ("@Гусев П. И., посмотрите", "@Гусев П", "@гусев п.и.", "@gusev2: вот", "@Гусев"):
        chosen = [other_id] if text == "@Гусев" else []
        assert [one.id for one in say(driver, deal, text, mentions=chosen).mentions] == [other_id], text
    with transaction() as work:
        work.session.get_one(Person, other_id).active = False
    assert [one.name for one in say(driver, deal, "@Гусев").mentions] == ["Гусев А."]  # he has left
    with pytest.raises(InvalidInput, match="работающих"):
        say(driver, deal, "Посмотрите", mentions=[other_id])


def test_what_is_nobodys_name_is_only_a_word(driver: Driver) -> None:
    deal = driver.deal()
    for text in ("почта ivan@gusev.ru", "@", "@@", "@нет такого", "@Гусевым", "a@Гусев"):
        assert say(driver, deal, text).mentions == [], text


# --- comments -----------------------------------------------------------------------------------------------------


def test_a_comment_is_kept_as_it_was_said(driver: Driver) -> None:
    deal = driver.deal()
    text = "Строка 1\r\nСтрока 2 <b>не жирно</b> 😀"
    said = say(driver, deal, f"  {text}  ")
    (one,) = read(driver, deal).comments
    assert (one.id, one.text, one.mine) == (said.id, text.replace("\r\n", "\n"), True)
    assert not read(driver, deal, by="boss").comments[0].mine


@pytest.mark.parametrize("text", ["", "   \n ", "\u200b\u3164", "x" * 4001, "a\x00b", "\ud800"])
def test_what_cannot_be_kept_is_refused(driver: Driver, text: str) -> None:
    deal = driver.deal()
    with pytest.raises(InvalidInput) as refused:
        say(driver, deal, text)
    assert refused.value.field == "text"
    assert read(driver, deal).comments == []
    assert len(say(driver, deal, "x" * 4000).text) == 4000


def test_a_repeated_key_says_nothing_twice(driver: Driver) -> None:
    deal = driver.deal()
    first = say(driver, deal, "@Гусев", request_key="a key")
    again = say(driver, deal, "@Гусев", request_key="a key")
    assert first.id == again.id
    assert driver.told("зовёт вас") == ["engineer"]
    assert say(driver, deal, "@Гусев", by="boss", request_key="a key").id != first.id


def test_only_the_author_takes_his_words_back_and_for_an_hour_may_return_them(driver: Driver) -> None:
    deal = driver.deal()
    said = say(driver, deal, "Не то")
    for by in ("boss", "admin"):
        with pytest.raises(Forbidden):
            act(driver, talk.remove, said.id, by=by)
    with pytest.raises(NotFound):
        act(driver, talk.remove, said.id, by="engineer")
    removed = act(driver, talk.remove, said.id)
    assert (removed.removed, removed.text, removed.may_bring_back) == (True, "", True)
    assert act(driver, talk.remove, said.id).removed
    seen = read(driver, deal, by="boss").comments[0]
    assert (seen.removed, seen.text, seen.may_bring_back) == (True, "", False)
    assert act(driver, talk.bring_back, said.id).text == "Не то"
    act(driver, talk.remove, said.id)
    driver.at(driver.now + timedelta(minutes=61))
    assert not read(driver, deal).comments[0].may_bring_back
    with pytest.raises(Conflict, match="в течение часа"):
        act(driver, talk.bring_back, said.id)


def test_pages_go_back_in_time_without_gaps(driver: Driver) -> None:
    deal = driver.deal()
    for number in range(7):
        say(driver, deal, str(number))
    page = read(driver, deal, limit=3)
    assert ([one.text for one in page.comments], page.count) == (["4", "5", "6"], 7)
    page = read(driver, deal, limit=3, before=page.before_id)
    assert [one.text for one in page.comments] == ["1", "2", "3"]
    page = read(driver, deal, limit=3, before=page.before_id)
    assert ([one.text for one in page.comments], page.before_id) == (["0"], None)


def test_each_act_leaves_its_trace_and_wakes_no_wait(driver: Driver) -> None:
    deal = driver.deal()
    case = driver.deal_row(deal).case_id
    before = driver.read(lambda session: session.get(ProcessCase, case).seq)
    said = say(driver, deal, "секрет @Гусев")
    act(driver, talk.remove, said.id)
    act(driver, talk.bring_back, said.id)
    wanted = select(Audit).where(Audit.entity == "comment", Audit.entity_id == said.id).order_by(Audit.id)
    trace = driver.read(lambda session: session.scalars(wanted).all())
    assert [one.action for one in trace] == ["comment.said", "comment.removed", "comment.brought_back"]
    assert all("секрет" not in f"{one.text}{one.after}" for one in trace)
    assert driver.read(lambda session: session.get(ProcessCase, case).seq) == before
    assert driver.read(lambda session: session.scalar(select(func.count()).select_from(Notice))) > 0
