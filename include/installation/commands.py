"""What `make up`, `make down`, `make reset`, `make migrate` do and say."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from include.installation import backup as take_backup
from include.installation import restore as bring_back
from include.installation.errors import InstallationError
from include.installation.installation import Installation
from include.installation.places import PROJECT


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(text, flush=True)


@contextmanager
def _alone(installation: Installation) -> Iterator[None]:
    """Let one command at a time change the installation."""
    installation.places.create()
    with (installation.places.run / "command.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            msg = f"С {installation.places.home} уже работает другая команда make: дождитесь её."
            raise InstallationError(msg) from error
        yield


def up(installation: Installation) -> None:
    """Bring the back office up, or say that it is up already."""
    begun = time.monotonic()
    with _alone(installation):
        _refuse_half_restored(installation)
        _refuse_other_start(installation)
        begun_up = not installation.supervisor_alive() or bool(installation.unhealthy())
        if begun_up:
            _bring_up(installation)
        else:
            say("Бэк-офис уже работает.")
        _start_demo(installation)
        if begun_up:
            say(f"Готово за {time.monotonic() - begun:.0f} с.")
    _print_page(installation)


def _refuse_other_start(installation: Installation) -> None:
    status = installation.status()
    address = (status.get("host"), status.get("port"))
    if installation.supervisor_alive() and address != (installation.places.host, installation.places.port):
        msg = f"Уже работает на {address[0]}:{address[1]}. Сменить адрес: make down, затем make up."
        raise InstallationError(msg)
    running, wanted = set(status.get("programs", {})), {one.name for one in installation.programs()}
    if installation.supervisor_alive() and installation.outer.get("REPLICAS") and running != wanted:
        msg = (
            f"Уже работает: {', '.join(sorted(running))}. Сменить число программ: make down, затем REPLICAS=… make up."
        )
        raise InstallationError(msg)


def _refuse_half_restored(installation: Installation) -> None:
    unfinished = installation.places.unfinished_restore
    if unfinished.exists():
        source = unfinished.read_text(encoding="utf-8").strip()
        msg = f"Восстановление было прервано, данные не целы. Повторите: make restore FROM={source}"
        raise InstallationError(msg)


def _bring_up(installation: Installation) -> None:
    was_up = installation.supervisor_alive()
    try:
        say("1/4 База данных")
        installation.start_postgres_only()
        say("2/4 Схемы баз данных")
        installation.migrate()
        if installation.demo:
            installation.command("include.demo", title="Демонстрационная компания")
    except BaseException:
        if not was_up:
            installation.stop()  # nothing works yet: leave nothing behind
        raise
    say("3/4 Запуск программ (около минуты)")
    installation.start()
    installation.wait_healthy(300)


def _start_demo(installation: Installation) -> None:
    """Create and move the first deals once, also when the first attempt was interrupted."""
    started = installation.places.home / "demo-started"
    if installation.demo and not started.exists():
        say("4/4 Первые дела")
        installation.command("include.demo", "start", title="Демонстрационные сделки")
        started.touch()


def _print_page(installation: Installation) -> None:
    places = installation.places
    lines = [
        "",
        "─" * 72,
        f"  Бэк-офис:   {installation.base_url}/backoffice/",
        f"  Airflow:    {installation.base_url}/",
        f"  Данные:     {places.home}",
    ]
    if installation.demo:
        summary = installation.command("include.demo", "summary").rstrip()
        lines += ["", *(f"  {line}" for line in summary.splitlines())]
    lines += [
        "",
        "  Проверить:  make doctor",
        "  Остановить: make down        Стереть всё: make reset",
        "─" * 72,
    ]
    say("\n".join(lines))


def down(installation: Installation) -> None:
    """Stop what this installation started."""
    stopped = installation.stop() if installation.places.home.exists() else []
    say(f"Остановлено: {', '.join(stopped)}." if stopped else "Бэк-офис не был запущен.")


def reset(installation: Installation) -> None:
    """Stop and delete everything, after asking."""
    home = installation.places.home
    if not home.exists():
        say(f"Стирать нечего: {home} нет.")
        return
    if not _confirmed(installation):
        say("Ничего не изменено.")
        return
    down(installation)
    shutil.rmtree(home)
    say(f"Стёрто: {home}")


def _confirmed(installation: Installation) -> bool:
    home = installation.places.home
    if home in {PROJECT, *PROJECT.parents} or not (installation.places.secrets.exists() or not any(home.iterdir())):
        msg = f"{home} не похож на папку бэк-офиса: не стираю."
        raise InstallationError(msg)
    copies = " вместе с резервными копиями" if installation.places.backups.exists() else ""
    return _agreed(f"Будут стёрты все данные в {home}{copies}.", "make reset CONFIRM=yes")


def _agreed(what: str, command: str) -> bool:
    """Ask a person; without a terminal the command itself must say CONFIRM=yes."""
    if os.environ.get("CONFIRM") == "yes":
        return True
    if not sys.stdin.isatty():
        msg = f"{what} Чтобы подтвердить без вопроса: {command}"
        raise InstallationError(msg)
    return input(f"{what} Напишите «да»: ").strip().lower() in {"да", "yes"}


def backup(installation: Installation, to: str, keep: str) -> None:
    """Take a verified backup while everything works; with `keep` remove the oldest ones afterwards."""
    if keep and not (keep.isdecimal() and int(keep) >= 1):
        msg = f"KEEP={keep!r} не годится: сколько копий хранить, например KEEP=14."
        raise InstallationError(msg)
    target = Path(to).expanduser().resolve() if to else take_backup.default_target(installation)
    if not installation.places.home.exists():
        msg = f"Копировать нечего: {installation.places.home} нет."
        raise InstallationError(msg)
    with _alone(installation):
        _refuse_half_restored(installation)
        take_backup.take(installation, target, keep=int(keep) if keep else None)


def restore(installation: Installation, source: str) -> None:
    """Lay a backup out in a fresh or stopped home, after asking when something would be replaced."""
    if not source:
        msg = "Назовите папку копии: make restore FROM=<папка>"
        raise InstallationError(msg)
    folder = Path(source).expanduser().resolve()
    home = installation.places.home
    known = bring_back.check(installation, folder)
    question = f"Данные в {home} будут заменены копией от {known.taken_at} (прежние отложены рядом)."
    if not bring_back.is_fresh(installation) and not _agreed(question, f"make restore FROM={folder} CONFIRM=yes"):
        say("Ничего не изменено.")
        return
    with _alone(installation):
        bring_back.refuse_running(installation)
        bring_back.restore(installation, folder, known)


def migrate(installation: Installation) -> None:
    """Bring both databases to the present scheme; the database is started for it when it is down."""
    with _alone(installation):
        _refuse_half_restored(installation)
        was_up = installation.supervisor_alive()
        installation.start_postgres_only()
        try:
            installation.migrate()
        finally:
            if not was_up:
                installation.stop()
    say("Схемы баз данных в порядке.")


def status(installation: Installation) -> None:
    """Say in one line per program whether it runs."""
    programs = installation.status().get("programs", {})
    if not installation.supervisor_alive():
        say("Бэк-офис не запущен (make up).")
    for name, one in programs.items():
        say(f"{name:14} {one['state']:9} pid {one['pid'] or '—'}  смертей {one['deaths']}  {one['title']}")


def main(arguments: Sequence[str]) -> int:
    """Run one command; an error is told in words, without a traceback."""
    parser = argparse.ArgumentParser(prog="include.installation")
    commands = parser.add_subparsers(dest="name", required=True)
    for name in ("up", "down", "reset", "migrate", "status"):
        commands.add_parser(name)
    saving = commands.add_parser("backup")
    saving.add_argument("--to", default="")
    saving.add_argument("--keep", default="")
    commands.add_parser("restore").add_argument("--from", dest="source", default="")
    commands.add_parser("doctor").add_argument("--json", action="store_true")
    commands.add_parser("nudge").add_argument("act", choices=("install", "remove", "check"))
    commands.add_parser("retention").add_argument("act", choices=("run", "dry"))
    supervise = commands.add_parser("supervise")
    supervise.add_argument("--parent", type=int)
    supervise.add_argument("--throw-away", action="store_true")
    chosen = parser.parse_args(arguments)
    try:
        installation = Installation.from_environment(say, keep=not getattr(chosen, "throw_away", False))
        if chosen.name == "supervise":
            installation.supervise(chosen.parent)
        elif chosen.name == "doctor":
            from include.installation.doctor import run  # noqa: PLC0415 - only this command asks the databases

            return run(installation, as_json=chosen.json)
        elif chosen.name == "backup":
            backup(installation, chosen.to, chosen.keep)
        elif chosen.name == "restore":
            restore(installation, chosen.source)
        elif chosen.name == "retention":
            say(installation.command("backoffice.retention", chosen.act).strip())
        elif chosen.name == "nudge":
            say(installation.command("backoffice.nudge", chosen.act).strip())
        else:
            {"up": up, "down": down, "reset": reset, "migrate": migrate, "status": status}[chosen.name](installation)
    except InstallationError as error:
        print(f"Ошибка: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nПрервано. Повторите команду: она продолжит с того же места.", file=sys.stderr)
        return 130
    return 0
