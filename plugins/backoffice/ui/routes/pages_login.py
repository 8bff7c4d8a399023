"""Log in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from backoffice.ui import security
from backoffice.ui.routes.pages_common import ROOT, Form, NextAddress, page
from backoffice.ui.security import maybe_viewer, public, staff
from include.shared.errors import InvalidInput
from include.staff.attempts import TooManyTries
from include.staff.services import Viewer

router = APIRouter()
LONGEST_LOGIN = 200


@router.get("/login", dependencies=[Depends(public)])
def login_page(
    request: Request, known: Annotated[Viewer | None, Depends(maybe_viewer)], next_: NextAddress = ""
) -> Response:
    """Show the login; whoever is logged in goes on."""
    target = security.safe_next(request, next_)
    if known is not None:
        return RedirectResponse(target, status_code=303)
    return page(request, None, "login.html", next=target, login="", error=None)


@router.post("/login", dependencies=[Depends(public)])
def login(request: Request, form: Form) -> Response:
    """Log a person in and lead him where he wanted to go."""
    target = security.safe_next(request, form.get("next"))
    name = form.get("login", "").strip()[:LONGEST_LOGIN]
    try:
        token = security.start_session(request, name, form.get("password", ""))
    except InvalidInput as error:
        return page(request, None, "login.html", status=422, next=target, login=name, error=str(error))
    except TooManyTries as error:
        refused = page(request, None, "login.html", status=429, next=target, login=name, error=str(error))
        refused.headers["Retry-After"] = str(error.seconds)
        return refused
    response = RedirectResponse(target, status_code=303)
    security.set_session(request, response, token)
    return response


@router.post("/logout", dependencies=[Depends(staff)])
def logout(request: Request) -> Response:
    """End the session of this browser."""
    response = RedirectResponse(f"{ROOT}/login", status_code=303)
    security.end_session(request, response)
    return response
