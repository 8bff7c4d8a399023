"""The nudge: Airflow's database says when a step begins to wait and when one has ended (docs/adr/0003, 0010).

Two triggers in Airflow's database: one only sends a notification, which the hub hears – it looks at a step that waits
and makes the run of a finished one the next that the scheduler examines, in its own short transaction (inside the
trigger it could deadlock with the scheduler); the other keeps our waits away from triggerers. Without them everything
works, slower. Use: ``python -m backoffice.nudge install | remove | check``.
"""

from __future__ import annotations

import sys

import psycopg

CHANNEL = "backoffice_nudge"
#: Triggers of this queue are taken by no triggerer: the hub ends their steps from outside (docs/adr/0010).
QUEUE = "backoffice"
CLASS_PATH = "backoffice.triggers.steps.StepTrigger"
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
      AND NEW.state IN ('deferred', 'success', 'failed', 'skipped', 'upstream_failed', 'removed'))
EXECUTE FUNCTION backoffice_nudge();
CREATE OR REPLACE FUNCTION backoffice_keep_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.queue := '{QUEUE}';
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS backoffice_keep_apart ON trigger;
CREATE TRIGGER backoffice_keep_apart BEFORE INSERT ON trigger FOR EACH ROW
WHEN (NEW.classpath = '{CLASS_PATH}')
EXECUTE FUNCTION backoffice_keep_apart();
"""
REMOVE = """
DROP TRIGGER IF EXISTS backoffice_nudge ON task_instance;
DROP FUNCTION IF EXISTS backoffice_nudge();
DROP TRIGGER IF EXISTS backoffice_keep_apart ON trigger;
DROP FUNCTION IF EXISTS backoffice_keep_apart();
"""
PRESENT = """
SELECT count(*) = 2 FROM pg_trigger
 WHERE (tgname, tgrelid) IN (
     ('backoffice_nudge', 'task_instance'::regclass), ('backoffice_keep_apart', 'trigger'::regclass))
"""


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
        return row is not None and bool(row[0])


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
