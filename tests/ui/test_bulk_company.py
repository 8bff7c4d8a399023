"""The company of the benches in small: its facts hold, and no page asks the more the more there is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from include.process.reading import violations
from include.reference.services import load_reference
from include.shared.db import engine
from include.shared.work import transaction
from include.staff import services
from tests.bench import company
from tests.ui import workday
from tests.ui.api.conftest import Company
from tests.ui.conftest import Desk

SMALL = company.Size(deals=400, people=60, departments=6, companies=40, approvals=40)


@pytest.fixture(scope="module")
def office() -> Iterator[Desk]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with pytest.MonkeyPatch.context() as patch, workday.airflow_settings(home), workday.database():
        patch.setenv("BACKOFFICE_SECRET", "secret-of-the-tests")
        patch.setenv("BACKOFFICE_CLOCK", "real")
        patch.setattr(services, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        with transaction() as work:
            load_reference(work)
        company.found(SMALL)
        yield Desk(Company(), workday.application())
        engine().dispose()


def test_its_facts_break_no_invariant(office: Desk) -> None:
    assert [one for one in violations() if one.kind != "event_pending"] == []
    assert office.one("SELECT count(*) FROM task") == 5 * SMALL.deals
    assert office.one("SELECT count(*) FROM task WHERE state = 'open'") == SMALL.deals // 2


@pytest.mark.parametrize("login", list(company.LOGINS))
def test_no_page_asks_the_more_the_more_there_is(office: Desk, login: str) -> None:
    person = company.LOGINS[login][0]
    visitor = office.enter(login, company.PASSWORD)
    deal = office.one("SELECT max(id) FROM deal WHERE closed_at IS NULL AND responsible_id = :id", id=person)
    task = office.one("SELECT max(id) FROM task WHERE state = 'open' AND executor_id = :id", id=person)
    for path, most in (("/", 12), ("/board/goods", 17), (f"/deals/{deal}", 40), (f"/tasks/{task}", 21)):
        with office.questions() as asked:
            answer = visitor.get(path)
        assert answer.status_code == 200, (path, answer.text[:500])
        assert len(asked) <= most, (login, path, len(asked), asked)


def test_hot_questions_find_their_rows_by_an_index(office: Desk) -> None:
    """Whose tasks, whose deals, which steps wait: the planner is told that reading whole tables is dear."""
    asked = {
        "SELECT id FROM task WHERE executor_id = 1 AND state = 'open' ORDER BY due_at, id": "task",
        "SELECT id FROM deal WHERE responsible_id = 1": "deal",
        "SELECT id FROM deal WHERE created_by = 1": "deal",
        "SELECT id FROM deal WHERE funnel_code = 'goods' AND stage_id = 1 ORDER BY id DESC LIMIT 10": "deal",
        "SELECT id FROM step_state WHERE case_id = ANY('{1,2}') AND state = 'waiting'": "step_state",
        "SELECT id FROM notice WHERE person_id = 1 ORDER BY id DESC LIMIT 6": "notice",
        "SELECT id FROM audit WHERE case_id = 1 ORDER BY id DESC LIMIT 51": "audit",
        "SELECT id FROM approval_seat WHERE holder = ANY('{person:1}') AND state = 'asked'": "approval_seat",
    }
    with engine().begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for question, table in asked.items():
            plan = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {question}")))
            assert f"Seq Scan on {table}" not in plan, plan
