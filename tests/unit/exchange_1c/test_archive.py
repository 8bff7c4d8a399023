"""Archives of an exchange: what 1C packs is unpacked, what an attacker packs is refused, nothing is left half done."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.exchange_1c import archive as archives
from include.exchange_1c.archive import unpack
from include.exchange_1c.records import ExchangeFileDamaged, ExchangeFileRefused, Limits

DERIVED = Path(__file__).resolve().parents[4] / "shared" / "samples" / "commerceml" / "derived"


def packed(tmp_path: Path, files: dict[str, bytes] | None = None, name: str = "v8_1_2.zip") -> Path:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        for inner, data in (files or {"import0_1.xml": b"<a/>"}).items():
            box.writestr(inner, data)
    return path


def left(target: Path) -> list[str]:
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*")) if target.exists() else []


def test_files_come_in_the_order_of_1c(tmp_path: Path) -> None:
    files = {
        "offers0_1.xml": b"2", "import0_10.xml": b"1", "import0_2.xml": b"1", "import_files/ab/a.jpg": b"j",
        "goods\\goods_1.xml": b"3", "__MACOSX/._import.xml": b"", ".package.json": b"{}", "empty/": b"",
    }  # fmt: skip
    target = tmp_path / "target"
    names = [path.relative_to(target).as_posix() for path in unpack(packed(tmp_path, files), target)]
    assert names == [
        "goods/goods_1.xml", "import0_2.xml", "import0_10.xml", "offers0_1.xml", "import_files/ab/a.jpg",
    ]  # fmt: skip
    assert (target / "import0_2.xml").read_bytes() == b"1"
    assert archives.WORKSHOP not in left(target)
    assert ".package.json" not in left(target)


def test_unpacking_again_gives_the_same(tmp_path: Path) -> None:
    path, target = packed(tmp_path), tmp_path / "target"
    first = unpack(path, target)
    (target / archives.WORKSHOP).mkdir()  # a crash in the middle leaves it
    (target / archives.WORKSHOP / "import0_1.xml").write_bytes(b"half")
    assert unpack(path, target) == first
    assert first[0].read_bytes() == b"<a/>"


@pytest.mark.skipif(not DERIVED.exists(), reason="нет папки с образцами выгрузок ../shared/samples/commerceml")
def test_archive_as_1c_names_it(tmp_path: Path) -> None:
    found = unpack(DERIVED / "v8_3B8F_3e.zip", tmp_path / "whole")
    assert [path.name for path in found] == ["import0_1.xml", "offers0_1.xml"]
    for part, error in (("part1", ExchangeFileDamaged), ("part2", ExchangeFileRefused)):
        with pytest.raises(error):
            unpack(DERIVED / f"v8_3B8F_3e.zip.{part}", tmp_path / part)
        assert left(tmp_path / part) == []
    joined = tmp_path / "joined.zip"
    joined.write_bytes(b"".join((DERIVED / f"v8_3B8F_3e.zip.{part}").read_bytes() for part in ("part1", "part2")))
    assert len(unpack(joined, tmp_path / "joined")) == 2


def with_raw_name(tmp_path: Path, raw: bytes, extra: bytes = b"") -> Path:
    """Pack a file whose name are these bytes, without the flag of UTF-8 (as archivers of DOS and Windows do)."""
    stand_in = "Z" * len(raw)
    path = packed(tmp_path, {stand_in: b"x"})
    data = path.read_bytes().replace(stand_in.encode(), raw)
    if extra:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as box:
            info = zipfile.ZipInfo(stand_in)
            info.extra = extra
            box.writestr(info, b"x")
        data = buffer.getvalue().replace(stand_in.encode(), raw)
    path.write_bytes(data)
    return path


def test_names_in_every_code_page(tmp_path: Path) -> None:
    name = "Товары_1.xml"
    cp866, utf8 = name.encode("cp866"), name.encode()
    for number, path in enumerate(
        (
            packed(tmp_path, {name: b"x"}, "utf8.zip"),
            with_raw_name(tmp_path, cp866),
            with_raw_name(tmp_path, utf8),
        )
    ):
        assert [one.name for one in unpack(path, tmp_path / str(number))] == [name]
    raw = "Тов".encode("cp866") + b".xml"
    field = b"\x01" + struct.pack("<L", zlib.crc32(raw)) + utf8
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    assert [one.name for one in unpack(with_raw_name(tmp_path, raw, extra), tmp_path / "extra")] == [name]


@pytest.mark.parametrize(
    "name",
    [
        "../import.xml", "a/../../import.xml", "/etc/passwd", "..\\import.xml", "C:\\import.xml", "C:import.xml",
        "\\\\server\\import.xml", "a\x01b.xml", "я" * 200 + ".xml", "con.xml", "import.xml.", "/".join("a" * 20), "a:b",
    ],
)  # fmt: skip
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path, {"import0_1.xml": b"<a/>", name: b"x"})
    with pytest.raises(ExchangeFileRefused, match="имя файла"):
        unpack(path, tmp_path / "deep" / "target")
    assert left(tmp_path / "deep") in ([], ["target"])


def test_a_name_cut_by_a_zero_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExchangeFileRefused, match="имя файла"):
        unpack(with_raw_name(tmp_path, b"a.xml\x00.jpg"), tmp_path / "target")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as box:
        info = zipfile.ZipInfo("import.xml")
        info.external_attr = (kind | 0o777) << 16
        box.writestr(info, "/etc/passwd")
    with pytest.raises(ExchangeFileRefused, match="ссылка"):
        unpack(path, tmp_path / "target")


def test_nothing_is_written_through_a_link_in_the_folder(tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "goods").symlink_to(outside)
    with pytest.raises(ExchangeFileRefused, match="занято"):
        unpack(packed(tmp_path, {"import.xml": b"1", "goods/goods.xml": b"x"}), target)
    assert left(outside) == []
    assert left(target) == ["goods"]


def test_password_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path)
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)
    with pytest.raises(ExchangeFileRefused, match="паролем"):
        unpack(path, tmp_path / "target")


def test_archive_in_an_archive_is_refused_but_an_attachment_is_not(tmp_path: Path) -> None:
    with pytest.raises(ExchangeFileRefused, match="ещё один архив"):
        unpack(packed(tmp_path, {"inner.zip": b"PK"}), tmp_path / "target")
    attached = {"import.xml": b"1", "import_files/ab/manual.zip": b"PK"}
    assert len(unpack(packed(tmp_path, attached), tmp_path / "target")) == 2


@pytest.mark.parametrize("files", [{"a.xml": b"1", "A.XML": b"2"}, {"a": b"1", "a/b.xml": b"2"}])
def test_two_files_of_one_name_are_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(ExchangeFileRefused, match=r"дважды|одно имя"):
        unpack(packed(tmp_path, files), tmp_path / "target")


def test_bombs_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    bomb = packed(tmp_path, {"import.xml": bytes(70 * 1024 * 1024)})
    with pytest.raises(ExchangeFileRefused, match="бомбу"):
        unpack(bomb, target)
    small = packed(tmp_path, {"import.xml": bytes(2_000_000)})
    with pytest.raises(ExchangeFileRefused, match="распаковывается больше"):
        unpack(small, target, Limits(archive_bytes=1_000_000))
    many = packed(tmp_path, {f"{number}.xml": b"" for number in range(30)})
    with pytest.raises(ExchangeFileRefused, match="больше 20 файлов"):
        unpack(many, target, Limits(archive_files=20))
    assert left(target) == []


def test_a_size_that_lies_is_found_out(tmp_path: Path) -> None:
    path = packed(tmp_path, {"import.xml": bytes(3_000_000)})
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        data[data.index(mark) + place : data.index(mark) + place + 4] = struct.pack("<L", 10)
    path.write_bytes(data)
    with pytest.raises(ExchangeFileRefused):
        unpack(path, tmp_path / "target", Limits(archive_bytes=1_000_000))
    assert left(tmp_path / "target") == []


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "пуст"), (b"<xml/>", "не архив"), (b"PK\x05\x06" + bytes(18), "ни одного")]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(ExchangeFileRefused, match=words):
        unpack(path, tmp_path / "target")


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as box:
        box.writestr("import.xml", b"<a>whole</a>")
    path.write_bytes(path.read_bytes().replace(b"whole", b"wrong"))
    with pytest.raises(ExchangeFileDamaged, match="повреждён"):
        unpack(path, tmp_path / "target")
    assert left(tmp_path / "target") == []


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = archives._member
    calls = []

    def second_fails(box: zipfile.ZipFile, info: zipfile.ZipInfo) -> object:
        calls.append(info)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(box, info)

    monkeypatch.setattr(archives, "_member", second_fails)
    with pytest.raises(ExchangeFileDamaged, match="кончилось место"):
        unpack(packed(tmp_path, {"import.xml": b"1", "offers.xml": b"2"}), tmp_path / "target")
    assert left(tmp_path / "target") == []


@settings(
    max_examples=int(os.environ.get("FUZZ") or 150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), st.binary(max_size=6)), min_size=1, max_size=5),
    st.integers(0, 400),
)
def test_mutated_archive_never_crashes_and_never_leads_out(
    tmp_path: Path, changes: list[tuple[int, int, bytes]], cut: int
) -> None:
    home = tmp_path / "home"
    path, target = packed(tmp_path, {"import.xml": b"<a/>" * 20, "Товар.xml": b"<b/>"}), home / "target"
    data = path.read_bytes()
    for place, length, piece in changes:
        data = data[:place] + piece + data[place + length :]
    path.write_bytes(data[: max(4, len(data) - cut)] if cut % 3 == 0 else data)
    try:
        for one in unpack(path, target, Limits(archive_bytes=1_000_000)):
            assert target in one.parents
    except ExchangeFileRefused as refusal:
        assert str(refusal)
    assert left(home) == [] or {name.split("/")[0] for name in left(home)} == {"target"}
