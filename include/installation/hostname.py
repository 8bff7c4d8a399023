"""The name under which a program stands in Airflow's table of jobs."""

from __future__ import annotations

import os
import socket
from functools import cache


@cache
def _machine() -> str:
    name = socket.getfqdn()
    # every machine without a domain is "localhost": with a shared database one would end the rows of the other
    return socket.gethostname() if name in {"", "localhost", "localhost.localdomain"} else name


def hostname_of(replica: int) -> str:
    """Tell the job name of one replica; with it a dead program's row is told from its living twin's."""
    return _machine() if replica == 1 else f"{_machine()}-{replica}"


def program_hostname() -> str:
    """Return this process's name; Airflow calls it (`[core] hostname_callable`)."""
    return hostname_of(int(os.environ.get("BACKOFFICE_REPLICA") or "1"))
