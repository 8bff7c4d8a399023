"""All pages of the staff: one router per subject, and the page that says what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes import (
    one_c_http,
    pages_approvals,
    pages_board,
    pages_day,
    pages_deals,
    pages_exchange,
    pages_files,
    pages_forms,
    pages_invoices,
    pages_login,
    pages_me,
    pages_money,
    pages_nomenclature,
    pages_one_c,
    pages_ops,
    pages_orders,
    pages_people,
    pages_reconciliation,
    pages_search,
    pages_settings,
    pages_statements,
    pages_talk,
    pages_tasks,
    pages_twins,
)
from backoffice.ui.routes.pages_common import local_address, page

router = APIRouter(include_in_schema=False)
# /deals/new stands before /deals/{deal_id}
PARTS = (
    pages_login,
    pages_day,
    pages_tasks,
    pages_forms,
    pages_board,
    pages_deals,
    pages_settings,
    pages_approvals,
    pages_files,
    pages_talk,
    pages_search,
    pages_me,
    pages_people,
    pages_ops,
    one_c_http,
    pages_one_c,
    pages_orders,
    pages_statements,
    pages_invoices,
    pages_money,
    pages_reconciliation,
    pages_exchange,
    pages_nomenclature,
    pages_twins,
)
for part in PARTS:
    router.include_router(part.router)

TITLES = {
    403: "Сюда нет доступа",
    404: "Ничего не найдено",
    405: "Так сюда не попасть",
    409: "Пока вы смотрели, всё изменилось",
    413: "Слишком много данных",
    422: "Не получилось прочитать запрос",
    429: "Слишком много попыток",
    500: "У нас ошибка",
    503: "Система занята",
}
ADVICE = {
    403: "Если доступ нужен для работы, попросите своего руководителя или администратора.",
    404: "Проверьте адрес или найдите нужное поиском.",
    409: "Вернитесь, обновите страницу и повторите действие.",
    413: "Сократите текст и повторите.",
    422: "Вернитесь, проверьте введённое и повторите.",
    429: "Подождите пять минут и попробуйте снова.",
    500: "Введённое не сохранено. Повторите позже; если не поможет, назовите номер администратору.",
    503: "Ничего не потеряно. Подождите несколько секунд и обновите страницу.",
}


def error_page(request: Request, status: int, message: str, missing: list[Mapping[str, Any]]) -> Response:
    """Return a failure as a page in plain words; reads nothing from the database."""
    asked_from = request.headers.get("referer", "")
    back = local_address(asked_from.removeprefix(f"{request.url.scheme}://{request.url.netloc}"), "")
    return page(
        request, getattr(request.state, "viewer", None), "error.html", status=status, quick=True,
        title=TITLES.get(status, "Не получилось"), message=message, advice=ADVICE.get(status), code=status,
        missing=missing, back=back if back and back != request.url.path else "",
    )  # fmt: skip
