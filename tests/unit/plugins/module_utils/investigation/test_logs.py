# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and requests to web servers that are about a subject, in logs on the disk."""

from __future__ import annotations

import gzip
import os
import pathlib
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import access_log, log_window, logs
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Node

from tests.unit.plugins.module_utils.investigation.roots import Root, budget, ids, links, wanted

_NOW = float(int(time.time()))


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Root:
    return Root(tmp_path)


def _syslog(seconds: float, text: str) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds)) + " web03 " + text + "\n"


def _request(seconds: float, client: str, request: str, status: int = 200) -> str:
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(seconds))
    return f'{client} - - [{stamp}] "{request}" {status} 12 "-" "curl/8.14"\n'


def _texts(facts: Facts) -> list[str]:
    return [event.text for event in facts.events]


_PROCESS = Node("process:77@1", "sh", {"name": "sh"}, first=_NOW - 10, last=_NOW + 10)
_WEB = Node("process:50@1", "nginx", {"name": "nginx", "uid": 33}, first=_NOW - 5000)


def test_messages_of_a_process_and_about_a_file_or_address_are_there(root: Root) -> None:
    root.write(
        "/var/log/syslog",
        _syslog(_NOW, "sh[77]: of the process")
        + _syslog(_NOW, "sh[78]: of another one, 77 times")
        + _syslog(_NOW, "CRON[9]: (root) CMD (/dev/shm/x --password=abcdefgh)")
        + _syslog(_NOW, "CRON[9]: (root) CMD (/dev/shm/x.old)")
        + _syslog(_NOW, "kernel: refused 203.0.113.9:22")
        + _syslog(_NOW, "kernel: refused 203.0.113.91")
        + _syslog(_NOW - 5000, "sh[77]: of a process with the same number before it"),
    )

    facts = logs.gather(root.host(), wanted(_PROCESS, "file:/dev/shm/x", "address:203.0.113.9"), budget())

    assert _texts(facts) == [
        "sh: of the process",
        "CRON: (root) CMD (/dev/shm/x --password=***",
        "kernel: refused 203.0.113.9:22",
    ]
    assert [event.nodes for event in facts.events] == [
        ("process:77@1",),
        ("file:/dev/shm/x",),
        ("address:203.0.113.9",),
    ]


def test_what_starts_all_kinds_of_jobs_is_not_searched_for(root: Root) -> None:
    root.write("/var/log/syslog", _syslog(_NOW, "systemd[1]: Started.") + _syslog(_NOW, "sshd[50]: Server listening."))
    servers = [Node("process:1@0", "systemd"), Node("process:50@1", "sshd", {"starts_jobs": True})]

    assert not any(logs.gather(root.host(), wanted(*servers), budget()))


def test_rotated_and_compressed_logs_are_read(root: Root) -> None:
    root.write("/var/log/syslog", _syslog(_NOW, "sh[77]: new"))
    root.write("/var/log/syslog.1", _syslog(_NOW - 9, "sh[77]: rotated"))
    root.write("/var/log/syslog.2.gz", gzip.compress(_syslog(_NOW - 9, "sh[77]: compressed").encode()))
    root.write("/var/log/syslog.3.gz", b"\x1f\x8bno gzip")
    bounded = budget()

    facts = logs.gather(root.host(), wanted(_PROCESS), bounded)

    assert _texts(facts) == ["sh: compressed", "sh: rotated", "sh: new"]
    assert [subject for subject, _reason in bounded.skipped] == ["/var/log/syslog.3.gz"]


def test_only_the_lines_of_the_time_are_read_of_a_large_log(root: Root) -> None:
    filler = "x" * 200
    content = "".join(_syslog(_NOW - 400_000 + number * 10, "app[1]: " + filler) for number in range(40_000))
    root.write("/var/log/syslog", content + _syslog(_NOW, "sh[77]: late"))
    bounded = budget()

    facts = logs.gather(root.host(), wanted(_PROCESS, window=(_NOW - 60, _NOW + 60)), bounded)

    assert _texts(facts) == ["sh: late"]
    assert bounded.used < 512 * 1024 < len(content)


def test_a_line_without_an_end_is_cut(root: Root) -> None:
    root.write("/var/log/syslog", _syslog(_NOW, "sh[77]: " + "a" * 5_000_000) + _syslog(_NOW, "sh[77]: next"))

    facts = logs.gather(root.host(), wanted(_PROCESS), budget())

    assert [len(text) <= 310 for text in _texts(facts)] == [True, True]


def test_a_flood_hides_neither_the_beginning_nor_the_end(root: Root) -> None:
    first, last = _syslog(_NOW, "sh[77]: first"), _syslog(_NOW, "sh[77]: last")
    root.write("/var/log/syslog", first + _syslog(_NOW, "sh[77]: x") * 5_000 + last)
    bounded = budget()

    facts = logs.gather(root.host(), wanted(_PROCESS), bounded)

    assert len(facts.events) == logs.MOST_EVENTS
    assert (_texts(facts)[0], _texts(facts)[-1]) == ("sh: first", "sh: last")
    assert [(cut[0], cut[2]) for cut in bounded.cuts] == [("events", 3_002)]


def test_the_byte_budget_is_kept(root: Root) -> None:
    root.write("/var/log/syslog", _syslog(_NOW, "app[1]: " + "x" * 1000) * 3_000)
    bounded = budget(most_bytes=1 << 20)

    logs.gather(root.host(), wanted(_PROCESS), bounded)

    assert bounded.used <= 1 << 20
    assert [cut.limit for cut in bounded.cuts] == ["size"]


def test_a_log_that_is_a_link_or_a_fifo_is_not_opened(root: Root) -> None:
    root.write("/etc/secret", _syslog(_NOW, "sh[77]: secret"))
    root.link("/var/log/syslog", "../../etc/secret")
    os.mkfifo(root.path / "var/log/auth.log")

    assert logs.gather(root.host(), wanted(_PROCESS), budget()).events == ()


@pytest.mark.requires("command:journalctl", "command:systemd-journal-remote")
def test_the_journal_is_read(root: Root) -> None:
    entries: list[dict[str, str]] = [
        {"MESSAGE": "of the process", "SYSLOG_IDENTIFIER": "sh", "_PID": "77"},
        {"MESSAGE": "of another", "SYSLOG_IDENTIFIER": "sh", "_PID": "78"},
        {"MESSAGE": "Started /dev/shm/x.", "SYSLOG_IDENTIFIER": "systemd", "_PID": "1"},
    ]
    root.journal(_NOW, *entries)

    facts = logs.gather(root.host(), wanted(_PROCESS, "file:/dev/shm/x"), budget())

    assert sorted(_texts(facts)) == ["sh: of the process", "systemd: Started /dev/shm/x."]
    assert {event.by for event in facts.events} == {"journal"}


def test_who_asked_for_a_web_shell_is_connected_with_it(root: Root) -> None:
    root.write(
        "/var/log/nginx/access.log",
        _request(_NOW - 30, "198.51.100.7", "GET / HTTP/1.1")
        + _request(_NOW - 20, "203.0.113.9", "POST /uploads/a%20b.php HTTP/1.1")
        + _request(_NOW - 10, "203.0.113.9", "POST /uploads/a%20b.php?c=id HTTP/1.1")
        + _request(_NOW, "198.51.100.8", "GET /b.php HTTP/1.1"),
    )
    root.write("/var/log/nginx/error.log", _request(_NOW, "198.51.100.9", "GET /uploads/a%20b.php HTTP/1.1"))

    facts = logs.gather(root.host(), wanted("file:/var/www/html/uploads/a b.php"), budget())

    assert ids(facts) == {"address:203.0.113.9"}
    assert links(facts, "requested") == {("address:203.0.113.9", "file:/var/www/html/uploads/a b.php")}
    assert _texts(facts) == [
        "203.0.113.9 asked for POST /uploads/a b.php: 200",
        "203.0.113.9 asked for POST /uploads/a b.php?…: 200",
    ]


def test_the_request_just_before_a_process_of_a_web_server_is_connected_with_it(root: Root) -> None:
    root.write(
        "/var/log/apache2/access.log",
        _request(_NOW - 200, "198.51.100.6", "POST /login HTTP/1.1")
        + _request(_NOW - 11, "198.51.100.7", "GET /style.css HTTP/1.1")
        + _request(_NOW - 11, "203.0.113.9", "POST /cgi/run HTTP/1.1"),
    )

    facts = logs.gather(root.host(), wanted(_PROCESS, _WEB), budget())

    assert links(facts, "near") == {("address:203.0.113.9", "process:77@1")}


def test_among_many_clients_none_is_chosen(root: Root) -> None:
    lines = [_request(_NOW - 11, f"203.0.113.{number}", "POST /a HTTP/1.1") for number in range(20)]
    root.write("/var/log/apache2/access.log", "".join(lines))

    assert logs.gather(root.host(), wanted(_PROCESS, _WEB), budget()).links == []


def test_a_flood_of_requests_is_counted(root: Root) -> None:
    lines = [_request(_NOW - 30 + number / 1000, "203.0.113.9", "GET /x.php HTTP/1.1") for number in range(20_000)]
    root.write("/var/log/nginx/access.log", "".join(lines))

    facts = logs.gather(root.host(), wanted("file:/srv/x.php"), budget())

    assert _texts(facts) == [
        "203.0.113.9 asked for GET /x.php: 200 (the first of 20000)",
        "203.0.113.9 asked for GET /x.php: 200 (the last of 20000)",
    ]


_NGINX = (
    b'{"remote_addr":"203.0.113.9","request_uri":"/a?b","request_method":"GET","status":"200",'
    b'"time_iso8601":"2026-11-30T02:53:45+01:00"}'
)


@pytest.mark.parametrize(
    ("line", "client", "path"),
    [
        (b'203.0.113.9 - bob [30/Nov/2026:02:53:45 +0100] "GET /a?b HTTP/1.1" 200 12', "203.0.113.9", b"/a"),
        (b'example.org:443 203.0.113.9 - - [30/Nov/2026:02:53:45 +0100] "GET /a HTTP/2" 404 -', "203.0.113.9", b"/a"),
        (b'2001:DB8::1 - - [30/Nov/2026:02:53:45 +0100] "PUT http://h/a HTTP/1.0" 201 1', "2001:db8::1", b"/a"),
        (b'::ffff:203.0.113.9 - a b [30/Nov/2026:02:53:45 +0100] "GET /a" 200 1', "203.0.113.9", b"/a"),
        (_NGINX, "203.0.113.9", b"/a"),
        (
            b'{"ts":1796003625,"request":{"remote_ip":"203.0.113.9","method":"GET","uri":"/a"},"status":200}',
            "203.0.113.9",
            b"/a",
        ),
    ],
)
def test_each_form_of_an_access_log_is_read(line: bytes, client: str, path: bytes) -> None:
    request = access_log.parse(line)

    assert request is not None
    assert (request.client, request.path) == (client, path)
    assert access_log.time_of(line) == 1_796_003_625.0


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no log",
        b"{" * 5_000,
        b"[" * 16_000,
        b'1.2.3.4 - - [30/Nov/2026:02:53:45 +0100] "' + b"\\" * 16_000,
        b"1.2.3.4 - " + b"[x" * 8_000,
        b"0" * 16_000,
        b'{"status":[1],"remote_addr":{"a":1}}',
        b'{"ts":1e400,"status":200}',
        b'{"ts":%s,"status":"\xc2\xb2"}' % (b"9" * 400),
    ],
    ids=str,
)
def test_no_line_takes_long_or_raises(line: bytes) -> None:
    begun = time.process_time()

    assert access_log.parse(line) is None
    access_log.time_of(line)
    assert time.process_time() - begun < 1


def test_a_longer_path_serves_no_other_file() -> None:
    assert access_log.serves(b"/up/a.php", b"/var/www/up/a.php")
    assert not access_log.serves(b"/p/a.php", b"/var/www/up/a.php")
    assert not access_log.serves(b"/", b"/var/www/up/a.php")
    assert not access_log.serves(b"/../etc/passwd", b"/etc/passwd")


def test_a_clock_that_was_set_back_hides_nothing_of_a_small_log(root: Root) -> None:
    root.write("/var/log/syslog", _syslog(_NOW + 100, "a[1]: x") + _syslog(_NOW, "sh[77]: y"))

    found = log_window.lines(root.host(), b"/var/log/syslog", _NOW - 5, _NOW + 5, logs.system_stamp, budget())

    assert [line.text.endswith(b"y") for line in found] == [True]
