"""Bare notifications between programs: losing one costs time, never a fact."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from include.shared.db import engine


def send(channel: str) -> None:
    """Send an empty notification in a transaction of its own."""
    with Session(engine()) as session, session.begin():
        session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})
