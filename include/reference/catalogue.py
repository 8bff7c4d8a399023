"""The reference data itself: funnels with stages, fields of the deal (R002-5), roles (R002-4), settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from include.retention.rules import FOREVER, KINDS

GOODS, SERVICES = "goods", "services"


@dataclass(frozen=True)
class StageRow:
    """A stage; ``kind`` is open, won or lost."""

    code: str
    title: str
    kind: str = "open"


@dataclass(frozen=True)
class FunnelRow:
    """A funnel with its stages in order."""

    code: str
    title: str
    stages: tuple[StageRow, ...]


@dataclass(frozen=True)
class FieldRow:
    """A field of the deal; without ``funnel`` it belongs to both directions."""

    code: str
    title: str
    kind: str
    funnel: str | None = None
    choices: dict[str, str] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """Return what is stored beside the kind."""
        return {"choices": self.choices} if self.choices else {}


@dataclass(frozen=True)
class SettingRow:
    """A setting that belongs to no single process."""

    code: str
    title: str
    kind: str
    default: Any


FUNNELS = (
    FunnelRow(
        GOODS,
        "Товары",
        (
            StageRow("new", "Не обработан"),
            StageRow("identification", "Экспресс-идентификация"),
            StageRow("quote", "Счет/КП"),
            StageRow("contract", "Договор"),
            StageRow("picking", "Комплектация"),
            StageRow("shipping", "Отгрузка"),
            StageRow("wrap_up", "Подведение итогов"),
            StageRow("won", "Сделка успешна", "won"),
            StageRow("lost", "Сделка проиграна", "lost"),
        ),
    ),
    FunnelRow(
        SERVICES,
        "Услуги",
        (
            StageRow("new", "Не обработан"),
            StageRow("identification", "Первичная идентификация"),
            StageRow("quote", "Счет/КП"),
            StageRow("contract", "Договор"),
            StageRow("site_visit", "Ожидание выезда на объект"),
            StageRow("in_work", "В работе"),
            StageRow("wrap_up", "Подведение итогов"),
            StageRow("won", "Сделка успешна", "won"),
            StageRow("lost", "Сделка проиграна", "lost"),
        ),
    ),
)

COMPLEXITY = {"simple": "простой", "complex": "сложный", "very_complex": "очень сложный"}
DELIVERY_TERMS = {"pickup": "самовывоз", "cdek": "СДЭК", "other": "другая доставка"}

#: «Сумма сделки», «Сумма оплаты» and the debt are columns of the deal, the client's time zone is its case's.
FIELDS = (
    FieldRow("emergency", "Экстренный случай", "bool", SERVICES),
    FieldRow("ready_on", "Плановая дата готовности", "datetime", SERVICES),
    FieldRow("complexity", "Сложность", "choice", GOODS, COMPLEXITY),
    FieldRow("quote_feedback_at", "Дата получения обратной связи по КП", "datetime"),
    FieldRow("contract_needed", "Нужен ли договор", "bool"),
    FieldRow("contract_feedback_at", "Дата получения обратной связи по Договору", "datetime"),
    FieldRow("contract_draft", "Проект договора", "file"),
    FieldRow("contract_signed", "Договор подписан", "bool"),
    FieldRow("report_feedback_at", "Дата обратной связи по Отчету", "datetime", SERVICES),
    FieldRow("delivery_terms", "Условие доставки", "choice", GOODS, DELIVERY_TERMS),
    FieldRow("fully_reserved", "Товар полностью зарезервирован", "bool", GOODS),
    FieldRow("track_number", "Трек-номер", "text", GOODS),
    FieldRow("originals_due_on", "Плановая дата получения оригиналов документов", "date"),
    FieldRow("has_originals", "Есть оригиналы документов", "bool"),
    FieldRow("works_executor", "Исполнитель работ", "person", SERVICES),
    FieldRow("product_manager", "Продакт", "person", GOODS),
    FieldRow("signed_on", "Дата подписания документов", "date"),
    FieldRow("sent_on", "Дата отправки документов", "date"),
    FieldRow("scans_on", "Дата получения сканов документов", "date"),
    FieldRow("originals_on", "Дата получения оригиналов документов", "date"),
)

ROLES = {
    "director": "Директор",
    "manager": "Менеджер",
    "head": "Руководитель",
    "product_manager": "Продакт",
    "works_executor": "Исполнитель работ",
    "accountant": "Бухгалтер",
    "contract_approver": "Утверждающий договор",
    "administrator": "Администратор",
    "one_c": "Ответственный за обмен с 1С",
    "registrar": "Регистратор обращений",
}

SETTINGS = (
    SettingRow("identification_term", "Срок экспресс-идентификации", "term", {"hours": 5}),
    SettingRow("identification_alarm", "Предупреждение об идентификации", "term", {"hours": 5}),
    SettingRow("approval_self_ban", "Своё не согласовывают: ни инициатор, ни загрузивший файл", "switch", True),
    SettingRow("decision_link_days", "Сколько дней действует ссылка для решения из письма", "number", 3),
    SettingRow("file_limit_mb", "Наибольший размер файла, МБ", "number", 50),
    SettingRow("contract_draft_role", "Кто оформляет нестандартный договор (пусто – ответственный)", "role", ""),
    SettingRow("contract_signed_blocks", "Без подписанного договора дальше не переводить", "switch", False),
    SettingRow(
        "order_stages", "Заказы в 1С: с какой стадии (и выигранные)", "text", "Товары: Комплектация; Услуги: В работе"
    ),
    SettingRow("order_since", "Заказы в 1С: сделки, созданные не раньше (дата; пусто – все)", "text", ""),
    SettingRow("order_organisation", "Заказы в 1С: организация, точно как в 1С", "text", ""),
    SettingRow("order_warehouse", "Заказы в 1С: склад, точно как в 1С", "text", ""),
    SettingRow("order_prefix", "Заказы в 1С: начало номера", "text", "СД-"),
    SettingRow("order_version", "Заказы в 1С: версия CommerceML (2.05 … 2.10, 3.1)", "text", "2.08"),
    SettingRow("order_encoding", "Заказы в 1С: кодировка (utf-8, windows-1251)", "text", "utf-8"),
    SettingRow("order_bom", "Заказы в 1С: метка BOM в начале файла UTF-8", "switch", True),
    SettingRow("order_container", "Заказы в 1С: документ внутри «Контейнера» (модуль Битрикс с 6.5)", "switch", False),
    SettingRow("order_currency", "Заказы в 1С: как в 1С называется рубль", "text", "руб"),
    SettingRow("order_file_name", "Заказы в 1С: имя файла", "text", "orders_{date}_{number}.xml"),
    SettingRow("order_to_folder", "Заказы в 1С: класть файлами в exchange/1c/outgoing", "switch", True),
    SettingRow("one_c_part_mb", "Обмен с 1С по HTTP: наибольшая часть файла, МБ", "number", 20),
    SettingRow("one_c_total_mb", "Обмен с 1С по HTTP: наибольший размер всего обмена, МБ", "number", 4096),
    SettingRow("one_c_zip", "Обмен с 1С по HTTP: принимать архивы zip", "switch", True),
    SettingRow("one_c_answer_encoding", "Обмен с 1С по HTTP: кодировка ответов (utf-8, windows-1251)", "text", "utf-8"),
    SettingRow("one_c_schema", "Обмен с 1С по HTTP: какую версию схемы назвать 1С (пусто – не называть)", "text", ""),
    SettingRow("exchange_deactivate_percent", "Обмен с 1С: спросить, если снимается больше, % товаров", "number", 10),
    SettingRow("reconciliation_payment_days", "Сверка: через сколько дней говорить о неразобранном", "number", 3),
    SettingRow("reconciliation_order_days", "Сверка: сколько дней ждать от 1С ответа на заказ", "number", 1),
    *(SettingRow(one.setting, f"{one.title}{FOREVER}", "number", one.days) for one in KINDS.values()),
)
