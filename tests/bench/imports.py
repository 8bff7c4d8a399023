"""The exchange with 1C: 100,000 goods with prices and stock into empty tables and once more unchanged, against lxml.

Bare is the idiom of lxml's manual and nothing else: `iterparse` over the same files by the tag of a record, each record
cleared, its elder siblings removed. Each measure runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lxml import etree
from sqlalchemy import create_engine

from include.installation.installation import free_port
from include.installation.urls import with_driver
from tests.bench.database import Database
from tests.bench.meters import cpu_seconds
from tests.bench.report import Row
from tests.bench.stand import clean_environment

GOODS = int(os.environ.get("GOODS") or 100_000)
TIMES = int(os.environ.get("IMPORTS") or 3)
MOST, MOST_MB = 4.0, 200
#: What a record of a real export holds (samples of УТ 11 and КА 2: 2.9 KB and 41 elements on average).
NAMES = ("Подшипник шариковый", "Кабель силовой медный", "Шкаф управления", "Светильник", "Насос циркуляционный")
PROPERTIES, REQUISITES = 6, ("ВидНоменклатуры", "ТипНоменклатуры", "Полное наименование", "Вес")


@dataclass(frozen=True)
class Spent:
    """What one run took: seconds on the clock, CPU seconds of ours and of PostgreSQL, peak memory."""

    wall: float
    cpu: float
    server_cpu: float = 0.0
    peak_mb: float = 0.0
    goods: dict[str, int] | None = None


def run() -> list[Row]:
    """Measure both imports and the bare parsing, ``TIMES`` times in turn: of goods alone, then with all they have."""
    with tempfile.TemporaryDirectory(prefix="backoffice-bench-") as folder:
        home = Path(folder)
        goods, everything = home / "goods", home / "everything"
        goods.mkdir()
        write_goods(goods / "import.xml", GOODS)
        shutil.copytree(goods, everything)
        write_offers(everything / "offers.xml", GOODS)
        database = Database(home / "database", free_port())
        database.start()
        try:
            return [
                row
                for title, files in (("товаров", goods), ("товаров с ценами и остатками", everything))
                for row in _rows(
                    title,
                    *_measure(home, files, database),
                    sum(one.stat().st_size for one in files.iterdir()) / 1e6,
                )
            ]
        finally:
            database.stop()


def _measure(home: Path, files: Path, database: Database) -> tuple[list[Spent], list[Spent], list[Spent]]:
    bare, first, again = [], [], []
    url = with_driver(database.url("backoffice"), "psycopg")
    os.environ["BACKOFFICE_DATABASE_URL"] = url
    for _ in range(TIMES):
        bare.append(_in_a_process(database, "bare", files))
        _empty(url)
        first.append(_import(home, files, database, "\n"))
        again.append(_import(home, files, database, "\n\n"))  # other bytes, the same goods: a repeat is not read at all
    assert {one.goods and one.goods["added"] for one in first} == {GOODS}
    assert {one.goods and one.goods["unchanged"] for one in again} == {GOODS}
    has_offers = (files / "offers.xml").exists()
    assert {one.goods and one.goods["prices"] for one in first} == {2 * GOODS if has_offers else 0}
    return bare, first, again


def _empty(url: str) -> None:
    from include.models import metadata

    engine = create_engine(url)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    engine.dispose()


def _import(home: Path, files: Path, database: Database, tail: str) -> Spent:
    incoming = home / "exchange" / "incoming"
    shutil.rmtree(incoming.parent, ignore_errors=True)
    shutil.copytree(files, incoming)
    for one in incoming.iterdir():
        with one.open("a", encoding="utf-8") as copy:
            copy.write(tail)
    return _in_a_process(database, "import", incoming)


def _in_a_process(database: Database, what: str, path: Path) -> Spent:
    before = cpu_seconds({"postgres": database.pid})["postgres"]
    environment = clean_environment() | {"BACKOFFICE_DATABASE_URL": os.environ["BACKOFFICE_DATABASE_URL"]}
    arguments = [sys.executable, "-m", "tests.bench.imports", what, str(path)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    server = cpu_seconds({"postgres": database.pid})["postgres"] - before
    return Spent(**said, server_cpu=max(0.0, server))


def _rows(what: str, bare: list[Spent], first: list[Spent], again: list[Spent], megabytes: float) -> list[Row]:
    wall, cpu = median(one.wall for one in bare), median(one.cpu for one in bare)
    rows = []
    for title, runs in (("в пустую базу", first), ("ещё раз, без изменений", again)):
        ours = median(one.wall for one in runs)
        both = median(one.cpu + one.server_cpu for one in runs)
        server = median(one.server_cpu for one in runs)
        rows += [
            Row(
                f"Обмен с 1С, {GOODS} {what} {title}: время", "с", ours_median=ours,
                ours_p95=max(one.wall for one in runs), baseline_median=wall, ratio=ours / wall, target="≤ 4 ×",
                met=ours <= MOST * wall,
                note=f"n = {TIMES}, p95 – наибольшее; файлы {megabytes:.0f} МБ; с проверкой, записью и отчётом; "
                "база – голый lxml.iterparse по записям с очисткой",
            ),
            Row(
                f"Обмен с 1С, {GOODS} {what} {title}: процессор", "с",
                ours_median=both, baseline_median=cpu, ratio=both / cpu,
                note=f"из них PostgreSQL {server:.1f} с, другое ядро работает рядом с чтением",
            ),
        ]  # fmt: skip
    peak = max(one.peak_mb for one in [*first, *again])
    rows.append(
        Row(
            f"Обмен с 1С, {GOODS} {what}: пик памяти", "МБ", ours_median=peak,
            target=f"≤ {MOST_MB} МБ", met=peak <= MOST_MB,
            note="наибольший RSS процесса с Python, SQLAlchemy и psycopg; не растёт с файлом",
        )
    )  # fmt: skip
    return rows


# --- in a process of its own ------------------------------------------------------------------------------------


def parse_barely(path: Path) -> None:
    """Read the files with lxml and do nothing with them."""
    for name, tag in (("import.xml", "{*}Товар"), ("offers.xml", "{*}Предложение")):
        if not (path / name).exists():
            continue
        for _, element in etree.iterparse(str(path / name), tag=tag, huge_tree=True):
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]


def load(incoming: Path) -> dict[str, int]:
    """Take the folder as the nightly exchange does."""
    from include.exchange_1c import services

    outcome = services.receive(incoming, now=True)
    assert outcome.state == "applied", outcome.text
    assert outcome.report is not None
    return {**outcome.report["goods"], "prices": outcome.report["kinds"].get("prices", {"taken": 0})["taken"]}


def spend(what: str, path: Path) -> Spent:
    """Do one of the two and say what it took."""
    if what == "import":
        import include.exchange_1c.services
        import include.models  # noqa: F401 - imports are not part of the measure
    wall, cpu = time.perf_counter(), time.process_time()
    goods = load(path) if what == "import" else None
    if what == "bare":
        parse_barely(path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Spent(wall, cpu, peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, goods=goods)


# --- the file ---------------------------------------------------------------------------------------------------


def write_goods(path: Path, number: int) -> None:
    """Write a full export of CommerceML 2.10 as 1C writes it: indented, one article after another."""
    chance = random.Random(1031)
    properties = [_guid(chance) for _ in range(40)]
    groups = [_guid(chance) for _ in range(200)]
    with path.open("w", encoding="utf-8") as file:
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_210" '
            'ВерсияСхемы="2.10" ДатаФормирования="2026-11-22T03:00:00">\n\t<Каталог СодержитТолькоИзменения="false">'
            "\n\t\t<Ид>k</Ид>\n\t\t<Наименование>Основной каталог товаров</Наименование>\n\t\t<Товары>"
        )
        for one in range(number):
            file.write(_item(one, chance, properties, groups))
        file.write("\n\t\t</Товары>\n\t</Каталог>\n</КоммерческаяИнформация>\n")


def write_offers(path: Path, number: int) -> None:
    """Write the offers of the same goods as 1C does: two prices and the stock of three warehouses each."""
    chance = random.Random(2062)
    prices, warehouses = ("retail", "wholesale"), ("w1", "w2", "w3")
    with path.open("w", encoding="utf-8") as file:
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_210" '
            'ВерсияСхемы="2.10" ДатаФормирования="2026-11-22T03:00:00">\n\t<ПакетПредложений '
            'СодержитТолькоИзменения="false">\n\t\t<Ид>k#</Ид>\n\t\t<Наименование>Пакет</Наименование>\n\t\t<ТипыЦен>'
        )
        for one in prices:
            file.write(
                f"\n\t\t\t<ТипЦены>\n\t\t\t\t<Ид>{one}</Ид>\n\t\t\t\t<Наименование>{one}</Наименование>"
                "\n\t\t\t\t<Валюта>руб</Валюта>\n\t\t\t</ТипЦены>"
            )
        file.write("\n\t\t</ТипыЦен>\n\t\t<Предложения>")
        for one in range(number):
            file.write(_offer(one, chance, prices, warehouses))
        file.write("\n\t\t</Предложения>\n\t</ПакетПредложений>\n</КоммерческаяИнформация>\n")


def _offer(number: int, chance: random.Random, prices: tuple[str, ...], warehouses: tuple[str, ...]) -> str:
    sums = ((one, f"{chance.randint(100, 9_999_999) / 100:.2f}") for one in prices)
    said = "".join(
        f"\n\t\t\t\t\t<Цена>\n\t\t\t\t\t\t<Представление>{amount} руб. за шт</Представление>"
        f"\n\t\t\t\t\t\t<ИдТипаЦены>{kind}</ИдТипаЦены>\n\t\t\t\t\t\t<ЦенаЗаЕдиницу>{amount}</ЦенаЗаЕдиницу>"
        "\n\t\t\t\t\t\t<Валюта>руб</Валюта>\n\t\t\t\t\t\t<Единица>шт</Единица>\n\t\t\t\t\t\t<Коэффициент>1</Коэффициент>"
        "\n\t\t\t\t\t</Цена>"
        for kind, amount in sums
    )
    stock = "".join(
        f'\n\t\t\t\t<Склад ИдСклада="{one}" КоличествоНаСкладе="{chance.randint(-5, 900)}"/>' for one in warehouses
    )
    return f"""
\t\t\t<Предложение>
\t\t\t\t<Ид>{_key(number)}</Ид>
\t\t\t\t<Артикул>ART-{number:06d}</Артикул>
\t\t\t\t<Наименование>Товар {number}</Наименование>
\t\t\t\t<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука" МеждународноеСокращение="PCE"/>
\t\t\t\t<Цены>{said}
\t\t\t\t</Цены>
\t\t\t\t<Количество>{chance.randint(0, 900)}</Количество>{stock}
\t\t\t</Предложение>"""


def _key(number: int) -> str:
    """Return the Ид of goods: the same in both files."""
    return str(uuid.UUID(int=random.Random(number).getrandbits(128)))


def _guid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))


def _item(number: int, chance: random.Random, properties: list[str], groups: list[str]) -> str:
    key = _key(number)
    name = f"{chance.choice(NAMES)} {chance.randint(100, 9999)}-{number} «ГОСТ {chance.randint(1000, 9999)}»"
    values = (chance.choice((_guid(chance), str(chance.randint(1, 6000)), "")) for _ in range(PROPERTIES))
    kept = zip(chance.sample(properties, PROPERTIES), values, strict=True)
    said = zip(REQUISITES, ("Товар", "Запас", f"{name} полное", str(chance.randint(1, 900) / 10)), strict=True)
    return f"""
\t\t\t<Товар>
\t\t\t\t<Ид>{key}</Ид>
\t\t\t\t<Артикул>ART-{number:06d}</Артикул>
\t\t\t\t<Наименование>{name}</Наименование>
\t\t\t\t<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука" МеждународноеСокращение="PCE"/>
\t\t\t\t<Группы>
\t\t\t\t\t<Ид>{chance.choice(groups)}</Ид>
\t\t\t\t</Группы>
\t\t\t\t<Описание>{name}. Поставляется в заводской упаковке, срок поставки {chance.randint(2, 40)} дн.</Описание>
\t\t\t\t<Картинка>import_files/{key[:2]}/{key.replace("-", "")}_{chance.getrandbits(64):x}.jpg</Картинка>
\t\t\t\t<ЗначенияСвойств>{_pairs("ЗначенияСвойства", "Ид", kept)}
\t\t\t\t</ЗначенияСвойств>
\t\t\t\t<СтавкиНалогов>
\t\t\t\t\t<СтавкаНалога>
\t\t\t\t\t\t<Наименование>НДС</Наименование>
\t\t\t\t\t\t<Ставка>20</Ставка>
\t\t\t\t\t</СтавкаНалога>
\t\t\t\t</СтавкиНалогов>
\t\t\t\t<ЗначенияРеквизитов>{_pairs("ЗначениеРеквизита", "Наименование", said)}
\t\t\t\t</ЗначенияРеквизитов>
\t\t\t</Товар>"""


def _pairs(tag: str, key: str, pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f"\n\t\t\t\t\t<{tag}>\n\t\t\t\t\t\t<{key}>{name}</{key}>\n\t\t\t\t\t\t<Значение>{value}</Значение>\n\t\t\t\t\t</{tag}>"
        for name, value in pairs
    )


if __name__ == "__main__":
    measured = spend(sys.argv[1], Path(sys.argv[2]))
    print(
        json.dumps({"wall": measured.wall, "cpu": measured.cpu, "peak_mb": measured.peak_mb, "goods": measured.goods})
    )
