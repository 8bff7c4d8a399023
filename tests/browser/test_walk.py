"""A real browser walks request → deal → board → task → guard, on a desktop and on a phone.

Skipped, and said so, where neither Playwright nor Chromium is installed. With BACKOFFICE_PICTURES=yes it renews
docs/pictures/*.png.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from include.installation.installation import free_port
from tests.ui import workday

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="нет Playwright: браузерная проверка пропущена")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.db,
    pytest.mark.skipif(CHROMIUM is None, reason="нет Chromium: браузерная проверка пропущена"),
]
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
LARGEST_PICTURE = 150 * 1024
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def conductor() -> Iterator[workday.Conductor]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with workday.airflow_settings(home), workday.database():
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


class Visitor:
    """A person at a screen; everything that the browser complains about is kept."""

    def __init__(self, browser: sync_api.Browser, address: str, size: dict[str, int], scheme: str = "light") -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme, locale="ru-RU")
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.address = address
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))

    def log_in(self, login: str) -> Visitor:
        self.go("/login")
        self.page.get_by_label("Логин").fill(login)
        self.page.get_by_label("Пароль").fill(workday.PASSWORD)
        self.page.get_by_role("button", name="Войти").click()
        self.page.wait_for_url(f"{self.address}/")
        return self

    def go(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def sees(self, said: str) -> None:
        sync_api.expect(self.page.locator("main")).to_contain_text(said)

    def picture(self, name: str) -> None:
        wider = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name}: страница шире экрана на {wider}"
        if os.environ.get("BACKOFFICE_PICTURES") != "yes":
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path)
        assert path.stat().st_size <= LARGEST_PICTURE, f"{name}: {path.stat().st_size} байт"


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
    ivanova.sees("переведена на стадию «Экспресс-идентификация»")
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


def test_a_card_is_dragged_to_another_stage(visitor, conductor):
    head = visitor("sokolov")
    head.go("/board/goods")
    card = head.page.locator("[data-card]").filter(has_text="Съёмник и индукционный нагреватель")
    card.drag_to(head.page.locator('[data-stage]:has(h2:has-text("Договор"))'))
    head.sees("переведена на стадию «Договор»")


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


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_the_screen(visitor, size, scheme):
    admin = visitor("admin", size, scheme)
    wide = "" if size is DESKTOP else "-phone"
    dark = "-dark" if scheme == "dark" else ""
    pages = {
        "day": "/?view=department", "board": "/board/goods", "deal": "/deals/2", "deals": "/deals", "new": "/deals/new",
        "task": "/tasks/1", "forms": "/forms", "notices": "/notices", "settings": "/settings",
    }  # fmt: skip
    for name, path in pages.items():
        admin.go(path)
        assert admin.page.locator("h1").count() == 1, f"{path}: один заголовок"
        unnamed = admin.page.evaluate(UNNAMED)
        assert unnamed == [], f"{path}: поля без подписи {unnamed}"
        assert admin.page.evaluate("document.documentElement.dataset.bsTheme") == scheme
        admin.picture(f"{name}{wide}{dark}") if name in ("day", "board", "deal", "task") and not (dark and wide) else (
            _fits(admin, path)
        )


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


UNNAMED = """Array.from(document.querySelectorAll('main input:not([type=hidden]), main select, main textarea'))
  .filter(one => !(one.labels && one.labels.length) && !one.getAttribute('aria-label')).map(one => one.name)"""


def _fits(person: Visitor, path: str) -> None:
    wider = person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{path}: страница шире экрана на {wider}"


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
