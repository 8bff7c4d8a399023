"""The crowd: live cases that people move, each standing somewhere else in its course, while faults strike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import timedelta
from random import Random

from include.shared.errors import BackofficeError
from tests.faults import disks
from tests.faults.courses import COURSES, Course, Live, wrong_end
from tests.faults.faults import EverythingDown, Fault, OpsAct
from tests.faults.office import FaultOffice, Unavailable, unavailable

TRIES = 40
LONGEST_WALK = 600.0
HALF_A_DAY = timedelta(hours=13)  # longer than any wait for time in the courses
BREATH, A_WHILE = 0.2, 1.0


class Crowd:
    """Live cases and the people who act on them; everything random comes from one generator."""

    def __init__(self, office: FaultOffice, rng: Random, size: int, courses: Sequence[Course] = COURSES) -> None:
        self.office, self.rng, self.size, self.courses = office, rng, size, courses
        self.lives: list[Live] = []
        self.ended: list[Live] = []
        self.busy: Live | None = None
        self.wrong: list[str] = []
        self.made = 0
        self.directly = False

    def gather(self) -> None:
        """Begin cases until there are as many as there should be; each kind comes in turn."""
        while len(self.lives) < self.size:
            course = self.courses[self.made % len(self.courses)]
            self.made += 1
            if not (course.alone and any(one.course is course for one in self.lives)):
                self.lives.append(Live(f"{course.name} {self.made}", course))

    def spread(self) -> None:
        """Walk each case to some waiting place of its course."""
        self.gather()
        goals = {one.name: self.rng.randrange(1, len(one.course.acts)) for one in self.lives}
        until = time.monotonic() + LONGEST_WALK
        while time.monotonic() < until:
            behind = [one for one in self.lives if one.act is not None and one.at < goals[one.name]]
            if not behind:
                return
            moved = [self.try_act(one) for one in behind]
            self._go_on(any(moved))
        raise AssertionError(f"не дошли до своих мест: {[one.name for one in behind]}")

    def act(self, seconds: float) -> int:
        """Let people act for so long; who is not answered comes back later. Returns how many acts were done."""
        until, done = time.monotonic() + seconds, 0
        while True:
            for live in self.rng.sample(self.lives, len(self.lives)):
                done += self.try_act(live)
                if time.monotonic() > until:
                    return done
            time.sleep(BREATH)

    def act_once(self) -> int:
        """Let each case try one act; returns how many were done."""
        return sum(self.try_act(one) for one in self.rng.sample(self.lives, len(self.lives)))

    def try_act(self, live: Live) -> bool:
        """Try the present act of a case; a refusal counts against it, silence does not."""
        act = live.act
        if act is None or live is self.busy:
            return False
        try:
            if live.target is None:
                live.target = act.ready(self.office, live)
            if live.target is None:
                return False
            with unavailable() if self.directly else nullcontext():
                (act.directly if self.directly and act.directly else act.does)(self.office, live, live.target)
        except Unavailable:
            return False
        except (AssertionError, BackofficeError) as refused:
            live.refused.append(f"{act.says}: {refused}")
            live.target = None
            assert len(live.refused) < TRIES, f"«{live.name}»: {live.refused[-1]}"
            return False
        live.at, live.target = live.at + 1, None
        return True

    def endure(self, fault: Fault) -> float:
        """One round: the fault strikes, people act, it is mended, all comes to rest, nothing is lost or doubled.

        Returns the seconds that the office took from the end of the fault until it was at rest.
        """
        fault.lives = [one for one in self.lives if one.act is not None and one.case_id]
        fault.strike(self.office)
        struck = time.monotonic()
        self.busy = fault.chosen if isinstance(fault, OpsAct) else None
        self.directly = isinstance(fault, EverythingDown)
        try:
            self.act(fault.lasts)
        finally:
            self.directly = False
        time.sleep(max(0.0, fault.lasts - (time.monotonic() - struck)))
        begun = time.monotonic()
        fault.mend(self.office)
        self.busy = None
        self.office.rest()
        self.leave_ended()
        if self.office.no_small_disks is None:
            disks.make_room(self.office.installation.places.logs)
        return time.monotonic() - begun

    def _go_on(self, moved: bool) -> None:
        """Come to rest; when nobody could do anything, let half a day pass and a worker do its work."""
        if moved:
            self.office.advance()
            return
        time.sleep(A_WHILE)
        self.office.advance(self.office.now() + HALF_A_DAY)

    def pass_time(self) -> None:
        """Let some hours of the office's time pass, every due moment in its turn."""
        self.office.advance(self.office.now() + timedelta(hours=self.rng.randint(1, 13)))

    def leave_ended(self) -> None:
        """Compare the cases that are over with their tables and let others take their place."""
        over = [one for one in self.lives if one.act is None]
        for live in over:
            self.wrong += wrong_end(self.office, live)
            self.lives.remove(live)
            self.ended.append(live)

    def walk_to_the_end(self) -> None:
        """Let every case go on to its end and compare it with its table."""
        until = time.monotonic() + LONGEST_WALK
        while self.lives and time.monotonic() < until:
            with suppress(Unavailable):
                self._go_on(self.act_once() > 0)
                self.office.rest()
                self.leave_ended()
        self.wrong += [
            f"«{one.name}» стоит: {one.act.says if one.act else ''}, отказы {one.refused[-2:]}" for one in self.lives
        ]
        assert self.wrong == [], "\n".join(self.wrong)
