"""API: talk about deals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from backoffice.ui.routes.api_common import BeforeId, Body, IdempotencyKey, Number, PerPage, RowId, Text, failures
from backoffice.ui.security import StaffViewer
from include.shared import clock
from include.shared.work import reading, transaction
from include.workplace import talk
from include.workplace.shapes import CommentRow, TalkPage

router = APIRouter(tags=["Обсуждения"])


class NewComment(Body):
    """What is said; «@Иванова» calls a person, ``mentions`` settles namesakes."""

    text: Annotated[Text, Field(max_length=4000)]
    mentions: Annotated[list[Number], Field(max_length=20, default_factory=list)]


@router.get("/deals/{deal_id}/comments", summary="Обсуждение сделки", responses=failures(404))
def comments(viewer: StaffViewer, deal_id: RowId, before_id: BeforeId = None, per_page: PerPage = 30) -> TalkPage:
    """Return a page of the talk in order, the newest comment last."""
    with reading() as session:
        return talk.deal_talk(session, viewer, deal_id, clock.now(session), before=before_id, limit=per_page)


@router.post(
    "/deals/{deal_id}/comments", status_code=201, summary="Написать в обсуждение", responses=failures(403, 404)
)
def say(viewer: StaffViewer, deal_id: RowId, body: NewComment, key: IdempotencyKey = None) -> CommentRow:
    """Say something; whoever is called is told and may read the deal from then on."""
    with transaction(viewer.actor) as work:
        return talk.say_in_deal(work, viewer, deal_id, body.text, body.mentions, key)


@router.delete("/comments/{comment_id}", summary="Удалить своё сообщение", responses=failures(403, 404))
def remove(viewer: StaffViewer, comment_id: RowId) -> CommentRow:
    """Take one's own comment back; it keeps its place and loses its text."""
    with transaction(viewer.actor) as work:
        return talk.remove(work, viewer, comment_id)


@router.post("/comments/{comment_id}/back", summary="Вернуть удалённое сообщение", responses=failures(403, 404, 409))
def bring_back(viewer: StaffViewer, comment_id: RowId) -> CommentRow:
    """Show one's own removed comment again, within an hour."""
    with transaction(viewer.actor) as work:
        return talk.bring_back(work, viewer, comment_id)
