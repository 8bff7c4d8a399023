"""How the seats of a round go on: chain, parallel, quorum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.approvals.rules import CHAIN, PARALLEL, QUORUM, Course, check, course

pytestmark = pytest.mark.unit
STATES = st.lists(st.sampled_from(["waiting", "asked", "approved", "rejected"]), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["waiting", "waiting"], Course(ask=(0,))),
        (["asked", "waiting"], Course()),
        (["approved", "waiting"], Course(ask=(1,))),
        (["approved", "approved"], Course(outcome="approved")),
        (["approved", "rejected", "waiting"], Course(outcome="rejected")),
        # ★40: the file of an earlier one was changed, so the later one waits again
        (["waiting", "asked"], Course(ask=(0,), put_back=(1,))),
        (["approved", "waiting", "approved"], Course(ask=(1,))),
    ],
)
def test_a_chain_asks_one_after_another(states: list[str], expected: Course) -> None:
    """R003-14: sequential as listed."""
    assert course(CHAIN, None, states) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["waiting", "waiting"], Course(ask=(0, 1))),
        (["approved", "asked"], Course()),
        (["approved", "approved"], Course(outcome="approved")),
        (["asked", "rejected"], Course(outcome="rejected")),
    ],
)
def test_a_parallel_round_needs_everybody(states: list[str], expected: Course) -> None:
    """Features 36."""
    assert course(PARALLEL, None, states) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["waiting", "waiting", "waiting"], Course(ask=(0, 1, 2))),
        (["approved", "asked", "asked"], Course()),
        (["approved", "asked", "approved"], Course(outcome="approved")),
        (["rejected", "asked", "asked"], Course()),
        (["rejected", "asked", "rejected"], Course(outcome="rejected")),
    ],
)
def test_a_quorum_needs_so_many_and_fails_when_they_cannot_be_reached(states: list[str], expected: Course) -> None:
    """Features 36: two of three."""
    assert course(QUORUM, 2, states) == expected


@given(st.sampled_from([CHAIN, PARALLEL]), STATES)
def test_a_round_never_stands_still_without_an_outcome(mode: str, states: list[str]) -> None:
    found = course(mode, None, states)
    if found.outcome is None:
        assert found.ask or "asked" in states
    else:
        assert (found.outcome == "rejected") == ("rejected" in states)


@pytest.mark.parametrize(
    ("mode", "quorum", "seats"),
    [("chain", None, 0), ("vote", None, 2), ("chain", 1, 2), ("quorum", None, 2), ("quorum", 3, 2), ("quorum", 0, 2)],
)
def test_an_approval_that_could_never_end_is_not_begun(mode: str, quorum: int | None, seats: int) -> None:
    with pytest.raises(ValueError, match=r"огласовани|Кворум"):
        check(mode, quorum, seats)
