"""Lines of a deal and orders to 1C as people meet them: forms, undoing, rights, the list, sending again (line 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from include.companies.services import create_company
from include.exchange_1c.models import Nomenclature
from include.orders import services
from include.shared import settings
from include.shared.db import engine
from include.shared.names import search_key
from include.shared.work import INTEGRATION, transaction
from tests.ui.conftest import Desk

pytestmark = pytest.mark.db
HOSTILE = "<script>alert(1)</script>\"'>"
Words = Callable[[Any], str]


@pytest.fixture(autouse=True)
def home(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    with engine().begin() as connection:
        connection.execute(text("TRUNCATE deal_line, order_export, order_batch, order_look CASCADE"))
        connection.execute(text("UPDATE setting SET value = setting.default, changed_at = NULL"))
        connection.execute(
            text("UPDATE deal SET stage_id = (SELECT id FROM stage WHERE stage.funnel_code = deal.funnel_code"
                 " ORDER BY position LIMIT 1)")
        )  # fmt: skip
    yield tmp_path


@pytest.fixture
def deal(desk: Desk) -> int:
    with transaction(desk.company.actor("manager")) as work:
        company = create_company(work, "Иванов Пётр", kind="person", request_key="buyer").id
    return desk.deal("Заказ", company_id=company)


def add(desk: Desk, deal: int, by: str = "manager", **values: str) -> Any:
    wanted = {"name": "Насос", "quantity": "2", "price": "94,50", "vat": "vat20", "unit_code": "796", **values}
    return desk.as_(by).post(f"/deals/{deal}/lines", **wanted)


def lines(desk: Desk, deal: int) -> list[dict[str, Any]]:
    return list(desk.as_("manager").api("GET", f"/deals/{deal}/lines").json()["lines"])


# --- lines ----------------------------------------------------------------------------------------


def test_lines_by_hand(desk: Desk, deal: int, words: Words) -> None:
    assert "Строк ещё нет" in words(desk.as_("manager").get(f"/deals/{deal}/lines"))
    said = words(add(desk, deal))
    assert "Добавлена строка «Насос» на 189,00 ₽." in said
    assert "Итого 189,00 ₽ , в том числе НДС 31,50 ₽" in said.replace("₽,", "₽ ,")
    (line,) = lines(desk, deal)
    page = desk.as_("manager").get(f"/deals/{deal}/lines?edit={line['id']}")
    assert "Изменить строку" in words(page)
    changed = desk.as_("manager").post(f"/deals/{deal}/lines/{line['id']}", quantity="3", **{"was.quantity": "2"})
    assert "283,50 ₽" in words(changed)
    taken = desk.as_("manager").post(f"/deals/{deal}/lines/amount")
    assert "Совпадает с «Суммой сделки»" in words(taken)
    removed = words(desk.as_("manager").post(f"/deals/{deal}/lines/{line['id']}/remove"))
    assert "Последней убрана строка «Насос»: 3 шт × 94,50 ₽ = 283,50 ₽" in removed
    assert lines(desk, deal) == []
    desk.as_("manager").post(f"/deals/{deal}/lines/{line['id']}/restore")
    assert [one["id"] for one in lines(desk, deal)] == [line["id"]]


def test_what_is_wrong_stands_beside_its_field(desk: Desk, deal: int, words: Words) -> None:
    answer = add(desk, deal, quantity="много", price="1")
    assert answer.status_code == 422
    assert "Количество – число больше нуля" in words(answer)
    assert 'value="много"' in answer.text
    assert lines(desk, deal) == []
    add(desk, deal)
    (line,) = lines(desk, deal)
    answer = desk.as_("manager").post(f"/deals/{deal}/lines/{line['id']}", price="-1", **{"was.price": "94,50"})
    assert answer.status_code == 422
    assert "до копейки" in words(answer)
    assert desk.as_("manager").post(f"/deals/{deal}/lines/amount").status_code == 200
    desk.as_("manager").post(f"/deals/{deal}/lines/{line['id']}/remove")
    assert desk.as_("manager").post(f"/deals/{deal}/lines/{line['id']}/remove").status_code == 409
    assert desk.as_("manager").post(f"/deals/{deal}/lines/amount").status_code == 409


def test_a_button_pressed_twice_adds_one_line(desk: Desk, deal: int) -> None:
    for _ in range(2):
        add(desk, deal, request_key="same")
    assert len(lines(desk, deal)) == 1


def test_goods_are_found_and_chosen(desk: Desk, deal: int, words: Words) -> None:
    with transaction(INTEGRATION) as work:
        goods = Nomenclature(
            external_id=f"g-{deal}", name="Болт М8 особый", unit_code="166", unit_name="кг", vat="vat22", sku="Б-8",
            search_key=search_key("Болт М8 особый"), changed_at=work.now,
        )  # fmt: skip
        work.session.add(goods)
        work.session.flush()
        goods_id = goods.id
    found = desk.as_("manager").get(f"/deals/{deal}/lines?q=особый")
    assert "Болт М8 особый" in words(found)
    assert f"goods={goods_id}" in found.text
    chosen = desk.as_("manager").get(f"/deals/{deal}/lines?goods={goods_id}")
    assert f'name="nomenclature_id" value="{goods_id}"' in chosen.text
    assert "ничего не нашлось" in words(desk.as_("manager").get(f"/deals/{deal}/lines?q=нетакого"))
    assert [one["id"] for one in desk.as_("manager").api("GET", "/goods?q=Б-8").json()] == [goods_id]


def test_lines_of_a_foreign_deal(desk: Desk, deal: int) -> None:
    add(desk, deal)
    (line,) = lines(desk, deal)
    stranger = desk.as_("stranger")
    assert stranger.get(f"/deals/{deal}/lines").status_code == 404
    for path in ("", f"/{line['id']}", f"/{line['id']}/remove", f"/{line['id']}/restore", "/amount"):
        assert stranger.post(f"/deals/{deal}/lines{path}", name="x", quantity="1", price="1").status_code == 404
    reader = desk.as_("accountant")  # sees every deal, changes none
    assert "Добавить строку" not in reader.get(f"/deals/{deal}/lines").text
    assert reader.post(f"/deals/{deal}/lines/{line['id']}/remove").status_code == 403
    assert len(lines(desk, deal)) == 1


def test_nothing_that_is_typed_becomes_code(desk: Desk, deal: int) -> None:
    answer = add(desk, deal, name=HOSTILE)
    assert HOSTILE not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_lines_by_the_api(desk: Desk, deal: int) -> None:
    manager = desk.as_("manager")
    new = {"name": "Насос", "quantity": "2", "price": "94.50", "vat": "vat20"}
    made = manager.api("POST", f"/deals/{deal}/lines", json=new, headers={"Idempotency-Key": "k"})
    assert made.status_code == 201, made.text
    assert manager.api("POST", f"/deals/{deal}/lines", json=new, headers={"Idempotency-Key": "k"}).json() == made.json()
    path = f"/deals/{deal}/lines/{made.json()['id']}"
    assert manager.api("PATCH", path, json={"price": "100"}).json()["amount"] == "200.00"
    for wrong in ({"price": 100.1}, {"price": "x"}, {"name": None}, {"vat": "vat13"}, {"surprise": "x"}):
        assert manager.api("PATCH", path, json=wrong).status_code == 422, wrong
    assert manager.api("POST", f"/deals/{deal}/lines/amount").json() == {"amount": "200.00"}
    assert manager.api("DELETE", path).status_code == 200
    assert manager.api("DELETE", path).status_code == 409
    assert manager.api("POST", f"{path}/restore").json()["amount"] == "200.00"
    assert desk.as_("stranger").api("GET", f"/deals/{deal}/lines").status_code == 404


# --- orders ---------------------------------------------------------------------------------------


def test_the_list_of_orders(desk: Desk, deal: int, words: Words, home: Path) -> None:
    add(desk, deal)
    lacking = desk.deal("Без компании")
    desk.move(deal, "Комплектация")
    desk.move(lacking, "Комплектация")
    services.send_to_folder()
    accountant = desk.as_("accountant")
    said = words(accountant.get("/orders"))
    assert f"Заказ СД-{deal}" in said
    assert "отправлен" in said
    assert "файл orders_" in said
    said = words(accountant.get("/orders?state=kept_back"))
    assert "Без компании" in said
    assert "не указана компания" in said
    assert "Таких заказов нет" in words(accountant.get("/orders?state=confirmed"))
    assert "Заказ в 1С пока не уходит" in words(desk.as_("admin").get(f"/deals/{lacking}/lines"))
    found = accountant.api("GET", "/orders?state=sent").json()
    assert found["counts"] == {"waiting": 0, "sent": 1, "confirmed": 0, "failed": 0, "kept_back": 1}
    (row,) = found["page"]["items"]
    file = accountant.get(f"/orders/{row['id']}/file")
    assert file.content == next((home / "exchange" / "1c" / "outgoing").glob("*.xml")).read_bytes()
    assert accountant.api("GET", "/orders/kept-back").json()["items"][0]["deal_id"] == lacking


def test_an_order_is_sent_again(desk: Desk, deal: int, words: Words) -> None:
    add(desk, deal)
    desk.move(deal, "Комплектация")
    services.send_to_folder()
    accountant = desk.as_("accountant")
    (row,) = accountant.api("GET", "/orders").json()["page"]["items"]
    asked = accountant.post(f"/orders/{row['id']}/again")
    assert f"Отправить заказ СД-{deal} снова?" in words(asked)
    done = accountant.post(f"/orders/{row['id']}/again", confirmed="yes")
    assert "поставлен в очередь" in words(done)
    assert accountant.api("POST", f"/orders/{row['id']}/again").status_code == 409
    assert accountant.post(f"/orders/{10**9}/again").status_code == 404
    states = [one["state"] for one in accountant.api("GET", "/orders").json()["page"]["items"]]
    assert states == ["waiting", "written"]


def test_orders_are_for_those_who_handle_the_exchange(desk: Desk, deal: int) -> None:
    for login in ("manager", "stranger"):
        someone = desk.as_(login)
        assert someone.get("/orders").status_code == 403
        assert someone.get("/orders/1/file").status_code == 403
        assert someone.post("/orders/1/again").status_code == 403
        assert someone.api("GET", "/orders").status_code == 403
        assert someone.api("GET", "/orders/kept-back").status_code == 403
        assert someone.api("POST", "/orders/1/again").status_code == 403


def test_a_wrong_setting_is_said(desk: Desk, words: Words) -> None:
    with transaction() as work:
        settings.change(work, "order_encoding", "koi8-r")
    said = words(desk.as_("admin").get("/orders"))
    assert "Заказы не отправляются" in said
    assert "utf-8, windows-1251" in said


def test_pages_ask_few_questions(desk: Desk, deal: int) -> None:
    for number in range(15):
        add(desk, deal, name=f"Насос {number}")
    desk.move(deal, "Комплектация")
    services.send_to_folder()
    for login, path in (("manager", f"/deals/{deal}/lines"), ("accountant", "/orders")):
        visitor = desk.as_(login)
        visitor.get(path)
        with desk.questions() as asked:
            visitor.get(path)
        assert len(asked) < 30, (path, len(asked))


# --- accounts of 1C -------------------------------------------------------------------------------


def test_an_account_is_kept_by_an_administrator(desk: Desk, words: Words) -> None:
    admin = desk.as_("admin")
    assert "Доступов ещё нет" in words(admin.get("/1c/access"))
    made = admin.post("/1c/access", login="ut-11", title="УТ 11", addresses="10.0.0.0/8")
    said = words(made)
    assert "Пароль доступа «УТ 11»" in said
    password = str(re.search(r"пароль <strong>([^<]+)", made.text).group(1))  # type: ignore[union-attr]
    assert password not in admin.get("/1c/access").text
    access_id = desk.one("SELECT id FROM one_c_access WHERE login = 'ut-11'")
    assert admin.post("/1c/access", login="ut-11", title="Вторая").status_code == 409
    wrong = admin.post("/1c/access", login="ут", title=HOSTILE, addresses="")
    assert wrong.status_code == 422
    assert HOSTILE not in wrong.text
    wrong = admin.post(f"/1c/access/{access_id}", title="УТ", addresses="где-то")
    assert "не адрес и не сеть" in words(wrong)
    assert "сохранён" in words(admin.post(f"/1c/access/{access_id}", title="УТ 11.5", addresses=""))
    assert "с любых" in words(admin.get("/1c/access"))
    assert "Сменить пароль доступа" in words(admin.post(f"/1c/access/{access_id}/password"))
    renewed = admin.post(f"/1c/access/{access_id}/password", confirmed="yes")
    assert "Пароль доступа «УТ 11.5»" in words(renewed)
    assert password not in renewed.text
    assert "Закрыть доступ «УТ 11.5»?" in words(admin.post(f"/1c/access/{access_id}/state", active="no"))
    admin.post(f"/1c/access/{access_id}/state", active="no", confirmed="yes")
    assert desk.one("SELECT active FROM one_c_access") is False
    admin.post(f"/1c/access/{access_id}/state", active="yes")
    assert desk.one("SELECT active FROM one_c_access") is True
    assert admin.get("/1c/access/999999").status_code == 404


def test_others_do_not_see_the_accounts(desk: Desk) -> None:
    for login in ("manager", "accountant", "ops"):
        assert desk.as_(login).get("/1c/access").status_code == 403
        assert desk.as_(login).post("/1c/access", login="x", title="x").status_code == 403
