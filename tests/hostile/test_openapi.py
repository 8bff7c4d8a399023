"""Schemathesis against the described API: nothing it sends gives a 500 or an answer that is not described.

Each operation is called at its declared boundaries (the coverage phase) and with generated input, right and wrong, as
an administrator, as operations, as an ordinary person and as nobody. The seed is fixed and the effort is bounded, so
that it takes about a minute. A longer hunt with other input each time:

    BACKOFFICE_HUNT=200 make test TESTS=tests/hostile/test_openapi.py      # so many examples of each operation
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    CHECKS,
    content_type_conformance,
    load_all_checks,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup
from schemathesis.python.asgi import ASGIClient

from tests.hostile.conftest import bearer
from tests.ui.api.conftest import forget_guesses
from tests.ui.conftest import Desk

pytestmark = pytest.mark.db
HUNT = int(os.environ.get("BACKOFFICE_HUNT", "0"))
EXAMPLES = HUNT or 2
BOUNDARIES = HUNT * 20 or 9  # of each operation; they are taken from the whole list, not from its beginning
CALLERS = ("admin", "ops", "manager", None)
SERVER = "http://testserver/backoffice"
#: positive_data_acceptance is not asked: what has the right shape may still be nothing that the business accepts.
CHECKED = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection,
]  # fmt: skip


@pytest.fixture(scope="module")
def described(desk: Desk) -> Any:
    load_all_checks()
    client = ASGIClient(desk.app)
    found = client.get("/backoffice/api/openapi.json").json()
    return schemathesis.openapi.from_dict(found)


@pytest.fixture(scope="module")
def real(desk: Desk) -> dict[str, list[Any]]:
    """Things that exist, by the name that a path gives them: else all but a few calls would end at «нет такой»."""
    deals = list(desk.company.deals.values())
    tasks = [desk.task(f"asked-{number}", "mine") for number in range(3)]
    return {
        "deal_id": deals, "task_id": tasks, "company_id": list(desk.company.companies.values()), "process":
        ["client_request"], "code": ["file_limit_mb"], "field": ["contract_draft"],
    }  # fmt: skip


def operations(described: Any) -> list[Any]:
    found = [one.ok() for one in described.get_all_operations()]
    assert len(found) >= 40
    return found


@pytest.mark.parametrize("caller", CALLERS, ids=lambda one: one or "nobody")
def test_no_call_breaks_the_server_or_the_description(
    desk: Desk, described: Any, real: dict[str, list[Any]], tokens: dict[str, str], caller: str | None
) -> None:
    client = ASGIClient(desk.app)
    client.headers.update(bearer(tokens[caller]) if caller else {})
    found: dict[str, str] = {}
    for operation in operations(described):
        forget_guesses()
        for case in boundary_cases(described, operation, real):
            judge(client, case, found)
        for mode in GenerationMode:
            hunt(client, operation, mode, real, found)
    assert not found, "\n\n".join(f"{where}\n{what}" for where, what in sorted(found.items()))


def boundary_cases(described: Any, operation: Any, real: dict[str, list[Any]]) -> Iterator[Any]:
    """The deterministic cases of the coverage phase, evenly thinned; half of them about something that exists."""
    made = list(
        described.iter_coverage_cases(
            operation, generation_modes=list(GenerationMode), generation_config=described.config.generation
        )
    )
    chosen = random.Random(4).sample(made, BOUNDARIES) if len(made) > BOUNDARIES else made
    for number, case in enumerate(chosen):
        if number % 2 and case.meta.generation.mode is GenerationMode.POSITIVE:
            aim(case, real, number)
        yield case


def hunt(client: ASGIClient, operation: Any, mode: Any, real: dict[str, list[Any]], found: dict[str, str]) -> None:
    numbers = itertools.count()

    @seed(20261122)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=not HUNT, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode))
    def called(case: Any) -> None:
        number = next(numbers)
        if mode is GenerationMode.POSITIVE and number % 4:
            aim(case, real, number)
        judge(client, case, found)

    with contextlib.suppress(Unsatisfiable):  # without any input there is no wrong one
        called()


def aim(case: Any, real: dict[str, list[Any]], number: int) -> None:
    for name in case.path_parameters:
        if name in real:
            case.path_parameters[name] = real[name][number % len(real[name])]


def judge(client: ASGIClient, case: Any, found: dict[str, str]) -> None:
    if "\n" in unquote(case.formatted_path):
        return  # no mount of Starlette lets an address with a line break through: it never comes to us
    try:
        case.call_and_validate(session=client, base_url=SERVER, checks=CHECKED)
    except FailureGroup as group:
        for one in group.exceptions:
            where = f"{case.operation.label}: {type(one).__name__}"
            found.setdefault(where, f"{one}\n{case.as_curl_command()}")


def test_the_checks_notice_what_they_are_for(desk: Desk, described: Any, tokens: dict[str, str]) -> None:
    """An answer that is not described is a failure: a check that is silent about all would prove nothing."""
    client = ASGIClient(desk.app)
    client.headers.update(bearer(tokens["manager"]))
    found = client.get("/backoffice/api/openapi.json").json()
    del found["paths"]["/api/me"]["get"]["responses"]["401"]
    incomplete = schemathesis.openapi.from_dict(found)["/api/me"]["GET"]
    noticed: dict[str, str] = {}
    judge(ASGIClient(desk.app), incomplete.Case(), noticed)
    assert list(noticed) == ["GET /api/me: UndefinedStatusCode"]
    assert set(CHECKS.get_all()) >= set(CHECKED)
