"""What a person sets for himself: look of the pages, time zone, password; nobody sets it for another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.shared.errors import Forbidden, InvalidInput
from include.shared.texts import storable
from include.shared.work import Work
from include.staff.checks import check_new_password
from include.staff.models import Account, Person
from include.staff.services import check_password, hash_password

THEMES = {"auto": "как на устройстве", "light": "светлая", "dark": "тёмная"}
DAY_GROUPS = {"risk": "по сроку: сначала просроченные", "deal": "по сделкам"}
#: code → (title, choices); the first choice is the default
CHOICES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "theme": ("Тема", THEMES),
    "day_groups": ("«Мой день» сгруппирован", DAY_GROUPS),
}
ZONES = {
    "Europe/Kaliningrad": "Калининград (МСК−1)",
    "Europe/Moscow": "Москва (МСК)",
    "Europe/Samara": "Самара (МСК+1)",
    "Asia/Yekaterinburg": "Екатеринбург (МСК+2)",
    "Asia/Omsk": "Омск (МСК+3)",
    "Asia/Krasnoyarsk": "Красноярск (МСК+4)",
    "Asia/Irkutsk": "Иркутск (МСК+5)",
    "Asia/Yakutsk": "Якутск (МСК+6)",
    "Asia/Vladivostok": "Владивосток (МСК+7)",
    "Asia/Magadan": "Магадан (МСК+8)",
    "Asia/Kamchatka": "Камчатка (МСК+9)",
}
MOST_FILTERS, LONGEST_FILTER = 20, 200


class WrongPassword(InvalidInput):
    """The present password was not given: whoever sits here may not be its owner."""


@dataclass(frozen=True)
class Preferences:
    """A person's own settings; what he has not chosen has its default."""

    theme: str = "auto"
    day_groups: str = "risk"
    filters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Preferences:
        """Read the stored form; a value that is no longer offered gives the default."""
        kept = stored or {}
        chosen = {code: kept[code] for code, (_, known) in CHOICES.items() if kept.get(code) in known}
        filters = kept.get("filters")
        return cls(**chosen, filters=filters if isinstance(filters, dict) else {})


def preferences(session: Session, person_id: int) -> Preferences:
    """Return the settings of a person."""
    return Preferences.of(session.scalar(select(Person.preferences).where(Person.id == person_id)))


def prefer(work: Work, code: str, value: str) -> None:
    """Choose one of ``CHOICES`` for oneself; audited when it really changes."""
    title, known = CHOICES.get(code, ("", {}))
    if value not in known:
        msg = "Такого выбора нет." if not known else f"«{title}» – одно из: {', '.join(known.values())}."
        raise InvalidInput(msg, code)
    person = _myself(work)
    before = getattr(Preferences.of(person.preferences), code)
    if before == value:
        return
    person.preferences = {**person.preferences, code: value}
    _trace(work, person, "person.preference_changed", f"{title}: {known[value]}", {code: before}, {code: value})


def set_time_zone(work: Work, zone: str) -> None:
    """Choose the time zone in which one's own pages show moments."""
    try:
        known = ZoneInfo(zone).key
    except (KeyError, OSError, ValueError) as error:  # not known, a folder of zones, not a name at all
        msg = "Выберите часовой пояс из списка."
        raise InvalidInput(msg, "time_zone") from error
    person = _myself(work)
    if person.time_zone == known:
        return
    before, person.time_zone = person.time_zone, known
    after = {"time_zone": known}
    _trace(work, person, "person.time_zone_changed", f"Часовой пояс: {known}", {"time_zone": before}, after)


def change_password(work: Work, old: str, new: str, repeated: str) -> None:
    """Change one's own password; the present one is asked for, and neither is ever written to the audit.

    All sessions of the login end: whoever knew the old password is out, too.
    """
    person = _myself(work)
    account = work.session.get(Account, person.id)
    if account is None or not storable(old) or check_password(work.session, account.login, old) is None:
        msg = "Нынешний пароль не подходит."
        raise WrongPassword(msg, "old_password")
    check_new_password(new, "new_password")
    if new != repeated:
        msg = "Повторите новый пароль без ошибки."
        raise InvalidInput(msg, "repeated")
    if new == old:
        msg = "Новый пароль такой же, как нынешний."
        raise InvalidInput(msg, "new_password")
    account.password_hash = hash_password(new)
    account.session_version += 1
    _trace(work, person, "account.password_changed", "Сменил(а) свой пароль", None, None)


def remember_filters(work: Work, page: str, filters: Mapping[str, str]) -> None:
    """Keep what a person last narrowed a page to; without trace: it changes only what he himself looks at."""
    kept = {name: value for name, value in filters.items() if value}
    if len(kept) > MOST_FILTERS or not storable(kept) or any(len(one) > LONGEST_FILTER for one in kept.values()):
        msg = "Слишком длинный отбор."
        raise InvalidInput(msg)
    person = _myself(work)
    others = {name: one for name, one in Preferences.of(person.preferences).filters.items() if name != page}
    person.preferences = {**person.preferences, "filters": {**others, page: kept} if kept else others}


def _myself(work: Work) -> Person:
    """Return the acting person's row, locked: two windows of one person do not overwrite each other."""
    statement = select(Person).where(Person.id == work.actor.person_id).with_for_update(key_share=True)
    person = work.session.scalars(statement).first()
    if person is None:
        msg = "Свои настройки есть только у сотрудника."
        raise Forbidden(msg)
    return person


def _trace(
    work: Work, person: Person, action: str, said: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    work.audit(action, said, entity="person", entity_id=person.id, before=before, after=after)
    work.session.flush()
