"""Sockets bound to an address of ours."""

from __future__ import annotations

import socket


def bound(host: str, port: int) -> socket.socket:
    """Bind an address without listening yet: until somebody serves it, callers are refused at once."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
