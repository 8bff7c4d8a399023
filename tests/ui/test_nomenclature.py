"""«Номенклатура» as everybody at work reads it: found, filtered, with prices and stock; the same as JSON (R002-8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from include.exchange_1c.models import (
    Exchange,
    GoodsProperty,
    Nomenclature,
    NomenclatureGroup,
    Offer,
    Price,
    PriceType,
    Stock,
    Warehouse,
)
from include.shared.db import engine
from include.shared.names import search_key
from include.shared.work import INTEGRATION, transaction
from tests.ui.conftest import Desk

pytestmark = pytest.mark.db
Words = Callable[[Any], str]
HOSTILE = "<script>alert(1)</script>\"'>"
TABLES = (
    "deal_line, nomenclature, nomenclature_group, goods_property, price_type, warehouse, offer, price, stock, exchange"
)


@pytest.fixture(autouse=True)
def _clean(desk: Desk) -> Iterator[None]:
    with engine().begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE"))
    yield


def save(*rows: Any) -> None:
    with transaction(INTEGRATION) as work:
        for one in rows:
            if isinstance(one, Nomenclature):
                one.changed_at, one.search_key = work.now, search_key(one.name)
            if isinstance(one, Exchange):
                one.started_at = work.now
        work.session.add_all(rows)


def goods(key: str, name: str, **more: Any) -> Nomenclature:
    return Nomenclature(external_id=key, name=name, **more)


def pump() -> None:
    """A pump of two sizes in a group of a group, with prices of two types and stock in two warehouses."""
    save(
        Exchange(source="folder", state="applied", digest="d"),
        NomenclatureGroup(external_id="top", name="Оборудование", kind="group"),
        NomenclatureGroup(external_id="low", name="Насосы", kind="group", parent_external_id="top"),
        PriceType(external_id="retail", name="Розничная", currency="RUB"),
        PriceType(external_id="export", name="Экспорт", currency="USD"),
        Warehouse(external_id="main", name="Главный"),
        Warehouse(external_id="far", name="Дальний"),
        GoodsProperty(external_id="colour", name="Цвет", options={"c1": "синий"}),
    )
    save(
        goods("pump", "Насос", sku="Н-1", barcode="460", unit_name="шт", vat="vat20", group_external_id="low",
              first_exchange_id=1, last_exchange_id=1, raw={"name": " Насос "},
              details={"properties": {"colour": "c1"}, "description": HOSTILE}),
        Offer(external_id="pump#1", goods_external_id="pump", characteristic_id="1", name="Насос (малый)",
              characteristics={"Размер": "малый"}),
        Offer(external_id="pump#2", goods_external_id="pump", characteristic_id="2", name="Насос (большой)",
              characteristics={"Размер": "большой"}),
        Offer(external_id="pump#3", goods_external_id="pump", characteristic_id="3", name="Насос (снятый)",
              active=False),
    )  # fmt: skip
    for offer, amount, quantity in (("pump#1", "100", "5"), ("pump#2", "150.5", "-2"), ("pump#3", "1", "1000")):
        kept = {"offer_external_id": offer, "goods_external_id": "pump"}
        save(
            Price(**kept, price_type_external_id="retail", amount=Decimal(amount)),
            Stock(**kept, warehouse_external_id="main", quantity=Decimal(quantity)),
            Stock(**kept, warehouse_external_id="", quantity=Decimal(quantity)),
        )
    save(
        Price(offer_external_id="pump#1", goods_external_id="pump", price_type_external_id="export",
              amount=Decimal("2.345"), min_quantity=Decimal("10")),
        Stock(offer_external_id="pump#1", goods_external_id="pump", warehouse_external_id="far",
              quantity=Decimal("0.25")),
    )  # fmt: skip


def ids(desk: Desk, **asked: Any) -> list[str]:
    return [one["name"] for one in desk.as_("manager").api("GET", "/nomenclature", params=asked).json()["items"]]


def test_without_a_login_there_is_nothing(desk: Desk) -> None:
    pump()
    nobody = TestClient(desk.app, follow_redirects=False)
    for path in ("/nomenclature", "/nomenclature/1"):
        assert nobody.get(f"/backoffice{path}").headers["location"].startswith("/backoffice/login")
        assert nobody.get(f"/backoffice/api{path}").status_code == 401


def test_before_the_first_exchange(desk: Desk, words: Words) -> None:
    assert "Номенклатуры ещё нет" in words(desk.as_("manager").get("/nomenclature"))
    assert desk.as_("manager").get("/nomenclature/1").status_code == 404
    assert desk.as_("manager").api("GET", "/nomenclature/1").json() == {"error": "Товара № 1 нет."}


def test_goods_with_prices_and_stock(desk: Desk, words: Words) -> None:
    pump()
    said = words(desk.as_("stranger").get("/nomenclature"))
    assert "Насос артикул Н-1 · штрихкод 460" in said
    assert "100,00 ₽ – 150,50 ₽" in said
    assert "2,345 USD" in said
    assert "3,25 шт" in said
    (row,) = desk.as_("manager").api("GET", "/nomenclature").json()["items"]
    assert Decimal(row["stock"]) == Decimal("3.25")
    assert [(one["title"], one["least"], one["greatest"]) for one in row["prices"]] == [
        ("Розничная", "100", "150.5"), ("Экспорт", "2.345", "2.345"),
    ]  # fmt: skip


def test_a_total_alone_is_the_stock(desk: Desk) -> None:
    save(goods("bolt", "Болт"))
    save(
        Price(offer_external_id="bolt", goods_external_id="bolt", price_type_external_id="?", amount=Decimal(7)),
        Stock(offer_external_id="bolt", goods_external_id="bolt", quantity=Decimal(12)),
    )
    (row,) = desk.as_("manager").api("GET", "/nomenclature").json()["items"]
    assert (Decimal(row["stock"]), row["stock_words"], row["prices"][0]["words"]) == (12, "12", "7,00\u00a0₽")


def test_one_item(desk: Desk, words: Words) -> None:
    pump()
    page = desk.as_("accountant").get("/nomenclature/1")
    said = words(page)
    for part in ("Номенклатура → Оборудование → Насосы", "20 %", "Цвет синий", "Розничная малый шт 100,00 ₽",
                 "Экспорт малый шт от 10 2,345 USD", "Главный большой −2 шт", "Дальний малый 0,25 шт",
                 "все склады вместе", "Насос (малый) – Размер: малый", "Насос (снятый) снята",
                 "Как было написано в файле"):  # fmt: skip
        assert part in said, part
    assert HOSTILE not in page.text
    assert 'href="/backoffice/exchange/1"' in page.text
    assert 'href="/backoffice/exchange/1"' not in desk.as_("manager").get("/nomenclature/1").text
    assert "1 000 шт" not in said


def test_it_is_found_by_name_article_and_bar_code(desk: Desk, words: Words) -> None:
    save(goods("a", "Ёмкость «Малая» 100%", sku="Е-1"), goods("b", "Болт", barcode="4600001"), goods("c", "Гайка"))
    assert ids(desk, q="емкость малая") == ids(desk, q="100%") == ids(desk, q="Е-1") == ["Ёмкость «Малая» 100%"]
    assert ids(desk, q="4600001") == ["Болт"]
    assert ids(desk, q="%") == ["Ёмкость «Малая» 100%"]
    assert ids(desk, q="_") == []
    assert "Ничего не нашлось" in words(desk.as_("manager").get("/nomenclature", params={"q": HOSTILE}))
    assert HOSTILE not in desk.as_("manager").get("/nomenclature", params={"q": HOSTILE}).text


def test_filters(desk: Desk) -> None:
    pump()
    save(goods("old", "Старый", active=False), goods("other", "Другой"))
    assert ids(desk) == ["Другой", "Насос"]
    assert ids(desk, state="inactive") == ["Старый"]
    assert ids(desk, state="all") == ["Другой", "Насос", "Старый"]
    assert ids(desk, group_id=1) == ids(desk, group_id=2) == ids(desk, exchange_id=1) == ["Насос"]
    assert ids(desk, group_id=99) == []
    assert "снят" in desk.as_("manager").get("/nomenclature?state=inactive").text
    for strange in ({"state": "?"}, {"group": "x"}, {"after": "x"}, {"after": "999999"}, {"exchange": "-1"}):
        assert desk.as_("manager").get("/nomenclature", params=strange).status_code == 200, strange


def test_groups_that_lie_in_each_other_do_not_hang(desk: Desk) -> None:
    save(
        NomenclatureGroup(external_id="x", name="Икс", kind="group", parent_external_id="y"),
        NomenclatureGroup(external_id="y", name="Игрек", kind="group", parent_external_id="x"),
        goods("a", "Болт", group_external_id="x"),
    )
    assert desk.as_("manager").get("/nomenclature/1").status_code == 200
    assert ids(desk, group_id=1) == ["Болт"]


def test_it_is_walked_to_the_end_without_losing_or_doubling(desk: Desk, words: Words) -> None:
    names = ["Болт" if one % 3 else f"Гайка {one:03}" for one in range(130)]
    save(*(goods(f"g-{number}", name) for number, name in enumerate(names)))
    seen: list[int] = []
    after: int | None = None
    while True:
        asked = {} if after is None else {"after": after}
        page = desk.as_("manager").api("GET", "/nomenclature", params=asked).json()
        seen += [one["id"] for one in page["items"]]
        after = page["after"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 130
    first = desk.as_("manager").get("/nomenclature")
    assert "Дальше" in words(first)
    assert "К началу" not in words(first)
    assert "К началу" in words(desk.as_("manager").get(f"/nomenclature?after={seen[49]}"))


def test_a_page_asks_the_same_number_of_questions_however_many_goods(desk: Desk) -> None:
    pump()
    who = desk.as_("manager")
    who.get("/nomenclature")
    with desk.questions() as few:
        who.get("/nomenclature")
    save(*(goods(f"g-{number}", f"Болт {number}", group_external_id="low") for number in range(40)))
    with desk.questions() as many:
        who.get("/nomenclature")
    assert len(many) == len(few)
