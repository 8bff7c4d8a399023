"""A real browser walks request → deal → board → task → guard, on a desktop and on a phone, by mouse and keyboard.

Skipped, and said so, where neither Playwright nor Chromium is installed. With BACKOFFICE_PICTURES=yes it renews
docs/pictures/*.png.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from include.installation.installation import free_port
from include.staff import services
from tests.ui import workday

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="нет Playwright: браузерная проверка пропущена")
from tests.browser.visitor import DESKTOP, PHONE, UNNAMED, Visitor  # noqa: E402 - it needs Playwright

pytestmark = [
    pytest.mark.browser,
    pytest.mark.db,
    pytest.mark.skipif(CHROMIUM is None, reason="нет Chromium: браузерная проверка пропущена"),
]


@pytest.fixture(scope="module")
def conductor() -> Iterator[workday.Conductor]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with pytest.MonkeyPatch.context() as patch, workday.airflow_settings(home), workday.database():
        # hashes that take no time; real ones are slow on purpose, and everybody here logs in
        patch.setattr(services, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        conductor = workday.Conductor()
        workday.start_company(conductor)
        workday.make_overdue()
        yield conductor


@pytest.fixture(scope="module")
def address(conductor) -> Iterator[str]:
    import uvicorn

    port = free_port()
    settings = uvicorn.Config(workday.application(), host="127.0.0.1", port=port, lifespan="off", log_level="error")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    assert server.started
    yield f"http://127.0.0.1:{port}/backoffice"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as programs:
        started = programs.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def visitor(browser, address) -> Iterator[Callable[..., Visitor]]:
    made: list[Visitor] = []

    def come(login: str, size: dict[str, int] = DESKTOP, scheme: str = "light") -> Visitor:
        made.append(Visitor(browser, address, size, scheme))
        return made[-1].log_in(login)

    yield come
    complaints = [one for person in made for one in person.complaints if "status of 4" not in one]
    for person in made:
        person.context.close()
    assert complaints == []


def test_from_request_to_guard(visitor, conductor):
    ivanova = visitor("ivanova")
    page = ivanova.page

    # a request comes in; its company is found while typing
    ivanova.go("/forms")
    page.get_by_role("link", name="Запустить: Входящее обращение").click()
    page.get_by_label("Направление").select_option("Товары")
    page.get_by_label("О чём обращение").fill("Насос для теплопункта")
    page.get_by_label("Компания").press_sequentially("волга", delay=20)
    page.get_by_role("option", name="Волга-Насос").click()
    ivanova.picture("form")
    page.get_by_role("button", name="Запустить").last.click()
    ivanova.sees("Процесс «Входящее обращение» запущен")
    conductor.settle()
    page.reload()
    page.get_by_role("link", name="Открыть сделку").click()
    ivanova.sees("Насос для теплопункта")
    ivanova.sees("Ждёт перевода на")
    deal = page.url

    # the board: moved with the form of its card
    ivanova.go("/board/goods?q=теплопункта")
    card = page.locator("[data-card]").filter(has_text="Насос для теплопункта")
    card.get_by_text("Перевести").click()
    card.get_by_label("Новая стадия").select_option(label="Экспресс-идентификация")
    card.get_by_role("button", name="Ок").click()
    ivanova.hears("переведена на стадию «Экспресс-идентификация»")
    conductor.settle()

    # the process has given its task, and the guard holds it
    page.goto(deal)
    ivanova.sees("Выполнить Экспресс-идентификацию")
    _guard_the_task_of(deal)
    page.get_by_role("link", name="открыть задачу").click()
    ivanova.sees("Задачу нельзя закрыть, пока")
    page.get_by_role("button", name="Выполнить").click()
    ivanova.sees("Задачу пока нельзя закрыть")
    ivanova.picture("guard")
    page.get_by_role("alert").get_by_role("link", name="исправить").click()
    complexity = page.get_by_label("Сложность")
    sync_api.expect(complexity).to_be_visible()
    complexity.select_option(label="простой")
    page.get_by_role("button", name="Сохранить поля").click()
    ivanova.sees("Сохранено полей: 1")
    page.get_by_role("link", name="открыть задачу").click()
    page.get_by_role("button", name="Выполнить").click()
    ivanova.sees("Задача «Выполнить Экспресс-идентификацию» выполнена")
    conductor.settle()
    page.goto(deal)
    ivanova.sees("сделано")


def test_a_card_is_dragged_to_another_stage_and_taken_back(visitor, conductor):
    head = visitor("sokolov")
    head.go("/board/goods?who=all")
    title = "Съёмник и индукционный нагреватель"
    before = head.card(title).get_attribute("data-stage-code")
    counted = int(head.column("Договор").get_attribute("data-count"))
    head.card(title).drag_to(head.column("Договор"))
    head.hears("переведена на стадию «Договор»")
    head.stands_on(title, "Договор")
    assert int(head.column("Договор").get_attribute("data-count")) == counted + 1
    assert _stage_of(title) == "contract"
    head.page.get_by_role("button", name="Вернуть").click()
    head.hears("возвращена на")
    assert _stage_of(title) == before
    assert int(head.column("Договор").get_attribute("data-count")) == counted
    head.card(title).drag_to(head.column("Договор"))  # for the next ones
    head.hears("переведена на стадию «Договор»")
    conductor.settle()


def test_a_drop_that_is_forbidden_puts_the_card_back_and_says_why(visitor):
    """R002-32: the dialog keeps the keyboard inside and gives it back."""
    title = "Съёмник и индукционный нагреватель"
    _contract(title, signed=False, blocks=True)
    try:
        head = visitor("sokolov")
        head.go("/board/goods?who=all")
        head.column("Комплектация").scroll_into_view_if_needed()
        head.card(title).drag_to(head.column("Комплектация"))
        asked = head.page.get_by_role("dialog")
        sync_api.expect(asked).to_contain_text("Нельзя перевести на «Комплектация»")
        sync_api.expect(asked.get_by_role("link", name="открыть")).to_have_attribute(
            "href", re.compile("#field-contract_signed")
        )
        assert head.sound("отказ") == []
        assert head.focused() == "Понятно"
        for _ in range(4):
            head.page.keyboard.press("Tab")
            inside = head.page.evaluate(
                "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
            )
            assert inside, "клавиатура ушла из окна"
        head.page.keyboard.press("Escape")
        sync_api.expect(asked).to_have_count(0)
        head.stands_on(title, "Договор")
        assert _stage_of(title) == "contract"
    finally:
        _contract(title, signed=False, blocks=False)


def test_the_board_is_worked_by_the_keyboard_alone(visitor):
    """A move that is warned of asks; Escape leaves everything as it was, «Да» moves; the keyboard stays at the card."""
    title = "Съёмник и индукционный нагреватель"
    _contract(title, signed=False, blocks=False)
    head = visitor("sokolov")
    head.go("/board/goods?who=all&q=съёмник")
    page = head.page
    page.keyboard.press("Tab")
    assert head.focused() == "К содержанию"
    page.keyboard.press("Enter")
    for answer in ("Escape", "Да"):
        for _ in range(60):
            page.keyboard.press("Tab")
            if head.focused().startswith("Перевести сделку"):
                break
        assert head.focused() == f"Перевести сделку «{title}»"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        asked = page.get_by_role("dialog")
        sync_api.expect(asked).to_contain_text("Договор не подписан")
        if answer == "Escape":
            page.keyboard.press("Escape")
            sync_api.expect(asked).to_have_count(0)
            head.stands_on(title, "Договор")
            assert _stage_of(title) == "contract"
            page.evaluate("document.activeElement.blur()")
            continue
        page.keyboard.press("Shift+Tab")
        assert head.focused() == "Да, «Комплектация»"
        page.keyboard.press("Enter")
        head.hears("переведена на стадию «Комплектация»")
        head.stands_on(title, "Комплектация")
        assert _stage_of(title) == "picking"
        assert page.evaluate("!!document.activeElement.closest('[data-card]')"), head.focused()


def test_the_search_of_the_header_answers_while_typing(visitor):
    head = visitor("sokolov")
    head.page.keyboard.press("/")
    assert head.page.evaluate("document.activeElement.id") == "top-search"
    head.page.keyboard.type("уплотнен")
    option = head.page.get_by_role("option", name="Уплотнения вала").first
    sync_api.expect(option).to_be_visible()
    assert head.sound("поиск") == []
    head.page.keyboard.press("ArrowDown")
    sync_api.expect(option).to_have_attribute("aria-selected", "true")
    head.page.keyboard.press("Enter")
    head.page.wait_for_url(re.compile(r"/deals/\d+$"))
    head.go("/search?q=насос")
    head.page.locator("a.hit").first.focus()
    head.page.keyboard.press("ArrowDown")
    assert head.page.evaluate("Array.from(document.querySelectorAll('a.hit')).indexOf(document.activeElement)") == 1


def test_the_bell_rings_without_a_reload_and_reading_is_taken_back(visitor):
    petrov = visitor("petrov")
    page = petrov.page
    page.get_by_label("Уведомления", exact=False).first.wait_for()
    _notify("petrov", "Колокольчик звонит сам")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when the tab is looked at again
    sync_api.expect(page.locator("[data-bell-said]")).to_contain_text("Новое уведомление")
    page.locator("[data-bell] summary").click()
    sync_api.expect(page.locator("[data-bell-panel]")).to_contain_text("Колокольчик звонит сам")
    assert petrov.sound("колокольчик") == []
    page.get_by_role("button", name="Прочитать все").click()
    sync_api.expect(page.locator("[data-bell-dot]")).to_be_hidden()
    page.get_by_role("button", name="Вернуть").click()
    sync_api.expect(page.locator("[data-bell-dot]")).to_be_visible()


def test_the_chosen_theme_stays(visitor):
    orlov = visitor("orlov")
    orlov.page.get_by_role("button", name="Сменить светлую и тёмную тему").click()
    for _ in range(50):
        if _one(
            "SELECT preferences ->> 'theme' FROM person JOIN account ON person_id = person.id WHERE login = 'orlov'"
        ):
            break
        time.sleep(0.1)
    orlov.page.evaluate("localStorage.clear()")
    orlov.go("/me")
    assert orlov.page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    sync_api.expect(orlov.page.get_by_label("Тема")).to_have_value("dark")


def test_losing_a_deal_asks_first(visitor):
    head = visitor("sokolov")
    head.go("/deals?q=уплотнения")
    head.page.get_by_role("link", name="Уплотнения вала").click()
    head.page.get_by_label("Перевести на стадию").select_option(label="Сделка проиграна")
    head.page.get_by_role("button", name="Перевести").click()
    head.sees("Перевести на «Сделка проиграна»?")
    head.page.get_by_role("link", name="Отмена").click()
    head.sees("Уплотнения вала")


def test_company_is_created_inside_the_form_with_the_keyboard_alone(visitor):
    head = visitor("sokolov")
    page = head.page
    head.go("/deals/new?funnel=goods")
    page.get_by_label("Название").fill("Редукторы")
    page.get_by_label("Компания").fill("ООО «Новый редуктор»")
    page.get_by_role("button", name="Создать", exact=True).focus()
    page.keyboard.press("Enter")
    head.sees("Новая компания")
    page.get_by_role("button", name="Создать компанию").focus()
    page.keyboard.press("Enter")
    head.sees("ООО «Новый редуктор»")
    sync_api.expect(page.get_by_label("Название")).to_have_value("Редукторы")
    page.get_by_role("button", name="Создать сделку").last.click()
    head.sees("Сделка «Редукторы» создана")


PAGES = {
    "day": "/?view=department", "board": "/board/goods?who=all&late=1", "deal": "/deals/2", "deals": "/deals",
    "new": "/deals/new", "task": "/tasks/1", "forms": "/forms", "form": "/forms/client_request", "notices": "/notices",
    "settings": "/settings", "me": "/me", "search": "/search?q=насос", "nothing": "/search?q=нетничего",
    "approvals": "/approvals", "people": "/people", "error": "/нет-такой", "confirm": "",
}  # fmt: skip


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_fits_the_screen_and_is_sound_in_light_and_dark(visitor, size):
    """axe-core finds nothing serious; one heading, named fields, no sideways scrolling."""
    admin = visitor("admin", size)
    wide = "" if size is DESKTOP else "-phone"
    found: list[str] = []
    for name, path in PAGES.items():
        if name == "confirm":
            admin.go("/deals/2")
            admin.page.get_by_label("Перевести на стадию").select_option(label="Сделка проиграна")
            admin.page.get_by_role("button", name="Перевести", exact=True).click()
            admin.sees("Перевести на «Сделка проиграна»?")
        else:
            admin.go(path)
        if name != "settings":  # its own pages are tried apart
            assert admin.page.locator("h1").count() == 1, f"{path}: один заголовок"
        unnamed = admin.page.evaluate(UNNAMED)
        assert unnamed == [], f"{path}: поля без подписи {unnamed}"
        for scheme in ("light", "dark"):
            admin.page.emulate_media(color_scheme=scheme)
            sync_api.expect(admin.page.locator("html")).to_have_attribute("data-bs-theme", scheme)
            found += admin.sound(f"{name}{wide}-{scheme}", None if scheme == "light" else ["color-contrast"])
            dark = "-dark" if scheme == "dark" else ""
            if name in ("day", "board", "deal", "task") and not (dark and wide):
                admin.picture(f"{name}{wide}{dark}")
        admin.fits(path)
        admin.page.emulate_media(color_scheme="light")
    assert found == []


def test_the_login_page_is_sound(browser, address):
    stranger = Visitor(browser, address, PHONE)
    stranger.go("/login")
    for scheme in ("light", "dark"):
        stranger.page.emulate_media(color_scheme=scheme)
        assert stranger.sound(f"login-{scheme}") == []
    stranger.context.close()


def test_pages_work_without_javascript(browser, address):
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{address}/login")
    page.get_by_label("Логин").fill("sokolov")
    page.get_by_label("Пароль").fill(workday.PASSWORD)
    page.get_by_role("button", name="Войти").click()
    page.goto(f"{address}/deals/new?funnel=goods")
    page.get_by_label("Название").fill("Без сценариев")
    page.get_by_label("Компания").fill("волга")
    page.get_by_role("button", name="Найти").last.click()
    page.get_by_role("button", name="Волга-Насос").click()
    page.get_by_role("button", name="Создать сделку").last.click()
    sync_api.expect(page.locator("main")).to_contain_text("Сделка «Без сценариев» создана")
    context.close()


def _guard_the_task_of(deal: str) -> None:
    from include.shared.db import engine

    with engine().begin() as connection:
        connection.execute(
            text(
                """UPDATE task SET guard = '{"filled": "complexity"}' FROM deal
                WHERE deal.case_id = task.case_id AND deal.id = :id AND task.state = 'open'"""
            ),
            {"id": int(deal.split("?")[0].rsplit("/", 1)[1])},
        )


def _one(sql: str, **parameters: object) -> object:
    from include.shared.work import reading

    with reading() as session:
        return session.execute(text(sql), parameters).scalar()


def _stage_of(title: str) -> object:
    asked = "SELECT stage.code FROM deal JOIN stage ON stage.id = deal.stage_id WHERE deal.title LIKE :title"
    return _one(asked, title=f"{title}%")


def _contract(title: str, *, signed: bool, blocks: bool) -> None:
    from include.deals import services as deals
    from include.shared import settings
    from include.shared.work import transaction

    with transaction() as work:
        deal = _one("SELECT id FROM deal WHERE title LIKE :title", title=f"{title}%")
        deals.set_fields(work, deal, {"contract_needed": True, "contract_signed": signed})
        settings.change(work, "contract_signed_blocks", blocks)


def _notify(login: str, said: str) -> None:
    from include.notices.services import notify
    from include.shared.work import transaction

    person = _one("SELECT person_id FROM account WHERE login = :login", login=login)
    with transaction() as work:
        notify(work, [person], said, key=f"browser/{said}")
