"""The files of one exchange, looked at for the first time: readable, archives with what is in them, or refused."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from include.exchange_1c import folder
from include.exchange_1c.folder import Arrived
from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.records import ExchangeFileDamaged, ExchangeFileRefused, Limits
from include.exchange_1c.rules import exchange_order

_OTHER_ARCHIVES = {".rar", ".7z", ".gz", ".bz2", ".xz", ".tar", ".tgz", ".cab", ".arj"}


@dataclass
class Taken:
    """A file of the present exchange: as it arrived, as it is recorded, and its reader when it is readable."""

    arrived: Arrived
    sha256: str
    state: str = "received"
    error: str | None = None
    reader: CommerceFile | None = None
    inner: list[Taken] = field(default_factory=list)  # what was in this archive
    file_id: int = 0
    damage: ExchangeFileDamaged | None = None  # it is cut or broken: nothing of the exchange may be applied

    @property
    def all(self) -> list[Taken]:
        """Return the file and what was in it."""
        return [self, *self.inner]


def look_into(arrived: Sequence[Arrived], workshop: Path, limits: Limits) -> list[Taken]:
    """Look at every file; archives are unpacked into ``workshop``, which is emptied before."""
    shutil.rmtree(workshop, ignore_errors=True)
    return [_look_into(one, workshop / str(number), limits) for number, one in enumerate(arrived)]


def readable(taken: Sequence[Taken]) -> list[tuple[Taken, CommerceFile]]:
    """Return what can be read, in 1C's order, whatever archive it came in."""
    found = [(one, one.reader) for outer in taken for one in outer.all if one.reader is not None]
    return sorted(found, key=lambda pair: exchange_order(pair[0].arrived.name))


def digest_of(taken: Sequence[Taken]) -> str:
    """Return the digest of all the files as they came: the same ones again change nothing."""
    return hashlib.sha256("\n".join(sorted(one.sha256 for one in taken)).encode()).hexdigest()


def _look_into(arrived: Arrived, target: Path, limits: Limits) -> Taken:
    if arrived.is_picture:
        return Taken(arrived, folder.sha256_of(arrived.path), "skipped", "картинки пока не загружаются")
    if arrived.is_archive:
        return _archive(arrived, target, limits)
    if not arrived.is_xml:
        kind = "Такие архивы" if arrived.path.suffix.lower() in _OTHER_ARCHIVES else "Такие файлы"
        error = f"{kind} не принимаются: положите в папку файлы XML из выгрузки 1С или архив ZIP с ними."
        return Taken(arrived, folder.sha256_of(arrived.path), "refused", error)
    reader = CommerceFile(arrived.path, limits, everything=True)
    try:
        head = reader.inspect()
    except ExchangeFileRefused as refusal:
        return Taken(arrived, folder.sha256_of(arrived.path), "refused", str(refusal))
    return Taken(arrived, head.sha256, reader=reader)


def _archive(arrived: Arrived, target: Path, limits: Limits) -> Taken:
    made = Taken(arrived, folder.sha256_of(arrived.path), "unpacked")
    try:
        inner = folder.unpacked(arrived, target, limits)
    except ExchangeFileDamaged as damage:
        made.state, made.error, made.damage = "failed", str(damage), damage
    except ExchangeFileRefused as refusal:
        made.state, made.error = "refused", str(refusal)
    else:
        made.inner = [
            Taken(one, folder.sha256_of(one.path), "skipped", "вложения пока не загружаются")
            if one.is_archive  # archive.unpack lets them stand among the pictures alone
            else _look_into(one, target, limits)
            for one in inner
        ]
    return made
