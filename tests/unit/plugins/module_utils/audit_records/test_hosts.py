# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of several hosts in one file: nothing of one is taken for another's."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import line_forms

from tests.support.sigma import rule, used

_CHILD = used(rule({"a": {"ParentImage|endswith": "/nginx", "Image|endswith": "/sh"}, "condition": "a"}))
_COMMAND = used(rule({"a": {"CommandLine|contains": "odd"}, "condition": "a"}))
_CORRELATION = """
title: Single
name: single
logsource: {product: linux, category: process_creation}
detection: {a: {CommandLine|contains: odd}, condition: a}
level: low
---
title: Often
correlation:
  type: event_count
  rules: [single]
  timespan: 1m
  condition: {gte: 3}
level: high
"""


def execution(serial: int, pid: int, ppid: int, program: str, argument: str = "x", second: int = 0) -> list[str]:
    stamp = f"msg=audit({1_780_000_000 + second}.{serial % 1000:03}:{serial}):"
    call = "arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 items=1"
    ids = "auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0"
    return [
        f'type=SYSCALL {stamp} {call} ppid={ppid} pid={pid} {ids} tty=pts0 ses=3 comm="x" exe="{program}" key=(null)',
        f'type=EXECVE {stamp} argc=2 a0="x" a1="{argument}"',
        f'type=CWD {stamp} cwd="/"',
        f'type=PATH {stamp} item=0 name="{program}" nametype=NORMAL',
        f"type=PROCTITLE {stamp} proctitle=78",
    ]


def of(node: str, *events: list[str]) -> list[str]:
    return [f"node={node} {line}" for event in events for line in event]


def mixed(*logs: list[str]) -> bytes:
    """Return the lines of several hosts as a daemon that collects them may write them, one of each after another."""
    lines = itertools.chain.from_iterable(itertools.zip_longest(*logs))
    return "".join(f"{line}\n" for line in lines if line).encode()


def read(compiled: dict[str, t.Any], *chunks: bytes, names: t.Collection[str] = ("web1",)) -> Reader:
    """Read chunks, each in a run of its own that goes on from the one before."""
    state: dict[str, t.Any] = {}
    for chunk in chunks:
        reader = Reader(compiled, state, names=names)
        reader.read(chunk)
        state = json.loads(json.dumps(reader.state()))
    reader.finish(1e10)
    return reader


def subjects(reader: Reader) -> list[tuple[str, int]]:
    return sorted((found["subject"], found["count"]) for found in reader.tally.detections(100)[0])


def test_a_process_of_one_host_is_no_parent_on_another() -> None:
    web = of("web2", execution(1, 900, 1, "/usr/sbin/nginx"))
    shell = of("web3", execution(2, 901, 900, "/bin/sh"))
    assert subjects(read(_CHILD, mixed(web + shell))) == []
    assert subjects(read(_CHILD, mixed(web), mixed(shell))) == []
    own = of("web2", execution(2, 901, 900, "/bin/sh"))
    assert [count for _subject, count in subjects(read(_CHILD, mixed(web, own)))] == [1]
    assert [count for _subject, count in subjects(read(_CHILD, mixed(web), mixed(own)))] == [1]


def test_events_of_two_hosts_with_the_same_number_and_time_are_two() -> None:
    one = execution(7, 900, 1, "/usr/bin/a", "odd")
    other = execution(7, 901, 1, "/usr/bin/b", "odd")
    reader = read(_COMMAND, mixed(one, of("web2", other)))
    assert reader.events == 2
    assert subjects(reader) == [("A rule: root /usr/bin/a", 1), ("A rule: root /usr/bin/b (node web2)", 1)]
    # Also where the lines of one come in between.
    assert subjects(read(_COMMAND, mixed(one) + mixed(of("web2", other)))) == subjects(reader)


def test_a_line_of_the_same_number_of_another_host_does_not_end_an_event() -> None:
    one, other = execution(7, 900, 1, "/usr/bin/a", "odd"), execution(7, 901, 1, "/usr/bin/b", "usual")
    text = mixed(one[:2] + of("web2", other[2:]) + one[2:] + of("web2", other[:2]))
    reader = read(_COMMAND, text)
    assert reader.events == 2
    assert subjects(reader) == [("A rule: root /usr/bin/a", 1)]


@pytest.mark.parametrize("name", ["web1", "WEB1", "web1.example.org"])
def test_the_name_of_the_log_s_own_host_is_not_said(name: str) -> None:
    event = execution(7, 900, 1, "/usr/bin/a", "odd")
    assert subjects(read(_COMMAND, mixed(of(name, event)))) == [("A rule: root /usr/bin/a", 1)]


def test_only_one_name_with_a_domain_is_the_log_s_own_host() -> None:
    first, second = (of(name, execution(7, 900, 1, "/usr/bin/a", "odd")) for name in ("web1.prod", "web1.dev"))
    found = subjects(read(_COMMAND, mixed(first + second)))
    assert found == [("A rule: root /usr/bin/a", 1), ("A rule: root /usr/bin/a (node web1.dev)", 1)]


@pytest.mark.parametrize("enriched", [False, True])
def test_accounts_with_the_same_number_are_others_on_another_host(enriched: bool) -> None:
    """Also where the same program was seen with them before, and whatever they are called on the host that reads."""
    names = {"": "alice", "web2": "bob", "web3": "alice"}

    def line(node: str, text: str) -> str:
        account = f'\x1dAUID="{names[node]}" UID="root"' if enriched and "type=SYSCALL" in text else ""
        return (f"node={node} " if node else "") + text + account

    events = [execution(number, 900 + number, 1, "/bin/a") for number in (1, 2)]
    log = mixed(*([line(node, text) for event in events for text in event] for node in names))
    compiled = used(rule({"a": {"AuditUser": "alice"}, "condition": "a"}))
    counts = [count for _subject, count in subjects(read(compiled, log))]
    assert counts == ([2, 2] if enriched else [])


def test_people_of_another_host_have_numbers_and_accounts_of_the_system_names() -> None:
    event = execution(1, 900, 1, "/bin/a")
    compiled = used(rule({"a": {"AuditUser": "1000", "User": "root"}, "condition": "a"}))
    assert len(subjects(read(compiled, mixed(of("web2", event))))) == 1
    message = (
        "type=USER_LOGIN msg=audit(1780000000.001:1): pid=1 uid=0 auid=1000 ses=3 msg='op=login uid=2000 res=success'"
    )
    assert line_forms.with_numbers(message.encode()) == message.encode() + b'\x1dAUID="1000"'


def test_what_is_missing_is_of_each_host() -> None:
    def text(numbers: t.Iterable[int]) -> list[str]:
        return [line for number in numbers for line in execution(number, 900 + number, 1, "/bin/a", second=number)]

    log = mixed(text(range(1, 10)), of("web2", [*text(range(501, 504)), *text(range(507, 510))]))
    reader = read(_COMMAND, log)
    lost = {host.name: [(hole.first, hole.last) for hole in host.joiner.serials.lost] for host in reader.hosts}
    assert lost == {"": [], "web2": [(504, 506)]}
    assert {host.name: host.events for host in reader.hosts} == {"": 9, "web2": 6}


def test_what_is_done_often_on_all_hosts_together_is_not_often() -> None:
    compiled = used(_CORRELATION)
    nodes = [of(f"web{number}", execution(number, 900, 1, "/bin/a", "odd", number)) for number in (2, 3, 4)]
    assert [found["alert"] for found in read(compiled, mixed(*nodes)).tally.detections(9)[0]].count("x") == 0
    assert not [each for each in subjects(read(compiled, mixed(*nodes))) if each[0].startswith("Often")]
    own = [of("web2", execution(number, 900, 1, "/bin/a", "odd", number)) for number in (2, 3, 4)]
    (often,) = [each for each in subjects(read(compiled, *map(mixed, own))) if each[0].startswith("Often")]
    assert often[0].endswith(" (node web2)")


def test_chunks_of_several_hosts_say_what_the_whole_log_says() -> None:
    lines = [
        execution(
            number, 1000 + number // 3, 1000 + number // 4, "/bin/" + "abcd"[number % 4], "odd" if number % 7 else "x"
        )
        for number in range(1, 400)
    ]
    text = mixed(
        *[[line for event in lines[start::3] for line in (of(f"web{start + 1}", event))] for start in range(3)]
    )
    # Also what is not understood.
    text = text.replace(b"arch=c000003e", b"arch=c0000999", 60).replace(b'comm="x" exe="/bin/d"', b"comm=", 20)
    text = b"garbage\n".join(text.partition(b"node=web2")[::2]) + b"more\n"
    whole, parts = (Reader(_COMMAND, {}, names=("web1",)) for _reader in range(2))
    cut = text.find(b"\n", len(text) // 2) + 1
    for chunk in (text[:cut], text[cut:]):
        parts.read(chunk)
    whole.read(text)
    assert parts.tally.detections(100) == whole.tally.detections(100)
    assert parts.state() == whole.state()
    assert parts.unread.take() == whole.unread.take()
    assert (whole.damaged, whole.unread.events) == (2, 64)
    assert len(subjects(whole)) == 12


def test_who_forges_hosts_does_not_fill_the_memory() -> None:
    text = b"".join(mixed(of(f"host{number}", execution(1, 900, 1, "/bin/a"))) for number in range(300))
    reader = read(_COMMAND, text)
    assert len(list(reader.hosts)) == 101
    assert reader.unread.take()[0][line_forms.HOSTS].number == 200 * 5


def test_a_name_that_deceives_is_shown_escaped() -> None:
    node = "evil\u202e\x1b[31m"
    reader = read(_COMMAND, mixed(of(node, execution(1, 900, 1, "/bin/a", "odd"))))
    ((subject, _count),) = subjects(reader)
    assert subject == "A rule: root /bin/a (node evil\\u202e\\x1b[31m)"
