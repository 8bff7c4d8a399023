"""The door of the registers: nobody but an administrator, and no change that a foreign page asks for.

Routes of a mounted app are not covered by FastAPI's dependencies, so the same guard stands in front of the whole app.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backoffice.ui import security
from backoffice.ui.routes.pages_common import done


class AdministratorsOnly:
    """Ask ``security.admin`` before anything of the app behind is reached."""

    guard = security.admin

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    @property
    def routes(self) -> list[BaseRoute]:
        """Return the routes behind the door, so that addresses can be made and tests can walk them."""
        return list(getattr(self.app, "routes", []))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an administrator's request through; failures go to the app around, which tells them in words."""
        if scope["type"] != "http":
            return  # nothing here speaks anything else
        inner = dict(scope)
        # the app around answers failures: for it the request is not inside the mount
        scope["root_path"] = scope.get("root_path", "").removesuffix(self.path)
        body = await Request(scope, receive).body()
        viewer = await self.guard(Request(scope, _again(body)))
        state = scope.setdefault("state", {})
        state |= {"viewer": viewer, "admin_flash_pending": []}
        await self.app({**inner, "state": state}, _again(body), _own_redirects(Request(scope), send))


def _again(body: bytes) -> Receive:
    """Give a body that was read already once more."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _own_redirects(request: Request, send: Send) -> Send:
    """Make redirects paths of this site, whatever stands before the server, and carry the said on to our pages."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            target = headers.get("location")
            if target is not None:
                headers["location"] = _path_of(target)
                for name, value in _flash(request, headers["location"]):
                    headers.append(name, value)
        await send(message)

    return sending


def _path_of(address: str) -> str:
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _flash(request: Request, target: str) -> list[tuple[str, str]]:
    said: list[dict[str, Any]] = request.state.admin_flash_pending
    if not said:
        return []
    kind = "ok" if all(one["category"] == "success" for one in said) else "warning"
    answer: RedirectResponse = done(request, target, " ".join(one["message"] for one in said), kind=kind)
    return [("set-cookie", value) for value in answer.headers.getlist("set-cookie")]
