"""`make backup`: the one server with both databases, the files, the secrets – of one moment, while cases move.

Why one base backup and not two dumps, and why the files come after it: docs/adr/0009-backup.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from include.installation import manifest
from include.installation.errors import InstallationError, ProgramFailedError
from include.installation.installation import Installation
from include.installation.places import PROJECT
from include.installation.postgres import MAJOR, SUPERUSER, binaries
from include.installation.urls import libpq

#: What a base backup needs beyond the databases: WAL written meanwhile, catalogues.
SPARE_BYTES = 200_000_000
EXTERNAL = (
    "База данных задана снаружи (BACKOFFICE_DATABASE_URL), её в этой копии НЕТ: здесь только файлы и ключи.\n"
    "   Снимайте её средствами её сервера ПЕРЕД make backup и обе базы одним снимком – pg_basebackup\n"
    "   или снимок тома; два pg_dump не годятся: у баз были бы разные моменты. См. docs/runbook.md#backup"
)


def take(installation: Installation, target: Path, *, keep: int | None = None) -> manifest.Manifest:
    """Make a verified backup in the new folder `target`; with `keep` only so many of this home's stay beside it."""
    begun = time.monotonic()
    if not installation.places.home.exists():
        msg = f"Копировать нечего: {installation.places.home} нет."
        raise InstallationError(msg)
    _refuse_taken(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.unfinished")
    _clear_leftovers(installation, draft)
    try:
        with _database_up(installation):
            made = _fill(installation, draft)
            _publish(draft, target)
            _record(installation, target, made, time.monotonic() - begun)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    installation.say(f"Копия готова и проверена: {target} ({_size(made.size)}, {time.monotonic() - begun:.0f} с).")
    if keep is not None:
        _prune(installation, target, keep)
    return made


def default_target(installation: Installation) -> Path:
    """Return a dated folder below the installation's home."""
    return installation.places.backups / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


def files_folder(installation: Installation) -> Path | None:
    """Return the folder that holds the files of cases; None when they live in a bucket (BACKOFFICE_FILES)."""
    address = installation.outer.get("BACKOFFICE_FILES")
    if not address:
        return installation.places.files
    if address.startswith("file://"):
        return Path(unquote(urlsplit(address).path))
    return None if "://" in address else Path(address)


def _refuse_taken(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"{target} уже есть и не пуста: копия пишется в новую папку."
        raise InstallationError(msg)


def _clear_leftovers(installation: Installation, draft: Path) -> None:
    """Remove what killed backups of this home left; we hold its lock, so none of them is at work."""
    shutil.rmtree(draft, ignore_errors=True)
    for ending in ("unfinished", "removing"):
        for folder in installation.places.backups.glob(f".*.{ending}"):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database_up(installation: Installation) -> Iterator[None]:
    """Start the embedded server for the time of the backup when nothing runs."""
    if not installation.embedded or installation.supervisor_alive():
        yield
        return
    installation.start_postgres_only()
    try:
        yield
    finally:
        installation.stop()


def _fill(installation: Installation, draft: Path) -> manifest.Manifest:
    """Write everything into the unfinished folder and verify it; the list comes last."""
    say = installation.say
    files = files_folder(installation)
    _check_space(installation, draft.parent, files)
    draft.mkdir(mode=0o700)
    taken_at = datetime.now(UTC)
    # Files that wait for 1C's exchange are copied on both sides of the database's moment: one that was moved to done/
    # in between is in the first copy. What the database has applied is left out when it is restored.
    incoming = installation.places.exchange / "incoming"
    _copy_tree(incoming, draft / "incoming")
    say("1/4 База данных")
    if installation.embedded:
        _copy_database(installation, draft / "postgres")
    else:
        say(f"   {EXTERNAL}")
    say("2/4 Файлы и ключи")
    named = _rows(installation, "select distinct content_hash from file_version order by 1", "file_version")
    lost = _copy_contents(files, draft / "files", [row[0] for row in named])
    if files is None:
        say(f"   Файлы лежат в {installation.outer['BACKOFFICE_FILES']}: их хранит и копирует само хранилище.")
    _copy_tree(incoming, draft / "incoming")
    _copy_tree(installation.places.secrets, draft / "secrets")
    _close_to_others(draft)
    say("3/4 Проверка")
    content = manifest.describe(draft, _progress(say, "проверено"))
    if installation.embedded:
        verify_database(draft / "postgres", content)
    lost += _drop_damaged(draft, content)
    made = manifest.Manifest(
        taken_at=taken_at.isoformat(timespec="seconds"),
        home=str(installation.places.home),
        machine=platform.machine(),
        product=product_version(),
        airflow=importlib.metadata.version("apache-airflow"),
        clock="virtual" if _rows(installation, "select 1 from clock_offset", "clock_offset") else "real",
        demo_started=(installation.places.home / "demo-started").exists(),
        postgres=MAJOR if installation.embedded else None,
        revisions=revisions(installation),
        lost=sorted(lost),
        content=content,
    )
    if lost:
        say(f"   ВНИМАНИЕ: содержимого {len(lost)} файлов нет в хранилище или оно испорчено; список в {manifest.NAME}.")
    say("4/4 Запись на диск")
    manifest.write(draft, made)
    return made


def _publish(draft: Path, target: Path) -> None:
    """Give the finished folder its name once all of it is on the disk."""
    for place, _, names in os.walk(draft):
        inside = Path(place).relative_to(draft)
        for name in names if "postgres" not in inside.parts[:1] else ():  # pg_basebackup has waited for its own
            _to_disk(Path(place, name))
        _to_disk(Path(place))
    if target.exists():
        target.rmdir()
    draft.rename(target)
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- the database ---------------------------------------------------------------------------------


def _copy_database(installation: Installation, folder: Path) -> None:
    """Take a base backup of the whole running server: both databases, of one moment."""
    command = [
        str(binaries() / "pg_basebackup"),
        f"--pgdata={folder}",
        "--host=127.0.0.1",
        f"--port={installation.places.postgres_port}",
        f"--username={SUPERUSER}",
        "--no-password",
        "--format=plain",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--label=backoffice",
    ]
    environment = {"PATH": os.environ.get("PATH", ""), "PGPASSWORD": installation.secrets["postgres_password"]}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output = _watched(process, folder, installation.say)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        msg = f"Копия базы данных не снята (pg_basebackup):\n{output.strip()}"
        raise ProgramFailedError(msg)


def _watched(process: subprocess.Popen[str], folder: Path, say: Callable[[str], None]) -> str:
    """Wait for the program and say every five seconds how far it is."""
    while True:
        try:
            return process.communicate(timeout=5)[0]
        except subprocess.TimeoutExpired:
            done = 0
            with contextlib.suppress(OSError):  # files come and go while it works
                done = sum(path.stat().st_size for _, path in manifest.files_of(folder))
            say(f"   … {_size(done)}")


def verify_database(folder: Path, content: dict[str, dict[str, Any]]) -> None:
    """Compare what arrived with what the server says it sent, and read the WAL that goes with it to its end.

    It is the work of pg_verifybackup, whose program in the wheel ends with a segmentation fault at its first line.
    """
    raw = (folder / "backup_manifest").read_bytes()
    sent = json.loads(raw)
    head = raw[: raw.rindex(b'"Manifest-Checksum"')]
    if hashlib.sha256(head).hexdigest() != sent["Manifest-Checksum"]:
        _not_whole("его список обрезан или изменён")
    names = set()
    for one in sent["Files"]:
        name = one["Path"] if "Path" in one else os.fsdecode(bytes.fromhex(one["Encoded-Path"]))
        names.add(name)
        if content.get(f"{folder.name}/{name}") != {"size": one["Size"], "sha256": one["Checksum"]}:
            _not_whole(f"файл {name} не тот, что отправил сервер")
    ours = (inside.partition("/")[2] for inside in content if inside.startswith(f"{folder.name}/"))
    strange = [name for name in ours if name not in {*names, "backup_manifest"} and not name.startswith("pg_wal/")]
    if strange:
        _not_whole(f"лишний файл {strange[0]}")
    for part in sent["WAL-Ranges"]:
        _read_wal(folder / "pg_wal", part)


def _read_wal(folder: Path, part: dict[str, Any]) -> None:
    command = [
        str(binaries() / "pg_waldump"),
        "--quiet",
        f"--path={folder}",
        f"--timeline={part['Timeline']}",
        f"--start={part['Start-LSN']}",
        f"--end={part['End-LSN']}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _not_whole(f"журнал WAL не читается до конца копии: {(done.stdout + done.stderr).strip()}")


def _not_whole(reason: str) -> None:
    msg = f"Снятая копия базы данных не цела: {reason}. Копии нет; повторите make backup."
    raise ProgramFailedError(msg)


def revisions(installation: Installation) -> dict[str, str | None]:
    """Return the schema revision of each database."""
    found = {}
    addresses = {"airflow": installation.airflow_database_url, "backoffice": installation.backoffice_database_url}
    for name, url in addresses.items():
        rows = _ask(url, "select version_num from alembic_version", "alembic_version")
        found[name] = str(rows[0][0]) if rows else None
    return found


def _rows(installation: Installation, query: str, table: str) -> list[tuple[str, ...]]:
    return _ask(installation.backoffice_database_url, query, table)


def _ask(url: str, query: str, table: str) -> list[tuple[str, ...]]:
    """Read rows; none when the schema is not there yet."""
    with psycopg.connect(libpq(url), connect_timeout=5) as connection:
        if connection.execute("select to_regclass(%s)", [table]).fetchone() == (None,):
            return []
        return connection.execute(query.encode()).fetchall()


def _record(installation: Installation, target: Path, made: manifest.Manifest, seconds: float) -> None:
    """Tell the ops page when the last good backup was taken."""
    info = {"path": str(target), "bytes": made.size, "seconds": round(seconds, 1)}
    with psycopg.connect(libpq(installation.backoffice_database_url), connect_timeout=5) as connection:
        if connection.execute("select to_regclass('heartbeat')").fetchone() == (None,):
            return
        connection.execute(
            "insert into heartbeat (name, instance, at, info) values ('backup', 'make', now(), %s::jsonb)"
            " on conflict (name, instance) do update set at = excluded.at, info = excluded.info",
            [json.dumps(info, ensure_ascii=False)],
        )


# --- files ----------------------------------------------------------------------------------------


def _check_space(installation: Installation, where: Path, files: Path | None) -> None:
    needed = SPARE_BYTES
    if installation.embedded:
        with psycopg.connect(installation.admin_url, connect_timeout=5) as connection:
            row = connection.execute("select sum(pg_database_size(oid))::bigint from pg_database").fetchone()
            needed += int(row[0]) if row else 0
    if files is not None and files.exists() and files.stat().st_dev != where.stat().st_dev:
        sizes = "select content_hash, max(size)::text from file_version group by content_hash"
        needed += sum(int(row[1]) for row in _rows(installation, sizes, "file_version"))
    free = shutil.disk_usage(where).free
    if free < needed:
        msg = (
            f"На диске с {where} свободно {_size(free)}, а для копии нужно около {_size(needed)}. "
            "Освободите место или назовите папку на другом диске: make backup TO=/другой/диск/копия"
        )
        raise InstallationError(msg)


def _copy_contents(source: Path | None, target: Path, named: Iterable[str]) -> list[str]:
    """Take over every content that the database names; return those that are not there.

    A content never changes under its hash, so on one disk a second name for it costs nothing and is as good as a copy.
    """
    target.mkdir(mode=0o700)
    lost: list[str] = []
    if source is None:
        return lost
    for name in named:
        held, copy = source / name[:2] / name[2:], target / name[:2] / name[2:]
        copy.parent.mkdir(exist_ok=True)
        try:
            _link_or_copy(held, copy)
        except FileNotFoundError:
            lost.append(name)
    return lost


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def _drop_damaged(folder: Path, content: dict[str, dict[str, object]]) -> list[str]:
    """Leave out contents that are not what their name says: they would only pass for whole ones."""
    damaged = []
    for inside, one in list(content.items()):
        first, _, rest = inside.partition("/")
        if first == "files" and rest.replace("/", "") != one["sha256"]:
            damaged.append(rest.replace("/", ""))
            (folder / inside).unlink()
            del content[inside]
    return damaged


def _copy_tree(source: Path, target: Path) -> None:
    """Copy a small folder; what somebody moves away meanwhile is left out."""
    target.mkdir(mode=0o700, exist_ok=True)
    for inside, path in manifest.files_of(source):
        if path.is_symlink():
            continue
        copy = target / inside
        copy.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(path, copy)


def _close_to_others(folder: Path) -> None:
    """Keys and people's data: nobody but the owner may look in."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)


# --- pruning, words -------------------------------------------------------------------------------


def _prune(installation: Installation, target: Path, keep: int) -> None:
    """Remove the oldest backups of this home beside the new one; other folders are not touched."""
    found = []
    for folder in target.parent.iterdir():
        with contextlib.suppress(InstallationError):
            known = manifest.read(folder)
            if known.home == str(installation.places.home):
                found.append((known.taken_at, folder))
    for _, folder in sorted(found, reverse=True)[keep:]:
        doomed = folder.with_name(f".{folder.name}.removing")  # half-removed, it must not pass for a backup
        folder.rename(doomed)
        shutil.rmtree(doomed)
        installation.say(f"Старая копия удалена: {folder}")


def product_version() -> str:
    """Return the version of this code."""
    known = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(known["project"]["version"])


def _progress(say: Callable[[str], None], word: str) -> Callable[[int], None]:
    """Return a counter of bytes that speaks every five seconds."""
    done, told = 0, time.monotonic()

    def count(size: int) -> None:
        nonlocal done, told
        done += size
        if time.monotonic() - told >= 5:
            told = time.monotonic()
            say(f"   … {word} {_size(done)}")

    return count


def _size(number: int) -> str:
    text = f"{number / 1e9:.1f} ГБ" if number >= 1e9 else f"{number / 1e6:.0f} МБ"
    return text.replace(".", ",")
