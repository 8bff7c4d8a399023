"""One of several API servers behind one address: it serves a listening socket that the supervisor holds.

`airflow api-server` can only bind an address itself, and two programs cannot bind the same one. The kernel gives each
new connection to a server that takes it, so one that is dead, frozen or still starting is given none
(docs/adr/0005-supervisor.md). Each server also listens at a door of its own, where its health can be asked for.
"""

from __future__ import annotations

import argparse
import functools
import socket
import sys
from collections.abc import Sequence

import uvicorn

from include.installation import airflow_program
from include.installation.ports import bound


def main(arguments: Sequence[str]) -> None:
    """Run Airflow's own command on the given sockets."""
    parser = argparse.ArgumentParser(prog="include.installation.api_server")
    parser.add_argument("--door", type=int, required=True, help="порт этого сервера на 127.0.0.1")
    parser.add_argument("--socket", type=int, required=True, help="номер открытого надзором сокета общего адреса")
    chosen = parser.parse_args(arguments)
    sockets = [socket.socket(fileno=chosen.socket), bound("127.0.0.1", chosen.door)]
    # Airflow calls uvicorn.run(), which has no way to hand sockets over; Server.run() has.
    uvicorn.Server.run = functools.partialmethod(uvicorn.Server.run, sockets=sockets)  # type: ignore[assignment, method-assign]
    airflow_program.main(["api-server"])


if __name__ == "__main__":
    main(sys.argv[1:])
