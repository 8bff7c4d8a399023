"""The invariants find what they are there for: each violation is planted and named; the audit cannot be changed."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from include.process.rules import after, hours
from include.shared.work import transaction
from tests.db.driver import QUOTE, Driver, alarm, on_stage, task

pytestmark = pytest.mark.db

PLANTED = {
    "instance_without_wait": "UPDATE step_state SET state = 'done' WHERE case_id = :case",
    "wait_of_ended_instance": "UPDATE process_instance SET state = 'ended' WHERE case_id = :case",
    "task_without_wait": "UPDATE step_state SET state = 'done' WHERE case_id = :case AND word = 'EmployeeTask'",
    "wait_for_closed_task": "UPDATE task SET state = 'done' WHERE case_id = :case",
    "task_done_twice": """
        INSERT INTO task (key, case_id, step, topic, title, addressed_to, executor_id, created_at, state)
        SELECT k, :case, 'x', k, 'x', 'head', 1, now(), 'done' FROM unnest(ARRAY['p/d/v/s/1', 'p/d/v/s/2']) k""",
    "notice_doubled": """INSERT INTO notice (key, person_id, text, case_id, task_id, created_at)
        SELECT k || '/given/1', 1, 'x', :case, (SELECT max(id) FROM task), now()
        FROM unnest(ARRAY['visit-1', 'visit-2']) k""",
    "alarm_doubled": """INSERT INTO audit (at, actor_kind, action, case_id, entity, entity_id, text, after)
        SELECT now(), 'process', 'alarm.fired', :case, 'step', 7, 'x', '{"moment": "m"}' FROM generate_series(1, 2)""",
    "alarm_outlived_its_task": "UPDATE step_state SET state = 'done' WHERE case_id = :case AND word = 'EmployeeTask'",
    "event_pending": "UPDATE outbox_event SET state = 'pending' WHERE case_id = :case",
    "event_dead": "UPDATE outbox_event SET state = 'dead' WHERE case_id = :case",
    "change_unseen": "UPDATE process_case SET seq = seq + 1 WHERE id = :case",
    "moment_passed": "UPDATE step_state SET moment = '2020-01-01' WHERE case_id = :case",
    "aim_without_wait": "UPDATE step_state SET state = 'failed' WHERE case_id = :case",
    "two_aims": """INSERT INTO step_aim (step_id, reason, aimed_at)
        SELECT id, 'x', now() FROM step_state WHERE case_id = :case""",
    "visit_is_not_one": "UPDATE stage_visit SET left_at = now() WHERE deal_id = :deal",
    "visit_without_event": "UPDATE outbox_event SET visit = 'x' || visit WHERE case_id = :case",
    "move_without_audit": "UPDATE stage_visit SET from_stage_id = stage_id WHERE deal_id = :deal",
    "visits_out_of_line": "UPDATE stage_visit SET left_at = '2020-01-01' WHERE deal_id = :deal AND left_at IS NOT NULL",
    "event_without_instance": """
        WITH made AS (
            INSERT INTO outbox_event (kind, listen_key, case_id, visit, created_at, next_try_at, state)
            SELECT 'stage_entered', event.listen_key, :case, called, event.created_at, event.created_at, 'done'
            FROM (SELECT * FROM outbox_event WHERE case_id = :case ORDER BY id DESC LIMIT 1) event,
                 unnest(ARRAY['visit-lost', 'visit-heard']) called)
        INSERT INTO process_instance (process, case_id, visit, run_id, scheme_id, state, started_at)
        SELECT process, :case, 'visit-heard', 'heard', scheme_id, 'ended', now()
        FROM process_instance WHERE case_id = :case""",
    "instance_outlived_its_visit": "UPDATE stage_visit SET left_at = now() WHERE deal_id = :deal",
    "task_written_twice": """INSERT INTO audit (at, actor_kind, action, case_id, entity, entity_id, text)
        SELECT now(), 'process', 'task.given', :case, 'task', max(id), 'x' FROM task""",
    "task_without_audit": "UPDATE task SET state = 'withdrawn' WHERE case_id = :case",
    "work_on_lost_deal": """UPDATE deal SET closed_at = '2030-01-01', stage_id = (
        SELECT id FROM stage WHERE kind = 'lost' AND funnel_code = 'goods') WHERE id = :deal""",
    "approval_asks_nobody": """INSERT INTO approval (key, case_id, step, title, term, created_at)
        VALUES ('asks-nobody', :case, 'x', 'x', '{}', now())""",
    "approval_asks_after_its_end": """WITH one AS (
            INSERT INTO approval (key, case_id, step, title, term, created_at, state)
            VALUES ('over', :case, 'x', 'x', '{}', now(), 'approved') RETURNING id)
        INSERT INTO approval_seat (approval_id, round, position, title, address, holder, state)
        SELECT id, 1, 1, 'x', 'head', 'person:1', 'asked' FROM one""",
    "fix_is_not_one": """INSERT INTO approval (key, case_id, step, title, term, created_at, state)
        VALUES ('no-fix', :case, 'x', 'x', '{}', now(), 'rework')""",
    "approval_without_wait": """INSERT INTO approval (key, case_id, step, title, term, created_at, instance_id)
        SELECT 'no-wait', :case, 'x', 'x', '{}', now(), id FROM process_instance WHERE case_id = :case""",
    "task_of_two_waits": "UPDATE step_state SET task_id = (SELECT max(id) FROM task) WHERE case_id = :case",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_is_found(driver: Driver, kind: str) -> None:
    process = on_stage(QUOTE, {"do": task(due=hours(5)), "late": alarm("do", after(hours(5)))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert driver.violations() == []
    case = driver.deal_row(deal).case_id
    with transaction() as work:
        said = PLANTED[kind]
        known = {name: value for name, value in (("case", case), ("deal", deal)) if f":{name}" in said}
        work.session.execute(text(said), known)
    assert kind in {one.kind for one in driver.violations()}
    driver.check = False
    with transaction() as work:  # the other tests of this module share the tables
        work.session.execute(text("UPDATE outbox_event SET state = 'done' WHERE case_id = :case"), {"case": case})


@pytest.mark.parametrize("act", ["UPDATE audit SET text = 'x'", "DELETE FROM audit"])
def test_the_audit_only_grows(driver: Driver, act: str) -> None:
    driver.deal()
    with pytest.raises(DBAPIError, match="только пополняется"), transaction() as work:
        work.session.execute(text(act))


def test_two_open_tasks_of_a_topic_cannot_be_stored(driver: Driver) -> None:
    """AG-7 is held by an index, whatever the code does."""
    deal = driver.deal()
    case = driver.deal_row(deal).case_id
    row = """INSERT INTO task (key, case_id, step, topic, title, addressed_to, executor_id, created_at)
        VALUES (:key, :case, 'x', 'тема', 'x', 'head', 1, now())"""
    with pytest.raises(DBAPIError, match="uq_task_open_topic"), transaction() as work:
        for key in ("a", "b"):
            work.session.execute(text(row), {"key": f"{case}/{key}", "case": case})
