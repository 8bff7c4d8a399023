"""The business database: declarative base, engine and the types that every model uses."""

from __future__ import annotations

import os
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Engine,
    Identity,
    MetaData,
    Numeric,
    any_,
    create_engine,
    literal,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, mapped_column

DATABASE_URL_VARIABLE = "BACKOFFICE_DATABASE_URL"
POOL_SIZE = 8
QUERIES = Path(__file__).resolve().parents[2] / "sql" / "queries"

Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Money = Annotated[Decimal, mapped_column(Numeric(18, 2))]
Json = dict[str, Any]


class Base(DeclarativeBase):
    """Base of all business tables; names of constraints are fixed so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {Json: JSONB, datetime: DateTime(timezone=True), int: BigInteger}  # noqa: RUF012


def database_url() -> str:
    """Return the SQLAlchemy URL of the business database; RuntimeError when it is not configured."""
    url = os.environ.get(DATABASE_URL_VARIABLE)
    if not url:
        msg = f"Не задан адрес базы: переменная {DATABASE_URL_VARIABLE}. Запускайте через make up."
        raise RuntimeError(msg)
    return url


@lru_cache(maxsize=4)
def _engine(url: str) -> Engine:
    import include.models  # noqa: F401, PLC0415 - every process needs the whole metadata, whatever it imported itself

    return create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=30,
        hide_parameters=True,  # an error is logged with its statement, never with the people in it
        connect_args={
            "connect_timeout": 5,
            "application_name": "backoffice",
            # lock_timeout keeps a stuck page from queueing others; statement_timeout ends a runaway query
            "options": "-c statement_timeout=10000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=60000"
            # no question of a page is worth helpers: starting them takes longer (12 ms) than answering it alone
            " -c max_parallel_workers_per_gather=0 -c jit=off",
        },
    )


def engine() -> Engine:
    """Return this process's engine (one pool of eight connections per process)."""
    return _engine(database_url())


def among(column: ColumnElement[int] | InstrumentedAttribute[int], ids: Collection[int]) -> ColumnElement[bool]:
    """Return «the id is one of these» with the ids as one array: a list of any length is the same statement."""
    return column == any_(literal(list(ids), ARRAY(BigInteger)))


def libpq_url() -> str:
    """Return the same address for drivers that speak plain libpq (LISTEN connections)."""
    return database_url().replace("postgresql+psycopg://", "postgresql://", 1)


@lru_cache(maxsize=256)
def query_text(name: str) -> str:
    """Return the text of ``sql/queries/<name>.sql``, e.g. ``process/stale_steps``."""
    return (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
