"""The exchange's report in words that an accountant reads."""

from __future__ import annotations

from include.shared.db import Json

SHOWN_REJECTS = 200

#: kinds of records that the reader recognises and does not load
NOT_LOADED = {"Владелец": "сведения о владельце каталога", "Картинка": "файлы картинок"}
_LOADED = {
    "Товар", "Контрагент", "Группа", "Категория", "Свойство", "Предложение", "Цена", "Остаток", "ТипЦены", "Склад",
    "Документ", "ЕдиницаИзмерения", "Контейнер", "Контрагент в «Документ»", "Товар в «Документ»",
}  # fmt: skip
#: what is loaded beside goods and counterparties: key of the report → its name
KINDS = {
    "groups": "Группы и категории", "properties": "Свойства", "units": "Единицы измерения", "price_types": "Виды цен",
    "warehouses": "Склады", "offers": "Предложения", "prices": "Цены", "stock": "Остатки", "documents": "Документы",
}  # fmt: skip

_STATES = {
    "applied": "загружен",
    "failed": "НЕ ЗАГРУЖЕН, в базе ничего не изменилось",
    "received": "принят",
    "repeated": "повтор: точно такие же файлы уже были загружены, ничего не изменилось",
    "held": "ЖДЁТ РЕШЕНИЯ, в базе ничего не изменилось",
    "queued": "ждёт своей очереди",
    "replaced": "НЕ ЗАГРУЖЕН: заменён более новым",
}
_FILE_STATES = {
    "applied": "прочитан",
    "failed": "НЕ ПРИНЯТ",
    "refused": "НЕ ПРИНЯТ",
    "skipped": "не читается",
    "unpacked": "распакован",
    "received": "ещё не загружен",
}


def not_loaded(counts: dict[str, int]) -> Json:
    """Return what the files hold and we do not load: a name in words and the number of records."""
    return {NOT_LOADED.get(kind, f"«{kind}»"): number for kind, number in counts.items() if kind not in _LOADED}


def in_words(report: Json) -> str:
    """Return the report as Russian text: result, files, counts, rejects with reason, warnings, what is not loaded."""
    state = "repeated" if report.get("repeat_of") else str(report.get("state"))
    lines = [f"Обмен с 1С № {report.get('exchange')} от {report.get('date')}: {_STATES.get(state, state)}."]
    if report.get("repeat_of"):
        lines.append(f"Первый раз эти файлы пришли в обмене № {report['repeat_of']}.")
    if report.get("error"):
        lines.append(f"Причина: {report['error']}")
    lines += ["", "Файлы"]
    for file in report.get("files", []):
        about = ", ".join(
            str(one)
            for one in (
                file.get("encoding"),
                f"схема {file['version']}" if file.get("version") else None,
                {True: "полная выгрузка", False: "только изменения"}.get(file.get("is_full")),
            )
            if one
        )
        lines.append(
            f"  {file['name']}: {_FILE_STATES.get(file['state'], file['state'])}{f' ({about})' if about else ''}"
        )
        if file.get("error"):
            lines.append(f"    {file['error']}")
        if file.get("counts"):
            lines.append("    " + ", ".join(f"{kind}: {number}" for kind, number in file["counts"].items()))
    if report.get("retake_of"):
        lines.insert(1, f"Взяты снова записи из карантина обмена № {report['retake_of']}.")
    if report.get("held"):
        held = report["held"]
        percent = str(held["percent"]).replace(".", ",")
        lines += ["", f"Снялось бы товаров: {held['would_deactivate']} из {held['in_scope']} ({percent} %)"]
    for key, title in (("goods", "Номенклатура"), ("companies", "Контрагенты")):
        if key in report:
            lines += ["", title, *_counts(report[key])]
    for key, counts in report.get("kinds", {}).items():
        lines += ["", KINDS[key], *_counts(counts)]
    lines += _tail(report)
    return "\n".join(lines) + "\n"


_COUNTS = (
    ("taken", "взято"), ("added", "добавлено"), ("changed", "изменено"), ("deactivated", "из них снято"),
    ("absent", "из снятых – нет в полной выгрузке"),
    ("unchanged", "без изменений"), ("joined", "соединено с карточками сотрудников"),
    ("asked", "пар карточек передано человеку"), ("doubled", "повторов Ид"),
)  # fmt: skip


def _counts(counts: Json) -> list[str]:
    return [f"  {words}: {counts[key]}" for key, words in _COUNTS if key in counts]


def _tail(report: Json) -> list[str]:
    lines: list[str] = []
    rejects = report.get("rejects") or {"count": 0, "rows": []}
    if rejects["count"]:
        lines += ["", f"Карантин (не загружено записей: {rejects['count']})"]
        for row in rejects["rows"]:
            where = f"{row['file']}, строка {row['line']}"
            lines.append(f"  {where}: {row['entity']} {row['external_id'] or 'без Ид'}: {row['reason']}")
        if rejects["count"] > len(rejects["rows"]):
            lines.append(f"  … и ещё {rejects['count'] - len(rejects['rows'])}, все они в таблице exchange_reject")
    if report.get("remarks"):
        lines += ["", "Предупреждения (записи загружены)"]
        for remark in report["remarks"]:
            first = remark["examples"][0]
            place = f"{first['file']}, строка {first['line']}, " if first["file"] else ""
            where = f"первый раз: {place}Ид {first['external_id']}"
            lines.append(f"  {remark['entity']}: {remark['text']}: {remark['count']} ({where})")
    if report.get("not_loaded"):
        lines += ["", "Есть в файлах, не загружается"]
        lines += [f"  {name}: {number}" for name, number in report["not_loaded"].items()]
    if report.get("unknown"):
        lines += ["", "Незнакомые разделы (не прочитаны)"]
        lines += [f"  {name}: {number}" for name, number in report["unknown"].items()]
    if report.get("notes"):
        lines += ["", *report["notes"]]
    return lines
