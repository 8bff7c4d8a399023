"""What holds for every term, calendar, moment, guard and value that a person or another program could write."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from include.deals import rules as deal_rules
from include.process import rules
from include.shared.errors import InvalidInput
from include.shared.texts import storable
from include.shared.working_time import DAY_ENDS, DAY_STARTS, Term, WorkCalendar, in_words, moment_of

pytestmark = pytest.mark.unit

ZONES = ("Europe/Moscow", "Asia/Kamchatka", "Europe/Kaliningrad", "Europe/Berlin", "America/New_York", "UTC")
zones = some.sampled_from(ZONES)
RUSSIAN = some.sampled_from([one for one in ZONES if one.startswith(("Europe/M", "Europe/K", "Asia"))])
moments = some.datetimes(*(datetime(year, 1, 1) for year in (2000, 2100)), timezones=some.just(UTC))  # noqa: DTZ001
days_of_ours = some.dates(date(2024, 1, 1), date(2028, 12, 31))
calendars = some.dictionaries(days_of_ours, some.booleans(), max_size=40).map(WorkCalendar)
near = some.datetimes(*(datetime(year, 6, 1) for year in (2024, 2028)), timezones=some.just(UTC))  # noqa: DTZ001
units = some.sampled_from(["minutes", "hours", "days", "working_days", "working_hours"])
small = some.integers(0, 200)


# --- terms ---


@given(calendars, near, units, small, some.integers(0, 50), zones)
def test_a_longer_term_never_ends_earlier(
    calendar: WorkCalendar, start: datetime, unit: str, amount: int, more: int, zone: str
) -> None:
    assert calendar.add(start, {unit: amount}, zone) <= calendar.add(start, {unit: amount + more}, zone)


@given(calendars, near, some.timedeltas(timedelta(0), timedelta(days=30)), units, small, RUSSIAN)
def test_what_begins_later_never_ends_earlier(
    calendar: WorkCalendar, start: datetime, later: timedelta, unit: str, amount: int, zone: str
) -> None:
    if unit == "working_days":  # a working day keeps its hour, whatever the hour: Friday 23:00 and Saturday 01:00
        later = timedelta(days=later.days)
    assert calendar.add(start, {unit: amount}, zone) <= calendar.add(start + later, {unit: amount}, zone)


@given(calendars, near, some.integers(1, 300), zones)
def test_working_hours_end_within_working_hours(
    calendar: WorkCalendar, start: datetime, amount: int, zone: str
) -> None:
    for signed in (amount, -amount):
        end = calendar.add(start, {"working_hours": signed}, zone).astimezone(ZoneInfo(zone))
        assert calendar.is_working_day(end.date())
        assert DAY_STARTS <= end.time() <= DAY_ENDS


@given(calendars, near, some.integers(1, 200), some.integers(1, 200), RUSSIAN)
def test_working_hours_add_up(calendar: WorkCalendar, start: datetime, one: int, two: int, zone: str) -> None:
    """In two parts it is the same as at once, but that an evening's end is the next morning's beginning."""
    at_once = calendar.add(start, {"working_hours": one + two}, zone)
    in_parts = calendar.add(calendar.add(start, {"working_hours": one}, zone), {"working_hours": two}, zone)
    assert in_parts == at_once


@given(calendars, near, some.integers(1, 200), RUSSIAN)
def test_working_hours_back_are_not_after_where_they_began(
    calendar: WorkCalendar, start: datetime, amount: int, zone: str
) -> None:
    there = calendar.add(start, {"working_hours": amount}, zone)
    back = calendar.add(there, {"working_hours": -amount}, zone)
    began = calendar.add(start, {"working_hours": 0}, zone)
    assert back <= began
    closing = began.astimezone(ZoneInfo(zone)).time() == DAY_STARTS
    assert back == began or closing  # an opening and the closing before it are the same working moment


@given(calendars, near, some.integers(1, 200), zones)
def test_working_days_end_on_one_and_are_that_many(
    calendar: WorkCalendar, start: datetime, amount: int, zone: str
) -> None:
    local = start.astimezone(ZoneInfo(zone)).date()
    end = calendar.add(start, {"working_days": amount}, zone).astimezone(ZoneInfo(zone)).date()
    assert calendar.is_working_day(end)
    between = (local + timedelta(days=number) for number in range(1, (end - local).days + 1))
    assert sum(calendar.is_working_day(day) for day in between) == amount


@given(days_of_ours, some.booleans(), calendars)
def test_our_word_about_a_day_is_the_last(day: date, working: bool, calendar: WorkCalendar) -> None:
    assert WorkCalendar({**calendar.overrides, day: working}).is_working_day(day) == working


@given(moments, units, some.integers(-3660, 3660), zones)
@example(datetime(2100, 1, 1, tzinfo=UTC), "working_days", 3660, "Europe/Moscow")
@example(datetime(2000, 1, 1, tzinfo=UTC), "working_hours", -3660, "Europe/Moscow")
@settings(max_examples=40)
def test_any_term_of_the_settings_fits_any_moment_of_a_field(
    start: datetime, unit: str, amount: int, zone: str
) -> None:
    end = WorkCalendar().add(start, {unit: amount}, zone)
    assert end.tzinfo is UTC
    if amount > 0:
        assert end > start - timedelta(hours=2)  # on the night when clocks go back, a day is shorter on the wall


@given(units, some.integers(0, 3660))
def test_terms_are_told_with_their_number(unit: str, amount: int) -> None:
    assert in_words({unit: amount}).startswith(f"{amount} ")


# --- moments ---


@given(some.dates(date(2000, 1, 1), date(2100, 1, 1)), zones)
def test_a_date_is_nine_o_clock_there(day: date, zone: str) -> None:
    found = moment_of(day.isoformat(), zone)
    assert found is not None
    assert found.astimezone(ZoneInfo(zone)) == datetime.combine(day, time(9), ZoneInfo(zone))
    assert moment_of(found.isoformat(), "Asia/Magadan") == found  # a moment that names its zone is the same anywhere


terms = some.builds(lambda unit, amount: {unit: amount}, units, small)
refs = some.recursive(
    some.builds(
        rules.MomentRef, some.sampled_from(["opened", "due", "stage", "field:signed_on", "step:quote"]),
        some.builds(rules.TermRef, some.none() | some.just("some.setting"), terms),
        some.sampled_from([1, -1]), fixed=some.booleans(),
    ),
    lambda inner: some.builds(
        rules.MomentRef, some.just("field:signed_on"),
        some.builds(rules.TermRef, some.none(), terms), otherwise=inner,
    ),
    max_leaves=4,
)  # fmt: skip


@given(refs, near, zones, calendars)
def test_a_moment_survives_storing_and_aims_the_same(
    ref: rules.MomentRef, anchor: datetime, zone: str, calendar: WorkCalendar
) -> None:
    stored = json.loads(json.dumps(ref.body()))
    assert stored == ref.body()
    offset: Term = stored["offset"]["default"]
    aimed = rules.aim(stored, anchor, offset, calendar, zone)
    assert aimed == rules.aim(ref.body(), anchor, dict(offset), calendar, zone)
    assert rules.aim(stored, None, offset, calendar, zone) is None
    assert aimed is not None
    if stored["sign"] > 0 and "hours" in offset:
        assert aimed == anchor + timedelta(hours=offset["hours"])


# --- guards ---

fields = some.sampled_from(["a", "b", "c"])
values = (
    some.none()
    | some.booleans()
    | some.integers(-10, 10)
    | some.text(max_size=5)
    | some.lists(some.integers(), max_size=2)
)
sums = some.none() | some.integers(-10, 10) | some.decimals(-10, 10, places=2).map(str) | some.just("не число")
leaves = some.one_of(
    fields.map(rules.filled),
    some.builds(rules.equals, fields, values),
    some.builds(rules.at_least, fields, fields),
    some.builds(lambda field, value: rules.Condition({"has": [field, value]}), fields, values),
    some.builds(lambda field, least: rules.Condition({"reached": [field, least]}), fields, some.integers(0, 5)),
)
conditions = some.recursive(
    leaves,
    lambda inner: some.one_of(
        some.builds(lambda one, two: one & two, inner, inner),
        some.builds(lambda one, two: one | two, inner, inner),
        inner.map(lambda one: ~one),
    ),
    max_leaves=6,
)
facts_of = some.fixed_dictionaries(
    {"a": sums, "b": sums, "c": some.integers(0, 5) | some.none()}, optional={"link": some.just("/deals/1")}
)
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


def holds(condition: rules.Condition, facts: dict[str, Any]) -> bool:
    return not rules.unmet(condition.body, facts, {}, NOW)


def comparable(condition: rules.Condition, facts: dict[str, Any]) -> bool:
    """«has» and «reached» read lists and numbers, as the facts really hold them."""
    try:
        holds(condition, facts)
    except TypeError:
        return False
    return True


@given(conditions, conditions, facts_of)
def test_conditions_follow_the_laws_of_logic(one: rules.Condition, two: rules.Condition, facts: dict[str, Any]) -> None:
    if not (comparable(one, facts) and comparable(two, facts)):
        return
    assert holds(~one, facts) is not holds(one, facts)
    assert holds(one & two, facts) is (holds(one, facts) and holds(two, facts))
    assert holds(one | two, facts) is (holds(one, facts) or holds(two, facts))
    assert holds(~(one & two), facts) is holds(~one | ~two, facts)


@given(conditions, facts_of)
def test_a_refusal_always_has_words_and_a_stored_guard_decides_the_same(
    condition: rules.Condition, facts: dict[str, Any]
) -> None:
    rules.check_condition(condition.body)
    if not comparable(condition, facts):
        return
    assert all(one.text.strip() for one in rules.unmet(condition.body, facts, {}, NOW))
    stored = rules.Condition(json.loads(json.dumps(condition.body, default=str)))
    assert holds(stored, facts) is holds(condition, facts)
    assert rules.fields_of(condition.body) <= {"a", "b", "c"}
    assert rules.bound(condition.body, facts) == condition.body  # nothing here remembers what was


@given(fields, values, values)
def test_a_change_is_a_difference(field: str, before: Any, after: Any) -> None:
    kept = rules.Condition(rules.bound(rules.changed(field).body, {field: before}))
    assert holds(kept, {field: after}) is (before != after)


# --- values of fields ---

KINDS = ("bool", "date", "datetime", "choice", "text", "money", "person", "file")
anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.binary(max_size=3).map(str),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ODD = (
    "0001-01-01", "9999-12-31", "10000-01-01", "31.12.9999", "2026-11-22T24:00", "2026-11-22T10:00+99:00", "١٢.١٢.٢٠٢٦",
    "NaN", "Infinity", "-Infinity", "1e400", "1e-400", "9" * 400, "1_000", "٣", "½", "\x00", "\ud800", "\u202e1",
    2**70, -(2**70), 1e308,
    float("nan"), float("inf"), "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30", "1.1.1", "−5",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(value=anything | some.sampled_from(ODD))
def test_any_value_is_read_or_refused_in_words(kind: str, value: Any) -> None:
    options = {"choices": {"simple": "Просто"}}
    for zone in ("Europe/Moscow", "Pacific/Kiritimati"):
        try:
            read = deal_rules.clean_value(kind, "Поле", options, value, zone)
        except InvalidInput as refused:
            assert storable(str(refused))
            assert "Поле" in str(refused)
        else:
            assert read is None or storable(read)
            json.dumps(read, allow_nan=False)
