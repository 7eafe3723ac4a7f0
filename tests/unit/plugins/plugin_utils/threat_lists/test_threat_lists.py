# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat lists: what is an entry, how files are read, and what is found of them in events."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import views
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import FORMAT_VERSION
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet import for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX, WINDOWS
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists import options, rules, stix, text
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.entries import EntryError, entry

from tests.support import paths
from tests.support._require import require

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MD5 = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("given", "kind", "value"),
    [
        ("192.0.2.1", "address", "192.0.2.1"),
        ("192.0.2[.]1", "address", "192.0.2.1"),
        ("192.0.2.7/24", "address", "192.0.2.0/24"),
        ("2001:DB8::1", "address", "2001:db8::1"),
        ("http://192.0.2.1:8080/x", "address", "192.0.2.1"),
        ("http://[2001:db8::1]/x", "address", "2001:db8::1"),
        ("Evil.Example.ORG.", "domain", "evil.example.org"),
        ("evil[.]example.org", "domain", "evil.example.org"),
        ("*.example.org", "domain", "example.org"),
        ("hxxps://user@evil.example.org:443/path?q", "domain", "evil.example.org"),
        ("b\u00fccher.example", "domain", "xn--bcher-kva.example"),
        (MD5.upper(), "hash", MD5),
    ],
)
def test_an_entry_is_recognised(given: str, kind: str, value: str) -> None:
    assert entry(given, None)[:2] == (kind, value)
    assert entry(given, kind)[:2] == (kind, value)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("127.0.0.1", "address", "is nobody's address"),
        ("0.0.0.0/32", "address", "is nobody's address"),
        ("10.0.0.0/7", "address", "has too many addresses"),
        ("::/1", "address", "has too many addresses"),
        ("300.1.1.1", "address", "is not an address"),
        ("300.1.1.1", "domain", "is not a domain"),
        ("com", "domain", "is a whole top-level domain"),
        ("a..b", "domain", "is not a domain"),
        ("x" * 64 + ".org", "domain", "is not a domain"),
        ("0" * 32, "hash", "nobody's"),
        ("abc", "hash", "is not an MD5"),
        ("word", None, "is not an address, network, hash or domain"),
        ("/tmp/", "name", "is not a file name"),
        ("C:\\x.exe", "name", "of another system"),
        ("(", "pattern", "is not a regular expression"),
        (".*", "pattern", "matches nearly everything"),
        ("\\\\x\\.exe", "pattern", "another system"),
    ],
)
def test_what_is_no_entry_is_refused(given: str, kind: str | None, message: str) -> None:
    with pytest.raises(EntryError, match=message):
        entry(given, kind)


@pytest.mark.parametrize(
    ("given", "kind", "value"),
    [
        ("C:\\Windows\\Temp\\x.exe", "name", "C:\\Windows\\Temp\\x.exe"),
        ("C:/Temp/x.exe", "name", "C:\\Temp\\x.exe"),
        ("x.exe", "name", "x.exe"),
        ("\\\\srv\\share\\x.exe", "name", "\\\\srv\\share\\x.exe"),
        ("(?i)\\\\temp\\\\x[0-9]+\\.exe$", "pattern", "(?i)\\\\temp\\\\x[0-9]+\\.exe$"),
        ("[a-z]:\\\\x\\.exe", "pattern", "[a-z]:\\\\x\\.exe"),
        ("rootkit\\.sys", "pattern", "rootkit\\.sys"),
    ],
)
def test_names_of_windows_are_entries_there(given: str, kind: str, value: str) -> None:
    assert entry(given, kind, platform=WINDOWS)[:2] == (kind, value)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("/tmp/evil.sh", "name", "of another system"),
        ("/usr/bin/\\.[a-z]+", "pattern", "of another system"),
        ("C:\\Temp\\", "name", "is not a file name"),
        ("%TEMP%\\x.exe", "name", "begins with a variable"),
    ],
)
def test_what_is_no_name_of_windows_is_refused_there(given: str, kind: str, message: str) -> None:
    with pytest.raises(EntryError, match=message):
        entry(given, kind, platform=WINDOWS)


def test_a_text_has_comments_notes_and_wrong_lines() -> None:
    found = text.read_text(
        "# c\n\n192.0.2.1;seen in 2020\n // no\nexample.org # why\n0.0.0.0 bad.example\nnonsense\n", None
    )
    assert [tuple(each) for each in found.entries] == [
        ("address", "192.0.2.1", "seen in 2020"),
        ("domain", "example.org", ""),
        ("domain", "bad.example", ""),
    ]
    assert [line for line, _reason in found.wrong] == [7]


CSV = '# feed\nfirst_seen,"dst_ip",port\n2024-01-01,192.0.2.1,443\n2024-01-02,"192.0.2.2",80\n2024-01-03\n'


@pytest.mark.parametrize("column", ["dst_ip", "DST_IP", 2])
def test_a_column_of_a_csv_file_by_name_or_number(column: str | int) -> None:
    found = text.read_csv(CSV, "address", column)
    assert [each.value for each in found.entries] == ["192.0.2.1", "192.0.2.2"]
    assert found.wrong == [(5, "it has no column 2")]


def test_a_csv_file_without_names_and_with_semicolons() -> None:
    assert [each.value for each in text.read_csv("192.0.2.1;x\n192.0.2.2;y\n", "address", 1).entries] == [
        "192.0.2.1",
        "192.0.2.2",
    ]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(EntryError, match="there is no column 'ip'; there are first_seen, dst_ip, port"):
        text.read_csv(CSV, "address", "ip")


def bundle(*patterns: str, **changes: t.Any) -> str:
    indicators = [
        {"type": "indicator", "id": f"indicator--{number}", "pattern_type": "stix", "pattern": pattern, **changes}
        for number, pattern in enumerate(patterns)
    ]
    return json.dumps({"type": "bundle", "objects": [{"type": "identity"}, *indicators]})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ipv4-addr:value = '192.0.2.1']", [("address", "192.0.2.1")]),
        ("[ipv4-addr:value ISSUBSET '192.0.2.0/24']", [("address", "192.0.2.0/24")]),
        ("[ipv6-addr:value = '2001:db8::1']", [("address", "2001:db8::1")]),
        (
            "[domain-name:value = 'a.example' OR domain-name:value = 'b.example']",
            [("domain", "a.example"), ("domain", "b.example")],
        ),
        (
            "[domain-name:value = 'a.example'] OR [ipv4-addr:value = '192.0.2.1']",
            [("domain", "a.example"), ("address", "192.0.2.1")],
        ),
        ("[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]", [("address", "192.0.2.1"), ("address", "192.0.2.2")]),
        (f"[file:hashes.MD5 = '{MD5}']", [("hash", MD5)]),
        (f"[file:hashes.'MD5' = '{MD5}']", [("hash", MD5)]),
        ("[file:name = 'evil\\'s']", [("name", "evil's")]),
        ("[url:value = 'http://a.example/x']", [("domain", "a.example")]),
    ],
)
def test_a_stix_pattern_of_single_things(pattern: str, expected: list[tuple[str, str]]) -> None:
    found, wrong = stix.read(bundle(pattern, name="A campaign"), NOW)
    assert not wrong
    assert [each[:2] for each in found] == expected
    assert {each.note for each in found} == {"A campaign"}


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 1]",
        "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']",
        "[ipv4-addr:value != '192.0.2.1']",
        "[ipv4-addr:value NOT = '192.0.2.1']",
        "[NOT ipv4-addr:value = '192.0.2.1']",
        "[domain-name:value LIKE '%.example']",
        "[domain-name:value MATCHES 'x']",
        "[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES",
        "[windows-registry-key:key = 'x']",
        "[ipv4-addr:value =",
        "[ipv4-addr:value = '127.0.0.1']",
        "",
        "\u2603",
    ],
)
def test_a_stix_pattern_that_says_more_is_named(pattern: str) -> None:
    found, wrong = stix.read(bundle(pattern), NOW)
    assert not found
    assert [name for name, _reason in wrong] == ["indicator--0"]


def test_stix_indicators_end() -> None:
    pattern = "[ipv4-addr:value = '192.0.2.1']"
    assert stix.read(bundle(pattern, revoked=True), NOW) == ([], [])
    assert stix.read(bundle(pattern, valid_until="2025-12-31T00:00:00Z"), NOW) == ([], [])
    assert len(stix.read(bundle(pattern, valid_until="2026-12-31T00:00:00.5Z"), NOW)[0]) == 1
    assert stix.read(bundle(pattern, pattern_type="yara"), NOW)[1]


@pytest.mark.parametrize("content", ["", "{", "1", '{"type": "bundle"}', "[" * 100000])
def test_what_is_no_stix_is_an_error(content: str) -> None:
    with pytest.raises(EntryError):
        stix.read(content, NOW)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1], "threat_lists, number 1: a path, or a mapping with one, is needed"),
        ([{"kind": "hash"}], "number 1: path is missing"),
        (
            ["a", {"path": "b", "kind": "odd"}],
            "number 2: kind 'odd' is not one of address, domain, hash, name, pattern",
        ),
        ([{"path": "a", "format": "odd"}], "format 'odd' is not one of text, csv, stix"),
        ([{"path": "a", "column": 2}], "column is for files of the format csv"),
        ([{"path": "a.csv", "column": 0}], "columns are counted from 1"),
        ([{"path": "a.csv", "column": " "}], "column is empty"),
        ([{"path": "a", "colum": 2}], "'colum' is not one of path, kind, format, column, name"),
        (["a.txt", "b/a.txt"], "two lists are called 'a'"),
    ],
)
def test_a_wrong_option_is_named(given: list[t.Any], message: str) -> None:
    with pytest.raises(ContentError) as error:
        options.checked(given)
    assert message in str(error.value)


def compiled(directory: pathlib.Path, content: str, **fields: t.Any) -> tuple[RuleSet, rules.Compiled]:
    path = directory / fields.pop("file", "list.txt")
    path.write_text(content)
    platform = fields.pop("platform", LINUX)
    found = rules.compile_lists(options.checked([{"path": str(path), **fields}]), NOW, platform)
    payload = {"version": FORMAT_VERSION, "rules": found.rules, "lists": found.lists}
    return RuleSet(json.loads(json.dumps(payload))), found


def seen(engine: RuleSet, source: str, **view: t.Any) -> list[tuple[str, str]]:
    return [
        (engine.rule(number).alert, indicator.value)
        for number in engine.match(source, view)
        for indicator in engine.indicators(number, view)
    ]


def _signed_in_from(source: str) -> dict[str, t.Any]:
    """Return a sign-in as the reader shows it to rules."""
    return views.of_sign_in(SignIn(time=0.0, outcome="failure", service="sshd", user="root", source=source))


MIXED = f"192.0.2.1\n198.51.100.0/24\n2001:db8::/32\nbad.example\n{MD5};a dropper\n"


@pytest.mark.parametrize(
    ("source", "view", "expected"),
    [
        ("network_connection", {"DestinationIp": "192.0.2.1"}, [("threat_list_address", "192.0.2.1")]),
        ("network_connection", {"DestinationIp": "::ffff:192.0.2.1"}, [("threat_list_address", "192.0.2.1")]),
        ("network_connection", {"DestinationIp": "198.51.100.77"}, [("threat_list_address", "198.51.100.0/24")]),
        ("network_connection", {"DestinationIp": "2001:db8:1::2"}, [("threat_list_address", "2001:db8::/32")]),
        ("network_connection", {"DestinationIp": "192.0.2.10"}, []),
        ("network_connection", {"DestinationIp": "no address"}, []),
        ("network_connection", {}, []),
        ("network_connection", {"SourceIp": "192.0.2.1"}, [("threat_list_address", "192.0.2.1")]),
        ("sign_in", {"SourceIp": "192.0.2.1"}, [("threat_list_address", "192.0.2.1")]),
        ("sign_in", _signed_in_from("c2.bad.example"), [("threat_list_domain", "bad.example")]),
        ("sign_in", _signed_in_from("192.0.2.1"), [("threat_list_address", "192.0.2.1")]),
        ("audit_record", {"Address": "192.0.2.1"}, [("threat_list_address", "192.0.2.1")]),
        ("process_creation", {"CommandLine": "curl http://192.0.2.1:80/"}, [("threat_list_address", "192.0.2.1")]),
        ("process_creation", {"CommandLine": "x 1192.0.2.1 192.0.2.1.5 192.0.2.11"}, []),
        ("process_creation", {"CommandLine": "ssh 2001:DB8::5"}, [("threat_list_address", "2001:db8::/32")]),
        (
            "process_creation",
            {"CommandLine": "wget https://a.B.bad.example/x"},
            [("threat_list_domain", "bad.example")],
        ),
        ("process_creation", {"CommandLine": "x notbad.example bad.example.org"}, []),
        ("process_creation", {"CommandLine": f"echo {MD5.upper()} | md5sum -c"}, [("threat_list_hash", MD5)]),
        ("process_creation", {"CommandLine": f"echo {MD5}0"}, []),
        ("process_creation", {"CommandLine": "a" * 100_000 + ".b" * 50_000 + ":" * 1000}, []),
    ],
)
def test_what_is_on_a_list_is_seen(
    tmp_path: pathlib.Path, source: str, view: dict[str, t.Any], expected: list[tuple[str, str]]
) -> None:
    engine, found = compiled(tmp_path, MIXED)
    assert found.entries == 5
    assert seen(engine, source, **view) == expected


@pytest.mark.parametrize(
    ("source", "view", "expected"),
    [
        ("file_event", {"TargetFilename": "/tmp/evil.sh"}, ["evil.sh"]),
        ("file_event", {"TargetFilename": "/tmp/Evil.sh"}, []),
        ("file_event", {"TargetFilename": "/etc/.hidden"}, ["/etc/.hidden"]),
        ("file_event", {"TargetFilename": "/root/etc/.hidden"}, []),
        ("file_event", {"TargetFilename": "/x/dir/tool"}, ["dir/tool"]),
        ("file_event", {"TargetFilename": "/x/otherdir/tool"}, []),
        ("process_creation", {"Image": "/opt/evil.sh", "CommandLine": "x"}, ["evil.sh"]),
        ("process_creation", {"Image": "/bin/sh", "CommandLine": "sh '/tmp/evil.sh' --now"}, ["evil.sh"]),
        ("process_creation", {"Image": "/bin/sh", "CommandLine": "sh evil.sh.txt"}, []),
    ],
)
def test_a_file_name_on_a_list_is_seen(
    tmp_path: pathlib.Path, source: str, view: dict[str, t.Any], expected: list[str]
) -> None:
    engine, _found = compiled(tmp_path, "evil.sh\n/etc/.hidden\ndir/tool\n", kind="name")
    assert [value for _alert, value in seen(engine, source, **view)] == expected


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({"Image": "D:\\x\\EVIL.exe"}, ["evil.exe"]),
        ({"Image": "C:\\evil.exe.txt"}, []),
        ({"Image": "C:\\Program Files\\Dir\\Tool.exe"}, ["C:\\Program Files\\dir\\tool.exe", "dir\\tool.exe"]),
        ({"Image": "C:\\otherdir\\tool.exe"}, []),
        ({"CommandLine": 'cmd /c "C:\\Program Files\\dir\\tool.exe" -x'}, None),
        ({"CommandLine": "cmd /c start=c:/temp/Evil.exe"}, ["evil.exe"]),
        ({"CommandLine": "type evil.exe"}, []),
        ({"CommandLine": "copy \\\\srv\\s\\bad.dll ."}, ["\\\\srv\\s\\bad.dll"]),
        ({"CommandLine": "copy \\\\x\\srv\\s\\bad.dll ."}, []),
        ({"CommandLine": "\\" * 100_000 + "a" * 100_000 + '""' * 50_000}, []),
    ],
)
def test_a_file_name_of_windows_on_a_list_is_seen(
    tmp_path: pathlib.Path, view: dict[str, t.Any], expected: list[str] | None
) -> None:
    content = "evil.exe\nC:\\Program Files\\dir\\tool.exe\ndir/tool.exe\n\\\\srv\\s\\bad.dll\n/tmp/x\n"
    engine, found = compiled(tmp_path, content, kind="name", platform=WINDOWS)
    assert str(found.problems[0]).endswith("1 entries are names of other systems, and not used")
    both = ["C:\\Program Files\\dir\\tool.exe", "dir\\tool.exe"]
    names = [value for _alert, value in seen(engine, "process_creation", **view)]
    assert sorted(names) == (both if expected is None else expected)


def test_a_pattern_of_windows_on_a_list_is_seen_in_any_case(tmp_path: pathlib.Path) -> None:
    content = "\\\\Temp\\\\.*\\.exe$;70\n[a-z]:\\\\evil\\.dll\n/dev/shm/x\n"
    engine, found = compiled(tmp_path, content, kind="pattern", platform=WINDOWS)
    assert found.entries == 2
    for path in ("C:\\TEMP\\x.EXE", "C:\\x\\temp\\x\ny.exe", "D:\\Evil.dll"):
        assert len(seen(engine, "file_event", TargetFilename=path)) == 1, path


def test_a_pattern_on_a_list_is_seen(tmp_path: pathlib.Path) -> None:
    content = "/tmp/\\.x[0-9]+$;70\n(?i)rootkit\\.ko;60;/usr/src/\n\\\\evil\\.exe;80\n[0-9]{9}$\n(\n"
    engine, found = compiled(tmp_path, content, kind="pattern")
    assert found.entries == 3
    assert [str(problem).partition(": ")[2] for problem in found.problems] == [
        "'(' is not a regular expression: missing ), unterminated subpattern at position 0",
        "1 entries are names of other systems, and not used",
    ]
    assert seen(engine, "file_event", TargetFilename="/tmp/.x12") == [("threat_list_name", "/tmp/\\.x[0-9]+$")]
    assert seen(engine, "file_event", TargetFilename="/a/RootKit.KO") == [("threat_list_name", "(?i)rootkit\\.ko")]
    assert seen(engine, "file_event", TargetFilename="/a/123456789") == [("threat_list_name", "[0-9]{9}$")]
    assert seen(engine, "file_event", TargetFilename="/tmp/x12") == []


@pytest.mark.parametrize(
    ("content", "source", "view"),
    [
        ("evil.example.org", "dns_query", {"QueryName": "www.evil.example.org"}),
        ("evil.example.org", "Microsoft-Windows-DNS-Client/Operational", {"QueryName": "evil.example.org"}),
        (MD5, "process_creation", {"Hashes": f"MD5={MD5.upper()},SHA256=00"}),
        (MD5, "image_load", {"Hashes": f"MD5={MD5.upper()}"}),
        ("192.0.2.1", "network_connection", {"DestinationIp": "192.0.2.1"}),
    ],
)
def test_windows_has_more_places(tmp_path: pathlib.Path, content: str, source: str, view: dict[str, str]) -> None:
    path = tmp_path / "list.txt"
    path.write_text(content, encoding="utf-8")
    found = rules.compile_lists(options.checked([str(path)]), NOW, WINDOWS)
    payload = {"version": FORMAT_VERSION, "rules": found.rules, "lists": found.lists}
    assert len(seen(RuleSet(payload), source, **view)) == 1
    assert "audit_record" not in {rule["source"] for rule in found.rules}


def test_patterns_for_windows_are_as_dotnet_reads_them(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("evil[0-9]+\\.exe\\Z\nab(?i:x)y\n", encoding="utf-8")
    given = [{"path": str(path), "kind": "pattern"}]
    found = rules.compile_lists(options.checked(given), NOW, WINDOWS)
    assert [list(entry["entries"]) for entry in found.lists] == [[for_dotnet("evil[0-9]+\\.exe\\Z", "is")]]
    assert len(found.problems) == 1
    assert "ab(?i:x)y" in str(found.problems[0])


def test_the_finding_is_about_the_entry(tmp_path: pathlib.Path) -> None:
    engine, _found = compiled(tmp_path, f"{MD5};a dropper\n192.0.2.1\n", name="ours")
    view = {"CommandLine": f"echo {MD5} 192.0.2.1", "Image": "/bin/echo", "User": "root"}
    said = {
        (engine.subject(number, view), engine.message(number, view))
        for number in engine.match("process_creation", view)
    }
    assert said == {
        (MD5, f"{MD5} is on the threat list ours (a dropper)"),
        ("192.0.2.1", "192.0.2.1 is on the threat list ours"),
    }


def test_wrong_lines_are_named_up_to_five(tmp_path: pathlib.Path) -> None:
    _engine, found = compiled(tmp_path, "192.0.2.1\n" + "nonsense\n" * 9)
    assert [str(problem).partition(": ")[0].rpartition("/")[2] for problem in found.problems] == [
        *(f"list.txt, line {number}" for number in range(2, 7)),
        "list.txt",
    ]
    assert str(found.problems[-1]).endswith("4 more entries that can't be used")


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        ("# nothing\n", {}, "has no entry that can be used; correct it or leave it out"),
        (
            "\nnonsense\n",
            {},
            r"has no entry that can be used (line 2: 'nonsense' is not an address, network, hash or domain;",
        ),
        ("192.0.2.1,80\n", {"format": "csv", "column": 3}, ": there is no column 3, only 2; give the number of one"),
    ],
)
def test_a_list_of_which_nothing_can_be_used_is_an_error(
    tmp_path: pathlib.Path, content: str, fields: dict[str, t.Any], words: str
) -> None:
    file = tmp_path / "list.txt"
    file.write_text(content)
    with pytest.raises(ContentError) as caught:
        rules.compile_lists(options.checked([{"path": str(file), "name": "feed", **fields}]), NOW)
    assert str(caught.value).startswith(f"threat_lists, 'feed': {file}{'' if words[0] == ':' else ' '}{words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "platform"), [("C:\\a.exe\n", LINUX), ("/tmp/a\n", WINDOWS)])
def test_a_list_for_other_hosts_is_said_and_costs_nothing(tmp_path: pathlib.Path, content: str, platform: str) -> None:
    _engine, found = compiled(tmp_path, content, kind="name", platform=platform)
    assert (found.entries, found.lists, found.rules) == (0, [], [])
    assert [str(problem).rpartition(": ")[2] for problem in found.problems] == [
        "1 entries are names of other systems, and not used"
    ]


def test_there_is_an_end_to_how_many_go_to_hosts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_ENTRIES", 2)
    _engine, found = compiled(tmp_path, "192.0.2.1\n192.0.2.2\n192.0.2.3\n")
    assert found.entries == 2
    assert str(found.problems[0]).endswith("1 entries are left out: 2 is the most")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ContentError, match=r"threat_lists, 'absent': .*absent cannot be read: No such file"):
        rules.compile_lists(options.checked([str(tmp_path / "absent")]), NOW)
    with pytest.raises(ContentError, match="there is no column 'x'"):
        compiled(tmp_path, "a,b\n", file="list.csv", column="x")


def test_signature_base() -> None:
    require("data:signature-base")
    directory = paths.data("signature-base") / "iocs"
    given = [
        str(directory / "c2-iocs.txt"),
        {"path": str(directory / "hash-iocs.txt"), "kind": "hash"},
        {"path": str(directory / "filename-iocs.txt"), "kind": "pattern"},
    ]
    found = rules.compile_lists(options.checked(given), NOW)
    # Every line that is no comment: those that are not used are names of other systems.
    (other,) = found.problems
    lines = [
        line
        for name in ("c2-iocs.txt", "hash-iocs.txt", "filename-iocs.txt")
        for line in (directory / name).read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    foreign = int(str(other).partition(": ")[2].split()[0])
    assert found.entries == len(lines) - foreign
    engine = RuleSet({"version": FORMAT_VERSION, "rules": found.rules, "lists": found.lists})
    assert seen(engine, "network_connection", DestinationIp="58.64.143.244") == [
        ("threat_list_address", "58.64.143.244")
    ]
    assert seen(engine, "process_creation", CommandLine="curl www.suroot.com/x", Image="/usr/bin/curl") == [
        ("threat_list_domain", "suroot.com")
    ]
    assert seen(engine, "file_event", TargetFilename="/tmp/.gdm-socket") == [("threat_list_name", "/tmp/\\.gdm-socket")]
