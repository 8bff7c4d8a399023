"""«Обмен с 1С» as those who answer for it meet it: the queue, one exchange, decisions; the same as JSON (line 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from include.exchange_1c.models import Exchange, ExchangeChange, ExchangeFile, ExchangeReject
from include.shared.db import Json, engine
from include.shared.errors import Conflict
from include.shared.work import INTEGRATION, transaction
from include.staff.services import Viewer
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
Words = Callable[[Any], str]
HOSTILE = "<script>alert(1)</script>\"'>"
GOODS = {"taken": 100, "added": 7, "changed": 3, "unchanged": 90, "deactivated": 2, "doubled": 1}
REPORT: Json = {
    "exchange": 1, "date": "28.11.2026 02:30", "state": "applied", "files": [], "goods": GOODS,
    "companies": {"taken": 5, "added": 1, "changed": 0, "unchanged": 4},
    "kinds": {"prices": {"taken": 200, "added": 0, "changed": 4, "unchanged": 196}},
    "remarks": [
        {"text": "пустая единица", "entity": "Товар", "count": 40,
         "examples": [{"file": "import.xml", "line": 17, "external_id": "g-17"}]},
    ],
    "rejects": {"count": 2, "rows": []}, "not_loaded": {"файлы картинок": 3}, "unknown": {"Чужое": 1}, "notes": [],
    "changes": {"Цена": 900},
}  # fmt: skip
HELD = {"held": {"would_deactivate": 21, "in_scope": 100, "percent": "21.0",
                 "examples": [{"external_id": "g-1", "title": "Насос"}]}}  # fmt: skip


class Airflow:
    """Where runs of the loading are begun."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.is_deaf = False

    def create_run(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> bool:
        assert dag_id == "exchange_1c_nightly"
        assert conf is not None
        if self.is_deaf:
            msg = "Процесс ещё не разобран"
            raise LookupError(msg)
        self.runs.append(run_id.split("__")[1])
        return True


class Holding:
    """The door of the backend that records what people decide."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.refuses: str | None = None

    def _do(self, *what: Any) -> None:
        if self.refuses:
            raise Conflict(self.refuses)
        self.done.append(what)

    def decide(self, exchange_id: int, decision: str, reason: str, viewer: Viewer) -> None:
        self._do("decide", exchange_id, decision, reason, viewer.login)

    def replace_by_newest(self, exchange_id: int, reason: str, viewer: Viewer) -> int:
        self._do("replace", exchange_id, reason, viewer.login)
        return exchange_id + 2

    def take_again(self, exchange_id: int, viewer: Viewer) -> int:
        self._do("again", exchange_id, viewer.login)
        return exchange_id


@pytest.fixture(autouse=True)
def airflow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    from backoffice import airflow_api

    made = Airflow()
    monkeypatch.setattr(airflow_api, "create_run", made.create_run)
    return made


@pytest.fixture(autouse=True)
def holding(monkeypatch: pytest.MonkeyPatch) -> Holding:
    from include.workplace import exchange_acts

    made = Holding()
    monkeypatch.setattr(exchange_acts, "holding", made)
    return made


@pytest.fixture(autouse=True)
def _clean(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    with engine().begin() as connection:
        connection.execute(text("TRUNCATE exchange RESTART IDENTITY CASCADE"))
    yield


def exchange(state: str = "applied", report: Json | None = None, files: int = 1, **more: Any) -> int:
    with transaction(INTEGRATION) as work:
        waits = state in ("received", "queued", "held")
        made = Exchange(
            source=more.pop("source", "folder"), state=state, started_at=work.now,
            finished_at=None if waits else work.now, filed_at=None if waits else work.now,
            report=report if report is not None else dict(REPORT), digest=f"d-{work.now}", **more,
        )  # fmt: skip
        work.session.add(made)
        work.session.flush()
        for number in range(files):
            work.session.add(
                ExchangeFile(
                    exchange_id=made.id,
                    name=f"import{number}_{HOSTILE}.xml",
                    sha256="0",
                    size=2048,
                    encoding="cp1251",
                    schema_version="2.07",
                    is_full=True,
                    state="applied",
                    counts={"Товар": 100},
                )
            )
        work.session.flush()
        return made.id


def reject(exchange_id: int, number: int = 1, *, resolved: bool = False) -> None:
    with transaction(INTEGRATION) as work:
        file_id = work.session.scalar(text("SELECT min(id) FROM exchange_file WHERE exchange_id = :id"),
                                      {"id": exchange_id})  # fmt: skip
        work.session.add_all(
            ExchangeReject(
                exchange_id=exchange_id, file_id=file_id, line=one + 1, external_id=f"r-{one}", entity="Товар",
                reason=f"неизвестная ставка НДС {one}", snippet=HOSTILE, resolved_at=work.now if resolved else None,
            )
            for one in range(number)
        )  # fmt: skip


def change(exchange_id: int, entity: str, number: int, before: Json, after: Json) -> None:
    with transaction(INTEGRATION) as work:
        work.session.add_all(
            ExchangeChange(
                exchange_id=exchange_id, entity=entity, external_id=f"c-{one}", title=f"Насос {one}", before=before,
                after=after,
            )
            for one in range(number)
        )  # fmt: skip


def held_with_queue() -> tuple[int, int, int]:
    first = exchange("held", {**REPORT, "state": "held", **HELD})
    return first, exchange("queued", {}), exchange("queued", {}, source="http")


# --- who may --------------------------------------------------------------------------------------

GETS = ("/exchange", "/exchange/{}", "/exchange/{}/rejects", "/exchange/{}/changes", "/exchange/{}/report")
POSTS = ("/exchange/take", "/exchange/{}/decide", "/exchange/{}/replace", "/exchange/{}/again")
API_GETS = ("/exchanges", "/exchanges/{}", "/exchanges/{}/rejects", "/exchanges/{}/changes")
API_POSTS: tuple[tuple[str, Json | None], ...] = (
    ("/exchanges/take", None), ("/exchanges/{}/decision", {"decision": "confirm", "reason": "так надо"}),
    ("/exchanges/{}/replace", {"reason": "так надо"}), ("/exchanges/{}/again", None),
)  # fmt: skip


def test_without_a_login_there_is_nothing(desk: Desk, airflow: Airflow, holding: Holding) -> None:
    first = exchange()
    nobody = TestClient(desk.app, follow_redirects=False)
    for path in GETS:
        assert nobody.get(f"/backoffice{path.format(first)}").headers["location"].startswith("/backoffice/login")
    for path in API_GETS:
        assert nobody.get(f"/backoffice/api{path.format(first)}").status_code == 401
    for path, body in API_POSTS:
        assert nobody.post(f"/backoffice/api{path.format(first)}", json=body).status_code == 401
    assert (airflow.runs, holding.done) == ([], [])


@pytest.mark.parametrize("login", ["manager", "boss", "stranger", "ops"])
def test_others_do_not_see_it(desk: Desk, airflow: Airflow, holding: Holding, login: str) -> None:
    first, who = held_with_queue()[0], desk.as_(login)
    for path in GETS:
        assert who.get(path.format(first)).status_code == 403, path
    for path in POSTS:
        sent = {"decision": "confirm", "reason": "так надо", "confirmed": "yes"}
        assert who.post(path.format(first), **sent).status_code == 403, path
    for path in API_GETS:
        assert who.api("GET", path.format(first)).status_code == 403, path
    for path, body in API_POSTS:
        assert who.api("POST", path.format(first), json=body).status_code == 403, path
    assert (airflow.runs, holding.done) == ([], [])


@pytest.mark.parametrize("login", ["accountant", "admin"])
def test_those_who_answer_for_it_see_it(desk: Desk, login: str) -> None:
    first = held_with_queue()[0]
    for path in GETS:
        assert desk.as_(login).get(path.format(first)).status_code == 200, path
    for path in API_GETS:
        assert desk.as_(login).api("GET", path.format(first)).status_code == 200, path


def test_a_form_without_the_token_of_the_page_is_refused(desk: Desk, airflow: Airflow, holding: Holding) -> None:
    first, client = held_with_queue()[0], desk.as_("accountant").client
    for path in POSTS:
        sent = {"decision": "confirm", "reason": "так надо", "confirmed": "yes"}
        answer = client.post(f"/backoffice{path.format(first)}", data=sent, headers={"Origin": ORIGIN})
        assert answer.status_code == 403, path
    assert (airflow.runs, holding.done) == ([], [])


def test_an_unknown_exchange(desk: Desk) -> None:
    who = desk.as_("accountant")
    for path in GETS[1:]:
        assert who.get(path.format(999)).status_code == 404, path
        assert who.get(path.format("x")).status_code == 404, path
    for path in API_GETS[1:]:
        assert who.api("GET", path.format(999)).json() == {"error": "Обмена № 999 нет."}
    assert who.post("/exchange/999/decide", decision="keep", reason="так").status_code == 404


# --- the list -------------------------------------------------------------------------------------


def test_before_the_first_exchange_the_page_says_how_1c_is_set(desk: Desk, tmp_path: Path, words: Words) -> None:
    said = words(desk.as_("admin").get("/exchange"))
    assert "Обменов ещё не было" in said
    assert str(tmp_path / "exchange" / "1c" / "incoming") in said
    assert "http://testserver/backoffice/1c/exchange" in said
    assert "Открыть доступ для 1С" in said
    assert "Доступ для 1С открывает администратор" in words(desk.as_("accountant").get("/exchange"))


def test_the_list_says_what_came_and_what_became_of_it(desk: Desk, words: Words) -> None:
    exchange()
    exchange("failed", {"error": "Файл обрезан: строка 12.", "rejects": {"count": 0, "rows": []}}, source="http")
    exchange("applied", {**REPORT, "repeat_of": 1}, files=0)
    said = words(desk.as_("accountant").get("/exchange"))
    assert "добавлено 8, изменено 7, снято 2" in said
    assert "Файл обрезан: строка 12." in said
    assert "повтор" in said
    found = desk.as_("accountant").api("GET", "/exchanges").json()["page"]
    assert [(one["id"], one["state"]) for one in found["items"]] == [(3, "repeated"), (2, "failed"), (1, "applied")]
    first = found["items"][2]
    assert (first["files"], first["warnings"], first["rejects"]) == (1, 40, 2)
    assert (first["added"], first["changed"], first["deactivated"]) == (8, 7, 2)


def test_the_list_is_filtered_and_paged(desk: Desk, words: Words) -> None:
    exchange("applied", {**REPORT, "repeat_of": 1})
    exchange("failed", {"error": "x"}, source="http")
    for _ in range(60):
        exchange(files=0)
    who = desk.as_("accountant")

    def ids(**asked: Any) -> list[int]:
        return [one["id"] for one in who.api("GET", "/exchanges", params=asked).json()["page"]["items"]]

    assert ids(state="failed") == ids(source="http") == [2]
    assert ids(state="repeated") == [1]
    assert 1 not in ids(state="applied", per_page=200)
    assert ids(page=2) == list(range(12, 0, -1))
    assert "Страница 2 из 2" in words(who.get("/exchange?page=2"))
    assert "Таких обменов нет" in words(who.get("/exchange?state=replaced"))
    for strange in ({"state": "nope"}, {"source": "?"}, {"page": "-1"}, {"page": "9999"}):
        assert who.get("/exchange", params=strange).status_code == 200, strange
    assert who.api("GET", "/exchanges", params={"state": "nope"}).status_code == 422


def test_the_list_asks_the_same_number_of_questions_however_long_it_is(desk: Desk) -> None:
    who = desk.as_("accountant")
    exchange()
    who.get("/exchange")
    with desk.questions() as few:
        who.get("/exchange")
    for _ in range(20):
        exchange()
    with desk.questions() as many:
        who.get("/exchange")
    assert len(many) == len(few)


def test_the_held_one_stands_on_top_of_the_queue(desk: Desk, words: Words) -> None:
    first, second, third = held_with_queue()
    loading = exchange("received", {})
    page = desk.as_("accountant").get("/exchange")
    said = words(page)
    assert said.index(f"Обмен № {first}") < said.index(f"Обмен № {second}") < said.index(f"Обмен № {third}")
    assert f'href="/backoffice/exchange/{first}#held"' in page.text
    assert f'href="/backoffice/exchange/{second}#held"' not in page.text
    found = desk.as_("accountant").api("GET", "/exchanges").json()["queue"]
    assert [(one["id"], one["state"]) for one in found] == [
        (first, "held"), (second, "queued"), (third, "queued"), (loading, "received"),
    ]  # fmt: skip


def test_take_now_begins_a_run(desk: Desk, airflow: Airflow, words: Words) -> None:
    assert "Загрузка начинается" in words(desk.as_("accountant").post("/exchange/take"))
    made = desk.as_("accountant").api("POST", "/exchanges/take")
    assert (made.status_code, made.json()["begun"]) == (202, True)
    assert airflow.runs == ["take", "take"]
    airflow.is_deaf = True
    assert "Airflow сейчас не отвечает" in words(desk.as_("accountant").post("/exchange/take"))
    assert desk.as_("accountant").api("POST", "/exchanges/take").json()["begun"] is False


# --- one exchange ---------------------------------------------------------------------------------


def test_an_exchange_says_everything(desk: Desk, words: Words) -> None:
    first = exchange()
    reject(first)
    change(first, "Цена", 1, {"amount": 10, "currency": "RUB"}, {"amount": 12.5, "currency": "RUB"})
    page = desk.as_("accountant").get(f"/exchange/{first}")
    said = words(page)
    for part in ("cp1251", "схема 2.07", "полная выгрузка", "Товар: 100", "Номенклатура 100 7 3 90 2 1",
                 "Контрагенты 5 1 0 4", "Цены 200 0 4 196", "пустая единица", "import.xml, строка 17, Ид g-17",
                 "и ещё 39", "файлы картинок – 3", "Чужое – 1", "Цены – 900 (показаны первые 1)",
                 "Не загружено: 1 запись из 2"):  # fmt: skip
        assert part in said, part
    assert HOSTILE not in page.text
    card = desk.as_("accountant").api("GET", f"/exchanges/{first}").json()
    assert card["kinds"][0] == {"kind": "Товар", "title": "Номенклатура", **GOODS}
    assert (card["rejects"], card["rejects_open"], card["may_take_again"], card["is_moving"]) == (2, 1, True, False)
    report = desk.as_("accountant").get(f"/exchange/{first}/report")
    assert report.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Номенклатура" in report.text


def test_kinds_are_not_said_twice(desk: Desk) -> None:
    first = exchange(report={**REPORT, "kinds": {"goods": GOODS, "Контрагент": {"taken": 1}}})
    card = desk.as_("accountant").api("GET", f"/exchanges/{first}").json()
    assert [one["title"] for one in card["kinds"]] == ["Номенклатура", "Контрагенты"]
    assert card["row"]["added"] == 7


def test_what_is_being_loaded_refreshes_itself(desk: Desk, words: Words) -> None:
    first = exchange("received", {})
    page = desk.as_("accountant").get(f"/exchange/{first}")
    assert "Идёт загрузка" in words(page)
    assert 'data-exchange-live="5"' in page.text
    assert "/report" not in page.text
    assert desk.as_("accountant").get(f"/exchange/{first}/report").status_code == 404
    done = desk.as_("accountant").get(f"/exchange/{exchange()}").text
    assert 'data-exchange-live=""' in done


def test_failed_replaced_and_repeated_ones_say_so(desk: Desk, words: Words) -> None:
    who = desk.as_("accountant")
    failed = exchange("failed", {"error": f"Причина {HOSTILE}"})
    assert "в базе ничего не изменилось" in words(who.get(f"/exchange/{failed}"))
    assert HOSTILE not in who.get(f"/exchange/{failed}").text
    assert "Взять снова после исправления" in words(who.get(f"/exchange/{failed}"))
    replaced = exchange("replaced", {"replaced_by": failed})
    assert f"вместо него взят более новый, № {failed}" in words(who.get(f"/exchange/{replaced}"))
    repeated = exchange("applied", {**REPORT, "repeat_of": failed})
    assert f"Первый раз – обмен № {failed}" in words(who.get(f"/exchange/{repeated}"))


# --- quarantine and changes -----------------------------------------------------------------------


def test_the_quarantine_is_paged_and_filtered(desk: Desk, words: Words) -> None:
    first = exchange(report={**REPORT, "rejects": {"count": 61, "rows": []}})
    reject(first, 60)
    reject(first, 1, resolved=True)
    who = desk.as_("accountant")
    page = who.get(f"/exchange/{first}/rejects?page=2")
    assert "неизвестная ставка НДС 59" in words(page)
    assert "загружена" in words(page)
    assert HOSTILE not in page.text
    assert who.api("GET", f"/exchanges/{first}/rejects", params={"open": True}).json()["total"] == 60
    assert "Страница 1 из 2" in words(who.get(f"/exchange/{first}/rejects?state=open"))
    assert "Таких записей нет" in words(who.get(f"/exchange/{exchange()}/rejects"))


def test_changes_by_kind_before_and_after(desk: Desk, words: Words) -> None:
    first, who = exchange(), desk.as_("accountant")
    change(first, "Документ", 1, {"is_paid": None, "date": "2026-11-01", "lines": 2},
           {"is_paid": True, "date": "2026-11-02", "lines": 2})  # fmt: skip
    change(first, "Цена", 60, {"amount": 1000, "currency": "RUB"}, {"amount": 1200.5, "currency": "RUB"})
    documents = words(who.get(f"/exchange/{first}/changes"))
    assert "оплачен было — → стало да" in documents
    assert "дата было 01.11.2026 → стало 02.11.2026" in documents
    assert "строк было" not in documents
    prices = words(who.get(f"/exchange/{first}/changes", params={"entity": "Цена", "page": 2}))
    assert "сумма было 1 000 → стало 1 200,5" in prices
    assert "Изменилось 900, записаны первые 60" in prices
    assert "Страница 2 из 2" in prices
    found = who.api("GET", f"/exchanges/{first}/changes", params={"entity": "Цена"}).json()
    assert (found["page"]["total"], len(found["page"]["items"])) == (60, 50)
    assert [(one["entity"], one["total"], one["shown"]) for one in found["kinds"]] == [
        ("Документ", 1, 1), ("Цена", 900, 60),
    ]  # fmt: skip
    assert found["page"]["items"][0]["fields"] == [
        {"field": "amount", "title": "сумма", "before": "1\u00a0000", "after": "1\u00a0200,5"}
    ]
    assert "Ничего не изменилось" in words(who.get(f"/exchange/{exchange()}/changes"))
    assert who.get(f"/exchange/{first}/changes?entity=нет").status_code == 200


# --- decisions ------------------------------------------------------------------------------------


def test_a_held_exchange_says_what_would_be_deactivated(desk: Desk, words: Words) -> None:
    first, second, third = held_with_queue()
    said = words(desk.as_("accountant").get(f"/exchange/{first}"))
    assert "21 товара из 100" in said
    assert "(21,0 %)" in said
    assert "Насос" in said
    assert "и ещё 20" in said
    for button in ("Снять и загрузить", "Загрузить, ничего не снимая", "Отказаться", "Заменить новейшим"):
        assert button in said
    waiting = words(desk.as_("accountant").get(f"/exchange/{third}"))
    assert f"Ждёт, пока решат обмен № {first}" in waiting
    card = desk.as_("accountant").api("GET", f"/exchanges/{first}").json()
    assert ([one["id"] for one in card["given_up"]], card["newest"]) == ([first, second], third)


def test_without_newer_ones_there_is_nothing_to_replace_by(desk: Desk, words: Words) -> None:
    alone = exchange("held", {**REPORT, **HELD})
    assert "Заменить новейшим" not in words(desk.as_("accountant").get(f"/exchange/{alone}"))


@pytest.mark.parametrize(
    ("decision", "question"),
    [("confirm", "Снять 21 товар и загрузить"), ("keep", "ничего не снимая?"), ("refuse", "Отказаться от обмена")],
)
def test_a_decision_is_asked_about_and_recorded(
    desk: Desk, airflow: Airflow, holding: Holding, words: Words, decision: str, question: str
) -> None:
    first, who = held_with_queue()[0], desk.as_("accountant")
    asked = who.post(f"/exchange/{first}/decide", decision=decision, reason="1С выгрузила всё")
    assert question in words(asked)
    assert 'value="1С выгрузила всё"' in asked.text
    assert holding.done == []
    said = words(who.post(f"/exchange/{first}/decide", decision=decision, reason=" 1С выгрузила всё ", confirmed="yes"))
    assert f"Решение об обмене № {first} записано" in said
    assert holding.done == [("decide", first, decision, "1С выгрузила всё", "accountant")]
    assert airflow.runs == [f"decided-{first}"]


def test_a_decision_wants_a_reason_and_a_choice(desk: Desk, holding: Holding, words: Words) -> None:
    first, who = held_with_queue()[0], desk.as_("accountant")
    for reason in ("", "  ", "x" * 1001, "\x00"):
        answer = who.post(f"/exchange/{first}/decide", decision="keep", reason=reason, confirmed="yes")
        assert answer.status_code == 422, reason
        assert "Напишите причину" in words(answer)
    assert who.post(f"/exchange/{first}/replace", reason="", confirmed="yes").status_code == 422
    assert "Выберите, что сделать" in words(who.post(f"/exchange/{first}/decide", decision="?", reason="так"))
    wrong = who.api("POST", f"/exchanges/{first}/decision", json={"decision": "keep", "reason": " "})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "reason")
    assert who.api("POST", f"/exchanges/{first}/decision", json={"decision": "x", "reason": "а"}).status_code == 422
    assert holding.done == []


def test_what_is_decided_or_not_held_is_not_decided_again(desk: Desk, holding: Holding, words: Words) -> None:
    who = desk.as_("accountant")
    decided = exchange("held", {**REPORT, **HELD}, decision="keep")
    for made in (decided, exchange()):
        assert who.post(f"/exchange/{made}/decide", decision="keep", reason="так").status_code == 409
        assert who.post(f"/exchange/{made}/replace", reason="так").status_code == 409
    page = who.get(f"/exchange/{decided}")
    assert "Решено «загрузить, ничего не снимая»" in words(page)
    assert 'data-exchange-live="5"' in page.text
    assert f'action="/backoffice/exchange/{decided}/decide"' not in page.text
    assert holding.done == []
    holding.refuses = "Обмен уже решён."
    first = held_with_queue()[0]
    answer = who.post(f"/exchange/{first}/decide", decision="keep", reason="так", confirmed="yes")
    assert (answer.status_code, "Обмен уже решён." in words(answer)) == (409, True)
    said = who.api("POST", f"/exchanges/{first}/decision", json={"decision": "keep", "reason": "так"})
    assert (said.status_code, said.json()) == (409, {"error": "Обмен уже решён."})


def test_replacing_says_what_is_given_up(desk: Desk, airflow: Airflow, holding: Holding, words: Words) -> None:
    first, second, third = held_with_queue()
    who = desk.as_("accountant")
    asked = words(who.post(f"/exchange/{first}/replace", reason="новее"))
    assert f"Не загрузится обмен № {first} от" in asked
    assert f"Не загрузится обмен № {second} от" in asked
    assert f"Загрузится новейший, № {third}" in asked
    assert holding.done == []
    said = words(who.post(f"/exchange/{first}/replace", reason="новее", confirmed="yes"))
    assert f"будет загружен новейший, № {third}" in said
    made = who.api("POST", f"/exchanges/{first}/replace", json={"reason": "новее"})
    assert (made.status_code, made.json()["exchange_id"]) == (202, third)
    assert holding.done == [("replace", first, "новее", "accountant")] * 2
    assert airflow.runs == [f"replaced-{first}"] * 2


def test_the_quarantine_is_taken_again(desk: Desk, airflow: Airflow, holding: Holding, words: Words) -> None:
    first, who = exchange(), desk.as_("accountant")
    assert "Взять снова" not in words(who.get(f"/exchange/{first}"))  # nothing lies in it any more
    reject(first, 2)
    offered = who.get(f"/exchange/{first}")
    assert "Взять снова после исправления" in words(offered)
    form = offered.text.split(f'action="/backoffice/exchange/{first}/again"')[1].split("</form>")[0]
    assert 'name="csrf"' in form
    assert f"Обмен № {first} будет взят снова" in words(who.post(f"/exchange/{first}/again"))
    assert who.api("POST", f"/exchanges/{first}/again").json()["begun"] is True
    assert holding.done == [("again", first, "accountant")] * 2
    assert airflow.runs == [f"again-{first}"] * 2
    again = exchange("received", {}, source="again", files=0, retake_of=first)
    assert f"обмен № {again}" in words(who.get(f"/exchange/{first}"))
    assert f"Это обмен № {first} , взятый снова" in words(who.get(f"/exchange/{again}"))


def test_a_decision_stands_though_airflow_is_deaf(desk: Desk, airflow: Airflow, holding: Holding, words: Words) -> None:
    airflow.is_deaf = True
    first = held_with_queue()[0]
    said = words(desk.as_("accountant").post(f"/exchange/{first}/decide", decision="keep", reason="a", confirmed="yes"))
    assert "записано" in said
    assert "Airflow сейчас не отвечает" in said
    assert len(holding.done) == 1


def test_the_real_door_records_who_decided_what(desk: Desk, monkeypatch: pytest.MonkeyPatch, words: Words) -> None:
    from include.exchange_1c import holding as real
    from include.workplace import exchange_acts

    monkeypatch.setattr(exchange_acts, "holding", real)
    first, second, third = held_with_queue()
    who = desk.as_("accountant")
    assert who.post(f"/exchange/{first}/replace", reason="1С выгрузила не всё", confirmed="yes").status_code == 200
    assert [desk.one("SELECT state FROM exchange WHERE id = :id", id=one) for one in (first, second, third)] == [
        "replaced", "replaced", "queued",
    ]  # fmt: skip
    said = words(who.get(f"/exchange/{first}"))
    assert f"более новый, № {third}" in said
    assert "Белова" in said
    assert "1С выгрузила не всё" in said
    held = exchange("held", {**REPORT, **HELD})
    made = who.api("POST", f"/exchanges/{held}/decision", json={"decision": "keep", "reason": "проверили"})
    assert made.status_code == 202, made.text
    card = who.api("GET", f"/exchanges/{held}").json()
    assert (card["row"]["decision"], card["decision_reason"], card["may_decide"]) == ("keep", "проверили", False)
    assert card["history"][0]["reason"] == "проверили"
    again = who.api("POST", f"/exchanges/{held}/decision", json={"decision": "keep", "reason": "проверили"})
    assert again.status_code == 409


def test_a_real_exchange_is_read_on_its_pages(desk: Desk, tmp_path: Path, words: Words) -> None:
    from include.exchange_1c import services

    incoming = tmp_path / "exchange" / "1c" / "incoming"
    incoming.mkdir(parents=True)
    goods = "".join(
        f"<Товар><Ид>page-{one}</Ид><Наименование>{name}</Наименование></Товар>"
        for one, name in enumerate(("Задвижка страничная", "Клапан страничный", ""))
    )
    head = '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.07">'
    catalogue = f"<Каталог><Ид>c</Ид><Наименование>К</Наименование><Товары>{goods}</Товары></Каталог>"
    (incoming / "import.xml").write_text(f"{head}{catalogue}</КоммерческаяИнформация>", encoding="utf-8")
    made = services.receive(now=True)
    assert made.state == "applied", made.text
    who = desk.as_("accountant")
    said = words(who.get(f"/exchange/{made.exchange_id}"))
    assert "import.xml" in said
    assert "Номенклатура 2 2 0 0" in said
    assert "Не загружено: 1 запись" in said
    assert "import.xml, строка 1" in words(who.get(f"/exchange/{made.exchange_id}/rejects"))
    assert "Номенклатура" in who.get(f"/exchange/{made.exchange_id}/report").text
    assert "Задвижка страничная" in words(who.get(f"/nomenclature?exchange={made.exchange_id}"))
    again = who.post(f"/exchange/{made.exchange_id}/again")
    assert again.status_code == 200, words(again)
