"""What the machine itself tells: room and names left on the disks, and whether files can be written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.ops.findings import Finding, finding

DISK_LOW = 2_000_000_000
#: A small disk of its own (16 MB for files, say) is judged by its size
DISK_LOW_SHARE = 0.1
INODES_LOW_SHARE = 0.05


@dataclass(frozen=True)
class Disk:
    """A disk that holds something of ours."""

    holds: str
    folder: Path
    total: int
    free: int
    inodes: int
    inodes_free: int

    @property
    def is_low(self) -> bool:
        """Say whether little room is left."""
        return self.free < min(DISK_LOW, self.total * DISK_LOW_SHARE)

    @property
    def is_out_of_names(self) -> bool:
        """Say whether few more files can be made, whatever their size; some file systems do not count them."""
        return self.inodes > 0 and self.inodes_free < self.inodes * INODES_LOW_SHARE


def local_folder(address: str | None) -> Path | None:
    """Return the folder behind a storage address, None for a bucket."""
    if not address:
        return None
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def disks(folders: Mapping[str, Path]) -> list[Disk]:
    """Measure each disk once: «файлы», «журналы», «база» may share one."""
    found: dict[int, list[tuple[str, Path]]] = {}
    for name, folder in folders.items():
        if folder.exists():
            found.setdefault(folder.stat().st_dev, []).append((name, folder))
    return [_measure(places) for places in found.values()]


def _measure(places: list[tuple[str, Path]]) -> Disk:
    folder = places[0][1]
    room = os.statvfs(folder)
    return Disk(
        holds=", ".join(name for name, _ in places),
        folder=folder,
        total=room.f_blocks * room.f_frsize,
        free=room.f_bavail * room.f_frsize,
        inodes=room.f_files,
        inodes_free=room.f_favail,
    )


def size_in_words(size: float) -> str:
    """Return «1,4 ГБ» or «12 МБ»."""
    return f"{size / 1e9:.1f} ГБ".replace(".", ",") if size >= 1e9 else f"{size / 1e6:.0f} МБ"


def machine_checks(folders: Mapping[str, Path], *, files: str) -> Iterator[Finding]:
    """Look at the disks; ``files`` is the name among ``folders`` of what people write into."""
    for disk in disks(folders):
        if disk.is_low:
            left = size_in_words(disk.free)
            yield finding("disk_low", f"На диске с {disk.folder} ({disk.holds}) осталось {left}.")
        if disk.is_out_of_names:
            yield finding(
                "inodes_low", f"На диске с {disk.folder} ({disk.holds}) осталось имён файлов: {disk.inodes_free}."
            )
    place = folders.get(files)
    if place is None:
        return
    if not place.is_dir():
        yield finding("files_unavailable", f"Папки файлов {place} нет.")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield finding("files_unavailable", f"В папку файлов {place} нельзя писать.")
