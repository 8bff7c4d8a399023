"""Files of cases: versions, rights, what an upload sets in motion, and what none can break (R002-5, R002-63, ★40)."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docx
import pytest
from sqlalchemy import func, select

from include.deals import services as deals
from include.documents import rights, storage
from include.documents import services as documents
from include.documents.models import FileVersion
from include.process.models import OutboxEvent
from include.process.rules import filled
from include.shared import settings
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput, NotFound
from include.shared.models import Audit
from include.shared.work import transaction
from include.workplace import files
from include.workplace.card import deal_card
from tests.db.driver import Company, Driver, on_stage, task
from tests.db.memory import Memory

pytestmark = pytest.mark.db
FIELD = "contract_draft"
QUOTE = "Счет/КП"


@pytest.fixture(autouse=True)
def memory() -> Iterator[Memory]:
    made = Memory()
    storage.use(made)
    yield made
    storage.use(None)


def put(company: Company, deal: int, content: bytes, by: str = "manager", name: str = "договор.txt") -> Any:
    return files.upload_to_deal(company.viewer(by), deal, FIELD, name, content)


def count(driver: Driver, what: type[Any], *where: Any) -> int:
    return int(driver.read(lambda session: session.scalar(select(func.count()).select_from(what).where(*where))))


def case_of(driver: Driver, deal: int) -> int:
    return int(driver.deal_row(deal).case_id)


def word(*paragraphs: str) -> bytes:
    document = docx.Document()
    for one in paragraphs:
        document.add_paragraph(one)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


# --- versions -----------------------------------------------------------------------------------------------------


def test_an_upload_is_a_version_the_value_of_the_field_one_trace_and_one_event(driver: Driver, memory: Memory) -> None:
    """R002-63: the file is put into «Проект договора»."""
    deal = driver.deal()
    case = case_of(driver, deal)
    row = put(driver.company, deal, "Договор".encode())
    assert (row.number, row.name, row.present, row.uploaded_by.id) == (
        1,
        "договор.txt",
        True,
        driver.company["manager"],
    )
    digest = hashlib.sha256("Договор".encode()).hexdigest()
    value = {"version": row.id, "number": 1, "name": "договор.txt", "hash": digest}
    assert driver.deal_row(deal).fields[FIELD] == value
    assert memory.contents == {digest: "Договор".encode()}
    changed = (Audit.case_id == case, Audit.action == "deal.field_changed")
    said = driver.read(lambda session: session.scalars(select(Audit.text).where(*changed)).all())
    assert said == ["Загружен файл «договор.txt»: «Проект договора», версия 1"]
    assert count(driver, OutboxEvent, OutboxEvent.case_id == case, OutboxEvent.kind == "field_changed") == 1


def test_the_next_upload_is_the_next_version_and_the_old_one_stays(driver: Driver, memory: Memory) -> None:
    """R002-66: the versions of the file are shown."""
    deal = driver.deal()
    for content in (b"first", b"second"):
        put(driver.company, deal, content)
    with transaction(driver.company.viewer("manager").actor) as work:
        (field,) = files.deal_files(work.session, driver.company.viewer("manager"), deal)
    assert [(one.number, one.present) for one in field.versions] == [(2, True), (1, False)]
    assert (field.title, field.may_upload) == ("Проект договора", True)
    assert set(memory.contents.values()) == {b"first", b"second"}


def test_the_same_content_again_is_no_new_version(driver: Driver) -> None:
    deal = driver.deal()
    first = put(driver.company, deal, b"same")
    again = put(driver.company, deal, b"same", name="копия.txt")
    assert (again.id, again.number, again.name) == (first.id, 1, "договор.txt")
    case = case_of(driver, deal)
    assert count(driver, FileVersion, FileVersion.case_id == case) == 1
    assert count(driver, OutboxEvent, OutboxEvent.case_id == case, OutboxEvent.kind == "field_changed") == 1


def test_two_uploads_at_once_are_versions_one_and_two(driver: Driver) -> None:
    deal = driver.deal()
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda content: put(driver.company, deal, content), (b"one", b"two")))
    assert sorted(one.number for one in rows) == [1, 2]
    newest = next(one for one in rows if one.number == 2)
    assert driver.deal_row(deal).fields[FIELD]["version"] == newest.id


def test_an_old_version_comes_back_as_a_new_one(driver: Driver) -> None:
    deal = driver.deal()
    first = put(driver.company, deal, b"first")
    put(driver.company, deal, b"second")
    back = files.restore(driver.company.viewer("manager"), first.id)
    assert (back.number, back.content_hash, back.present) == (3, first.content_hash, True)
    assert files.restore(driver.company.viewer("manager"), back.id).number == 3  # it is the present one already
    assert files.file_content(driver.company.viewer("manager"), back.id)[1].read() == b"first"


def test_a_process_may_put_a_file_too(driver: Driver) -> None:
    deal = driver.deal()
    with transaction() as work:
        version = documents.add_version(work, case_of(driver, deal), FIELD, "счёт.txt", b"made by a process")
        assert (version.number, version.uploaded_by) == (1, None)


# --- what it sets in motion ---------------------------------------------------------------------------------------


def test_a_guarded_task_waits_for_the_file_and_its_executor_may_upload_it(driver: Driver) -> None:
    """R002-63: «если файл не загружен, то задачу нельзя закрыть»."""
    guarded = on_stage(QUOTE, {"draft": task("Оформить договор", to="role:product_manager", guard=filled(FIELD))})
    deal = driver.deal(guarded)
    with pytest.raises(Forbidden):
        put(driver.company, deal, b"early", by="product")  # sees the deal, has no task yet
    driver.move(deal, QUOTE)
    one = driver.open_task()
    with pytest.raises(BackofficeError, match="не заполнено поле «Проект договора»"):
        driver.close(one)
    row = files.upload_to_task(driver.company.viewer("product"), one.id, FIELD, "договор.txt", b"draft")
    assert driver.deal_row(deal).fields[FIELD]["version"] == row.id
    assert driver.close(one).state == "done"
    with pytest.raises(Conflict, match="уже закрыта"):
        files.upload_to_task(driver.company.viewer("product"), one.id, FIELD, "договор.txt", b"late")


def test_a_task_that_closes_itself_is_closed_by_the_upload(driver: Driver) -> None:
    guarded = on_stage(QUOTE, {"draft": task("Приложить договор", guard=filled(FIELD), closes_itself=True)})
    deal = driver.deal(guarded)
    driver.move(deal, QUOTE)
    put(driver.company, deal, b"draft")
    (closed,) = driver.tasks()
    assert (closed.state, closed.evidence["because"]) == ("done", "изменены поля: Проект договора")


def test_a_result_of_a_task_may_be_a_file(driver: Driver) -> None:
    result = [
        {"code": "scan", "title": "Скан", "kind": "file", "required": True},
        {"code": "draft", "title": "Проект", "kind": "file", "required": False, "deal_field": FIELD},
    ]
    deal = driver.deal(on_stage(QUOTE, {"scan": task("Отсканировать", result=result)}))
    driver.move(deal, QUOTE)
    one = driver.open_task()
    with pytest.raises(InvalidInput, match="Скан"):
        driver.close(one)
    row = files.upload_to_task(driver.company.viewer("manager"), one.id, f"task-{one.id}", "скан.txt", b"scan")
    closed = driver.close(one)
    assert closed.result["scan"] == {"version": row.id, "number": 1, "name": "скан.txt", "hash": row.content_hash}
    assert FIELD not in driver.deal_row(deal).fields


def test_a_file_field_is_never_filled_or_emptied_by_hand(driver: Driver) -> None:
    """R002-5: the field holds a file, and no version is ever taken away."""
    deal = driver.deal()
    put(driver.company, deal, b"draft")
    for value in ("договор.docx", None, "", {"version": 1}):
        with pytest.raises(InvalidInput, match="загрузите в него файл"):
            driver.fill(deal, **{FIELD: value})
    assert driver.deal_row(deal).fields[FIELD]["number"] == 1


def test_the_card_says_which_file_stands_in_the_field(driver: Driver) -> None:
    deal = driver.deal()
    put(driver.company, deal, b"first")
    put(driver.company, deal, b"second", name="договор 2.txt")
    viewer = driver.company.viewer("manager")
    card = driver.read(lambda session: deal_card(session, viewer, deal, driver.now))
    words = {one.code: one.words for one in card.fields}
    assert words[FIELD] == "договор 2.txt (версия 2)"


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("договор.html", b"<html>", "не принимаются"),
        ("договор.docx", b"<html>", "не похоже на"),
        ("договор.txt", b"", "пустой"),
        ("договор.txt", b"x" * (2**20 + 1), "больше 1 МБ"),
        ("договор", b"text", "расширения"),
    ],
)
def test_a_refused_file_leaves_nothing(driver: Driver, memory: Memory, name: str, content: bytes, said: str) -> None:
    deal = driver.deal()
    with transaction() as work:
        settings.declare(work, "file_limit_mb", "Наибольший размер файла", "number", 50)
        settings.change(work, "file_limit_mb", 1)
    with pytest.raises(InvalidInput, match=said):
        put(driver.company, deal, content, name=name)
    with transaction() as work:
        settings.change(work, "file_limit_mb", 50)
    assert memory.contents == {}
    assert count(driver, FileVersion, FileVersion.case_id == case_of(driver, deal)) == 0


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "закончилось место"), (errno.EDQUOT, "закончилось место"), (errno.EIO, "не отвечает")],
)
def test_a_full_disk_is_said_and_nothing_is_half_stored(driver: Driver, memory: Memory, number: int, said: str) -> None:
    deal = driver.deal()
    memory.fails = OSError(number, "disk")
    with pytest.raises(storage.StorageFailed, match=said):
        put(driver.company, deal, b"draft")
    assert count(driver, FileVersion, FileVersion.case_id == case_of(driver, deal)) == 0
    assert FIELD not in driver.deal_row(deal).fields
    memory.fails = None
    assert put(driver.company, deal, b"draft").number == 1


def test_a_damaged_or_lost_content_is_never_given_out(driver: Driver, memory: Memory) -> None:
    deal = driver.deal()
    row = put(driver.company, deal, b"contract")
    memory.contents[row.content_hash] = b"contracT"
    with pytest.raises(storage.StorageFailed, match="повреждено"):
        files.file_content(driver.company.viewer("manager"), row.id)
    memory.contents.clear()
    with pytest.raises(storage.StorageFailed, match="нет в хранилище"):
        files.file_page(driver.company.viewer("manager"), row.id)


@pytest.mark.parametrize("field", ["complexity", "нет такого", "task-1", "task-999999", ""])
def test_only_fields_for_files_take_files(driver: Driver, field: str) -> None:
    deal = driver.deal()
    with pytest.raises(BackofficeError), transaction() as work:
        documents.add_version(work, case_of(driver, deal), field, "договор.txt", b"draft")
    assert count(driver, FileVersion, FileVersion.case_id == case_of(driver, deal)) == 0


# --- rights -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("manager", None),
        ("boss", None),
        ("admin", None),
        ("accountant", Forbidden),  # sees every deal
        ("product", Forbidden),
        ("engineer", NotFound),
        ("colleague", NotFound),
    ],
)
def test_who_may_upload(driver: Driver, memory: Memory, by: str, expected: type[BackofficeError] | None) -> None:
    deal = driver.deal()
    if expected is None:
        assert put(driver.company, deal, by.encode(), by=by).number == 1
        return
    with pytest.raises(expected):
        put(driver.company, deal, by.encode(), by=by)
    assert memory.contents == {}  # the right is asked for before anything is stored


@pytest.mark.parametrize(("by", "may"), [("manager", True), ("accountant", True), ("engineer", False)])
def test_whoever_sees_the_deal_may_read_its_files(driver: Driver, by: str, may: bool) -> None:
    deal = driver.deal()
    row = put(driver.company, deal, b"draft")
    viewer = driver.company.viewer(by)
    if may:
        assert files.file_content(viewer, row.id)[1].read() == b"draft"
        assert files.file_page(viewer, row.id).case_link == f"/backoffice/deals/{deal}#field-{FIELD}"
        return
    for act in (
        lambda: files.file_content(viewer, row.id),
        lambda: files.file_page(viewer, row.id),
        lambda: files.comparison(viewer, row.id, row.id),
        lambda: files.restore(viewer, row.id),
    ):
        with pytest.raises(NotFound):
            act()


def test_an_approver_may_read_what_he_decides_about_and_nothing_else(driver: Driver) -> None:
    """R002-64: the approver opens the file though the deal is not his to see."""
    from include.approvals import core

    deal = driver.deal()
    row = put(driver.company, deal, b"draft")
    engineer = driver.company.viewer("engineer")
    with transaction() as work:
        work.lock_case(case_of(driver, deal))
        core.open_approval(
            work, key=f"test/{deal}", case_id=case_of(driver, deal), instance_id=None, step="agree", title="Договор",
            description="", mode="chain", quorum=None, seats=[core.Seat("Инженер", f"person:{engineer.person_id}")],
            field=FIELD, fix=None, initiator_id=driver.company["boss"], stage_id=None, on_leave="keep", term={},
        )  # fmt: skip
    page = files.file_page(engineer, row.id)
    assert (page.file.name, page.case_link, page.may_upload) == ("договор.txt", None, False)
    with pytest.raises(NotFound):
        files.upload_to_deal(engineer, deal, FIELD, "договор.txt", b"mine")
    with pytest.raises(Forbidden):
        files.restore(engineer, row.id)
    version = driver.read(lambda session: session.get(FileVersion, row.id))
    stranger = driver.company.viewer("colleague")
    assert not driver.read(lambda session: rights.may_read_file(session, stranger, version))


def test_a_changed_file_voids_what_was_agreed(driver: Driver) -> None:
    """★40: a changed file voids the approval given to the old one."""
    from include.approvals import core
    from include.approvals.models import Approval

    deal = driver.deal()
    put(driver.company, deal, b"first")
    with transaction() as work:
        work.lock_case(case_of(driver, deal))
        approval = core.open_approval(
            work, key=f"void/{deal}", case_id=case_of(driver, deal), instance_id=None, step="agree", title="Договор",
            description="", mode="chain", quorum=None, seats=[core.Seat("Директор", "role:director")], field=FIELD,
            fix=None, initiator_id=driver.company["boss"], stage_id=None, on_leave="keep", term={},
        )  # fmt: skip
        (seat,) = core.asked_seats(work.session, approval.id)
        core.record_answer(work, approval, seat, "approved", "", driver.company["director"], None)
        assert (approval.state, approval.voided_at) == ("approved", None)
    put(driver.company, deal, b"first")  # the same content changes nothing
    assert driver.read(lambda session: session.get(Approval, approval.id).voided_at) is None
    put(driver.company, deal, b"second")
    assert driver.read(lambda session: session.get(Approval, approval.id).voided_at) is not None


# --- what changed -------------------------------------------------------------------------------------------------


def test_two_word_documents_are_compared_paragraph_by_paragraph(driver: Driver) -> None:
    """★40: the approver sees what changed."""
    deal = driver.deal()
    manager = driver.company.viewer("manager")
    first = put(driver.company, deal, word("Договор", "Цена 100 рублей", "Подписи"), name="договор.docx")
    second = put(driver.company, deal, word("Договор", "Цена 200 рублей", "Подписи", "Приложение"), name="договор.docx")
    for new, old in ((second.id, first.id), (first.id, second.id)):  # whichever is named first
        found = files.comparison(manager, new, old)
        assert (found.old.number, found.new.number, found.count) == (1, 2, 2)
        changed = [one for one in found.paragraphs if one.kind != "same"]
        assert [(part.kind, part.text) for part in changed[0].parts] == [
            ("same", "Цена "), ("removed", "100 "), ("added", "200 "), ("same", "рублей"),
        ]  # fmt: skip
        assert (changed[1].kind, changed[1].parts[0].text) == ("added", "Приложение")


def test_files_of_two_fields_or_without_text_are_not_compared(driver: Driver) -> None:
    manager = driver.company.viewer("manager")
    deals_ = [driver.deal(), driver.deal()]
    one, other = (put(driver.company, deal, b"text") for deal in deals_)
    with pytest.raises(NotFound):
        files.comparison(manager, one.id, other.id)
    scan = put(driver.company, deals_[0], b"%PDF-1.7 ...", name="скан.pdf")
    found = files.comparison(manager, scan.id, one.id)
    assert found.unread == "Сравнить можно только тексты и таблицы."
    assert found.paragraphs == []


def test_a_new_deal_begins_without_files(driver: Driver) -> None:
    deal = driver.deal()
    viewer = driver.company.viewer("manager")
    (field,) = driver.read(lambda session: files.deal_files(session, viewer, deal))
    assert field.versions == []
    with transaction() as work, pytest.raises(InvalidInput, match="для файла"):
        deals.set_file_field(work, deal, "complexity", {"version": 1}, "нельзя")
