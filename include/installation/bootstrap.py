"""Makes the project's own environment (.venv) from requirements.lock; needs nothing but Python itself.

Run as a script by the Makefile with the system's Python: `python3 include/installation/bootstrap.py`. pip
installs uv by the hash in the lock, uv installs the rest by theirs. An unchanged lock costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = PROJECT / "requirements.lock"
STAMP = VENV / "backoffice-lock.json"
OLDEST, NEWEST = (3, 11), (3, 13)


def say(text: str) -> None:
    """Print one line at once."""
    print(text, flush=True)


def fail(text: str) -> None:
    """End with a message and no traceback."""
    print(f"Ошибка: {text}", file=sys.stderr)
    sys.exit(1)


def stamp() -> dict[str, str]:
    """Name what the environment is made of: the lock and this Python."""
    return {
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest(),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }


def is_ready(wanted: dict[str, str]) -> bool:
    """Tell whether the environment already is what the lock says."""
    try:
        known = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return PYTHON.exists() and isinstance(known, dict) and known.get("lock") == wanted["lock"]


def uv_lines() -> str:
    """Cut uv's own lines (version and hashes) out of the lock."""
    found = re.search(r"^uv==.*?(?=^\S)", LOCK.read_text(encoding="utf-8") + "\nend", re.MULTILINE | re.DOTALL)
    if found is None:
        fail("в requirements.lock нет uv; выполните make lock.")
        raise AssertionError
    return "\n".join(line for line in found.group(0).splitlines() if not line.lstrip().startswith("#"))


def environment() -> dict[str, str]:
    """Return the environment for pip and uv; uv learns of a company's own index from pip's settings."""
    strangers = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    values = {k: v for k, v in os.environ.items() if k not in strangers}
    values |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "VIRTUAL_ENV": str(VENV)}
    listing: list[str | Path] = [PYTHON, "-m", "pip", "config", "list"]
    told = subprocess.run(listing, env=values, capture_output=True, text=True, check=False).stdout
    settings = dict(re.findall(r"^[:\w]+\.([\w-]+)='(.*)'$", told, re.MULTILINE))
    for name, ours in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        if settings.get(name):
            values.setdefault(ours, settings[name])
    return values


def run(command: Sequence[str | Path], values: dict[str, str]) -> bool:
    """Run an installer, showing what it says."""
    return subprocess.run(command, env=values, cwd=PROJECT, check=False).returncode == 0


def make_venv() -> None:
    """Create .venv; a half-made or foreign one is replaced."""
    probe: list[str | Path] = [PYTHON, "-m", "pip", "--version"]
    if PYTHON.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    done = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(
            f"не удалось создать {VENV} ({(done.stdout + done.stderr).strip()}). "
            "В Debian и Ubuntu для этого нужен пакет python3-venv."
        )


def install() -> None:
    """Install everything that the lock names, and nothing else."""
    begun = time.monotonic()
    say(f"Окружение .venv: Python {sys.version.split()[0]}, пакеты из requirements.lock …")
    make_venv()
    values = environment()
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as lines:
        lines.write(uv_lines())
        lines.flush()
        pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes"]
        if not run([*pip, "--no-deps", "-r", lines.name], values):
            fail("pip не смог установить uv: проверьте доступ к PyPI (или к своему индексу пакетов).")
    uv: list[str | Path] = [
        VENV / "bin" / "uv",
        "pip",
        "install",
        "--python",
        PYTHON,
        "--require-hashes",
        "-r",
        LOCK,
    ]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    if not run([*uv, *quiet], values):
        say("uv не справился, пробуем pip (это дольше) …")
        if not run([*pip, "-r", LOCK], values):
            fail("пакеты не установлены: причина выше. Повторите команду, она продолжит.")
    say(f"Пакеты загружены и установлены за {time.monotonic() - begun:.0f} с.")


def main() -> None:
    """Bring .venv to what requirements.lock says, once even when called twice at the same time."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        fail(f"нужен Python 3.11-3.13, а это {sys.version.split()[0]}. Другой: make up PYTHON=python3.12")
    wanted = stamp()
    if is_ready(wanted):
        return
    with (PROJECT / ".venv.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Окружение уже создаёт другая команда, ждём …")
            fcntl.flock(file, fcntl.LOCK_EX)
        if not is_ready(wanted):
            STAMP.unlink(missing_ok=True)
            install()
            STAMP.write_text(json.dumps(wanted), encoding="utf-8")


if __name__ == "__main__":
    main()
