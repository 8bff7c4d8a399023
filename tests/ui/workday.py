"""A company at work in a throw-away database, with the real services, engine and security, but without Airflow's
programs: `Conductor` does what the relay, the triggerer and the scheduler do, one look after the other.

Run as a program it serves the pages: `python -m tests.ui.workday 8199` (logins as in the demo).
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import create_engine, select, text

from include.installation.installation import Installation, free_port

PASSWORD = "demo-2026"
JWT_SECRET = secrets.token_hex(32)  # one for the whole process: Airflow makes its signer and its validator once
MODULES = (
    "dags.deals.goods_identification",
    "dags.deals.services_identification",
    "dags.deals.client_request",
)
FINAL = {"done", "skipped", "stopped"}


@contextmanager
def airflow_settings(home: Path) -> Iterator[None]:
    """The part of Airflow's configuration that the security of the pages reads; set before Airflow is imported."""
    values = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__AUTH_MANAGER": "backoffice.auth_manager.BackofficeAuthManager",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": JWT_SECRET,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "BACKOFFICE_FILES": (home / "files").as_uri(),
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def database() -> Iterator[str]:
    """A throw-away PostgreSQL with all tables, set as the business database."""
    from include.models import metadata

    home = Path(tempfile.mkdtemp(prefix="backoffice-pages-"))
    installation = Installation(home, port=free_port())
    before = os.environ.get("BACKOFFICE_DATABASE_URL")
    try:
        installation.start_postgres_only()
        url = installation.backoffice_database_url
        engine = create_engine(url)
        metadata.create_all(engine)
        engine.dispose()
        os.environ["BACKOFFICE_DATABASE_URL"] = url
        yield url
    finally:
        if before is None:
            os.environ.pop("BACKOFFICE_DATABASE_URL", None)
        else:
            os.environ["BACKOFFICE_DATABASE_URL"] = before
        installation.stop()
        shutil.rmtree(home, ignore_errors=True)


def application() -> FastAPI:
    """The real app, mounted as Airflow mounts it, without the loops that need Airflow."""
    from airflow import settings
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.models.revoked_token import RevokedToken

    RevokedToken.__table__.create(settings.get_engine(), checkfirst=True)
    from backoffice.ui.app import create_app

    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    init_auth_manager()
    outer.mount("/backoffice", create_app())
    return outer


class Conductor:
    """Starts runs for events and looks at their steps until nothing more happens."""

    def __init__(self) -> None:
        from backoffice.process.dag import Process
        from backoffice.process.steps import Step

        self.processes: dict[str, Process] = {}
        for module in MODULES:
            for one in vars(importlib.import_module(module)).values():
                if isinstance(one, Step) and isinstance(one.dag, Process):
                    self.processes[one.dag.dag_id] = one.dag

    def settle(self) -> None:
        """Do everything that is to be done now."""
        for _ in range(50):
            if not (self._begin() | self._look()):
                return

    def _begin(self) -> bool:
        from include.process import engine
        from include.process.models import OutboxEvent
        from include.process.scheme import scheme_body
        from include.shared.work import PROCESS, reading, transaction

        with reading() as session:
            pending = session.scalars(
                select(OutboxEvent).where(OutboxEvent.state == "pending").order_by(OutboxEvent.id)
            ).all()
        for event in pending:
            for process in self.processes.values():
                if event.listen_key in (*process.tags, f"run:{process.dag_id}"):
                    steps = [(one.task_id, sorted(one.upstream_task_ids), one.spec) for one in process.tasks]
                    engine.begin(event.id, process.dag_id, scheme_body(process.dag_display_name, 1, steps))
            with transaction(PROCESS) as work:
                work.session.get_one(OutboxEvent, event.id).state = "done"
        return bool(pending)

    def _look(self) -> bool:
        from include.process import engine
        from include.process.models import ProcessInstance, StepState
        from include.shared.work import reading

        moved = False
        with reading() as session:
            live = session.execute(select(ProcessInstance).where(ProcessInstance.state == "live")).scalars().all()
            states: dict[int, dict[str, str]] = {one.id: {} for one in live}
            for row in session.scalars(select(StepState).where(StepState.instance_id.in_(list(states)))):
                states[row.instance_id][row.step] = row.state
        for instance in live:
            known = states[instance.id]
            for step in self.processes[instance.process].tasks:
                ready = all(known.get(one) in FINAL for one in step.upstream_task_ids)
                if not ready or known.get(step.task_id) in FINAL:
                    continue
                spec = json.loads(json.dumps(step.spec))
                seen = engine.look(instance.process, instance.run_id, step.task_id, spec)
                moved |= known.get(step.task_id) is None or seen.outcome != "waiting"
        return moved


def start_company(conductor: Conductor) -> None:
    """The demo company with its deals, moved and worked on through the services."""
    from include.demo import company, plan, start
    from include.reference.services import load_reference
    from include.shared import settings
    from include.shared.work import transaction

    with transaction(company.DEMO) as work:
        load_reference(work)
        company._hire(work)
        settings.declare(work, "company_name", "Название компании", "text", company.COMPANY)
    made = {one.key: start._create(one) for one in plan.DEALS}
    for one in plan.DEALS:
        start._act(one, made[one.key], one.first, lambda _: None)
    conductor.settle()
    for one in plan.DEALS:
        for act in one.later:
            _later(one, made, act)
            conductor.settle()


def _later(one: Any, made: Mapping[str, int], act: Any) -> None:
    from include.deals import services as deals
    from include.demo import plan, start
    from include.shared.work import transaction

    if isinstance(act, plan.Close):
        start._close(one, made[one.key], act, lambda _: None)
        return
    if isinstance(act, plan.Press):
        start._press(one, made[one.key], act, lambda _: None)
        return
    with transaction(start._viewer(act.by).actor) as work:
        if act.fields:
            deals.set_fields(work, made[one.key], start._values(work, act.fields))
        deals.move_stage(work, made[one.key], act.stage)


def make_overdue(hours: int = 7) -> None:
    """Let some tasks be late, as on any real day."""
    from include.shared.db import engine

    with engine().begin() as connection:
        connection.execute(
            text(
                "UPDATE task SET due_at = now() - make_interval(hours => :hours)"
                " WHERE id IN (SELECT id FROM task WHERE state = 'open' ORDER BY id LIMIT 2)"
            ),
            {"hours": hours},
        )


def serve(port: int) -> None:
    """Serve the pages with the demo company until interrupted."""
    import uvicorn

    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with airflow_settings(home), database():
        app = application()
        start_company(Conductor())
        make_overdue()
        sys.stdout.write(f"http://127.0.0.1:{port}/backoffice/\n")
        sys.stdout.flush()
        uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", log_level="info")


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8199)
