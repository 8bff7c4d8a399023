"""The folder of the exchange: what has come in completely, and where a finished exchange's files go."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from include.exchange_1c.archive import unpack
from include.exchange_1c.records import Limits
from include.exchange_1c.rules import exchange_order
from include.shared.db import Json

UNFINISHED = (".tmp", ".part", ".crdownload", "~")
REPORTS = ("report.json", "report.txt")  # our own, left when somebody moves a failed exchange back
MARKER = ".package.json"  # stands in a folder whose files came together and are all there (HTTP)
WORKSHOP = ".unpacked"  # archives of the present exchange; whatever is in it may be thrown away
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Arrived:
    """A file in the folder: its name relative to the folder, size in bytes and time of change."""

    path: Path
    name: str
    size: int
    changed_ns: int

    @property
    def is_xml(self) -> bool:
        """Say whether it should be read."""
        return self.path.suffix.lower() == ".xml"

    @property
    def is_archive(self) -> bool:
        """Say whether files are to be taken out of it."""
        return self.path.suffix.lower() == ".zip"

    @property
    def is_picture(self) -> bool:
        """Say whether it is a picture of goods (not loaded yet)."""
        return self.path.suffix.lower() in PICTURES

    def is_same(self) -> bool:
        """Say whether the file is still the one that was picked up."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed_ns)


def look(incoming: Path) -> list[Arrived]:
    """List the files of the folder and its subfolders in 1C's order; links and hidden files are not touched.

    Packages, subfolders with a marker, are exchanges of their own and stand in no other list.
    """
    found: list[Arrived] = []
    for place, folders, names in os.walk(incoming):
        folders[:] = sorted(
            one for one in folders if not one.startswith(".") and not Path(place, one, MARKER).is_file()
        )
        for name in names:
            path = Path(place, name)
            if name.startswith(".") or name.lower().endswith(UNFINISHED) or name in REPORTS:
                continue
            if path.is_symlink() or not path.is_file():
                continue
            path = _readable(path)
            stat = path.stat()
            found.append(Arrived(path, path.relative_to(incoming).as_posix(), stat.st_size, stat.st_mtime_ns))
    return sorted(found, key=lambda one: exchange_order(one.name))


def packages(incoming: Path) -> list[Path]:
    """List the packages that came over HTTP, the oldest first."""
    found = [one.parent for one in incoming.glob(f"*/{MARKER}") if not one.parent.name.startswith(".")]
    return sorted(found, key=lambda one: ((one / MARKER).stat().st_mtime_ns, one.name))


def unpacked(archive: Arrived, target: Path, limits: Limits) -> list[Arrived]:
    """Unpack an archive and list what was in it; what ``archive.unpack`` raises passes through."""
    found = []
    for path in unpack(archive.path, target, limits):
        stat = path.stat()
        name = f"{archive.name}/{path.relative_to(target).as_posix()}"
        found.append(Arrived(path, name, stat.st_size, stat.st_mtime_ns))
    return found


def remove_empty(place: Path) -> None:
    """Remove a folder that came as a package or was held, once nothing but our own marks is left in it."""
    if place.is_dir() and not any(one.is_file() and not one.name.startswith(".") for one in place.rglob("*")):
        shutil.rmtree(place, ignore_errors=True)


def _readable(path: Path) -> Path:
    """Rename a file whose name is not UTF-8 (Windows writes cp1251): such a name fits neither database nor report."""
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        raw = os.fsencode(path.name)
        name = "".join(one if one.isprintable() else "_" for one in raw.decode("cp1251", "replace"))
        target = path.with_name(name)
        if target.exists():
            target = path.with_name(f"{hashlib.sha256(raw).hexdigest()[:8]}-{name}")
        return path.rename(target)
    return path


def wait_until_complete(incoming: Path, settle_seconds: float, attempts: int = 12) -> list[Arrived] | None:
    """Return the files once nothing has grown for ``settle_seconds``; None while 1C is still writing."""
    before = look(incoming)
    for _ in range(attempts):
        if not before or settle_seconds <= 0:
            return before
        time.sleep(settle_seconds)
        after = look(incoming)
        if after == before:
            return after
        before = after
    return None


def sha256_of(path: Path) -> str:
    """Return the digest of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def move(incoming: Path, target: Path, files: Iterable[tuple[str, str]]) -> None:
    """Move (name, sha256) to ``target``; what is gone or has been replaced by a newer file meanwhile stays."""
    for name, sha256 in files:
        source, place = incoming / name, target / name
        if not source.is_file() or source.is_symlink() or sha256_of(source) != sha256:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, place)


def write_report(target: Path, report: Json, words: str) -> None:
    """Write report.json and report.txt beside the files."""
    target.mkdir(parents=True, exist_ok=True)
    for name, text in zip(REPORTS, (json.dumps(report, ensure_ascii=False, indent=2), words), strict=True):
        half = target / f".{name}.tmp"
        half.write_text(text, encoding="utf-8")
        half.replace(target / name)
