"""`make restore`: lays a backup out in a fresh or stopped home, lets PostgreSQL recover, mends what does not travel.

Ports, paths and addresses are not restored: they come from this home's own settings. What stood in the home before is
put aside, never deleted.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from include.installation import manifest, processes
from include.installation.backup import files_folder, product_version
from include.installation.dead_jobs import end_all_jobs
from include.installation.errors import InstallationError
from include.installation.installation import Installation
from include.installation.manifest import Manifest
from include.installation.places import PROJECT
from include.installation.postgres import MAJOR, server_account
from include.installation.urls import libpq

#: An exchange of these files is a fact of the restored database: left in incoming/ they would be taken again.
_TAKEN_FILES = """
select f.sha256 from exchange_file f join exchange e on e.id = f.exchange_id where e.state = 'applied'
"""


def check(installation: Installation, source: Path) -> Manifest:
    """Return the list of a backup that is whole and fits this machine and this code; InstallationError otherwise."""
    refuse_running(installation)
    known = manifest.read(source)
    _refuse_unfit(installation, source, known)
    installation.say(f"Копия от {known.taken_at} (версия {known.product}), проверяем {len(known.content)} файлов")
    wrong = manifest.differences(source, known)
    if wrong:
        msg = f"Копия {source} повреждена, ничего не изменено: {'; '.join(wrong[:5])} (всего {len(wrong)})."
        raise InstallationError(msg)
    _check_space(installation, known)
    return known


def refuse_running(installation: Installation) -> None:
    """Raise InstallationError while anything of this home runs."""
    recorded = {
        one["pid"]: one["created"]
        for one in installation.status().get("programs", {}).values()
        if one.get("pid") and one["created"]
    }
    if installation.supervisor_alive() or processes.of_installation(
        installation.places.home, recorded, installation.places.postgres
    ):
        msg = f"Программы {installation.places.home} работают. Остановите их: make down, затем повторите."
        raise InstallationError(msg)


def is_fresh(installation: Installation) -> bool:
    """Tell whether the home holds nothing that a restore would replace."""
    places = installation.places
    held = places.secrets.exists() and any(places.secrets.iterdir())
    return not (held or places.postgres.exists() or places.unfinished_restore.exists())


def restore(installation: Installation, source: Path, known: Manifest) -> None:
    """Replace the data of a stopped home with a checked backup; afterwards `make up` works."""
    places, say = installation.places, installation.say
    places.create()
    draft = places.home / "restore.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    places.unfinished_restore.write_text(f"{source}\n", encoding="utf-8")
    say("1/4 База данных и ключи")
    parts = [name for name in ("postgres", "secrets") if (source / name).exists()]
    for name in parts:
        _lay_out(source / name, draft / name)
    if "postgres" in parts:
        _give_to_server(draft / "postgres")
    aside = _swap(installation, draft, parts)
    say("2/4 Файлы")
    _bring_files(installation, source)
    _bring_incoming(source / "incoming", places.exchange / "incoming")
    _mark_demo(installation, known)
    if known.postgres is not None and installation.embedded:
        say("3/4 Восстановление базы данных")
        _recover(installation)
    os.sync()
    places.unfinished_restore.unlink()
    say("4/4 Готово")
    _tell(installation, known, aside)


# --- before ---------------------------------------------------------------------------------------


def _refuse_unfit(installation: Installation, source: Path, known: Manifest) -> None:
    if known.postgres is not None and known.postgres != MAJOR:
        _refuse(f"База в копии – PostgreSQL {known.postgres}, а установлен {MAJOR}: возьмите ту же версию программы.")
    if known.postgres is not None and known.machine != platform.machine():
        _refuse(f"Копия снята на {known.machine}, а эта машина – {platform.machine()}: файлы базы не подойдут.")
    if known.postgres is not None and not installation.embedded:
        _refuse(
            "База этой установки задана снаружи, а в копии – встроенная. Уберите BACKOFFICE_DATABASE_URL и "
            "AIRFLOW_DATABASE_URL или поднимите копию рядом и перенесите базы через pg_dump."
        )
    if _numbers(known.airflow) > _numbers(importlib.metadata.version("apache-airflow")):
        _refuse(f"Копия сделана с Airflow {known.airflow}, он новее установленного: обновите код.")
    revision = known.revisions.get("backoffice")
    if revision is not None and revision not in _known_revisions():
        _refuse(
            f"Схема базы в копии ({revision}, версия {known.product}) новее этого кода ({product_version()}): "
            "обновите код и повторите."
        )
    home = installation.places.home
    if source == home or source in home.parents:
        _refuse(f"Папка копии {source} содержит саму установку {home}: выберите другую.")


def _refuse(text: str) -> None:
    raise InstallationError(text)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _known_revisions() -> set[str]:
    files = (PROJECT / "sql" / "migrations" / "versions").glob("*.py")
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return {line.split('"')[1] for line in lines if line.startswith('revision = "')}


def _check_space(installation: Installation, known: Manifest) -> None:
    where = next(folder for folder in (installation.places.home, *installation.places.home.parents) if folder.exists())
    free = shutil.disk_usage(where).free
    if free < known.size * 1.1:
        _refuse(
            f"На диске с {where} свободно {free / 1e9:.1f} ГБ, а копия занимает {known.size / 1e9:.1f} ГБ. "
            "Освободите место или выберите другую папку (BACKOFFICE_HOME)."
        )


# --- laying out -----------------------------------------------------------------------------------


def _lay_out(source: Path, target: Path) -> None:
    """Copy a folder with its modes; a copy, so that the backup stays what it is."""
    shutil.copytree(source, target)
    for place, _, _ in os.walk(target):
        Path(place).chmod(0o700)


def _give_to_server(folder: Path) -> None:
    """PostgreSQL's own user owns its data."""
    account = server_account()
    if account is None:
        return
    for place, _, names in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in names)):  # noqa: PTH118 - many files
            os.chown(path, account.uid, account.gid)


def _swap(installation: Installation, draft: Path, parts: Iterable[str]) -> Path | None:
    """Put the new folders in place of the old ones; return where the old ones are now."""
    home = installation.places.home
    aside = home / f"replaced-{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
    for name in parts:
        if (home / name).exists() and any((home / name).iterdir()):
            aside.mkdir(mode=0o711, exist_ok=True)
            (home / name).rename(aside / name)
        elif (home / name).exists():
            (home / name).rmdir()
        (draft / name).rename(home / name)
    draft.rmdir()
    installation.__dict__.pop("secrets", None)  # whatever was read before is not this home's any more
    installation.__dict__.pop("postgres", None)
    return aside if aside.exists() else None


def _bring_files(installation: Installation, source: Path) -> None:
    """Add the contents that the storage does not have; those that it has are the same by their hash."""
    target = files_folder(installation)
    if target is None:
        installation.say(f"   Файлы лежат в {installation.outer['BACKOFFICE_FILES']}: их не трогаем.")
        return
    for inside, path in manifest.files_of(source / "files"):
        held = target / inside
        if held.exists() and manifest.digest_of(held) == inside.replace("/", ""):
            continue
        held.parent.mkdir(parents=True, exist_ok=True)
        half = held.with_name(f".{held.name}.restoring")
        shutil.copyfile(path, half)
        half.replace(held)


def _bring_incoming(source: Path, target: Path) -> None:
    for inside, path in manifest.files_of(source):
        held = target / inside
        held.parent.mkdir(parents=True, exist_ok=True)
        if not held.exists():
            shutil.copy2(path, held)


def _mark_demo(installation: Installation, known: Manifest) -> None:
    """The first deals of the demo company are in the restored database, or they are not."""
    started = installation.places.home / "demo-started"
    if known.demo_started:
        started.touch()
    else:
        started.unlink(missing_ok=True)


# --- the database ---------------------------------------------------------------------------------


def _recover(installation: Installation) -> None:
    """Let the server replay its WAL, then mend what was true only of the machine the backup comes from."""
    try:
        installation.start_postgres_only()
        ended = end_all_jobs(libpq(installation.airflow_database_url))
        if ended:
            installation.say(f"   Закрыто записей о программах прежней установки: {ended}")
        _mend_backoffice(installation)
    finally:
        installation.stop()


def _mend_backoffice(installation: Installation) -> None:
    with psycopg.connect(libpq(installation.backoffice_database_url), connect_timeout=5) as connection:
        if connection.execute("select to_regclass('heartbeat')").fetchone() == (None,):
            return
        connection.execute("delete from heartbeat")
        taken = {row[0] for row in connection.execute(_TAKEN_FILES).fetchall()}
    for _, path in manifest.files_of(installation.places.exchange / "incoming"):
        if manifest.digest_of(path) in taken:
            path.unlink()


def _tell(installation: Installation, known: Manifest, aside: Path | None) -> None:
    say = installation.say
    if known.postgres is None:
        say("   Базы данных в этой копии нет (она была задана снаружи): восстановите её средствами её сервера.")
    if known.lost:
        say(f"   Содержимого {len(known.lost)} файлов не было уже в копии: {', '.join(known.lost[:3])}")
    if aside is not None:
        say(f"   Прежние данные лежат в {aside}: убедитесь, что всё на месте, и удалите их.")
    clock = "Копия с учебных часов: поднимайте её с BACKOFFICE_CLOCK=virtual. " if known.clock == "virtual" else ""
    say(f"   {clock}Поднять: make up")
