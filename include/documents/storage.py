"""Where the content of files is kept: by the sha256 of the content, behind a small door that Airflow's side fills."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol, cast

from include.shared.errors import BackofficeError

CHUNK = 1024 * 1024
IN_MEMORY = 4 * CHUNK
NO_SPACE = "На сервере закончилось место: файл не сохранён. Сообщите администратору и загрузите файл позже."
NOT_ANSWERING = "Хранилище файлов сейчас не отвечает. Повторите через минуту; если не поможет, сообщите администратору."
LOST = "Содержимого файла нет в хранилище. Сообщите администратору: файл нужно вернуть из резервной копии."
DAMAGED = "Содержимое файла повреждено: оно не такое, каким его загрузили. Сообщите администратору."


class StorageFailed(BackofficeError):
    """The storage cannot keep or give a content; nothing was half-stored."""


class Storage(Protocol):
    """What a storage does; ``put`` leaves the whole content under its hash, or nothing at all."""

    def put(self, content_hash: str, stream: BinaryIO) -> None:
        """Keep the stream's content under its hash; doing it twice is harmless."""

    def open(self, content_hash: str) -> BinaryIO:
        """Return the content; FileNotFoundError when there is none."""

    def exists(self, content_hash: str) -> bool:
        """Say whether there is a content of this hash."""


_in_use: Storage | None = None


def use(storage: Storage | None) -> None:
    """Put a storage in use for this process."""
    global _in_use
    _in_use = storage


def present() -> Storage:
    """Return the storage in use; RuntimeError when the program has put none in use."""
    if _in_use is None:
        msg = "Хранилище файлов не подключено: программа должна вызвать backoffice.storage.install()."
        raise RuntimeError(msg)
    return _in_use


def put(content_hash: str, stream: BinaryIO) -> None:
    """Keep a content; StorageFailed says in words why it could not be kept."""
    with _in_words():
        present().put(content_hash, stream)


def open_whole(content_hash: str) -> BinaryIO:
    """Return a content that was read through and fits its hash; StorageFailed for a lost or damaged one."""
    checked = cast("BinaryIO", tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - the caller closes it
    digest = hashlib.sha256()
    with _in_words(), present().open(content_hash) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            checked.write(chunk)
    if digest.hexdigest() != content_hash:
        checked.close()
        raise StorageFailed(DAMAGED)
    checked.seek(0)
    return checked


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StorageFailed(LOST) from error
    except OSError as error:
        raise StorageFailed(NO_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT) else NOT_ANSWERING) from error
