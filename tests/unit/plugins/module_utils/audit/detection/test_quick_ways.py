# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quick ways through a log say what the slow one says, whatever came before."""

from __future__ import annotations

import pathlib
import random
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast import verdict_cache
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, record_regex
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import RUN, Event, Joiner, event_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

from tests.bench import _audit_log
from tests.support import paths, require
from tests.unit.plugins.module_utils.audit.detection.test_verdicts import compiled, events, forget

Said = list[tuple[int, list[tuple[int, str, t.Any, t.Any]]]]


def slowly(text: bytes) -> Said:
    """Return what the slow way says, which remembers nothing: of each event its number and what matches."""
    rules = RuleSet(compiled())
    verdicts = Verdicts(rules, compiled(), Processes())
    found = []
    for event in Joiner().events(text):
        forget(verdicts)
        for looked in verdicts.look(event):
            assert looked.views is not None
            shown = [(hit.rule, hit.subject, hit.message, looked.views[hit.place].get("Image")) for hit in looked.hits]
            found.append((event.serial, sorted(shown, key=str)))
    return found


def quickly(text: bytes, size: int) -> Said:
    """Return the same of the reader, which gets chunks of so many bytes."""
    reader = Reader(compiled(), {})
    found = []
    for chunk in chunks(text, size):
        looked = list(reader._look_at(reader.hosts.own.joiner.found(chunk)))
        for event, one in looked:
            assert one.views is not None
            shown = [(hit.rule, hit.subject, hit.message, one.views[hit.place].get("Image")) for hit in one.hits]
            found.append((event.serial, sorted(shown, key=str)))
    return found


def chunks(text: bytes, size: int) -> t.Iterator[bytes]:
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + size) + 1 or len(text)
        yield text[start:end]
        start = end


def attacks(seed: int) -> bytes:
    """Return events that differ in all that rules may ask for; the same commands come again, of other parents."""
    made = events(seed, 900)
    chance = random.Random(seed)  # noqa: S311
    text = b""
    for event in made:
        raw = event.raw
        # Whose parent is one of those before.
        if chance.random() < 0.5:
            raw = raw.replace(b"ppid=90", b"ppid=%d ppid=90" % chance.randrange(1, event.serial + 1), 1)
            raw = raw[: raw.find(b" ppid=90")] + raw[raw.find(b" pid=") :]
        if chance.random() < 0.1:
            raw += b"type=EOE %s: \n" % raw.split(b" ")[1].rstrip(b":")
        text += raw
    return text


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("size", [700, 40_000])
def test_the_quick_ways_say_what_the_slow_one_says(seed: int, size: int) -> None:
    text = attacks(seed)
    quick = [found.lastgroup is not None and found.group("first") is None for found in record_regex.NEXT.finditer(text)]
    assert sum(quick) > 500
    expected = slowly(text)
    assert len(expected) > 100
    assert quickly(text, size) == expected


@pytest.mark.parametrize("part", [b'exe="/', b'comm="', b"comm="])
def test_calls_that_were_cut_off_end_no_look(part: bytes) -> None:
    text = b"".join(
        re.sub(rb"(?m)^(type=SYSCALL .*?" + part + rb").*$", rb"\1", event.raw) if event.serial % 2 else event.raw
        for event in events(3, 300)
    )
    assert quickly(text, 10_000) == slowly(text)


@pytest.mark.parametrize(
    ("begin", "found"),
    [(b"", 3), (b'type=EXECVE msg=%s: argc=1 a0="x"\n', 0), (b'type=EXECVE msg=%s: argc=1 a0="evil"\n', 6)],
)
def test_executions_that_lack_their_arguments_are_the_same_only_with_the_same_title(begin: bytes, found: int) -> None:
    """In a log of several processors records may be mixed: the arguments may come first, and count as they do later."""
    rule = {
        "id": "1",
        "alert": "x",
        "title": "x",
        "source": "process_creation",
        "condition": ["text", "CommandLine", "contains", ["evil"]],
    }
    call = next(event.raw for event in events(1, 900) if b" syscall=59 success=yes " in event.raw).split(b"\n")[0]
    text = b""
    for number, title in enumerate([b"good", b"evil", b"good", b"evil", b"other", b"evil"]):
        stamp = b"audit(1780000000.%03d:%d)" % (number, number)
        raw = begin and begin % stamp
        raw += re.sub(rb"audit\([0-9.:]+\)", stamp, re.sub(rb" pid=\d+", b" pid=%d" % (50_000 + number), call)) + b"\n"
        text += raw + b'type=PROCTITLE msg=%s: proctitle="%s"\n' % (stamp, title)
    reader = Reader({"version": 1, "rules": [rule], "correlations": []}, {})
    reader.read(text)
    reader.finish(2e9)
    assert (reader.events, reader.tally.events) == (6, found)


def test_what_an_execution_quickly_says_of_itself_is_what_it_says(tmp_path: pathlib.Path) -> None:
    names = ("ProcessId", "ParentProcessId", "LogonId", "CommandLine", "Terminal")
    _audit_log.write(tmp_path / "audit.log", 3_000)
    text = (tmp_path / "audit.log").read_bytes() + attacks(3)
    seen = set()
    for event in Joiner().found(text):
        if isinstance(event, Event) or event.group("arguments") is None:
            continue
        slow = LazyView("", views.EXECUTION, activity.activity_of(event_of(event), None, None))
        for found in (event, event_of(event)):
            quick = LazyView("", views.EXECUTION, verdict_cache.Later(found, None))
            assert [quick.get(name) for name in names] == [slow.get(name) for name in names]
        seen.add(slow["CommandLine"])
    assert len(seen) > 50


def test_events_are_found_where_they_were() -> None:
    require("data:go-libaudit", "data:linux-atomics-auditd")
    logs = [paths.data("linux-atomics-auditd") / "audit.log", *paths.data("go-libaudit").rglob("*.log")]
    for log in logs:
        text = log.read_bytes()
        assert [found.span() for found in record_regex.NEXT.finditer(text)] == [
            found.span() for found in RUN.finditer(text)
        ], log


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("CWD", ["text", "cwd", "equals", ["/tmp"]]),
        ("PROCTITLE", ["text", "proctitle", "contains", ["whoami"]]),
        ("PATH", ["text", "name", "equals", ["/etc/passwd"]]),
        ("SYSCALL", ["text", "comm", "equals", ["whoami"]]),
        ("EXECVE", ["text", "a0", "equals", ["cat", "chmod"]]),
    ],
)
def test_rules_for_each_record_of_an_execution_are_asked(kind: str, condition: list[t.Any]) -> None:
    node = ["and", [["text", "type", "equals", [kind.lower()]], condition]]
    rule = {"id": "1", "alert": "x", "title": "x", "source": "auditd", "condition": node}
    text = b"".join(event.raw for event in events(3, 900))
    reader = Reader({"version": 1, "rules": [rule], "correlations": []}, {})
    reader.read(text)
    verdicts = Verdicts(RuleSet({"version": 1, "rules": [rule]}), {"rules": [rule]}, Processes())
    expected = sum(len(looked.hits) for event in Joiner().events(text) for looked in verdicts.look(event))
    assert reader.tally.events == expected > 5


def test_a_path_that_is_written_with_more_blanks_is_told_from_others() -> None:
    rule = {
        "id": "1",
        "alert": "x",
        "title": "x",
        "source": "file_event",
        "condition": ["text", "TargetFilename", "equals", ["/etc/evil"]],
        "prefilter": [["equals", "TargetFilename", ["/etc/evil"]]],
    }
    call = (
        "type=SYSCALL msg=audit(1.000:{n}): arch=c000003e syscall=87 success=yes exit=0 a0=1 a1=1 a2=1 a3=1 items=1 "
        "ppid=1 pid=2 auid=0 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=1 "
        'comm="rm" exe="/bin/rm" key="x"\n'
        'type=CWD msg=audit(1.000:{n}): cwd="/"\n'
        'type=PATH msg=audit(1.000:{n}):  item=0 name="{path}" inode=1 dev=1 mode=0100644 ouid=0 ogid=0 rdev=0 '
        "nametype=DELETE\n"
        "type=PROCTITLE msg=audit(1.000:{n}): proctitle=726D\n"
    )
    text = "".join(call.format(n=n, path=path) for n, path in enumerate(["/tmp/a", "/tmp/a", "/etc/evil", "/tmp/a"], 1))
    reader = Reader({"version": 1, "rules": [rule], "correlations": []}, {})
    reader.read(text.encode())
    assert reader.tally.events == 1
