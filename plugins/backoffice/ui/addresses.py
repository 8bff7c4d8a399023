"""Full addresses of our pages, for letters and for copying."""

from __future__ import annotations

from airflow.configuration import conf
from fastapi import Request

ROOT = "/backoffice"


def full_address(request: Request, path: str) -> str:
    """Return the address of a page of ours as it works from anywhere: the configured one, else the one asked."""
    configured = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return f"{configured or f'{request.url.scheme}://{request.url.netloc}'}{ROOT}{path}"


def decide_address(request: Request, token: str) -> str:
    """Return the address of a decision link."""
    return full_address(request, f"/decide/{token}")
