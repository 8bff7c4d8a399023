"""What has become of a package that 1C sent: the one place where the HTTP exchange asks the loading of exchanges."""

from __future__ import annotations

from dataclasses import dataclass

from include.exchange_1c import services as exchanges
from include.one_c_http.rules import one_line

WAITING, LOADING, HELD, APPLIED, REPEATED, FAILED = "waiting", "loading", "held", "applied", "repeated", "failed"
_WORDS = {
    WAITING: "Файлы получены, загрузка начнётся через несколько секунд.",
    LOADING: "Идёт загрузка.",
    HELD: "Файлы получены. Обмен ждёт решения человека на странице обмена.",
    APPLIED: "Обмен загружен.",
    REPEATED: "Этот обмен уже был загружен: ничего не изменилось.",
    FAILED: "Обмен не загружен: причина – на странице обмена.",
}


@dataclass(frozen=True)
class Loading:
    """Where the loading of a package stands, with a sentence for the person at 1C."""

    state: str
    text: str

    @property
    def goes_on(self) -> bool:
        """Say whether 1C should ask again."""
        return self.state in (WAITING, LOADING)

    @property
    def answer(self) -> str:
        """Return it as 1C understands it; what a person must decide on is safe with us, so 1C is done with it."""
        word = "progress" if self.goes_on else "failure" if self.state == FAILED else "success"
        return f"{word}\n{one_line(self.text)}"


def loading_of(package: str) -> Loading:
    """Return where a package stands."""
    found = exchanges.progress(package)
    return Loading(found.state, found.text or _WORDS[found.state])
