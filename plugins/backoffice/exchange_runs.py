"""Runs of the loading of exchanges that a person asks for on a page; what he decided is in the database already."""

from __future__ import annotations

import logging

from backoffice import airflow_api
from include.shared import clock
from include.staff.services import Viewer
from include.workplace.outages import is_outage

log = logging.getLogger(__name__)

LOADER = "exchange_1c_nightly"
BEGUN = "Загрузка начинается."
LATER = "Airflow сейчас не отвечает: загрузка начнётся с ближайшим запуском, самое позднее ночью."


def start(why: str, viewer: Viewer) -> bool:
    """Begin a run of the loading; False when Airflow cannot be asked now, and the nightly run will do it."""
    run_id = f"page__{why}__{clock.machine_now():%Y%m%dT%H%M%S}"
    try:
        airflow_api.create_run(LOADER, run_id, {"asked_by": viewer.login})
    except (LookupError, airflow_api.RunIdTaken) as error:
        log.warning("Загрузка %s не начата сразу: %s", run_id, error)
        return False
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("Загрузка %s не начата сразу: Airflow не отвечает (%s)", run_id, type(error).__name__)
        return False
    return True


def said(has_begun: bool) -> str:
    """Return in words when the loading begins."""
    return BEGUN if has_begun else LATER
