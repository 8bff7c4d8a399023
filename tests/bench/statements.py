"""A bank statement of 1,000,000 payments: memory stays flat; the time beside reading the same lines only.

Bare is what any reader must do at least: decode the file and split each line at its sign of equality. Each measure runs
in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from include.installation.installation import free_port
from include.installation.urls import with_driver
from tests.bench.database import Database
from tests.bench.meters import cpu_seconds
from tests.bench.report import Row
from tests.bench.stand import clean_environment

PAYMENTS = int(os.environ.get("PAYMENTS") or 1_000_000)
FEWER = 10  # times: the smaller file beside which the memory is judged
MOST_MB, MOST_GROWTH = 200, 1.25
OURS, BIK = "40702810477266704262", "044525225"
PURPOSES = (
    "Оплата по счёту № {} от 20.11.2026 за подшипники. В том числе НДС 20 %", "Оплата по договору поставки, счёт {}",
    "За товар согласно счетам {}, НДС не облагается",
)  # fmt: skip


@dataclass(frozen=True)
class Spent:
    """What one run took: seconds on the clock, CPU seconds of ours and of PostgreSQL, peak memory, payments loaded."""

    wall: float
    cpu: float
    peak_mb: float
    loaded: int = 0
    server_cpu: float = 0.0


def run() -> list[Row]:
    """Load a tenth, then all of the payments, then the same statement with other bytes; the bare reading beside."""
    with tempfile.TemporaryDirectory(prefix="backoffice-bench-") as folder:
        home = Path(folder)
        fewer, file, again = home / "fewer.txt", home / "all.txt", home / "again.txt"
        write_statement(fewer, PAYMENTS // FEWER)
        write_statement(file, PAYMENTS)
        shutil.copy(file, again)
        with again.open("ab") as copy:
            copy.write(b"\r\n")
        database = Database(home / "database", free_port())
        database.start()
        try:
            url = with_driver(database.url("backoffice"), "psycopg")
            environment = {"BACKOFFICE_DATABASE_URL": url, "BACKOFFICE_HOME": str(home)}
            _prepare(url)
            bare = _in_a_process(database, environment, "bare", file)
            small = _in_a_process(database, environment, "load", fewer)
            _prepare(url)
            first = _in_a_process(database, environment, "load", file)
            repeated = _in_a_process(database, environment, "load", again)
        finally:
            database.stop()
        assert (small.loaded, first.loaded, repeated.loaded) == (PAYMENTS // FEWER, PAYMENTS, 0)
        return _rows(bare, small, first, repeated, file.stat().st_size / 1e6)


def _rows(bare: Spent, small: Spent, first: Spent, repeated: Spent, megabytes: float) -> list[Row]:
    rows = [
        Row(
            f"Выписка, {PAYMENTS} платежей {title}: время", "с", ours_median=one.wall, baseline_median=bare.wall,
            ratio=one.wall / bare.wall,
            note=f"файл {megabytes:.0f} МБ; проверка остатков и загрузка; процессор {one.cpu:.0f} с, из PostgreSQL "
            f"{one.server_cpu:.0f} с; база – прочитать строки и разделить по знаку «=»",
        )
        for title, one in (("в пустую базу", first), ("ещё раз, без новых", repeated))
    ]  # fmt: skip
    peak = max(first.peak_mb, repeated.peak_mb)
    rows.append(
        Row(
            "Выписка: пик памяти", "МБ", ours_median=peak, baseline_median=small.peak_mb, ratio=peak / small.peak_mb,
            target=f"≤ {MOST_MB} МБ, ≤ {MOST_GROWTH:.2f} ×".replace(".", ","),
            met=peak <= MOST_MB and peak <= MOST_GROWTH * small.peak_mb,
            note=f"наибольший RSS процесса; база – файл в {FEWER} раз меньше",
        )
    )  # fmt: skip
    return rows


def _prepare(url: str) -> None:
    from include.models import metadata

    engine = create_engine(url)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    engine.dispose()


def _in_a_process(database: Database, environment: dict[str, str], what: str, path: Path) -> Spent:
    before = cpu_seconds({"postgres": database.pid})["postgres"]
    arguments = [sys.executable, "-m", "tests.bench.statements", what, str(path)]
    done = subprocess.run(arguments, env=clean_environment() | environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    server = cpu_seconds({"postgres": database.pid})["postgres"] - before
    return Spent(**said, server_cpu=max(0.0, server))


# --- in a process of its own ------------------------------------------------------------------------------------


def read_barely(path: Path) -> int:
    """Decode every line and split it."""
    lines = 0
    with path.open(encoding="cp1251") as file:
        for line in file:
            line.rstrip("\n").partition("=")
            lines += 1
    return 0


def load(path: Path) -> int:
    """Take the statement as the page does: look it through, then load it."""
    from backoffice import storage
    from include.money import accounts, intake
    from include.shared.work import Actor, transaction

    storage.install()
    actor = Actor(kind="system")
    with transaction(actor) as work:
        if not accounts.own_accounts(work.session):
            accounts.add_account(work, account=OURS, bik=BIK, bank="Банк", organisation="ООО «Мы»")
    with path.open("rb") as stream:
        number = intake.check_upload(actor, "bank", path.name, stream, source="folder")
    return intake.load(actor, number).payments


def spend(what: str, path: Path) -> Spent:
    """Do one of the two and say what it took."""
    if what == "load":
        import include.models
        import include.money.intake  # noqa: F401 - imports are not part of the measure
    wall, cpu = time.perf_counter(), time.process_time()
    loaded = load(path) if what == "load" else read_barely(path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Spent(wall, cpu, peak_mb(), loaded)


def peak_mb() -> float:
    """Return this program's own peak; ``ru_maxrss`` would begin with that of the program which started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) / 1024


# --- the file ---------------------------------------------------------------------------------------------------


def write_statement(path: Path, number: int) -> None:
    """Write a statement as a bank's client does, Windows-1251, whose balances fit; the same payments each time."""
    chance = random.Random(1031)
    sums = [chance.randint(100, 99_999_999) for _ in range(number)]
    whole = sum(sums)
    with path.open("w", encoding="cp1251", newline="\r\n") as file:
        file.write(
            "1CClientBankExchange\nВерсияФормата=1.03\nКодировка=Windows\nОтправитель=Банк\nПолучатель=\n"
            "ДатаНачала=20.11.2026\nДатаКонца=21.11.2026\n"
            f"РасчСчет={OURS}\nСекцияРасчСчет\nДатаНачала=20.11.2026\nДатаКонца=21.11.2026\nРасчСчет={OURS}\n"
            f"НачальныйОстаток=0.00\nВсегоПоступило={_sum(whole)}\nВсегоСписано=0.00\nКонечныйОстаток={_sum(whole)}\n"
            "КонецРасчСчет\n"
        )
        for one, amount in enumerate(sums):
            file.write(
                f"СекцияДокумент=Платежное поручение\nНомер={one + 1}\nДата=20.11.2026\nСумма={_sum(amount)}\n"
                f"ПлательщикСчет=4070281{chance.randint(10**12, 10**13 - 1)}\nДатаПоступило=21.11.2026\n"
                f"Плательщик=ООО «Покупатель {chance.randint(1, 50_000)}»\nПлательщикИНН=7707083893\n"
                f"ПлательщикКПП=770701001\nПлательщикБИК={BIK}\nПолучательСчет={OURS}\nПолучатель=ООО «Мы»\n"
                f"ВидОплаты=01\nОчередность=5\n"
                f"НазначениеПлатежа={chance.choice(PURPOSES).format(chance.randint(1, 99_999))}\nКонецДокумента\n"
            )
        file.write("КонецФайла\n")


def _sum(kopecks: int) -> str:
    return f"{kopecks // 100}.{kopecks % 100:02d}"


if __name__ == "__main__":
    measured = spend(sys.argv[1], Path(sys.argv[2]))
    print(
        json.dumps({"wall": measured.wall, "cpu": measured.cpu, "peak_mb": measured.peak_mb, "loaded": measured.loaded})
    )
