"""The one Airflow plugin: mounts our pages at /backoffice and puts a plain link to them into Airflow's menu."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class BackofficePlugin(AirflowPlugin):
    """Pages, API and the loops of the engine."""

    name = "backoffice"
    external_views = [  # noqa: RUF012 - Airflow declares it so
        # no url_route: with it Airflow would show the page in a sandboxed frame
        {"name": "Бэк-офис", "href": "/backoffice/", "destination": "nav"}
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The app, made when the API server asks: every other program of Airflow loads this file, too."""
        from backoffice.ui.app import create_app  # noqa: PLC0415

        return [{"app": create_app(), "url_prefix": "/backoffice", "name": "backoffice"}]
