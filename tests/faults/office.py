"""The office under faults: people who try again when it does not answer, and act past its pages when they must."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from include.installation.errors import NotHealthyError
from include.installation.installation import Installation, free_port
from include.process.reading import violations
from include.shared import clock
from include.shared.clock import JUMP_VARIABLE
from include.shared.work import reading, transaction
from include.staff import admin
from include.staff.services import Viewer, viewer
from tests.faults import disks
from tests.scenarios.office import Office, login_of

PROCESSES = Path(__file__).parents[1] / "scenarios" / "processes"
ANSWERS_WITHIN, TURNS_WITHIN, RESTS_WITHIN = 15.0, 600.0, 240.0
RECONCILED_WITHIN = 45.0  # a pass every 30 s, and the run that it lets go on
LISTENERS = "backoffice-hub", "backoffice-relay", "backoffice-nudge", "backoffice-reconciler"


class Unavailable(Exception):
    """The office does not answer now; whoever asked tries again later, as people do."""


class Restless(AssertionError):
    """The office answers but does not come to rest."""


@dataclass
class FaultOffice(Office):
    """An office whose programs die: a call that found nobody is Unavailable, not a failed test."""

    no_small_disks: str | None = None  # why there are none, when there are none
    twice: bool = False  # each act is sent twice at the same moment
    jump_file: Path | None = None
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {"connect_timeout": 3, "options": "-c statement_timeout=10000"}
        self.engine = create_engine(
            self.installation.backoffice_database_url, pool_pre_ping=True, pool_size=10, connect_args=limits
        )
        self.airflow_engine = create_engine(
            self.installation.airflow_database_url, pool_pre_ping=True, connect_args=limits
        )

    def request(
        self, who: str, method: str, path: str, body: Any, headers: Any, file: Any, *, timeout: float = ANSWERS_WITHIN
    ) -> requests.Response:
        """Ask the API; 5xx, silence and a cut connection are Unavailable. With ``twice`` everything is sent twice."""
        timeout = TURNS_WITHIN if "/clock/" in path else timeout
        if not self.twice or method == "GET" or "/clock" in path:
            return self._ask(timeout, who, method, path, body, headers, file)
        both = [self.pool.submit(self._ask, timeout, who, method, path, body, headers, file) for _ in range(2)]
        answers = [one.result() for one in both]
        return min(answers, key=lambda answer: answer.status_code)

    def _ask(self, timeout: float, *asked: Any) -> requests.Response:
        try:
            answer = super().request(*asked, timeout=timeout)
        except (requests.ConnectionError, requests.Timeout) as silence:
            raise Unavailable(str(silence)) from silence
        if answer.status_code >= 500:
            raise Unavailable(f"{answer.status_code} {answer.text[:200]}")
        return answer

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Read the business database; a dead one is Unavailable."""
        with unavailable():
            return super().rows(query, **values)

    def airflow_rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Read Airflow's database; a dead one is Unavailable."""
        with unavailable():
            return super().airflow_rows(query, **values)

    def command(self, statement: str) -> None:
        """Do one statement in the business database, past every service."""
        with unavailable(), self.engine.begin() as connection:
            connection.execute(text(statement))

    def business_now(self) -> datetime:
        """Return the office's time without its pages: the clock module reads it from the database."""
        with unavailable(), reading() as session:
            return clock.now(session)

    def person(self, who: str) -> Viewer:
        """Return a person as the services know him."""
        with reading() as session:
            found = viewer(session, login_of(who))
        assert found is not None, who
        return found

    def forget_connections(self) -> None:
        """Drop pooled connections: the server behind them has died."""
        self.engine.dispose()
        self.airflow_engine.dispose()

    def answers(self) -> bool:
        """Say whether the pages answer."""
        try:
            return requests.get(f"{self.installation.base_url}/backoffice/api/health", timeout=5).ok
        except requests.RequestException:
            return False

    def rest(self) -> None:
        """Wait until the pages answer again and all is quiet; then nothing may be lost or doubled."""
        self.claim()
        until = time.monotonic() + RESTS_WITHIN
        why: object = "страницы не отвечают"
        while True:
            try:
                if self.answers():
                    self.advance()
                    break
            except (Unavailable, AssertionError) as error:
                why = error
            if time.monotonic() > until:
                raise Restless(f"Офис не пришёл в покой за {RESTS_WITHIN:.0f} с: {why}")
            time.sleep(0.3)
        found = [*violations(), *self.lost_runs()]
        until = time.monotonic() + RECONCILED_WITHIN
        while found and time.monotonic() < until:  # what Airflow and ops did to each other is met by the next pass
            time.sleep(1)
            self.advance()
            found = [*violations(), *self.lost_runs()]
        assert found == [], "\n".join([*map(str, found), *self.traces(found)])

    def traces(self, found: Sequence[object]) -> list[str]:
        """Tell all that the two databases know of the instances that a finding names."""
        named = {one for said in map(str, found) for one in re.findall(r"[\w-]+-visit-\d+", said)}
        lines = []
        for run in sorted(named):
            for one in self.rows("SELECT * FROM process_instance WHERE run_id = :run", run=run):
                lines.append(f"  заход: {dict(one)}")
                steps = self.rows("SELECT * FROM step_state WHERE instance_id = :id ORDER BY step", id=one["id"])
                lines += [f"    шаг: {dict(step)}" for step in steps]
            runs = self.airflow_rows(
                "SELECT dag_id, state, queued_at, start_date, end_date, clear_number FROM dag_run WHERE run_id = :run",
                run=run,
            )
            tasks = self.airflow_rows(
                "SELECT task_id, state, try_number, start_date, end_date, trigger_id, next_method, updated_at"
                " FROM task_instance WHERE run_id = :run ORDER BY updated_at",
                run=run,
            )
            lines += [f"  прогон: {dict(one)}" for one in runs]
            lines += [f"    задача Airflow: {dict(one)}" for one in tasks]
        return lines

    def lost_runs(self) -> list[str]:
        """Name live instances without a running run, and running runs that are no live instance's."""
        live = {
            (one["process"], one["run_id"])
            for one in self.rows("SELECT process, run_id FROM process_instance WHERE state = 'live'")
        }
        runs = {
            (one["dag_id"], one["run_id"])
            for one in self.airflow_rows(
                "SELECT dag_id, run_id FROM dag_run WHERE state IN ('queued', 'running')"
                " AND dag_id IN (SELECT dag_id FROM dag_tag WHERE name = 'процесс')"
            )
        }
        return [f"прогон и заход разошлись: {one}" for one in sorted(live ^ runs)]

    def programs(self, kind: str) -> list[str]:
        """Name the programs of a kind."""
        known = self.installation.status().get("programs", {})
        return [name for name in known if name == kind or (name.startswith(f"{kind}-") and name[-1].isdigit())]

    def jump(self, by: timedelta) -> None:
        """Put the machine's clock wrong for every program of the office, and for ourselves."""
        assert self.jump_file is not None
        draft = self.jump_file.with_suffix(".new")
        draft.write_text(str(int(by.total_seconds())), encoding="utf-8")
        draft.replace(self.jump_file)

    def settle(self) -> None:
        """Make the company, with somebody responsible for the exchange with 1C."""
        super().settle()
        with transaction() as work:
            admin.give_role(work, "one_c", self.people["Крылов"])


@contextmanager
def unavailable() -> Iterator[None]:
    """Make the errors of a dead database Unavailable."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or error.orig is None or "Operational" in type(error.orig).__name__:
            raise Unavailable(str(error.orig)) from error
        raise


@contextmanager
def open_office(replicas: str, *, clock_kind: str = "virtual") -> Iterator[FaultOffice]:
    """Run an office with faults prepared: a clock that can be put wrong, small disks, and the given replicas."""
    home = Path(tempfile.mkdtemp(prefix="backoffice-faults-"))
    home.chmod(0o711)
    os.environ["REPLICAS"] = replicas
    os.environ[JUMP_VARIABLE] = str(home / "clock-jump")
    installation = Installation(home / "home", port=free_port(), clock=clock_kind, extra_dags=PROCESSES)
    small = (installation.places.files, installation.places.logs)
    try:
        installation.places.create()
        no_disks = next(filter(None, (disks.mount_small(one) for one in small)), None)
        installation.prepare()
        installation.start()
        healthy(installation)
        office = FaultOffice(installation, jump_file=home / "clock-jump", no_small_disks=no_disks)
        office.settle()
        yield office
    finally:
        installation.stop()
        for one in small:
            disks.unmount(one)
        os.environ.pop(JUMP_VARIABLE, None)
        shutil.rmtree(home, ignore_errors=True)


def healthy(installation: Installation, timeout: float = 300) -> None:
    """Wait for a healthy office; programs that were killed again and again are no reason to give up."""
    until = time.monotonic() + timeout
    while True:
        try:
            installation.wait_healthy(timeout=max(1.0, until - time.monotonic()))
        except NotHealthyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return
