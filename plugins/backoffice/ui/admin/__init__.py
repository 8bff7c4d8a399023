"""Reference data and settings (R002-2, AG-5): starlette-admin's registers over the services of include/."""

from __future__ import annotations

from fastapi import FastAPI

from backoffice.ui.admin.site import Site
from backoffice.ui.admin.views_deals import Directions, Fields, Stages
from backoffice.ui.admin.views_settings import Days, Settings
from backoffice.ui.admin.views_staff import Absences, Departments, Employees, Holders, Logins, Roles

REGISTERS = (Settings, Days, Departments, Employees, Logins, Roles, Holders, Absences, Directions, Stages, Fields)


def mount(app: FastAPI) -> Site:
    """Mount the registers at ``/admin`` of the pages' app, for administrators only."""
    site = Site()
    for register in REGISTERS:
        site.add_view(register)
    site.mount_to(app)
    return site
