"""Unit of work: one transaction with its actor, its now(), its audit, its events and one NOTIFY."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from include.shared import clock
from include.shared.db import engine
from include.shared.models import Audit

CHANGES_CHANNEL = "backoffice_changes"
MAX_NOTIFIED_CASES = 200
READING = "reading"  # in Session.info: this session changes nothing, so an answer about rights may be kept in it


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, or the system itself (``person_id`` empty) under a name such as process or 1C."""

    person_id: int | None = None
    kind: str = "system"
    access: str = "staff"  # staff | ops | admin

    @property
    def is_person(self) -> bool:
        """Say whether a human acts (R002-10 asks)."""
        return self.person_id is not None


PROCESS = Actor(kind="process")
INTEGRATION = Actor(kind="integration")


@dataclass
class Work:
    """One transaction: services take it first, so that several of them can be one fact."""

    session: Session
    actor: Actor
    now: datetime
    touched: set[int] = field(default_factory=set)
    has_events: bool = False
    silent: bool = False  # no notice of each act: whoever acts sums them up in one

    def lock_case(self, case_id: int) -> None:
        """Lock a case so that its changes come one after another; always the first lock of a change."""
        self.session.execute(text("SELECT 1 FROM process_case WHERE id = :id FOR NO KEY UPDATE"), {"id": case_id})

    def lock_cases(self, case_ids: Iterable[int]) -> None:
        """Lock several cases, in the order of their ids: who else locks several does not meet them crosswise."""
        wanted = {"ids": sorted(set(case_ids))}
        if wanted["ids"]:
            locking = "SELECT 1 FROM process_case WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"
            self.session.execute(text(locking), wanted)

    def touch(self, case_id: int) -> None:
        """Say that a case has changed: at commit its waits are told to look again."""
        self.touched.add(case_id)

    def audit(
        self,
        action: str,
        text_: str,
        *,
        entity: str,
        entity_id: int | None = None,
        case_id: int | None = None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Write the fact's audit row; ``text_`` is the Russian line that a person reads in the history."""
        self.session.add(
            Audit(
                at=self.now,
                actor_id=self.actor.person_id,
                actor_kind=self.actor.kind,
                action=action,
                case_id=case_id,
                entity=entity,
                entity_id=entity_id,
                text=text_,
                before=jsonable(before),
                after=jsonable(after),
                reason=reason,
            )
        )

    def emit(
        self,
        kind: str,
        listen_key: str,
        *,
        visit: str,
        case_id: int | None = None,
        payload: dict[str, Any] | None = None,
    ) -> None:
        """Write an outbox event; the relay starts each process that listens to ``listen_key`` exactly once."""
        self.session.execute(
            text(
                "INSERT INTO outbox_event (kind, listen_key, case_id, visit, payload, created_at, next_try_at)"
                " VALUES (:kind, :listen_key, :case_id, :visit, CAST(:payload AS jsonb), :at, :at)"
            ),
            {
                "kind": kind,
                "listen_key": listen_key,
                "case_id": case_id,
                "visit": visit,
                "payload": json.dumps(jsonable(payload or {}), ensure_ascii=False),
                "at": clock.machine_now(),
            },
        )
        self.has_events = True

    def finish(self) -> None:
        """Bump the touched cases and send the transaction's one NOTIFY (called before commit)."""
        self.session.flush()
        if not self.touched and not self.has_events:
            return
        keys: list[str] = []
        if self.touched:
            keys = list(
                self.session.scalars(
                    text(
                        "WITH locked AS"
                        " (SELECT id FROM process_case WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE)"
                        " UPDATE process_case SET seq = seq + 1, changed_at = clock_timestamp()"
                        " FROM locked WHERE process_case.id = locked.id"
                        " RETURNING process_case.key"
                    ),
                    {"ids": sorted(self.touched)},
                )
            )
        cases: list[str] | str = keys if len(keys) <= MAX_NOTIFIED_CASES else "all"
        message = json.dumps({"cases": cases, "events": self.has_events})
        self.session.execute(
            text("SELECT pg_notify(:channel, :message)"), {"channel": CHANGES_CHANNEL, "message": message}
        )


def jsonable(value: Any) -> Any:
    """Return the value as JSON can hold it: moments in ISO form, sums as text."""
    return json.loads(json.dumps(value, default=str, ensure_ascii=False)) if value is not None else None


@contextmanager
def transaction(actor: Actor = PROCESS) -> Iterator[Work]:
    """Open one transaction of the business database; commits at the end, rolls back on any error."""
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        work = Work(session=session, actor=actor, now=clock.now(session))
        yield work
        work.finish()


@contextmanager
def reading() -> Iterator[Session]:
    """Open a read-only transaction for pages and reports."""
    with Session(engine(), expire_on_commit=False, info={READING: True}) as session, session.begin():
        session.connection(execution_options={"postgresql_readonly": True})  # said by BEGIN itself
        yield session
