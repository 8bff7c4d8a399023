"""The app that Airflow mounts at ``/backoffice``: pages and JSON API."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import secrets
from pathlib import Path
from types import ModuleType

import starlette_admin
from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backoffice import masking, storage
from backoffice.ui import admin, errors
from backoffice.ui.routes import (
    api_approvals,
    api_clock,
    api_companies,
    api_deals,
    api_exchange,
    api_files,
    api_money,
    api_nomenclature,
    api_ops,
    api_orders,
    api_people,
    api_reconciliation,
    api_search,
    api_session,
    api_staff,
    api_talk,
    api_tasks,
    api_twins,
)
from backoffice.ui.security import public
from include.shared.clock import is_virtual

log = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parent
VENDOR = Path(starlette_admin.__file__).resolve().parent / "static"
PAGES = "backoffice.ui.routes.pages"
API_ROUTERS = (
    api_session,
    api_staff,
    api_companies,
    api_deals,
    api_tasks,
    api_approvals,
    api_files,
    api_talk,
    api_search,
    api_people,
    api_ops,
    api_money,
    api_reconciliation,
    api_orders,
    api_exchange,
    api_nomenclature,
    api_twins,
)


def create_app() -> FastAPI:
    """Return a new app; the clock's routes exist only where the clock is virtual."""
    masking.install()
    app = FastAPI(title="Бэк-офис", version="1.0", docs_url=None, redoc_url=None, openapi_url=None)
    errors.install(app)
    app.add_middleware(SafeHeaders)
    storage.install()
    api = APIRouter(prefix="/api")
    for module in API_ROUTERS:
        api.include_router(module.router)
    if is_virtual():
        api.include_router(api_clock.moves)
    api.include_router(api_clock.router)
    app.include_router(api)
    _add_schema(app)
    _add_pages(app)
    return app


def _add_schema(app: FastAPI) -> None:
    @app.get("/api/openapi.json", include_in_schema=False, dependencies=[Depends(public)])
    def schema() -> JSONResponse:
        """Describe the API (OpenAPI 3.1)."""
        routes = [one for one in app.routes if isinstance(one, APIRoute) and one.path.startswith("/api/")]
        described = get_openapi(
            title="Бэк-офис: API",
            version="1.0",
            openapi_version="3.1.0",
            description="Те же действия и права, что на страницах. Токен даёт POST /api/session.",
            routes=routes,
            servers=[{"url": "/backoffice"}],
        )
        return JSONResponse(described)


def _add_pages(app: FastAPI) -> None:
    pages = _pages()
    if pages is not None:
        app.include_router(pages.router)
        app.state.error_page = getattr(pages, "error_page", None)
        admin.mount(app)
    if (HERE / "static").is_dir():
        app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.mount("/vendor", StaticFiles(directory=VENDOR), name="vendor")


def _pages() -> ModuleType | None:
    if importlib.util.find_spec(PAGES) is None:
        return None
    return importlib.import_module(PAGES)


class SafeHeaders:
    """Send every answer with the headers that keep a page to itself; ``request.state.nonce`` is the CSP nonce."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers when the answer begins."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        is_file = scope["path"].removeprefix(scope.get("root_path", "")).startswith(("/static/", "/vendor/"))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # a file that somebody uploaded is sent under a policy of its own, stricter than that of our pages
                headers["Content-Security-Policy"] = scope["state"].get("policy") or (
                    "default-src 'self'; script-src 'self' 'nonce-" + nonce + "'; style-src 'self' 'nonce-" + nonce
                    + "'; img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'none';"
                    " form-action 'self'; frame-ancestors 'none'"
                )  # fmt: skip
                headers["X-Frame-Options"] = scope["state"].get("framed") or "DENY"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                if not is_file:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, sending)
