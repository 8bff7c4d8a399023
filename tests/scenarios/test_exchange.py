"""1C exchanges over HTTP with the running office: sent in parts, loaded by the real run, held, decided (issue 5)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from include.one_c_http import access
from include.shared.work import reading, transaction
from include.staff.services import viewer
from tests.fakes.one_c import OneC
from tests.scenarios.office import Office

pytestmark = pytest.mark.airflow
HEAD = '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.10">'


class Site:
    """The running API server as the client of 1C sees it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies = requests.Session().cookies

    def request(self, method: str, path: str, *, content: Any = None, headers: dict[str, str]) -> requests.Response:
        answer = requests.request(method, f"{self.base}{path}", data=content, headers=headers, timeout=120)
        answer.encoding = "utf-8"
        return answer


@pytest.fixture(scope="module")
def one_c(office: Office) -> OneC:
    office.claim()
    with reading() as session:
        admin = viewer(session, "admin")
    with transaction(admin.actor) as work:
        _, password = access.add_access(work, "scenario-ut", "УТ сценариев")
    return OneC(Site(office.installation.base_url), "scenario-ut", password, part=700)


def catalogue(numbers: range, *, full: bool) -> bytes:
    goods = "".join(
        f"<Товар><Ид>scenario-{n}</Ид><Наименование>Насос {n}</Наименование><Группы><Ид>scenario</Ид></Группы></Товар>"
        for n in numbers
    )
    only = "false" if full else "true"
    return (
        f'{HEAD}<Каталог СодержитТолькоИзменения="{only}"><Ид>k</Ид><Наименование>К</Наименование>'
        f"<Товары>{goods}</Товары></Каталог></КоммерческаяИнформация>"
    ).encode()


def active(office: Office) -> int:
    (row,) = office.rows("SELECT count(*) AS n FROM nomenclature WHERE active AND external_id LIKE 'scenario-%'")
    return int(row["n"])


def wait(until: Callable[[], bool], seconds: float = 90) -> None:
    begun = time.monotonic()
    while not until():
        assert time.monotonic() - begun < seconds
        time.sleep(0.3)


def test_1c_sends_a_catalogue_and_a_person_decides_about_the_next(office: Office, one_c: OneC) -> None:
    """R002-8: parts and an archive arrive, Airflow loads them; a full export that drops too much waits for Белова."""
    one_c.upload({"import.xml": catalogue(range(20), full=False)}, zipped=True)
    assert active(office) == 20
    one_c.enter()
    one_c.begin()
    one_c.send("import.xml", catalogue(range(15), full=True))
    assert "ждёт решения" in one_c.load("import.xml")
    assert active(office) == 20
    held = office.call("Белова", "GET", "/exchanges", expect=200)["queue"][0]
    assert held["state"] == "held"
    office.call("Иванова", "GET", f"/exchanges/{held['id']}", expect=403)
    body = {"decision": "confirm", "reason": "сверено с 1С"}
    office.call("Белова", "POST", f"/exchanges/{held['id']}/decision", body)
    wait(lambda: office.call("Белова", "GET", f"/exchanges/{held['id']}")["row"]["state"] == "applied")
    assert active(office) == 15
    changes = office.call("Белова", "GET", f"/exchanges/{held['id']}/changes")
    assert changes["page"]["total"] == 5


def test_the_same_catalogue_again_is_a_repeat(office: Office, one_c: OneC) -> None:
    before = office.rows("SELECT max(id) AS last FROM outbox_event WHERE kind = 'exchange_applied'")
    one_c.upload({"import.xml": catalogue(range(15), full=True)})
    assert office.rows("SELECT max(id) AS last FROM outbox_event WHERE kind = 'exchange_applied'") == before
    assert active(office) == 15
