"""The HTTP exchange, decided without a disk or a database: requests, names, parts, addresses, answers (issue 5, 5)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.one_c_http import rules
from include.one_c_http.rules import OneCRefused
from include.shared.errors import InvalidInput

pytestmark = pytest.mark.unit


def test_a_request_is_read_however_it_is_written() -> None:
    asked = rules.asked_of(b"TYPE=Sale&mode=File&filename=%D0%BF%D1%80%D0%B0%D0%B9%D1%81.xml&sessid=abc&version=3.1")
    assert (asked.kind, asked.mode, asked.file_name, asked.session) == ("sale", "file", "прайс.xml", "abc")
    assert asked.version == "3.1"
    assert rules.asked_of("filename=прайс.xml".encode("cp1251")).file_name == "прайс.xml"
    assert rules.asked_of(b"backoffice_1c=t").session == "t"
    assert rules.asked_of(b"mode=init&mode=file").mode == "init"
    assert rules.asked_of(b"") == rules.Asked()


def test_credentials() -> None:
    for encoding in ("utf-8", "cp1251"):
        header = "Basic " + base64.b64encode("обмен:па:роль".encode(encoding)).decode()
        assert rules.credentials_of(header) == ("обмен", "па:роль")
    for wrong in (None, "", "Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"x").decode(), "Basic é"):
        assert rules.credentials_of(wrong) is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("import.xml", "import.xml"),
        ("C:\\temp\\v8_8789_c.xml", "v8_8789_c.xml"),
        ("/tmp/1c/offers.xml", "offers.xml"),
        ("import_files/ab/picture.jpg", "import_files/ab/picture.jpg"),
        ("../../etc/passwd", "etc/passwd"),
        ("a/../b.xml", "a/b.xml"),
        (".package.json", "package.json"),
        ("goods.xml.tmp", "goods.xml.tmp_"),
        ("report.json", "report.json_"),
        ("con.xml", "_con.xml"),
        ("a\x00b:c.xml", "a_b_c.xml"),
        ("прайс.xml", "прайс.xml"),
    ],
)
def test_names_stay_inside(said: str, kept: str) -> None:
    assert rules.safe_name(said) == kept


@pytest.mark.parametrize("said", ["", "..", "/", "C:\\", "папка/", "a/" * 10 + "b.xml"])
def test_no_name_is_refused(said: str) -> None:
    with pytest.raises(OneCRefused):
        rules.safe_name(said)


@given(st.text(max_size=300))
def test_no_name_leaves_its_folder(said: str) -> None:
    try:
        name = rules.safe_name(said)
    except OneCRefused:
        return
    parts = name.split("/")
    assert all(one and one not in (".", "..") and not one.startswith(".") for one in parts)
    assert not name.startswith("/")
    assert "\\" not in name
    assert "\x00" not in name


def test_where_a_part_goes() -> None:
    first, second, third = "10:a", "10:b", "3:c"
    assert rules.offset_of(None, first) == 0
    assert rules.offset_of((10, first, first), first) is None  # our answer was lost
    assert rules.offset_of((10, first, first), second) == 10
    assert rules.offset_of((20, first, second), second) is None
    assert rules.offset_of((20, first, second), third) == 20
    assert rules.offset_of((20, first, second), first) == 0  # from the beginning again


def test_beginnings_and_ends() -> None:
    assert rules.begins_anew(b'\xef\xbb\xbf<?xml version="1.0"?>')
    assert rules.begins_anew(b"<?xml version='1.0'?>")
    assert rules.begins_anew(b"PK\x03\x04...")
    assert not rules.begins_anew("<Товар>".encode())
    for encoding in ("utf-8", "cp1251"):
        assert rules.ends_document("…</КоммерческаяИнформация>\r\n".encode(encoding, "ignore"))
    assert not rules.ends_document("</Товар>".encode())


def test_addresses() -> None:
    allowed = rules.clean_addresses("192.168.1.10, 10.0.0.0/8\n2001:db8::/32 10.0.0.0/8")
    assert allowed == ["192.168.1.10", "10.0.0.0/8", "2001:db8::/32"]
    assert rules.may_come("10.1.2.3", allowed)
    assert rules.may_come("::ffff:192.168.1.10", allowed)
    assert rules.may_come("2001:db8::5", allowed)
    assert not rules.may_come("192.168.1.11", allowed)
    assert not rules.may_come("localhost", allowed)
    assert rules.may_come("anything", [])
    with pytest.raises(InvalidInput, match="не адрес"):
        rules.clean_addresses("192.168.1.300")
    with pytest.raises(InvalidInput, match="до 50"):
        rules.clean_addresses(" ".join(f"10.0.0.{one}" for one in range(60)))


def test_logins_and_titles() -> None:
    assert rules.clean_login(" ut-11 ") == "ut-11"
    assert rules.clean_title("  УТ  11 ") == "УТ 11"
    for check, wrong in ((rules.clean_login, "обмен"), (rules.clean_login, "a:b"), (rules.clean_title, " ")):
        with pytest.raises(InvalidInput):
            check(wrong)


def test_answers() -> None:
    assert rules.answer_bytes("нет ✓", "windows-1251") == ("нет ?".encode("cp1251"), "windows-1251")
    assert rules.answer_bytes("нет", "что-то") == ("нет".encode(), "utf-8")
    assert rules.one_line(" а\n\tб ") == "а б"
    said = rules.info_xml({"Счет & КП": "Счет <КП>"})
    assert b"\x3cC\xf2\xe0\xf2\xf3\xf1\xfb\x3e" in said  # «<Cтатусы>» with a Latin C
    assert "<Ид>Счет &amp; КП</Ид>".encode("cp1251") in said
