"""My settings, the bell and «Мой день»: what a person lives in, each with its trace."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from tests.ui.api.conftest import PASSWORD, forget_guesses

pytestmark = pytest.mark.db
PAGES = ("/me", "/notices", "/notices/bell", "/", "/day/late")


@pytest.fixture(autouse=True)
def nobody_guesses():
    yield
    forget_guesses()


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_them_without_a_login(desk, path):
    answer = TestClient(desk.app).get(f"/backoffice{path}", follow_redirects=False)
    assert answer.status_code == 303
    assert TestClient(desk.app).get("/backoffice/api/notices/unread").status_code == 401


def audit(desk, action: str) -> list[tuple[str, str]]:
    from sqlalchemy import text

    from include.shared.work import reading

    with reading() as session:
        rows = session.execute(
            text("SELECT text, coalesce(before::text, '') || coalesce(after::text, '') FROM audit"
                 " WHERE action = :action ORDER BY id"), {"action": action},
        )  # fmt: skip
        return [(one[0], one[1]) for one in rows]


# --- look and time zone -----------------------------------------------------------------------------------------------


def test_the_theme_is_kept_with_the_person_and_traced(desk, words):
    manager = desk.as_("manager")
    assert 'data-theme="auto"' in manager.get("/").text
    assert "Сохранено" in words(manager.post("/me/preferences", theme="dark"))
    assert 'data-theme="dark"' in manager.get("/").text
    assert 'data-theme="dark"' in desk.enter("manager").get("/").text  # in another browser, too
    assert 'data-theme="auto"' in desk.as_("boss").get("/").text
    manager.post("/me/preferences", theme="dark")
    assert audit(desk, "person.preference_changed") == [("Тема: тёмная", '{"theme": "auto"}{"theme": "dark"}')]


@pytest.mark.parametrize("sent", [{"theme": "розовая"}, {"day_groups": ""}, {"time_zone": "Moscow/Europe"},
                                  {"time_zone": "../../etc/passwd"}, {"time_zone": "\x00"}])  # fmt: skip
def test_what_is_not_offered_is_refused(desk, sent):
    answer = desk.as_("boss").post("/me/preferences", **sent)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text


def test_my_day_shows_terms_in_my_time_zone(desk, words):
    """A term just after midnight in Vladivostok is today's there and yesterday's evening in Moscow."""
    taker = desk.as_("taker")
    desk.task("пояс", "mine", "taker", due_at="2090-06-01T14:30:00+00:00")
    assert "01.06.2090 17:30" in words(taker.get("/"))
    taker.post("/me/preferences", time_zone="Asia/Vladivostok")
    assert "02.06.2090 00:30" in words(taker.get("/"))
    assert [said for said, _ in audit(desk, "person.time_zone_changed")] == ["Часовой пояс: Asia/Vladivostok"]


# --- password ---------------------------------------------------------------------------------------------------------


def test_the_password_changes_only_with_the_present_one(desk, words):
    leaver, new = desk.as_("leaver"), "new-horse-8"
    for sent, said in (
        ({"old_password": "не тот", "new_password": new, "repeated": new}, "Нынешний пароль не подходит"),
        ({"old_password": PASSWORD, "new_password": "мал", "repeated": "мал"}, "от 8 до 200 знаков"),
        ({"old_password": PASSWORD, "new_password": new, "repeated": new + "x"}, "Повторите новый пароль"),
        ({"old_password": PASSWORD, "new_password": PASSWORD, "repeated": PASSWORD}, "такой же, как нынешний"),
    ):
        refused = leaver.post("/me/password", **sent)
        assert refused.status_code == 422
        assert said in words(refused)
        assert new not in refused.text
    assert audit(desk, "account.password_changed") == []
    done = leaver.post("/me/password", old_password=PASSWORD, new_password=new, repeated=new)
    assert "Пароль изменён" in words(done)
    ((said, kept),) = audit(desk, "account.password_changed")
    assert said == "Сменил(а) свой пароль"
    assert "horse" not in kept
    desk.enter("leaver", new)
    client = TestClient(desk.app)
    old = client.post(
        "/backoffice/login", data={"login": "leaver", "password": PASSWORD}, headers={"Origin": "http://testserver"}
    )
    assert old.status_code == 422


def test_guessing_the_present_password_is_slowed_down_as_the_login_is(desk, words):
    product = desk.as_("product")
    for _ in range(10):
        product.post("/me/password", old_password="мимо", new_password="x" * 9, repeated="x" * 9)
    right = product.post("/me/password", old_password=PASSWORD, new_password="x" * 9, repeated="x" * 9)
    assert right.status_code == 429
    assert "Слишком много" in words(right)
    assert audit(desk, "account.password_changed")[1:] == []


# --- absence ----------------------------------------------------------------------------------------------------------


def test_my_absence_is_recorded_shown_and_taken_back(desk, words):
    accountant = desk.as_("accountant")
    substitute = str(desk.company.people["product"])
    refused = accountant.post("/me/absence", begins_on="2090-02-02", ends_on="2090-02-01", substitute_id=substitute)
    assert refused.status_code == 422
    assert 'value="2090-02-02"' in refused.text
    assert accountant.post("/me/absence", begins_on="вчера", ends_on="").status_code == 422
    assert accountant.post("/me/absence", begins_on="99999-01-01", ends_on="0001-01-01").status_code == 422
    day = desk.one("SELECT (now() + interval '10 days')::date::text")
    said = words(accountant.post("/me/absence", begins_on=day, ends_on=day, substitute_id=substitute, reason="Отпуск"))
    assert "Отсутствие записано" in said
    assert "замещает Орлов" in said
    absence = desk.one("SELECT id FROM absence ORDER BY id DESC LIMIT 1")
    span = desk.one("SELECT ends_at - begins_at FROM absence WHERE id = :id", id=absence)
    assert span == timedelta(days=1)  # the last day is away, too
    assert desk.as_("boss").post(f"/me/absence/{absence}/cancel").status_code == 404
    assert "Отсутствие снято" in words(accountant.post(f"/me/absence/{absence}/cancel"))
    assert desk.one("SELECT cancelled_at FROM absence WHERE id = :id", id=absence) is not None


# --- bell -------------------------------------------------------------------------------------------------------------


def notify(desk, login: str, number: int) -> None:
    desk.change(
        "INSERT INTO notice (key, person_id, text, created_at) SELECT 'bell/' || :login || n, :person,"
        " 'Весть ' || n, now() FROM generate_series(1, :number) n",
        login=login, person=desk.company.people[login], number=number,
    )  # fmt: skip


def test_the_bell_asks_lightly_and_hears_only_changes(desk):
    boss = desk.as_("boss")
    first = boss.api("GET", "/notices/unread")
    assert first.status_code == 200
    tag = first.headers["etag"]
    same = boss.api("GET", "/notices/unread", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    notify(desk, "boss", 2)
    changed = boss.api("GET", "/notices/unread", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["count"] == first.json()["count"] + 2
    assert changed.json()["newest"] > first.json()["newest"]
    inside = boss.get("/notices/bell").text
    assert "Весть 2" in inside
    assert "<html" not in inside


def test_reading_all_can_be_taken_back_and_only_that(desk, words):
    colleague = desk.as_("colleague")
    notify(desk, "colleague", 3)
    one = desk.one("SELECT min(id) FROM notice WHERE person_id = :id", id=desk.company.people["colleague"])
    colleague.post(f"/notices/{one}/open", follow=False)
    read = colleague.api("POST", "/notices/read", json={}).json()
    assert read["count"] == 2
    unread = "SELECT count(*) FROM notice WHERE person_id = :id AND read_at IS NULL"
    assert desk.one(unread, id=desk.company.people["colleague"]) == 0
    foreign = desk.as_("manager").api("POST", "/notices/unread", json={"at": read["at"]})
    assert foreign.json() == {"count": 0}
    assert colleague.api("POST", "/notices/unread", json={"at": read["at"]}).json() == {"count": 2}
    assert desk.one(unread, id=desk.company.people["colleague"]) == 2
    assert colleague.api("POST", "/notices/unread", json={"at": "вчера"}).status_code == 422
    page = colleague.post("/notices/read", back="/backoffice/notices")
    assert "Вернуть непрочитанными" in words(page)
    at = re.search(r'name="at" value="([^"]+)"', page.text).group(1)
    assert "Не прочитано: 2" in words(colleague.post("/notices/unread", at=at))
    assert colleague.post("/notices/unread", at="чушь").status_code == 200


def test_old_notices_are_reached_page_by_page(desk, words):
    ops = desk.as_("ops")
    notify(desk, "ops", 120)
    first = ops.get("/notices")
    assert "Весть 120" in words(first)
    older = re.search(r'href="/backoffice(/notices\?before=\d+)"', first.text).group(1)
    assert re.search(r">Весть 1<|>Весть 1\W", ops.get(older).text)
    assert ops.get("/notices?before=abc&undo=чушь").status_code == 200


# --- my day -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full_day(desk):
    """Two hundred open tasks of one person on ten deals, with and without terms, and an armed alarm."""
    person = desk.company.people["stranger"]
    for number in range(10):
        desk.deal(f"Полный день {number}", "stranger")
    desk.change(
        "INSERT INTO task (key, case_id, step, topic, title, addressed_to, executor_id, state, created_at,"
        " result_fields, due_at)"
        " SELECT 'day/' || n, deal.case_id, 'x', 'day/' || n, 'Дело номер ' || n, 'responsible', :person, 'open',"
        " now(),"
        " '{\"fields\": []}', CASE n % 5 WHEN 0 THEN now() - interval '2 days' WHEN 1 THEN now() + interval '90 days'"
        " WHEN 2 THEN date_trunc('day', now() AT TIME ZONE 'Europe/Moscow') AT TIME ZONE 'Europe/Moscow'"
        " + interval '36 hours' WHEN 3 THEN NULL ELSE now() + interval '60 days' END"
        " FROM generate_series(1, 200) n JOIN deal ON deal.title = 'Полный день ' || n % 10",
        person=person,
    )
    return person


def test_two_hundred_tasks_are_grouped_counted_and_light(desk, full_day, words):
    """★: six questions at most beside the login's own, and a page that a phone loads at once."""
    stranger = desk.as_("stranger")
    stranger.get("/")
    with desk.questions() as asked:
        answer = stranger.get("/")
    own = [one for one in asked if not any(mark in one for mark in ("FROM account", "acts_for", "roles_of", "led_by"))]
    assert len(own) <= 6, own
    assert len(answer.content) < 300_000
    said = words(answer)
    assert "200 открытых задач, просрочено – 40" in said
    places = [said.index(one) for one in ("Просрочено задач: 40", "Завтра задач: 40", "Позже задач: 80", "Без срока")]
    assert places == sorted(places)
    assert answer.text.count('class="task-main"') == 40 + 40 + 50 + 40
    assert "Ещё 30" in said


def test_a_group_goes_on_page_by_page(desk, full_day, words):
    stranger = desk.as_("stranger")
    more = stranger.get("/day/later?page=2")
    assert more.text.count('class="task-main"') == 30
    assert "<html" not in more.text
    alone = stranger.get("/?group=later&page=2")
    assert alone.text.count('class="task-main"') == 30
    assert "Просрочено задач" not in words(alone)
    assert stranger.get("/day/later?page=3").status_code == 404
    assert stranger.get("/day/чушь").status_code == 404
    assert "Таких задач нет" in words(stranger.get("/?group=чушь"))


def test_tasks_are_narrowed_by_text_of_task_or_deal(desk, full_day, words):
    stranger = desk.as_("stranger")
    assert stranger.get("/?q=номер 178").text.count('class="task-main"') == 1
    assert stranger.get("/?q=полный день 3").text.count('class="task-main"') == 20
    assert "Таких задач нет" in words(stranger.get("/?q=%25"))
    assert "Показать все" in words(stranger.get("/?q=нет такого"))


def test_by_deal_each_deal_is_a_group_the_most_urgent_first(desk, full_day, words):
    stranger = desk.as_("stranger")
    stranger.post("/me/preferences", day_groups="deal")
    answer = stranger.get("/")
    heads = re.findall(r'<h2 id="group-case-\d+"><a href="(/backoffice/deals/\d+)">(Полный день \d)', answer.text)
    assert len(heads) == 10
    assert {heads[0][1], heads[1][1]} == {"Полный день 0", "Полный день 5"}  # the overdue ones
    stranger.post("/me/preferences", day_groups="risk")


def test_a_stranger_s_day_is_not_shown(desk, full_day, words):
    assert "Дело номер" not in words(desk.as_("manager").get("/"))
    assert "Мой день" in words(desk.as_("manager").get("/?view=department"))  # he leads nobody


def test_alarms_name_whom_they_tell_as_everywhere_else(desk, full_day):
    """The short name is made by the question itself there; it must be the same as a person's own."""
    from sqlalchemy import text

    from include.shared.db import query_text
    from include.shared.work import reading
    from include.staff.models import Person

    made = re.search(r"concat_ws\(.*?\)\s*(?=\)\s*ORDER|\) ORDER)", query_text("workplace/armed_alarms"), re.S)
    assert made is not None
    with reading() as session:
        rows = session.execute(text(f"SELECT person.id, {made.group(0)} AS said FROM person")).all()
        assert {one.said for one in rows} == {session.get_one(Person, one.id).short_name for one in rows}


def test_what_waits_for_my_approval_stands_on_my_day(desk, words):
    """The approval of a contract, asked of a person: on his page, not on another's."""
    person, case = desk.company.people["boss"], desk.one("SELECT case_id FROM deal ORDER BY id LIMIT 1")
    desk.change(
        "WITH made AS (INSERT INTO approval (key, case_id, step, title, mode, term, created_at, initiator_id)"
        " VALUES ('day', :case, 'x', 'Согласуйте договор', 'chain', '{}', now(), :by) RETURNING id)"
        " INSERT INTO approval_seat (approval_id, round, position, title, address, holder, state, asked_at, due_at)"
        " SELECT id, 1, 1, 'Кто решает', 'person', 'person:' || :person, 'asked', now(), now() - interval '1 hour'"
        " FROM made",
        case=case, person=person, by=desk.company.people["manager"],
    )  # fmt: skip
    said = words(desk.as_("boss").get("/"))
    assert "Ждут вашего согласования 1" in said
    assert "Согласуйте договор" in said
    assert "Согласуйте договор" not in words(desk.as_("colleague").get("/"))
    desk.as_("boss").get("/")
    with desk.questions() as asked:
        desk.as_("boss").get("/")
    own = [one for one in asked if not any(mark in one for mark in ("FROM account", "acts_for", "roles_of", "led_by"))]
    assert len(own) <= 7, own
