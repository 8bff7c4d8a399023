"""What a failure of the database means for the person: try again, a value that cannot be stored, or our own fault."""

from __future__ import annotations

from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

TRY_AGAIN = "База данных сейчас занята или недоступна. Повторите через несколько секунд."
NOT_STORABLE = "Значение нельзя сохранить: недопустимые знаки или слишком большое число."
CHANGED_MEANWHILE = "Эти данные только что изменил кто-то другой. Обновите страницу и повторите."


def is_outage(error: BaseException) -> bool:
    """Say whether the database did not answer: connection lost, lock or statement timeout, no free connection."""
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)


def is_not_storable(error: BaseException) -> bool:
    """Say whether a value does not fit the database (NUL, lone surrogate, number out of range)."""
    return isinstance(error, DataError | UnicodeEncodeError)


def is_collision(error: BaseException) -> bool:
    """Say whether two acts met in one unique place and this one came second."""
    return isinstance(error, IntegrityError)
