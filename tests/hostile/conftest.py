"""Hostile callers of the real app: the company of the page tests behind the real security."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import settings

from include.shared import clock
from include.staff import services
from tests.ui.api.conftest import forget_guesses
from tests.ui.conftest import Desk
from tests.ui.conftest import desk as _company_behind_pages

desk = _company_behind_pages

# the machine may be busy, and a check that fails only today is none
settings.register_profile("hostile", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("hostile")


@pytest.fixture(scope="module", autouse=True)
def airflow_says_nothing() -> Iterator[None]:
    """The page of operations asks Airflow's database, which these tests do not have; its own tests stand apart."""
    from include.ops.examination import Patient
    from include.shared.db import libpq_url

    with pytest.MonkeyPatch.context() as patch:
        with suppress(ImportError):  # the walks and the properties do without Airflow
            from backoffice import ops

            patch.setattr(ops, "findings", list)
            patch.setattr(ops, "clear", lambda *_: None)
            patch.setattr(ops, "patient", lambda: Patient("postgresql://nobody@127.0.0.1:9/none", libpq_url(), 1000))
        yield


class Watch:
    """The machine's clock: it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = clock.machine_now()

    def later(self, **period: float) -> None:
        self.now += timedelta(**period)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(clock, "machine_now", lambda: made.now)
    return made


@pytest.fixture(scope="module", autouse=True)
def quick_hash_of_nobody() -> Iterator[None]:
    """The hash that unknown logins are compared with, as quick as those of the tests' people."""
    with pytest.MonkeyPatch.context() as patch:
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(services, "_DUMMY_HASH", quick.hash("nobody"))
        yield


@pytest.fixture
def nobody_guesses(desk: Desk) -> Iterator[None]:
    from backoffice import auth_manager

    forget_guesses()
    auth_manager.known.forget()
    yield
    forget_guesses()


@pytest.fixture(scope="module")
def tokens(desk: Desk) -> dict[str, str]:
    """A fresh token of each person, as a login gives it, without the slow hash."""
    return {login: token_of(login) for login in desk.company.people}


def token_of(login: str) -> str:
    from backoffice.auth_manager import user_of
    from backoffice.ui.security import token_for
    from include.shared.work import reading
    from include.staff.services import viewer

    with reading() as session:
        person = viewer(session, login)
    assert person is not None
    return token_for(user_of(person))


def bearer(token: str) -> dict[str, Any]:
    return {"Authorization": f"Bearer {token}"}
