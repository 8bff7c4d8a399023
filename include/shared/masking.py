"""What must not stand in a log: secrets, tokens, and what tells who somebody is.

Logs are read by more people than the pages are, are copied into letters and live for years. What is masked is found
by its form, wherever it comes from: the text of an error, the address of a request, the line of a traceback.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

MASK = "***"
SHORTEST_SECRET = 8
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|FERNET_KEY|_KEY$|TOKEN|_URL$|_CONN|BROKER|RESULT_BACKEND")
_NAME = r"[А-ЯЁ][а-яё]+(?:-[А-ЯЁ][а-яё]+)?"
Replacement = str | Callable[[re.Match[str]], str]


def _inn(found: re.Match[str]) -> str:
    from stdnum.ru import inn  # noqa: PLC0415 - only a log line with such a number needs it

    return MASK if inn.is_valid(found.group()) else found.group()


#: In this order: an address of a database also looks like one of e-mail.
RULES: tuple[tuple[re.Pattern[str], Replacement], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(://[^:/@\s]*):[^@/\s]+@", rf"\1:{MASK}@"),
        (r"\beyJ[\w-]+(?:\.[\w-]*)*", MASK),
        (r"\bgAAAA[\w=-]{20,}", MASK),
        (r"\$argon2\w*\$[^\s'\")]+", MASK),
        (r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{6,}", rf"\1{MASK}"),
        (r"((?:/|%2[Ff])decide(?:/|%2[Ff]))[^/\s\"'?#&%]+", rf"\1{MASK}"),
        (
            r"(?i)((?:password|passwd|secret|token|api_?key|csrf|fernet_key)\w*[\"']?\s*(?:=|:)\s*[bru]?[\"']?)"
            r"(?!\*\*\*)[^\s\"'&,;}\])]+",
            rf"\1{MASK}",
        ),
        # what the database and the checks of forms repeat of the values they refuse
        (r"(?s)\[parameters: .*?\]\n?(?=\(Background|\Z|\n)", f"[parameters: {MASK}]\n"),
        (r"(Key \([^\n]*?\)=)\([^\n]*\)(?= |\.|\n|$)", rf"\1({MASK})"),
        (r"(Failing row contains )\([^\n]*\)", rf"\1({MASK})"),
        (r"(invalid input (?:syntax|value) for [^:\n]+: )\"[^\n]*\"", rf"\1{MASK}"),
        (r"(?s)(input_value=).*?(?=, input_type=)", rf"\1{MASK}"),
        (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", MASK),
        (r"(?<![\w.+-])(?:\+7|8|7)[\s(\xa0-]*\d{3}[\s)\xa0-]*\d{3}[\s\xa0-]*\d{2}[\s\xa0-]*\d{2}(?!\w)", MASK),
        (r"(?<!\w)\+\d[\d\s()-]{8,16}\d(?!\w)", MASK),
        (r"(?<![\w.-])(?:\d{12}|\d{10})(?![\w.-])", _inn),
        (rf"{_NAME}\s+[А-ЯЁ][а-яё]+\s+[А-ЯЁ][а-яё]*(?:вич|вна|ична|инична|оглы|кызы)\b", MASK),
        (rf"{_NAME}[\s\xa0][А-ЯЁ]\.(?:[\s\xa0]?[А-ЯЁ]\.)?", MASK),
    )
)


def masked(text: str) -> str:
    """Return a text as a log may keep it."""
    for secret in _secrets():
        text = text.replace(secret, MASK)
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return text


def masked_value(value: Any) -> Any:
    """Return a value as a log may keep it, texts masked at any depth; what is neither text nor a container stays."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {masked_value(name): masked_value(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        made = [masked_value(one) for one in value]
        return tuple(made) if type(value) is tuple else made
    return value


def names_of_query(query: str) -> str:
    """Return a query with the names alone: what somebody searched for is nobody else's business."""
    return "&".join(part.partition("=")[0] + f"={MASK}" for part in query.split("&") if part)


def forget_secrets() -> None:
    """Read the secrets of the environment anew (they do not change while a program runs, but tests do that)."""
    _secrets.cache_clear()


@lru_cache(maxsize=1)
def _secrets() -> tuple[str, ...]:
    """Return the secrets that this program was started with, the longest first."""
    found = set()
    for name, value in os.environ.items():
        if not _SECRET_NAME.search(name):
            continue
        if "://" not in value:
            found.add(value)
            continue
        try:
            password = urlsplit(value).password
        except ValueError:
            continue
        found |= {password, unquote(password)} if password else set()
    return tuple(sorted((one for one in found if len(one) >= SHORTEST_SECRET), key=len, reverse=True))
