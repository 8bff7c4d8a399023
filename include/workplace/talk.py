"""Talk about a deal as a person meets it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from include.deals import rights
from include.shared.work import Work
from include.staff.services import Viewer, names
from include.talk import services as talk
from include.talk.models import Comment, Mention
from include.workplace.shapes import CommentRow, PersonRef, TalkPage


def deal_talk(
    session: Session,
    viewer: Viewer,
    deal_id: int,
    now: datetime,
    *,
    before: int | None = None,
    limit: int = talk.PER_PAGE,
) -> TalkPage:
    """Return a page of the talk about a deal that the viewer may see, the newest comment last."""
    case_id = rights.require_seen(session, viewer, deal_id).case_id
    found, older = talk.comments(session, viewer, case_id, before, limit)
    if before is None and older is None:  # the whole talk is here
        total = sum(one.removed_at is None for one in found)
    else:
        standing = select(func.count()).where(Comment.case_id == case_id, Comment.removed_at.is_(None))
        total = session.scalar(standing) or 0
    return TalkPage(comments=_rows(session, viewer, found, now), before_id=older, count=total)


def say_in_deal(
    work: Work,
    viewer: Viewer,
    deal_id: int,
    text: str,
    mentions: Iterable[int] = (),
    request_key: str | None = None,
) -> CommentRow:
    """Say something about a deal; NotFound for a foreign one."""
    case_id = rights.require_seen(work.session, viewer, deal_id).case_id
    return _row(work, viewer, talk.say(work, viewer, case_id, text, mentions, request_key))


def remove(work: Work, viewer: Viewer, comment_id: int) -> CommentRow:
    """Take one's own comment back."""
    return _row(work, viewer, talk.remove(work, viewer, comment_id))


def bring_back(work: Work, viewer: Viewer, comment_id: int) -> CommentRow:
    """Show one's own removed comment again."""
    return _row(work, viewer, talk.bring_back(work, viewer, comment_id))


def _row(work: Work, viewer: Viewer, comment: Comment) -> CommentRow:
    work.session.flush()
    return _rows(work.session, viewer, [comment], work.now)[0]


def _rows(session: Session, viewer: Viewer, found: Sequence[Comment], now: datetime) -> list[CommentRow]:
    if not found:
        return []
    called: dict[int, list[int]] = {}
    wanted = select(Mention).where(Mention.comment_id.in_([one.id for one in found])).order_by(Mention.person_id)
    for one in session.scalars(wanted):
        called.setdefault(one.comment_id, []).append(one.person_id)
    people = names(session, {one.author_id for one in found} | {one for many in called.values() for one in many})

    def ref(person_id: int) -> PersonRef:
        return PersonRef(id=person_id, name=people.get(person_id, f"№ {person_id}"))

    return [
        CommentRow(
            id=one.id,
            author=ref(one.author_id),
            said_at=one.said_at,
            text=one.text if one.removed_at is None else "",
            mentions=[ref(person) for person in called.get(one.id, [])] if one.removed_at is None else [],
            removed=one.removed_at is not None,
            mine=one.author_id == viewer.person_id,
            may_bring_back=one.author_id == viewer.person_id
            and one.removed_at is not None
            and now <= one.removed_at + talk.BRING_BACK_WITHIN,
        )
        for one in found
    ]
