"""Selling goods: КП, contract, its approval, the words they need, and debt. Read them as the companies' own text.

Times count from Monday 09:00. «открыто» lists everything open on the deal, «сказано» everybody told since the row
before; nothing more and nothing less.
"""

from __future__ import annotations

from decimal import Decimal

from tests.scenarios.table import (
    Row,
    Scenario,
    agrees,
    cannot_close,
    cannot_decide,
    cannot_reject_without_reason,
    closes,
    fills,
    gives_role,
    goes_away,
    moves,
    presses,
    rejects,
    reopens,
    says_not_yet,
    several,
    uploads,
)

QUOTE_STAGE, CONTRACT_STAGE, AWAY = "Счет/КП", "Договор", "Отгрузка"
QUOTE, COMPLEXITY = "Сформировать и отправить КП", "Указать сложность сделки"
FEEDBACK, FEEDBACK_AGAIN = "Получить обратную связь по КП", "Получить обратную связь по КП/счету"
NEW_DATE = "Актуализировать дату получения обратной связи"
NEEDED, SEND = "Указать, нужен ли договор", "Сформировать и отправить Договор"
CONTRACT_DATE = "Заполнить дату получения обратной связи по Договору"
CONTRACT_FEEDBACK = "Получить обратную связь по договору"
CONTRACT_FEEDBACK_AGAIN = "Получить обратную связь по Договору"  # the companies write it both ways
DRAFT, FIX = "Оформить нестандартный договор", "Устранить замечания к проекту договора"
ASKED = "Ждёт вашего решения: «Согласовать проект договора»"


def given(who: str, title: str, at: str) -> str:
    """«кому: вам поставлена задача – когда»."""
    return f"{who}: Вам поставлена задача «{title}» – {at}"


STORIES = [
    Scenario(
        "R002-14 R002-15 R002-16 R002-17 R002-18 R002-19 R002-24 R002-25 AG-7",
        "КП: простой случай, дожим до ухода со стадии",
        "Товары",
        "Иванова",
        [
            Row(
                "0", "Иванова", moves(QUOTE_STAGE),
                open=[f"{QUOTE} – Иванова – 4 ч"],
                told=[given("Иванова", QUOTE, "0")],
            ),
            Row(
                "4 ч", "", None,
                open=[f"{QUOTE} – Иванова – 4 ч"],
                told=["Иванова: КП ещё не отправлено – 4 ч", f"Соколов: Просрочена задача «{QUOTE}» – 4 ч"],
            ),
            Row(
                "5 ч", "Иванова", closes(QUOTE),
                open=[f"{FEEDBACK} – Иванова – 3 дн 5 ч"],
                told=[given("Иванова", FEEDBACK, "5 ч")],
            ),
            Row(
                "3 дн 5 ч 30 мин", "", None,
                open=[f"{FEEDBACK} – Иванова – 3 дн 5 ч"],
                told=[
                    "Иванова: Нет обратной связи по КП – 3 дн 5 ч",
                    f"Соколов: Просрочена задача «{FEEDBACK}» – 3 дн 5 ч",
                ],
            ),
            Row("3 дн 6 ч", "Иванова", closes(FEEDBACK), line="сделка всё ещё на стадии"),
            Row("3 дн 17 ч", "", None),
            Row(
                "3 дн 18 ч 30 мин", "Иванова", cannot_close(NEW_DATE, "ещё не изменено"),
                open=[f"{NEW_DATE} – Иванова"],
                told=[given("Иванова", NEW_DATE, "3 дн 18 ч")],
            ),
            Row(
                "3 дн 20 ч", "Иванова", fills(quote_feedback_at="{start}+5 дн"),
                open=[f"{FEEDBACK_AGAIN} – Иванова – 5 дн"],
                told=[given("Иванова", FEEDBACK_AGAIN, "3 дн 20 ч")],
            ),
            Row(
                "5 дн 30 мин", "", None,
                open=[f"{FEEDBACK_AGAIN} – Иванова – 5 дн"],
                told=[
                    "Иванова: Нет обратной связи по КП – 5 дн",
                    f"Соколов: Просрочена задача «{FEEDBACK_AGAIN}» – 5 дн",
                ],
            ),
            Row("5 дн 1 ч", "Иванова", closes(FEEDBACK_AGAIN)),
            Row(
                "5 дн 2 ч", "Иванова", fills(quote_feedback_at="{start}+6 дн"),
                open=[f"{FEEDBACK_AGAIN} – Иванова – 6 дн"],
                told=[given("Иванова", FEEDBACK_AGAIN, "5 дн 2 ч")],
            ),
            Row(
                "5 дн 3 ч", "Иванова", closes(FEEDBACK_AGAIN),
                told=["Соколов: Обратную связь по КП запрашивают уже несколько кругов – 5 дн 3 ч"],
            ),
            Row("5 дн 4 ч", "Иванова", moves(AWAY)),
            Row("5 дн 16 ч", "", None),
        ],
        fields={"complexity": "simple"},
    ),
    Scenario(
        "R002-15 R002-24 A2-6 A2-10",
        "КП: сложность и дата заполнены раньше, дата изменена дважды, затем не на стадии",
        "Товары",
        "Петров",
        [
            Row(
                "0", "Петров", moves(QUOTE_STAGE),
                open=[f"{QUOTE} – Петров – 1 дн", f"{COMPLEXITY} – Петров – 4 ч"],
                told=[given("Петров", QUOTE, "0"), given("Петров", COMPLEXITY, "0")],
            ),
            Row("1 ч", "Петров", fills(complexity="simple"), open=[f"{QUOTE} – Петров – 4 ч"]),
            Row("2 ч", "Петров", fills(quote_feedback_at="{start}+2 дн"), open=[f"{QUOTE} – Петров – 4 ч"]),
            Row(
                "3 ч", "Петров", closes(QUOTE),
                open=[f"{FEEDBACK} – Петров – 2 дн"],
                told=[given("Петров", FEEDBACK, "3 ч")],
            ),
            Row(
                "6 ч", "Петров", fills(quote_feedback_at="{start}+1 дн"),
                open=[f"{FEEDBACK_AGAIN} – Петров – 1 дн"],
                told=[given("Петров", FEEDBACK_AGAIN, "6 ч")],
            ),
            Row(
                "8 ч", "Петров", fills(quote_feedback_at="{start}+3 дн"),
                open=[f"{FEEDBACK_AGAIN} – Петров – 3 дн"],
                told=[given("Петров", FEEDBACK_AGAIN, "8 ч")],
            ),
            Row("1 дн 30 мин", "", None, open=[f"{FEEDBACK_AGAIN} – Петров – 3 дн"]),
            Row("1 дн 2 ч", "Петров", moves(AWAY)),
            Row("1 дн 3 ч", "Петров", fills(quote_feedback_at="{start}+4 дн")),
        ],
    ),
    Scenario(
        "AG-6 R002-18",
        "КП: ушла и вернулась на каждом шаге",
        "Товары",
        "Иванова",
        [
            Row(
                "0", "Иванова", moves(QUOTE_STAGE),
                open=[f"{QUOTE} – Иванова – 1 дн"], told=[given("Иванова", QUOTE, "0")],
            ),
            Row(
                "1 ч", "Иванова", several(moves(AWAY), moves(QUOTE_STAGE)),
                open=[f"{QUOTE} – Иванова – 1 дн 1 ч"], told=[given("Иванова", QUOTE, "1 ч")],
            ),
            Row(
                "2 ч", "Иванова", closes(QUOTE),
                open=[f"{FEEDBACK} – Иванова – 3 дн 2 ч"], told=[given("Иванова", FEEDBACK, "2 ч")],
            ),
            Row("3 ч", "Иванова", moves(AWAY)),
            Row(
                "4 ч", "Иванова", moves(QUOTE_STAGE),
                open=[f"{FEEDBACK} – Иванова – 3 дн 4 ч"], told=[given("Иванова", FEEDBACK, "4 ч")],
            ),
            Row("5 ч", "Иванова", closes(FEEDBACK)),
            Row("6 ч", "Иванова", several(moves(AWAY), moves(QUOTE_STAGE))),
            Row("17 ч 30 мин", "", None),
            Row(
                "18 ч 30 мин", "", None,
                open=[f"{NEW_DATE} – Иванова"], told=[given("Иванова", NEW_DATE, "18 ч")],
            ),
            Row("19 ч", "Иванова", moves(AWAY)),
        ],
        fields={"complexity": "complex"},
    ),
    Scenario(
        "R002-26 R002-27 R002-28 R002-29 R002-30 R002-31 R002-32 AG-7",
        "Договор: нужен, дата изменена, подписан",
        "Товары",
        "Петров",
        [
            Row(
                "0", "Петров", moves(CONTRACT_STAGE),
                open=[f"{NEEDED} – Петров – 4 ч"], told=[given("Петров", NEEDED, "0")],
            ),
            Row(
                "1 ч", "Петров", fills(contract_needed=True),
                open=[f"{SEND} – Петров"], told=[given("Петров", SEND, "1 ч")],
            ),
            Row(
                "2 ч", "Петров", closes(SEND),
                open=[f"{CONTRACT_DATE} – Петров"], told=[given("Петров", CONTRACT_DATE, "2 ч")],
            ),
            Row(
                "3 ч", "Петров", cannot_close(CONTRACT_DATE, "Дата получения обратной связи по Договору"),
                open=[f"{CONTRACT_DATE} – Петров"],
            ),
            Row(
                "4 ч", "Петров", fills(contract_feedback_at="{start}+6 ч"),
                open=[f"{CONTRACT_FEEDBACK} – Петров – 6 ч"], told=[given("Петров", CONTRACT_FEEDBACK, "4 ч")],
            ),
            Row(
                "6 ч 30 мин", "", None,
                open=[f"{CONTRACT_FEEDBACK} – Петров – 6 ч"],
                told=[
                    "Петров: Нет обратной связи по договору – 6 ч",
                    f"Соколов: Просрочена задача «{CONTRACT_FEEDBACK}» – 6 ч",
                ],
            ),
            Row(
                "7 ч", "Петров", fills(contract_feedback_at="{start}+2 дн"),
                open=[f"{CONTRACT_FEEDBACK_AGAIN} – Петров – 2 дн"],
                told=[given("Петров", CONTRACT_FEEDBACK_AGAIN, "7 ч")],
            ),
            Row(
                "1 дн", "Петров", closes(CONTRACT_FEEDBACK_AGAIN, outcome="signed"),
                deal={"contract_signed": True, "stage": CONTRACT_STAGE},
                line="Ждёт перевода на «Комплектация»",
            ),
        ],
    ),
    Scenario(
        "R002-27 A2-11",
        "Договор услуг: не нужен, сделка переходит сама",
        "Услуги",
        "Иванова",
        [
            Row(
                "0", "Иванова", moves(CONTRACT_STAGE),
                open=[f"{NEEDED} – Иванова – 4 ч"], told=[given("Иванова", NEEDED, "0")],
            ),
            Row("1 ч", "Иванова", fills(contract_needed=False), deal={"stage": "Ожидание выезда на объект"}),
        ],
    ),
    Scenario(
        "R002-27",
        "Договор товаров: «нет» при входе и «нет» вместо «да»",
        "Товары",
        "Иванова",
        [
            Row("0", "Иванова", moves(CONTRACT_STAGE), deal={"stage": "Комплектация"}),
            Row(
                "1 ч", "Иванова", several(fills(contract_needed=True), moves(CONTRACT_STAGE)),
                open=[f"{SEND} – Иванова"], told=[given("Иванова", SEND, "1 ч")],
            ),
            Row("2 ч", "Иванова", fills(contract_needed=False), deal={"stage": "Комплектация"}),
        ],
        fields={"contract_needed": False},
    ),
    Scenario(
        "R002-61 R002-62 R002-63 R002-64 R002-65 R002-66 R002-67 ★40",
        "Согласование договора: два круга, файл заменён",
        "Товары",
        "Петров",
        [
            Row(
                "0", "Петров", several(moves(CONTRACT_STAGE), presses("contract_approval")),
                open=[f"{DRAFT} – Петров", f"{SEND} – Петров"],
                told=[given("Петров", DRAFT, "0"), given("Петров", SEND, "0")],
            ),
            Row(
                "1 ч", "Петров", cannot_close(DRAFT, "Проект договора"),
                open=[f"{DRAFT} – Петров", f"{SEND} – Петров"],
            ),
            Row(
                "2 ч", "Петров", several(uploads("договор.txt", "Договор № 1"), closes(DRAFT)),
                open=[f"{SEND} – Петров"],
                told=[f"Зайцева: {ASKED} – 2 ч"],
            ),
            Row("3 ч", "Соколов", cannot_decide(), open=[f"{SEND} – Петров"]),
            Row("4 ч", "Зайцева", cannot_reject_without_reason(), open=[f"{SEND} – Петров"]),
            Row(
                "5 ч", "Зайцева", rejects("пункт 3: срок поставки"),
                open=[f"{FIX} – Петров", f"{SEND} – Петров"],
                told=[given("Петров", FIX, "5 ч"), "Петров: Есть замечания: «Согласовать проект договора» – 5 ч"],
            ),
            Row(
                "6 ч", "Петров", several(uploads("договор.txt", "Договор № 1, срок исправлен"), closes(FIX)),
                open=[f"{SEND} – Петров"],
                told=[f"Зайцева: {ASKED}, круг 2 – 6 ч"],
            ),
            Row(
                "7 ч", "Петров", uploads("договор.txt", "Договор № 1, ещё правка"),
                open=[f"{SEND} – Петров"],
                told=["Зайцева: Файл заменён – 7 ч"],
            ),
            Row(
                "8 ч", "Зайцева", agrees(),
                open=[f"{SEND} – Петров"],
                told=["Петров: Согласовано: «Согласовать проект договора» – 8 ч"],
            ),
            Row(
                "9 ч", "Соколов", uploads("договор.txt", "Совсем другой договор"),
                open=[f"{SEND} – Петров"],
                told=[
                    "Зайцева: Файл изменён после согласования – 9 ч",
                    "Петров: Файл изменён после согласования – 9 ч",
                ],
            ),
        ],
        fields={"contract_needed": True},
    ),
    Scenario(
        "47 R002-62 (замещение)",
        "Утверждающий в отпуске: решает заместитель, по возвращении – он сам",
        "Товары",
        "Иванова",
        [
            Row(
                "2 дн", "Иванова",
                several(moves(CONTRACT_STAGE), presses("contract_approval"), uploads("договор.txt", "Договор № 2")),
                open=[f"{DRAFT} – Иванова", f"{SEND} – Иванова"],
                told=[given("Иванова", DRAFT, "2 дн"), given("Иванова", SEND, "2 дн")],
            ),
            Row(
                "2 дн 1 ч", "admin", goes_away("Зайцева", "Крылов", "3 дн"),
                open=[f"{DRAFT} – Иванова", f"{SEND} – Иванова"],
            ),
            Row(
                "2 дн 2 ч", "Иванова", closes(DRAFT),
                open=[f"{SEND} – Иванова"],
                told=[f"Зайцева: {ASKED} – 2 дн 2 ч", f"Крылов: за Зайцеву А. П.: {ASKED} – 2 дн 2 ч"],
            ),
            Row(
                "2 дн 3 ч", "Крылов", rejects("нет приложения"),
                open=[f"{FIX} – Иванова", f"{SEND} – Иванова"],
                told=[given("Иванова", FIX, "2 дн 3 ч"), "Иванова: Есть замечания – 2 дн 3 ч"],
            ),
            Row(
                "3 дн 1 ч", "Иванова", several(uploads("договор.txt", "Договор № 2 с приложением"), closes(FIX)),
                open=[f"{SEND} – Иванова"],
                told=[f"Зайцева: {ASKED}, круг 2 – 3 дн 1 ч", f"Соколов: Просрочена задача «{SEND}» – 3 дн"],
            ),
            Row("3 дн 2 ч", "Крылов", cannot_decide(), open=[f"{SEND} – Иванова"]),
            Row(
                "3 дн 3 ч", "Зайцева", agrees(),
                open=[f"{SEND} – Иванова"],
                told=["Иванова: Согласовано – 3 дн 3 ч"],
            ),
        ],
        fields={"contract_needed": True},
    ),
    Scenario(
        "46 R001-17 (роль)",
        "Роль утверждающего передана, пока согласование ждёт",
        "Товары",
        "Петров",
        [
            Row(
                "4 дн", "Петров",
                several(moves(CONTRACT_STAGE), presses("contract_approval"), uploads("договор.txt", "Договор № 3")),
                open=[f"{DRAFT} – Петров", f"{SEND} – Петров"],
                told=[given("Петров", DRAFT, "4 дн"), given("Петров", SEND, "4 дн")],
            ),
            Row(
                "4 дн 1 ч", "Петров", closes(DRAFT),
                open=[f"{SEND} – Петров"], told=[f"Зайцева: {ASKED} – 4 дн 1 ч"],
            ),
            Row(
                "4 дн 2 ч", "admin", gives_role("contract_approver", "Зайцева", "Крылов"),
                open=[f"{SEND} – Петров"], told=[f"Крылов: {ASKED} – 4 дн 2 ч"],
            ),
            Row("4 дн 3 ч", "Зайцева", cannot_decide(404), open=[f"{SEND} – Петров"]),
            Row(
                "4 дн 4 ч", "Крылов", agrees(),
                open=[f"{SEND} – Петров"], told=["Петров: Согласовано – 4 дн 4 ч"],
            ),
        ],
        fields={"contract_needed": True},
    ),
    Scenario(
        "R002-74 A2-34",
        "Долг считается при каждом изменении сумм, переплата – отдельно",
        "Товары",
        "Иванова",
        [
            Row("0", "Иванова", fills(amount="1000"), deal={"debt": Decimal(1000), "overpaid": Decimal(0)}),
            Row("1 ч", "Иванова", fills(paid="400"), deal={"debt": Decimal(600), "overpaid": Decimal(0)}),
            Row(
                "2 ч", "Иванова", fills(paid="1200"),
                deal={"debt": Decimal(0), "overpaid": Decimal(200)}, told=["Белова: Переплата – 2 ч"],
            ),
        ],
    ),
    Scenario(
        "★11",
        "Задача закрыта по ошибке и открыта снова: позднейшее снято, цепочка идёт дальше",
        "Товары",
        "Иванова",
        [
            Row(
                "0", "Иванова", moves(QUOTE_STAGE),
                open=[f"{QUOTE} – Иванова – 1 дн"], told=[given("Иванова", QUOTE, "0")],
            ),
            Row(
                "1 ч", "Иванова", closes(QUOTE),
                open=[f"{FEEDBACK} – Иванова – 3 дн 1 ч"], told=[given("Иванова", FEEDBACK, "1 ч")],
            ),
            Row(
                "2 ч", "Иванова", reopens(QUOTE, "отправила не тому"),
                open=[f"{QUOTE} – Иванова – 1 дн"],
                told=[f"Соколов: Задача «{QUOTE}» открыта снова: отправила не тому – 2 ч"],
            ),
            Row(
                "3 ч", "Иванова", closes(QUOTE),
                open=[f"{FEEDBACK} – Иванова – 3 дн 3 ч"], told=[given("Иванова", FEEDBACK, "3 ч")],
            ),
            Row("4 ч", "Иванова", moves(AWAY)),
        ],
        fields={"complexity": "complex"},
    ),
    Scenario(
        "R001-19 (слово Confirm)",
        "Подтверждение: «не оплачен» держит ворота, «оплачен» открывает",
        "Проба",
        "Петров",
        [
            Row(
                "0", "Петров", moves("Подтверждение"),
                open=["Подтвердить оплату счета – Белова – 8 ч"],
                told=[given("Белова", "Подтвердить оплату счета", "0")],
            ),
            Row(
                "1 ч", "Белова", says_not_yet("Подтвердить оплату счета", "деньги не пришли", "1 дн"),
                open=["Подтвердить оплату счета – Белова – 1 дн"],
            ),
            Row(
                "1 дн 30 мин", "", None,
                open=["Подтвердить оплату счета – Белова – 1 дн"],
                told=[
                    "Белова: Пора проверить и ответить: «Подтвердить оплату счета» – 1 дн",
                    "Соколов: Просрочена задача «Подтвердить оплату счета» – 1 дн",
                ],
            ),
            Row(
                "1 дн 2 ч", "Белова", closes("Подтвердить оплату счета", sum="1000"),
                open=["Продолжить работу – Петров"], told=[given("Петров", "Продолжить работу", "1 дн 2 ч")],
            ),
            Row("1 дн 3 ч", "Петров", closes("Продолжить работу")),
        ],
    ),
    Scenario(
        "R002-69 R002-70 R002-71 R002-72 (слова FormRequest, Approval)",
        "Запрос данных и решение по ним",
        "Проба",
        "Петров",
        [
            Row(
                "0", "Петров", moves("Данные"),
                open=["Указать данные о командировке – Петров – 8 ч"],
                told=[given("Петров", "Указать данные о командировке", "0")],
            ),
            Row(
                "1 ч", "Петров", closes("Указать данные о командировке", place="Омск", advance="5000"),
                told=["Соколов: Ждёт вашего решения: «Согласовать командировку» – 1 ч"],
                line="Согласовать командировку",
            ),
            Row(
                "2 ч", "Соколов", agrees(),
                open=["Выдать ДС для командировки – Белова – 10 ч"],
                told=[
                    given("Белова", "Выдать ДС для командировки", "2 ч"),
                    "Петров: Согласовано: «Согласовать командировку» – 2 ч",
                ],
            ),
            Row("3 ч", "Белова", closes("Выдать ДС для командировки")),
        ],
    ),
    Scenario(
        "R002-46 (слово Repeat)",
        "Повтор каждый день, после двух – звонок",
        "Проба",
        "Петров",
        [
            Row("0", "Петров", moves("Повтор")),
            Row("1 дн 30 мин", "", None, told=["Петров: Товар готов, напоминание 1 – 1 дн"]),
            Row("2 дн 30 мин", "", None, told=["Петров: Товар готов, напоминание 2 – 2 дн"]),
            Row(
                "3 дн 30 мин", "", None,
                open=["Позвонить клиенту – Петров – 3 дн 8 ч"], told=[given("Петров", "Позвонить клиенту", "3 дн")],
            ),
            Row("3 дн 1 ч", "Петров", closes("Позвонить клиенту")),
        ],
    ),
    Scenario(
        "35 43 R003-14 R003-16 (слово Rework)",
        "Цепочка: по одному, замечания возвращают тому, кто их сделал",
        "Проба",
        "Петров",
        [
            Row(
                "0", "Петров", moves("Цепочка"),
                told=["Соколов: Ждёт вашего решения: «Согласовать цепочкой» – 0"],
            ),
            Row("1 ч", "Белова", cannot_decide(409)),
            Row("2 ч", "Соколов", agrees(), told=["Белова: Ждёт вашего решения: «Согласовать цепочкой» – 2 ч"]),
            Row(
                "3 ч", "Белова", rejects("нет счёта"),
                open=["Исправить по замечаниям – Петров – 11 ч"],
                told=[
                    given("Петров", "Исправить по замечаниям", "3 ч"),
                    "Петров: Есть замечания: «Согласовать цепочкой» – 3 ч",
                ],
            ),
            Row(
                "4 ч", "Петров", closes("Исправить по замечаниям"),
                told=[
                    "Белова: Ждёт вашего решения: «Согласовать цепочкой», круг 2 – 4 ч",
                    "Соколов: Замечания устранены – 4 ч",
                ],
            ),
            Row("5 ч", "Белова", agrees(), told=["Лемешев: Ждёт вашего решения: «Согласовать цепочкой» – 5 ч"]),
            Row(
                "6 ч", "Лемешев", agrees(),
                open=["Подписать – Петров – 14 ч"],
                told=[given("Петров", "Подписать", "6 ч"), "Петров: Согласовано: «Согласовать цепочкой» – 6 ч"],
            ),
        ],
    ),
    Scenario(
        "36 (кворум)",
        "Двое из трёх: третьего больше не спрашивают",
        "Проба",
        "Петров",
        [
            Row(
                "0", "Петров", moves("Кворум"),
                told=[
                    "Белова: Ждёт вашего решения: «Согласовать двумя из трёх» – 0",
                    "Орлов: Ждёт вашего решения: «Согласовать двумя из трёх» – 0",
                    "Соколов: Ждёт вашего решения: «Согласовать двумя из трёх» – 0",
                ],
            ),
            Row("1 ч", "Белова", agrees()),
            Row(
                "2 ч", "Орлов", agrees(),
                told=["Петров: Решено – 2 ч", "Петров: Согласовано: «Согласовать двумя из трёх» – 2 ч"],
            ),
            Row("3 ч", "Соколов", cannot_decide(409)),
        ],
    ),
]  # fmt: skip
