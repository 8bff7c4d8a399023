"""Heartbeats of the engine's parts, read by ``make doctor`` and the health page."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from include.shared import clock
from include.shared.db import engine

FORGET_AFTER = "1 hour"


def beat(name: str, instance: str, info: dict[str, Any]) -> None:
    """Say that this part of the engine works; rows of parts that are long gone are removed."""
    with Session(engine()) as session, session.begin():
        session.execute(
            text(
                "INSERT INTO heartbeat (name, instance, at, info) VALUES (:name, :instance, :at, CAST(:info AS jsonb))"
                " ON CONFLICT (name, instance) DO UPDATE SET at = excluded.at, info = excluded.info"
            ),
            {"name": name, "instance": instance, "at": clock.machine_now(), "info": json.dumps(info)},
        )
        session.execute(
            text("DELETE FROM heartbeat WHERE at < :now - CAST(:age AS interval)"),
            {"now": clock.machine_now(), "age": FORGET_AFTER},
        )
