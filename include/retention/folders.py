"""Folders of the exchange that are old enough to go: ``done/<date>-<number>/`` and ``failed/…``, whole."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path


def clean_exchange(exchange: Path, before: datetime, *, dry: bool) -> int:
    """Remove what was put away before the moment; returns how many files went. Incoming files are never touched."""
    gone = 0
    for place in (exchange / "done", exchange / "failed"):
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if folder.is_symlink() or not folder.is_dir() or _newest(folder) >= before:
                continue
            gone += sum(1 for path in folder.rglob("*") if path.is_file())
            if not dry:
                _remove(folder)
    return gone


def _newest(folder: Path) -> datetime:
    """Return when anything in the folder last changed: its own time, for the files keep the times that 1C gave them."""
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _remove(folder: Path) -> None:
    doomed = folder.with_name(f".{folder.name}.removing")  # half-removed it would pass for a whole exchange
    if not folder.name.startswith("."):
        folder = folder.rename(doomed)
    shutil.rmtree(folder)
