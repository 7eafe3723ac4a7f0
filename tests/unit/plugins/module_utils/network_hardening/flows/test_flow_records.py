# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of flows as tools and clouds write them, whole, damaged, and made to do harm."""

from __future__ import annotations

import io
import json
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import fields, formats

NOW = 1_767_225_600.0

CONNTRACK = """\
tcp      6 431999 ESTABLISHED src=203.0.113.7 dst=192.0.2.10 sport=51234 dport=22 packets=10 bytes=1000 \
src=192.0.2.10 dst=203.0.113.7 sport=22 dport=51234 packets=8 bytes=900 [ASSURED] mark=0 delta-time=60 use=1
tcp      6 118 SYN_SENT src=198.51.100.9 dst=192.0.2.10 sport=4000 dport=23 [UNREPLIED] \
src=192.0.2.10 dst=198.51.100.9 sport=23 dport=4000 mark=0 use=1
ipv6     10 tcp      6 9 CLOSE src=2001:db8::1 dst=2001:db8::2 sport=4001 dport=3306 \
src=2001:db8::2 dst=2001:db8::1 sport=3306 dport=4001 mark=0 use=1
udp      17 29 src=192.0.2.10 dst=192.0.2.53 sport=40000 dport=53 \
src=192.0.2.53 dst=192.0.2.10 sport=53 dport=40000 mark=0 use=1
icmp     1 29 src=192.0.2.10 dst=192.0.2.53 type=8 code=0 id=1 src=192.0.2.53 dst=192.0.2.10 type=0 code=0 id=1 use=1
conntrack v1.4.8 (conntrack-tools): 5 flow entries have been shown.
"""

AWS = """\
version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 123456789010 eni-1 203.0.113.7 192.0.2.10 51234 22 6 20 4249 1767225000 1767225060 ACCEPT OK
2 123456789010 eni-1 192.0.2.10 203.0.113.7 22 51234 6 18 9000 1767225000 1767225060 ACCEPT OK
2 123456789010 eni-1 203.0.113.7 192.0.2.10 51234 22 6 5 500 1767225061 1767225120 ACCEPT OK
2 123456789010 eni-1 198.51.100.9 192.0.2.10 4000 3389 6 1 40 1767225000 1767225060 REJECT OK
2 123456789010 eni-1 - - - - - - - 1767225000 1767225060 - NODATA
"""

AZURE_TUPLES = [
    "1767225000,203.0.113.7,10.5.16.4,51234,22,T,I,A,B,,,,",
    "1767225060,203.0.113.7,10.5.16.4,51234,22,T,I,A,E,10,1000,8,900",
    "1767225000,198.51.100.9,10.5.16.4,4000,443,U,I,D,B,,,,",
]

ZEEK = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes"
    "\tconn_state\torig_pkts\tresp_pkts\n"
    "1767225000.5\tC1\t203.0.113.7\t51234\t192.0.2.10\t22\ttcp\tssh\t12.5\t1000\t900\tSF\t10\t8\n"
    "1767225001.0\tC2\t198.51.100.9\t4000\t192.0.2.10\t23\ttcp\t-\t-\t-\t-\tS0\t1\t0\n"
    "1767225002.0\tC3\t2001:db8::1\t4001\t2001:db8::2\t3306\ttcp\t-\t0.1\t0\t0\tREJ\t1\t1\n"
    "1767225002.0\tC4\t192.0.2.1\t8\t192.0.2.10\t0\ticmp\t-\t-\t-\t-\tOTH\t1\t0\n"
    "#close\t2026-01-01-00-00-00\n"
)

NFDUMP = """\
Date first seen          Duration Proto      Src IP Addr:Port          Dst IP Addr:Port   Packets    Bytes Flows
2025-12-31 23:50:00.370    63.545 TCP      203.0.113.7:51234 ->     192.0.2.10:22          10    1.5 M     1
2025-12-31 23:50:00.371    63.500 TCP       192.0.2.10:22    ->    203.0.113.7:51234       8      900     1
2025-12-31 23:51:00.000  00:00:01.000 TCP  2001:db8::1.4001  ->    2001:db8::2.3306   ......   0   2   80   1
2025-12-31 23:51:00.000     0.000 ICMP      192.0.2.1:0     ->     192.0.2.10:8.0         1       84     1
Summary: total flows: 3, total bytes: 1.5 M, total packets: 20, avg bps: 1, avg pps: 0, avg bpp: 1
Time window: 2025-12-31 23:50:00 - 2025-12-31 23:59:00
"""

NFDUMP_CSV = """\
ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt
2025-12-31 23:50:00,2025-12-31 23:51:00,60.0,203.0.113.7,192.0.2.10,51234,22,TCP,...AP.SF,0,0,10,1000,0,0
2025-12-31 23:50:00,2025-12-31 23:51:00,60.0,192.0.2.10,203.0.113.7,22,51234,TCP,...AP.SF,0,0,8,900,0,0
2025-12-31 23:50:00,2025-12-31 23:50:00,0.0,198.51.100.9,192.0.2.10,4000,23,TCP,......S.,0,0,1,40,0,0
2025-12-31 23:50:00,2025-12-31 23:50:00,0.0,192.0.2.10,198.51.100.9,23,4000,TCP,...A.R..,0,0,1,40,0,0
Summary
flows,bytes,packets,avg_bps,avg_pps,avg_bpp
4,1980,20,1,0,1
"""


def read(form: str, text: str | bytes, **arguments: t.Any) -> formats.Records:
    content = text if isinstance(text, bytes) else text.encode()
    return formats.read(form, io.BytesIO(content), NOW, **arguments)


def azure(tuples: list[t.Any]) -> str:
    flows = [{"rule": "UserRule", "flows": [{"mac": "000D3AF87856", "flowTuples": tuples}]}]
    return json.dumps({"records": [{"properties": {"Version": 2, "flows": flows}}]})


def _vnet() -> str:
    """Return a log of a virtual network, laid out as Azure's documentation has it."""
    groups = [
        {
            "rule": "DefaultRule_AllowInternetOutBound",
            "flowTuples": [
                "1663146003599,10.0.0.6,192.0.2.180,23956,443,6,O,B,NX,0,0,0,0",
                "1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580",
            ],
        },
        {
            "rule": "UserRule_ssh",
            "flowTuples": [
                "1663146000500,203.0.113.7,10.0.0.6,51234,22,6,I,B,X,0,0,0,0",
                "1663146300500,203.0.113.7,10.0.0.6,51234,22,6,I,C,X,40,4000,50,26000",
                "1663147200500,203.0.113.7,10.0.0.6,51234,22,6,I,E,X,3,60,2,80",
                "1663147200600,203.0.113.8,10.0.0.6,51234,22,6,I,B,NX_HW_NOT_SUPPORTED,0,0,0,0",
            ],
        },
        {
            "rule": "DefaultRule_DenyAllInBound",
            "flowTuples": [
                "1663146003637,198.51.100.9,10.0.0.6,4000,3389,6,I,D,NX,0,0,0,0",
                "1663146003637,198.51.100.9,10.0.0.6,0,0,1,I,D,NX,0,0,0,0",
            ],
        },
    ]
    other = [
        {"rule": "UserRule_web", "flowTuples": ["1663146003637,2001:db8::9,2001:db8::6,4000,443,17,I,E,NX,2,200,2,200"]}
    ]
    common = {
        "time": "2022-09-14T09:00:52.5625085Z",
        "flowLogVersion": 4,
        "macAddress": "112233445566",
        "category": "FlowLogFlowEvent",
        "operationName": "FlowLogFlowEvent",
    }
    flows = [[{"aclID": "1", "flowGroups": groups}], [{"aclID": "2", "flowGroups": other}]]
    return json.dumps({"records": [{**common, "flowRecords": {"flows": found}} for found in flows]})


VNET = _vnet()


def shown(records: formats.Records) -> list[tuple[t.Any, ...]]:
    assert (records.damaged, records.problems) == (0, [])
    return [
        (f.source, f.destination, f.protocol, f.port, f.outcome, f.packets, f.bytes, f.connections)
        for f in records.flows
    ]


def test_conntrack() -> None:
    records = read("conntrack", CONNTRACK)
    assert shown(records) == [
        ("203.0.113.7", "192.0.2.10", "tcp", 22, "answered", 18, 1900, 1),
        ("198.51.100.9", "192.0.2.10", "tcp", 23, "unanswered", None, None, 1),
        ("2001:db8::1", "2001:db8::2", "tcp", 3306, "refused", None, None, 1),
        ("192.0.2.10", "192.0.2.53", "udp", 53, "answered", None, None, 1),
    ]
    assert [(flow.first, flow.last) for flow in records.flows[:2]] == [(NOW - 60, NOW), (None, NOW)]


def test_aws_puts_both_directions_and_all_intervals_of_a_connection_together() -> None:
    records = read("aws_vpc", AWS)
    assert shown(records) == [
        ("203.0.113.7", "192.0.2.10", "tcp", 22, "answered", 43, 13749, 1),
        ("198.51.100.9", "192.0.2.10", "tcp", 3389, "refused", 1, 40, 1),
    ]
    assert (records.flows[0].first, records.flows[0].last) == (1767225000.0, 1767225120.0)
    without_head = AWS.partition("\n")[2]
    assert read("aws_vpc", without_head).flows == records.flows


def test_aws_fields_in_another_order() -> None:
    head, line = (
        "action srcaddr dstaddr srcport dstport protocol packets bytes start end vpc-id",
        "REJECT 203.0.113.7 192.0.2.10 51234 22 6 20 4249 1767225000 1767225060 vpc-1",
    )
    assert shown(read("aws_vpc", head + "\n" + line))[0][:5] == ("203.0.113.7", "192.0.2.10", "tcp", 22, "refused")
    lacking = read("aws_vpc", head.replace(" end", ""))
    assert lacking.problems == ["line 1: the first line does not name the field end"]


def test_azure() -> None:
    assert shown(read("azure_nsg", azure(AZURE_TUPLES))) == [
        ("203.0.113.7", "10.5.16.4", "tcp", 22, "answered", 18, 1900, 1),
        ("198.51.100.9", "10.5.16.4", "udp", 443, "refused", None, None, 1),
    ]


@pytest.mark.parametrize("form", ["azure_vnet", "azure_nsg"])
def test_azure_virtual_networks(form: str) -> None:
    records = read(form, VNET)
    assert shown(records) == [
        ("10.0.0.6", "192.0.2.180", "tcp", 443, "answered", 5, 2347, 1),
        ("203.0.113.7", "10.0.0.6", "tcp", 22, "answered", 95, 30140, 1),
        ("203.0.113.8", "10.0.0.6", "tcp", 22, "unknown", None, None, 1),
        ("198.51.100.9", "10.0.0.6", "tcp", 3389, "refused", 0, 0, 1),
        ("2001:db8::9", "2001:db8::6", "udp", 443, "answered", 4, 400, 1),
    ]
    session = records.flows[1]
    assert (session.first, session.last, session.seconds) == (1663146000.5, 1663147200.5, 1200.0)
    # 8 of TCP and UDP, and one of ICMP, which is understood and no connection.
    assert records.lines == 9


def test_azure_of_version_1_knows_no_sizes() -> None:
    first = ",".join(AZURE_TUPLES[0].split(",")[:8])
    assert shown(read("azure_nsg", azure([first])))[0][4:] == ("unknown", None, None, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"records": [{"category": "FlowLogFlowEvent"}]}, "neither 'flowRecords' nor 'properties'"),
        ({"records": [7]}, "neither 'flowRecords' nor 'properties'"),
        ({"records": [{"flowRecords": {}}]}, "there is no list 'flows'"),
        ({"records": [{"flowRecords": {"flows": [{"flows": []}]}}]}, "there is no list 'flowGroups'"),
        ({"records": [{"properties": {"flows": [{"flowGroups": []}]}}]}, "there is no list 'flows'"),
        ({"records": [{"flowRecords": {"flows": [{"flowGroups": [{}]}]}}]}, "there is no list 'flowTuples'"),
    ],
)
def test_a_document_without_tuples_where_they_belong_is_not_understood(content: t.Any, words: str) -> None:
    records = read("azure_nsg", json.dumps(content))
    assert (records.flows, records.damaged, records.lines) == ([], 1, 1)
    assert "record 1 of the document" in records.problems[0]
    assert words in records.problems[0]


@pytest.mark.parametrize(
    ("form", "text", "absent"),
    [
        ("conntrack", CONNTRACK.replace("packets=8 bytes=900 ", ""), ("packets", "bytes", "seconds")),
        ("aws_vpc", AWS.replace(" 20 4249 ", " - - ").replace(" 18 9000 ", " 18 - "), ("packets", "bytes")),
        ("zeek", ZEEK.replace("12.5\t1000", "-\t-"), ("bytes", "seconds")),
        ("zeek", ZEEK.replace("SF\t10\t8", "SF\t-\t8"), ("packets",)),
        (
            "nfdump",
            NFDUMP_CSV.replace("ipkt,ibyt", "x,y").replace("ts,te,td", "ts,x,y"),
            ("packets", "bytes", "seconds"),
        ),
    ],
)
def test_what_a_record_does_not_say_is_unknown_and_never_nothing(form: str, text: str, absent: tuple[str, ...]) -> None:
    flow = read(form, text).flows[0]
    for name in ("packets", "bytes", "seconds"):
        value = getattr(flow, name)
        if name in absent:
            assert value is None, name
        elif form != "conntrack":
            assert value, name


def test_flows_that_aws_left_out_are_told() -> None:
    records = read("aws_vpc", AWS.replace("NODATA", "SKIPDATA"))
    assert (len(records.flows), records.damaged) == (2, 1)
    assert "SKIPDATA" in records.problems[0]


def zeek_json() -> str:
    lines = ZEEK.splitlines()
    names = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
    text = {"uid", "id.orig_h", "id.resp_h", "proto", "service", "conn_state"}
    objects = []
    for line in lines:
        if not line.startswith("#"):
            values = {name: value for name, value in zip(names, line.split("\t"), strict=True) if value != "-"}
            objects.append({name: value if name in text else float(value) for name, value in values.items()})
    return "\n".join(json.dumps(one) for one in objects).replace(".0,", ",").replace(".0}", "}")


@pytest.mark.parametrize("text", [ZEEK, zeek_json()], ids=["tsv", "json"])
def test_zeek(text: str) -> None:
    records = read("zeek", text)
    assert shown(records) == [
        ("203.0.113.7", "192.0.2.10", "tcp", 22, "answered", 18, 1900, 1),
        ("198.51.100.9", "192.0.2.10", "tcp", 23, "unanswered", 1, None, 1),
        ("2001:db8::1", "2001:db8::2", "tcp", 3306, "refused", 2, 0, 1),
    ]
    assert (records.flows[0].first, records.flows[0].last) == (1767225000.5, 1767225013.0)


def test_zeek_with_times_as_text() -> None:
    found = json.loads(zeek_json().splitlines()[0])
    found["ts"] = "2025-12-31T23:50:00.500000Z"
    assert read("zeek", json.dumps(found)).flows[0].first == 1767225000.5


def test_nfdump_text() -> None:
    records = read("nfdump", NFDUMP)
    assert shown(records) == [
        ("203.0.113.7", "192.0.2.10", "tcp", 22, "answered", 18, 1500900, 1),
        ("2001:db8::1", "2001:db8::2", "tcp", 3306, "unknown", 2, 80, 1),
    ]
    assert records.flows[0].first == 1767225000.370


def test_nfdump_csv() -> None:
    assert shown(read("nfdump", NFDUMP_CSV)) == [
        ("203.0.113.7", "192.0.2.10", "tcp", 22, "answered", 18, 1900, 1),
        ("198.51.100.9", "192.0.2.10", "tcp", 23, "refused", 2, 80, 1),
    ]


def test_condensed_addresses_are_not_guessed() -> None:
    line = "2025-12-31 23:51:00.000 1.000 TCP 2001:db..:0:1.4001 -> 2001:db8::2.3306 2 80 1"
    assert read("nfdump", line).problems == [
        "line 1: there is no whole address with a port; run nfdump -6 for those of IPv6"
    ]


@pytest.mark.parametrize(
    ("form", "line", "words"),
    [
        ("conntrack", "nonsense", "this is not a line of conntrack -L"),
        ("conntrack", CONNTRACK.splitlines()[0][:90], "addresses or ports of a direction are missing"),
        ("conntrack", CONNTRACK.splitlines()[0].replace("dport=22", "dport=65536"), "the port is above 65535"),
        ("conntrack", CONNTRACK.splitlines()[0].replace("packets=10", "packets=" + "9" * 400), "no number where one"),
        ("conntrack", CONNTRACK.splitlines()[0].replace("=203.0.113.7", "=$(reboot)"), "no address where one belongs"),
        ("aws_vpc", "2 1 eni-1 203.0.113.7", "there are 4 fields, not 14"),
        ("aws_vpc", AWS.splitlines()[1].replace("ACCEPT", "MAYBE"), "the action is neither ACCEPT nor REJECT"),
        ("aws_vpc", AWS.splitlines()[1].replace("1767225000", "99999999999"), "before 2001 or after 2100"),
        ("aws_vpc", AWS.splitlines()[1].replace(" 6 ", " 256 "), "the protocol is above 255"),
        ("aws_vpc", AWS.splitlines()[1].replace(" 20 ", " ² "), "no number where one belongs"),
        ("azure_nsg", "not json", "this is not JSON; a log that is still being written ends in the middle"),
        ("azure_nsg", "[" * 100_000, "this is not JSON"),
        ("azure_nsg", '{"records": {}}', "there is no list 'records'"),
        ("azure_nsg", azure([7]), "a tuple has 8 or 13 fields, not 1"),
        ("azure_nsg", azure([AZURE_TUPLES[0].replace(",T,", ",X,")]), "protocol, direction or decision"),
        ("zeek", "1767225000.5\tC1", "no line before this one begins with #fields"),
        ("zeek", ZEEK + "1\t2\n", "there are 2 fields, not 14"),
        ("zeek", "#fields\tts\tuid\n", "the line #fields does not name id.orig_h"),
        ("zeek", '{"ts": 1', "this is not JSON"),
        ("zeek", '{"a":' * 10_000, "this is not JSON"),
        ("zeek", "{}", "there is no ts"),
        ("zeek", zeek_json().splitlines()[0].replace("1767225000.5", "1e300"), "there is no time where one belongs"),
        ("zeek", zeek_json().splitlines()[0].replace("1767225000.5", "NaN"), "there is no time where one belongs"),
        ("nfdump", "nonsense", "this is not a line of nfdump"),
        ("nfdump", "2025-13-41 23:51:00 1.0 TCP 192.0.2.1:1 -> 192.0.2.2:2 1 1 1", "no time of a calendar"),
        ("nfdump", NFDUMP_CSV.splitlines()[1], "no line before this one names the columns"),
        ("nfdump", NFDUMP_CSV.splitlines()[0] + "\n1,2,3,4,5,6,7", "columns are missing"),
    ],
)
def test_damage_is_counted_and_named_with_its_line(form: str, line: str, words: str) -> None:
    records = read(form, line)
    assert records.damaged == 1
    assert words in records.problems[0]
    assert records.problems[0].startswith(("line ", "tuple "))


def test_an_unknown_form_is_named() -> None:
    with pytest.raises(
        ValueError, match="the form of flow records 'pcap' is not one of aws_vpc, azure_nsg, azure_vnet"
    ):
        read("pcap", "")


@pytest.mark.parametrize("form", formats.FORMS)
def test_nothing_is_no_damage(form: str) -> None:
    records = read(form, '{"records": []}' if form.startswith("azure") else "\n\n")
    assert (records.flows, records.damaged, records.cut) == ([], 0, False)


def test_lines_without_end_are_not_kept() -> None:
    long = b"x" * (3 * formats.LONGEST_LINE) + b"\n" + CONNTRACK.encode()
    records = read("conntrack", long)
    assert (records.damaged, len(records.flows)) == (1, 4)
    assert records.problems == ["line 1: it is longer than 65536 bytes"]


def test_no_more_flows_than_asked_for() -> None:
    records = read("conntrack", CONNTRACK, most=2)
    assert (len(records.flows), records.cut) == (2, True)
    assert not read("conntrack", CONNTRACK, most=4).flows[4:]


def test_problems_are_counted_but_not_all_told() -> None:
    records = read("conntrack", "x\n" * 5000)
    assert (records.damaged, len(records.problems)) == (5000, 20)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("conntrack", CONNTRACK),
        ("aws_vpc", AWS),
        ("azure_nsg", azure(AZURE_TUPLES)),
        ("azure_vnet", VNET),
        ("zeek", ZEEK),
        ("zeek", zeek_json()),
        ("nfdump", NFDUMP),
        ("nfdump", NFDUMP_CSV),
    ],
)
def test_any_damage_ends_in_flows_or_problems(form: str, text: str) -> None:
    """Bytes changed, cut out and put in at random places: nothing but flows whose fields are what they should be."""
    choice = random.Random(form + text[:20])  # noqa: S311
    for _time in range(300):
        content = bytearray(text.encode())
        for _change in range(choice.randint(1, 6)):
            place = choice.randrange(len(content))
            content[place : place + choice.randint(0, 3)] = choice.choice(
                [
                    b"",
                    b"\0",
                    b"\xff\xfe",
                    b"-1",
                    b"9" * 40,
                    b"e99",
                    b"\t",
                    b"\n",
                    "\u0663".encode(),
                    b"%eth0",
                    b"{",
                    b'"',
                    b",",
                ]
            )
        for flow in read(form, bytes(content)).flows:
            assert fields.address(flow.source) == flow.source
            assert 0 <= flow.port <= 65535
            assert flow.connections >= 1
            assert flow.last is None or flow.last >= 978_307_200.0
