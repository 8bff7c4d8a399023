"""A small company behind the real pages, for the tests of single pages: made once per module, without processes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, text
from starlette.testclient import TestClient

from include.deals import services as deals
from include.shared.db import engine
from include.shared.work import reading, transaction
from include.staff import services
from tests.ui import workday
from tests.ui.api.conftest import PASSWORD, Company, _found_company, give_task

ORIGIN = "http://testserver"


class Visitor:
    """A browser with somebody logged in."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(f"/backoffice{path}", **more)

    def token(self) -> str:
        return str(re.search(r'name="csrf" value="([^"]+)"', self.get("/forms").text).group(1))  # type: ignore[union-attr]

    def post(self, path: str, *, follow: bool = True, **data: str) -> Any:
        sent = {"csrf": self.token(), **{name.rstrip("_"): value for name, value in data.items()}}
        return self.client.post(f"/backoffice{path}", data=sent, headers={"Origin": ORIGIN}, follow_redirects=follow)

    def api(self, method: str, path: str, **more: Any) -> Any:
        """Ask the API as a script of our page does: with the cookie, the origin and the page's token."""
        headers = {"Origin": ORIGIN, "X-CSRF-Token": self.token(), **more.pop("headers", {})}
        return self.client.request(method, f"/backoffice/api{path}", headers=headers, **more)


@dataclass
class Desk:
    """The company, its app, and whoever has logged in."""

    company: Company
    app: Any
    visitors: dict[str, Visitor] = field(default_factory=dict)

    def as_(self, login: str) -> Visitor:
        if login not in self.visitors:
            self.visitors[login] = self.enter(login)
        return self.visitors[login]

    def enter(self, login: str, password: str = PASSWORD) -> Visitor:
        client = TestClient(self.app)
        sent = {"login": login, "password": password}
        answer = client.post("/backoffice/login", data=sent, headers={"Origin": ORIGIN})
        assert answer.status_code == 200, answer.text
        return Visitor(client)

    def deal(self, title: str, login: str = "manager", funnel: str = "Товары", **fields: Any) -> int:
        with transaction(self.company.actor(login)) as work:
            made = deals.create_deal(
                work, title=title, funnel=funnel, responsible_id=self.company.people[login],
                company_id=fields.pop("company_id", None), fields=fields or None,
            )  # fmt: skip
            self.company.deals[title] = made.id
            return made.id

    def move(self, deal_id: int, *stages: str) -> None:
        for stage in stages:
            with transaction(self.company.actor("admin")) as work:
                deals.move_stage(work, deal_id, stage)

    def task(self, name: str, deal: str, executor: str = "manager", **more: Any) -> int:
        return give_task(self.company, name, deal, executor, **more)

    def one(self, sql: str, **parameters: Any) -> Any:
        with reading() as session:
            return session.execute(text(sql), parameters).scalar()

    def change(self, sql: str, **parameters: Any) -> None:
        with engine().begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text(sql), parameters)

    def stage(self, deal_id: int) -> str:
        asked = "SELECT stage.code FROM deal JOIN stage ON stage.id = deal.stage_id WHERE deal.id = :id"
        return str(self.one(asked, id=deal_id))

    @contextmanager
    def questions(self) -> Iterator[list[str]]:
        """The statements that the business database is asked meanwhile; who is logged in is not counted."""
        asked: list[str] = []

        def seen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if not statement.startswith("SET TRANSACTION"):
                asked.append(statement)

        event.listen(engine(), "before_cursor_execute", seen)
        try:
            yield asked
        finally:
            event.remove(engine(), "before_cursor_execute", seen)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with pytest.MonkeyPatch.context() as patch, workday.airflow_settings(home), workday.database():
        patch.setenv("BACKOFFICE_SECRET", "secret-of-the-tests")
        patch.setenv("BACKOFFICE_CLOCK", "real")  # the tests of the API before may still drive theirs
        # hashes that take no time; real ones are slow on purpose
        patch.setattr(services, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        company = _found_company()
        yield Desk(company, workday.application())


@pytest.fixture
def words() -> Callable[[Any], str]:
    """The page as it is read: tags away, spaces single."""

    def read(answer: Any) -> str:
        body = re.sub(r"<(script|style).*?</\1>", " ", answer.text, flags=re.S)
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " "))

    return read
