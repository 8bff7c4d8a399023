"""Backup and restore of an installation without Airflow's programs; with them: tests/scenarios/test_restore.py."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from include.installation import backup, commands, manifest, restore
from include.installation.errors import InstallationError, ProgramFailedError
from include.installation.installation import Installation, free_port
from include.installation.manifest import Manifest
from include.installation.urls import libpq

pytestmark = pytest.mark.db

CONTENT = b"draft of a contract"
NAME = hashlib.sha256(CONTENT).hexdigest()


def business(installation: Installation) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(libpq(installation.backoffice_database_url), connect_timeout=3, autocommit=True)


def keep_content(installation: Installation, content: bytes = CONTENT) -> Path:
    name = hashlib.sha256(content).hexdigest()
    path = installation.places.files / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def add_case(connection: psycopg.Connection[tuple[object, ...]], key: str, content: str = NAME) -> None:
    connection.execute(
        "with made as (insert into process_case (key, kind, title) values (%s, 'deal', 'Сделка') returning id)"
        " insert into file_version (case_id, field, number, content_hash, size, name, media_type, uploaded_at)"
        " select id, 'contract_draft', 1, %s, 19, 'договор.txt', 'text/plain', now() from made",
        [key, content],
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running server with the schema of the business database, one case and its file."""
    home = tmp_path_factory.mktemp("source") / "home"
    with Installation(home, port=free_port(), clock="real") as installation:
        installation.start_postgres_only()
        installation.command("alembic", "-c", "alembic.ini", "upgrade", "head")
        keep_content(installation)
        with business(installation) as connection:
            add_case(connection, "deal-1")
        yield installation


@pytest.fixture(scope="module")
def taken(source: Installation) -> Path:
    """One good backup, read by several tests and changed by none."""
    folder = source.places.home.parent / "good"
    backup.take(source, folder)
    return folder


@pytest.fixture
def copy(taken: Path, tmp_path: Path) -> Path:
    """The backup, for a test to damage."""
    shutil.copytree(taken, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "elsewhere", port=free_port(), clock="real") as installation:
        yield installation


def bring_back(installation: Installation, folder: Path) -> None:
    commands.restore(installation, str(folder))


def test_a_backup_holds_everything_and_is_the_owners_only(source: Installation, taken: Path) -> None:
    known = manifest.read(taken)
    assert known.revisions == {"airflow": None, "backoffice": "0006"}
    assert known.postgres == 18
    assert known.lost == []
    assert {"secrets/fernet_key", f"files/{NAME[:2]}/{NAME[2:]}", "postgres/backup_manifest"} <= set(known.content)
    assert stat.S_IMODE(taken.stat().st_mode) == 0o700
    assert manifest.differences(taken, known) == []
    with business(source) as connection:
        row = connection.execute("select info from heartbeat where name = 'backup'").fetchone()
    assert row is not None
    assert row[0]["path"] == str(taken)  # type: ignore[index]
    assert row[0]["bytes"] == known.size  # type: ignore[index]


def test_restored_elsewhere_on_another_port(source: Installation, taken: Path, fresh: Installation) -> None:
    bring_back(fresh, taken)
    assert not fresh.supervisor_alive()
    assert not fresh.places.unfinished_restore.exists()
    fresh.start_postgres_only()
    assert fresh.places.postgres_port != source.places.postgres_port
    assert fresh.secrets == source.secrets
    with business(fresh) as connection:
        assert connection.execute("select key from process_case").fetchall() == [("deal-1",)]
        assert connection.execute("select name from heartbeat").fetchall() == []
    assert (fresh.places.files / NAME[:2] / NAME[2:]).read_bytes() == CONTENT
    assert (taken / "files" / NAME[:2] / NAME[2:]).stat().st_ino != (
        fresh.places.files / NAME[:2] / NAME[2:]
    ).stat().st_ino


def test_both_databases_are_of_one_moment(source: Installation, fresh: Installation, tmp_path: Path) -> None:
    """A writer puts each number into Airflow's database first and into ours after it: a backup may be one apart."""
    stop, moved = threading.Event(), threading.Event()
    with psycopg.connect(libpq(source.airflow_database_url), autocommit=True) as engine:
        engine.execute("create table if not exists told (n int); truncate told")
    with business(source) as connection:
        connection.execute("create table if not exists told (n int); truncate told")

    def write() -> None:
        with psycopg.connect(libpq(source.airflow_database_url), autocommit=True) as engine, business(source) as facts:
            number = 0
            while not stop.is_set():
                number += 1
                engine.execute("insert into told values (%s)", [number])
                facts.execute("insert into told values (%s)", [number])
                if number > 50:
                    moved.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert moved.wait(20)
        backup.take(source, tmp_path / "moving")
    finally:
        stop.set()
        writer.join()
    bring_back(fresh, tmp_path / "moving")
    fresh.start_postgres_only()
    count = "select coalesce(max(n), 0), count(*) from told"
    with psycopg.connect(libpq(fresh.airflow_database_url)) as engine, business(fresh) as facts:
        ahead, rows = engine.execute(count).fetchone() or (0, 0)
        behind, _ = facts.execute(count).fetchone() or (0, 0)
    assert rows == ahead > 50, "середина не потеряна"
    assert 0 <= int(ahead) - int(str(behind)) <= 1


def test_a_changed_byte_is_noticed_before_anything_is_touched(copy: Path, fresh: Installation) -> None:
    victim = next(path for _, path in manifest.files_of(copy / "postgres" / "base") if path.stat().st_size > 8192)
    with victim.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(InstallationError, match=r"повреждена, ничего не изменено.*sha256"):
        bring_back(fresh, copy)
    assert not fresh.places.postgres.exists()
    with pytest.raises(ProgramFailedError, match="не тот, что отправил сервер"):
        backup.verify_database(copy / "postgres", manifest.describe(copy))


@pytest.mark.parametrize("harm", ["wal", "list", "extra"])
def test_a_base_backup_is_compared_with_what_the_server_sent(copy: Path, harm: str) -> None:
    folder = copy / "postgres"
    backup.verify_database(folder, manifest.describe(copy))
    if harm == "wal":
        segment = next(path for _, path in manifest.files_of(folder / "pg_wal") if path.stat().st_size > 10**6)
        segment.write_bytes(bytes(segment.stat().st_size))
    elif harm == "list":
        text = (folder / "backup_manifest").read_text(encoding="utf-8")
        (folder / "backup_manifest").write_text(text.replace('"Size": 3,', '"Size": 4,'), encoding="utf-8")
    else:
        (folder / "standby.signal").touch()
    with pytest.raises(ProgramFailedError, match=r"WAL|список обрезан|standby\.signal"):
        backup.verify_database(folder, manifest.describe(copy))


@pytest.mark.parametrize("harm", ["missing", "extra"])
def test_a_missing_or_foreign_file_is_noticed(copy: Path, fresh: Installation, harm: str) -> None:
    if harm == "missing":
        (copy / "secrets" / "fernet_key").unlink()
    else:
        (copy / "postgres" / "standby.signal").touch()
    with pytest.raises(InstallationError, match=r"нет файла secrets/fernet_key|лишний файл postgres/standby\.signal"):
        bring_back(fresh, copy)


def test_an_interrupted_backup_is_none(
    source: Installation, fresh: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backup, "verify_database", die)
    with pytest.raises(KeyboardInterrupt):
        backup.take(source, tmp_path / "to" / "half")
    assert list((tmp_path / "to").iterdir()) == []
    # killed outright, it could not even tidy up: what it leaves has no list and no name
    draft = source.places.backups / ".2026.unfinished"
    draft.mkdir(parents=True)
    with pytest.raises(InstallationError, match="нет законченной"):
        bring_back(fresh, draft)
    monkeypatch.undo()
    backup.take(source, tmp_path / "to" / "whole")
    assert not draft.exists()


def test_a_full_disk_is_said_before_the_work(
    source: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _where: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(InstallationError, match=r"свободно 1 МБ.*make backup TO="):
        backup.take(source, tmp_path / "to")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_not_written_into(source: Installation, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("важное", encoding="utf-8")
    with pytest.raises(InstallationError, match="не пуста"):
        backup.take(source, tmp_path)
    assert (tmp_path / "mine").exists()


def test_lost_and_damaged_contents_are_named(source: Installation, tmp_path: Path) -> None:
    lost = hashlib.sha256(b"gone").hexdigest()
    rotten = keep_content(source, b"rotten")
    rotten.write_bytes(b"rotted")
    name = hashlib.sha256(b"rotten").hexdigest()
    with business(source) as connection:
        add_case(connection, "deal-lost", lost)
        add_case(connection, "deal-rotten", name)
    try:
        made = backup.take(source, tmp_path / "to")
    finally:
        with business(source) as connection:
            connection.execute("delete from file_version where content_hash = any(%s)", [[lost, name]])
            connection.execute("delete from process_case where key <> 'deal-1'")
    assert made.lost == sorted([lost, name])
    assert not (tmp_path / "to" / "files" / name[:2] / name[2:]).exists()
    assert manifest.differences(tmp_path / "to", manifest.read(tmp_path / "to")) == []


def test_it_refuses_while_the_home_runs(source: Installation, taken: Path) -> None:
    with pytest.raises(InstallationError, match="make down"):
        bring_back(source, taken)


def test_it_asks_before_it_replaces(taken: Path, fresh: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_back(fresh, taken)
    fresh.start_postgres_only()
    with business(fresh) as connection:
        add_case(connection, "deal-later")
    fresh.stop()
    monkeypatch.delenv("CONFIRM", raising=False)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123 - no terminal
    with pytest.raises(InstallationError, match="CONFIRM=yes"):
        bring_back(fresh, taken)
    monkeypatch.setenv("CONFIRM", "yes")
    bring_back(fresh, taken)
    (aside,) = fresh.places.home.glob("replaced-*")
    assert (aside / "postgres" / "PG_VERSION").exists()
    assert (aside / "secrets" / "fernet_key").exists()
    fresh.start_postgres_only()
    with business(fresh) as connection:
        assert connection.execute("select key from process_case").fetchall() == [("deal-1",)]


def test_an_interrupted_restore_does_not_come_up(
    taken: Path, fresh: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restore, "_bring_files", die)
    with pytest.raises(KeyboardInterrupt):
        bring_back(fresh, taken)
    for command in (commands.up, commands.migrate):
        with pytest.raises(InstallationError, match=f"make restore FROM={taken}"):
            command(fresh)
    monkeypatch.undo()
    monkeypatch.setenv("CONFIRM", "yes")
    bring_back(fresh, taken)
    fresh.start_postgres_only()
    with business(fresh) as connection:
        assert connection.execute("select key from process_case").fetchall() == [("deal-1",)]


def change(folder: Path, **values: object) -> None:
    path = folder / manifest.NAME
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"postgres": 19}, "PostgreSQL 19"),
        ({"machine": "pdp11"}, "pdp11"),
        ({"airflow": "99.1.0"}, "обновите код"),
        ({"revisions": {"backoffice": "9999"}}, "9999"),
        ({"format": 99}, "более новой программой"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    copy: Path, fresh: Installation, values: dict[str, object], said: str
) -> None:
    change(copy, **values)
    with pytest.raises(InstallationError, match=said):
        bring_back(fresh, copy)
    assert restore.is_fresh(fresh)


def test_files_of_an_exchange_that_was_applied_are_not_taken_again(
    source: Installation, fresh: Installation, tmp_path: Path
) -> None:
    incoming = source.places.exchange / "incoming"
    (incoming / "done.xml").write_bytes(b"applied")
    (incoming / "new.xml").write_bytes(b"not yet")
    digest = hashlib.sha256(b"applied").hexdigest()
    with business(source) as connection:
        connection.execute(
            "with made as (insert into exchange (source, state, started_at, digest)"
            " values ('folder', 'applied', now(), 'x') returning id)"
            " insert into exchange_file (exchange_id, name, sha256, size, state)"
            " select id, 'done.xml', %s, 7, 'applied' from made",
            [digest],
        )
    backup.take(source, tmp_path / "to")
    bring_back(fresh, tmp_path / "to")
    assert [path.name for path in (fresh.places.exchange / "incoming").iterdir()] == ["new.xml"]


def test_old_backups_go_only_after_a_new_one_is_good(
    source: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad(*_: object) -> None:
        msg = "не сходится"
        raise ProgramFailedError(msg)

    (tmp_path / "not a backup").mkdir()
    for number in (1, 2):
        backup.take(source, tmp_path / str(number))
        change(tmp_path / str(number), taken_at=f"2026-01-0{number}")
    stranger = tmp_path / "another home"
    shutil.copytree(tmp_path / "1", stranger)
    change(stranger, home="/other")
    with monkeypatch.context() as patch:
        patch.setattr(backup, "verify_database", bad)
        with pytest.raises(ProgramFailedError):
            backup.take(source, tmp_path / "3", keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "another home", "not a backup"]
    backup.take(source, tmp_path / "3", keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "another home", "not a backup"]


def test_the_command_makes_a_dated_folder_and_is_alone(source: Installation) -> None:
    with commands._alone(source), pytest.raises(InstallationError, match="другая команда make"):
        commands.backup(source, "", "")
    commands.backup(source, "", "3")
    (folder,) = source.places.backups.iterdir()
    assert manifest.differences(folder, manifest.read(folder)) == []
    shutil.rmtree(source.places.backups)


def test_a_stopped_home_is_started_for_its_backup(taken: Path, fresh: Installation, tmp_path: Path) -> None:
    bring_back(fresh, taken)
    commands.backup(fresh, str(tmp_path / "of stopped"), "")
    assert not fresh.supervisor_alive()
    assert manifest.read(tmp_path / "of stopped").home == str(fresh.places.home)


@pytest.mark.parametrize("keep", ["0", "-1", "много"])
def test_keep_must_be_a_number(source: Installation, keep: str) -> None:
    with pytest.raises(InstallationError, match="KEEP"):
        commands.backup(source, "", keep)


def test_an_outside_database_is_said_and_the_rest_is_copied(
    source: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123
    outside = company(source, tmp_path / "company", told.append)
    made = backup.take(outside, tmp_path / "to")
    assert any("НЕТ" in line and "pg_basebackup" in line for line in told)
    assert made.postgres is None
    assert not (tmp_path / "to" / "postgres").exists()
    assert f"files/{NAME[:2]}/{NAME[2:]}" in made.content
    again = company(source, tmp_path / "again", told.append)
    bring_back(again, tmp_path / "to")
    assert (again.places.files / NAME[:2] / NAME[2:]).read_bytes() == CONTENT
    assert any("восстановите её средствами её сервера" in line for line in told)


def company(source: Installation, home: Path, say: Callable[[str], None]) -> Installation:
    """An installation whose databases are given by address."""
    environment = {
        "BACKOFFICE_DATABASE_URL": source.backoffice_database_url,
        "AIRFLOW_DATABASE_URL": source.airflow_database_url,
    }
    made = Installation(home, port=free_port(), clock="real", keep=True, environment=environment, say=say)
    made.places.create()
    keep_content(made)
    return made


def test_a_bucket_keeps_its_own_files(source: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(source.outer, "BACKOFFICE_FILES", "s3://conn@bucket/files")
    made = backup.take(source, tmp_path / "to")
    assert made.lost == []
    assert not any(inside.startswith("files/") for inside in made.content)


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    nowhere = Installation(tmp_path / "nowhere", port=free_port(), clock="real")
    with pytest.raises(InstallationError, match="Копировать нечего"):
        commands.backup(nowhere, "", "")
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(InstallationError, match="FROM="):
        commands.restore(nowhere, "")


def test_the_list_reads_what_it_writes(tmp_path: Path) -> None:
    made = Manifest(
        taken_at="2026-01-01", home="/h", machine="m", product="1", airflow="3", clock="real", demo_started=True,
        postgres=18, revisions={"airflow": None, "backoffice": None}, content={"a": {"size": 3, "sha256": "x"}},
    )  # fmt: skip
    manifest.write(tmp_path, made)
    assert manifest.read(tmp_path) == made
    (tmp_path / manifest.NAME).write_text("{", encoding="utf-8")
    with pytest.raises(InstallationError, match="испорчен"):
        manifest.read(tmp_path)
