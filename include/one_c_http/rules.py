"""Pure decisions of the HTTP exchange: what 1C asks, safe names, repeated parts, allowed addresses, answers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote_to_bytes

from include.shared.errors import BackofficeError, InvalidInput
from include.shared.texts import storable, visible

KINDS = frozenset({"catalog", "sale", "reference"})
MODES = frozenset({
    "checkauth", "init", "file", "import", "query", "success", "complete", "deactivate", "info",
})  # fmt: skip
COOKIE = "backoffice_1c"
MEGABYTE = 1024 * 1024
LONGEST_QUERY = 8000
LONGEST_NAME, LONGEST_PATH, DEEPEST = 120, 400, 6
MOST_ADDRESSES = 50
LONGEST_LOGIN, LONGEST_TITLE = 60, 100
#: Endings that the folder's reader takes for files that are still being written
UNFINISHED = (".tmp", ".part", ".crdownload", "~")
REPORTS = ("report.json", "report.txt")


class OneCRefused(BackofficeError):
    """1C is told «failure» with this sentence; ``status`` is that of HTTP (200: 1C shows the sentence to people)."""

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """What a request of 1C asks for."""

    kind: str = ""
    mode: str = ""
    file_name: str = ""
    version: str = ""
    session: str = ""  # the cookie's value, where 1C writes it into the address


def asked_of(query: bytes) -> Asked:
    """Read a query or the body of a form; names of files come in UTF-8 or in windows-1251, whichever they are."""
    found: dict[str, str] = {}
    for pair in query[:LONGEST_QUERY].split(b"&"):
        name, _, value = pair.partition(b"=")
        found.setdefault(_text(name).strip().lower(), _text(value).strip())
    return Asked(
        found.get("type", "").lower(), found.get("mode", "").lower(), found.get("filename", ""),
        found.get("version", ""), found.get("sessid") or found.get(COOKIE, ""),
    )  # fmt: skip


def credentials_of(header: str | None) -> tuple[str, str] | None:
    """Return the login and password of a Basic header, None when it is none."""
    scheme, _, value = (header or "").strip().partition(" ")
    if scheme.lower() != "basic" or len(value) > 4000:
        return None
    try:
        said = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    login, colon, password = _decoded(said).partition(":")
    return (login, password) if colon and login else None


def _text(raw: bytes) -> str:
    return _decoded(unquote_to_bytes(raw.replace(b"+", b" ")))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1251", "replace")


_DRIVE = re.compile(r"^[A-Za-z]:")
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def safe_name(said: str) -> str:
    """Return where a file may lie inside its package; OneCRefused when nothing is left of its name.

    A path of Windows leaves its last part, ``..`` and signs that no name has go; a folder such as ``import_files/ab``
    stays. A hidden name and one of an unfinished file is made a plain one: nothing that 1C sent may be passed over.
    """
    written = said.replace("\\", "/")
    is_full = bool(_DRIVE.match(written)) or written.startswith("/")
    parts = [_part(one) for one in written.split("/")]
    kept = [one for one in parts if one]
    if is_full:
        kept = kept[-1:]
    if not kept or not parts[-1]:
        msg = "Не указано имя файла (filename)."
        raise OneCRefused(msg)
    last = kept[-1]
    if last.lower().endswith(UNFINISHED) or last.lower() in REPORTS:
        last = f"{last}_"
    name = "/".join([*kept[:-1], last])
    if len(kept) > DEEPEST or len(name.encode()) > LONGEST_PATH:
        msg = "Слишком длинное имя файла."
        raise OneCRefused(msg)
    return name


def _part(one: str) -> str:
    shown = "".join(sign if sign.isprintable() and sign not in '<>:"|?*' else "_" for sign in one)
    shown = shown.encode("utf-8", "replace").decode().strip(" .")
    if _RESERVED.match(shown):
        shown = f"_{shown}"
    if len(shown.encode()) <= LONGEST_NAME:
        return shown
    stem, dot, ending = shown.rpartition(".")
    tail = f"{dot}{ending}" if dot and len(ending) <= 10 else ""
    return (stem or shown).encode()[: LONGEST_NAME - len(tail.encode())].decode("utf-8", "ignore") + tail


# --- parts ----------------------------------------------------------------------------------------


def part_mark(size: int, sha256: str) -> str:
    """Return how a part is known again."""
    return f"{size}:{sha256}"


def offset_of(known: tuple[int, str, str] | None, mark: str) -> int | None:
    """Say where a part goes, in bytes from the file's beginning; None: it is there already.

    ``known`` is (size, first part, last part) of what has come. The last part sent again means that 1C did not get our
    answer; the first one sent again means that it has begun the file anew.
    """
    if known is None:
        return 0
    size, first, last = known
    if mark == last:
        return None
    return 0 if mark == first else size


_XML_BEGINS = re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml[\s]")
_ZIP_BEGINS = b"PK\x03\x04"
HEAD = 64  # bytes of a part's beginning that are looked at
TAIL = 256
ROOT_ENDS = ("</КоммерческаяИнформация>".encode(), "</КоммерческаяИнформация>".encode("cp1251"))


def begins_anew(head: bytes) -> bool:
    """Say whether a part begins with what stands only at the beginning of a file."""
    return bool(_XML_BEGINS.match(head)) or head.startswith(_ZIP_BEGINS)


def begins_zip(head: bytes) -> bool:
    """Say whether a part begins as an archive does (inside one that may stand by chance at any place)."""
    return head.startswith(_ZIP_BEGINS)


def ends_document(tail: bytes) -> bool:
    """Say whether a file of CommerceML has come to its end."""
    return tail.rstrip(b" \t\r\n\x00").endswith(ROOT_ENDS)


# --- who may come ---------------------------------------------------------------------------------


def clean_addresses(written: str) -> list[str]:
    """Read addresses and networks (one per line, or by commas) as they are kept; InvalidInput names the bad one."""
    found: list[str] = []
    for one in filter(None, re.split(r"[\s,;]+", written or "")):
        try:
            network = ip_network(one, strict=False)
        except ValueError as error:
            msg = f"«{one[:60]}» – не адрес и не сеть. Пишите так: 192.168.1.10 или 192.168.1.0/24."
            raise InvalidInput(msg, "addresses") from error
        said = str(network.network_address) if network.num_addresses == 1 else str(network)
        if said not in found:
            found.append(said)
    if len(found) > MOST_ADDRESSES:
        msg = f"Адресов – до {MOST_ADDRESSES}."
        raise InvalidInput(msg, "addresses")
    return found


def may_come(address: str, allowed: Sequence[str]) -> bool:
    """Say whether an address is among the allowed ones; without a list everybody may come."""
    if not allowed:
        return True
    known = _address(address)
    if known is None:
        return False
    networks = [ip_network(one, strict=False) for one in allowed]
    return any(known in one for one in networks if isinstance(one, IPv6Network) == isinstance(known, IPv6Address))


def _address(said: str) -> IPv4Address | IPv6Address | None:
    try:
        known = ip_address(said.split("%")[0])
    except ValueError:
        return None
    return known.ipv4_mapped or known if isinstance(known, IPv6Address) else known


_LOGIN = re.compile(r"[A-Za-z0-9._\-]+")


def clean_login(said: str) -> str:
    """Return a login of 1C; InvalidInput for one that a Basic header could not carry safely."""
    login = (said or "").strip()
    if not _LOGIN.fullmatch(login) or len(login) > LONGEST_LOGIN:
        msg = f"Логин – до {LONGEST_LOGIN} латинских букв, цифр, «.», «-» и «_»."
        raise InvalidInput(msg, "login")
    return login


def clean_title(said: str) -> str:
    """Return what an access is called; InvalidInput when it has no name."""
    title = " ".join((said or "").split())
    if not visible(title) or len(title) > LONGEST_TITLE or not storable(title):
        msg = f"Напишите, что это за 1С (до {LONGEST_TITLE} знаков), например «УТ 11, основная база»."
        raise InvalidInput(msg, "title")
    return title


# --- answers --------------------------------------------------------------------------------------

ANSWER_ENCODINGS = {"windows-1251": "cp1251", "cp1251": "cp1251"}


def answer_bytes(text: str, encoding: str) -> tuple[bytes, str]:
    """Return an answer as 1C reads it and the name of its encoding; signs that it lacks are asked about with «?»."""
    codec = ANSWER_ENCODINGS.get(encoding.strip().lower())
    if codec is None:
        return text.encode("utf-8", "replace"), "utf-8"
    return text.encode(codec, "replace"), "windows-1251"


def one_line(text: str) -> str:
    """Return a reason on one line: 1C shows what stands behind the first."""
    return " ".join(text.split())[:500]


def info_xml(statuses: Mapping[str, str]) -> bytes:
    """Return the answer to ``mode=info``: what an order may stand at; windows-1251, as 1C wants it.

    The first letter of ``Cтатусы`` is Latin: so it stands in 1C's own reader.
    """
    rows = "".join(
        f"<Элемент><Ид>{_escaped(code)}</Ид><Название>{_escaped(title)}</Название></Элемент>"
        for code, title in statuses.items()
    )
    said = (
        '<?xml version="1.0" encoding="windows-1251"?>\n<Справочник><Cтатусы>' + rows + "</Cтатусы>"
        "<ПлатежныеСистемы></ПлатежныеСистемы><СлужбыДоставки></СлужбыДоставки></Справочник>"
    )
    return said.encode("cp1251", "xmlcharrefreplace")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
