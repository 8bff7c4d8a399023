"""Small disks that can be full: a tmpfs of 16 MB over a folder, where mounting is allowed."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

ROOM_MB = 16
_REMOUNT, _DETACH = 32, 2


def mount_small(folder: Path) -> str | None:
    """Put a tmpfs of 16 MB over a folder; says why it could not."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "маленький диск смонтировать нельзя: нужен Linux и root"
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, f"size={ROOM_MB}m,mode=0700".encode())
    if done != 0:
        return f"маленький диск смонтировать не дали: {errno.errorcode.get(ctypes.get_errno(), '?')}"
    return None


def unmount(folder: Path) -> None:
    """Take a small disk away, even while something still writes to it."""
    ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(folder), _DETACH)


def make_room(folder: Path) -> None:
    """Keep 16 MB free beside what is there: a long chaos writes more logs than that."""
    used = os.statvfs(folder)
    megabytes = (used.f_blocks - used.f_bfree) * used.f_frsize // 2**20
    options = f"size={megabytes + ROOM_MB}m".encode()
    ctypes.CDLL(None, use_errno=True).mount(b"none", os.fsencode(folder), b"tmpfs", _REMOUNT, options)
