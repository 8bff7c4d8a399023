"""Headings of a sheet with payments: which column is what, however people call it. Pure text, no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: field → how sheets name it, the surest first; compared in small letters without punctuation
NAMES: dict[str, tuple[str, ...]] = {
    "date": (
        "дата", "дата платежа", "дата оплаты", "дата поступления", "дата зачисления", "дата операции", "дата проводки",
        "дата документа", "дата платежного поручения", "дата платежки", "дата п/п", "день оплаты", "date",
    ),
    "amount": (
        "сумма", "сумма платежа", "сумма оплаты", "сумма поступления", "поступило", "поступление", "приход", "оплачено",
        "зачислено", "кредит", "сумма по кредиту", "оплата", "сумма документа", "amount",
    ),
    "spent": ("расход", "списано", "списание", "дебет", "сумма по дебету", "выплачено"),
    "number": (
        "номер", "номер платежа", "номер документа", "номер платежного поручения", "номер платежки", "номер п/п",
        "№ платежа", "№ документа", "№ платежки", "№ платежного поручения", "номер пп", "№ поручения", "№ оплаты", "№",
    ),
    "payer": (
        "плательщик", "клиент", "контрагент", "заказчик", "покупатель", "от кого", "наименование плательщика",
        "наименование контрагента", "наименование клиента", "плательщик/получатель", "корреспондент", "организация",
        "компания", "отправитель",
    ),
    "inn": ("инн", "инн плательщика", "инн клиента", "инн контрагента", "инн покупателя", "инн заказчика"),
    "kpp": ("кпп", "кпп плательщика", "кпп клиента", "кпп контрагента"),
    "purpose": (
        "назначение", "назначение платежа", "основание", "основание платежа", "за что", "описание", "содержание",
        "комментарий", "примечание",
    ),
    "invoice": (
        "счет №", "№ счета", "номер счета", "счет на оплату", "№ счета на оплату", "номер счета на оплату", "по счету",
        "счет", "счета", "счет на оплату №", "по счету №", "invoice",
    ),
    "invoice_date": ("дата счета", "дата счета на оплату", "счет от"),
    "deal": ("сделка", "№ сделки", "номер сделки", "сделка №", "проект", "id сделки", "код сделки"),
    "account": ("наш счет", "счет получателя", "счет зачисления", "наш расчетный счет", "р/с получателя", "наш р/с"),
    "payer_account": (
        "расчетный счет", "р/с", "счет плательщика", "р/с плательщика", "счет контрагента", "банковский счет",
    ),
}  # fmt: skip
#: what a heading that is named otherwise begins with; a row counter and what is nobody's field are left alone
_BEGINS = (
    ("дата счет", "invoice_date"), ("дата", "date"), ("сумма ндс", ""), ("сумма долг", ""), ("сумма сделк", ""),
    ("сумма счет", ""), ("сумма договор", ""), ("сумма", "amount"), ("инн", "inn"), ("кпп", "kpp"),
    ("назначение", "purpose"), ("плательщик", "payer"), ("№ счет", "invoice"), ("номер счет", "invoice"),
    ("счет №", "invoice"), ("№ сделк", "deal"), ("номер сделк", "deal"), ("сделка", "deal"),
)  # fmt: skip
_NOISE = re.compile(r"[^\w№/ ]+")
_ROUBLES = re.compile(r"\s(?:в\s)?(?:руб(?:лях|лей|ли|ль|)|р|rub)$")
_KNOWN = {name: (what, place) for what, names in NAMES.items() for place, name in enumerate(names)}
_STRANGE = 100
#: without both of these and one of those a row says nothing of a payment
REQUIRED, WHO = ("date", "amount"), ("payer", "inn", "purpose", "invoice", "deal")
TITLES = {
    "date": "Дата", "amount": "Сумма", "number": "Номер", "payer": "Плательщик", "inn": "ИНН", "kpp": "КПП",
    "purpose": "Назначение платежа", "invoice": "Счёт №", "invoice_date": "Дата счёта", "deal": "Сделка",
}  # fmt: skip


def plain_heading(text: object) -> str:
    """Return a heading in small letters, without punctuation, «руб.» and doubled spaces; empty for no text."""
    if not isinstance(text, str) or len(text) > 200:
        return ""
    said = " ".join(_NOISE.sub(" ", text.lower().replace("ё", "е").replace("₽", " ")).split())
    return _ROUBLES.sub("", re.sub(r"№\s*", "№ ", said).strip()).strip()


def find_columns(row: Sequence[object]) -> dict[str, int]:
    """Return which place of a row names which field, the surest name of each; empty when it is no row of headings."""
    found: dict[str, tuple[int, int]] = {}
    for place, cell in enumerate(row):
        heading = plain_heading(cell)
        if not heading:
            continue
        what, rank = _KNOWN.get(heading, ("", 0))
        if not what:
            what, rank = next((one for begin, one in _BEGINS if heading.startswith(begin)), ""), _STRANGE
        if what and (what not in found or rank < found[what][0]):
            found[what] = rank, place
    columns = {what: place for what, (_, place) in found.items()}
    complete = all(one in columns for one in REQUIRED) and any(one in columns for one in WHO)
    return columns if complete else {}


def letter(place: int) -> str:
    """Return the letters that a spreadsheet shows over a column (0 is A)."""
    said = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        said = chr(65 + rest) + said
    return said
