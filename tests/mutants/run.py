"""Plants one break after another in a copy of the project and shows which named test turns red: ``make mutants``.

A break that no test notices is a hole in the tests: the command then ends with 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from include.installation.places import PROJECT
from tests.mutants.breaks import BREAKS, Break

COPIED = ("include", "plugins", "dags", "sql", "tests", "docs", "pyproject.toml", "alembic.ini", "README.md")
RED, GREEN = 1, 0  # how pytest ends: some test failed, all passed


def main() -> int:
    """Run all breaks, or those whose names are given; returns how many were not noticed."""
    chosen = [one for one in BREAKS if not sys.argv[1:] or one.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="backoffice-mutants-") as folder:
        whole = _copy(Path(folder) / "whole")
        healthy = sorted({one.test for one in chosen})
        say(f"Без поломок: {len(healthy)} тестов…")
        if _run(whole, *healthy) != GREEN:
            say("Тесты красные и без поломок: сначала почините их (make test).")
            return 1
        with ThreadPoolExecutor(int(os.environ.get("MUTANTS_AT_ONCE", "2"))) as pool:
            missed = sum(pool.map(lambda one: _try(Path(folder), one), chosen))
    say(f"Поломок: {len(chosen)}, замечено: {len(chosen) - missed}.")
    return 1 if missed else 0


def _try(folder: Path, one: Break) -> bool:
    """Plant a break and run its test; returns whether nobody noticed."""
    begun = time.monotonic()
    place = _copy(folder / one.name)
    path = place / one.file
    path.write_text(one.planted_in(path.read_text(encoding="utf-8")), encoding="utf-8")
    ended = _run(place, one.test)
    shutil.rmtree(place)
    verdict = "красный" if ended == RED else f"НЕ ЗАМЕЧЕНО (pytest: {ended})"
    say(f"{one.name}: {one.says}\n    {one.test}: {verdict}, {time.monotonic() - begun:.0f} с")
    return ended != RED


def _copy(place: Path) -> Path:
    place.mkdir()
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, place / name)
    return place


def _run(place: Path, *tests: str) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "BACKOFFICE"))}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=place, env={**environment, "PYTHONPATH": str(place)}, capture_output=True, check=False
    )
    if done.returncode not in (RED, GREEN):
        say(done.stdout.decode(errors="replace")[-2000:])
    return done.returncode


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
