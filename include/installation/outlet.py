"""Output that a full disk does not turn into an error: what does not fit is dropped, the program goes on.

Airflow's programs write their log to the standard output, which the supervisor has made a file. On a full disk each
line would raise inside their main loop and end it (docs/adr/0005-supervisor.md).
"""

from __future__ import annotations

import errno
import io
import os
import sys

FULL = {errno.ENOSPC, errno.EDQUOT}
SAID = "\n… часть журнала потеряна: на диске не было места\n".encode()


class Outlet(io.RawIOBase):
    """Writes to an open file; bytes for which there is no room count as written."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._lost = False

    def writable(self) -> bool:
        """Say that it is written to."""
        return True

    def fileno(self) -> int:
        """Return the number of the file."""
        return self._number

    def isatty(self) -> bool:
        """Say whether a person reads it."""
        return os.isatty(self._number)

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Write; after a loss the next bytes that fit are preceded by a line that says so."""
        try:
            if self._lost:
                os.write(self._number, SAID)
                self._lost = False
            return os.write(self._number, data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._lost = True
            return len(data)


def bear_a_full_disk() -> None:
    """Put such outputs in the place of standard output and error; the children that it forks inherit them."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(Outlet(number))  # type: ignore[type-var]
        setattr(sys, name, io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True))
        setattr(sys, f"__{name}__", getattr(sys, name))
