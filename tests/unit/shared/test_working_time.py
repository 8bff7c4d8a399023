"""Terms and moments: calendar and working time, RF holidays with transfers, our overrides, local nine o'clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from include.shared import working_time
from include.shared.working_time import Term, WorkCalendar, in_words, moment_of

pytestmark = pytest.mark.unit
MOSCOW = "Europe/Moscow"
RUSSIA = WorkCalendar()


def at(text: str, zone: str = MOSCOW) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-01-09", False),  # transferred from Saturday the 3rd
        ("2026-01-12", True),
        ("2026-12-31", False),  # transferred from Sunday the 4th of January
        ("2026-03-09", False),
        ("2026-05-11", False),
        ("2026-11-04", False),
        ("2026-11-21", False),
        ("2026-11-23", True),
        ("2025-11-01", True),  # a working Saturday
        ("2024-04-27", True),
        ("2024-12-28", True),
        ("2024-12-30", False),
    ],
)
def test_russian_working_days(day: str, works: bool) -> None:
    """AG-2: the production calendar of Russia with its transfers."""
    assert RUSSIA.is_working_day(date.fromisoformat(day)) is works


def test_our_overrides_stand_above_the_state() -> None:
    ours = WorkCalendar({date(2026, 11, 23): False, date(2026, 11, 22): True})
    assert not ours.is_working_day(date(2026, 11, 23))
    assert ours.is_working_day(date(2026, 11, 22))
    assert ours.add(at("2026-11-20 10:00"), {"working_days": 1}, MOSCOW) == at("2026-11-22 10:00")


@pytest.mark.parametrize(
    ("start", "term", "end"),
    [
        ("2026-11-20 17:00", {"hours": 5}, "2026-11-20 22:00"),
        ("2026-11-20 17:00", {"minutes": 90}, "2026-11-20 18:30"),
        ("2026-11-20 17:00", {"days": 3}, "2026-11-23 17:00"),
        ("2026-11-20 17:00", {"days": -3}, "2026-11-17 17:00"),
        ("2026-11-20 17:00", {"working_days": 1}, "2026-11-23 17:00"),
        ("2026-11-21 17:00", {"working_days": 1}, "2026-11-23 17:00"),
        ("2026-11-23 09:00", {"working_days": -3}, "2026-11-18 09:00"),
        ("2026-12-30 12:00", {"working_days": 1}, "2027-01-11 12:00"),
        ("2026-11-20 17:00", {"working_days": 0}, "2026-11-20 17:00"),
        ("2026-11-20 17:00", {"working_hours": 2}, "2026-11-23 10:00"),
        ("2026-11-20 12:00", {"working_hours": 6}, "2026-11-20 18:00"),
        ("2026-11-20 08:00", {"working_hours": 1}, "2026-11-20 10:00"),
        ("2026-11-21 12:00", {"working_hours": 1}, "2026-11-23 10:00"),
        ("2026-11-20 20:00", {"working_hours": 9}, "2026-11-23 18:00"),
        ("2026-11-23 10:00", {"working_hours": -2}, "2026-11-20 17:00"),
        ("2026-11-22 10:00", {"working_hours": -1}, "2026-11-20 17:00"),
        ("2026-11-23 20:00", {"working_hours": -9}, "2026-11-23 09:00"),
    ],
)
def test_terms(start: str, term: Term, end: str) -> None:
    """AG-2: calendar or working time, forwards and backwards."""
    assert RUSSIA.add(at(start), term, MOSCOW) == at(end)


@pytest.mark.parametrize("zone", ["Europe/Kaliningrad", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Kamchatka"])
def test_russia_has_no_daylight_saving(zone: str) -> None:
    spring = RUSSIA.add(at("2026-03-28 10:00", zone), {"days": 1}, zone)
    autumn = RUSSIA.add(at("2026-10-24 10:00", zone), {"days": 1}, zone)
    assert (spring, autumn) == (at("2026-03-29 10:00", zone), at("2026-10-25 10:00", zone))


def test_days_are_days_of_the_wall_clock_where_there_is_daylight_saving() -> None:
    assert RUSSIA.add(at("2026-03-28 10:00", "Europe/Berlin"), {"days": 1}, "Europe/Berlin") == at(
        "2026-03-29 10:00", "Europe/Berlin"
    )


@pytest.mark.parametrize(
    ("value", "zone", "expected"),
    [
        ("2026-11-25", MOSCOW, "2026-11-25T06:00:00+00:00"),
        ("2026-11-25", "Europe/Samara", "2026-11-25T05:00:00+00:00"),
        (date(2026, 11, 25), "Asia/Kamchatka", "2026-11-24T21:00:00+00:00"),
        ("2026-11-25T15:30:00+03:00", "Europe/Samara", "2026-11-25T12:30:00+00:00"),
        ("2026-11-25T15:30", "Europe/Samara", "2026-11-25T11:30:00+00:00"),
        (datetime(2026, 11, 25, 12, 30, tzinfo=UTC), MOSCOW, "2026-11-25T12:30:00+00:00"),
    ],
)
def test_a_date_without_time_is_nine_o_clock_local(value: object, zone: str, expected: str) -> None:
    """AG-3."""
    moment = moment_of(value, zone)
    assert moment is not None
    assert moment.isoformat() == expected


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_value_is_no_moment(empty: object) -> None:
    assert moment_of(empty, MOSCOW) is None


def test_what_is_not_a_date() -> None:
    with pytest.raises(TypeError):
        moment_of(5, MOSCOW)
    with pytest.raises(ValueError, match="единица"):
        RUSSIA.add(at("2026-11-20 10:00"), {"weeks": 1}, MOSCOW)


def test_the_calendar_is_the_same_for_all_threads() -> None:
    """The library's growing calendar showed holidays as working days to a second thread."""
    working_time._working_days.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda n: WorkCalendar().is_working_day(date(2020 + n % 8, 1, 1)), range(64)))
    assert not any(seen)


def test_terms_in_words() -> None:
    assert [in_words(one) for one in ({"hours": 5}, {"working_days": 1})] == ["5 ч", "1 раб. дн."]
