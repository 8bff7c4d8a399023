"""The administrator's registers with anything in their addresses and forms: an answer in words, never a failure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from tests.hostile.conftest import bearer
from tests.ui.api.test_routes import guarded_mounts
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
ODD = (
    "",
    "0",
    "-1",
    "9" * 40,
    "1.5",
    "%00",
    "\x00",
    "\ud800",
    "x" * 3000,
    "'; --",
    "../..",
    "<script>",
    "٣",
    "None",
    "[]",
)


@pytest.fixture(scope="module")
def admin(desk: Desk, tokens: dict[str, str]) -> TestClient:
    client = TestClient(desk.app, raise_server_exceptions=False, follow_redirects=False)
    client.headers.update({**bearer(tokens["admin"]), "Origin": ORIGIN})
    return client


def keys() -> list[str]:
    from backoffice.ui.admin import REGISTERS

    return [str(one.key) for one in REGISTERS]


def addresses(desk: Desk) -> list[tuple[str, str]]:
    return [
        (method, f"/backoffice{mount.path}{one.path}")
        for mount in guarded_mounts(desk.app)
        for one in mount.routes
        for method in sorted((getattr(one, "methods", None) or set()) - {"HEAD"})
    ]


def written(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"))


def calm(answer: Any, *where: Any) -> None:
    assert answer.status_code < 500, (*where, answer.text[-600:])
    assert "Traceback" not in answer.text
    if answer.status_code >= 400 and "<html" in answer.text:
        assert re.search("[а-я]{3}", answer.text)


def test_no_parameter_breaks_a_register(desk: Desk, admin: TestClient) -> None:
    names = ("pk", "pks", "name", "q", "page", "page_size", "sort", "field", "filter", "_list_query", "_origin", "all")
    for number, (method, address) in enumerate(addresses(desk)):
        for key in ("departments", "settings", "days", "нет"):
            for place, value in enumerate(ODD):
                some = names[(number + place) % len(names)]
                path = address.replace("{key}", key).replace("{storage}", "x").replace("{path:path}", "x")
                calm(
                    admin.request(method, f"{path}?{some}={written(value)}&pk=1&name=delete"), method, path, some, value
                )
            calm(admin.request(method, path), method, path)


def test_no_form_breaks_a_register(desk: Desk, admin: TestClient) -> None:
    from backoffice.ui.admin import REGISTERS

    for register in REGISTERS:
        fields = [one.name for one in register.fields]
        for value in ODD:
            form = "&".join(f"{written(name)}={written(value)}" for name in (*fields, "seen", "нет", ""))
            for path in ("create", "edit?pk=1", "act?pk=1&name=delete"):
                address = f"/backoffice/admin/{register.key}/{path}"
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                calm(admin.post(address, content=form, headers=headers), address, value)
        for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
            address = f"/backoffice/admin/{register.key}/create"
            calm(admin.post(address, content=b'{"a": [' * 2000, headers={"Content-Type": kind}), address, kind)
