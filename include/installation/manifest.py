"""The list that makes a folder a backup: what is in it, each file with its sha256, and what it was taken from.

It is written last: a folder without it is no backup.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from include.installation.errors import InstallationError

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a backup holds; the paths of `content` are relative to its folder."""

    taken_at: str
    home: str
    machine: str
    product: str
    airflow: str
    clock: str
    demo_started: bool
    #: PostgreSQL's major version; None when the databases are given from outside and are not in the backup.
    postgres: int | None
    revisions: dict[str, str | None]
    #: Contents that the database names and the storage did not have, or had damaged, when the backup was taken.
    lost: list[str] = field(default_factory=list)
    content: dict[str, dict[str, Any]] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(int(one["size"]) for one in self.content.values())


def write(folder: Path, manifest: Manifest) -> None:
    """Write the list into its folder, whole or not at all."""
    draft = folder / f"{NAME}.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / NAME)


def read(folder: Path) -> Manifest:
    """Read the list of a backup; InstallationError when the folder is no whole backup of ours."""
    try:
        known = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if known["format"] > FORMAT:
            msg = f"Копия {folder} сделана более новой программой: обновите код и повторите."
            raise InstallationError(msg)
        return Manifest(**known)
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = f"В {folder} нет законченной резервной копии (нет {NAME})."
        raise InstallationError(msg) from error
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{folder / NAME} испорчен: {error}. Возьмите другую копию."
        raise InstallationError(msg) from error


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Walk over the files of a backup: path inside it and path on disk."""
    for place, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = Path(place, name)
            inside = path.relative_to(folder).as_posix()
            if inside not in {NAME, f"{NAME}.new"}:
                yield inside, path


def digest_of(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(folder: Path, told: Callable[[int], None] = lambda _bytes: None) -> dict[str, dict[str, Any]]:
    """Read every file of a folder and return size and sha256 of each."""
    content = {}
    for inside, path in files_of(folder):
        size = path.stat().st_size
        content[inside] = {"size": size, "sha256": digest_of(path)}
        told(size)
    return content


def differences(folder: Path, manifest: Manifest, told: Callable[[int], None] = lambda _bytes: None) -> list[str]:
    """Say in words how the files of a backup differ from its list; nothing when it is whole."""
    found = describe(folder, told)
    said = [f"нет файла {inside}" for inside in manifest.content if inside not in found]
    said += [f"лишний файл {inside}" for inside in found if inside not in manifest.content]
    said += [
        f"файл {inside} изменён: не тот sha256"
        for inside, one in manifest.content.items()
        if inside in found and found[inside] != one
    ]
    return said
