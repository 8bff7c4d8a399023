"""The live cases: what people do with each of them, and how each must end whatever died meanwhile.

Every process of ``dags/`` is walked through here (test_table.py demands it). An act is ready when what it needs is
there, is done by a person who tries again until it succeeded, and is repeated with the very same content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from include.deals import services as deals
from include.shared.work import transaction
from include.tasks import services as tasks
from tests.faults.office import FaultOffice
from tests.scenarios.stories import EXPRESS, PRIMARY, TASK
from tests.scenarios.stories_selling import (
    AWAY,
    COMPLEXITY,
    CONTRACT_DATE,
    CONTRACT_FEEDBACK,
    CONTRACT_FEEDBACK_AGAIN,
    CONTRACT_STAGE,
    DRAFT,
    FEEDBACK,
    FEEDBACK_AGAIN,
    FIX,
    NEEDED,
    NEW_DATE,
    QUOTE,
    QUOTE_STAGE,
    SEND,
)

ONE_C_TASK = "Разобрать отказы обмена с 1С"
#: Why a process did not begin for an event that it hears: its condition was not met.
NOT_BEGUN = ("дата изменена не на стадии", "договор нужен или сделка")
GOODS = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_3" ВерсияСхемы="3.1"><Каталог><Ид>1</Ид>'
    "<Наименование>Каталог</Наименование><Товары><Товар><Ид>{key}</Ид><Наименование>Подшипник {key}</Наименование>"
    "</Товар></Товары></Каталог></КоммерческаяИнформация>"
)


@dataclass
class Live:
    """One live case: where it stands in its course, and what its present act is about."""

    name: str
    course: Course
    at: int = 0
    target: Any = None
    deal: dict[str, Any] = field(default_factory=dict)
    deleted: str | None = None  # the run that ops have deleted: the case ends there
    refused: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What makes a repeated act the same act."""
        return f"faults-{self.name.rsplit(' ', 1)[-1]}"

    @property
    def case_id(self) -> int:
        """The case in the database; 0 while there is none."""
        return int(self.deal.get("case_id", 0))

    @property
    def act(self) -> Act | None:
        """What somebody does next; None when all is done."""
        return self.course.acts[self.at] if self.at < len(self.course.acts) and self.deleted is None else None


Ready = Callable[[FaultOffice, Live], Any]
Does = Callable[[FaultOffice, Live, Any], None]


@dataclass(frozen=True)
class Act:
    """Somebody does something: ``ready`` finds what it is about (None: not yet), ``does`` asks the API for it.

    ``directly`` is the same act as a call of the service: for the time when there is nothing but the database.
    """

    says: str
    ready: Ready
    does: Does
    directly: Does | None = None


@dataclass(frozen=True)
class Ends:
    """How a case ends: its stage, the tasks done in it, and why each process's instances ended (part of the reason)."""

    stage: str = ""
    done: Sequence[str] = ()
    processes: dict[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """The acts of one kind of case and its end; ``alone``: only one such case lives at a time."""

    name: str
    processes: Sequence[str]
    acts: Sequence[Act]
    ends: Ends
    alone: bool = False


def opened(funnel: str, responsible: str, **fields: Any) -> Act:
    """Open a deal; whoever is not answered asks again with the same key and gets the same deal."""

    def does(office: FaultOffice, live: Live, key: str) -> None:
        body = {
            "title": live.name, "funnel": funnel, "responsible_id": office.people[responsible],
            "fields": fields or None, "request_key": key,
        }  # fmt: skip
        made = office.call("admin", "POST", "/deals", body)
        live.deal = office.rows("SELECT id, case_id FROM deal WHERE id = :id", id=made["id"])[0]

    return Act("заводит сделку", lambda _office, live: live.key, does)


def moved(who: str, stage: str) -> Act:
    """Move the deal; a move to where it stands changes nothing, so it may be said again."""

    def does(office: FaultOffice, live: Live, _target: Any) -> None:
        office.call(who, "POST", f"/deals/{live.deal['id']}/stage", {"stage": stage})

    def directly(office: FaultOffice, live: Live, _target: Any) -> None:
        with transaction(office.person(who).actor) as work:
            deals.move_stage(work, live.deal["id"], stage)

    return Act(f"переводит на «{stage}»", lambda _office, _live: stage, does, directly)


def open_task(title: str) -> Ready:
    """Wait until the task with this title is open; its id."""

    def ready(office: FaultOffice, live: Live) -> Any:
        found = [one for one in office.open_tasks(live.case_id) if one["title"] == title]
        return found[0]["id"] if found else None

    return ready


def closed(who: str, title: str, **result: Any) -> Act:
    """Close the task with this title; said again with the same result it changes nothing."""

    def does(office: FaultOffice, _live: Live, task: Any) -> None:
        office.call(who, "POST", f"/tasks/{task}/close", {"result": result})

    def directly(office: FaultOffice, _live: Live, task: Any) -> None:
        closer = office.person(who)
        with transaction(closer.actor) as work:
            tasks.close_task(work, closer, task, result)

    return Act(f"закрывает «{title}»", open_task(title), does, directly)


def filled(who: str, title: str, *, in_days: int = 0, **fields: Any) -> Act:
    """Fill fields when the task with this title is open; with ``in_days`` a date so far ahead of now."""

    def ready(office: FaultOffice, live: Live) -> Any:
        if open_task(title)(office, live) is None:
            return None
        moment = (office.business_now() + timedelta(days=in_days)).isoformat()
        return {code: moment if in_days else value for code, value in fields.items()}

    def does(office: FaultOffice, live: Live, values: Any) -> None:
        office.call(who, "PATCH", f"/deals/{live.deal['id']}/fields", values)

    def directly(office: FaultOffice, live: Live, values: Any) -> None:
        with transaction(office.person(who).actor) as work:
            deals.set_fields(work, live.deal["id"], values)

    return Act(f"заполняет {', '.join(fields)}", ready, does, directly)


def pressed(who: str, process: str) -> Act:
    """Press a button on the card, once the one before has been heard: a process runs once at a time."""

    def does(office: FaultOffice, live: Live, _target: Any) -> None:
        asked = "SELECT 1 FROM outbox_event WHERE case_id = :c AND kind = 'button_pressed'"
        if not office.rows(asked, c=live.case_id):
            office.call(who, "POST", f"/deals/{live.deal['id']}/processes/{process}")

    return Act(f"нажимает «{process}»", lambda _office, _live: process, does)


def uploaded(who: str, title: str, words: str) -> Act:
    """Put a file into «Проект договора» while the task with this title is open."""

    def does(office: FaultOffice, live: Live, _target: Any) -> None:
        path = f"/deals/{live.deal['id']}/files/contract_draft"
        office.call(who, "POST", path, file=("договор.txt", f"{live.name}: {words}".encode()))

    return Act(f"кладёт файл «{words}»", open_task(title), does)


def decided(who: str, answer: str, remark: str, round_: int) -> Act:
    """Answer an approval in its round."""

    def ready(office: FaultOffice, live: Live) -> Any:
        query = "SELECT id FROM approval WHERE case_id = :c AND state = 'open' AND round = :round"
        found = office.rows(query, c=live.case_id, round=round_)
        return found[0]["id"] if found else None

    def does(office: FaultOffice, _live: Live, approval: Any) -> None:
        office.call(who, "POST", f"/approvals/{approval}/decision", {"answer": answer, "remark": remark})

    return Act(f"решает: {answer}", ready, does)


def ended_process(process: str) -> Act:
    """Wait until the process has noticed its end: whoever leaves the stage before that ends it in another way."""

    def ready(office: FaultOffice, live: Live) -> Any:
        query = (
            "SELECT count(*) FILTER (WHERE state = 'live') AS live, count(*) AS number FROM process_instance"
            " WHERE case_id = :case AND process = :process"
        )
        (found,) = office.rows(query, case=live.case_id, process=process)
        return True if found["number"] and not found["live"] else None

    return Act(f"видит конец процесса {process}", ready, lambda _office, _live, _target: None)


def sent_form(who: str) -> Act:
    """Send the form of an incoming request; its deal is the live case."""

    def does(office: FaultOffice, live: Live, key: Any) -> None:
        form = {
            "direction": "Товары", "subject": live.name, "source": "почта", "responsible_id": office.people["Петров"],
        }  # fmt: skip
        office.call(who, "POST", "/forms/client_request", form, headers={"Idempotency-Key": key})

    return Act("отправляет форму", lambda _office, live: live.key, does)


def found_deal() -> Act:
    """The form has become a deal: the responsible finds it."""

    def ready(office: FaultOffice, live: Live) -> Any:
        made = office.rows("SELECT id, case_id FROM deal WHERE title = :title", title=live.name)
        return made[0] if made else None

    def does(_office: FaultOffice, live: Live, deal: Any) -> None:
        live.deal = deal

    return Act("видит новую сделку", ready, does)


def brought_files() -> Act:
    """1C leaves a catalogue and an archive that nobody can read."""

    def does(office: FaultOffice, _live: Live, key: Any) -> None:
        incoming = office.installation.places.exchange / "incoming"
        for name, content in ((f"import-{key}.xml", GOODS.format(key=key)), (f"pictures-{key}.rar", f"Rar!{key}")):
            aside = incoming.parent / name
            aside.write_text(content, encoding="utf-8")
            aside.replace(incoming / name)

    return Act("выгружает из 1С", lambda _office, live: live.key, does)


def started_run(dag: str) -> Act:
    """Start a nightly process as ops do; a run with the same id is not started twice."""

    def does(office: FaultOffice, live: Live, run: Any) -> None:
        if not run_state(office, dag, run):
            office.call("ops", "POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "dag_run_id": run})
        live.deal["run"] = run

    return Act(f"запускает {dag}", lambda _office, live: live.key, does)


def run_state(office: FaultOffice, dag: str, run: str) -> str | None:
    """Return the state of a run, None when there is none."""
    found = office.airflow_rows("SELECT state FROM dag_run WHERE dag_id = :d AND run_id = :r", d=dag, r=run)
    return str(found[0]["state"]) if found else None


def ended_run(dag: str) -> Act:
    """Wait until the nightly run has succeeded; a failed one is cleared, as ops do."""

    def ready(office: FaultOffice, live: Live) -> Any:
        state = run_state(office, dag, live.deal["run"])
        if state == "failed":
            body = {"dry_run": False, "dag_run_id": live.deal["run"], "only_failed": True, "reset_dag_runs": True}
            office.call("ops", "POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)
        return state if state == "success" else None

    return Act(f"видит конец {dag}", ready, lambda _office, _live, _target: None)


def found_exchange() -> Act:
    """The exchange has become a case with its task."""

    def ready(office: FaultOffice, live: Live) -> Any:
        name = f"import-{live.key}.xml"
        query = (
            "SELECT c.id AS case_id FROM exchange_file f JOIN process_case c ON c.key = 'exchange-' || f.exchange_id"
            " WHERE f.name = :name AND f.state = 'applied'"
        )
        made = office.rows(query, name=name)
        return made[0]["case_id"] if made else None

    def does(_office: FaultOffice, live: Live, case_id: Any) -> None:
        live.deal["case_id"] = case_id

    return Act("видит обмен", ready, does)


COURSES: tuple[Course, ...] = (
    Course(
        "Идентификация",
        ["goods_identification"],
        [opened("Товары", "Иванова"), moved("Петров", EXPRESS), closed("Петров", TASK)],
        Ends(EXPRESS, [TASK], {"goods_identification": ["завершён"]}),
    ),
    Course(
        "Идентификация услуг",
        ["services_identification"],
        [opened("Услуги", "Иванова"), moved("Иванова", PRIMARY), closed("Иванова", TASK)],
        Ends(PRIMARY, [TASK], {"services_identification": ["завершён"]}),
    ),
    Course(
        "КП",
        ["goods_quote", "goods_quote_feedback"],
        [
            opened("Товары", "Иванова"),
            moved("Иванова", QUOTE_STAGE),
            filled("Иванова", COMPLEXITY, complexity="simple"),
            closed("Иванова", QUOTE),
            closed("Иванова", FEEDBACK),
            filled("Иванова", NEW_DATE, in_days=2, quote_feedback_at=None),
            closed("Иванова", FEEDBACK_AGAIN),
            moved("Иванова", AWAY),
        ],
        Ends(
            AWAY,
            [COMPLEXITY, QUOTE, FEEDBACK, NEW_DATE, FEEDBACK_AGAIN],
            {"goods_quote": ["завершён"], "goods_quote_feedback": ["сделка ушла со стадии"]},
        ),
    ),
    Course(
        "Договор",
        ["contract", "contract_feedback"],
        [
            opened("Товары", "Петров"),
            moved("Петров", CONTRACT_STAGE),
            filled("Петров", NEEDED, contract_needed=True),
            closed("Петров", SEND),
            filled("Петров", CONTRACT_DATE, in_days=2, contract_feedback_at=None),
            filled("Петров", CONTRACT_FEEDBACK, in_days=4, contract_feedback_at=None),
            closed("Петров", CONTRACT_FEEDBACK_AGAIN, outcome="signed"),
        ],
        Ends(
            CONTRACT_STAGE,
            [NEEDED, SEND, CONTRACT_DATE, CONTRACT_FEEDBACK_AGAIN],
            {"contract": ["задача заменена"], "contract_feedback": ["завершён"]},
        ),
    ),
    Course(
        "Договор не нужен",
        ["contract_not_needed"],
        [
            opened("Товары", "Петров", contract_needed=True),
            moved("Петров", CONTRACT_STAGE),
            filled("Петров", SEND, contract_needed=False),
        ],
        Ends("Комплектация", [], {"contract": ["сделка ушла со стадии"], "contract_not_needed": ["завершён"]}),
    ),
    Course(
        "Согласование",
        ["contract_approval"],
        [
            opened("Товары", "Петров", contract_needed=True),
            moved("Петров", CONTRACT_STAGE),
            pressed("Петров", "contract_approval"),
            uploaded("Петров", DRAFT, "первая"),
            closed("Петров", DRAFT),
            decided("Зайцева", "reject", "пункт 3: срок поставки", 1),
            uploaded("Петров", FIX, "вторая"),
            closed("Петров", FIX),
            decided("Зайцева", "approve", "", 2),
            closed("Петров", SEND),
            ended_process("contract_approval"),
            moved("Петров", AWAY),
        ],
        Ends(AWAY, [DRAFT, FIX, SEND], {"contract": ["сделка ушла со стадии"], "contract_approval": ["завершён"]}),
    ),
    Course(
        "Обращение",
        ["client_request"],
        [sent_form("Белова"), found_deal()],
        Ends("Не обработан", [], {}),
    ),
    Course(
        "Обмен с 1С",
        ["exchange_1c_nightly", "exchange_1c_rejects"],
        [
            brought_files(),
            started_run("exchange_1c_nightly"),
            ended_run("exchange_1c_nightly"),
            found_exchange(),
            closed("Крылов", ONE_C_TASK, outcome="разобрано"),
        ],
        Ends("", [ONE_C_TASK], {"exchange_1c_rejects": ["завершён"]}),
        alone=True,
    ),
    Course(
        "Уборка",
        ["retention_nightly"],
        [started_run("retention_nightly"), ended_run("retention_nightly")],
        Ends(),
        alone=True,
    ),
    Course(
        "Сверка долга",
        ["debt_nightly"],
        [started_run("debt_nightly"), ended_run("debt_nightly")],
        Ends(),
        alone=True,
    ),
    Course(
        "Заказы в 1С",
        ["exchange_1c_orders"],
        [started_run("exchange_1c_orders"), ended_run("exchange_1c_orders")],
        Ends(),
        alone=True,
    ),
    Course(
        "Сверка денег",
        ["reconciliation_nightly"],
        [started_run("reconciliation_nightly"), ended_run("reconciliation_nightly")],
        Ends(),
        alone=True,
    ),
)


def wrong_end(office: FaultOffice, live: Live) -> list[str]:
    """Compare a case that has been walked to its end with its table; says what differs."""
    if live.case_id == 0:
        return []
    ends, case = live.course.ends, live.case_id
    said = []
    open_ = [one["title"] for one in office.open_tasks(case)]
    if open_:
        said.append(f"открыто: {open_}")
    if live.deleted is None:
        done = Counter(
            one["title"] for one in office.rows("SELECT title FROM task WHERE case_id = :c AND state = 'done'", c=case)
        )
        if done != Counter(ends.done):
            said.append(f"сделано {dict(done)}, ждали {list(ends.done)}")
        said += _wrong_stage(office, live) + _wrong_instances(office, live)
    doubled = office.rows("SELECT count(*) AS n FROM deal WHERE title = :title", title=live.name)[0]["n"]
    if doubled > 1:
        said.append(f"сделок «{live.name}»: {doubled}")
    return [f"«{live.name}»: {one}" for one in said]


def _wrong_stage(office: FaultOffice, live: Live) -> list[str]:
    if not live.course.ends.stage:
        return []
    query = "SELECT stage.title FROM deal JOIN stage ON stage.id = deal.stage_id WHERE deal.case_id = :c"
    found = office.rows(query, c=live.case_id)[0]["title"]
    return [] if found == live.course.ends.stage else [f"стадия «{found}», ждали «{live.course.ends.stage}»"]


def _wrong_instances(office: FaultOffice, live: Live) -> list[str]:
    query = "SELECT process, state, reason FROM process_instance WHERE case_id = :c ORDER BY id"
    found: dict[str, list[str]] = {}
    for one in office.rows(query, c=live.case_id):
        if one["state"] == "live" or not str(one["reason"]).startswith(NOT_BEGUN):
            found.setdefault(one["process"], []).append(one["reason"] if one["state"] == "ended" else "живой")
    wanted = live.course.ends.processes
    fits = found.keys() == wanted.keys() and all(
        len(found[process]) == len(wanted[process])
        and all(part in reason for part, reason in zip(wanted[process], found[process], strict=True))
        for process in wanted
    )
    return [] if fits else [f"заходы {found}, ждали {wanted}"]
