"""Talk about a deal: comments with @mention."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes import pages_deals
from backoffice.ui.routes.pages_common import ROOT, Errors, Form, RowId, done, identity, local_address
from backoffice.ui.security import StaffViewer
from include.shared.errors import BackofficeError, NotFound
from include.shared.work import transaction
from include.workplace import talk

router = APIRouter()


@router.post("/deals/{deal_id}/comments")
def say(request: Request, viewer: StaffViewer, deal_id: RowId, form: Form) -> Response:
    """Say something about the deal; what cannot be said stays in its box with the reason beside it."""
    chosen = [identity(one) for one in form.get("mentions", "").split(",")[:50]]
    try:
        with transaction(viewer.actor) as work:
            made = talk.say_in_deal(
                work, viewer, deal_id, form.get("text", ""), [one for one in chosen if one is not None],
                form.get("request_key") or None,
            )  # fmt: skip
    except NotFound:
        raise
    except BackofficeError as error:
        errors, typed = Errors.of(error, "talk", {"text"}), {"comment": form.get("text", "")}
        return pages_deals.show(request, viewer, deal_id, errors, typed)
    return done(request, f"{ROOT}/deals/{deal_id}#comment-{made.id}")


@router.post("/comments/{comment_id}/remove")
def remove(request: Request, viewer: StaffViewer, comment_id: RowId, form: Form) -> Response:
    """Take one's own comment back; the place it leaves offers to return it."""
    with transaction(viewer.actor) as work:
        talk.remove(work, viewer, comment_id)
    back = local_address(form.get("back"), f"{ROOT}/deals")
    return done(request, back, "Сообщение удалено. Вернуть его можно в течение часа на том же месте.")


@router.post("/comments/{comment_id}/back")
def bring_back(request: Request, viewer: StaffViewer, comment_id: RowId, form: Form) -> Response:
    """Show one's own removed comment again."""
    with transaction(viewer.actor) as work:
        talk.bring_back(work, viewer, comment_id)
    return done(request, local_address(form.get("back"), f"{ROOT}/deals"), "Сообщение возвращено.")
