"""Use cases of talk: say, take back, bring back; who is called is told and may read the case from then on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.deals import rights
from include.deals.models import Deal
from include.notices.services import notify
from include.process.models import ProcessCase
from include.shared import once
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.texts import storable, visible
from include.shared.work import Work
from include.staff.models import Account, Person
from include.staff.services import Viewer
from include.talk import rules
from include.talk.models import Comment, Mention

NOTICE_KEY = "comment"
BRING_BACK_WITHIN = timedelta(hours=1)
PER_PAGE = 30


def say(
    work: Work,
    viewer: Viewer,
    case_id: int,
    text: str,
    mentions: Iterable[int] = (),
    request_key: str | None = None,
) -> Comment:
    """Say something about a case that one may see; whoever is called, and the deal's responsible, gets one notice.

    InvalidInput for a text that cannot be kept or a name that several people bear; the same ``request_key`` joins the
    first comment.
    """
    case = _seen(work.session, viewer, case_id)
    made = once.joined(work, "comment", request_key)
    if made is not None:
        return work.session.get_one(Comment, made)
    text = _text(text)
    called = rules.mentioned(text, callees(work.session), _active(work.session, mentions), viewer.person_id)
    comment = Comment(case_id=case_id, author_id=viewer.person_id, text=text, said_at=work.now)
    work.session.add(comment)
    work.session.flush()
    if called:
        rows = [{"comment_id": comment.id, "person_id": one} for one in called]
        work.session.execute(insert(Mention).values(rows))
    work.audit(
        "comment.said", "Сообщение в обсуждении", entity="comment", entity_id=comment.id, case_id=case_id,
        after={"mentions": called} if called else None,
    )  # fmt: skip
    once.remember(work, "comment", request_key, comment.id)
    key = f"{NOTICE_KEY}/{comment.id}"
    others = [one for one in called if one != viewer.person_id]
    notify(work, others, f"{viewer.name} зовёт вас в обсуждение: {case.title}", key=key, case_id=case_id)
    responsible = work.session.scalar(select(Deal.responsible_id).where(Deal.case_id == case_id))
    if responsible is not None and responsible != viewer.person_id:
        # the same key: whoever was called is not told twice
        notify(work, [responsible], f"{viewer.name} пишет в обсуждении: {case.title}", key=key, case_id=case_id)
    return comment


def remove(work: Work, viewer: Viewer, comment_id: int) -> Comment:
    """Take one's own comment back: it keeps its place, its text is shown to nobody, who was called is let go."""
    comment = _own(work, viewer, comment_id)
    if comment.removed_at is None:
        comment.removed_at = work.now
        _audit(work, comment, "comment.removed", "Сообщение в обсуждении удалено")
    return comment


def bring_back(work: Work, viewer: Viewer, comment_id: int) -> Comment:
    """Show one's own removed comment again, within an hour."""
    comment = _own(work, viewer, comment_id)
    if comment.removed_at is None:
        return comment
    if work.now > comment.removed_at + BRING_BACK_WITHIN:
        msg = "Вернуть сообщение можно в течение часа. Напишите его снова."
        raise Conflict(msg)
    comment.removed_at = None
    _audit(work, comment, "comment.brought_back", "Сообщение в обсуждении возвращено")
    return comment


def comments(
    session: Session, viewer: Viewer, case_id: int, before: int | None = None, limit: int = PER_PAGE
) -> tuple[list[Comment], int | None]:
    """Return the newest comments of a case (older than ``before``), in order, and where the page before them begins."""
    if not rights.may_see_case(session, viewer, case_id):
        raise NotFound(_no_case(case_id))
    wanted = select(Comment).where(Comment.case_id == case_id)
    if before is not None:
        wanted = wanted.where(Comment.id < before)
    found = session.scalars(wanted.order_by(Comment.id.desc()).limit(limit + 1)).all()
    older = found[limit - 1].id if len(found) > limit else None
    return list(reversed(found[:limit])), older


def callees(session: Session) -> list[rules.Callee]:
    """Return everybody who can be called: the active people, with their logins."""
    rows: Any = session.execute(
        select(Person, Account.login)
        .outerjoin(Account, (Account.person_id == Person.id) & Account.active)
        .where(Person.active)
        .order_by(Person.last_name, Person.first_name, Person.id)
    )
    return [
        rules.Callee(
            one.id, one.last_name, "".join(name[0] for name in (one.first_name, one.middle_name) if name), login
        )
        for one, login in rows
    ]


def _seen(session: Session, viewer: Viewer, case_id: int) -> ProcessCase:
    case = session.get(ProcessCase, case_id)
    if case is None or not rights.may_see_case(session, viewer, case_id):
        raise NotFound(_no_case(case_id))
    return case


def _no_case(case_id: int) -> str:
    return f"Дела № {case_id} нет."


def _own(work: Work, viewer: Viewer, comment_id: int) -> Comment:
    comment = work.session.get(Comment, comment_id, with_for_update=True)
    if comment is None or not rights.may_see_case(work.session, viewer, comment.case_id):
        msg = f"Сообщения № {comment_id} нет."
        raise NotFound(msg)
    if comment.author_id != viewer.person_id:
        msg = "Удалить сообщение может только тот, кто его написал."
        raise Forbidden(msg)
    return comment


def _text(value: str) -> str:
    text = value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""
    if not visible(text):
        msg = "Напишите сообщение."
        raise InvalidInput(msg, "text")
    if len(text) > rules.LONGEST_TEXT or not storable(text):
        msg = f"Сообщение – до {rules.LONGEST_TEXT} знаков, без служебных символов."
        raise InvalidInput(msg, "text")
    return text


def _active(session: Session, mentions: Iterable[int]) -> list[int]:
    wanted = list(dict.fromkeys(mentions))
    if len(wanted) > rules.MOST_MENTIONS:
        msg = f"В одном сообщении можно позвать до {rules.MOST_MENTIONS} человек."
        raise InvalidInput(msg, "mentions")
    known = set(session.scalars(select(Person.id).where(Person.id.in_(wanted), Person.active))) if wanted else set()
    if known != set(wanted):
        msg = "Позвать можно только работающих сотрудников."
        raise InvalidInput(msg, "mentions")
    return wanted


def _audit(work: Work, comment: Comment, action: str, said: str) -> None:
    work.audit(action, said, entity="comment", entity_id=comment.id, case_id=comment.case_id)
