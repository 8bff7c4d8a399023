"""Who is who: heads (AG-4), role holders, viewers and their rights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.shared import clock
from include.shared.db import among, query_text
from include.shared.errors import Forbidden, NotFound
from include.shared.work import Actor, Work
from include.staff.models import Account, Department, Person, Role
from include.staff.rules import short_name
from include.staff.stand_in import acts_for

DIRECTOR = "director"
_hasher = PasswordHasher()


@dataclass(frozen=True)
class Viewer:
    """A logged-in person with everything that rights depend on."""

    person_id: int
    login: str
    name: str
    access: str
    roles: frozenset[str]
    led_departments: frozenset[int]  # departments that the person leads, with all below them
    acts_for: frozenset[int] = frozenset()  # who is away and whom he stands in for now; their roles are in ``roles``
    session_version: int = 1  # of his login: an older token is worth nothing

    @property
    def is_admin(self) -> bool:
        """Say whether the person may change settings and see everything."""
        return self.access == "admin"

    @property
    def actor(self) -> Actor:
        """Return the actor under whose name this person's acts are recorded."""
        return Actor(person_id=self.person_id, kind="person", access=self.access)


def viewer(session: Session, login: str) -> Viewer | None:
    """Return the active person behind a login, or None."""
    row = session.execute(
        select(Account, Person)
        .join(Person, Person.id == Account.person_id)
        .where(Account.login == login, Account.active, Person.active)
    ).first()
    if row is None:
        return None
    account, person = row
    absent = acts_for(session, person.id, clock.now(session))
    people = {person.id, *absent}
    roles, led = roles_of(session, people), led_by(session, people)
    version = account.session_version
    return Viewer(person.id, login, person.short_name, account.access, roles, led, absent, version)


def led_by(session: Session, people: Iterable[int]) -> frozenset[int]:
    """Return the departments that any of these people leads, with all below them."""
    rows = session.scalars(text(query_text("staff/led_departments")), {"people": sorted(set(people))})
    return frozenset(rows)


def roles_of(session: Session, people: Iterable[int]) -> frozenset[str]:
    """Return the roles that any of these people holds, given to him or taken from the structure (R001-18)."""
    rows = session.scalars(text(query_text("staff/roles_of")), {"people": sorted(set(people))})
    return frozenset(rows)


def check_password(session: Session, login: str, password: str) -> Viewer | None:
    """Return the person when login and password fit, else None; takes the same time either way."""
    account = session.scalars(select(Account).where(Account.login == login, Account.active)).first()
    if not fits(account.password_hash if account else None, password):
        return None
    return viewer(session, login) if account else None


def fits(stored: str | None, password: str) -> bool:
    """Say whether a password is the one of this hash; without a hash it is not, found out in the same time."""
    try:
        _hasher.verify(stored or _DUMMY_HASH, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def hash_password(password: str) -> str:
    """Return the argon2 hash of a password."""
    return _hasher.hash(password)


_DUMMY_HASH = _hasher.hash("nobody")


def person_of(session: Session, person_id: int) -> Person:
    """Return a person; NotFound when there is none."""
    person = session.get(Person, person_id)
    if person is None:
        msg = f"Сотрудника № {person_id} нет."
        raise NotFound(msg)
    return person


def lock_active(session: Session, people: Iterable[int]) -> list[int]:
    """Return which of these people work here, and keep them from being let go until the transaction ends.

    Whoever gives work to somebody asks this: his leaving, which moves all his work, comes before or after it.
    """
    wanted = select(Person.id).where(Person.id.in_(sorted(set(people))), Person.active).order_by(Person.id)
    return list(session.scalars(wanted.with_for_update(read=True, key_share=True)))


def head_of(session: Session, person_id: int) -> int | None:
    """Return the head for a responsible (AG-4): nearest active head above him, else the director, else None."""
    department_id = person_of(session, person_id).department_id
    seen: set[int] = set()
    while department_id is not None and department_id not in seen:
        seen.add(department_id)
        department = session.execute(
            select(Department.parent_id, Department.head_id, Person.active)
            .outerjoin(Person, Person.id == Department.head_id)
            .where(Department.id == department_id)
        ).one()
        if department.active and department.head_id != person_id:
            return int(department.head_id)
        department_id = department.parent_id
    directors = [one for one in holders(session, DIRECTOR) if one != person_id]
    return directors[0] if directors else None


def holders(session: Session, role_code: str) -> list[int]:
    """Return the active people who hold a role, lowest id first.

    A role that is taken from the structure is held by the head of its department alone (R001-18).
    """
    return list(session.scalars(text(query_text("staff/holders")), {"role": role_code}))


def wake_unaddressed(work: Work) -> None:
    """Tell the cases whose work has nobody to go to that there may be somebody now."""
    for case_id in work.session.scalars(text(query_text("staff/unaddressed_cases"))):
        work.touch(case_id)


def names(session: Session, people: set[int]) -> dict[int, str]:
    """Return short names of people by id."""
    if not people:
        return {}
    wanted = select(Person.id, Person.last_name, Person.first_name, Person.middle_name).where(among(Person.id, people))
    return {one.id: short_name(one.last_name, one.first_name, one.middle_name) for one in session.execute(wanted)}


def role_title(session: Session, code: str) -> str:
    """Return the Russian title of a role, or its code when it is unknown."""
    role = session.get(Role, code)
    return role.title if role else code


def is_over(session: Session, watcher: Viewer, person_id: int) -> bool:
    """Say whether the viewer is the person, stands in for him, leads his department (at any level) or administers."""
    if watcher.is_admin or person_id == watcher.person_id or person_id in watcher.acts_for:
        return True
    person = session.get(Person, person_id)
    return person is not None and person.department_id in watcher.led_departments


def require_over(session: Session, watcher: Viewer, person_id: int, what: str) -> None:
    """Raise Forbidden unless the viewer may act for this person's work."""
    if not is_over(session, watcher, person_id):
        msg = f"Нет прав: {what} может сам сотрудник, кто его замещает, его руководитель или администратор."
        raise Forbidden(msg)
