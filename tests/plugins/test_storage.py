"""Files under their hash: whole or not at all, twice is once, a bucket of another kind works the same (issue 3)."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backoffice import storage as ours
from include.documents import storage

pytestmark = pytest.mark.unit
CONTENT = b"contract " * 100_000
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def store(folder: Path) -> ours.ObjectStorage:
    return ours.ObjectStorage(folder.as_uri())


@pytest.fixture(autouse=True)
def nothing_in_use() -> Iterator[None]:
    storage.use(None)
    yield
    storage.use(None)


class Breaks(io.BytesIO):
    """A stream that ends in the middle, as when the disk is full."""

    def read(self, _size: int | None = -1) -> bytes:
        if self.tell() > 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().read(1000)


def files_of(folder: Path) -> list[str]:
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


def test_a_content_lies_under_its_hash(store: ours.ObjectStorage, folder: Path) -> None:
    assert not store.exists(HASH)
    store.put(HASH, io.BytesIO(CONTENT))
    assert files_of(folder) == [f"{HASH[:2]}/{HASH[2:]}"]
    assert store.exists(HASH)
    with store.open(HASH) as stream:
        assert stream.read() == CONTENT


def test_the_same_content_twice_is_one_file_and_heals_a_damaged_one(store: ours.ObjectStorage, folder: Path) -> None:
    store.put(HASH, io.BytesIO(CONTENT))
    (folder / HASH[:2] / HASH[2:]).write_bytes(b"half")
    store.put(HASH, io.BytesIO(CONTENT))
    assert files_of(folder) == [f"{HASH[:2]}/{HASH[2:]}"]
    assert store.open(HASH).read() == CONTENT


def test_a_full_disk_leaves_nothing_under_the_hash(store: ours.ObjectStorage, folder: Path) -> None:
    storage.use(store)
    with pytest.raises(storage.StorageFailed, match="закончилось место"):
        storage.put(HASH, Breaks(CONTENT))
    assert files_of(folder) == []
    assert not store.exists(HASH)


def test_eight_at_once_leave_one_whole_content(store: ours.ObjectStorage, folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.put(HASH, io.BytesIO(CONTENT)), range(8)))
    assert files_of(folder) == [f"{HASH[:2]}/{HASH[2:]}"]
    assert store.open(HASH).read() == CONTENT


def test_a_bucket_of_another_kind_works_the_same() -> None:
    from airflow.sdk.io.store import attach
    from fsspec.implementations.memory import MemoryFileSystem

    attach("memory", fs=MemoryFileSystem())
    store = ours.ObjectStorage("memory://bucket/files")
    store.put(HASH, io.BytesIO(CONTENT))
    assert store.exists(HASH)
    assert store.open(HASH).read() == CONTENT


@pytest.mark.parametrize("wrong", ["", "../../etc/passwd", "a" * 63, "A" * 64, f"{HASH}/..", "\x00" * 64])
def test_nothing_but_a_hash_is_an_address(store: ours.ObjectStorage, folder: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        store.open(wrong)
    with pytest.raises(ValueError, match="sha256"):
        store.put(wrong, io.BytesIO(b"x"))
    assert not folder.exists()


def test_a_lost_and_a_damaged_content_are_told_apart(store: ours.ObjectStorage, folder: Path) -> None:
    storage.use(store)
    with pytest.raises(storage.StorageFailed, match="нет в хранилище"):
        storage.open_whole(HASH)
    store.put(HASH, io.BytesIO(CONTENT))
    assert storage.open_whole(HASH).read() == CONTENT
    path = folder / HASH[:2] / HASH[2:]
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(storage.StorageFailed, match="повреждено"):
        storage.open_whole(HASH)


def test_the_place_is_the_installations_folder_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BACKOFFICE_FILES", raising=False)
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    assert ours.place() == (tmp_path.resolve() / "files").as_uri()
    monkeypatch.setenv("BACKOFFICE_FILES", "memory://bucket")
    assert ours.place() == "memory://bucket"
    ours.install()
    assert isinstance(storage.present(), ours.ObjectStorage)


def test_a_program_that_put_no_storage_in_use_is_told_so() -> None:
    with pytest.raises(RuntimeError, match=r"backoffice\.storage\.install"):
        storage.present()
