"""ZIP archives of an exchange: unpacked into a folder, all of it or nothing, whatever a hostile archive tries."""

from __future__ import annotations

import errno
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from include.exchange_1c.records import MEGABYTE, ExchangeFileDamaged, ExchangeFileRefused, Limits
from include.exchange_1c.rules import exchange_order

WORKSHOP = ".unpacking"  # inside the target; hidden, so nobody takes a half-unpacked file for an arrived one
PICTURES = "import_files"  # attachments of goods may be archives themselves and stay as they are
_CHUNK = MEGABYTE
_UTF8_NAMES = 0x800
_ENCRYPTED = 0x1 | 0x40
_UNICODE_PATH = 0x7075  # an extra field of Info-ZIP: the name in UTF-8 beside a name in the old code page
_SMALL = 64 * MEGABYTE  # the ratio says nothing of what is small anyway
_LONGEST_NAME = 240  # bytes of a name: file systems take 255
_ARCHIVES = {".zip", ".rar", ".7z", ".gz", ".bz2", ".xz", ".tar", ".tgz", ".cab", ".arj"}
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> list[Path]:
    """Unpack a ZIP into ``target`` and return its files in 1C's order; safe to repeat, a failure leaves nothing.

    ExchangeFileDamaged when the archive is cut or broken inside or the disk is full, ExchangeFileRefused when it is no
    archive that we take: encrypted, a bomb, with names that lead out of the folder, links, or archives inside.
    A file that already stands in ``target`` under the same name is replaced, as a repeated upload replaces it.
    """
    limits = limits or Limits()
    workshop = target / WORKSHOP
    try:
        with _opened(archive) as box:
            members = _members(box, archive, limits)
            shutil.rmtree(workshop, ignore_errors=True)
            workshop.mkdir(parents=True)
            _pour(box, members, workshop, archive.stat().st_size, limits)
        return _settle(members, workshop, target)
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.ENAMETOOLONG}:  # an offset before the beginning, a path beyond the limit
            msg = f"Архив «{archive.name}» повреждён: в нём невозможные места или имена файлов."
            raise ExchangeFileDamaged(msg) from error
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        msg = f"Архив «{archive.name}»: на диске кончилось место. Освободите его и передайте архив ещё раз."
        raise ExchangeFileDamaged(msg) from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open the archive, and say in Russian what is wrong with it then and while it is read."""
    with archive.open("rb") as file:
        head = file.read(4)
    if not head:
        msg = f"Архив «{archive.name}» пуст."
        raise ExchangeFileRefused(msg)
    if not head.startswith(b"PK"):
        msg = f"Файл «{archive.name}» – не архив ZIP."
        raise ExchangeFileRefused(msg)
    try:
        with zipfile.ZipFile(archive) as box:
            yield box
    except NotImplementedError as error:
        msg = f"Архив «{archive.name}» сжат способом, который не поддерживается: упакуйте обычным ZIP."
        raise ExchangeFileRefused(msg) from error
    except (
        zipfile.BadZipFile, zlib.error, LZMAError, EOFError, struct.error, ValueError, RuntimeError, KeyError,
        IndexError, OverflowError,
    ) as error:  # fmt: skip
        msg = f"Архив «{archive.name}» обрывается или повреждён: передайте его ещё раз, ничего не загружено."
        raise ExchangeFileDamaged(msg) from error


def _members(box: zipfile.ZipFile, archive: Path, limits: Limits) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Check what the archive says of itself; return the files in it with the names they will have."""
    infos = box.infolist()
    if len(infos) > limits.archive_files:
        msg = f"В архиве «{archive.name}» больше {limits.archive_files} файлов: выгружайте частями."
        raise ExchangeFileRefused(msg)
    _check_size(sum(info.file_size for info in infos), archive.name, archive.stat().st_size, limits)
    found: list[tuple[zipfile.ZipInfo, PurePosixPath]] = []
    seen: set[str] = set()
    for info in infos:
        name = _name(info)
        path = _safe_path(name, archive.name)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            msg = f"В архиве «{archive.name}» лежит ссылка или особый файл «{name[:100]}»: такие архивы не принимаются."
            raise ExchangeFileRefused(msg)
        if info.is_dir() or kind == stat.S_IFDIR or name.endswith(("/", "\\")) or _is_service(path):
            continue
        if info.flag_bits & _ENCRYPTED:
            msg = f"Архив «{archive.name}» закрыт паролем: выгрузите без пароля."
            raise ExchangeFileRefused(msg)
        if path.suffix.lower() in _ARCHIVES and PICTURES not in path.parts[:-1]:
            msg = f"В архиве «{archive.name}» лежит ещё один архив «{name[:100]}»: упакуйте файлы в один архив."
            raise ExchangeFileRefused(msg)
        if path.as_posix().casefold() in seen:
            msg = f"В архиве «{archive.name}» файл «{name[:100]}» лежит дважды: непонятно, какой брать."
            raise ExchangeFileRefused(msg)
        seen.add(path.as_posix().casefold())
        found.append((info, path))
    if any(parent.as_posix().casefold() in seen for _, path in found for parent in path.parents):
        msg = f"В архиве «{archive.name}» одно имя у файла и у папки: такой архив распаковать нельзя."
        raise ExchangeFileRefused(msg)
    if not found:
        msg = f"В архиве «{archive.name}» нет ни одного файла."
        raise ExchangeFileRefused(msg)
    return found


def _check_size(unpacked: int, name: str, packed: int, limits: Limits) -> None:
    if unpacked > limits.archive_bytes:
        msg = f"Архив «{name}» распаковывается больше чем в {limits.archive_bytes // MEGABYTE} МБ: выгружайте частями."
        raise ExchangeFileRefused(msg)
    if unpacked > _SMALL and unpacked > packed * limits.archive_ratio:
        msg = f"Архив «{name}» при распаковке вырастает больше чем в {limits.archive_ratio} раз: похоже на бомбу."
        raise ExchangeFileRefused(msg)


def _name(info: zipfile.ZipInfo) -> str:
    """Return the name as it was meant: UTF-8 where the archive says so or the bytes are, else cp866 of Russian DOS."""
    name = info.orig_filename
    if info.flag_bits & _UTF8_NAMES or name.isascii():
        return name
    raw = name.encode("cp437")  # as zipfile decoded it; cp437 knows all the 256 bytes
    if (stated := _unicode_path(info.extra, raw)) is not None:
        return stated
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp866")


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5 and struct.unpack("<L", field[1:5])[0] == zlib.crc32(raw):
            return field[5:].decode("utf-8", errors="replace")
    return None


def _safe_path(name: str, archive: str) -> PurePosixPath:
    """Return the name as a path below the target, or refuse the archive."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", "."}]
    is_outside = name.startswith(("/", "\\")) or ".." in parts or any(":" in part for part in parts)
    is_odd = any(
        any(one < " " or one == "\x7f" for one in part)
        or len(part.encode("utf-8", errors="replace")) > _LONGEST_NAME
        or part != part.rstrip(". ")
        or part.partition(".")[0].upper() in _RESERVED
        for part in parts
    )
    if is_outside or is_odd or not parts or len(parts) > 16:
        msg = f"В архиве «{archive}» имя файла ведёт наружу или недопустимо: «{_shown(name)}». Архив не принят."
        raise ExchangeFileRefused(msg)
    return PurePosixPath(*parts)


def _shown(name: str) -> str:
    return "".join(one if one.isprintable() else "�" for one in name[:100])


def _is_service(path: PurePosixPath) -> bool:
    """Say whether it is a file of the operating system, of no meaning for an exchange (and no marker of ours)."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _pour(
    box: zipfile.ZipFile,
    members: list[tuple[zipfile.ZipInfo, PurePosixPath]],
    workshop: Path,
    packed: int,
    limits: Limits,
) -> None:
    """Write the files, counting what really comes out: the sizes that an archive states may lie."""
    poured = 0
    name = Path(box.filename or "").name
    for info, path in members:
        place = workshop / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with _member(box, info) as source, place.open("xb") as file:
            while chunk := source.read(_CHUNK):
                poured += len(chunk)
                _check_size(poured, name, packed, limits)
                file.write(chunk)


def _member(box: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    return box.open(info)


def _settle(members: list[tuple[zipfile.ZipInfo, PurePosixPath]], workshop: Path, target: Path) -> list[Path]:
    """Move the unpacked files to their places (one rename each, on the same disk)."""
    placed: list[Path] = []
    for _, path in members:
        _clear_way(target / path, target)
    for _, path in sorted(members, key=lambda one: exchange_order(one[1].as_posix())):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        (workshop / path).replace(place)
        placed.append(place)
    return placed


def _clear_way(place: Path, target: Path) -> None:
    """Refuse to write through a link or over a folder that stands in the target."""
    for one in (place, *place.parents):
        if one == target:
            return
        if one.is_symlink() or (one.is_dir() if one == place else one.is_file()):
            msg = f"Место файла «{place.name}» занято: «{one.name}» уже лежит в папке обмена."
            raise ExchangeFileRefused(msg)
