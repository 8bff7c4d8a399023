"""Files with payments: looked through first, loaded as a whole after a person has seen what they hold.

The content is kept under its digest, so a file that is sent twice is one file; nothing of it reaches the table of
payments before ``load``, and what stands in that table already is not loaded again.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal

from sqlalchemy import select, text

from include.deals.models import Deal
from include.documents import storage
from include.documents.rules import clean_name, too_large
from include.documents.services import limit_bytes
from include.money import spreadsheet
from include.money.accounts import own_accounts
from include.money.legs import BankLegs, Found, SheetLegs
from include.money.models import BankStatement, StatementAccount
from include.money.records import AccountSection, StatementRefused, UnknownAccount
from include.money.staging import News, Stage
from include.shared.db import Json
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.texts import roubles
from include.shared.work import Actor, Work, jsonable, reading, transaction

Kind = Literal["bank", "sheet"]
LOCK = 1_031_271  # pg_advisory_xact_lock: one file at a time is staged, a twin from another source is seen
CHUNK = 1024 * 1024
NO_ACCOUNTS = (
    "Сначала добавьте наш счёт в банке («Деньги» → «Наши счета»): без него неизвестно, пришли деньги или ушли."
)
_Legs = BankLegs | SheetLegs


@dataclass(frozen=True)
class Loaded:
    """What came of loading a file: ``payments`` are new, ``repeated`` says that it was loaded before."""

    statement_id: int
    payments: int
    repeated: bool
    text: str


class _NotLoadable(Conflict):
    """The file has changed its mind between the look and the loading: an account was closed, a setting changed."""


def check_upload(actor: Actor, kind: str, name: str, stream: BinaryIO, *, source: str = "page") -> int:
    """Keep a file and look it through; returns its number. The same content again is the same file.

    InvalidInput for an empty or too large file; a file that cannot be loaded is kept as refused, with its reasons.
    """
    if kind not in ("bank", "sheet"):
        msg = "Выберите, что это: выписка банка или таблица Excel."
        raise InvalidInput(msg, "kind")
    with reading() as session:
        limit = limit_bytes(session)
    digest, size = _digest(stream, limit if source == "page" else None)
    called = clean_name(name if "." in name.rstrip(".") else f"{name}.txt")
    stream.seek(0)
    storage.put(digest, stream)
    with transaction(actor) as work:
        _lock(work)
        found = work.session.scalars(select(BankStatement).where(BankStatement.sha256 == digest)).first()
        if found is not None and found.state == "loaded":
            return found.id
        if found is None:
            found = BankStatement(
                kind=kind, name=called, sha256=digest, size=size, source=source, state="refused",
                received_at=work.now, received_by=actor.person_id,
            )  # fmt: skip
            work.session.add(found)
        found.kind, found.name, found.state = kind, called, "refused"
        found.received_at, found.received_by = work.now, actor.person_id
        work.session.flush()
        work.audit(
            "statement.received", f"Получен файл «{called}» ({size} байт)", entity="bank_statement", entity_id=found.id,
            after={"kind": kind, "sha256": digest, "size": size},
        )  # fmt: skip
        statement_id = found.id
    check_again(actor, statement_id)
    return statement_id


def check_again(actor: Actor, statement_id: int) -> None:
    """Look a file through once more, as our accounts and payments are now; Conflict when it is loaded already."""
    with reading() as session:
        found = _of(session.get(BankStatement, statement_id), statement_id)
        if found.state == "loaded":
            msg = "Этот файл уже загружен."
            raise Conflict(msg)
        kind, digest = found.kind, found.sha256
    with _file(digest) as path, transaction(actor) as work:
        _lock(work)
        row = _row(work, statement_id)
        if row.state == "loaded":
            return
        legs, stage, refused = _staged(work, kind, path)
        report, stops = _report(work, legs, stage, refused)
        row.report = jsonable(report)
        row.state = "refused" if stops else "checked"
        _describe(row, legs)


def load(actor: Actor, statement_id: int) -> Loaded:
    """Load a file that was looked through, as one fact; what stands in the table already is left out (R002-74).

    Conflict when it may not be loaded (as it is now); a file that is loaded already changes nothing.
    """
    with reading() as session:
        found = _of(session.get(BankStatement, statement_id), statement_id)
        kind, digest = found.kind, found.sha256
    with _file(digest) as path, transaction(actor) as work:
        _lock(work)
        row = _row(work, statement_id)
        if row.state == "loaded":
            return Loaded(statement_id, 0, True, "Этот файл уже загружен: ничего не изменилось.")
        if row.state != "checked":
            msg = "Файл не готов к загрузке: исправьте то, что сказано на его странице, и проверьте его снова."
            raise Conflict(msg)
        legs, stage, refused = _staged(work, kind, path)
        report, stops = _report(work, legs, stage, refused)
        if stops or stage is None:
            msg = "Файл проверен заново, и загрузить его нельзя. Нажмите «Проверить снова», чтобы увидеть причину."
            raise _NotLoadable(msg)
        number = stage.apply(statement_id)
        if isinstance(legs, BankLegs):
            work.session.add_all(_balances(work, statement_id, legs.sections()))
        row.state, row.loaded_at, row.loaded_by = "loaded", work.now, actor.person_id
        row.report = jsonable(report)
        _describe(row, legs)
        said = _in_words(report["news"], number)
        work.audit(
            "statement.loaded", f"Загружен файл «{row.name}»: {said}", entity="bank_statement",
            entity_id=statement_id, after={"payments": number, **jsonable(report["news"])},
        )  # fmt: skip
        work.emit(
            "statement_loaded", "on:event:statement_loaded", visit=f"statement-{statement_id}",
            payload={"statement_id": statement_id, "payments": number},
        )  # fmt: skip
        return Loaded(statement_id, number, False, said)


def discard(actor: Actor, statement_id: int) -> None:
    """Give a file up that is not loaded; it may be sent again. Conflict when it is loaded."""
    with transaction(actor) as work:
        row = _row(work, statement_id)
        if row.state == "loaded":
            msg = "Файл уже загружен: его платежи можно только разобрать."
            raise Conflict(msg)
        if row.state != "discarded":
            row.state = "discarded"
            work.audit(
                "statement.discarded", f"Файл «{row.name}» не понадобился", entity="bank_statement", entity_id=row.id
            )


def template() -> bytes:
    """Return an empty table for payments, with the headings and how to fill it in."""
    return spreadsheet.template()


# --- one look at a file ---


def _staged(work: Work, kind: str, path: Path) -> tuple[_Legs | None, Stage | None, str]:
    """Bring a file into the temporary table; returns why it cannot be read when it cannot."""
    accounts = own_accounts(work.session)
    own = {one.account: one.id for one in accounts}
    if kind == "bank" and not own:
        return None, None, NO_ACCOUNTS
    legs: _Legs | None = None
    try:
        if kind == "bank":
            legs = BankLegs(path, own)
        else:
            legs = SheetLegs(path, own, set(work.session.scalars(select(Deal.id))))
        with work.session.begin_nested():
            stage = Stage(work, kind)
            stage.take(legs.legs())
    except StatementRefused as refusal:
        return legs, None, str(refusal)
    if isinstance(legs, BankLegs):
        _once(stage, legs)
    return legs, stage, ""


def _once(stage: Stage, legs: BankLegs) -> None:
    """Take doubled transfers away: between two accounts of one file each stands once under either."""
    stated = legs.stated()
    for (account, direction), found in stage.sums().items():
        if found.number == found.number_once or account is None:
            continue
        if stated.get((account, direction)) == found.total_once:
            stage.keep_once(account, direction)


def _report(work: Work, legs: _Legs | None, stage: Stage | None, refused: str) -> tuple[Json, bool]:
    """Return what a page shows of the look, and whether the file may not be loaded."""
    found = legs.found if legs is not None else Found()
    if refused:
        found.stops.insert(0, {"line": 0, "cell": None, "text": refused})
        found.counts["stops"] += 1
    news = stage.news() if stage is not None else News(0, 0, 0, 0, 0, Decimal(0), Decimal(0))
    nothing = stage is not None and not (news.incoming or news.outgoing or news.internal)
    if nothing and stage is not None and stage.staged:
        text_ = "Все платежи этого файла уже загружены раньше: загрузка ничего не изменит."
        found.warnings.insert(0, {"line": 0, "cell": None, "text": text_})
        found.counts["warnings"] += 1
    if stage is not None and not stage.staged and not found.counts["stops"]:
        found.stops.insert(0, {"line": 0, "cell": None, "text": "В файле нет ни одного платежа, который можно взять."})
        found.counts["stops"] += 1
    report: Json = {
        "documents": _documents(legs), "news": asdict(news), "stops": found.counts["stops"],
        "problems": [*found.stops, *found.rejects], "problems_total": found.counts["stops"] + found.counts["rejects"],
        "warnings": found.warnings, "warnings_total": found.counts["warnings"],
        "unknown_accounts": [asdict(one) for one in _unknown(legs)],
        "accounts": _shown_balances(work, legs.sections()) if isinstance(legs, BankLegs) and not refused else [],
    }  # fmt: skip
    if isinstance(legs, SheetLegs):
        report["columns"] = legs.file.check.columns
    return report, found.counts["stops"] > 0


def _documents(legs: _Legs | None) -> int:
    if isinstance(legs, BankLegs):
        return legs.file.check.documents
    return legs.file.check.payments if legs is not None else 0


def _unknown(legs: _Legs | None) -> list[UnknownAccount]:
    return legs.file.check.unknown_accounts if isinstance(legs, BankLegs) else []


def _shown_balances(work: Work, sections: list[AccountSection]) -> list[Json]:
    names = {one.account: one.organisation for one in own_accounts(work.session)}
    return [
        {
            "account": one.account, "organisation": names.get(one.account, ""), "date_from": one.date_from,
            "date_to": one.date_to, "opening": one.opening, "received": one.incoming, "spent": one.outgoing,
            "closing": one.closing,
        }
        for one in sections
    ]  # fmt: skip


def _balances(work: Work, statement_id: int, sections: list[AccountSection]) -> list[StatementAccount]:
    ids = {one.account: one.id for one in own_accounts(work.session)}
    return [
        StatementAccount(
            statement_id=statement_id, own_account_id=ids[one.account], date_from=one.date_from, date_to=one.date_to,
            opening=one.opening, received=one.incoming, spent=one.outgoing, closing=one.closing,
        )
        for one in sections
    ]  # fmt: skip


def _describe(row: BankStatement, legs: _Legs | None) -> None:
    if isinstance(legs, BankLegs):
        head = legs.file.head
        row.format_version, row.encoding = head.version or None, legs.file.encoding
        row.date_from, row.date_to = head.date_from, head.date_to


def _in_words(news: dict[str, Any], number: int) -> str:
    known = news["repeated"] + news["twins"]
    said = [f"новых платежей – {number}"]
    if news["incoming"]:
        said.append(f"поступлений – {news['incoming']} на {roubles(news['incoming_sum'])}")
    if news["outgoing"]:
        said.append(f"списаний – {news['outgoing']} на {roubles(news['outgoing_sum'])}")
    if known:
        said.append(f"были раньше – {known}")
    return f"{'; '.join(said)[:1].upper()}{'; '.join(said)[1:]}."


# --- the file itself ---


def _digest(stream: BinaryIO, limit: int | None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    stream.seek(0)
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if limit is not None and size > limit:
            raise InvalidInput(too_large(limit), "file")
        digest.update(chunk)
    if not size:
        msg = "Файл пуст."
        raise InvalidInput(msg, "file")
    return digest.hexdigest(), size


@contextmanager
def _file(digest: str) -> Iterator[Path]:
    """Give the kept content as a file of its own while it is read."""
    with storage.open_whole(digest) as content, tempfile.NamedTemporaryFile(prefix="statement-") as copy:
        try:
            while chunk := content.read(CHUNK):
                copy.write(chunk)
            copy.flush()
        except OSError as error:
            raise storage.StorageFailed(storage.NO_SPACE) from error
        yield Path(copy.name)


def _lock(work: Work) -> None:
    for name, value in (("lock_timeout", "60s"), ("statement_timeout", "30min")):
        work.session.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
    work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def _row(work: Work, statement_id: int) -> BankStatement:
    return _of(work.session.get(BankStatement, statement_id, with_for_update=True), statement_id)


def _of(found: BankStatement | None, statement_id: int) -> BankStatement:
    if found is None:
        msg = f"Файла с платежами № {statement_id} нет."
        raise NotFound(msg)
    return found
