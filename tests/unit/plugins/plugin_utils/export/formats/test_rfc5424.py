# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of RFC 5424: each field of the header, structured data, and what no message may have."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import rfc5424, structured
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

from tests.support import hostile_events

_EVENT: dict[str, t.Any] = {
    "class_uid": 2004,
    "severity_id": 4,
    "time": 1_795_990_000_500,
    "device": {"hostname": "web1.example.org"},
}
_HEADER = rfc5424.Header()


def test_a_message_has_every_field() -> None:
    assert rfc5424.message(_EVENT, _HEADER, b"text") == (
        b"<131>1 2026-11-29T22:06:40.500Z web1.example.org bulwark - detection - text"
    )


@pytest.mark.parametrize(
    ("facility", "severity", "priority"),
    [("kern", 5, 2), ("user", 4, 11), ("authpriv", 3, 84), ("local0", 2, 133), ("local7", 1, 190), ("local0", 6, 129)],
)
def test_the_priority_is_facility_and_severity(facility: str, severity: int, priority: int) -> None:
    event = {**_EVENT, "severity_id": severity}
    written = rfc5424.message(event, rfc5424.Header(facility=facility), b"")
    assert written.startswith(b"<%d>1 " % priority)


@pytest.mark.parametrize("severity", [None, "high", -1, 7, 2**63])
def test_an_unknown_severity_is_informational(severity: t.Any) -> None:
    assert rfc5424.message({**_EVENT, "severity_id": severity}, _HEADER, b"").startswith(b"<134>1 ")


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (0, b"1970-01-01T00:00:00.000Z"),
        (4_102_444_799_999, b"2099-12-31T23:59:59.999Z"),
        (4_102_444_800_000, b"-"),
        (253_402_300_799_999, b"-"),
        (-1, b"-"),
        (True, b"-"),
        ("now", b"-"),
        (None, b"-"),
    ],
)
def test_a_time_is_written_unless_receivers_refuse_it(time: t.Any, written: bytes) -> None:
    assert rfc5424.message({**_EVENT, "time": time}, _HEADER, b"").split(b" ")[1] == written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("web1", "web1"),
        ("fe80::1", "fe80::1"),
        ("192.0.2.7", "192.0.2.7"),
        ("web 1\n<14>1", "web_1__14_1"),
        ("bücher", "b_cher"),
        ("", "-"),
        ("x" * 300, "x" * 255),
        ("\ud800", "_"),
    ],
)
def test_a_host_is_named_so_that_every_receiver_takes_it(name: str, written: str) -> None:
    message = rfc5424.message({**_EVENT, "device": {"hostname": name}}, _HEADER, b"")
    assert message.decode().split(" ")[2] == written


def test_a_fixed_hostname_stands_for_that_of_the_event() -> None:
    message = rfc5424.message(_EVENT, rfc5424.Header(hostname="siem"), b"")
    assert message.split(b" ")[2] == b"siem"


@pytest.mark.parametrize(
    ("class_uid", "name"),
    [(2004, "detection"), (2003, "compliance"), (2002, "vulnerability"), (6007, "scan"), (1, "event")],
)
def test_the_message_id_is_the_class(class_uid: int, name: str) -> None:
    assert rfc5424.message({**_EVENT, "class_uid": class_uid}, _HEADER, b"").decode().split(" ")[5] == name


@pytest.mark.parametrize(
    ("body", "bom", "written"),
    [
        ("é".encode(), True, b"\xef\xbb\xbf\xc3\xa9"),
        ("é".encode(), False, b"\xc3\xa9"),
        (b"ascii", True, b"ascii"),
    ],
)
def test_a_byte_order_mark_goes_before_what_is_no_ascii(body: bytes, bom: bool, written: bytes) -> None:
    assert rfc5424.message(_EVENT, _HEADER, body, bom=bom).endswith(b" - " + written)


@pytest.mark.parametrize("character", [*map(chr, range(9)), *map(chr, range(10, 32)), "\x7f"])
def test_a_control_character_is_refused(character: str) -> None:
    with pytest.raises(UnfitError, match="control character"):
        rfc5424.message(_EVENT, _HEADER, f"a{character}b".encode())
    with pytest.raises(UnfitError, match="control character"):
        rfc5424.message(_EVENT, _HEADER, b"", f'[a@1 b="{character}"]')


def test_a_tab_stays() -> None:
    assert rfc5424.message(_EVENT, _HEADER, b"a\tb").endswith(b"a\tb")


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnfitError, match="surrogate"):
        rfc5424.message(_EVENT, _HEADER, b"", '[a@1 b="\udc80"]')


def test_values_of_structured_data_are_escaped() -> None:
    element = rfc5424.structured_element("bulwark@32473", [("one", 'a"b]c\\d[e=f'), ("two", "")])
    assert element == r'[bulwark@32473 one="a\"b\]c\\d[e=f" two=""]'


@pytest.mark.parametrize("name", ["a", "bulwark@32473", "!", "~" * 32])
def test_names_of_structured_data(name: str) -> None:
    assert rfc5424.is_sd_name(name)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a]b", 'a"b', "ä", "a" * 33, "a\n"])
def test_what_is_no_name_of_structured_data(name: str) -> None:
    assert not rfc5424.is_sd_name(name)


def test_every_class_has_its_fields_as_structured_data() -> None:
    for event in hostile_events.plain():
        data, text, shortened = structured.structured(event, "bulwark@32473")
        assert data.startswith(f'[bulwark@32473 eventUid="{event["metadata"]["uid"]}" ')
        assert f' host="{event["device"]["hostname"]}"' in data
        assert text == event["message"]
        assert shortened == 0
        names = [part.partition("=")[0] for part in data[1:-1].split('" ')]
        assert all(rfc5424.is_sd_name(name.rpartition(" ")[2]) for name in names)
