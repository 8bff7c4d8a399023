"""Two of each program: one may die while cases move, and it does not matter which of two servers answers.

Run it with ``REPLICAS=2 make test TESTS=tests/faults/test_scale.py``: the other faults have one API server.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from include.installation.doctor import program_checks
from include.installation.programs import REPLICATED
from include.process.reading import violations
from tests.faults.office import FaultOffice, healthy
from tests.scenarios.office import PASSWORD
from tests.scenarios.stories import EXPRESS

pytestmark = pytest.mark.airflow

CASES = 6
ASKED = 30


@pytest.fixture(autouse=True)
def _two_of_each(office: FaultOffice) -> None:
    if any(len(office.programs(kind)) < 2 for kind in REPLICATED):
        pytest.skip("нужны по две каждой программы: REPLICAS=2")


def test_any_server_takes_up_what_the_other_began(office: FaultOffice) -> None:
    """Login, form token, upload, clock and logout are in the database or signed, never in one server's memory."""
    programs = office.installation.status()["programs"]
    first, second = (f"http://127.0.0.1:{programs[name]['door']}" for name in office.programs("api-server"))
    browser = direct()
    came_from = {"Origin": office.installation.base_url}
    form = {"login": "ivanova", "password": PASSWORD}
    entered = browser.post(f"{first}/backoffice/login", form, headers=came_from, allow_redirects=False, timeout=30)
    assert entered.status_code == 303
    page = browser.get(f"{second}/backoffice/me", timeout=30)
    assert page.status_code == 200
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token is not None

    deal = office.new_deal("admin", "Два сервера", "Товары", "Иванова")
    sent = as_staff(office, "POST", f"{first}/backoffice/api/deals/{deal['id']}/files/contract_draft",
                    files={"file": ("договор.txt", b"text")})  # fmt: skip
    assert sent.status_code < 300, sent.text
    listed = as_staff(office, "GET", f"{second}/backoffice/api/deals/{deal['id']}/files")
    assert "договор.txt" in listed.text

    to = office.now() + timedelta(hours=1)
    moved = as_admin(office, "POST", f"{first}/backoffice/api/clock/advance", json={"to": to.isoformat()})
    assert moved.status_code == 200, moved.text
    seen = as_admin(office, "GET", f"{second}/backoffice/api/clock").json()["now"]
    assert to <= datetime.fromisoformat(seen) < to + timedelta(minutes=30)

    left = browser.post(
        f"{first}/backoffice/logout", {"csrf": token[1]}, headers=came_from, allow_redirects=False, timeout=30
    )
    assert left.status_code == 303
    browser.cookies.clear()
    stale = entered.cookies["_token"]
    refused = browser.get(f"{second}/backoffice/me", cookies={"_token": stale}, allow_redirects=False, timeout=30)
    assert refused.status_code == 303
    assert "/login" in refused.headers["location"]


@pytest.mark.parametrize("kind", REPLICATED)
def test_one_of_two_may_die(office: FaultOffice, kind: str) -> None:
    """Killed and kept down: the other one alone takes every case on, nothing is lost and nothing doubled."""
    first, second = office.programs(kind)
    deals = []
    for number in range(CASES):
        deal = office.new_deal("admin", f"Один из двух: {kind} {number + 1}", "Товары", "Иванова")
        office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": EXPRESS})
        deals.append(deal)
    office.installation.hold(first)  # runs are just being created, tasks given
    try:
        assert [answers(office.installation.base_url) for _ in range(ASKED)] == [200] * ASKED
        said = [one for one in program_checks(office.installation) if f"«{first}»" in one.text]
        assert [one.code for one in said] == ["program_down"]
        office.advance()
        for deal in deals:
            (task,) = office.open_tasks(deal["case_id"])
            office.call("Иванова", "POST", f"/tasks/{task['id']}/close", {"result": {}})
        office.advance()
        office.claim()
        assert violations() == []
        for deal in deals:
            runs = office.airflow_rows(
                "SELECT state FROM dag_run WHERE run_id LIKE :run", run=f"deal-{deal['id']}-visit-%"
            )
            assert [one["state"] for one in runs] == ["success"]
            assert office.open_tasks(deal["case_id"]) == []
        assert office.installation.program_pid(second)
    finally:
        office.installation.release(first)
        office.installation.wait_program(first)


def test_all_that_died_are_back(office: FaultOffice) -> None:
    """They start while the next ones die; the doctor then has nothing to say of any program."""
    healthy(office.installation)
    assert list(program_checks(office.installation)) == []


def answers(address: str) -> int:
    """Ask for the health over a new connection; returns the status."""
    return direct().get(f"{address}/backoffice/api/health", timeout=30).status_code


def direct() -> requests.Session:
    """Make a new browser that asks no proxy."""
    made = requests.Session()
    made.trust_env = False
    return made


def as_staff(office: FaultOffice, method: str, address: str, **kwargs: Any) -> requests.Response:
    """Ask as Иванова."""
    return _ask(office, "Иванова", method, address, **kwargs)


def as_admin(office: FaultOffice, method: str, address: str, **kwargs: Any) -> requests.Response:
    """Ask as the administrator."""
    return _ask(office, "admin", method, address, **kwargs)


def _ask(office: FaultOffice, who: str, method: str, address: str, **kwargs: Any) -> requests.Response:
    return direct().request(
        method, address, headers={"Authorization": f"Bearer {office.tokens[who]}"}, timeout=60, **kwargs
    )
