"""The bench's report: its numbers, its table and the section of docs/benchmarks.md that it writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench import report, run
from tests.bench.engine import PARTS
from tests.bench.meters import _top
from tests.bench.report import Report, Row

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("values", "tail"),
    [([1.0], 1.0), ([float(n) for n in range(1, 21)], 19.0), ([float(n) for n in range(1, 101)], 95.0)],
)
def test_p95_is_the_smallest_value_that_95_percent_do_not_exceed(values: list[float], tail: float) -> None:
    assert report.p95(values[::-1]) == tail


def test_the_table_says_what_was_missed_and_what_was_not_measured() -> None:
    lines = report.table([Row("Шаг", "с", 1.234, 12.34, ratio=123.4, target="≤ 1,5", met=False, note="n=3")]).split(
        "\n"
    )
    assert re.split(r"\s{2,}", lines[2]) == ["Шаг", "с", "1,23", "12,3", "–", "–", "123", "≤ 1,5", "НЕТ"]
    assert lines[3].strip() == "n=3"


def test_the_page_gets_the_kept_results_between_its_marks(tmp_path: Path) -> None:
    kept, page = tmp_path / "benchmarks.json", tmp_path / "benchmarks.md"
    page.write_text(f"до\n{report.BEGIN}\nстарое\n{report.END}\nпосле\n", encoding="utf-8")
    report.write_json(kept, [Report("Движок", [Row("Шаг", "с", 1.5)]), Report("Страницы", error="сломано")])
    report.write_json(kept, [Report("Движок", [Row("Шаг", "с", 2.5)])])
    report.publish(kept, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("до\n")
    assert text.endswith(f"{report.END}\nпосле\n")
    assert "| Шаг | с | 2,50 |" in text
    assert "Не измерено: сломано" in text
    assert "старое" not in text
    assert "1,50" not in text


def test_the_real_page_has_the_marks() -> None:
    text = report.PAGE.read_text(encoding="utf-8")
    assert text.index(report.BEGIN) < text.index(report.END)


def test_parts_of_the_engine_make_one_group() -> None:
    assert run.groups(["burst", "steps"]) == {"engine": ["steps", "burst"]}
    assert run.groups([])["engine"] == list(PARTS)
    with pytest.raises(SystemExit, match="не понимаю nonsense"):
        run.groups(["nonsense"])


def test_a_profile_counts_own_time_at_the_leaf_and_each_function_once_per_sample(tmp_path: Path) -> None:
    kept = tmp_path / "raw.txt"
    kept.write_text("a (/x/y/m.py:1);b (/x/y/m.py:2);a (/x/y/m.py:3) 3\na (/x/y/m.py:1) 1\n", encoding="utf-8")
    own, total = _top(kept, 5).split("со всем вызванным:")
    assert "100.0 %  a (y/m.py)" in own
    assert "100.0 %  a (y/m.py)" in total
    assert " 75.0 %  b (y/m.py)" in total
    assert "b (y/m.py)" not in own
