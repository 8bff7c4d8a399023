"""Shapes of exchanges with 1C: the list with its queue, one exchange, its quarantine and what it changed."""

from __future__ import annotations

from datetime import datetime

from include.workplace.shapes import HistoryRow, Page, PersonRef, Shape


class ExchangeRow(Shape):
    """An exchange in a list."""

    id: int
    link: str
    state: str  # received | queued | held | applied | repeated | failed | replaced
    state_title: str
    source: str
    source_title: str
    started_at: datetime
    finished_at: datetime | None
    files: int
    added: int
    changed: int
    deactivated: int
    warnings: int
    rejects: int
    error: str | None
    decision: str | None
    decision_title: str | None


class ExchangeList(Shape):
    """What waits, the one that holds the others first, and a page of all exchanges."""

    queue: list[ExchangeRow]
    page: Page[ExchangeRow]


class RecordCount(Shape):
    """How many records of a kind a file held."""

    kind: str
    number: int


class ExchangeFileRow(Shape):
    """One file of an exchange, or one of an archive."""

    id: int
    name: str
    archive: str | None
    size: int
    size_words: str
    encoding: str | None
    version: str | None
    is_full: bool | None
    state: str
    state_title: str
    error: str | None
    counts: list[RecordCount]


class KindResult(Shape):
    """What an exchange did with the records of one kind."""

    kind: str
    title: str
    taken: int
    added: int
    changed: int
    unchanged: int
    deactivated: int
    doubled: int


class RemarkExample(Shape):
    """Where a warning stands."""

    file: str
    line: int
    external_id: str


class RemarkRow(Shape):
    """A warning: the record was loaded, but somebody should look at it."""

    entity: str
    text: str
    count: int
    examples: list[RemarkExample]


class NamedCount(Shape):
    """A name in words and how many there are of it."""

    title: str
    number: int


class RejectRow(Shape):
    """A record in quarantine: where it stands and why it was not loaded."""

    id: int
    file: str
    line: int
    entity: str
    external_id: str | None
    reason: str
    snippet: str
    resolved_at: datetime | None


class FieldChange(Shape):
    """One field of a record before and after, as a person reads it."""

    field: str
    title: str
    before: str
    after: str


class ChangeRow(Shape):
    """One record that an exchange changed."""

    id: int
    entity: str
    external_id: str
    title: str
    fields: list[FieldChange]


class ChangedKind(Shape):
    """How many records of a kind an exchange changed, and how many of them are shown."""

    entity: str
    title: str
    total: int
    shown: int


class Changes(Shape):
    """A page of what an exchange changed in one kind of records, with all kinds to choose from."""

    kinds: list[ChangedKind]
    entity: str
    page: Page[ChangeRow]


class HeldItem(Shape):
    """One item of goods that would be deactivated."""

    external_id: str
    title: str


class Held(Shape):
    """Why an exchange waits for a person: what it would deactivate."""

    would_deactivate: int
    in_scope: int
    percent: str
    examples: list[HeldItem]


class ExchangeCard(Shape):
    """One exchange as its page shows it."""

    row: ExchangeRow
    files: list[ExchangeFileRow]  # the first ones, what is read before pictures
    files_total: int
    kinds: list[KindResult]
    remarks: list[RemarkRow]
    rejects: int
    rejects_open: int
    not_loaded: list[NamedCount]
    unknown: list[NamedCount]
    notes: list[str]
    changed: list[ChangedKind]
    held: Held | None
    behind: int | None  # the exchange that this one waits for
    given_up: list[ExchangeRow]  # what «Заменить новейшим» gives up; empty: there is nothing to replace by
    newest: int | None
    repeat_of: int | None
    replaced_by: int | None
    retake_of: int | None
    retakes: list[int]
    decided_by: PersonRef | None
    decided_at: datetime | None
    decision_reason: str | None
    asked_by: PersonRef | None
    may_decide: bool
    may_take_again: bool
    is_moving: bool  # looks different soon without anybody's act
    history: list[HistoryRow]
