"""Shapes of what the pages show and the API answers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Shape(BaseModel):
    """Base of all shapes: they are only read."""

    model_config = ConfigDict(frozen=True)


class Page(Shape, Generic[T]):
    """One page of a long list; ``total`` counts all its rows."""

    items: list[T]
    total: int
    page: int
    per_page: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.per_page))


class PersonRef(Shape):
    """A person as a link shows him."""

    id: int
    name: str


class CaseRef(Shape):
    """What a task or notice is about; ``link`` is the page of it."""

    id: int
    key: str
    title: str
    link: str | None = None
    deal_id: int | None = None
    stage: str | None = None
    time_zone: str = "Europe/Moscow"


class MissingItem(Shape):
    """One unmet condition and where it can be put right."""

    text: str
    link: str | None = None


class WaitLine(Shape):
    """Why a case waits, on whom, until when, and what comes next; ``text`` is the whole line (★20)."""

    kind: Literal["task", "approval", "sensor", "failed", "alarm", "starting", "manual", "closed"]
    text: str
    waits_for: str
    on: list[PersonRef] = []
    until: datetime | None = None
    overdue: bool = False
    comes_next: str | None = None
    process: str | None = None
    step: str | None = None
    step_title: str | None = None
    task_id: int | None = None
    approval_id: int | None = None


class TaskRow(Shape):
    """A task in a list."""

    id: int
    title: str
    state: str
    state_title: str
    due_at: datetime | None
    overdue: bool
    executor: PersonRef
    case: CaseRef
    guarded: bool
    created_at: datetime
    closed_at: datetime | None
    link: str
    acting: PersonRef | None = None  # who acts now while the executor of an open task is away
    for_whom: str | None = None  # «за Иванову А. П.», as it is said to him
    kind: str = "task"  # task | confirm | form | fix
    round: int = 1


class AlarmRow(Shape):
    """An armed alarm of an open task: when it will fire and whom it tells."""

    id: int
    title: str
    moment: datetime
    why: str | None
    task_id: int
    task_title: str
    case: CaseRef
    tells: list[PersonRef]


class NoticeRow(Shape):
    """A notice of the bell."""

    id: int
    text: str
    created_at: datetime
    read: bool
    link: str | None
    case_id: int | None
    task_id: int | None


class MyDay(Shape):
    """The page «Мой день»."""

    now: datetime
    scope: Literal["mine", "department"]
    may_see_department: bool
    overdue_count: int
    tasks: Page[TaskRow]
    alarms: list[AlarmRow]
    unread_notices: int
    notices: list[NoticeRow]


class ApprovalLine(Shape):
    """An approval that waits for a person, in one line of «Мой день»."""

    id: int
    title: str
    case_title: str
    due_at: datetime | None
    overdue: bool
    link: str


class DayGroup(Shape):
    """A group of open tasks: all counted, one page of them shown."""

    code: str
    title: str
    link: str | None
    count: int
    rows: list[TaskRow]
    page: int
    has_more: bool


class StandingRow(Shape):
    """A deal that stands at a step that was not done; ``text`` is its line."""

    title: str
    link: str
    text: str


class DayBoard(Shape):
    """The page «Мой день» in groups."""

    now: datetime
    scope: Literal["mine", "department"]
    grouping: Literal["risk", "deal"]
    may_see_department: bool
    total: int
    overdue: int
    groups: list[DayGroup]
    alarms: list[AlarmRow]
    approvals: list[ApprovalLine]
    approvals_total: int
    standing: list[StandingRow] = []


class ResultField(Shape):
    """A field that is filled when a task is closed; ``deal_field`` names the card's field it is stored in."""

    code: str
    title: str
    kind: str
    required: bool
    choices: dict[str, str]
    deal_field: str | None
    value: Any
    words: str


class TermChangeRow(Shape):
    """One changed term of a task."""

    old_due_at: datetime | None
    new_due_at: datetime
    reason: str
    changed_at: datetime
    changed_by: PersonRef


class HistoryRow(Shape):
    """A line of the history: who did what and when."""

    id: int
    at: datetime
    who: str
    action: str
    text: str
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Reopening(Shape):
    """Whether a closed task may be opened again (★11), why not, and what that takes back."""

    possible: bool
    why_not: str | None
    consequences: list[str]


class ApprovalRef(Shape):
    """The approval whose remarks a task puts right."""

    id: int
    title: str
    round: int
    link: str


class TaskPage(Shape):
    """Everything about one task; ``missing`` is what its guard still wants."""

    task: TaskRow
    description: str
    creator: PersonRef | None
    observers: list[PersonRef]
    responsible: PersonRef | None
    result_fields: list[ResultField]
    missing: list[MissingItem]
    may_close: bool
    may_change: bool
    term_changes: list[TermChangeRow]
    alarms: list[AlarmRow]
    close_reason: str | None
    closed_by: PersonRef | None
    closed_for: PersonRef | None
    closes_itself: bool
    evidence: dict[str, Any] | None
    history: list[HistoryRow]
    yes: str = "Выполнить"  # how the task is closed, in the words of its process
    no: str | None = None  # how a confirmation is answered «нет»: its gate stays shut (R001-19)
    approval: ApprovalRef | None = None
    reopen: Reopening | None = None  # only of a done task, for whoever may act on it


class StageRow(Shape):
    """A stage of a funnel."""

    id: int
    code: str
    title: str
    kind: str
    position: int


class FieldRow(Shape):
    """A field that deals of a funnel have."""

    code: str
    title: str
    kind: str
    choices: dict[str, str]


class FunnelRow(Shape):
    """A direction with its stages and fields."""

    code: str
    title: str
    stages: list[StageRow]
    fields: list[FieldRow]


class DealRow(Shape):
    """A deal in a list or on the board, with its one line."""

    id: int
    case_id: int
    title: str
    link: str
    funnel: str
    stage: StageRow
    company: str | None
    company_id: int | None
    responsible: PersonRef
    amount: Decimal | None
    debt: Decimal
    overpaid: Decimal
    created_at: datetime
    stage_entered_at: datetime
    days_on_stage: int
    open_tasks: int
    overdue_tasks: int
    line: WaitLine
    may_edit: bool
    may_move: bool


class BoardColumn(Shape):
    """One stage of the board: all its deals counted, the first of them shown."""

    stage: StageRow
    count: int
    amount: Decimal
    deals: list[DealRow]
    page: int
    has_more: bool


class Board(Shape):
    """The board of one funnel."""

    funnel: FunnelRow
    columns: list[BoardColumn]


class FieldValue(Shape):
    """A field of the card with its value as stored and in words."""

    code: str
    title: str
    kind: str
    value: Any
    words: str
    choices: dict[str, str]
    editable: bool


class VisitRow(Shape):
    """One stay on a stage."""

    id: int
    entered_at: datetime
    entered_by: str | None
    left_at: datetime | None
    left_by: str | None
    days: int


class MapStage(Shape):
    """A stage on the map of a deal."""

    stage: StageRow
    state: Literal["passed", "current", "ahead"]
    visits: list[VisitRow]


class StepRow(Shape):
    """A step of a process of the case: done, going on, or not begun."""

    process: str
    process_title: str
    visit: str
    step: str
    word: str
    title: str
    state: str  # waiting | done | skipped | stopped | marked | failed | ahead
    state_title: str
    reason: str | None
    waits_for: str | None
    on: list[PersonRef]
    moment: datetime | None
    comes_next: str | None
    task_id: int | None
    opened_at: datetime | None
    ended_at: datetime | None
    id: int | None = None  # of a begun step
    may_retry: bool = False  # it stands, its process goes on, and the viewer may have it repeated
    retried: bool = False  # repeated, and not ended since


class ProcessRow(Shape):
    """One run of a process for this case; ``run_link`` leads into Airflow and is given to ops and administrators."""

    process: str
    title: str
    visit: str
    state: str  # live | ended
    reason: str | None
    started_at: datetime
    ended_at: datetime | None
    run_link: str | None


class AimRow(Shape):
    """A moment that a wait aimed at, and why."""

    step_title: str
    moment: datetime | None
    reason: str
    aimed_at: datetime
    superseded_at: datetime | None


class CompanyRow(Shape):
    """A counterparty in a list."""

    id: int
    name: str
    full_name: str | None
    kind: str
    inn: str | None
    kpp: str | None
    phone: str | None
    email: str | None


class ButtonRow(Shape):
    """A process that the deal's stage offers by a button; ``why_not`` says why it cannot be started now."""

    process: str
    title: str
    explains: str
    why_not: str | None


class DealCard(Shape):
    """The card of a deal: fields, stage map, done / now / next with the one line, history."""

    id: int
    case_id: int
    case_key: str
    title: str
    time_zone: str
    funnel: str
    funnel_code: str
    stage: StageRow
    company: CompanyRow | None
    contact: str | None
    responsible: PersonRef
    head: PersonRef | None
    source: str | None
    created_at: datetime
    created_by: PersonRef | None
    closed_at: datetime | None
    amount: Decimal | None
    paid: Decimal
    debt: Decimal
    overpaid: Decimal
    line: WaitLine
    waits: list[WaitLine]
    fields: list[FieldValue]
    stages: list[MapStage]
    done: list[StepRow]
    now: list[StepRow]
    next: list[StepRow]
    tasks: list[TaskRow]
    processes: list[ProcessRow]
    history: list[HistoryRow]
    history_before: int | None
    aims: list[AimRow]
    may_edit: bool
    may_move: bool
    buttons: list[ButtonRow]


class MovedDeal(DealCard):
    """A deal after its move, with what the move was warned of."""

    warnings: list[MissingItem]


class MoveRow(Shape):
    """A stage that a deal can be moved to: who looks may or may not, and what is unmet."""

    stage: StageRow
    may: bool
    closes: bool
    warnings: list[MissingItem]
    blocks: list[MissingItem]


class RequestPage(Shape):
    """A submitted form: what became of it."""

    id: int
    key: str
    title: str
    line: WaitLine
    deal_id: int | None
    deal_link: str | None
    history: list[HistoryRow]


class SearchPart(Shape):
    """A piece of a title; ``found`` pieces are what the query asked for."""

    text: str
    found: bool


class SearchHit(Shape):
    """Something found: a deal, a counterparty or a task."""

    kind: Literal["deals", "companies", "tasks"]
    id: int
    title: str
    parts: list[SearchPart]
    note: str
    link: str
    open: bool


class SearchGroup(Shape):
    """What was found of one kind."""

    kind: Literal["deals", "companies", "tasks"]
    title: str
    hits: list[SearchHit]
    has_more: bool


class SearchResult(Shape):
    """What a search found; groups without hits are left out."""

    query: str
    too_short: bool
    groups: list[SearchGroup]


class PersonRow(Shape):
    """A person who may receive work."""

    id: int
    name: str
    full_name: str
    post: str
    department: str | None


class AbsenceRow(Shape):
    """A period in which a person is away, and who stands in for him."""

    id: int
    person: PersonRef
    substitute: PersonRef | None
    begins_at: datetime
    ends_at: datetime
    reason: str
    begun: bool
    cancelled: bool


class PersonLoad(PersonRow):
    """A person with his presence and his load."""

    active: bool
    away_until: datetime | None
    acting: str | None  # who stands in for him now
    open_tasks: int
    overdue_tasks: int
    open_deals: int


class PersonRole(Shape):
    """A role that a person holds; ``department`` when it follows the head of that department (R001-18)."""

    code: str
    title: str
    department: str | None = None


class PersonCard(Shape):
    """The card of a person: what he is, what he holds, when he is away, and where his work went."""

    person: PersonLoad
    email: str | None
    time_zone: str
    login: str | None
    head: PersonRef | None
    leads: list[str]
    roles: list[PersonRole]
    absences: list[AbsenceRow]
    substitutions: list[AbsenceRow]
    held: dict[str, int]
    received: dict[str, dict[str, int]]
    history: list[HistoryRow]
    may_set_absence: bool
    may_change: bool


class HeldRow(Shape):
    """One thing that a person holds; ``follows`` names what takes it along when that is handed over."""

    key: str
    title: str
    sub: str
    link: str | None
    due_at: datetime | None
    follows: str | None
    proposed: PersonRef | None


class HeldGroup(Shape):
    """Things of one kind; ``own`` of them need a successor, the others follow something else."""

    code: str
    title: str
    count: int
    own: int
    items: list[HeldRow]
    proposed: PersonRef | None


class HoldingsPage(Shape):
    """Everything that a person holds (★48)."""

    person: PersonRef
    active: bool
    count: int
    groups: list[HeldGroup]


class RemapTask(Shape):
    """An open task of a role that goes to its new holder."""

    id: int
    title: str
    case: str
    due_at: datetime | None
    link: str


class RemapApproval(Shape):
    """An approval that waits for a role and will be decided by its new holder."""

    id: int
    title: str
    case: str
    link: str


class RemapPage(Shape):
    """A role, its present holder, and the open tasks and approvals that go along when it is given to another."""

    code: str
    title: str
    holder: PersonRef
    tasks: list[RemapTask]
    approvals: list[RemapApproval]


class SettingRow(Shape):
    """A value that the business changes without code."""

    code: str
    title: str
    kind: str
    value: Any
    words: str
    default: Any
    changed_at: datetime | None
    changed_by: str | None


class PartHealth(Shape):
    """When a part of the engine last said that it works."""

    name: str
    instance: str
    age_seconds: float


class FileVersionRow(Shape):
    """One version of a file; ``link`` is the page that shows it."""

    id: int
    field: str
    number: int
    name: str
    media_type: str
    kind: str
    size: int
    size_words: str
    content_hash: str
    uploaded_at: datetime
    uploaded_by: PersonRef | None
    present: bool
    link: str


class FileField(Shape):
    """A file field of a case with its versions, the newest first."""

    code: str
    title: str
    may_upload: bool
    upload_address: str
    versions: list[FileVersionRow]


class FilePreview(Shape):
    """What of a file can be shown."""

    kind: Literal["text", "table", "image", "pdf", "nothing"]
    paragraphs: list[str]
    rows: list[list[str]]
    note: str
    cut: bool


class FilePage(Shape):
    """A version of a file with its preview and the other versions."""

    file: FileVersionRow
    field_title: str
    case_title: str
    case_link: str | None
    versions: list[FileVersionRow]
    preview: FilePreview
    may_upload: bool


class TextPart(Shape):
    """A piece of a paragraph that stayed, was taken out or was put in."""

    kind: Literal["same", "removed", "added"]
    text: str


class ChangedParagraph(Shape):
    """A paragraph of a comparison of two versions."""

    kind: Literal["same", "removed", "added", "changed"]
    parts: list[TextPart]


class ComparisonPage(Shape):
    """What changed between two versions; ``unread`` says why they cannot be compared."""

    old: FileVersionRow
    new: FileVersionRow
    field_title: str
    case_title: str
    case_link: str | None
    same_content: bool
    unread: str | None
    cut: bool
    count: int
    paragraphs: list[ChangedParagraph]


class CommentRow(Shape):
    """A comment of a case; a removed one has no text, its author may bring it back for a while."""

    id: int
    author: PersonRef
    said_at: datetime
    text: str
    mentions: list[PersonRef]
    removed: bool
    mine: bool
    may_bring_back: bool


class TalkPage(Shape):
    """The newest comments of a case in order; ``before_id`` asks for those before them."""

    comments: list[CommentRow]
    before_id: int | None
    count: int
