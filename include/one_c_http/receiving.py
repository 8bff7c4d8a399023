"""Files that 1C sends in parts: each part is spooled, then appended once; a whole package appears in one step.

A part counts when the database says so: whatever stands behind that in the file was left by a death in the middle and
is cut off first. The package is a hidden folder of ``incoming`` until it is renamed, which is what publishes it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from include.exchange_1c.folder import MARKER
from include.installation.places import Places
from include.one_c_http import rules
from include.one_c_http.models import OneCFile, OneCPackage, OneCSession
from include.one_c_http.rules import OneCRefused
from include.one_c_http.sessions import IDLE, Visit
from include.shared import clock
from include.shared.work import INTEGRATION, Work, transaction

SPOOLS = ".receiving"
COPIED_AT_ONCE = 1024 * 1024
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
SPOOL_LIVES = timedelta(hours=24)
_EMPTY = "Файл пришёл пустым. Повторите обмен."


def incoming() -> Path:
    """Return the folder that exchanges are taken from."""
    return Places.from_environment().exchange / "incoming"


class Spool:
    """A part on its way: it lies aside until all of it has come."""

    def __init__(self, limit: int) -> None:
        folder = incoming() / SPOOLS
        with _disk():
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / f"{secrets.token_hex(16)}.part"
            self._file = self.path.open("wb")
        self.limit, self.size, self.head = limit, 0, b""
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Add what has come; OneCRefused beyond the limit and when the disk refuses."""
        self.size += len(chunk)
        if self.size > self.limit:
            raise OneCRefused(too_large(self.limit), 413)
        if len(self.head) < rules.HEAD:
            self.head += chunk[: rules.HEAD - len(self.head)]
        self._digest.update(chunk)
        with _disk():
            self._file.write(chunk)

    def finish(self, announced: int | None) -> None:
        """Close the part; OneCRefused when less has come than was announced."""
        with _disk():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        if announced is not None and announced != self.size:
            msg = f"Часть файла пришла не полностью ({self.size} из {announced} байт). Повторите обмен."
            raise OneCRefused(msg, 400)

    @property
    def mark(self) -> str:
        """Return how this part is known again."""
        return rules.part_mark(self.size, self._digest.hexdigest())

    def drop(self) -> None:
        """Remove what was spooled; safe to repeat."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def too_large(limit: int) -> str:
    """Say that a part is too large."""
    size = f"{limit // rules.MEGABYTE} МБ" if limit >= rules.MEGABYTE else f"{limit} байт"
    return f"Часть файла больше {size}: 1С должна делить файл на части по file_limit."


# --- parts ----------------------------------------------------------------------------------------


def take_part(visit: Visit, kind: str, said_name: str, spool: Spool, total_limit: int) -> None:
    """Put a whole spooled part where it belongs; one that has come already changes nothing."""
    name = rules.safe_name(said_name)
    with transaction(INTEGRATION) as work:
        _lock(work, visit)
        package = _open_package(work, visit, kind)
        known = _file(work, package, name)
        if known is not None and _is_another_file(package, known, spool):
            publish(work, package)
            package, known = _open_package(work, visit, kind), None
        _append(work, package, known, name, spool, total_limit)


def _is_another_file(package: OneCPackage, known: OneCFile, spool: Spool) -> bool:
    """Say whether a part begins another file of a name whose file is whole: both are wanted (sale without import)."""
    if spool.mark in (known.first_part, known.last_part) or not rules.begins_anew(spool.head):
        return False
    path = _hidden(package) / known.name
    if not path.is_file():
        return False
    return zipfile.is_zipfile(path) if rules.begins_zip(spool.head) else _is_whole(path)


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - rules.TAIL))
        return rules.ends_document(file.read())


def _append(
    work: Work, package: OneCPackage, known: OneCFile | None, name: str, spool: Spool, total_limit: int
) -> None:
    if spool.size == 0:
        if known is None:
            raise OneCRefused(_EMPTY)
        return
    offset = rules.offset_of((known.size, known.first_part, known.last_part) if known else None, spool.mark)
    if offset is None:
        return
    if known is not None and rules.begins_anew(spool.head) and not rules.begins_zip(spool.head):
        offset = 0  # «<?xml» stands nowhere else: 1C has begun a file anew that had broken off
    others = select(func.coalesce(func.sum(OneCFile.size), 0)).where(
        OneCFile.package_id == package.id, OneCFile.name != name
    )
    if int(work.session.scalar(others) or 0) + offset + spool.size > total_limit:
        msg = f"Обмен больше {total_limit // rules.MEGABYTE} МБ: выгружайте по частям или обратитесь к администратору."
        raise OneCRefused(msg)
    _write(_hidden(package) / name, offset, spool)
    if known is None:
        known = OneCFile(package_id=package.id, name=name, size=0, parts=0, first_part=spool.mark, last_part="",
                         changed_at=work.now)  # fmt: skip
        work.session.add(known)
    if offset == 0:
        known.first_part, known.parts = spool.mark, 0
    known.size, known.parts, known.last_part = offset + spool.size, known.parts + 1, spool.mark
    known.changed_at = package.changed_at = clock.machine_now()


def _write(path: Path, offset: int, spool: Spool) -> None:
    with _disk():
        path.parent.mkdir(parents=True, exist_ok=True)
        if offset == 0:
            spool.path.replace(path)
            _make_durable(path.parent)
            return
        if path.stat().st_size < offset:
            msg = "Начало файла пропало с диска. Повторите обмен с начала."
            raise OneCRefused(msg)
        with path.open("r+b") as file, spool.path.open("rb") as part:
            file.truncate(offset)
            file.seek(offset)
            shutil.copyfileobj(part, file, COPIED_AT_ONCE)
            file.flush()
            os.fsync(file.fileno())


# --- packages -------------------------------------------------------------------------------------


def close_package(visit: Visit, said_name: str) -> str | None:
    """Publish what this session has sent and return the package that a file of this name is in; None: nothing came."""
    with transaction(INTEGRATION) as work:
        _lock(work, visit)
        package = _package_with(work, visit, said_name)
        if package is None:
            return None
        if package.state == "receiving":
            publish(work, package)
        return package.name


def close_sale(visit: Visit) -> list[str]:
    """Publish orders that 1C sent without asking for their import; what else is unfinished is given up."""
    with transaction(INTEGRATION) as work:
        _lock(work, visit)
        package = _receiving(work, visit.session_id)
        return [package.name] if package is not None and _end(work, package) else []


def tidy() -> list[str]:
    """End what idle sessions left: orders are published, unfinished catalogues given up; returns what was published."""
    with transaction(INTEGRATION) as work:
        border = clock.machine_now() - IDLE
        wanted = select(OneCPackage).where(OneCPackage.state == "receiving", OneCPackage.changed_at < border)
        idle = list(work.session.scalars(wanted.order_by(OneCPackage.id).with_for_update(skip_locked=True)))
        published = [one.name for one in idle if _end(work, one)]
    folder = incoming() / SPOOLS
    oldest = (clock.machine_now() - SPOOL_LIVES).timestamp()
    for path in folder.glob("*.part") if folder.is_dir() else ():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
    return published


def _end(work: Work, package: OneCPackage) -> bool:
    """Publish a package of orders, give up any other; says whether it was published."""
    if package.kind == "sale" and _files(work, package):
        publish(work, package)
        return True
    package.state, package.ended_at = "abandoned", clock.machine_now()
    work.session.flush()
    shutil.rmtree(_hidden(package), ignore_errors=True)
    return False


def publish(work: Work, package: OneCPackage) -> None:
    """Give a package its visible name, with the list of its files; safe to repeat after a death in the middle."""
    hidden, shown = _hidden(package), incoming() / package.name
    files = _files(work, package)
    said = {
        "source": "http", "package": package.name, "kind": package.kind,
        "access": work.session.get_one(OneCSession, package.session_id).access_id,
        "files": [{"name": one.name, "size": one.size} for one in files], "received_at": work.now.isoformat(),
    }  # fmt: skip
    with _disk():
        if hidden.is_dir():  # else it was renamed before, and only the record of it was lost
            for one in files:
                path = hidden / one.name
                if path.is_file() and path.stat().st_size > one.size:
                    os.truncate(path, one.size)
            aside = hidden / f"{MARKER}.tmp"
            with aside.open("w", encoding="utf-8") as file:
                json.dump(said, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(hidden / MARKER)
            hidden.rename(shown)
            _make_durable(shown.parent)
    package.state, package.ended_at = "complete", clock.machine_now()
    work.audit(
        "one_c_package.received", f"1С прислала по HTTP файлов: {len(files)} ({package.name})",
        entity="one_c_package", entity_id=package.id, after={"kind": package.kind, "files": len(files)},
    )  # fmt: skip
    work.session.flush()


def _open_package(work: Work, visit: Visit, kind: str) -> OneCPackage:
    found = _receiving(work, visit.session_id)
    if found is not None and found.kind != kind:
        _end(work, found)
        found = None
    if found is not None and _files(work, found) and not _hidden(found).is_dir():
        publish(work, found)
        found = None
    if found is not None:
        return found
    highest = select(func.coalesce(func.max(OneCPackage.number), 0)).where(OneCPackage.session_id == visit.session_id)
    number = int(work.session.scalar(highest) or 0) + 1
    now = clock.machine_now()
    made = OneCPackage(
        session_id=visit.session_id, number=number, kind=kind, state="receiving", opened_at=now, changed_at=now,
        name=f"http-{now:%Y%m%d-%H%M%S}-{visit.session_id}-{number}",
    )  # fmt: skip
    work.session.add(made)
    work.session.flush()
    return made


def _receiving(work: Work, session_id: int) -> OneCPackage | None:
    wanted = select(OneCPackage).where(OneCPackage.session_id == session_id, OneCPackage.state == "receiving")
    return work.session.scalars(wanted).first()


def _package_with(work: Work, visit: Visit, said_name: str) -> OneCPackage | None:
    """Return the package that holds a file; the name of one inside an archive is not known: then the newest."""
    of_session = (
        select(OneCPackage)
        .where(OneCPackage.session_id == visit.session_id, OneCPackage.state != "abandoned")
        .order_by(OneCPackage.number.desc())
        .limit(1)
    )
    with_files = of_session.where(select(OneCFile.id).where(OneCFile.package_id == OneCPackage.id).exists())
    if said_name:
        named = select(OneCFile.id).where(
            OneCFile.package_id == OneCPackage.id, OneCFile.name == rules.safe_name(said_name)
        )
        found = work.session.scalars(of_session.where(named.exists())).first()
        if found is not None:
            return found
    return work.session.scalars(with_files).first()


def _file(work: Work, package: OneCPackage, name: str) -> OneCFile | None:
    wanted = select(OneCFile).where(OneCFile.package_id == package.id, OneCFile.name == name)
    return work.session.scalars(wanted).first()


def _files(work: Work, package: OneCPackage) -> list[OneCFile]:
    wanted = select(OneCFile).where(OneCFile.package_id == package.id).order_by(OneCFile.id)
    return list(work.session.scalars(wanted))


def _lock(work: Work, visit: Visit) -> None:
    """Let the requests of one session change its files one after another."""
    work.session.execute(
        update(OneCSession).where(OneCSession.id == visit.session_id).values(seen_at=clock.machine_now())
    )


def _hidden(package: OneCPackage) -> Path:
    return incoming() / f".{package.name}"


def _make_durable(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk() -> Iterator[None]:
    """Turn what the disk says into a sentence for the person at 1C."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            msg = "На сервере кончилось место на диске: файлы не приняты. Сообщите администратору и повторите обмен."
        elif error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY):
            msg = "Файл и папка в одном обмене названы одинаково."
        elif error.errno == errno.ENOENT:
            msg = "Начало файла пропало с диска. Повторите обмен с начала."
        else:
            msg = f"Файл не записан: {error.strerror or type(error).__name__}. Сообщите администратору."
        raise OneCRefused(msg) from error
