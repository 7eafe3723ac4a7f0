# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs in other forms than the audit daemon's: the same is found in them, or they are counted as not understood."""

from __future__ import annotations

import re
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import line_forms, not_understood

from tests.support.sigma import rule, used
from tests.unit.plugins.module_utils.audit.detection.test_users_rules import log

Change = t.Callable[[bytes], bytes]

_LOG = log(("x", "odd"), ("x", "usual"), ("x", "odd", "again"))
_RULES = used(rule({"a": {"CommandLine|contains": "odd", "Success": "yes"}, "condition": "a"}))


def read(text: bytes) -> Reader:
    reader = Reader(_RULES, {}, names={"web1"})
    reader.read(text)
    reader.finish(1e10)
    return reader


def outcome(reader: Reader) -> t.Any:
    return reader.events, reader.tally.detections(10)


def before_each(prefix: bytes) -> Change:
    return lambda text: re.sub(rb"(?m)^(?=.)", prefix, text)


def replaced(pattern: bytes, new: bytes) -> Change:
    return lambda text: re.sub(pattern, new, text)


def of_kernel(text: bytes) -> bytes:
    """Return the records as the kernel writes them to its own log."""
    numbers = {b"SYSCALL": 1300, b"PATH": 1302, b"CWD": 1307, b"EXECVE": 1309, b"PROCTITLE": 1327}
    head = b"Nov 28 10:00:00 web1 kernel: [   12.345678] audit: "
    return re.sub(rb"(?m)^type=(\w+) msg=", lambda found: head + b"type=%d " % numbers[found.group(1)], text)


def reversed_events(text: bytes) -> bytes:
    """Return the events as ausearch writes them."""
    events = re.findall(rb"(?ms)^type=SYSCALL .*?^type=PROCTITLE [^\n]*\n", text)
    lines = [b"".join(reversed(event.splitlines(keepends=True))) for event in events]
    return b"".join(b"----\ntime->Sat Nov 28 10:00:00 2026\n" + event for event in lines)


@pytest.mark.parametrize(
    "change",
    [
        before_each(b"node=web1 "),
        before_each(b"node=web1.example.org "),
        before_each(b"Nov 28 10:00:00 web1 audispd: "),
        before_each(b"<13>Nov 28 10:00:00 web1 audisp-syslog[77]: "),
        before_each(b"Nov 28 12:00:50 web1 user.info audispd: node=web1 "),
        before_each(b"2026-11-28T10:00:00.123456+00:00 web1 audisp-syslog: "),
        before_each(b"<13>1 2026-11-28T10:00:00.123456+00:00 web1 audisp-syslog 123 - - "),
        of_kernel,
        reversed_events,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"\0" * 4096 + text.replace(b"\ntype=SYSCALL", b"\n\0\0\0type=SYSCALL"),
        replaced(rb"(audit\(\d+\.\d{3})", rb"\g<1>000"),
        replaced(rb"(audit\(\d+\.\d{3})", rb"\g<1>000000"),
        replaced(rb" (arch|syscall|success|exit|items|ppid|pid|auid|uid|tty|item|mode|argc)=([^\s\"]+)", rb' \1="\2"'),
        replaced(rb" (arch|syscall|success)=([^\s\"]+)", rb" \1='\2'"),
        replaced(rb"arch=c000003e syscall=59", rb"arch=x86_64 syscall=execve"),
        replaced(rb"arch=c000003e", rb"arch=0xC000003E"),
        replaced(rb" (success=\w+ exit=\w+)( [^\n]*)\n", rb"\2 \1\n"),
        replaced(rb" (pid=\d+)( auid=\d+)", rb"\2 \1"),
    ],
)
def test_what_is_found_in_another_form_is_the_same(change: Change) -> None:
    changed = change(_LOG)
    assert changed != _LOG
    reader = read(changed)
    assert outcome(reader) == outcome(read(_LOG))
    assert (reader.damaged, reader.unread.events) == (0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replaced(rb"audit\([\d.]+:", b"audit(01/02/2026 10:00:00.123:"), line_forms.INTERPRETED),
        (replaced(rb"audit\([\d.]+:", b"audit(2026-02-01 10:00:00.123:"), line_forms.INTERPRETED),
        (replaced(rb"audit\((\d+)\.(\d+):", rb"audit(\1\2:"), line_forms.TIMESTAMP),
        (before_each(b"Nov 28 10:00:00 web1 mallory: "), line_forms.NOT_THE_DAEMON),
        (replaced(rb"type=(\w+) msg=audit\(\S+", rb"Nov 28 10:00:00 web1 audit[123]: \1"), line_forms.JOURNAL),
        (replaced(rb"type=(\w+) msg=audit\(([\d.:]+)\):", rb'{"ID":"\2","\1":{}}'), line_forms.JSON),
        (replaced(rb"(?m)(msg=audi).*", rb"\1"), line_forms.CUT),
        (replaced(rb"type=", rb"kind="), line_forms.NO_RECORD),
    ],
)
def test_what_is_not_read_is_counted_with_the_first_of_it(change: Change, reason: str) -> None:
    changed = change(_LOG)
    reader = read(changed)
    lines, events = reader.unread.take()
    first = changed.split(b"\n")[0][:100].decode()
    assert [(each, amount.number) for each, amount in lines.items()] == [(reason, _LOG.count(b"\n"))]
    assert lines[reason].first.startswith(first)
    assert (reader.events, reader.damaged, events) == (0, _LOG.count(b"\n"), {})


def test_a_record_in_the_text_of_a_line_that_is_not_read_is_none() -> None:
    """Whoever chooses the text of a line must not choose what is read."""
    inner = log(("x", "odd")).replace(b"type=", b"kind: type=")
    assert read(inner).events == 0
    assert read(b"type=USER msg=audit(01/02/2026 10:00:00.123:1) : msg='" + log(("x", "odd")) + b"'\n").damaged > 0


def test_lines_around_one_that_is_not_read_are() -> None:
    events = _LOG.split(b"type=SYSCALL")
    mixed = b"type=SYSCALL".join([*events[:2], b"garbage\n".join([events[2], b""]), *events[3:]])
    reader = read(b"first\n" + mixed + b"last")
    assert outcome(reader) == outcome(read(_LOG))
    assert reader.damaged == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced(rb"arch=c000003e", b"arch=80000008"), "system calls of mips64, whose numbers are not known"),
        (replaced(rb"arch=c000003e", b"arch=c0000999"), "the unknown architecture c0000999"),
        (replaced(rb"syscall=59", b"syscall=5999"), "system calls that are not known by their numbers"),
        (replaced(rb"(type=SYSCALL [^\n]*) exe=[^\n]*", rb"\1"), "cut off, or in an unknown form"),
        (replaced(rb"(type=SYSCALL [^\n]* )exe=[^\n]*", rb'\1exe="/usr/bi'), "cut off, or in an unknown form"),
        (replaced(rb"uid=0", b"uid=root"), "cut off, or in an unknown form"),
    ],
)
def test_events_that_are_not_understood_are_counted(change: Change, words: str) -> None:
    reader = read(change(_LOG))
    lines, events = reader.unread.take()
    ((reason, amount),) = events.items()
    assert words in reason
    assert (amount.number, lines, reader.events) == (6, {}, 6)
    assert amount.first.startswith("type=SYSCALL msg=audit(1780000000.001:1): ")


@pytest.mark.parametrize(
    ("architecture", "call"),
    [
        ("c00000f3", 221),
        ("c0000102", 221),
        ("c00000b7", 221),
        ("40000028", 11),
        ("c0000015", 11),
        ("80000015", 11),
        ("80000016", 11),
        ("40000003", 11),
    ],
)
def test_an_execution_is_one_on_every_architecture(architecture: str, call: int) -> None:
    reader = read(_LOG.replace(b"arch=c000003e syscall=59", b"arch=%s syscall=%d" % (architecture.encode(), call)))
    assert reader.tally.events == read(_LOG).tally.events == 2
    assert reader.unread.events == 0


def test_what_other_programs_write_to_syslog_is_no_record_and_hides_none() -> None:
    others = b"".join(
        b"Nov 28 10:00:%02d web1 %s\n" % line
        for line in enumerate([b"sshd[1]: Connection closed", b"kernel: eth0: link up", b"auditd[7]: Init complete"])
    )
    records = before_each(b"Nov 28 10:00:00 web1 audispd: ")(_LOG)
    reader = read(others + records + others)
    assert outcome(reader) == outcome(read(_LOG))
    assert reader.damaged == 0
    json = b'Nov 28 10:00:00 web1 laurel: {"ID":"1.2:3","SYSCALL":{"arch":"0xc000003e"}}\n'
    interpreted = b"Nov 28 10:00:00 web1 audispd: type=USER msg=audit(01/02/26 10:00:00.1:1) : x\n"
    found = read(others + json + interpreted).unread.take()[0]
    assert set(found) == {line_forms.JSON, line_forms.INTERPRETED}


_KEY = b'key="bulwark-exec"'


@pytest.mark.parametrize("separator", [b"\x1d", b"#035", b" ", b""])
@pytest.mark.parametrize("prefix", [b"", b"Nov 28 10:00:00 web1 audispd: "])
def test_enriched_fields_are_told_apart_whatever_is_before_them(separator: bytes, prefix: bytes) -> None:
    enriched = _LOG.replace(b"key=(null)", _KEY + separator + b'ARCH=x86_64 SYSCALL=execve AUID="alice" UID="root"')
    rules = used(rule({"a": {"Key": "bulwark-exec", "CommandLine|contains": "odd"}, "condition": "a"}))
    reader = Reader(rules, {}, names={"web1"})
    reader.read(before_each(prefix)(enriched) if prefix else enriched)
    assert reader.tally.events == 2
    assert reader.unread.events == 0


def test_a_name_with_an_escaped_separator_hides_nothing() -> None:
    named = _LOG.replace(b'comm="x" exe="/usr/bin/x"', b'comm="x#035AUID=" exe="/usr/bin/x#035UID=b"')
    rules = used(rule({"a": {"Image|startswith": "/usr/bin/x", "CommandLine|contains": "odd"}, "condition": "a"}))
    reader = Reader(rules, {}, names={"web1"})
    reader.read(before_each(b"Nov 28 10:00:00 web1 audispd: ")(named))
    assert reader.tally.events == 2


def test_an_example_has_no_password_and_an_end() -> None:
    counted = not_understood.Unread()
    counted.line(b"mysql --password=hunter2 \x1b[31m " + b"x" * 100_000, "garbage")
    first = counted.take()[0]["garbage"].first
    assert "hunter2" not in first
    assert "\x1b" not in first
    assert len(first) < 200


def test_forged_reasons_do_not_fill_the_memory() -> None:
    text = b"".join(_LOG.replace(b"c000003e", b"c%07x" % number) for number in range(0xA000, 0xA100))
    amounts = read(text).unread.take()[1]
    assert len(amounts) < 30
    assert sum(amount.number for amount in amounts.values()) == 6 * 256


@pytest.mark.parametrize(
    "line",
    [
        b"Nov 28 10:00:00 " * 60_000,
        b"node=" * 200_000,
        b"type=SYSCALL msg=audit(" * 50_000,
        b"audit[" * 200_000,
        b"<13>1 2026-11-28T10:00:00Z " + b"x " * 500_000,
        b"Nov 28 10:00:00 web1 audispd: type=USER msg=audit(1780000000.001:1): " + b"#035A=b " * 100_000 + b'"',
        b"Nov 28 10:00:00 web1 laurel: {" + b'"SYSCALL' * 100_000,
        b'type=SYSCALL msg=audit(1780000000.001:1): arch="c000003e" ' + b"a=" * 400_000,
        b'type=SYSCALL msg=audit(1780000000.001:1): arch="c000003e" ' + b'"' * 800_000,
    ],
)
def test_hostile_lines_take_no_time(line: bytes) -> None:
    before = time.process_time()
    read(line + b"\n" + line + b"\n" + _LOG)
    assert time.process_time() - before < 3
