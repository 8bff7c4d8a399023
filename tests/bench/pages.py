"""The pages of a company with 20,000 deals and 100,000 tasks against the empty route of the same server.

The server is Airflow's own API server, started as the product starts it; a person logs in and asks one page after the
other over one connection. Empty is `GET /backoffice/api/me`: the same middleware, the same guard (who is it, may he),
the same pool of threads, and nothing else – it answers with his name.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from include.installation.installation import Installation, free_port
from tests.bench import company
from tests.bench.database import Database
from tests.bench.report import Row, summary
from tests.bench.stand import clean_environment

ROUNDS = int(os.environ.get("ROUNDS") or 200)
WARMING = 10
MOST = 6.0
START_SECONDS = 180
PEOPLE = {"manager": "менеджер", "head": "руководитель", "admin": "администратор"}
TITLES = {
    "day": "Мой день",
    "board": "доска",
    "deal": "карточка сделки",
    "task": "страница задачи",
    "close": "закрытие",
}


@dataclass
class Visit:
    """What a person's requests took, in milliseconds, and how heavy the last page of each kind was."""

    took: dict[str, list[float]] = field(default_factory=dict)
    weight: dict[str, tuple[int, int]] = field(default_factory=dict)


def run() -> list[Row]:
    """Found the company, start the server, ask ``ROUNDS`` times for each page as each person."""
    with tempfile.TemporaryDirectory(prefix="backoffice-bench-") as folder:
        home = Path(folder)
        database = Database(home / "database", free_port())
        database.start()
        try:
            installation = _installation(home / "office", database)
            installation.migrate()
            os.environ |= {
                "BACKOFFICE_DATABASE_URL": installation.backoffice_database_url,
                "BACKOFFICE_CLOCK": "real",
            }
            company.found()
            with _server(installation, home / "api-server.log") as address:
                return [row for login in PEOPLE for row in _rows(login, _visit(login, address, database))]
        finally:
            database.stop()


def _installation(home: Path, database: Database) -> Installation:
    urls = {
        "BACKOFFICE_DATABASE_URL": database.url("backoffice"),
        "AIRFLOW_DATABASE_URL": database.url("airflow"),
    }
    return Installation(
        home, port=free_port(), clock="real", keep=True, environment=clean_environment() | urls
    )  # the product as it is; its engine has nothing to do here and is not started


@contextlib.contextmanager
def _server(installation: Installation, log: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "airflow", "api-server"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=installation.env(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(f"{installation.base_url}/backoffice/login", process, log)
            yield installation.base_url
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(address).status_code == 200:
                return
        time.sleep(0.5)
    msg = f"Сервер страниц не отвечает: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
    raise RuntimeError(msg)


def _visit(login: str, address: str, database: Database) -> Visit:
    person = company.LOGINS[login][0]
    deals, tasks = _own(person, database)
    with httpx.Client(base_url=address, headers={"Origin": address}, timeout=60) as client:
        entered = client.post("/backoffice/login", data={"login": login, "password": company.PASSWORD})
        assert entered.status_code == 303, entered.text[:500]
        pages: dict[str, Callable[[int], str]] = {
            "empty": lambda _: "/backoffice/api/me",
            "day": lambda _: "/backoffice/",
            "board": lambda _: "/backoffice/board/goods",
            "deal": lambda n: f"/backoffice/deals/{deals[n % len(deals)]}",
            "task": lambda n: f"/backoffice/tasks/{tasks[n % len(tasks)]}",
        }
        visit = Visit({name: [] for name in pages})
        for n in range(WARMING + ROUNDS):  # in turn, so that whatever else the machine does meets all alike
            for name, path in pages.items():
                took, answer = _asked(client, path(n))
                visit.weight[name] = len(answer.content), answer.num_bytes_downloaded
                if n >= WARMING:
                    visit.took[name].append(took)
        visit.took["close"] = _close(client, tasks[:ROUNDS])
    return visit


def _own(person: int, database: Database) -> tuple[list[int], list[int]]:
    with psycopg.connect(database.url("backoffice")) as eye:
        deals = eye.execute(
            "SELECT id FROM deal WHERE closed_at IS NULL AND responsible_id = %s ORDER BY id DESC", [person]
        ).fetchall()
        tasks = eye.execute(
            "SELECT id FROM task WHERE state = 'open' AND executor_id = %s ORDER BY id", [person]
        ).fetchall()
    return [row[0] for row in deals], [row[0] for row in tasks]


def _asked(client: httpx.Client, path: str) -> tuple[float, httpx.Response]:
    begun = time.perf_counter()
    answer = client.get(path)
    took = 1000 * (time.perf_counter() - begun)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
    return took, answer


def _close(client: httpx.Client, tasks: list[int]) -> list[float]:
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/backoffice/").text)
    assert token is not None
    took = []
    for task in tasks:
        begun = time.perf_counter()
        answer = client.post(f"/backoffice/tasks/{task}/close", data={"csrf": token[1]})
        took.append(1000 * (time.perf_counter() - begun))
        assert answer.status_code == 303, (task, answer.status_code, answer.text[:500])
    return took


def _rows(login: str, visit: Visit) -> list[Row]:
    middle, most = summary(visit.took["empty"])
    rows = []
    for name, title in TITLES.items():
        median, p95 = summary(visit.took[name])
        pages, sent = visit.weight.get(name, (0, 0))
        weight = f"; страница {pages / 1000:.0f} КБ, по сети {sent / 1000:.0f} КБ" if pages else ""
        rows.append(
            Row(
                f"Страницы, {PEOPLE[login]}: {title}",
                "мс",
                ours_median=median,
                ours_p95=p95,
                baseline_median=middle,
                baseline_p95=most,
                ratio=p95 / most,
                target="p95 ≤ 6 × пустого",
                met=p95 <= MOST * most,
                note=f"n = {len(visit.took[name])}, база – GET /backoffice/api/me той же сессией{weight}",
            )
        )
    return rows
