"""How the seats of one round go on: whom to ask next, and when the round is over; pure, no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHAIN, PARALLEL, QUORUM = "chain", "parallel", "quorum"
MODES = (CHAIN, PARALLEL, QUORUM)
DECIDED = ("approved", "rejected")


@dataclass(frozen=True)
class Course:
    """What is to be done now: places to ask, places whose turn is gone again, or the outcome of the round."""

    ask: tuple[int, ...] = ()
    put_back: tuple[int, ...] = ()
    outcome: str | None = None  # approved | rejected


def course(mode: str, quorum: int | None, states: Sequence[str]) -> Course:
    """Return how a round goes on from the states of its seats, in the order of their places.

    A chain asks one after another, a parallel round all at once; both need everybody. A quorum needs ``quorum`` of
    them, and has failed as soon as so many cannot be reached any more.
    """
    if mode == QUORUM:
        needed = quorum or len(states)
        if states.count("approved") >= needed:
            return Course(outcome="approved")
        if len(states) - states.count("rejected") < needed:
            return Course(outcome="rejected")
        return Course(ask=_places(states, "waiting"))
    if "rejected" in states:
        return Course(outcome="rejected")
    if all(one == "approved" for one in states):
        return Course(outcome="approved")
    if mode == PARALLEL:
        return Course(ask=_places(states, "waiting"))
    turn = next(place for place, one in enumerate(states) if one != "approved")
    early = tuple(place for place in _places(states, "asked") if place != turn)
    return Course(ask=(turn,) if states[turn] == "waiting" else (), put_back=early)


def check(mode: str, quorum: int | None, seats: int) -> None:
    """Raise ValueError when no answers of so many seats could ever settle the round."""
    if mode not in MODES:
        msg = f"Порядок согласования – один из: {', '.join(MODES)}; дано {mode!r}"
        raise ValueError(msg)
    if seats < 1:
        msg = "У согласования нет ни одного согласующего"
        raise ValueError(msg)
    if (quorum is not None) != (mode == QUORUM):
        msg = "Кворум задают согласованию вида quorum, и только ему"
        raise ValueError(msg)
    if quorum is not None and not 1 <= quorum <= seats:
        msg = f"Кворум {quorum} невозможен: согласующих {seats}"
        raise ValueError(msg)


def _places(states: Sequence[str], wanted: str) -> tuple[int, ...]:
    return tuple(place for place, one in enumerate(states) if one == wanted)
