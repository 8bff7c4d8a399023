"""Names in the forms that sentences need."""

from __future__ import annotations

_UNCHANGED = ("о", "е", "ё", "и", "у", "ю", "э", "ых", "их")  # Шевченко, Гёте, Черных
_ADJECTIVES = {"ий": "ого", "ый": "ого", "ой": "ого"}  # Достоевский, Толстой
_CONSONANTS = frozenset("бвгджзклмнпрстфхцчшщ")


def short_name(last_name: str, first_name: str, middle_name: str = "") -> str:
    """Return «Паздников А. С.»."""
    initials = " ".join(f"{name[0]}." for name in (first_name, middle_name) if name)
    return f"{last_name} {initials}".strip()


def for_whom(last_name: str, first_name: str, middle_name: str = "") -> str:
    """Return «за Иванову А. П.»: the name of whom somebody acts for, the surname declined."""
    woman = is_woman(last_name, middle_name)
    declined = "-".join(_accusative(one, woman) for one in last_name.split("-"))
    initials = " ".join(f"{name[0]}." for name in (first_name, middle_name) if name)
    return f"за {declined} {initials}".strip()


def is_woman(last_name: str, middle_name: str) -> bool | None:
    """Say whether a name is a woman's by its patronymic, else by its surname; None when neither tells."""
    if middle_name.endswith(("на", "кызы")):
        return True
    if middle_name.endswith(("ич", "оглы")):
        return False
    if last_name.endswith(("ова", "ева", "ёва", "ина", "ына", "ая")):
        return True
    if last_name.endswith(("ов", "ев", "ёв", "ин", "ын", "ий", "ый", "ой")):
        return False
    return None


def _accusative(name: str, woman: bool | None) -> str:
    if name.endswith("ая") and woman:
        return name[:-2] + "ую"
    if name.endswith(_UNCHANGED):
        return name
    if name.endswith("а"):
        return name[:-1] + "у"
    if name.endswith("я"):
        return name[:-1] + "ю"
    if woman is not False:  # a woman's surname that ends in a consonant stays as it is
        return name
    if name[-2:] in _ADJECTIVES and len(name) > 3:
        return name[:-2] + _ADJECTIVES[name[-2:]]
    if name.endswith(("й", "ь")):
        return name[:-1] + "я"
    return name + "а" if name[-1:].lower() in _CONSONANTS else name
