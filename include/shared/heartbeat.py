"""Heartbeats of the engine's parts, read by ``make doctor`` and the ops page."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from include.shared import clock
from include.shared.db import engine

FORGET_AFTER = "1 hour"
BACKUP = "backup"
#: What is no pulse but a memory: it stays until it is replaced.
KEPT = (BACKUP,)


def beat(name: str, instance: str, info: dict[str, Any]) -> None:
    """Say that this part of the engine works; rows of parts that are long gone are removed.

    The moment is the database's own: a program whose clock has jumped is neither silent nor does it forget the others;
    ``skew`` keeps how far its clock is off.
    """
    with Session(engine()) as session, session.begin():
        session.execute(
            text(
                "INSERT INTO heartbeat (name, instance, at, info) VALUES (:name, :instance, clock_timestamp(),"
                " CAST(:info AS jsonb) || jsonb_build_object('skew',"
                " round(extract(epoch FROM CAST(:machine AS timestamptz) - clock_timestamp())::numeric, 1)))"
                " ON CONFLICT (name, instance) DO UPDATE SET at = excluded.at, info = excluded.info"
            ),
            {"name": name, "instance": instance, "machine": clock.machine_now(), "info": json.dumps(info)},
        )
        session.execute(
            text("DELETE FROM heartbeat WHERE at < clock_timestamp() - CAST(:age AS interval) AND name <> ALL(:kept)"),
            {"age": FORGET_AFTER, "kept": list(KEPT)},
        )
