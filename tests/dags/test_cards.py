"""The card of a process (its docstring) and its steps say the same, in words that the engine understands."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from backoffice.process import Alarm, Approval, EmployeeTask, StageProcess
from backoffice.process.dag import Process
from backoffice.process.steps import STEP_TRIGGER, Step
from include.installation.places import PROJECT
from include.process import rules
from include.process.words import WORDS
from include.reference import catalogue
from include.shared.settings import check_value

RELEASED = PROJECT / "tests" / "dags" / "released_steps.json"
RUNBOOK = PROJECT / "docs" / "runbook.md"
LINK = re.compile(r"docs/runbook\.md#([\w-]+)")
FIELDS = {one.code: one.kind for one in catalogue.FIELDS} | {"responsible": "person"}
FACTS = {"came_from", "moved_by_person", "funnel", "stage", "paid", "amount"}
# what an event brings besides the case's fields
EVENT_FACTS = {"on:event:exchange_applied": {"rejects", "refused_files"}}
TOPICS_OF_EVENT = {"event:topics_given", "event:topics_open"}
BASES = {"task", "due", "stage", "opened"}


def steps(dagbag: Any) -> Iterator[tuple[Process, Step]]:
    for dag in dagbag.dags.values():
        if isinstance(dag, Process):
            for task in dag.tasks:
                assert isinstance(task, Step), f"{dag.dag_id}.{task.task_id}: шаг процесса – слово backoffice.process"
                yield dag, task


def test_the_card_names_every_task(dagbag: Any) -> None:
    for dag, step in steps(dagbag):
        named = [step.spec["title"]] if isinstance(step, EmployeeTask) else []
        named += [step.spec["fix"]["title"]] if step.spec.get("fix") else []
        for title in named:
            assert f"«{title}»" in (dag.doc_md or ""), f"{dag.dag_id}: в карточке нет «{title}» (одной строкой)"


def test_the_card_names_owner_and_what_to_do(dagbag: Any) -> None:
    headings = set(re.findall(r"^#+ ([\w-]+)\s*$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE))
    headings |= set(re.findall(r'<a (?:id|name)="([\w-]+)"', RUNBOOK.read_text(encoding="utf-8")))
    for dag in dagbag.dags.values():
        card = dag.doc_md or ""
        assert "Владелец: " in card, dag.dag_id
        anchors = LINK.findall(card)
        assert anchors, f"{dag.dag_id}: карточка не говорит, где читать при сбое"
        assert set(anchors) <= headings, f"{dag.dag_id}: в docs/runbook.md нет раздела {set(anchors) - headings}"


def test_the_owner_of_the_card_owns_the_steps(dagbag: Any) -> None:
    for dag in dagbag.dags.values():
        named = re.search(r"Владелец: ([^.]+)\.", dag.doc_md or "")
        assert named is not None
        assert {task.owner.lower() for task in dag.tasks} == {named.group(1).lower()}, dag.dag_id


def test_funnel_and_stage_exist(dagbag: Any) -> None:
    stages = {(funnel.title, stage.title) for funnel in catalogue.FUNNELS for stage in funnel.stages}
    for dag in dagbag.dags.values():
        if isinstance(dag, StageProcess):
            for heard in (tag.removeprefix("on:stage:") for tag in dag.tags if tag.startswith("on:stage:")):
                funnel, _, stage = heard.partition("/")
                assert (funnel, stage) in stages, dag.dag_id


def test_every_step_travels_as_json_and_is_understood(dagbag: Any) -> None:
    for dag, step in steps(dagbag):
        where = f"{dag.dag_id}.{step.task_id}"
        arguments = step.start_trigger_args
        assert arguments.trigger_cls == STEP_TRIGGER, where
        assert set(arguments.trigger_kwargs) == {"spec"}, where
        assert json.loads(arguments.trigger_kwargs["spec"]) == json.loads(json.dumps(step.spec)), where
        assert step.spec["word"] in WORDS, where
        assert step.spec["word"] == type(step).__name__, where
        if isinstance(step, Approval):
            assert all(known_address(one) for seat in step.spec["by"] for one in seat["address"].split("|")), where


def test_every_condition_can_be_read(dagbag: Any) -> None:
    now = datetime(2026, 1, 12, 9, tzinfo=UTC)
    for dag, step in steps(dagbag):
        for name in ("only_if", "guard", "until"):
            body = step.spec.get(name)
            if body:
                rules.check_condition(body)
                rules.unmet(rules.with_numbers(body, lambda ref: int(ref["default"])), {}, {}, now)
                brought = set().union(*(EVENT_FACTS.get(tag, set()) for tag in dag.tags))
                found = {one for one in rules.fields_of(body) if found_when_asked(one, dag, dagbag)}
                unknown = rules.fields_of(body) - set(FIELDS) - FACTS - brought - found
                assert unknown == set(), f"{dag.dag_id}.{step.task_id}.{name}: неизвестное поле {unknown}"


def found_when_asked(fact: str, dag: Process, dagbag: Any) -> bool:
    """Say whether a fact with a colon names a topic or a step that is there."""
    kind, _, name = fact.partition(":")
    if kind == "step":
        return name.partition(".")[0] in dag.task_dict
    topics = {step.spec["topic"] for _, step in steps(dagbag) if step.spec.get("shared_topic")}
    return (kind == "rounds" and name in topics) or fact in TOPICS_OF_EVENT


def test_a_process_begins_for_topics_that_somebody_gives(dagbag: Any) -> None:
    topics = {step.spec["topic"] for _, step in steps(dagbag) if step.spec.get("shared_topic")}
    for dag, step in steps(dagbag):
        if step.spec.get("gives_way_to"):
            assert step.spec["gives_way_to"] in topics, f"{dag.dag_id}.{step.task_id}"
        if dag.begins_if is not None:
            asked = re.findall(r"'has': \['event:topics_\w+', '([^']+)'\]", str(dag.begins_if["condition"]))
            assert set(asked) <= topics, dag.dag_id
            rules.check_condition(dag.begins_if["condition"])
            known = set(FIELDS) | FACTS | TOPICS_OF_EVENT
            assert rules.fields_of(dag.begins_if["condition"]) <= known, dag.dag_id


def test_every_address_leads_to_somebody(dagbag: Any) -> None:
    for dag, step in steps(dagbag):
        spoken = [*step.spec.get("tell", []), *filter(None, [step.spec.get("to"), step.spec.get("address")])]
        for address in spoken:
            assert known_address(address), f"{dag.dag_id}.{step.task_id}: неизвестный адресат {address}"


def known_address(address: str) -> bool:
    if address in {"responsible", "head", "mover", "initiator"}:
        return True
    if address.startswith("setting:"):
        code, _, otherwise = address.removeprefix("setting:").partition("|")
        return known_address(otherwise) and code in {one.code for one in catalogue.SETTINGS if one.kind == "role"}
    if address.startswith("role:"):
        return address.removeprefix("role:") in catalogue.ROLES
    if address.startswith("field:"):
        name, _, role = address.removeprefix("field:").partition("|role:")
        return FIELDS.get(name) == "person" and (not role or role in catalogue.ROLES)
    return False


def test_every_moment_and_term_can_be_computed(dagbag: Any) -> None:
    for dag, step in steps(dagbag):
        where = f"{dag.dag_id}.{step.task_id}"
        for moment in moments(step):
            base = moment["base"]
            known = (
                base in BASES
                or (base.startswith("step:") and base.removeprefix("step:") in dag.task_dict)
                or (base.startswith("field:") and FIELDS.get(base.removeprefix("field:")) in {"date", "datetime"})
            )
            assert known, f"{where}: неизвестное начало отсчёта {base}"
            for offset in offsets(moment):
                check_value("term", offset["default"])
                if offset["setting"]:
                    assert offset["title"], f"{where}: у срока нет названия для страницы настроек"
        if step.spec.get("stays_for"):
            check_value("term", step.spec["stays_for"]["default"])


def moments(step: Step) -> list[dict[str, Any]]:
    """Every moment a step aims at; an alarm may have a series of them, and one may stand in for another."""
    said = [step.spec.get("due"), step.spec.get("at")]
    found = [one for part in said if part for one in (part if isinstance(part, list) else [part])]
    return found + [one["otherwise"] for one in found if "otherwise" in one]


def offsets(moment: dict[str, Any]) -> list[dict[str, Any]]:
    """The terms a moment may be away from its base: one, or those that a field chooses from."""
    offset = moment["offset"]
    if "by" not in offset:
        return [offset]
    assert offset["by"] in FIELDS
    assert offset["otherwise"] in offset["terms"]
    return list(offset["terms"].values())


def watched(step: Step) -> list[str]:
    of = step.spec["of"]
    return of if isinstance(of, list) else [of]


def test_a_term_has_one_default_everywhere(dagbag: Any) -> None:
    """One setting code in two processes with two defaults: whichever started last would win."""
    known: dict[str, tuple[Any, str]] = {}
    for _, step in steps(dagbag):
        for ref in references(step.spec):
            if ref["setting"]:
                said = (ref["default"], ref["title"])
                assert known.setdefault(ref["setting"], said) == said, ref["setting"]


def references(spec: Any) -> Iterator[dict[str, Any]]:
    """Every term and number that a step reads from the settings, wherever it stands."""
    parts = spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else ()
    if isinstance(spec, dict) and {"setting", "default"} <= set(spec):
        yield spec
    for part in parts:
        yield from references(part)


def test_texts_use_known_places_only(dagbag: Any) -> None:
    for dag, step in steps(dagbag):
        names = {name for _, name, _, _ in string.Formatter().parse(step.spec.get("says", "")) if name}
        allowed = {"task", "case"} if isinstance(step, Alarm) else {"case"}
        assert names <= allowed, f"{dag.dag_id}.{step.task_id}: {names - allowed}"


def test_an_alarm_starts_beside_its_task_and_holds_nobody(dagbag: Any) -> None:
    for dag, step in steps(dagbag):
        if isinstance(step, Alarm):
            assert set(watched(step)) <= set(dag.task_dict)
            assert step.upstream_task_ids == set().union(
                *(dag.task_dict[one].upstream_task_ids for one in watched(step))
            )
            assert step.downstream_task_ids == set()


def test_every_step_says_what_comes_next(dagbag: Any) -> None:
    for dag, step in steps(dagbag):
        after = {
            f"«{dag.task_dict[one].spec['title']}»"
            for one in step.downstream_task_ids
            if not isinstance(dag.task_dict[one], Alarm)
        }
        assert set(step.spec["next"]) == after, f"{dag.dag_id}.{step.task_id}"


@pytest.mark.parametrize("release", sorted(json.loads(RELEASED.read_text(encoding="utf-8"))))
def test_steps_of_released_processes_still_exist(release: str, dagbag: Any) -> None:
    """A run lives for months on the newest file: a step id that vanishes takes its live cases with it.

    To drop a step, keep it with ``only_if`` that never holds until its last run is over, then take it off the list.
    """
    for process, ids in json.loads(RELEASED.read_text(encoding="utf-8"))[release].items():
        assert process in dagbag.dags, process
        assert set(ids) <= set(dagbag.dags[process].task_ids), process
