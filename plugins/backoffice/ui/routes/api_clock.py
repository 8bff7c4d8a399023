"""API: the clock; moving it exists only in test and training installations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from backoffice.ui.routes.api_common import Body, Moment, failures
from backoffice.ui.security import ClockKeeper, StaffViewer
from include.shared import clock
from include.shared.errors import InvalidInput
from include.shared.work import reading

FURTHEST = timedelta(days=3660)

router = APIRouter(prefix="/clock", tags=["Часы"])
moves = APIRouter(prefix="/clock", tags=["Часы"])


class Clock(BaseModel):
    """The business time."""

    now: datetime
    virtual: bool


class Target(Body):
    """The moment to move the clock to, with its zone."""

    to: Moment


@router.get("", summary="Который час", responses=failures())
def present(_viewer: StaffViewer) -> Clock:
    """Return the business time."""
    with reading() as session:
        return Clock(now=clock.now(session), virtual=clock.is_virtual())


@moves.post("/advance", summary="Перевести часы, останавливаясь на каждом моменте", responses=failures(403, 404))
async def advance(_viewer: ClockKeeper, body: Target) -> dict[str, Any]:
    """Move the clock, stopping at each due moment until all is quiet there; returns the moments."""
    from backoffice import quiet  # noqa: PLC0415 - the engine is not needed to describe the API

    await run_in_threadpool(_check_ahead, body.to)
    return await quiet.advance(body.to)


@moves.post("/jump", summary="Перевести часы сразу, как после простоя", responses=failures(403, 404))
async def jump(_viewer: ClockKeeper, body: Target) -> dict[str, Any]:
    """Move the clock at once and wait until all is quiet."""
    from backoffice import quiet  # noqa: PLC0415

    await run_in_threadpool(_check_ahead, body.to)
    return await quiet.jump(body.to)


def _check_ahead(to: datetime) -> None:
    with reading() as session:
        present = clock.now(session)
    if not present <= to <= present + FURTHEST:
        msg = "Часы идут только вперёд, не дальше десяти лет за раз."
        raise InvalidInput(msg, "to")
