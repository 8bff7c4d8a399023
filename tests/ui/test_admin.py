"""Reference data and settings: every register is edited through HTTP, and each change leaves audit and event.

The registers are starlette-admin's, which commits rows itself unless told otherwise: the tests below walk all of them,
so that a register without a case, or one that changes something past the services, fails.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.ui import workday

pytestmark = pytest.mark.db
ORIGIN = "http://testserver"
HOSTILE = "<script>alert(1)</script>\"'><img src=x>"
NONE = object()


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with pytest.MonkeyPatch.context() as patch, workday.airflow_settings(home), workday.database():
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(Path(workday.__file__).resolve().parents[2] / "dags"))
        found()
        yield workday.application()


def found() -> None:
    """The demo company before its first deal."""
    from include.demo import company
    from include.reference.services import load_reference
    from include.shared.work import transaction

    with transaction(company.DEMO) as work:
        load_reference(work)
        company._hire(work)


class Browser:
    """A browser with somebody logged in; forms are sent as the page gave them."""

    def __init__(self, app: Any, login: str) -> None:
        self.client = TestClient(app, follow_redirects=False)
        answer = self.client.post(
            "/backoffice/login", data={"login": login, "password": workday.PASSWORD}, headers={"Origin": ORIGIN}
        )
        assert answer.status_code == 303, answer.text

    def get(self, path: str) -> Any:
        return self.client.get(f"/backoffice/admin{path}")

    def form(self, path: str) -> dict[str, str]:
        """The values of the page's own form, as a browser would send them back."""
        page = self.get(path)
        assert page.status_code == 200, (path, page.status_code, words(page))
        return values_of(page.text)

    def send(self, path: str, values: dict[str, str], origin: str = ORIGIN) -> Any:
        return self.client.post(f"/backoffice/admin{path}", data=values, headers={"Origin": origin})

    def fill(self, path: str, **changed: Any) -> Any:
        kept = {name: value for name, value in {**self.form(path), **changed}.items() if value is not NONE}
        return self.send(path, kept)


@pytest.fixture(scope="module")
def admin(app: Any) -> Browser:
    return Browser(app, "admin")


def values_of(page: str) -> dict[str, str]:
    main = page[page.index('<main id="content"') :]
    body = main[main.index("<form", main.index('method="post"') - 200) :]
    body = body[body.index('method="post"') : body.index("</form>")]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", body):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or " checked" in tag):
            found[name.group(1)] = unescape(value.group(1)) if value else ""
    for name, inner in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', body, re.S):
        chosen = re.search(r'value="([^"]*)" selected', inner) or re.search(r'value="([^"]*)"', inner)
        found[name] = unescape(chosen.group(1)) if chosen else ""
    for name, inner in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', body, re.S):
        found[name] = unescape(inner)
    return found


def words(answer: Any) -> str:
    body = re.sub(r"<(script|style).*?</\1>", " ", answer.text, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " "))


def one(sql: str, **parameters: Any) -> Any:
    from include.shared.work import reading

    with reading() as session:
        return session.execute(text(sql), parameters).scalar()


def do(sql: str) -> None:
    from include.shared.db import engine

    with engine().begin() as connection:
        connection.execute(text(sql))


def everything() -> dict[str, list[str]]:
    """All rows of all tables but the traces themselves and what the machine writes by the clock."""
    from include.models import metadata
    from include.shared.db import engine

    with engine().connect() as connection:
        return {
            table.name: sorted(repr(row) for row in connection.execute(table.select()))
            for table in metadata.sorted_tables
            if table.name not in ("audit", "outbox_event", "heartbeat")
        }


@dataclass
class Traces:
    """What was written since: audit rows and reference events."""

    audit: int = field(default_factory=lambda: one("SELECT coalesce(max(id), 0) FROM audit"))
    event: int = field(default_factory=lambda: one("SELECT coalesce(max(id), 0) FROM outbox_event"))

    def actors(self) -> set[int | None]:
        from include.shared.work import reading

        with reading() as session:
            return set(session.scalars(text("SELECT actor_id FROM audit WHERE id > :id"), {"id": self.audit}))

    def events(self) -> int:
        return one("SELECT count(*) FROM outbox_event WHERE id > :id AND kind = 'reference_changed'", id=self.event)  # type: ignore[no-any-return]


def person(login: str) -> str:
    return str(one("SELECT person_id FROM account WHERE login = :login", login=login))


def stage(title: str) -> str:
    return str(one("SELECT id FROM stage WHERE title = :title ORDER BY id LIMIT 1", title=title))


def without_login() -> str:
    return str(one("SELECT id FROM person WHERE last_name = 'Безвходова'"))


def at(key: str, page: str, pk: Any, **more: str) -> str:
    return f"/{key}/{page}?{urlencode({'pk': pk, **more})}"


# --- one case per register: how a row is made, changed and taken away, and a query that tells the changed fact --------


@dataclass(frozen=True)
class Case:
    """How a register is tried."""

    add: Callable[[], dict[str, Any]] | None
    pk: Callable[[], Any]
    change: dict[str, Any]
    fact: tuple[str, Any]  # a query with :pk, and what it gives after the change
    away: str | None = None  # the row action that takes the row away


CASES: dict[str, Case] = {
    "settings": Case(
        None, lambda: "identification_term", {"number": "8", "unit": "working_hours"},
        ("SELECT value::text FROM setting WHERE code = :pk", '{"working_hours": 8}'), "reset",
    ),
    "days": Case(
        lambda: {"day": "2027-03-09", "title": "День завода"}, lambda: "2027-03-09",
        {"title": "Перенос", "working": "yes"},
        ("SELECT working AND title = 'Перенос' FROM calendar_day WHERE day = CAST(:pk AS date)", True), "delete",
    ),
    "departments": Case(
        lambda: {"name": "Отдел проверки"},
        lambda: one("SELECT id FROM department WHERE name IN ('Отдел проверки', 'Отдел проб')"),
        {"name": "Отдел проб"}, ("SELECT name FROM department WHERE id = :pk", "Отдел проб"), "delete",
    ),
    "people": Case(
        lambda: {"last_name": "Новикова", "first_name": "Ирина", "post": "Стажёр"},
        lambda: one("SELECT id FROM person WHERE last_name = 'Новикова'"), {"post": "Инженер"},
        ("SELECT post FROM person WHERE id = :pk", "Инженер"), "deactivate",
    ),
    "logins": Case(
        lambda: {"person_id": one("SELECT id FROM person WHERE last_name = 'Входова'"), "login": "vhodova",
                 "password": "длинный-пароль-7"},
        lambda: one("SELECT person_id FROM account WHERE login LIKE 'vhodova%'"),
        {"login": "vhodova.m", "access": "ops"}, ("SELECT login FROM account WHERE person_id = :pk", "vhodova.m"),
    ),
    "roles": Case(
        lambda: {"code": "storekeeper", "title": "Кладовщик"}, lambda: "storekeeper", {"title": "Старший кладовщик"},
        ("SELECT title FROM role WHERE code = :pk", "Старший кладовщик"), "delete",
    ),
    "holders": Case(
        lambda: {"role_code": "accountant", "person_id": person("orlov")},
        lambda: "accountant." + str(one(
            "SELECT person_id FROM role_holder WHERE role_code = 'accountant' AND person_id IN (:a, :b)",
            a=int(person("orlov")), b=int(person("nikitin")))),
        {"person_id": lambda: person("nikitin")},
        ("SELECT count(*) FROM role_holder r JOIN account a USING (person_id)"
         " WHERE a.login = 'nikitin' AND r.role_code = 'accountant'", 1), "delete",
    ),
    "absences": Case(
        lambda: {"person_id": person("orlov"), "substitute_id": person("nikitin"), "begins_at": "2027-01-11T09:00",
                 "ends_at": "2027-01-18T09:00", "reason": "отпуск"},
        lambda: one("SELECT max(id) FROM absence"), {"ends_at": "2027-01-19T09:00"},
        ("SELECT count(*) FROM absence WHERE cancelled_at IS NULL AND ends_at = '2027-01-19 06:00+00'", 1), "delete",
    ),
    "funnels": Case(
        lambda: {"code": "rent", "title": "Аренда"}, lambda: "rent", {"title": "Прокат", "position": "1"},
        ("SELECT title || position FROM funnel WHERE code = :pk", "Прокат1"),
    ),
    "stages": Case(
        lambda: {"funnel_code": "services", "code": "survey", "title": "Обследование", "kind": "open"},
        lambda: one("SELECT id FROM stage WHERE code = 'survey'"), {"title": "Обследование объекта", "position": "3"},
        ("SELECT title || position FROM stage WHERE id = :pk", "Обследование объекта3"), "retire",
    ),
    "fields": Case(
        lambda: {"code": "colour", "title": "Цвет", "kind": "choice", "choices": "red: красный"}, lambda: "colour",
        {"choices": "red: алый\nblue: синий"},
        ("SELECT options ->> 'choices' FROM deal_field WHERE code = :pk", '{"red": "алый", "blue": "синий"}'),
    ),
}  # fmt: skip


def keys() -> list[str]:
    from backoffice.ui.admin import REGISTERS

    return [str(one.key) for one in REGISTERS]


@pytest.fixture(scope="module", autouse=True)
def somebody_without_a_login(app: Any) -> None:
    from include.shared.work import Actor, transaction
    from include.staff import admin as staff

    with transaction(Actor(kind="system")) as work:
        for name in ("Входова", "Безвходова"):
            staff.add_person(work, last_name=name, first_name="Мария")


def test_every_register_has_a_case(app: Any) -> None:
    assert sorted(CASES) == sorted(keys())


@pytest.mark.parametrize("key", CASES)
def test_every_change_leaves_audit_and_event_of_its_actor(admin: Browser, key: str) -> None:
    """Issue 3, line 5: audited, every view's edit leaves audit + event – and its removal, where rows are removed."""
    case, me = CASES[key], {int(person("admin"))}
    if case.add is not None:
        traces = Traces()
        answer = admin.fill(f"/{key}/create", **case.add())
        assert answer.status_code == 303, words(answer)
        assert traces.actors() == me
        assert traces.events() >= 1
    traces = Traces()
    changed = {name: value() if callable(value) else value for name, value in case.change.items()}
    answer = admin.fill(at(key, "edit", case.pk()), **changed)
    assert answer.status_code == 303, words(answer)
    assert answer.headers["location"].startswith("/backoffice/admin/")
    sql, expected = case.fact
    assert one(sql, pk=case.pk()) == expected if ":pk" in sql else one(sql) == expected
    assert traces.actors() == me
    assert traces.events() >= 1
    told = admin.get(at(key, "detail", case.pk()))
    assert "История" in words(told)
    assert "Изменений пока не было" not in words(told)
    if case.away is not None:
        traces = Traces()
        asked = at(key, "act", case.pk(), name=case.away)
        before = everything()
        assert "?" in words(admin.get(asked)), "it is asked first"
        assert everything() == before
        assert admin.fill(asked).status_code == 303
        assert everything() != before
        assert traces.actors() == me
        assert traces.events() >= 1


def a_row_to_edit(admin: Browser, key: str) -> str:
    """The address of some row's form; registers whose earlier rows are gone get a new one."""
    if key == "absences":
        at_most = one("SELECT coalesce(max(id), 0) FROM absence")
        day = f"2027-02-{(at_most % 13) * 2 + 1:02d}"
        admin.fill("/absences/create", person_id=person("sokolov"), begins_at=f"{day}T09:00", ends_at=f"{day}T18:00")
        made = one("SELECT max(id) FROM absence")
        assert made > at_most
        return at(key, "edit", made)
    if key == "days":
        admin.fill("/days/create", day="2027-05-12", title="Санитарный день")
        return at(key, "edit", "2027-05-12")
    page = admin.get(f"/{key}/list")
    links = re.findall(rf'href="/backoffice/admin({re.escape("/" + key)}/edit[^"]*)"', page.text)
    assert links
    return str(unescape(links[0]))


@pytest.mark.parametrize("key", CASES)
def test_a_form_sent_back_unchanged_changes_nothing(admin: Browser, key: str) -> None:
    link = a_row_to_edit(admin, key)
    before, traces = everything(), Traces()
    answer = admin.fill(link)
    assert answer.status_code == 303, words(answer)
    assert everything() == before
    assert traces.actors() == set()
    assert traces.events() == 0


@pytest.mark.parametrize("key", CASES)
def test_two_administrators_do_not_overwrite_each_other(admin: Browser, key: str) -> None:
    case = CASES[key]
    link = a_row_to_edit(admin, key)
    before = everything()
    answer = admin.fill(link, seen="0" * 32, **{
        name: value() if callable(value) else value for name, value in case.change.items()
    })  # fmt: skip
    assert answer.status_code == 422
    assert "изменил другой администратор" in words(answer)
    assert everything() == before


def addresses(key: str) -> list[str]:
    """Everything of a register that may be asked to change something."""
    return [
        f"/{key}/create", at(key, "edit", 1), at(key, "act", 1, name="delete"), f"/_api/{key}/import",
        f"/_api/{key}/action?name=delete&pks=1", f"/_api/{key}/row-action?name=delete&pk=1",
        f"/_api/{key}/inline-edit?pk=1&field=title",
    ]  # fmt: skip


@pytest.mark.parametrize("key", CASES)
def test_foreign_pages_and_missing_tokens_change_nothing(admin: Browser, key: str) -> None:
    token = admin.form("/people/create")["csrf"]
    before = everything()
    for path in addresses(key):
        for origin in ("https://evil.example", "null"):
            assert admin.send(path, {"csrf": token}, origin).status_code == 403, (path, origin)
        for wrong in ({}, {"csrf": ""}, {"csrf": "a.b"}):
            assert admin.send(path, wrong).status_code == 403, (path, wrong)
        answer = admin.client.post(f"/backoffice/admin{path}", json={}, headers={"Origin": ORIGIN})
        assert answer.status_code == 403, path
    assert everything() == before


def test_the_library_cannot_import_export_or_edit_past_our_forms(admin: Browser) -> None:
    token = admin.form("/people/create")["csrf"]
    headers = {"Origin": ORIGIN, "X-CSRF-Token": token}
    before = everything()
    for key in keys():
        for path in (f"/_api/{key}/import", f"/_api/{key}/inline-edit?pk=1&field=title"):
            assert admin.client.post(f"/backoffice/admin{path}", headers=headers).status_code == 403, path
        for name in ("export", "delete"):
            answer = admin.client.post(f"/backoffice/admin/_api/{key}/action?name={name}&pks=1", headers=headers)
            assert answer.status_code == 400, (key, name)
    assert everything() == before


def test_the_json_row_action_goes_through_the_services_too(admin: Browser) -> None:
    admin.fill("/departments/create", name="Отдел на час")
    pk = one("SELECT id FROM department WHERE name = 'Отдел на час'")
    headers = {"Origin": ORIGIN, "X-CSRF-Token": admin.form("/people/create")["csrf"]}
    traces = Traces()
    full = one("SELECT parent_id FROM department WHERE parent_id IS NOT NULL LIMIT 1")
    refused = admin.client.post(f"/backoffice/admin/_api/departments/row-action?name=delete&pk={full}", headers=headers)
    assert refused.status_code == 400
    assert "отделы внутри" in refused.json()["msg"]
    assert traces.actors() == set()
    done = admin.client.post(f"/backoffice/admin/_api/departments/row-action?name=delete&pk={pk}", headers=headers)
    assert done.status_code == 200, done.text
    assert done.json()["redirect"].endswith("/backoffice/admin/departments/list")
    assert traces.actors() == {int(person("admin"))}
    assert traces.events() == 1


@pytest.mark.parametrize(
    ("path", "values", "said"),
    [
        ("/people/create", {"last_name": "", "first_name": "Анна"}, "Заполните поле «Фамилия»"),
        ("/people/create", {"last_name": "Б", "first_name": "А", "email": "не почта"}, "Напишите адрес почты"),
        ("/departments/create", {"name": lambda: one("SELECT min(name) FROM department")}, "уже есть"),
        ("/days/create", {"day": "32.13.2026", "title": "x"}, "Напишите дату"),
        ("/days/create", {"day": "2027-06-01", "title": ""}, "Заполните поле «Почему день особый»"),
        ("/stages/create", {"funnel_code": "goods", "code": "Стадия", "title": "x"}, "латинские строчные"),
        ("/stages/create", {"funnel_code": "goods", "code": "q", "title": "Договор"}, "уже есть стадия «Договор»"),
        ("/stages/create", {"funnel_code": "goods", "code": "q", "title": "x", "position": "первая"}, "целое число"),
        ("/fields/create", {"code": "q", "title": "x", "kind": "choice"}, "Напишите варианты"),
        ("/fields/create", {"code": "q", "title": "x", "kind": "choice", "choices": "просто"}, "двоеточие"),
        ("/roles/create", {"code": "accountant", "title": "x"}, "уже есть"),
        ("/logins/create", {"person_id": without_login, "login": "admin", "password": "длинный-пароль-7"}, "занято"),
        ("/logins/create", {"person_id": without_login, "login": "free.one", "password": "кор"}, "Пароль – от 8"),
        (
            "/absences/create",
            {"person_id": lambda: person("orlov"), "begins_at": "2027-03-02T09:00", "ends_at": "2027-03-01T09:00"},
            "позже, чем",
        ),
        ("/funnels/create", {"code": "q", "title": "А/Б"}, "косой черты"),
    ],
)
def test_what_is_refused_is_said_beside_its_field_and_kept(
    admin: Browser, path: str, values: dict[str, Any], said: str
) -> None:
    values = {name: value() if callable(value) else value for name, value in values.items()}
    before = everything()
    answer = admin.fill(path, **values)
    assert answer.status_code == 422, words(answer)
    assert said in words(answer)
    assert 'role="alert"' in answer.text
    if said not in words(answer).split("Проверьте поля формы")[0]:
        assert 'aria-invalid="true"' in answer.text
    kept = values_of(answer.text)
    for name, value in values.items():
        assert kept[name] == ("" if name == "password" else value), "what was typed is not lost"
    assert everything() == before


def test_a_stage_that_a_process_waits_for_is_neither_renamed_nor_retired(admin: Browser) -> None:
    pk = stage("Экспресс-идентификация")
    answer = admin.fill(at("stages", "edit", pk), title="Узнавание")
    assert answer.status_code == 422
    assert "с этим названием написаны процессы" in words(answer)
    assert "goods_identification" in words(answer)
    answer = admin.fill(at("stages", "act", pk, name="retire"))
    assert answer.status_code == 409
    assert "нельзя убрать" in words(answer)
    answer = admin.fill(at("funnels", "edit", "goods"), title="Продажи")
    assert answer.status_code == 422
    assert "нельзя переименовать" in words(answer)


def test_a_field_that_a_process_reads_keeps_its_kind(admin: Browser) -> None:
    answer = admin.fill(at("fields", "edit", "complexity"), kind="text", choices="")
    assert answer.status_code == 422
    assert "нельзя" in words(answer)


def test_a_retired_stage_leaves_the_board_and_comes_back(admin: Browser) -> None:
    """Undo where loss threatens: what is taken out of work is put back."""
    admin.fill("/stages/create", funnel_code="goods", code="claim", title="Рекламация", kind="open")
    pk = one("SELECT id FROM stage WHERE code = 'claim'")
    board = lambda: words(admin.client.get("/backoffice/board/goods"))  # noqa: E731
    assert "Рекламация" in board()
    assert admin.fill(at("stages", "act", pk, name="retire")).status_code == 303
    assert "Рекламация" not in board()
    page = words(admin.get(at("stages", "detail", pk)))
    assert "Вернуть в работу" in page
    assert admin.fill(at("stages", "act", pk, name="restore")).status_code == 303
    assert "Рекламация" in board()


def test_settings_show_default_value_who_and_the_way_back(admin: Browser) -> None:
    """AG-5: terms in the settings; a value goes back to its default."""
    code = "identification_alarm"
    assert admin.fill(at("settings", "edit", code), number="2", unit="working_days").status_code == 303
    page = words(admin.get("/settings/list?q=Предупреждение"))
    assert "2 рабочих дня" in page
    assert "5 часов" in page
    assert "Тихонов" in page or one("SELECT last_name FROM person WHERE id = :id", id=int(person("admin"))) in page
    told = words(admin.get(at("settings", "detail", code)))
    assert "5 часов → 2 рабочих дня" in told
    assert "Вернуть по умолчанию" in told
    assert admin.fill(at("settings", "act", code, name="reset")).status_code == 303
    assert one("SELECT value::text FROM setting WHERE code = :code", code=code) == '{"hours": 5}'
    assert "Вернуть по умолчанию" not in words(admin.get(at("settings", "detail", code)))


@pytest.mark.parametrize(
    ("code", "kind", "values", "stored"),
    [
        ("try_switch", "switch", {"value": "yes"}, "true"),
        ("try_number", "number", {"value": "12"}, "12"),
        ("try_text", "text", {"value": HOSTILE}, NONE),
        ("try_role", "role", {"value": "accountant"}, '"accountant"'),
        ("try_term", "term", {"number": "3", "unit": "days"}, '{"days": 3}'),
    ],
)
def test_each_kind_of_setting_has_its_input(
    admin: Browser, code: str, kind: str, values: dict[str, str], stored: Any
) -> None:
    from include.shared import settings
    from include.shared.work import transaction

    default = {"switch": False, "number": 1, "text": "x", "role": "director", "term": {"hours": 1}}[kind]
    with transaction() as work:
        settings.declare(work, code, f"Проба: {kind}", kind, default)
    assert admin.fill(at("settings", "edit", code), **values).status_code == 303
    if stored is not NONE:
        assert one("SELECT value::text FROM setting WHERE code = :code", code=code) == stored
    page = admin.get(at("settings", "detail", code))
    assert HOSTILE not in page.text
    form = admin.form(at("settings", "edit", code))
    assert {name: form[name] for name in values} == values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"number": "много"}, "Введите целое число"),
        ({"number": "99999"}, "целое число до 3660"),
        ({"number": "-1"}, "целое число до 3660"),
        ({"unit": "веков"}, "Выберите единицу"),
    ],
)
def test_a_term_that_is_none_is_refused(admin: Browser, values: dict[str, str], said: str) -> None:
    answer = admin.fill(at("settings", "edit", "identification_term"), **values)
    assert answer.status_code == 422
    assert said in words(answer)


def test_a_password_is_set_and_never_shown(admin: Browser, app: Any) -> None:
    from include.shared.work import reading
    from include.staff.services import check_password

    pk, secret = person("ivanova"), "новый-пароль-навсегда"
    answer = admin.fill(at("logins", "edit", pk), password=secret)
    assert answer.status_code == 303, words(answer)
    with reading() as session:
        assert check_password(session, "ivanova", secret) is not None
    pages = [admin.get("/logins/list"), admin.get(at("logins", "detail", pk)), admin.get(at("logins", "edit", pk))]
    kept = one("SELECT password_hash FROM account WHERE login = 'ivanova'")
    assert not any(secret in page.text or kept in page.text for page in pages)
    assert "пароль сменён" in words(pages[1])
    assert secret not in one("SELECT string_agg(coalesce(before::text, '') || after::text, ' ') FROM audit")
    assert admin.fill(at("logins", "edit", pk)).status_code == 303
    with reading() as session:
        assert check_password(session, "ivanova", secret) is not None, "left empty, the present one stays"


def test_the_last_administrator_stays_one(admin: Browser) -> None:
    answer = admin.fill(at("logins", "edit", person("admin")), access="staff")
    assert answer.status_code == 422
    assert "последний администратор" in words(answer)


@pytest.mark.parametrize("login", ["sokolov", "ops"])
def test_others_are_refused_in_words(app: Any, login: str) -> None:
    browser = Browser(app, login)
    for key in keys():
        for page in (f"/{key}/list", f"/{key}/create", at(key, "edit", "1"), at(key, "detail", "1")):
            answer = browser.get(page)
            assert answer.status_code == 403, page
            assert "только администратор" in words(answer)
    assert browser.get("/").status_code == 403
    assert browser.client.get("/backoffice/settings").status_code == 403


def test_nobody_is_sent_to_the_login_and_back(app: Any) -> None:
    answer = TestClient(app, follow_redirects=False).get("/backoffice/admin/people/list?q=ив")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/backoffice/login?next=%2Fbackoffice%2Fadmin%2Fpeople%2Flist")


def test_pages_are_ours_russian_and_without_inline_code(admin: Browser) -> None:
    pages = ["/", *(f"/{key}/list" for key in keys()), *(f"/{key}/create" for key in keys() if key != "settings")]
    pages += [at("people", page, person("admin")) for page in ("detail", "edit")]
    pages += [at("people", "act", person("orlov"), name="deactivate"), at("stages", "edit", 3)]
    for path in pages:
        answer = admin.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        inline = re.search(r"<script(?![^>]*\bsrc)|<style|\sstyle=|\son\w+=|https?://(?!testserver)", answer.text)
        assert inline is None, (path, inline)
        assert "/backoffice/static/icon.svg" in answer.text
        assert "В бэк-офис" in answer.text
        assert not re.search(r"\b(Create|Edit|Delete|Search|Admin|Save|Actions)\b", words(answer)), path


def test_a_list_is_searched_sorted_and_paged(admin: Browser) -> None:
    found = words(admin.get("/people/list?q=иванова"))
    assert "Иванова" in found
    assert "Орлов" not in found
    assert "Ничего не нашлось" in words(admin.get("/people/list?q=нет-такого"))
    names = [re.findall(r'class="rows-title"[^>]*>([^<]+)<', admin.get(f"/departments/list?sort=name__{way}").text)
             for way in ("asc", "desc")]  # fmt: skip
    assert names[0] == names[1][::-1]
    assert len(names[0]) > 2
    assert admin.get("/people/list?page=9999").status_code == 200
    for wrong in ("sort=__class____asc", "page=x", "page_size=7", "filter=((", "q=%00", "q=" + "я" * 5000):
        assert admin.get(f"/people/list?{wrong}").status_code in (200, 422), wrong


def test_strange_keys_are_answered_in_words(admin: Browser) -> None:
    for key in keys():
        for pk in ("0", "нет", "9" * 40, "' OR 1=1", "\x00", "a.b"):
            for page in ("detail", "edit"):
                assert admin.get(at(key, page, pk)).status_code == 404, (key, pk)
            assert admin.get(at(key, "act", pk, name="delete")).status_code == 404
    assert admin.get("/none/list").status_code == 404
    assert admin.get("/people/none").status_code == 404


def test_hostile_texts_are_shown_as_text(admin: Browser) -> None:
    assert admin.fill("/departments/create", name=HOSTILE).status_code == 303
    for page in ("/departments/list", "/people/create", f"/departments/list?q={HOSTILE}"):
        assert HOSTILE not in admin.get(page).text


def test_work_follows_when_a_role_is_given_to_another(admin: Browser) -> None:
    """R001-17: a new mapping of a role moves open work as well; who did it stands in the trace."""
    pk = f"product_manager.{person('orlov')}"
    answer = admin.fill(at("holders", "edit", pk), person_id=person("nikitin"), reason="переход")
    assert answer.status_code == 303, words(answer)
    assert one("SELECT count(*) FROM role_holder WHERE role_code = 'product_manager'") == 1
    back = admin.fill(at("holders", "edit", f"product_manager.{person('nikitin')}"), person_id=person("orlov"))
    assert back.status_code == 303


def test_the_former_address_of_the_settings_leads_here(admin: Browser) -> None:
    answer = admin.client.get("/backoffice/settings")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/backoffice/admin/settings/list"
