"""Reference data and the demo come once, and keep what staff changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from include.deals import services as deals
from include.deals.models import Deal, DealField, Funnel, Stage, StageVisit
from include.demo import company, plan, start
from include.demo.__main__ import main as demo
from include.process.models import ProcessCase, ProcessInstance, ProcessScheme, StepState
from include.reference.__main__ import main as reference
from include.reference.catalogue import FIELDS, FUNNELS, ROLES
from include.reference.services import load_reference
from include.shared import settings
from include.shared.db import Base
from include.shared.work import Actor, Work, transaction
from include.staff import admin
from include.staff.models import Account, Department, Person, Role, RoleHolder
from include.staff.services import check_password, head_of, holders
from include.tasks.models import Task

pytestmark = pytest.mark.db
SYSTEM = Actor(kind="system")


def _everything(engine: Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


def test_reference_loads_funnels_stages_fields_and_roles(database: Engine) -> None:
    with transaction(SYSTEM) as work:
        assert load_reference(work) == len(FUNNELS) + 18 + len(FIELDS) + len(ROLES)
    with transaction(SYSTEM) as work:
        stages = work.session.execute(
            select(Funnel.title, Stage.title, Stage.kind)
            .join(Stage, Stage.funnel_code == Funnel.code)
            .order_by(Funnel.position, Stage.position)
        ).all()
        assert [tuple(row) for row in stages] == [
            (line.title, one.title, one.kind) for line in FUNNELS for one in line.stages
        ]
        assert settings.value_of(work.session, "identification_term", None) == {"hours": 5}


def test_reference_twice_changes_nothing(database: Engine) -> None:
    assert reference() == 0
    before = _everything(database)
    assert reference() == 0
    assert _everything(database) == before


def test_reference_keeps_what_staff_changed(database: Engine) -> None:
    assert reference() == 0
    with transaction(SYSTEM) as work:
        stage = work.session.scalars(select(Stage).where(Stage.title == "Отгрузка")).one()
        stage.title, stage.position = "Отгрузка и доставка", 60
        work.session.get_one(DealField, "complexity").options = {"choices": {"simple": "обычный"}}
        work.session.get_one(Role, "manager").title = "Старший менеджер"
        work.session.add(Stage(funnel_code="goods", code="claim", title="Рекламация", position=70, kind="open"))
        settings.change(work, "identification_term", {"working_hours": 3})
    before = _everything(database)
    assert reference() == 0
    assert _everything(database) == before


def test_reference_puts_back_only_what_is_missing(database: Engine) -> None:
    assert reference() == 0
    with transaction(SYSTEM) as work:
        work.session.delete(work.session.get_one(DealField, "track_number"))
    with transaction(SYSTEM) as work:
        assert load_reference(work) == 1


@pytest.fixture
def prepared(database: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The demo company, with a stand-in for the writer of 1C files."""
    written: list[Path] = []

    def write() -> list[Path]:
        path = tmp_path / "import.xml"
        path.write_text("<x/>")
        written.append(path)
        return [path]

    monkeypatch.setattr(company, "_write_exchange", write)
    assert demo([]) == 0
    return written


def test_demo_prepare_twice_changes_nothing(database: Engine, prepared: list[Path]) -> None:
    before = _everything(database)
    assert demo([]) == 0
    assert _everything(database) == before
    assert len(prepared) == 1


def test_demo_company_has_heads_roles_and_logins(database: Engine, prepared: list[Path]) -> None:
    with transaction(SYSTEM) as work:
        people = {one.login: one.person_id for one in work.session.scalars(select(Account))}
        assert set(people) == {one.login for one in company.EMPLOYEES}
        assert {one.name for one in work.session.scalars(select(Department))} == {
            company.COMPANY,
            *company.DEPARTMENTS,
        }
        assert head_of(work.session, people["ivanova"]) == people["sokolov"]
        assert head_of(work.session, people["sokolov"]) == people["lemeshev"]
        assert head_of(work.session, people["nikitin"]) == people["morozov"]
        assert head_of(work.session, people["lemeshev"]) is None
        held = set(work.session.scalars(select(RoleHolder.role_code)))
        assert held == set(ROLES)
        assert holders(work.session, "product_manager") == [people["orlov"]]
        assert check_password(work.session, "admin", company.DEMO_PASSWORD).access == "admin"
        assert check_password(work.session, "ops", company.DEMO_PASSWORD).access == "ops"
        assert check_password(work.session, "ivanova", "demo-2025") is None
        assert all(one.email.endswith("@example.ru") for one in work.session.scalars(select(Person)))


def test_demo_keeps_what_staff_changed(database: Engine, prepared: list[Path]) -> None:
    with transaction(SYSTEM) as work:
        ivanova = work.session.scalars(select(Account).where(Account.login == "ivanova")).one()
        admin.set_account(work, ivanova.person_id, "ivanova.m", "another-word")
        admin.take_role(work, "manager", ivanova.person_id)
        admin.deactivate_person(work, ivanova.person_id, "уволилась")
    before = _everything(database)
    assert demo([]) == 0
    assert _everything(database) == before


def test_demo_never_comes_into_a_company_or_into_production(
    database: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with transaction(SYSTEM) as work:
        admin.add_person(work, last_name="Настоящая", first_name="Анна")
    assert demo([]) == 1
    assert "уже есть сотрудники" in capsys.readouterr().err
    monkeypatch.setenv("BACKOFFICE_ENV", "production")
    assert demo([]) == 1
    assert "рабочей системе" in capsys.readouterr().err
    with transaction(SYSTEM) as work:
        assert work.session.scalars(select(Account)).all() == []


def test_demo_starts_once_even_without_the_engine(
    database: Engine, prepared: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    start.start(print, wait_seconds=0)
    assert "процессы не запущены" in capsys.readouterr().out
    before = _everything(database)
    start.start(print, wait_seconds=0)
    assert _everything(database) == before
    with transaction(SYSTEM) as work:
        for one in plan.DEALS:
            deal = work.session.scalars(select(Deal).where(Deal.request_key == f"demo-{one.key}")).one()
            moves = [act for act in (*one.first, *one.later) if isinstance(act, plan.Move)]
            visits = work.session.scalars(
                select(Stage.title)
                .join(StageVisit, StageVisit.stage_id == Stage.id)
                .where(StageVisit.deal_id == deal.id)
                .order_by(StageVisit.id)
            ).all()
            assert list(visits) == ["Не обработан", *(move.stage for move in moves)]
        assert work.session.scalars(select(Stage.kind).join(Deal, Deal.stage_id == Stage.id)).all().count("lost") == 1
        orlov = work.session.scalars(select(Account.person_id).where(Account.login == "orlov")).one()
        assert any(deal.fields.get("product_manager") == orlov for deal in work.session.scalars(select(Deal)))


class _CrashError(Exception):
    pass


def test_demo_start_goes_on_after_a_crash_anywhere(
    database: Engine, prepared: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls, until = deals.move_stage, 0, 5

    def dying(work: Work, deal_id: int, stage: str) -> Deal:
        nonlocal calls
        calls += 1
        if calls > until:
            raise _CrashError
        return real(work, deal_id, stage)

    monkeypatch.setattr(deals, "move_stage", dying)
    for _ in range(10):
        calls = 0
        try:
            start.start(lambda _text: None, wait_seconds=0)
            break
        except _CrashError:
            continue
    with transaction(SYSTEM) as work:
        assert len(work.session.scalars(select(Deal)).all()) == len(plan.DEALS)
        moves = [act for one in plan.DEALS for act in (*one.first, *one.later) if isinstance(act, plan.Move)]
        visits = work.session.scalars(select(StageVisit)).all()
        assert len(visits) == len(plan.DEALS) + len(moves)


def test_demo_closes_the_tasks_that_processes_gave(
    database: Engine, prepared: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_tasks(deal_ids: list[int], _seconds: float) -> bool:
        with transaction(SYSTEM) as work:
            for deal_id in deal_ids:
                deal = work.session.get_one(Deal, deal_id)
                case = work.session.get_one(ProcessCase, deal.case_id)
                mover = work.session.scalars(
                    select(StageVisit.entered_by).where(StageVisit.deal_id == deal_id, StageVisit.left_at.is_(None))
                ).one()
                task = Task(
                    key=f"t/{case.key}",
                    case_id=case.id,
                    step="identify",
                    topic="identify",
                    title=plan.IDENTIFY,
                )
                task.addressed_to, task.executor_id, task.created_at = "responsible", mover, work.now
                work.session.add(task)
        return True

    monkeypatch.setattr(start, "_wait_for_tasks", give_tasks)
    said: list[str] = []
    start.start(said.append)
    assert said == [f"Созданы демонстрационные сделки: {len(plan.DEALS)}."]
    closing = {f"demo-{one.key}" for one in plan.DEALS if any(isinstance(act, plan.Close) for act in one.later)}
    with transaction(SYSTEM) as work:
        done = work.session.execute(
            select(Deal.request_key, Task.closed_by, Task.executor_id)
            .join(Task, Task.case_id == Deal.case_id)
            .where(Task.state == "done")
        ).all()
        assert {key for key, _, _ in done} == closing
        assert all(closed_by == executor for _, closed_by, executor in done)


def _wait_on(work: Work, deal: Deal, step: str, moment: datetime) -> None:
    """Let a deal wait for a moment, as its process would."""
    case = deal.case_id
    scheme = ProcessScheme(process=f"p{case}{step}", digest=step, title="Процесс", number=1, body={})
    work.session.add(scheme)
    work.session.flush()
    instance = ProcessInstance(process=scheme.process, case_id=case, visit="v", run_id="r", scheme_id=scheme.id)
    instance.started_at = work.now
    work.session.add(instance)
    work.session.flush()
    row = StepState(instance_id=instance.id, case_id=case, step=step, word="Alarm", title=step, spec={})
    row.opened_at, row.moment = work.now, moment
    work.session.add(row)


def test_summary_tells_the_next_moment_of_each_case(
    database: Engine, prepared: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    start.start(lambda _text: None, wait_seconds=0)
    with transaction(SYSTEM) as work:
        first, second = work.session.scalars(select(Deal).order_by(Deal.id).limit(2)).all()
        _wait_on(work, first, "позже", datetime(2030, 3, 1, 7, 0, tzinfo=UTC))
        _wait_on(work, first, "раньше", datetime(2030, 2, 1, 7, 0, tzinfo=UTC))
        _wait_on(work, second, "сначала", datetime(2030, 1, 1, 7, 0, tzinfo=UTC))
    capsys.readouterr()
    assert demo(["summary"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    at = lines.index("Ближайшие моменты:")
    assert lines[at + 1 : at + 4] == [
        f"01.01 10:00  сначала – {plan.DEALS[1].title}",
        f"01.02 10:00  раньше – {plan.DEALS[0].title}",
        "",
    ]


def test_summary_tells_stages_tasks_and_logins(
    database: Engine, prepared: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    start.start(lambda _text: None, wait_seconds=0)
    capsys.readouterr()
    assert demo(["summary"]) == 0
    page = capsys.readouterr().out
    assert "сделок: 13" in page
    assert "«Экспресс-идентификация» 3" in page
    assert "Открытых задач пока нет." in page
    assert company.DEMO_PASSWORD in page
    assert all(one.login in page for one in company.EMPLOYEES)


def test_an_unknown_word_is_answered_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(["unknown"]) == 2
    assert "start | summary" in capsys.readouterr().err
