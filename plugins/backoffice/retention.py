"""Airflow's side of retention: finished runs of ended cases with their logs, its journal, contents that nobody names.

A worker may not touch Airflow's database, so the nightly process asks (a row of ``retention_pass``) and this part of
the engine does it, in batches; one that dies in the middle is taken up again. ``airflow db clean`` looks at dates only
and would take the runs of live cases. Use: ``python -m backoffice.retention run | dry``.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

from backoffice import airflow_api, storage
from backoffice.airflow_api import FinishedRun
from include.retention import rules, services
from include.retention.services import Cutoffs

log = logging.getLogger(__name__)

EVERY = 15.0
BATCH = 200
#: Between two batches others have the database.
PAUSE = 0.05
UPLOADS_TAKE = timedelta(days=1)
Count = dict[str, int]


async def run_forever() -> None:
    """Do what the nightly process asks for until cancelled."""
    while True:
        await asyncio.to_thread(work_off)
        await asyncio.sleep(EVERY)


def work_off() -> Count | None:
    """Clean Airflow's side for the oldest unfinished pass; None when nobody asks or another engine is at it."""
    with services.taken() as pass_id:
        if pass_id is None:
            return None
        removed = Counter[str]()
        for counts in clean(services.cutoffs()):
            services.add(pass_id, counts)
            removed.update(counts)
            time.sleep(PAUSE)
        services.finish(pass_id)
        log.info("Хранение: сторона Airflow убрана, %s", dict(removed))
        return dict(removed)


def clean(moments: Cutoffs, *, dry: bool = False) -> Iterator[Count]:
    """Remove (or only count) what is old, batch by batch; gives what each batch removed."""
    yield from _runs(moments, dry=dry)
    journal = moments.machine["retention_airflow_days"]
    if journal is not None:
        yield from _journal(journal, dry=dry)
    contents = moments.machine["retention_contents_days"]
    if contents is not None:
        yield from _contents(contents, dry=dry)


def _runs(moments: Cutoffs, *, dry: bool) -> Iterator[Count]:
    machine, business = moments.machine["retention_runs_days"], moments.business["retention_runs_days"]
    if machine is None or business is None:
        return
    after = 0
    while found := airflow_api.finished_runs(machine, after, BATCH):
        after = found[-1].id
        kept = services.kept_runs([(one.dag_id, one.run_id) for one in found], business)
        old = [one for one in found if (one.dag_id, one.run_id) not in kept]
        gone = old if dry or not old else airflow_api.delete_runs(old, machine)
        if not dry:
            _remove_logs(gone)
        yield {"retention_runs_days": len(gone)}


def _remove_logs(runs: Iterable[FinishedRun]) -> None:
    """Remove the logs of runs that are gone; on several machines with logs elsewhere there is nothing here."""
    root, _ = airflow_api.log_folders()
    for one in runs:
        folder = root / f"dag_id={one.dag_id}" / f"run_id={one.run_id}"
        if folder.parent.parent == root:  # an id is a name, never a path
            shutil.rmtree(folder, ignore_errors=True)


def _journal(before: datetime, *, dry: bool) -> Iterator[Count]:
    if dry:
        yield {"retention_airflow_days": airflow_api.delete_journal(before, None, dry=True)}
        return
    while gone := airflow_api.delete_journal(before, 5 * BATCH):
        yield {"retention_airflow_days": gone}
    _remove_parsing_logs(airflow_api.log_folders()[1], before.date())


def _remove_parsing_logs(root: Path, before: date) -> None:
    """The logs of reading DAG files stand in one folder per day."""
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            day = date.fromisoformat(folder.name)
        except ValueError:
            continue
        if day < before and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def _contents(before: datetime, *, dry: bool) -> Iterator[Count]:
    """Remove contents that no version names: left by a crash between storing a content and recording it."""
    store = storage.ObjectStorage(storage.place())
    old = (name for name, put_at in store.stored() if put_at < before)
    while batch := list(islice(old, BATCH)):
        named = services.named_contents(batch)
        gone = [one for one in batch if one not in named and (dry or store.remove(one, before))]
        yield {"retention_contents_days": len(gone)}
    if not dry:
        store.clear_incoming(datetime.now(UTC) - UPLOADS_TAKE)


def main(arguments: list[str]) -> int:
    """Run one of the commands; returns the process's exit code."""
    if arguments not in (["run"], ["dry"]):
        print("Команды: run, dry", file=sys.stderr)
        return 2
    dry = arguments == ["dry"]
    pass_id = None if dry else services.begin()
    removed = Counter(services.clean(pass_id, dry=dry))
    if dry:
        for counts in clean(services.cutoffs(), dry=True):
            removed.update(counts)
    else:
        assert pass_id is not None  # noqa: S101 - begun above
        removed.update(work_off() or {})
        removed = Counter(services.wait_finished(pass_id).removed)
    print(rules.told(removed, dry=dry))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
