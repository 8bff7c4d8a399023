"""Measures of the engine: the latency of a step, the burst, the price of waiting, a slow disk, deafness.

Parts (ONLY=): steps, burst, idle, deaf, slow. Ours come first; then, with BASELINE not 0, a plain Airflow.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.bench import meters
from tests.bench.database import NoCompiler
from tests.bench.plain import Plain
from tests.bench.report import Row, number, p95, summary
from tests.bench.stand import Stand, TooSlow

PARTS = ("steps", "burst", "idle", "deaf", "slow")
FEW = 10
STEPS_EACH = 4  # of the ten tasks of a case, so many are walked at one time: two such walks leave some
DEAF_AT = 500
FSYNC_MS = 5
STEP_TARGET, GROWTH_TARGET, BURST_TARGET = 1.5, 1.5, 15.0
MEMORY_TARGET, CPU_TARGET = 30.0, 25.0
CPU_ROWS = {
    "burst_drained": "шаг, закрытый вместе с другими",
    "walk_many": "шаг, закрытый отдельно",
    "fill": "новое дело до первого ожидания",
}
HOLDS_NO_WAITS = ("postgres", "scheduler", "api-server", "dag-processor")
KILLED = ("triggerer", "scheduler", "engine")
DEAF_TARGETS = {500: 8.0, 5000: 20.0}


def asked(name: str, default: int) -> int:
    """Return a whole number from the environment."""
    return int(os.environ.get(name) or default)


@dataclass(frozen=True)
class Sizes:
    """How much is measured; the defaults are those of the issue."""

    waiting: int = field(default_factory=lambda: asked("WAITING", 5000))
    burst: int = field(default_factory=lambda: asked("BURST", 500))
    samples: int = field(default_factory=lambda: asked("SAMPLES", 60))
    new_runs: int = field(default_factory=lambda: asked("NEW_RUNS", 20))
    idle_seconds: int = field(default_factory=lambda: asked("IDLE_SECONDS", 60))
    plain_waiting: int = field(default_factory=lambda: asked("PLAIN_WAITING", 300))
    plain_burst: int = field(default_factory=lambda: asked("PLAIN_BURST", 100))
    kills: int = field(default_factory=lambda: asked("KILLS", 3))


@dataclass
class Seen:
    """What one side of the bench showed; a value that was not measured is missing."""

    times: dict[str, list[float]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, meters.Cpu] = field(default_factory=dict)
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    profiles: list[str] = field(default_factory=list)


def say(text: str) -> None:
    """Tell what happens now; the result goes elsewhere."""
    print(f"   {text}", file=sys.stderr, flush=True)


def run(parts: Iterable[str] = PARTS, sizes: Sizes | None = None) -> tuple[list[Row], str]:
    """Measure the parts; returns the rows and the profiles."""
    parts, sizes = set(parts), sizes or Sizes()
    with workplace("ours") as home:
        ours = _ours(Stand(home), parts, sizes)
    plain = Seen()
    if parts & {"steps", "burst"} and os.environ.get("BASELINE", "yes") not in {"0", "no"}:
        with workplace("plain") as home:
            plain = _plain(Plain(home), parts, sizes)
    return rows(ours, plain, sizes), "\n\n".join(ours.profiles)


@contextmanager
def workplace(name: str) -> Any:
    """Give a folder that is gone afterwards (KEEP=yes leaves it)."""
    home = Path(tempfile.mkdtemp(prefix=f"backoffice-bench-{name}-"))
    home.chmod(0o711)
    try:
        yield home
    finally:
        if os.environ.get("KEEP") != "yes":
            shutil.rmtree(home, ignore_errors=True)


# --- ours -------------------------------------------------------------------------------------------------------


def _ours(stand: Stand, parts: set[str], sizes: Sizes) -> Seen:
    seen = Seen()
    try:
        if "slow" in parts:
            _slow(stand, seen, FEW, sizes)
            stand.stop()
        say("стенд: поднимаем бэк-офис")
        stand.start()
        if "idle" in parts:
            say(f"стенд: {sizes.idle_seconds} с покоя без ждущих дел")
            stand.settle_down(20)
            seen.cpu["idle_none"] = meters.idle_cpu(stand.pids(), sizes.idle_seconds)
        _fill(stand, seen, FEW)
        if "steps" in parts:
            _steps(stand, seen, "few", sizes)
        stand.settle_down(5)
        seen.memory["few"] = meters.pss_kb(stand.pids())
        if "deaf" in parts and sizes.waiting > DEAF_AT:
            _fill(stand, seen, DEAF_AT)
            _deaf(stand, seen, DEAF_AT, sizes)
        _fill(stand, seen, sizes.waiting)
        _many(stand, seen, parts, sizes)
        if "slow" in parts and "slow_few" in seen.times:
            stand.stop()
            _slow(stand, seen, sizes.waiting, sizes)
    except TooSlow as slow:
        seen.notes["error"] = str(slow)
        say(f"стенд: {slow}")
    finally:
        stand.stop()
    return seen


def _many(stand: Stand, seen: Seen, parts: set[str], sizes: Sizes) -> None:
    """Measure what is measured with all cases waiting."""
    stand.settle_down(20)
    seen.memory["many"] = meters.pss_kb(stand.pids())
    if "idle" in parts:
        say(f"стенд: {sizes.idle_seconds} с покоя с {stand.waiting()} ждущими")
        seen.cpu["idle_many"] = meters.idle_cpu(stand.pids(), sizes.idle_seconds)
    if "steps" in parts:
        _steps(stand, seen, "many", sizes)
    if "burst" in parts:
        _burst(stand, seen, sizes.burst, profile=os.environ.get("PROFILE") == "1")
    if "deaf" in parts:
        _deaf(stand, seen, sizes.waiting, sizes)


def _fill(side: Stand | Plain, seen: Seen, number: int) -> None:
    say(f"{side.title}: до {number} ждущих дел")
    missing = number - side.filled
    before = meters.cpu_seconds(side.pids())
    took = side.fill(number)
    if missing > 0:
        seen.cpu["fill"] = _each(meters.spent(before, meters.cpu_seconds(side.pids())), missing)
        seen.numbers["fill_rate"] = missing / took
        say(f"{side.title}: {number} ждут, {took:.0f} с, {sum(seen.cpu['fill'].values()):.2f} с процессора на дело")


def _steps(side: Stand | Plain, seen: Seen, name: str, sizes: Sizes) -> None:
    side.settle_down(5)
    samples, new_runs = (sizes.samples, sizes.new_runs) if isinstance(side, Stand) else (15, 5)
    samples = min(samples, STEPS_EACH * side.filled)
    say(f"{side.title}: {samples} шагов и {new_runs} новых прогонов по одному")
    before = meters.cpu_seconds(side.pids())
    walked = side.walk(samples)
    seen.cpu[f"walk_{name}"] = _each(meters.spent(before, meters.cpu_seconds(side.pids())), len(walked))
    seen.times[f"walk_{name}"] = walked
    seen.times[f"begin_{name}"] = side.begin(new_runs)
    say(f"{side.title}: шаг {_said(walked)}, новый прогон {_said(seen.times[f'begin_{name}'])}")


def _burst(side: Stand | Plain, seen: Seen, number: int, *, profile: bool) -> None:
    side.settle_down(5)
    say(f"{side.title}: {number} задач закрываются разом")
    spy = meters.Profile(Path(os.environ.get("PROFILES") or tempfile.gettempdir()) / "backoffice-bench-profiles")
    if profile:
        spy.start(side.pids())
    before = meters.cpu_seconds(side.pids())
    with meters.watched_backlog(side.airflow_url) as backlog:
        done, closed, opened = side.burst(number)
        cpu = meters.spent(before, meters.cpu_seconds(side.pids()))
        seen.numbers["backlog_at_end"] = backlog.left
        side.settle_down(0)
    if profile:
        seen.profiles.append(f"Очередь из {done} задач, py-spy:\n{spy.stop()}")
    drained = meters.spent(before, meters.cpu_seconds(side.pids()))
    seen.cpu["burst"], seen.cpu["burst_drained"] = _each(cpu, done), _each(drained, done)
    seen.numbers |= {
        "burst": done, "burst_closed": closed, "burst_opened": opened, "burst_rate": done / opened,
        "backlog": backlog.largest, "parser_cpu": drained.get("dag-processor", 0.0),
    }  # fmt: skip
    say(f"{side.title}: закрыто за {closed:.1f} с, все открыты за {opened:.1f} с: {done / opened:.1f} шаг/с")


def _deaf(stand: Stand, seen: Seen, number: int, sizes: Sizes) -> None:
    for program in [one for one in KILLED if one in stand.pids()]:
        times: list[float] = []
        for _ in range(sizes.kills):
            stand.settle_down(20)
            times += stand.deaf(program, 5)
        seen.times[f"deaf_{program}_{number}"] = times
        say(f"стенд: kill -9 {program} при {number} ждущих, глухо {_said(times)}")


def _slow(stand: Stand, seen: Seen, number: int, sizes: Sizes) -> None:
    """Walk steps on a disk that is slow to sync, with two of each that moves cases."""
    name = "slow_few" if number == FEW else "slow_many"
    say(f"стенд: медленный диск, по два scheduler, triggerer и engine, {number} ждущих")
    try:
        stand.start(replicas="scheduler=2,triggerer=2,engine=2", fsync_ms=FSYNC_MS)
    except NoCompiler as missing:
        seen.notes["slow"] = str(missing)
        return
    _fill(stand, seen, number)
    stand.settle_down(60 if number > DEAF_AT else 20)  # the second of each takes its share
    stand.walk(3)
    commit = stand.database.commit_ms()
    seen.times[name] = stand.walk(min(sizes.samples, STEPS_EACH * stand.filled))
    seen.notes[name] = f"запись {number_text(commit)} мс"
    say(f"стенд: медленный диск (запись {commit:.1f} мс), {number} ждущих: шаг {_said(seen.times[name])}")


def number_text(value: float) -> str:
    """Write a number for a note."""
    return number(value)


def _each(cpu: meters.Cpu, number: int) -> meters.Cpu:
    return {name: value / max(1, number) for name, value in cpu.items()}


def _said(times: list[float]) -> str:
    return f"медиана {summary(times)[0]:.2f} с, p95 {p95(times):.2f} с (n={len(times)})" if times else "не измерено"


# --- the baseline -----------------------------------------------------------------------------------------------


def _plain(plain: Plain, parts: set[str], sizes: Sizes) -> Seen:
    seen = Seen()
    try:
        say("база: поднимаем Airflow как он есть")
        plain.start()
        _fill(plain, seen, FEW)
        if "steps" in parts:
            _steps(plain, seen, "few", sizes)
        _fill(plain, seen, max(sizes.plain_waiting, sizes.plain_burst))
        if "steps" in parts:
            _steps(plain, seen, "many", sizes)
        if "burst" in parts:
            _burst(plain, seen, sizes.plain_burst, profile=False)
    except TooSlow as slow:
        seen.notes["error"] = str(slow)
        say(f"база: {slow}")
    finally:
        plain.stop()
    return seen


# --- rows -------------------------------------------------------------------------------------------------------


def rows(ours: Seen, plain: Seen, sizes: Sizes) -> list[Row]:
    """Make the table's rows of what both sides showed."""
    made = [
        *_latency_rows(ours, plain, sizes),
        *_burst_rows(ours, plain),
        *_cpu_rows(ours, plain),
        *_waiting_rows(ours, sizes),
        *_slow_rows(ours, sizes),
        *_deaf_rows(ours),
    ]
    for side, who in ((ours, "мы"), (plain, "база")):
        if "error" in side.notes:
            made.append(Row(f"Не доведено до конца ({who})", "", note=side.notes["error"], met=False))
    return made


def _latency_rows(ours: Seen, plain: Seen, sizes: Sizes) -> list[Row]:
    made = []
    base = f"база: {FEW} и {sizes.plain_waiting} ждущих"
    for key, said in (("walk", "Событие → следующий ждущий шаг"), ("begin", "Событие → первый шаг нового прогона")):
        for name, count in (("few", FEW), ("many", sizes.waiting)):
            times = ours.times.get(f"{key}_{name}")
            if times:
                made.append(
                    _times_row(
                        f"{said}, ждут {_count(count)}", times, plain.times.get(f"{key}_{name}"),
                        f"p95 ≤ {number(STEP_TARGET)} с", p95(times) <= STEP_TARGET, base,
                    )
                )  # fmt: skip
        made += _growth_row(f"{said}: {_count(sizes.waiting)} против {FEW}", ours.times, key)
    return made


def _growth_row(name: str, times: dict[str, list[float]], key: str, few: str = "few", many: str = "many") -> list[Row]:
    small, large = times.get(f"{key}_{few}"), times.get(f"{key}_{many}")
    if not small or not large:
        return []
    middle, tail = summary(large)[0] / summary(small)[0], p95(large) / p95(small)
    return [Row(name, "раз", middle, tail, target=f"≤ {number(GROWTH_TARGET)}", met=tail <= GROWTH_TARGET)]


def _times_row(
    name: str, times: list[float], plain: list[float] | None, target: str, met: bool | None, base: str
) -> Row:
    median, tail = summary(times)
    other = summary(plain) if plain else None
    note = f"n={len(times)}" + (f"; {base}, n={len(plain)}" if plain else "")
    row = Row(name, "с", median, tail, target=target, met=met, note=note)
    if other is None:
        return row
    return replace(row, baseline_median=other[0], baseline_p95=other[1], ratio=other[0] / median)


def _burst_rows(ours: Seen, plain: Seen) -> list[Row]:
    if "burst_rate" not in ours.numbers:
        return []
    mine, base = ours.numbers, plain.numbers
    rate, other = mine["burst_rate"], base.get("burst_rate")
    note = f"{mine['burst']:.0f} задач закрыты за {number(mine['burst_closed'])} с, все следующие открыты за "
    note += f"{number(mine['burst_opened'])} с"
    if other:
        note += f"; база: {base['burst']:.0f} за {number(base['burst_opened'])} с"
    met = rate / other >= BURST_TARGET if other else None
    return [
        Row("Разом закрытые задачи → все следующие шаги", "шаг/с", rate, baseline_median=other,
            ratio=rate / other if other else None, target=f"≥ {number(BURST_TARGET)} × базы", met=met, note=note),
        Row("  очередь обратных вызовов (callback), наибольшая", "строк", mine["backlog"],
            baseline_median=base.get("backlog"),
            note=f"осталось, когда открылся последний шаг: {mine['backlog_at_end']:.0f}"),
        Row("  процессор dag-processor за это время и разбор очереди", "с", mine["parser_cpu"],
            baseline_median=base.get("parser_cpu")),
    ]  # fmt: skip


def _cpu_rows(ours: Seen, plain: Seen) -> list[Row]:
    made = []
    for key, said in CPU_ROWS.items():
        mine, base = ours.cpu.get(key), plain.cpu.get(key)
        if not mine:
            continue
        made.append(_cpu_row(f"Процессор на {said}: все программы", sum(mine.values()), base, None))
        made += [_cpu_row(f"  {name}", value, base, name) for name, value in mine.items()]
    return made


def _cpu_row(name: str, value: float, base: meters.Cpu | None, program: str | None) -> Row:
    other = None
    if base:
        other = sum(base.values()) if program is None else base.get(program)
    return Row(name, "с", value, baseline_median=other, ratio=other / value if other and value else None)


def _waiting_rows(ours: Seen, sizes: Sizes) -> list[Row]:
    made = []
    few, many = ours.memory.get("few"), ours.memory.get("many")
    if few and many and sizes.waiting > FEW:
        holding = [name for name in many if not name.startswith(HOLDS_NO_WAITS)]
        each = sum(many[name] - few.get(name, 0.0) for name in holding) / (sizes.waiting - FEW)
        note = f"PSS, МБ, {FEW} → {sizes.waiting} ждущих: " + _by_program(few, many, 1024)
        target = f"≤ {number(MEMORY_TARGET)} КБ"
        made.append(Row("Память на ждущее дело", "КБ", each, target=target, met=each <= MEMORY_TARGET, note=note))
    none, all_waiting = ours.cpu.get("idle_none"), ours.cpu.get("idle_many")
    if none and all_waiting:
        more = sum(all_waiting.values()) - sum(none.values())
        note = f"за {sizes.idle_seconds} с покоя, 0 → {sizes.waiting} ждущих: " + _by_program(none, all_waiting)
        target = f"≤ {number(CPU_TARGET)}"
        said = f"Процессор движка: {_count(sizes.waiting)} ждущих минус 0"
        made.append(Row(said, "% ядра", more, target=target, met=more <= CPU_TARGET, note=note))
    return made


def _by_program(before: meters.Cpu, after: meters.Cpu, per: float = 1) -> str:
    return ", ".join(f"{name} {number(before.get(name, 0.0) / per)} → {number(v / per)}" for name, v in after.items())


def _slow_rows(ours: Seen, sizes: Sizes) -> list[Row]:
    if "slow" in ours.notes:
        return [Row(f"+{FSYNC_MS} мс на fsync", "с", note=f"не измерено: {ours.notes['slow']}")]
    made = []
    for key, count in (("slow_few", FEW), ("slow_many", sizes.waiting)):
        times = ours.times.get(key)
        if times:
            name = f"Следующий ждущий шаг, +{FSYNC_MS} мс на fsync, программ по две, ждут {_count(count)}"
            median, tail = summary(times)
            note = f"n={len(times)}; {ours.notes[key]}"
            target = f"p95 ≤ {number(STEP_TARGET)} с"
            made.append(Row(name, "с", median, tail, target=target, met=tail <= STEP_TARGET, note=note))
    return made + _growth_row(f"  {_count(sizes.waiting)} против {FEW}", ours.times, "slow")


def _deaf_rows(ours: Seen) -> list[Row]:
    made = []
    for key, times in ours.times.items():
        if not key.startswith("deaf_"):
            continue
        _, program, count = key.split("_")
        limit = next(seconds for cases, seconds in DEAF_TARGETS.items() if int(count) <= cases or cases == 5000)
        median, tail = summary(times)
        met = max(times) <= limit
        note = f"n={len(times)}, наибольшее {number(max(times))} с"
        name = f"Глухота после kill -9 {program}, ждут {_count(int(count))}"
        made.append(Row(name, "с", median, tail, target=f"≤ {number(limit)} с", met=met, note=note))
    return made


def _count(number_: int) -> str:
    return f"{number_:,}".replace(",", " ")


def interruptible(main: Callable[[], int]) -> int:
    """Run so that a SIGTERM unwinds like Ctrl-C: what was started is stopped."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        return main()
    except KeyboardInterrupt:
        return 130
