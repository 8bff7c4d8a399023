"""The only source of now(): the machine's clock, or in tests and trainings a virtual one ahead of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.shared.errors import BackofficeError
from include.shared.models import ClockOffset

CLOCK_VARIABLE = "BACKOFFICE_CLOCK"
ENVIRONMENT_VARIABLE = "BACKOFFICE_ENV"
JUMP_VARIABLE = "BACKOFFICE_CLOCK_JUMP_FILE"
CLOCK_CHANNEL = "backoffice_clock"


class VirtualClockRefused(BackofficeError):
    """The virtual clock was asked for where it must not exist."""


def is_virtual() -> bool:
    """Say whether this installation runs on the virtual clock; VirtualClockRefused in production."""
    if os.environ.get(CLOCK_VARIABLE, "real") != "virtual":
        return False
    if os.environ.get(ENVIRONMENT_VARIABLE) == "production":
        msg = "Виртуальные часы запрещены в рабочей системе: уберите BACKOFFICE_CLOCK=virtual."
        raise VirtualClockRefused(msg)
    return True


def machine_now() -> datetime:
    """Return the machine's own time (UTC): for lags and heartbeats, never for business moments."""
    return datetime.now(UTC) + _jumped()


def _jumped() -> timedelta:
    """Say how wrong the fault tests have put the machine's clock: seconds in a file that every program reads.

    Only on the virtual clock, which may be moved anyway; a real one never looks for the file.
    """
    path = os.environ.get(JUMP_VARIABLE)
    if not path or not is_virtual():
        return timedelta()
    try:
        return timedelta(seconds=int(Path(path).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return timedelta()


def now(session: Session) -> datetime:
    """Return the business time (UTC), read anew in every transaction."""
    if not is_virtual():
        return machine_now()
    row = session.execute(select(ClockOffset.microseconds, ClockOffset.held_at, ClockOffset.held_until)).first()
    return _reading(row)


def _reading(row: Any) -> datetime:
    present = machine_now()
    if row is None:
        return present
    if row.held_at is not None and row.held_until is not None and present < row.held_until:
        held: datetime = row.held_at
        return held
    return present + timedelta(microseconds=row.microseconds)


def move_to(session: Session, target: datetime, *, hold: timedelta | None = None) -> datetime:
    """Set the virtual clock forward to ``target`` (aware) and tell every hub; returns the new now().

    With ``hold`` it stands there until it is moved again, at most so long of the machine's time; otherwise it goes on
    from there. A target that lies behind moves nothing (but lets a held clock go on). VirtualClockRefused on a real
    clock.
    """
    if not is_virtual():
        msg = "Часы настоящие: переводить их можно только в учебной установке (BACKOFFICE_CLOCK=virtual)."
        raise VirtualClockRefused(msg)
    session.execute(text("INSERT INTO clock_offset (id, microseconds) VALUES (1, 0) ON CONFLICT DO NOTHING"))
    row = session.scalars(select(ClockOffset).where(ClockOffset.id == 1).with_for_update()).one()
    target = max(target, _reading(row))
    machine = machine_now()
    row.microseconds = int((target - machine) / timedelta(microseconds=1))
    row.held_at = target if hold is not None else None
    row.held_until = machine + hold if hold is not None else None
    session.execute(text("SELECT pg_notify(:channel, 'moved')"), {"channel": CLOCK_CHANNEL})
    return target
