"""API: log in, who am I, health."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from backoffice.ui import security
from backoffice.ui.routes.api_common import Body, Text, failures
from backoffice.ui.security import StaffViewer, public
from include.shared.clock import is_virtual
from include.shared.work import reading
from include.workplace import directory
from include.workplace.shapes import PartHealth

router = APIRouter(tags=["Вход"])


class Credentials(Body):
    """Login and password."""

    login: Annotated[Text, Field(max_length=200)]
    password: Annotated[Text, Field(max_length=1000)]


class Session(BaseModel):
    """The token to send as ``Authorization: Bearer …``."""

    token: str


class Me(BaseModel):
    """Who is logged in."""

    person_id: int
    login: str
    name: str
    access: str
    roles: list[str]
    leads: bool


class Health(BaseModel):
    """How long ago each part of the engine last said that it works."""

    virtual_clock: bool
    parts: list[PartHealth]


@router.post(
    "/session", status_code=201, dependencies=[Depends(public)], summary="Войти и получить токен",
    responses=failures(401, 403, 429),
)  # fmt: skip
def open_session(request: Request, body: Credentials) -> Session:
    """Give a token for a login and a password."""
    return Session(token=security.start_session(request, body.login, body.password))


@router.get("/me", summary="Кто я", responses=failures())
def me(viewer: StaffViewer) -> Me:
    """Return the person behind the token."""
    return Me(
        person_id=viewer.person_id,
        login=viewer.login,
        name=viewer.name,
        access=viewer.access,
        roles=sorted(viewer.roles),
        leads=bool(viewer.led_departments),
    )


@router.get("/health", dependencies=[Depends(public)], summary="Работает ли система", responses=failures())
def health() -> Health:
    """Return the ages of the heartbeats: relay, hubs, reconciler."""
    with reading() as session:
        return Health(virtual_clock=is_virtual(), parts=directory.parts(session))
