"""Cards that may be one counterparty: found by ИНН, joined with what names them, separated, undone (issue 5 line 3)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text

from include.companies import twins
from include.companies.models import Company, CompanyTwin, Contact
from include.companies.services import create_company
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.work import INTEGRATION, transaction
from tests.db.driver import Driver

pytestmark = pytest.mark.db
INN, OTHER_INN = "7707083893", "6154288189"


@pytest.fixture(autouse=True)
def _cards_of_other_tests_are_nobody(driver: Driver) -> None:
    with transaction() as work:
        work.session.execute(text("TRUNCATE company_twin"))
        work.session.execute(text("UPDATE deal SET company_id = NULL"))
        work.session.execute(text("UPDATE company SET inn = NULL, external_id = NULL, joined_into_id = NULL"))


def staff_card(driver: Driver, name: str = "ООО Ромашка", **more: Any) -> int:
    with driver.acting("manager") as work:
        return create_company(work, name, **more).id


def came(name: str, external_id: str, *, inn: str | None = INN, kpp: str | None = None, **more: Any) -> int:
    """A counterparty that an exchange has added."""
    with transaction(INTEGRATION) as work:
        row = Company(
            name=name, search_key=name.lower(), external_id=external_id, inn=inn, kpp=kpp, created_at=work.now, **more
        )  # fmt: skip
        work.session.add(row)
        work.session.flush()
        return row.id


def noted(*external_ids: str) -> int:
    with transaction(INTEGRATION) as work:
        return twins.note(work, 1, external_ids)


def the_pair(driver: Driver) -> CompanyTwin:
    return driver.read(lambda session: session.scalars(select(CompanyTwin)).one())


def card(driver: Driver, company_id: int) -> Company:
    return driver.read(lambda session: session.get_one(Company, company_id))


def act(driver: Driver, what: Any, twin_id: int) -> None:
    with driver.acting("accountant") as work:
        what(work, twin_id)


@pytest.fixture
def pair(driver: Driver) -> tuple[int, int, int]:
    """A card of staff with a deal, a contact and a mobile number; its twin of 1C with a deal of its own; their pair."""
    kept = staff_card(driver, inn=INN, kpp="770701001", phone="+7 900")
    other = came("Ромашка ООО", "one-c", kpp="770702002", email="info@r.ru", details={"one_c": {"is_deleted": False}})
    driver.deal(company_id=other)
    driver.deal(company_id=kept)
    with transaction() as work:
        work.session.add(Contact(company_id=other, name="Пётр"))
    assert noted("one-c") == 1
    return kept, other, the_pair(driver).id


def owners(driver: Driver) -> list[int | None]:
    found = driver.read(
        lambda session: (
            session.execute(text("SELECT company_id FROM deal WHERE company_id IS NOT NULL ORDER BY id"))
            .scalars()
            .all()
        )
    )
    return list(found)


def test_every_reference_to_a_counterparty_is_moved(driver: Driver) -> None:
    rows = driver.read(
        lambda session: session.execute(
            text(
                "SELECT conrelid::regclass::text, attname FROM pg_constraint"
                " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
                " WHERE contype = 'f' AND confrelid = 'company'::regclass"
            )
        ).all()
    )
    declared = {(one.table.name, one.name) for one in twins.references()}
    own = {("company", "joined_into_id"), ("company_twin", "kept_id"), ("company_twin", "other_id")}
    assert declared == {(row[0], row[1]) for row in rows} - own
    assert {("deal", "company_id"), ("contact", "company_id"), ("invoice", "company_id")} <= declared


def test_only_the_inn_makes_a_pair(driver: Driver) -> None:
    staff_card(driver)
    staff_card(driver, "ООО Василёк", inn=OTHER_INN, kpp="615401001")
    came("ООО Ромашка", "same-name")
    came("Другое имя", "same-inn", inn=OTHER_INN, kpp="615402002")
    assert noted("same-name", "same-inn") == 1
    found = the_pair(driver)
    assert (found.reason, found.exchange_id, found.state) == ("same_inn", 1, "open")
    assert noted("same-inn") == 0, "второй раз не спрашивают"


def test_branches_of_1c_are_no_twins(driver: Driver) -> None:
    came("Головная", "a", kpp="770701001")
    came("Филиал", "b", kpp="770702002")
    came("Филиал ещё раз", "c", kpp="770702002")
    assert noted("a", "b", "c") == 1
    assert the_pair(driver).reason == "same_inn_kpp"


def test_joining_moves_everything_and_gives_what_1c_knows(driver: Driver, pair: tuple[int, int, int]) -> None:
    kept, other, twin = pair
    act(driver, twins.join, twin)
    one, gone = card(driver, kept), card(driver, other)
    assert (one.external_id, one.name, one.kpp, one.email, one.phone) == (
        "one-c", "Ромашка ООО", "770702002", "info@r.ru", "+7 900",
    )  # fmt: skip
    assert one.details["one_c"] == {"is_deleted": False}
    assert (gone.external_id, gone.active, gone.joined_into_id) == (None, False, kept)
    assert owners(driver) == [kept, kept]
    assert driver.read(lambda session: twins.hanging(session, other)) == []
    assert driver.read(lambda session: twins.hanging(session, kept)) == [
        twins.Hanging("contact", "company_id", 1), twins.Hanging("deal", "company_id", 2),
    ]  # fmt: skip
    said = driver.read(lambda session: session.scalar(text("SELECT text FROM audit ORDER BY id DESC LIMIT 1")))
    assert "перенесено записей: 2" in str(said)


def test_undoing_gives_back_what_was_moved(driver: Driver, pair: tuple[int, int, int]) -> None:
    kept, other, twin = pair
    act(driver, twins.join, twin)
    newer = driver.deal(company_id=kept)
    with transaction() as work:
        work.session.get_one(Company, kept).phone = "+7 901"
    act(driver, twins.undo, twin)
    one, gone = card(driver, kept), card(driver, other)
    assert (one.external_id, one.name, one.kpp, one.email) == (None, "ООО Ромашка", "770701001", None)
    assert one.phone == "+7 901", "изменённое после соединения остаётся"
    assert (gone.external_id, gone.active, gone.joined_into_id) == ("one-c", True, None)
    assert owners(driver) == [other, kept, kept]
    assert driver.deal_row(newer).company_id == kept
    assert the_pair(driver).state == "open"
    act(driver, twins.join, twin)
    assert owners(driver) == [kept, kept, kept], "и снова соединить"


def test_a_deal_given_to_another_meanwhile_stays_there(driver: Driver, pair: tuple[int, int, int]) -> None:
    _, _, twin = pair
    act(driver, twins.join, twin)
    third = staff_card(driver, "ООО Третий")
    with transaction() as work:
        work.session.execute(
            text(
                "UPDATE deal SET company_id = :third WHERE id = (SELECT min(id) FROM deal WHERE company_id IS NOT NULL)"
            ),
            {"third": third},
        )
    act(driver, twins.undo, twin)
    assert owners(driver)[0] == third


def test_two_cards_of_1c_keep_their_ids(driver: Driver) -> None:
    kept, other = came("Одна", "a", kpp="770701001"), came("Другая", "b", kpp="770701001", phone="+7 902")
    noted("b")
    act(driver, twins.join, the_pair(driver).id)
    assert (card(driver, kept).external_id, card(driver, other).external_id) == ("a", "b")
    assert card(driver, kept).phone == "+7 902"
    assert card(driver, other).joined_into_id == kept
    act(driver, twins.undo, the_pair(driver).id)
    assert (card(driver, kept).phone, card(driver, other).active) == (None, True)


def test_separated_cards_are_not_asked_about_again(driver: Driver, pair: tuple[int, int, int]) -> None:
    _, _, twin = pair
    act(driver, twins.separate, twin)
    assert noted("one-c") == 0
    with pytest.raises(Conflict, match="уже решено"):
        act(driver, twins.join, twin)
    act(driver, twins.undo, twin)
    assert the_pair(driver).state == "open"
    with pytest.raises(Conflict, match="Отменять нечего"):
        act(driver, twins.undo, twin)


def test_a_person_chooses_two_cards(driver: Driver) -> None:
    one, other = staff_card(driver), staff_card(driver, "Ромашка")
    with driver.acting("accountant") as work:
        made = twins.ask(work, one, other).id
        assert twins.ask(work, other, one).id == made
        with pytest.raises(InvalidInput, match="две разные"):
            twins.ask(work, one, one)
        with pytest.raises(NotFound):
            twins.ask(work, one, 10**9)
    act(driver, twins.join, made)
    with driver.acting("accountant") as work, pytest.raises(Conflict, match="уже соединена"):
        twins.ask(work, other, staff_card(driver, "Ещё"))


def test_a_chain_is_undone_from_its_end(driver: Driver) -> None:
    a, b, c = (staff_card(driver, name) for name in ("А1", "Б2", "В3"))
    with driver.acting("accountant") as work:
        first, second = twins.ask(work, b, c).id, twins.ask(work, a, b).id
    act(driver, twins.join, first)
    act(driver, twins.join, second)
    with pytest.raises(Conflict, match="Сначала отмените"):
        act(driver, twins.undo, first)
    act(driver, twins.undo, second)
    act(driver, twins.undo, first)
    assert [card(driver, one).joined_into_id for one in (a, b, c)] == [None] * 3


def test_of_two_who_decide_at_once_one_is_told(driver: Driver, pair: tuple[int, int, int]) -> None:
    def decide(_: int) -> str:
        try:
            act(driver, twins.join, pair[2])
        except Conflict as error:
            return str(error)
        return "joined"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(decide, range(2)))
    assert said[0] == "joined"
    assert "уже решено" in said[1]
    assert owners(driver) == [pair[0], pair[0]]
