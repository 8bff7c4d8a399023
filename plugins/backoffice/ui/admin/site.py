"""starlette-admin mounted inside our pages: its registers, forms and addresses in our frame, behind our door."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow.configuration import conf
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_admin import CustomView, I18nConfig, RequestAction, TimezoneConfig
from starlette_admin.base import BaseAdmin
from starlette_admin.exceptions import ActionFailed
from starlette_admin.routing import route
from starlette_admin.views import BaseModelView

from backoffice.ui import format as written
from backoffice.ui.admin.guard import AdministratorsOnly
from backoffice.ui.admin.register import GENERAL, SEEN, Register
from backoffice.ui.routes.pages_common import ROOT, page
from include.reference.registers import fingerprint

PATH = "/admin"
TITLE = "Справочники и настройки"
logging.getLogger("starlette_admin").setLevel(logging.WARNING)  # at DEBUG it would write passwords of forms


class OurPage(Response):
    """A page in our frame, made when it is sent and off the event loop: it reads the database."""

    def __init__(self, request: Request, template: str, status: int, context: Mapping[str, Any]) -> None:
        super().__init__(status_code=status)
        self.request, self.template, self.context = request, template, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the page and send it."""
        made = await run_in_threadpool(self._made)
        await made(scope, receive, send)

    def _made(self) -> Response:
        view, row = self.context.get("view"), self.context.get("raw_obj")
        story = view.story(row) if view is not None and self.template == "detail.html" else []
        return page(
            self.request, self.request.state.viewer, f"admin/{self.template}", status=self.status_code,
            active="settings", story=story, **self.context,
        )  # fmt: skip


class Bare(Starlette):
    """An app that leaves failures to the app around it, which tells them in words."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the routes behind the middlewares alone."""
        made: ASGIApp = self.router
        for one in reversed(self.user_middleware):
            made = one.cls(made, *one.args, **one.kwargs)
        return made


class Contents(CustomView):
    """The first page: all registers by group."""

    def __init__(self) -> None:
        super().__init__(menu_label=TITLE, route_name="index", add_to_menu=False)

    @route("")
    async def index(self, request: Request) -> Response:
        """Show the registers."""
        assert self._admin is not None  # noqa: S101 - set by starlette-admin before any request
        return self._admin._template_response(request, "index.html", {"title": TITLE})


class Site(BaseAdmin):
    """The registers: starlette-admin's routes and flow, our pages, our door, our flash and CSRF token."""

    def __init__(self) -> None:
        super().__init__(
            title=TITLE, base_url=PATH, route_name="admin", index_view=Contents(),
            secret_key=conf.get("api", "secret_key"),
            i18n_config=I18nConfig("ru", language_cookie_name=None, language_header_name=None),
            timezone_config=TimezoneConfig(
                written.OFFICE_ZONE, timezone_cookie_name=None, use_user_locale_timezone=False
            ),
        )  # fmt: skip
        self.routes = [one for one in self.routes if not isinstance(one, Mount)]  # its files come from /vendor

    def mount_to(self, app: Starlette) -> None:
        """Mount the registers behind the door."""
        inner = Bare(routes=self.routes, middleware=self.middlewares)
        inner.state.ROUTE_NAME = self.route_name
        inner.router.redirect_slashes = True
        self._app = inner
        app.mount(self.base_url, app=AdministratorsOnly(inner, self.base_url), name=self.route_name)

    @route("/{key}/act", methods=["GET", "POST"], name="act")
    async def ask_and_act(self, request: Request) -> Response:
        """Ask before a row action, and do it: a page for each, so that nothing needs JavaScript."""
        request.state.action = RequestAction.ROW_ACTION
        key, name = request.path_params["key"], request.query_params.get("name", "")
        view = self._register(key)
        pk = request.query_params.get("pk")
        row = await self._find_object_or_404(request, view, key, pk, "act")
        error, status = None, 200
        if request.method == "POST":
            try:
                await view.handle_row_action(request, pk, name)
                return RedirectResponse(f"{ROOT}{PATH}/{key}/list", 303)
            except ActionFailed as failed:
                error, status = str(failed.msg), 409
        action = view._row_actions.get(name)
        if action is None or action.get("is_link"):
            return RedirectResponse(f"{ROOT}{PATH}/{key}/list", 303)
        context = {"view": view, "row": row, "name": view.name_of(row), "action": action, "error": error, "pk": pk}
        return self._template_response(request, "act.html", context, status)

    @route("/_api/{key}/action", methods=["POST"], name="action")
    async def handle_action(self, request: Request) -> Response:
        """Refuse in words what names no act; starlette-admin would fail."""
        if not request.query_params.get("name"):
            raise HTTPException(422)
        response: Response = await super().handle_action(request)
        return response

    # --- what is ours instead of starlette-admin's ---

    def _init_csrf(self) -> None:
        """Our door asks for our token."""

    def _init_flash(self) -> None:
        """Our door carries what was said on to our pages."""

    def _template_response(
        self, request: Request, name: str, context: dict[str, Any] | None = None, status_code: int = 200
    ) -> Response:
        given = context or {}
        view, row = given.get("view"), given.get("raw_obj")
        shared: dict[str, Any] = {
            "registers": self._groups(), "here_view": view, "admin": f"{ROOT}{PATH}", "query": request.query_params,
            "units": written.UNIT_TITLES,
            "page_address": lambda number: f"?{request.url.include_query_params(page=number).query}",
        }  # fmt: skip
        if isinstance(view, Register):
            shared["pk"] = getattr(row, str(view.pk_attr), None)
            if name == "detail.html":
                shared["entries"] = view.entries(request)
        return OurPage(request, name, status_code, {**shared, **given})

    async def _render_form_body(
        self, request: Request, view: BaseModelView, obj: Any, errors: Mapping[Any, Any] | None, config: dict[str, Any]
    ) -> None:
        """Describe the inputs of a form; our template draws them."""
        view = self._register(view.key)
        row = config.get("raw_obj")
        choices = await view.choices(request, row)
        typed = view.typed_of(row, obj or {})
        config["inputs"] = [
            one.described(typed.get(one.name), choices.get(one.name, {})) for one in view.entries(request)
        ]
        config["problems"] = {str(name): str(said) for name, said in (errors or {}).items()}
        config["general"] = config["problems"].get(GENERAL)
        sent = (await request.form()).get(SEEN) if request.method == "POST" else None
        config["seen"] = sent if isinstance(sent, str) else fingerprint(row)

    def _groups(self) -> dict[str, list[Register]]:
        groups: dict[str, list[Register]] = {}
        for one in (self._register(view.key) for view in self._model_views):
            groups.setdefault(one.group, []).append(one)
        return groups

    def _register(self, key: str | None) -> Register:
        view = self._find_view_by_key(key)
        assert isinstance(view, Register)  # noqa: S101 - only registers are added
        return view
