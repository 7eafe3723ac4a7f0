# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of events is what the rules say of each, whatever else is different."""

from __future__ import annotations

import functools
import json
import random
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._payload import unpack
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event, Joiner
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.support import paths, require

_EVENT = """\
type=SYSCALL msg=audit(1780000000.{serial:03}:{serial}): arch=c000003e syscall={syscall} success={success} exit={exit} \
a0={a0} a1={a1} a2=0 a3=0 items=2 ppid={ppid} pid={serial} auid={auid} uid={uid} gid={uid} euid={uid} suid={uid} \
fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty={tty} ses={ses} comm="{comm}" exe="{exe}" key="{key}"{names}
{more}type=CWD msg=audit(1780000000.{serial:03}:{serial}): cwd="{cwd}"
type=PATH msg=audit(1780000000.{serial:03}:{serial}): item=0 name="{name}" inode={serial} dev=fe:00 mode={mode} ouid=0 \
ogid=0 rdev=00:00 nametype={nametype}
type=PROCTITLE msg=audit(1780000000.{serial:03}:{serial}): proctitle="{comm}"
"""
_PARENTS = ("/usr/sbin/nginx", "/usr/bin/bash", "/usr/sbin/sshd", "/usr/lib/systemd/systemd", "/usr/sbin/apache2")
_COMMANDS = (
    "id", "whoami", "cat /etc/passwd", "cat /etc/shadow", "curl http://10.0.0.1/x", "bash -i", "sh -c id",
    "nc -e /bin/sh",
    "chmod 4755 /tmp/x", "chattr -i /etc/passwd", "useradd x", "tar -cf /tmp/a /etc", "uname -a", "touch -d 2001 x",
    "python3 -c import", "base64 -d", "systemctl stop auditd", "history -c", "true",
)  # fmt: skip


@functools.cache
def compiled() -> dict[str, t.Any]:
    require("data:sigmahq-linux")
    return unpack(detections.load([str(paths.data("sigmahq-linux"))]).payload)


def events(seed: int, number: int) -> list[Event]:
    """Return events that differ in all that rules may ask for, each value being one of few."""
    chance = random.Random(seed)  # noqa: S311
    pick = chance.choice
    text = []
    for serial in range(1, number + 1):
        words = pick(_COMMANDS).split(" ")
        syscall = pick((59, 59, 59, 257, 90, 101, 42))
        stamp = f"msg=audit(1780000000.{serial:03}:{serial}):"
        more = ""
        if syscall == 59:
            more = f"type=EXECVE {stamp} argc={len(words)} "
            more += " ".join(f'a{place}="{word}"' for place, word in enumerate(words)) + "\n"
        if syscall == 42:
            more = f"type=SOCKADDR {stamp} saddr=0200{pick((22, 80, 4444)):04X}{pick(('0A000001', '5DB8D822'))}\n"
        fields = {
            "serial": serial,
            "syscall": syscall,
            "success": pick(("yes", "yes", "no")),
            "exit": pick((0, -13)),
            "a0": pick(("0", "4", "10")),
            "a1": pick(("1a4", "9ed", "241", "0")),
            "ppid": pick((900, 901, 902, 903, 904, 905)),
            "auid": pick((1000, 4294967295)),
            "uid": pick((0, 33, 1000)),
            "tty": pick(("(none)", "pts0")),
            "ses": pick((0, 3, 4294967295)),
            # A log has records without names where the daemon was told to add them later.
            "names": pick(("", "", '\x1dARCH=x86_64 SYSCALL=x AUID="alice" UID="bob" GID="bob"')),
            "comm": words[0],
            "exe": pick((f"/usr/bin/{words[0]}", f"/tmp/{words[0]}")),
            "key": pick(("exec", "susp_activity", "network_connect_4")),
            "cwd": pick(("/", "/tmp", "/var/opt/microsoft/scx/tmp")),
            "name": pick((f"/usr/bin/{words[0]}", "/etc/passwd", "relative", "/etc/cron.d/x")),
            "mode": pick(("0100755", "0104755")),
            "nametype": pick(("NORMAL", "CREATE", "DELETE")),
            "more": more,
        }
        text.append(_EVENT.format(**fields))
    return list(Joiner().events("".join(text).encode()))


def known_processes() -> Processes:
    processes = Processes()
    for place, image in enumerate(_PARENTS):
        process = Process(
            str(900 + place).encode(), f'"{image}"'.encode(), f'argc=1 a0="{image}"'.encode(), b"", None, 0
        )
        parent = processes.get(b"900")
        processes.executed(process.pid, parent, process.exe, process.arguments, process.original, b"4294967295")
        if place % 2:
            processes.listens(process.pid)
    return processes


def said(verdicts: Verdicts, event: Event) -> list[tuple[int, str, str | None, str]]:
    """Return what the rules say: which rule, about what, in which words, of which view."""
    return sorted(
        (hit.rule, hit.subject, hit.message, looked.views[hit.place].source)
        for looked in verdicts.look(event)
        if looked.views is not None
        for hit in looked.hits
    )


def forget(verdicts: Verdicts) -> None:
    """Leave nothing of what was remembered."""
    for part in (verdicts, verdicts._shapes, verdicts._known, verdicts.matcher):
        for name, value in vars(part).items():
            if isinstance(value, dict) and name != "_numbers":
                value.clear()
    verdicts.matcher._quiet.clear()
    verdicts.matcher._records.forget()
    verdicts._messages.forget()


def test_an_account_is_called_what_its_record_calls_it() -> None:
    """Records with names and without them are in one log where the daemon was told to add them later."""
    event = next(one for one in events(0, 900) if b'a1="/etc/shadow"' in one.raw and b"\x1d" not in one.raw)
    named = event._replace(raw=event.raw.replace(b"\n", b'\x1dARCH=x86_64 AUID="alice" UID="alice"\n', 1))
    rules = RuleSet(compiled())
    for order in ((event, named), (named, event)):
        verdicts = Verdicts(rules, compiled(), known_processes())
        subjects = {one is named: [subject for _rule, subject, *_rest in said(verdicts, one)] for one in order}
        assert any("alice" in subject for subject in subjects[True])
        assert not any("alice" in subject for subject in subjects[False])


@pytest.mark.parametrize("seed", range(2))
def test_remembered_verdicts_are_those_of_the_rules(seed: int) -> None:
    rules = RuleSet(compiled())
    remembering = Verdicts(rules, compiled(), known_processes())
    fresh = Verdicts(rules, compiled(), known_processes())
    matching = 0
    for event in [*events(seed, 900), *events(seed + 100, 900)]:
        # Each changes its process table in the same way.
        forget(fresh)
        expected = said(fresh, event)
        assert said(remembering, event) == expected, event.raw.decode()
        matching += bool(expected)
    assert matching > 200


def test_the_events_of_atomic_red_team_match_as_an_independent_engine_said() -> None:
    """Rules with keywords aside: that engine could not look for those in records."""
    require("data:linux-atomics-auditd", "data:sigmahq-linux")
    directory = paths.data("linux-atomics-auditd")
    content = unpack(detections.load([str(paths.data("sigmahq-linux"))], own_rules=False).payload)
    rules = RuleSet(content)
    verdicts = Verdicts(rules, content, Processes())
    joiner = Joiner()
    found: dict[str, set[str]] = {}
    for event in [*joiner.events((directory / "audit.log").read_bytes()), *joiner.rest(1e12)]:
        name = f"{event.seconds}.{event.milliseconds:03}:{event.serial}"
        found[name] = {rules.rule(hit.rule).id for looked in verdicts.look(event) for hit in looked.hits}
    with_keywords = keyword_rules()
    expected = json.loads((directory / "expected.json").read_text())
    assert len(expected) == len(found) == 607
    for entry in expected:
        wanted = set(entry["expected_rules"])
        assert wanted <= found[entry["event"]], entry
        assert found[entry["event"]] - wanted <= with_keywords, entry


def keyword_rules() -> set[str]:
    """Return the ids of the rules that look for words in whatever field."""
    found = set()
    for file in paths.data("sigmahq-linux").rglob("*.yml"):
        for rule in yaml.safe_load_all(file.read_text()):
            parts = [part for name, part in rule["detection"].items() if name != "condition"]
            words = [part for part in parts if isinstance(part, list) and any(isinstance(one, str) for one in part)]
            if words or any(isinstance(part, dict) and "|all" in part for part in parts):
                found.add(rule["id"])
    return found
