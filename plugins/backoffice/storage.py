"""Files of cases in Airflow's object storage: a folder of this machine by default, or a bucket (BACKOFFICE_FILES).

A content lies under its sha256, ``ab/cdef…``. It is written aside and renamed, so that a crash leaves at most a
half-written file in ``incoming/`` and never one under a hash.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

from airflow.sdk import ObjectStoragePath

from include.documents import storage
from include.installation.places import Places

VARIABLE = "BACKOFFICE_FILES"
INCOMING = "incoming"
_HASH = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")


def place() -> str:
    """Return where the files lie: BACKOFFICE_FILES, else the folder ``files`` of this installation."""
    return os.environ.get(VARIABLE) or Places.from_environment().files.as_uri()


def install() -> None:
    """Put the configured storage in use for this process; nothing is opened before the first file."""
    storage.use(ObjectStorage(place()))


class ObjectStorage:
    """Contents by their hash below one address, e.g. ``file:///srv/files`` or ``s3://bucket/files``."""

    def __init__(self, address: str) -> None:
        self.address = address

    def put(self, content_hash: str, stream: BinaryIO) -> None:
        """Keep the stream's content under its hash; a content that is there is written anew, which also heals it."""
        root = ObjectStoragePath(self.address)
        target = _below(root, content_hash)
        aside = root / INCOMING / uuid4().hex
        for one in (aside, target):
            one.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as copy:  # type: ignore[no-untyped-call]
                shutil.copyfileobj(stream, copy, storage.CHUNK)
            _to_disk(aside)
            aside.fs.mv(aside.path, target.path)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
        _to_disk(target.parent)

    def open(self, content_hash: str) -> BinaryIO:
        """Return the content; FileNotFoundError when there is none."""
        path = _below(ObjectStoragePath(self.address), content_hash)
        return cast("BinaryIO", path.open("rb"))  # type: ignore[no-untyped-call]

    def exists(self, content_hash: str) -> bool:
        """Say whether there is a content of this hash."""
        return bool(_below(ObjectStoragePath(self.address), content_hash).exists())

    def stored(self) -> Iterator[tuple[str, datetime]]:
        """Walk over all contents: hash and when it was (last) put here."""
        root = ObjectStoragePath(self.address)
        for folder in root.iterdir() if root.exists() else ():
            if _FOLDER.fullmatch(folder.name) is None or not folder.is_dir():
                continue
            for path in folder.iterdir():
                if _HASH.fullmatch(folder.name + path.name) is not None:
                    yield folder.name + path.name, _changed(path)

    def remove(self, content_hash: str, before: datetime) -> bool:
        """Remove a content that was put here before the moment; False when it was put here anew meanwhile.

        It is taken aside first and looked at there: between a look and a removal an upload could have renewed it.
        """
        root = ObjectStoragePath(self.address)
        target, aside = _below(root, content_hash), root / INCOMING / uuid4().hex
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.fs.mv(target.path, aside.path)
        except FileNotFoundError:
            return False
        if _changed(aside) >= before:
            aside.fs.mv(aside.path, target.path)
            return False
        aside.unlink()
        return True

    def clear_incoming(self, before: datetime) -> int:
        """Remove what crashed uploads left half-written."""
        root = ObjectStoragePath(self.address) / INCOMING
        old = [one for one in root.iterdir() if _changed(one) < before] if root.exists() else []
        for one in old:
            one.unlink()
        return len(old)


def _changed(path: ObjectStoragePath) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _below(root: ObjectStoragePath, content_hash: str) -> ObjectStoragePath:
    if _HASH.fullmatch(content_hash) is None:
        msg = f"Не sha256: {content_hash!r}"
        raise ValueError(msg)
    return root / content_hash[:2] / content_hash[2:]


def _to_disk(path: ObjectStoragePath) -> None:
    """Wait until a local disk really has it: a version must not outlive a power cut that its content does not."""
    if path.protocol != "file":
        return
    descriptor = os.open(Path(path.path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
