"""``make chaos SEED= ROUNDS=``: cases move while random faults strike; then how long a case is deaf after each.

The same seed is the same sequence of faults. BALLAST=500 (or several: ``BALLAST="500 5000"``) measures deafness with
so many other cases waiting, on the real clock; FAULTS names the faults to choose from. REPORT is a file for the result.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom

from tests.faults import deaf
from tests.faults.crowd import Crowd
from tests.faults.faults import CATALOGUE, NoCase
from tests.faults.office import FaultOffice, open_office

REPLICAS = "scheduler=2,engine=2,triggerer=2"
START = datetime(2026, 12, 7, 6, 0, tzinfo=UTC)
LARGEST_SEED = 10**6


def main() -> int:
    """Run the rounds and the measurements; returns 1 when anything was lost, doubled or ended otherwise."""
    seed = int(os.environ.get("SEED") or SystemRandom().randrange(LARGEST_SEED))
    rounds, cases = int(os.environ.get("ROUNDS") or 20), int(os.environ.get("CASES") or 50)
    names = (os.environ.get("FAULTS") or "").split() or list(CATALOGUE)
    sizes = sorted(int(one) for one in (os.environ.get("BALLAST") or "").split())
    replicas = os.environ.get("REPLICAS") or REPLICAS
    say(f"SEED={seed} ROUNDS={rounds} CASES={cases} REPLICAS={replicas}: с тем же SEED сбои повторятся по порядку.")
    wrong: list[str] = []
    report: dict[str, object] = {"seed": seed, "rounds": rounds, "cases": cases, "replicas": replicas}
    if rounds:
        with open_office(replicas) as office:
            report["faults"] = _rounds(office, Random(seed), rounds, cases, names, wrong)
    measured = _measure(replicas, sizes, [one for one in names if one in deaf.MEASURED])
    report |= {"deafness": [asdict(one) | {"worst": one.worst} for one in measured], "wrong": wrong}
    if measured:
        say(deaf.table(measured))
    for one in wrong:
        say(f"НАРУШЕНО: {one}")
    say("Ничего не потеряно и не удвоено." if not wrong else f"Нарушений: {len(wrong)} (SEED={seed}).")
    if os.environ.get("REPORT"):
        Path(os.environ["REPORT"]).write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return 1 if wrong else 0


def _rounds(office: FaultOffice, rng: Random, rounds: int, cases: int, names: list[str], wrong: list[str]) -> list[str]:
    office.advance(START)
    crowd = Crowd(office, rng, cases)
    with _noting(wrong):
        crowd.spread()
        say(f"Живых дел: {len(crowd.lives)}, каждое на своём месте.")
    struck = []
    for number in range(1, rounds + 1):
        fault = CATALOGUE[rng.choice(names)](rng=Random(rng.random()))
        because = fault.skipped(office)
        struck.append(fault.name)
        crowd.gather()
        with _noting(wrong, f"{number}. {fault.name}: "):
            if because is None:
                quiet = crowd.endure(fault)
                said = f"в покое через {quiet:.0f} с, закончено дел {len(crowd.ended)}"
            say(f"{number:3}. {fault.name}: {fault.title} – {because or said}")
            crowd.pass_time()
    with _noting(wrong):
        crowd.walk_to_the_end()
    say(f"До конца доведено дел: {len(crowd.ended)}.")
    return struck


@contextmanager
def _noting(wrong: list[str], when: str = "") -> Iterator[None]:
    """Note what went wrong, and ``when``, and go on: later rounds tell more."""
    try:
        yield
    except NoCase as none:
        say(f"     {none}")
    except AssertionError as error:
        wrong.append(f"{when}{error}")
        say(f"     НАРУШЕНО: {when}{error}")


def _measure(replicas: str, sizes: list[int], names: list[str]) -> list[deaf.Deafness]:
    """Measure each fault with each number of cases waiting, all in one office that grows."""
    if not sizes:
        return []
    found = []
    with open_office(replicas, clock_kind="real") as office:
        waiting = 0
        for size in sizes:
            seconds = deaf.ballast(office, size - waiting, say)
            waiting = size
            say(f"Ждут {size} дел (прибавились за {seconds:.0f} с).")
            for name in names:
                found.append(deaf.measure(office, CATALOGUE[name](), size))
                say(f"   {name}: {', '.join(f'{one:.1f}' for one in found[-1].seconds)} с")
    return found


def say(text: str) -> None:
    """Print a line at once, with the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n" if "\n" not in text else f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
