"""The pages as a person meets them: logged in for real, with the demo company at work behind them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from tests.ui import workday

pytestmark = pytest.mark.db
ORIGIN = "http://testserver"
HOSTILE = "<script>alert(1)</script>\"'><img src=x>"


class Person:
    """A browser with somebody logged in."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, **kwargs):
        return self.client.get(f"/backoffice{path}", **kwargs)

    def token(self) -> str:
        return re.search(r'name="csrf" value="([^"]+)"', self.get("/forms").text).group(1)

    def post(self, path: str, follow: bool = True, **data: str):
        sent = {"csrf": self.token(), **{name.replace("__", "."): value for name, value in data.items()}}
        return self.client.post(f"/backoffice{path}", data=sent, headers={"Origin": ORIGIN}, follow_redirects=follow)


@pytest.fixture(scope="module")
def company() -> Iterator[workday.Conductor]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with workday.airflow_settings(home), workday.database():
        conductor = workday.Conductor()
        workday.start_company(conductor)
        yield conductor


@pytest.fixture(scope="module")
def app(company):
    return workday.application()


def _log_in(app, login: str) -> Person:
    client = TestClient(app)
    answer = client.post(
        "/backoffice/login", data={"login": login, "password": workday.PASSWORD}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 200, answer.text
    return Person(client)


@pytest.fixture(scope="module")
def admin(app) -> Person:
    return _log_in(app, "admin")


@pytest.fixture(scope="module")
def manager(app) -> Person:
    return _log_in(app, "ivanova")


@pytest.fixture(scope="module")
def head(app) -> Person:
    return _log_in(app, "sokolov")


def words(answer) -> str:
    """The page as it is read: tags away, spaces single."""
    body = re.sub(r"<(script|style).*?</\1>", " ", answer.text, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " "))


def one(sql: str, **parameters):
    from include.shared.work import reading

    with reading() as session:
        return session.execute(text(sql), parameters).scalar()


def my_open_task(login: str) -> int:
    found = one(
        "SELECT max(task.id) FROM task JOIN account ON account.person_id = task.executor_id"
        " WHERE account.login = :login AND task.state = 'open'",
        login=login,
    )
    assert found is not None, f"{login} has no open task"
    return found


def own_deal(person: Person, **more: str) -> int:
    answer = person.post("/deals/new", follow=False, **{
        "title": "Подшипники 6205", "funnel": "goods", "responsible_id": "", "request_key": "k", **more,
    })  # fmt: skip
    assert answer.status_code == 303, words(answer)
    return int(answer.headers["location"].rsplit("/", 1)[1])


def person_id(login: str) -> str:
    return str(one("SELECT person_id FROM account WHERE login = :login", login=login))


PAGES = {
    "/": "Мой день", "/?view=department": "Задачи отдела", "/board/goods": "Экспресс-идентификация",
    "/board/services?who=mine&q=насос": "Первичная идентификация", "/deals": "Почему ждёт", "/deals?q=нет-такой":
    "Ничего не нашлось", "/deals/new": "Новая сделка", "/deals/1": "Сделано, идёт, дальше", "/forms":
    "Входящее обращение", "/forms/client_request": "О чём обращение", "/notices": "Уведомления",
    "/settings": "Срок экспресс-идентификации",
}  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_for_an_administrator(admin, path):
    answer = admin.get(path)
    assert answer.status_code == 200, words(answer)
    assert PAGES[path] in words(answer)


@pytest.mark.parametrize("path", [*PAGES, "/tasks/1", "/requests/1", "/board", "/deals/1"])
def test_nobody_sees_a_page_without_a_login(app, path):
    answer = TestClient(app).get(f"/backoffice{path}", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/backoffice/login?next=")


def test_login_page_says_what_is_wrong_and_keeps_the_login(app):
    answer = TestClient(app).post(
        "/backoffice/login", data={"login": "ivanova", "password": "не тот"}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 422
    assert "Неверный логин или пароль" in words(answer)
    assert 'value="ivanova"' in answer.text
    assert "не тот" not in answer.text


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil"])
def test_login_leads_only_to_our_own_pages(app, target):
    answer = TestClient(app).post(
        "/backoffice/login",
        data={"login": "ivanova", "password": workday.PASSWORD, "next": target},
        headers={"Origin": ORIGIN},
        follow_redirects=False,
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/backoffice/"


def test_logout_ends_the_session(app):
    person = _log_in(app, "petrov")
    assert person.post("/logout", follow=False).status_code == 303
    assert person.get("/", follow_redirects=False).status_code == 303


def test_staff_does_not_see_the_settings(manager):
    answer = manager.get("/settings")
    assert answer.status_code == 403
    assert "Сюда нет доступа" in words(answer)
    assert "Настройки" not in words(manager.get("/"))


@pytest.mark.parametrize(
    "path",
    [
        "/deals/999999",
        "/deals/abc",
        "/deals/99999999999999999999",
        "/tasks/0",
        "/board/нет",
        "/forms/нет",
        "/чушь",
    ],
)
def test_what_does_not_exist_is_said_so(admin, path):
    answer = admin.get(path)
    assert answer.status_code == 404
    assert "Ничего не найдено" in words(answer)


@pytest.mark.parametrize(
    "query",
    ["page=-1", "page=abc", "page=99999999999", "q=%00", "q=%F0%28", "who=чужие", "stage=нет&funnel=нет"],
)
def test_a_strange_address_is_never_an_error_of_ours(admin, query):
    for path in ("/deals", "/board/goods", "/"):
        assert admin.get(f"{path}?{query}").status_code == 200


def test_my_day_shows_the_late_first(manager):
    task_id = my_open_task("ivanova")
    from include.shared.db import engine

    with engine().begin() as connection:
        connection.execute(text("UPDATE task SET due_at = now() - interval '3 days' WHERE id = :id"), {"id": task_id})
    said = words(manager.get("/"))
    assert "просрочено – 1" in said
    assert "просрочено на 3 дн." in said
    assert said.index("Просрочено") < (said.index("Сегодня") if "Сегодня" in said else len(said))


def test_a_task_is_closed_once_and_says_so(manager, company):
    task_id = my_open_task("ivanova")
    answer = manager.post(f"/tasks/{task_id}/close")
    assert answer.status_code == 200
    assert "выполнена" in words(answer)
    assert one("SELECT state FROM task WHERE id = :id", id=task_id) == "done"
    assert "Задача выполнена" in words(manager.get(f"/tasks/{task_id}"))


def test_a_foreign_task_cannot_be_closed(app):
    gusev = _log_in(app, "gusev")
    answer = gusev.post(f"/tasks/{my_open_task('petrov')}/close")
    assert answer.status_code == 404


def test_a_term_is_changed_only_with_a_reason_and_the_input_is_kept(admin):
    task_id = my_open_task("petrov")
    refused = admin.post(f"/tasks/{task_id}/term", due="2030-01-15T12:30", reason="  ")
    assert refused.status_code == 422
    assert "Напишите, почему меняется срок" in words(refused)
    assert 'value="2030-01-15T12:30"' in refused.text
    changed = admin.post(f"/tasks/{task_id}/term", due="2030-01-15T12:30", reason="Клиент в отпуске")
    assert "Новый срок: 15.01.2030 12:30" in words(changed)
    assert "Клиент в отпуске" in words(changed)


@pytest.mark.parametrize("due", ["", "вчера", "2001-01-01T00:00", "9999-99-99T00:00", "\x00", "9" * 5000])
def test_a_senseless_term_is_refused_beside_its_field(admin, due):
    answer = admin.post(f"/tasks/{my_open_task('petrov')}/term", due=due, reason="так")
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text or 'role="alert"' in answer.text


def test_a_task_is_given_to_another_person(admin, app):
    task_id = my_open_task("petrov")
    refused = admin.post(f"/tasks/{task_id}/give", person_id=person_id("orlov"), give_reason="")
    assert refused.status_code == 422
    answer = admin.post(f"/tasks/{task_id}/give", person_id=person_id("orlov"), give_reason="Отпуск")
    assert "Задача передана" in words(answer)
    assert "Вам передана задача" in words(_log_in(app, "orlov").get("/notices"))


def test_guard_says_what_is_missing_and_where(admin):
    from include.shared.db import engine

    task_id = my_open_task("nikitin")
    with engine().begin() as connection:
        connection.execute(
            text("""UPDATE task SET guard = '{"filled": "quote_feedback_at"}' WHERE id = :id"""),
            {"id": task_id},
        )
    said = words(admin.get(f"/tasks/{task_id}"))
    assert "Задачу нельзя закрыть, пока" in said
    answer = admin.post(f"/tasks/{task_id}/close")
    assert answer.status_code == 409
    assert "Не заполнено поле «Дата получения обратной связи по КП»" in words(answer)
    assert re.search(r'href="/backoffice/deals/\d+#field-quote_feedback_at"', answer.text)
    assert one("SELECT state FROM task WHERE id = :id", id=task_id) == "open"
    deal_id = one("SELECT deal.id FROM deal JOIN task USING (case_id) WHERE task.id = :id", id=task_id)
    assert 'id="field-quote_feedback_at"' in admin.get(f"/deals/{deal_id}").text


def test_a_deal_is_created_once_however_often_the_button_is_pressed(admin):
    first = own_deal(admin, request_key="twice", responsible_id=person_id("admin"))
    assert own_deal(admin, request_key="twice", responsible_id=person_id("admin")) == first
    assert "Сделка «Подшипники 6205»" in words(admin.get(f"/deals/{first}")) or "Подшипники 6205" in words(
        admin.get(f"/deals/{first}")
    )


def test_a_deal_made_for_somebody_else_is_still_shown_to_whoever_made_it(app):
    gusev = _log_in(app, "gusev")
    answer = gusev.post(
        "/deals/new", title="Чужая", funnel="goods", responsible_id=person_id("petrov"), request_key="other"
    )
    assert "Сделка «Чужая» создана" in words(answer)


def test_an_empty_deal_form_says_what_to_fill(admin):
    answer = admin.post("/deals/new", title="", funnel="", responsible_id="", source="Звонок")
    assert answer.status_code == 422
    said = words(answer)
    assert "Заполните «Название»" in said
    assert "Заполните «Направление»" in said
    assert 'value="Звонок"' in answer.text


@pytest.mark.parametrize("amount", ["много", "-5", "1e400", "NaN", "1,001"])
def test_a_senseless_sum_is_refused_and_nothing_is_created(admin, amount):
    before = one("SELECT count(*) FROM deal")
    answer = admin.post(
        "/deals/new",
        title="Сумма",
        funnel="goods",
        responsible_id=person_id("admin"),
        amount=amount,
        request_key=amount,
    )
    assert answer.status_code == 422
    assert "нужна сумма" in words(answer)
    assert one("SELECT count(*) FROM deal") == before


def test_company_is_found_without_javascript(admin):
    answer = admin.post("/deals/new", title="Ремни", act="find", company_q="волга")
    assert answer.status_code == 200
    assert "ООО «Волга-Насос»" in words(answer)
    company_id = one("SELECT id FROM company WHERE name = 'ООО «Волга-Насос»'")
    chosen = admin.post("/deals/new", title="Ремни", company_q="волга", pick=str(company_id))
    assert f'name="company_id" value="{company_id}"' in chosen.text
    assert 'value="Ремни"' in chosen.text


def test_a_typed_company_that_was_not_chosen_is_asked_about(admin):
    answer = admin.post(
        "/deals/new", title="Ремни", funnel="goods", responsible_id=person_id("admin"), company_q="волга"
    )
    assert answer.status_code == 422
    assert "Выберите компанию из найденных" in words(answer)


def test_a_company_that_is_no_more_is_not_dropped_in_silence(admin):
    before = one("SELECT count(*) FROM deal")
    answer = admin.post("/deals/new", title="С компанией", funnel="goods", responsible_id=person_id("admin"),
                        company_id="999999")  # fmt: skip
    assert answer.status_code == 422
    assert "Выберите компанию" in words(answer)
    assert one("SELECT count(*) FROM deal") == before


def test_whoever_comes_second_to_a_request_is_told_so(admin, manager, app):
    deal_id = own_deal(admin, request_key="two take it", responsible_id=person_id("admin"))
    admin.post(f"/deals/{deal_id}/stage", stage="identification", seen_stage="new")
    sent = {"stage": "identification", "seen_stage": "new", "back": "/backoffice/board/goods"}
    assert "уже взял в работу другой" in words(manager.post(f"/deals/{deal_id}/stage", **sent))


def test_company_is_created_in_the_form_after_similar_ones_were_shown(admin):
    opened = admin.post("/deals/new", title="Цепь", act="open", company_q="Волга Насос")
    assert "Новая компания" in words(opened)
    assert 'value="Волга Насос"' in opened.text
    similar = admin.post(
        "/deals/new", title="Цепь", act="make", c__name="Волга Насос", c__kind="legal", company_key="c1"
    )
    assert "Похожие компании уже есть" in words(similar)
    assert "ООО «Волга-Насос»" in words(similar)
    made = admin.post(
        "/deals/new",
        title="Цепь",
        act="make_anyway",
        c__name="Волга Насос",
        c__kind="legal",
        company_key="c1",
    )
    company_id = one("SELECT id FROM company WHERE name = 'Волга Насос'")
    assert f'name="company_id" value="{company_id}"' in made.text
    assert 'value="Цепь"' in made.text
    admin.post(
        "/deals/new",
        title="Цепь",
        act="make_anyway",
        c__name="Волга Насос",
        c__kind="legal",
        company_key="c1",
    )
    assert one("SELECT count(*) FROM company WHERE name = 'Волга Насос'") == 1


def test_a_wrong_inn_is_refused_beside_its_field(admin):
    answer = admin.post(
        "/deals/new", act="make", c__name="Новая фирма", c__kind="legal", c__inn="123", company_key="c2"
    )
    assert answer.status_code == 422
    assert "10 цифр" in words(answer)
    assert 'value="123"' in answer.text


def test_a_deal_moves_and_a_stale_page_is_told_so(admin):
    deal_id = own_deal(admin, request_key="move", responsible_id=person_id("admin"))
    stages = dict(re.findall(r'<option value="(\w+)"[^>]*>([^<]+)</option>', admin.get(f"/deals/{deal_id}").text))
    first, second, third = list(stages)[:3]
    moved = admin.post(f"/deals/{deal_id}/stage", stage=second, seen_stage=first)
    assert f"переведена на стадию «{stages[second]}»" in words(moved)
    stale = admin.post(f"/deals/{deal_id}/stage", stage=third, seen_stage=first)
    assert stale.status_code == 409
    assert f"Сделку уже перевели на стадию «{stages[second]}»" in words(stale)


def test_losing_a_deal_is_confirmed_first(admin):
    deal_id = own_deal(admin, request_key="lose", responsible_id=person_id("admin"))
    lost = one("SELECT code FROM stage WHERE funnel_code = 'goods' AND kind = 'lost'")
    present = one("SELECT stage.code FROM stage JOIN deal ON deal.stage_id = stage.id WHERE deal.id = :id", id=deal_id)
    asked = admin.post(f"/deals/{deal_id}/stage", stage=lost, seen_stage=present)
    assert asked.status_code == 200
    assert "Перевести на «Сделка проиграна»?" in words(asked)
    assert one("SELECT closed_at FROM deal WHERE id = :id", id=deal_id) is None
    done = admin.post(f"/deals/{deal_id}/stage", stage=lost, seen_stage=present, confirmed="yes")
    assert "переведена на стадию «Сделка проиграна»" in words(done)


def test_only_changed_fields_are_stored(admin):
    deal_id = own_deal(admin, request_key="fields", responsible_id=person_id("admin"), amount="100")
    answer = admin.post(
        f"/deals/{deal_id}/fields",
        amount="250,50",
        was__amount="100,00",
        track_number="было",
        was__track_number="было",
    )
    assert "Сохранено полей: 1" in words(answer)
    assert one("SELECT amount FROM deal WHERE id = :id", id=deal_id) == 250.5
    assert "100,00 ₽ → 250,50 ₽" in words(answer)


def test_a_wrong_field_is_refused_with_the_input_kept(admin):
    deal_id = own_deal(admin, request_key="wrong", responsible_id=person_id("admin"))
    answer = admin.post(f"/deals/{deal_id}/fields", amount="сто", was__amount="")
    assert answer.status_code == 422
    assert "нужна сумма" in words(answer)
    assert 'value="сто"' in answer.text


def test_the_responsible_changes_with_a_reason(admin):
    deal_id = own_deal(admin, request_key="resp", responsible_id=person_id("admin"))
    refused = admin.post(f"/deals/{deal_id}/responsible", person_id=person_id("petrov"), reason="")
    assert refused.status_code == 422
    answer = admin.post(f"/deals/{deal_id}/responsible", person_id=person_id("petrov"), reason="Его клиент")
    assert "Ответственный изменён" in words(answer)
    assert "Петров А. Ю." in words(answer)


def test_who_may_not_change_a_deal_sees_no_form_and_is_refused(head, app):
    orlov = _log_in(app, "orlov")
    deal_id = one("SELECT min(id) FROM deal WHERE funnel_code = 'goods'")
    page = orlov.get(f"/deals/{deal_id}")
    assert page.status_code == 200
    assert "Сохранить поля" not in words(page)
    refused = orlov.post(f"/deals/{deal_id}/fields", amount="1", was__amount="")
    assert refused.status_code in (403, 404)


def test_file_fields_are_not_offered(admin):
    files = one("SELECT string_agg(code, ',') FROM deal_field WHERE kind = 'file'")
    page = admin.get("/deals/1").text
    for code in (files or "").split(","):
        assert not code or f'name="{code}"' not in page


def test_a_process_starts_from_its_form_and_becomes_a_deal(admin, company):
    bad = admin.post("/forms/client_request", direction="Товары", subject="", responsible_id="")
    assert bad.status_code == 422
    assert "Заполните «О чём обращение»" in words(bad)
    answer = admin.post(
        "/forms/client_request", direction="Товары", subject="Нужен насос", responsible_id=person_id("ivanova"),
        request_key="form-1",
    )  # fmt: skip
    assert answer.status_code == 200
    assert "Нужен насос" in words(answer)
    company.settle()
    again = admin.get(answer.url.path.removeprefix("/backoffice"))
    assert "Открыть сделку" in words(again)


def test_hostile_texts_are_shown_as_text(admin):
    deal_id = own_deal(admin, title=HOSTILE, request_key="xss", responsible_id=person_id("admin"))
    for path in (
        f"/deals/{deal_id}",
        "/deals",
        "/board/goods",
        "/deals?q=%3Cscript%3E",
        "/deals?q=%22%3E%3Cimg",
    ):
        body = admin.get(path).text
        assert "<script>alert" not in body
        assert "<img src=x" not in body
    assert "&lt;script&gt;alert(1)" in admin.get(f"/deals/{deal_id}").text


def test_no_page_has_inline_scripts_or_styles(admin):
    for path in PAGES:
        body = admin.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", body)
        assert not re.search(r"\sstyle=|\son\w+=", body)


def test_a_form_without_its_token_or_from_elsewhere_is_refused(admin):
    without = admin.client.post("/backoffice/deals/new", data={"title": "x"}, headers={"Origin": ORIGIN})
    foreign = admin.client.post(
        "/backoffice/deals/new",
        data={"title": "x", "csrf": admin.token()},
        headers={"Origin": "https://evil.example"},
    )
    assert (without.status_code, foreign.status_code) == (403, 403)


def test_a_notice_opens_what_it_is_about_and_is_read_then(app):
    ivanova = _log_in(app, "ivanova")
    notice_id = one(
        "SELECT max(notice.id) FROM notice WHERE person_id = :id AND task_id IS NOT NULL AND read_at IS NULL",
        id=int(person_id("ivanova")),
    )
    answer = ivanova.post(f"/notices/{notice_id}/open", follow=False)
    assert answer.headers["location"].startswith("/backoffice/tasks/")
    assert one("SELECT read_at FROM notice WHERE id = :id", id=notice_id) is not None
    ivanova.post("/notices/read")
    assert "Все прочитаны" in words(ivanova.get("/notices"))


def test_two_hundred_tasks_stay_readable(admin, manager):
    from include.process.models import ProcessCase
    from include.shared.work import PROCESS, transaction
    from include.tasks.models import Task

    with transaction(PROCESS) as work:
        case = work.session.scalars(select(ProcessCase).limit(1)).one()
        work.session.add_all(
            Task(
                key=f"many/{number}", case_id=case.id, step="many", topic=f"many/{number}", title=f"Задача {number}",
                addressed_to="responsible", executor_id=int(person_id("admin")), created_at=work.now, state="open",
                result_fields={},
            )
            for number in range(200)
        )  # fmt: skip
    first = admin.get("/")
    assert first.text.count(">Задача ") == 50
    assert "Ещё 150" in words(first)
    assert "Задача 199" in words(admin.get("/?group=none&page=4"))


def test_statics_come_from_here(app):
    client = TestClient(app)
    for path in (
        "static/app.css",
        "static/app.js",
        "static/theme.js",
        "static/icon.svg",
        "vendor/css/vendor/tabler.min.css",
    ):
        assert client.get(f"/backoffice/{path}").status_code == 200
