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
        _refuse_other_address(installation)
        begun_up = not installation.supervisor_alive() or bool(installation.unhealthy())
        if begun_up:
            _bring_up(installation)
        else:
            say("Бэк-офис уже работает.")
        _start_demo(installation)
        if begun_up:
            say(f"Готово за {time.monotonic() - begun:.0f} с.")
    _print_page(installation)


def _refuse_other_address(installation: Installation) -> None:
    status = installation.status()
    address = (status.get("host"), status.get("port"))
    if installation.supervisor_alive() and address != (installation.places.host, installation.places.port):
        msg = f"Уже работает на {address[0]}:{address[1]}. Сменить адрес: make down, затем make up."
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
    if os.environ.get("CONFIRM") == "yes":
        return True
    if not sys.stdin.isatty():
        msg = f"Будет стёрто всё в {home}. Чтобы подтвердить без вопроса: make reset CONFIRM=yes"
        raise InstallationError(msg)
    return input(f"Будут стёрты все данные в {home}. Напишите «да»: ").strip().lower() in {"да", "yes"}


def migrate(installation: Installation) -> None:
    """Bring both databases to the present scheme; the database is started for it when it is down."""
    with _alone(installation):
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
    commands.add_parser("doctor").add_argument("--json", action="store_true")
    commands.add_parser("nudge").add_argument("act", choices=("install", "remove", "check"))
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
