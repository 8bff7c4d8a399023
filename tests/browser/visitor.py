"""A person at a screen: what he does in a real browser, and what an accessibility checker says of what he sees."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from playwright import sync_api

from tests.ui import workday

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
LARGEST_PICTURE = 150 * 1024
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
UNNAMED = """Array.from(document.querySelectorAll('main input:not([type=hidden]), main select, main textarea'))
  .filter(one => !(one.labels && one.labels.length) && !one.getAttribute('aria-label')).map(one => one.name)"""
AXE = """async rules => {
  const asked = rules && {runOnly: {type: 'rule', values: rules}};
  const found = await axe.run(document, {resultTypes: ['violations'], ...asked});
  return found.violations.filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => one.id + ': ' + one.nodes.slice(0, 4).map(node => node.target.join(' ')).join(' | '));
}"""


@lru_cache(maxsize=1)
def axe() -> str:
    """The text of axe-core, as its wheel carries it."""
    place = find_spec("axe_playwright_python")
    assert place is not None, "нет axe-playwright-python: make install"
    assert place.submodule_search_locations is not None
    return (Path(next(iter(place.submodule_search_locations))) / "axe.min.js").read_text(encoding="utf-8")


class Visitor:
    """A person at a screen; everything that the browser complains about is kept."""

    def __init__(self, browser: sync_api.Browser, address: str, size: dict[str, int], scheme: str = "light") -> None:
        # without transitions: what is measured is the colour that stays
        self.context = browser.new_context(viewport=size, color_scheme=scheme, locale="ru-RU", reduced_motion="reduce")
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

    def hears(self, said: str) -> None:
        """A message that goes by itself has said this."""
        sync_api.expect(self.page.locator("[data-toasts]")).to_contain_text(said)

    def card(self, title: str) -> sync_api.Locator:
        return self.page.locator("[data-card]").filter(has_text=title)

    def column(self, title: str) -> sync_api.Locator:
        return self.page.locator(f'[data-stage][data-title="{title}"]')

    def stands_on(self, card: str, stage: str) -> None:
        sync_api.expect(self.column(stage).locator("[data-card]").filter(has_text=card)).to_have_count(1)

    def focused(self) -> str:
        """The text or label of what the keyboard is on."""
        return str(
            self.page.evaluate(
                "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent).trim()"
            )
        )

    def fits(self, path: str) -> None:
        wider = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{path}: страница шире экрана на {wider}"

    def sound(self, path: str, rules: list[str] | None = None) -> list[str]:
        """What axe-core finds serious or critical on the shown page; with ``rules`` only they are asked."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(axe())
        found: list[Any] = self.page.evaluate(AXE, rules)
        return [f"{path}: {one}" for one in found]

    def picture(self, name: str) -> None:
        self.fits(name)
        if os.environ.get("BACKOFFICE_PICTURES") != "yes":
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path)
        assert path.stat().st_size <= LARGEST_PICTURE, f"{name}: {path.stat().st_size} байт"
