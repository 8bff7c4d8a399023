"""A full disk loses lines of a log and nothing else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.installation import outlet
from include.installation.places import PROJECT

pytestmark = pytest.mark.unit

WRITES = """
import logging, os, sys
from include.installation.outlet import bear_a_full_disk
bear_a_full_disk()
print("печать")
logging.basicConfig(stream=sys.stderr)
logging.warning("журнал")
if os.fork() == 0:
    print("ребёнок", flush=True)
    os._exit(0)
os.wait()
sys.stdout.buffer.write("байты\\n".encode())
sys.stdout.flush()
"""


def run(output: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", WRITES], cwd=PROJECT, stdout=output, stderr=output, check=False)


def test_a_program_on_a_full_disk_ends_well() -> None:
    full = os.open("/dev/full", os.O_WRONLY)  # each write to it answers ENOSPC
    try:
        assert run(full).returncode == 0
    finally:
        os.close(full)


def test_everything_is_written_while_there_is_room(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        assert run(file.fileno()).returncode == 0
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert [word for word in ("печать", "журнал", "ребёнок", "байты") if word not in said] == []


def test_what_was_lost_is_said_when_there_is_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    room, written = False, []

    def write(_number: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(bytes(data))
        return len(data)

    monkeypatch.setattr(outlet.os, "write", write)
    one = outlet.Outlet(1)
    assert one.write(b"lost") == 4
    room = True
    one.write(b"kept")
    one.write(b"too")
    assert written == [outlet.SAID, b"kept", b"too"]


def test_another_error_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_number: int, _data: bytes) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(outlet.os, "write", write)
    with pytest.raises(OSError, match="Input/output"):
        outlet.Outlet(1).write(b"x")
