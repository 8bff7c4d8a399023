"""The embedded PostgreSQL under the supervisor, and what belongs to which installation."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from include.installation import processes
from include.installation.airflow_settings import SIMPLE_AUTH_MANAGER
from include.installation.errors import PortTakenError
from include.installation.installation import Installation, free_port
from include.installation.places import PROJECT
from include.installation.postgres import accepts, wait_until_accepts
from include.installation.secret_files import SECRETS, load_secrets
from include.installation.urls import libpq

from .conftest import NewInstallation

pytestmark = pytest.mark.db


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("installation") / "home"
    with Installation(home, port=free_port(), auth_manager=SIMPLE_AUTH_MANAGER) as installation:
        installation.start_postgres_only()
        yield installation


def business(installation: Installation) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(libpq(installation.backoffice_database_url), connect_timeout=3, autocommit=True)


def test_two_databases_in_utf8_with_owners_of_their_own(running: Installation) -> None:
    with business(running) as connection:
        row = connection.execute("select current_user, getdatabaseencoding(), upper('ёж')").fetchone()
        assert row == ("backoffice", "UTF8", "ЁЖ")
    stranger = running.backoffice_database_url.replace("/backoffice", "/airflow")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(libpq(stranger), connect_timeout=3)


def test_the_server_wants_a_password(running: Installation) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{running.places.postgres_port}/postgres", connect_timeout=3)


def test_secrets_are_the_owners_only_and_stay(running: Installation) -> None:
    folder = running.places.secrets
    assert {path.name for path in folder.iterdir()} == set(SECRETS)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert load_secrets(folder) == running.secrets
    assert len(set(running.secrets.values())) == len(SECRETS)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_killed_server_is_back_within_five_seconds(running: Installation, busy: bool) -> None:
    """Busy backends hold the shared memory of a killed server for a while, and would stop its successor."""
    with business(running) as connection:
        connection.execute("create table if not exists kept (n int)")
        connection.execute("insert into kept values (1)")
    query = "select count(*) from generate_series(1, 200000000)"
    threads = [threading.Thread(target=_work, args=(running, query)) for _ in range(2 if busy else 0)]
    for thread in threads:
        thread.start()
    if busy:
        time.sleep(1)
    begun = time.monotonic()
    old = running.kill("postgres")
    running.wait_program("postgres", other_than=old, timeout=5)
    assert wait_until_accepts(libpq(running.backoffice_database_url), 5 - (time.monotonic() - begun))
    with business(running) as connection:
        assert connection.execute("select count(*) > 0 from kept").fetchone() == (True,)
    for thread in threads:
        thread.join(10)


def _work(installation: Installation, query: str) -> None:
    try:
        with business(installation) as connection:
            connection.execute(query)
    except psycopg.Error:
        pass


def test_a_second_installation_lives_beside_and_stops_alone(
    running: Installation, new_installation: NewInstallation
) -> None:
    second = new_installation("second")
    second.start_postgres_only()
    assert accepts(libpq(second.backoffice_database_url))
    with pytest.raises(psycopg.OperationalError):
        crossed = second.backoffice_database_url.replace(
            str(second.places.postgres_port), str(running.places.postgres_port)
        )
        psycopg.connect(libpq(crossed), connect_timeout=3)
    assert second.stop() == ["postgres"]
    assert not accepts(libpq(second.backoffice_database_url), timeout=1)
    assert running.program_pid("postgres")
    assert accepts(libpq(running.backoffice_database_url))


def test_data_and_keys_survive_a_stop(new_installation: NewInstallation) -> None:
    first = new_installation()
    first.start_postgres_only()
    with business(first) as connection:
        connection.execute("create table kept (n int)")
    secrets = first.secrets
    first.stop()
    again = new_installation(port=first.places.port)
    again.start_postgres_only()
    assert again.secrets == secrets
    with business(again) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_stop_finds_everything_when_the_supervisor_was_killed(
    running: Installation, new_installation: NewInstallation
) -> None:
    one = new_installation()
    one.start_postgres_only()
    server = psutil.Process(one.program_pid("postgres"))
    backends = server.children()
    os.kill(one.status()["supervisor"]["pid"], signal.SIGKILL)
    time.sleep(0.3)
    assert server.is_running()
    assert not one.supervisor_alive()
    assert one.stop() == ["postgres"]
    assert not any(process.is_running() for process in [server, *backends])
    assert running.program_pid("postgres")


def test_starting_again_after_the_supervisor_was_killed(new_installation: NewInstallation) -> None:
    one = new_installation()
    one.start_postgres_only()
    os.kill(one.status()["supervisor"]["pid"], signal.SIGKILL)
    time.sleep(0.2)
    one.start_postgres_only()
    assert one.supervisor_alive()
    assert accepts(libpq(one.backoffice_database_url))


def test_a_strangers_process_with_the_same_home_in_its_environment_is_left_alone(
    new_installation: NewInstallation,
) -> None:
    one = new_installation()
    one.start_postgres_only()
    environment = {**os.environ, "BACKOFFICE_HOME": str(one.places.home)}
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)
    try:
        one.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_first_start_can_be_repeated(new_installation: NewInstallation) -> None:
    one = new_installation()
    one.places.create()
    half = one.places.home / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    one.start_postgres_only()
    assert not half.exists()
    assert accepts(libpq(one.backoffice_database_url))


def test_a_taken_port_is_told_before_anything_starts(new_installation: NewInstallation) -> None:
    one = new_installation()
    for port in (one.places.port, one.places.postgres_port):
        with socket.socket() as other:
            other.bind(("127.0.0.1", port))
            other.listen()
            with pytest.raises(PortTakenError, match=rf"Порт {port} .*BACKOFFICE_PORT="):
                one.start_postgres_only()
    assert not one.places.postgres.exists()
    assert not one.supervisor_alive()


def test_the_command_line_tells_of_a_taken_port_without_a_traceback(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = _command("up", BACKOFFICE_HOME=str(tmp_path / "home"), BACKOFFICE_PORT=str(port))
    assert done.returncode == 1
    assert f"Порт {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_reset_asks_and_deletes_only_a_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "Стирать нечего" in _command("reset", BACKOFFICE_HOME=str(home)).stdout
    (home / "secrets").mkdir(parents=True)
    refused = _command("reset", BACKOFFICE_HOME=str(home))
    assert refused.returncode == 1
    assert "CONFIRM=yes" in refused.stderr
    assert home.exists()
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "one.jpg").touch()
    assert _command("reset", BACKOFFICE_HOME=str(foreign), CONFIRM="yes").returncode == 1
    assert (foreign / "one.jpg").exists()
    assert _command("reset", BACKOFFICE_HOME=str(home), CONFIRM="yes").returncode == 0
    assert not home.exists()


def _command(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    outer = {k: v for k, v in os.environ.items() if k not in {"CONFIRM", "BACKOFFICE_PORT"}}
    return subprocess.run(
        [sys.executable, "-m", "include.installation", name],
        cwd=PROJECT,
        env={**outer, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_process_is_known_by_its_number_and_its_birth() -> None:
    born = processes.started_at(os.getpid())
    assert processes.is_same(os.getpid(), born)
    assert born is not None
    assert not processes.is_same(os.getpid(), born - 100)
    assert not processes.is_same(None, None)
