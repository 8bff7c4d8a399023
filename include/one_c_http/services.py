"""What 1C asks over HTTP, mode by mode: each answer is a text that 1C understands."""

from __future__ import annotations

from dataclasses import dataclass

from include.one_c_http import receiving, rules, sessions
from include.one_c_http.giving import Given, give_orders, orders_taken, orders_went, statuses_xml
from include.one_c_http.loading import Loading, loading_of
from include.one_c_http.receiving import Spool, tidy, too_large
from include.one_c_http.rules import Asked, OneCRefused
from include.one_c_http.sessions import Visit
from include.shared import settings
from include.shared.work import reading

__all__ = [
    "Given", "HttpSettings", "Loading", "Spool", "begin", "check_access", "end_part", "give_orders", "http_settings",
    "import_package", "import_state", "orders_taken", "orders_went", "sale_ended", "statuses_xml", "take_part", "tidy",
    "too_large",
]  # fmt: skip

DEFAULTS = {
    "one_c_part_mb": 20, "one_c_total_mb": 4096, "one_c_zip": True, "one_c_answer_encoding": "utf-8",
    "one_c_schema": "",
}  # fmt: skip
NOTHING_CAME = "В этом сеансе файлы не приходили: начните обмен заново."
UNKNOWN_KIND = "Неизвестный вид обмена (type)."


@dataclass(frozen=True)
class HttpSettings:
    """The settings of the HTTP exchange."""

    part_bytes: int
    total_bytes: int
    takes_zip: bool
    encoding: str
    schema: str


def http_settings() -> HttpSettings:
    """Return the present settings."""
    with reading() as session:
        value = {code: settings.value_of(session, code, default) for code, default in DEFAULTS.items()}
    return HttpSettings(
        part_bytes=max(1, int(value["one_c_part_mb"])) * rules.MEGABYTE,
        total_bytes=max(1, int(value["one_c_total_mb"])) * rules.MEGABYTE,
        takes_zip=bool(value["one_c_zip"]),
        encoding=str(value["one_c_answer_encoding"]),
        schema=str(value["one_c_schema"]).strip(),
    )


def check_access(header: str | None, address: str) -> tuple[str, str]:
    """Open a session for a Basic header: the answer of ``checkauth`` and the cookie; OneCRefused, TooManyTries."""
    said = rules.credentials_of(header)
    if said is None:
        msg = "Укажите в 1С пользователя и пароль обмена с сайтом."
        raise OneCRefused(msg, 401)
    token = sessions.open_session(*said, address)
    return f"success\n{rules.COOKIE}\n{token}\nsessid={token}", token


def begin(visit: Visit, asked: Asked, made: HttpSettings, token: str) -> tuple[str, list[str]]:
    """Answer ``init``, with the packages that this has published: what the session left unfinished is ended."""
    _check_kind(asked)
    published = receiving.close_sale(visit)
    answer = [f"zip={'yes' if made.takes_zip else 'no'}", f"file_limit={made.part_bytes}"]
    if asked.version:  # only who names his own version reads further lines
        answer.append(f"sessid={token}")
        if made.schema:
            answer.append(f"version={made.schema}")
    return "\n".join(answer), published


def take_part(visit: Visit, asked: Asked, spool: Spool, made: HttpSettings) -> str:
    """Take a spooled part of a file (``mode=file``)."""
    _check_kind(asked)
    if rules.begins_zip(spool.head) and asked.file_name.lower().endswith(".zip") and not made.takes_zip:
        msg = "Архивы zip здесь не принимаются: выключите в 1С сжатие файлов."
        raise OneCRefused(msg)
    receiving.take_part(visit, asked.kind, asked.file_name, spool, made.total_bytes)
    return "success"


def end_part(spool: Spool) -> None:
    """Remove a spooled part, whatever became of it."""
    spool.drop()


def import_package(visit: Visit, asked: Asked) -> str:
    """Publish what has come (``mode=import``) and return the package to be loaded; OneCRefused when nothing came."""
    name = receiving.close_package(visit, asked.file_name)
    if name is None:
        raise OneCRefused(NOTHING_CAME)
    return name


def import_state(package: str) -> Loading:
    """Return where the loading of a package stands."""
    return loading_of(package)


def sale_ended(visit: Visit) -> list[str]:
    """Publish orders that 1C sent without asking for their import."""
    return receiving.close_sale(visit)


def _check_kind(asked: Asked) -> None:
    if asked.kind not in rules.KINDS:
        raise OneCRefused(UNKNOWN_KIND)
