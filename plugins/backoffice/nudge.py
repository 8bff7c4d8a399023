"""The nudge: a finished step makes its run the next one that the scheduler examines (docs/adr/0003).

A trigger in Airflow's database only sends a notification; the relay hears it and updates that one ``dag_run`` row
in its own short transaction (inside the trigger it could deadlock with the scheduler). Without it everything works,
slower. Use: ``python -m backoffice.nudge install | remove | check``.
"""

from __future__ import annotations

import sys

import psycopg

CHANNEL = "backoffice_nudge"
INSTALL = f"""
CREATE OR REPLACE FUNCTION backoffice_nudge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('{CHANNEL}', json_build_object(
        'dag', NEW.dag_id, 'run', NEW.run_id, 'task', NEW.task_id, 'state', NEW.state)::text);
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS backoffice_nudge ON task_instance;
CREATE TRIGGER backoffice_nudge AFTER UPDATE OF state ON task_instance FOR EACH ROW
WHEN (NEW.state IS DISTINCT FROM OLD.state
      AND NEW.state IN ('success', 'failed', 'skipped', 'upstream_failed', 'removed'))
EXECUTE FUNCTION backoffice_nudge();
"""
REMOVE = """
DROP TRIGGER IF EXISTS backoffice_nudge ON task_instance;
DROP FUNCTION IF EXISTS backoffice_nudge();
"""
PRESENT = "SELECT count(*) FROM pg_trigger WHERE tgname = 'backoffice_nudge' AND tgrelid = 'task_instance'::regclass"


def airflow_libpq_url() -> str:
    """Return the address of Airflow's database for a direct connection (LISTEN needs one)."""
    from airflow.configuration import conf  # noqa: PLC0415 - install and check need no Airflow

    url = conf.get_mandatory_value("database", "sql_alchemy_conn")
    head, separator, tail = url.partition("://")
    return f"{head.partition('+')[0]}{separator}{tail}"


def install(url: str) -> None:
    """Install the trigger; repeated, it replaces the one before."""
    with psycopg.connect(url) as connection:
        connection.execute(INSTALL)


def remove(url: str) -> None:
    """Remove the trigger; processes go on, slower."""
    with psycopg.connect(url) as connection:
        connection.execute(REMOVE)


def present(url: str) -> bool:
    """Say whether the trigger is installed."""
    with psycopg.connect(url) as connection:
        row = connection.execute(PRESENT).fetchone()
        return row is not None and row[0] > 0


def main(arguments: list[str]) -> int:
    """Run one of the commands; returns the process's exit code."""
    url = airflow_libpq_url()
    command = arguments[0] if arguments else "check"
    if command == "install":
        install(url)
    elif command == "remove":
        remove(url)
    elif command != "check":
        print("Команды: install, remove, check", file=sys.stderr)
        return 2
    installed = present(url)
    print("Подталкивание планировщика установлено." if installed else "Подталкивания планировщика нет.")
    return 0 if installed or command == "remove" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
