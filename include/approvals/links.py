"""Links of letters: signed, for one person, seat and file, good once and for days; reading one decides nothing."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from include.approvals import people
from include.approvals.models import Approval, ApprovalSeat, DecisionLink
from include.documents.models import FileVersion
from include.process.models import ProcessCase
from include.shared import settings
from include.shared.errors import Conflict, NotFound
from include.shared.work import Work
from include.staff import services as staff

SECRET_VARIABLE = "BACKOFFICE_SECRET"  # noqa: S105 - the name of the variable
DAYS_SETTING, DAYS = "decision_link_days", 3
LONGEST_TOKEN = 500
LinkState = Literal["ready", "used", "expired", "replaced", "decided", "withdrawn", "lost"]
FORGED = "Эта ссылка не подходит: она неполная или изменена. Откройте её из письма ещё раз или войдите в систему."
OPEN_ANEW = "Войдите в систему и решите на странице согласования."


@dataclass(frozen=True)
class LinkView:
    """What a link is about and whether it still works; ``words`` say why not."""

    link_id: int
    approval_id: int
    seat_id: int
    person_id: int
    version_id: int | None
    expires_at: datetime
    state: LinkState
    words: str


def make(work: Work, seat: ApprovalSeat, person_id: int, version_id: int | None) -> str:
    """Return a new token for a seat that this person may decide now; only the hash of its nonce is kept."""
    nonce = secrets.token_urlsafe(24)
    days = max(1, int(settings.value_of(work.session, DAYS_SETTING, DAYS)))
    link = DecisionLink(
        seat_id=seat.id, person_id=person_id, nonce_hash=_hash(nonce), created_at=work.now,
        expires_at=work.now + timedelta(days=days),
    )  # fmt: skip
    work.session.add(link)
    work.session.flush()
    approval = work.session.get_one(Approval, seat.approval_id)
    work.audit(
        "approval.link_made", f"Создана ссылка для решения: «{approval.title}», {seat.title}", entity="approval",
        entity_id=approval.id, case_id=approval.case_id, after={"person": person_id, "expires_at": link.expires_at},
    )  # fmt: skip
    return _serializer().dumps([link.id, nonce, version_id])


def link_of(session: Session, token: str) -> DecisionLink:
    """Return the row of a token that we have signed; NotFound for anything else."""
    return _opened(session, token)[0]


def read_link(session: Session, token: str, now: datetime) -> LinkView:
    """Return what a token is about and whether it may still decide; changes nothing. NotFound for a forged one."""
    link, version_id = _opened(session, token)
    seat = session.get_one(ApprovalSeat, link.seat_id)
    approval = session.get_one(Approval, seat.approval_id)
    state, words = _state(session, link, seat, approval, version_id, now)
    return LinkView(link.id, approval.id, seat.id, link.person_id, version_id, link.expires_at, state, words)


def used_words(session: Session, link: DecisionLink) -> str:
    """Return when a link was used and what was decided by it."""
    seat = session.get_one(ApprovalSeat, link.seat_id)
    word = "отклонено" if seat.state == "rejected" else "согласовано"
    return f"По этой ссылке решение уже принято {_when(session, seat, link.used_at)}: {word}."


def _state(
    session: Session,
    link: DecisionLink,
    seat: ApprovalSeat,
    approval: Approval,
    version_id: int | None,
    now: datetime,
) -> tuple[LinkState, str]:
    if link.used_at is not None:
        return "used", used_words(session, link)
    if seat.state in ("approved", "rejected") and seat.decided_by is not None:
        name = staff.names(session, {seat.decided_by})[seat.decided_by]
        word = "отклонено" if seat.state == "rejected" else "согласовано"
        return "decided", f"Уже решил(а) {name} {_when(session, seat, seat.decided_at)}: {word}."
    if approval.state not in ("open", "rework") or seat.state == "withdrawn":
        return "withdrawn", "Решение больше не нужно: согласование окончено или снято."
    version = people.present_version(session, approval)
    if seat.state != "asked" or not _same_file(session, version_id, version):
        return "replaced", f"Файл заменён, ссылка относится к прежней версии. {OPEN_ANEW}"
    if link.expires_at <= now:
        return "expired", f"Срок ссылки истёк {_when(session, seat, link.expires_at)}. {OPEN_ANEW}"
    if link.person_id not in people.who_may(session, approval, seat, now):
        return "lost", "Теперь это решаете не вы: роль или дело передали другому."
    return "ready", ""


def _same_file(session: Session, version_id: int | None, present: FileVersion | None) -> bool:
    if version_id is None or present is None:
        return version_id is None and present is None
    return version_id == present.id or session.get_one(FileVersion, version_id).content_hash == present.content_hash


def _opened(session: Session, token: str) -> tuple[DecisionLink, int | None]:
    try:
        link_id, nonce, version_id = _serializer().loads(token[: LONGEST_TOKEN + 1])
    except (BadSignature, ValueError, TypeError) as error:
        raise NotFound(FORGED) from error
    link = session.get(DecisionLink, link_id)
    if link is None or not hmac.compare_digest(link.nonce_hash, _hash(nonce)):
        raise NotFound(FORGED)
    return link, version_id


def _serializer() -> URLSafeSerializer:
    secret = os.environ.get(SECRET_VARIABLE)
    if not secret:
        msg = f"Ссылки для решений выключены: администратору нужно задать {SECRET_VARIABLE}."
        raise Conflict(msg)
    return URLSafeSerializer(secret, salt="decision-link", signer_kwargs={"digest_method": hashlib.sha256})


def _hash(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def _when(session: Session, seat: ApprovalSeat, moment: datetime | None) -> str:
    approval = session.get_one(Approval, seat.approval_id)
    zone = session.get_one(ProcessCase, approval.case_id).time_zone
    return f"{moment.astimezone(ZoneInfo(zone)):%d.%m.%Y %H:%M}" if moment is not None else ""
