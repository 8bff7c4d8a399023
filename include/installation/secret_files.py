"""Keys and passwords of an installation: made once, kept in files that only the owner reads."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def _fernet() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _word() -> str:
    return secrets.token_urlsafe(48)


#: name of the file → how it is made
SECRETS: dict[str, Callable[[], str]] = {
    "fernet_key": _fernet,
    "jwt_secret": lambda: secrets.token_urlsafe(64),
    "api_secret_key": _word,
    "backoffice_secret": _word,
    "postgres_password": _word,
    "airflow_database_password": _word,
    "backoffice_database_password": _word,
}


def load_secrets(folder: Path) -> dict[str, str]:
    """Return every secret, making those that do not exist yet."""
    return {name: _load(folder / name, make) for name, make in SECRETS.items()}


def _load(path: Path, make: Callable[[], str]) -> str:
    """Read one secret; a missing one is written whole and linked into place, so nobody reads half of it."""
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        pass
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(make())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii")
