"""1C as it calls a site («обмен с сайтом»): the documented sequence, and what goes wrong on the way."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

ADDRESS = "/backoffice/1c/exchange"


class Failure(AssertionError):
    """The site said «failure»."""


@dataclass
class OneC:
    """A base of 1C with its account; ``client`` is any client with ``request`` (httpx, TestClient)."""

    client: Any
    login: str
    password: str
    method: str = "GET"  # of what has no body: УТ sends some of them as POST
    session_in: str = "cookie"  # cookie | query
    form: bool = False  # parameters of a POST in its body
    part: int = 0  # bytes; 0: whatever the site allows
    headers: dict[str, str] = field(default_factory=dict)
    cookie: tuple[str, str] = ("", "")
    takes_zip: bool = False
    limit: int = 0

    # one request

    def ask(
        self, kind: str, mode: str, *, body: Any = None, headers: dict[str, str] | None = None, **query: str
    ) -> Any:
        """Send one request as it is."""
        parameters = {"type": kind, "mode": mode, **query}
        sent = {**self.headers, **(headers or {})}
        self.client.cookies.clear()
        if self.cookie[0]:
            if self.session_in == "query":
                parameters["sessid"] = self.cookie[1]
            else:
                sent["Cookie"] = f"{self.cookie[0]}={self.cookie[1]}"
        written = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        if body is not None:
            return self.client.request("POST", f"{ADDRESS}?{written}", content=body, headers=sent)
        if self.method == "POST" and self.form:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            return self.client.request("POST", ADDRESS, content=written.encode(), headers=sent)
        return self.client.request(self.method, f"{ADDRESS}?{written}", headers=sent)

    def lines(self, answer: Any) -> list[str]:
        """Return the lines of an answer as 1C reads them; Failure for anything but its words."""
        said: list[str] = answer.content.decode(answer.encoding or "utf-8").split("\n")
        if answer.status_code != 200 or said[0] == "failure":
            raise Failure(f"{answer.status_code} {said}")
        return said

    # the sequence

    def enter(self, kind: str = "catalog") -> None:
        """Ask ``checkauth`` and keep the cookie."""
        self.cookie = ("", "")
        answer = self.ask(kind, "checkauth", headers={"Authorization": basic(self.login, self.password)})
        said = self.lines(answer)
        assert said[0] == "success", said
        self.cookie = (said[1], said[2])

    def begin(self, kind: str = "catalog", **more: str) -> list[str]:
        """Ask ``init`` and keep what the site can do."""
        said = self.lines(self.ask(kind, "init", **more))
        known = dict(line.split("=", 1) for line in said)
        self.takes_zip, self.limit = known["zip"] == "yes", int(known["file_limit"])
        return said

    def parts(self, content: bytes) -> Iterator[bytes]:
        """Cut a file as the site asked."""
        size = min(self.part or self.limit, self.limit)
        for start in range(0, len(content), size):
            yield content[start : start + size]

    def send(self, name: str, content: bytes, kind: str = "catalog") -> None:
        """Send a file in its parts."""
        for one in self.parts(content):
            assert self.lines(self.ask(kind, "file", body=one, filename=name))[0] == "success"

    def load(self, name: str, kind: str = "catalog", most: int = 50) -> str:
        """Ask ``import`` until the site has done it; returns its last words."""
        for _ in range(most):
            said = self.lines(self.ask(kind, "import", filename=name))
            if said[0] != "progress":
                assert said[0] == "success", said
                return "\n".join(said[1:])
        raise AssertionError("импорт не кончается")

    def upload(self, files: dict[str, bytes], kind: str = "catalog", *, zipped: bool = False) -> None:
        """Go through the whole sequence of an upload."""
        self.enter(kind)
        self.begin(kind)
        if zipped:
            assert self.takes_zip
            self.send("v8_3B8F_3e.zip", archive(files), kind)
        else:
            for name, content in files.items():
                self.send(name, content, kind)
        for name in files:
            if name.endswith(".xml"):
                self.load(name, kind)

    def orders(self) -> bytes:
        """Ask for the orders."""
        answer = self.ask("sale", "query")
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    def thanks(self) -> None:
        """Say that the orders were taken; УТ 11 never does."""
        assert self.lines(self.ask("sale", "success"))[0] == "success"


def basic(login: str, password: str) -> str:
    """Return a Basic header."""
    import base64

    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


def archive(files: dict[str, bytes]) -> bytes:
    """Return an archive of these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return made.getvalue()
