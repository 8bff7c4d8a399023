"""``make bench``: measures what is named in ONLY (or everything), prints one table, writes JSON.

Each group runs in a process of its own, so that none sees another's settings. A missed target is a result, not an
error: the command ends with 0 when everything was measured.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from include.installation.places import PROJECT
from tests.bench import engine, report
from tests.bench.report import Report, Row

TITLES = {"engine": "Движок", "imports": "Обмен с 1С", "statements": "Выписка банка", "pages": "Страницы"}
LAST = PROJECT / ".bench" / "last.json"


def main() -> int:
    """Measure the chosen groups one after another."""
    chosen = groups((os.environ.get("ONLY") or "").replace(",", " ").split())
    report.say_machine()
    reports = [_in_its_own_process(group, parts) for group, parts in chosen.items()]
    for one in reports:
        print(
            f"\n{one.measure}: {one.began}, {one.seconds:.0f} с, нагрузка {one.load_before:.2f} → {one.load_after:.2f}"
        )
        print(f"Не измерено: {one.error}" if one.error else report.table(one.rows))
        if one.profile:
            print(f"\n{one.profile}")
    report.write_json(LAST, reports)
    print(f"\nJSON: {LAST}")
    if os.environ.get("PUBLISH") == "yes":
        _publish(chosen, reports)
    missed = [row.name for one in reports for row in one.rows if row.met is False]
    print(f"Не выполнено обещаний: {len(missed)}" + "".join(f"\n  - {name.strip()}" for name in missed))
    if missed and not any(one.profile for one in reports):
        print("Где время: make bench ONLY=burst PROFILE=1")
    return 1 if any(one.error for one in reports) else 0


def _publish(chosen: dict[str, list[str]], reports: list[Report]) -> None:
    """Write the page's results; a group measured in part must not replace its whole results."""
    if set(chosen.get("engine", engine.PARTS)) != set(engine.PARTS):
        print("Движок измерен не весь: его итоги на страницу не идут.")
        reports = [one for one in reports if one.measure != TITLES["engine"]]
    report.write_json(report.PUBLISHED, [one for one in reports if not one.error])
    report.publish()
    print(f"Итоги записаны в {report.PAGE}")


def groups(only: list[str]) -> dict[str, list[str]]:
    """Sort the asked names into groups; without names, everything there is."""
    there = [name for name in ("imports", "statements", "pages") if Path(__file__).with_name(f"{name}.py").exists()]
    unknown = set(only) - {*engine.PARTS, "engine", *there}
    if unknown:
        known = ", ".join(("engine", *engine.PARTS, *there))
        sys.exit(f"ONLY: не понимаю {', '.join(sorted(unknown))}. Бывают: {known}.")
    chosen: dict[str, list[str]] = {}
    parts = [part for part in engine.PARTS if not only or part in only or "engine" in only]
    if parts:
        chosen["engine"] = parts
    return chosen | {name: [] for name in there if not only or name in only}


def _in_its_own_process(group: str, parts: list[str]) -> Report:
    with tempfile.TemporaryDirectory(prefix="backoffice-bench-") as folder:
        kept = Path(folder) / "report.json"
        arguments = [sys.executable, "-m", "tests.bench.run", "--group", group, str(kept), *parts]
        child = subprocess.Popen(arguments, cwd=PROJECT, env=_environment())
        try:
            child.wait()
        except KeyboardInterrupt:
            child.terminate()  # it stops what it has started
            child.wait()
            raise
        if not kept.exists():
            return Report(TITLES[group], error=f"измеритель умер (код {child.returncode})", began=report.now())
        return Report.from_json(json.loads(kept.read_text(encoding="utf-8")))


def _environment() -> dict[str, str]:
    paths = os.pathsep.join((str(PROJECT), str(PROJECT / "plugins")))
    return {**os.environ, "PYTHONPATH": paths}


def measure(group: str, kept: Path, parts: list[str]) -> int:
    """Be the process of one group."""
    one = Report(TITLES[group], load_before=report.load(), began=report.now())
    begun = time.monotonic()
    try:
        if group == "engine":
            one.rows, one.profile = engine.run(parts)
        else:
            found: list[Row] = importlib.import_module(f"tests.bench.{group}").run()
            one.rows = found
    except Exception as error:  # noqa: BLE001 - one group's failure must not hide what the others measured
        traceback.print_exc()
        one.error = f"{type(error).__name__}: {error}"
    one.seconds, one.load_after = time.monotonic() - begun, report.load()
    kept.write_text(json.dumps(one.as_json(), ensure_ascii=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--group"]:
        sys.exit(engine.interruptible(lambda: measure(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])))
    sys.exit(engine.interruptible(main))
