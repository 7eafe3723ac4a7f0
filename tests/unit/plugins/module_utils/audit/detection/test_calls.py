# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quick way for calls says what rules say that are all tried, by the slow way, which remembers nothing."""

from __future__ import annotations

import collections
import functools
import pathlib
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import Looked
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast import call_candidates
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event, Joiner
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.bounds import at_most
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Values
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

from tests.bench import _audit_log
from tests.support.sigma import rule, used, without_prefilter
from tests.unit.plugins.module_utils.audit.detection.test_quick_ways import chunks
from tests.unit.plugins.module_utils.audit.detection.test_verdicts import compiled, forget

_SOURCES = ("file_event", "network_connection", "network_listen", "syscall", "auditd")
_STAMP = "msg=audit(1780000{seconds:03}.{serial:03}:{serial}):"
_PROGRAMS = (
    "/usr/sbin/nginx", "/usr/bin/bash", "/usr/bin/dpkg", "/usr/bin/wget", "/tmp/x", "/usr/bin/kmod", "/usr/bin/split",
    "/usr/bin/rm (deleted)", "/usr/bin/useradd", "/opt/odd program",
)  # fmt: skip
_FILES = (
    "/etc/passwd", "/etc/cron.d/x", "/etc/sudoers.d/x", "/tmp/rootlog", "/home/a/.bashrc", "/usr/bin/bash", "x.sh",
    "../etc/shadow", "/etc/ld.so.preload", "/root/.ssh/authorized_keys", "/srv/www/shell.php", "/etc/audit/audit.conf",
    "/boot/vmlinuz-6", "sub/.hidden", "/etc/systemd/system/x.service", "/usr/lib/modules/a.ko", "/tmp/msg='x",
    "/opt/odd program/y", "", "/srv/" + "long" * 60, "/etc/profile.d/\N{LATIN SMALL LETTER U WITH DIAERESIS}.sh",
)  # fmt: skip
_DIRECTORIES = ("/", "/tmp", "/etc", "/home/a", "/opt/odd program", "/etc/cron.d")
_OF_FILES = (
    2, 85, 257, 437, 304, 82, 264, 316, 87, 263, 84, 86, 265, 88, 266, 90, 268, 452, 92, 260, 188, 190, 76, 133, 259,
    83, 258, 280, 165, 59,
)  # fmt: skip
_OTHERS = (101, 62, 175, 313, 321, 310, 311, 134, 99, 103, 227, 319, 135)
_WITH_ADDRESS = (42, 42, 43, 288, 44, 46, 49, 49)
_NAMES = '\x1dARCH=x86_64 SYSCALL=x AUID="{0}" UID="{1}" GID="root" EUID="{1}" SUID="root" FSUID="root"'
_KEYS = ("(null)", '"config"', '"susp_activity"', '"net"', "636F6E66696701746D70")
_ACCOUNTS = {0: "root", 33: "www-data", 1000: "alice", 4294967295: "unset"}


def logged(value: str) -> str:
    """Return a text as the kernel writes it."""
    if not value:
        return "(null)"
    raw = value.encode()
    return raw.hex().upper() if any(one <= 0x20 or one > 0x7E or one == 0x22 for one in raw) else f'"{value}"'


def address(pick: t.Callable[[t.Sequence[t.Any]], t.Any]) -> str:
    port = f"{pick((22, 53, 80, 443, 4444, 3333, 999, 0)):04X}"
    ip = pick(("0A000001", "5DB8D822", "7F000001", "00000000", f"0A0000{pick(range(256)):02X}"))
    return str(
        pick(
            (
                f"0200{port}{ip}0000000000000000",
                f"0A00{port}00000000{'0' * 20}FFFF{ip}00000000",
                f"0A00{port}00000000{'20010DB8'}{'0' * 16}{ip}00000000",
                "0100" + pick((b"/run/docker.sock", b"/var/run/x", b"\0abstract")).hex().upper() + "00",
                "100000000000000000000000",
                "0200",
            )
        )
    )


def made(seed: int, number: int) -> bytes:
    """Return events of calls and of the programs that do them; each value is one of few, and some are new ones."""
    chance = random.Random(seed)  # noqa: S311
    pick = chance.choice
    text = []
    for serial in range(1, number + 1):
        stamp = _STAMP.format(seconds=serial // 900, serial=serial % 900)
        syscall = pick((*_OF_FILES, *_OF_FILES, *_OTHERS, *_WITH_ADDRESS, *_WITH_ADDRESS))
        program = pick(_PROGRAMS)
        paths = []
        if syscall in _OF_FILES:
            for item in range(chance.randrange(5)):
                name = pick((*_FILES, f"/etc/new{serial}.conf", f"new{serial}"))
                inode = f" inode={serial} dev=fe:00 mode={pick(('0100644', '0104755', '040755'))} ouid={pick((0, 33))}"
                inode += " ogid=0 rdev=00:00" + pick(("", " obj=system_u:object_r:etc_t:s0"))
                kind = pick(("PARENT", "NORMAL", "CREATE", "DELETE", "UNKNOWN"))
                more = pick(("", " cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"))
                more += pick(("", '\x1dOUID="root" OGID="root"'))
                paths.append(f"item={item} name={logged(name)}{pick((inode, inode, ''))} nametype={kind}{more}")
        words = [program, pick(("-x", "a b", "-enc", f"{serial}"))]
        call = (
            f"arch={pick(('c000003e', 'c000003e', '40000003'))} syscall={syscall} success={pick(('yes', 'yes', 'no'))} "
            f"exit={pick((0, 3, -13, -115))} a0={pick(('ffffff9c', '5', '10', '4', '0'))} "
            f"a1={pick(('1a4', '9ed', '241', '0', f'7f{serial:x}'))} a2={pick(('241', '0', '9ed', '80000'))} "
            f"a3={pick(('0', '8', '1b6'))} items={len(paths)} ppid={pick((1, 900, 901, 902, 903))} "
            f"pid={pick((900, 901, 902, 903, 904, 905, 2000 + serial))} auid={(auid := pick((1000, 4294967295)))} "
            f"uid={(uid := pick((0, 33)))} gid=0 euid={uid} suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 "
            f"tty={pick(('(none)', 'pts0'))} ses={pick((3, 4294967295))} comm={logged(program.rsplit('/', 1)[1][:15])} "
            f"exe={logged(program)}{pick(('', ' subj=unconfined'))} "
            f"key={pick(_KEYS)}"
            f"{pick(('', '', _NAMES.format(_ACCOUNTS[auid], _ACCOUNTS[uid])))}"
        )
        lines = [f"type=SYSCALL {stamp} {call}"]
        if syscall == 59:
            arguments = " ".join(f"a{place}={logged(word)}" for place, word in enumerate(words))
            lines.append(f"type=EXECVE {stamp} argc={len(words)} {arguments}")
        if syscall in _WITH_ADDRESS and chance.random() < 0.9:
            lines.append(f"type=SOCKADDR {stamp} saddr={address(pick)}" + pick(("", "\x1dSADDR={ saddr_fam=inet }")))
        if paths or chance.random() < 0.1:
            lines.append(f"type=CWD {stamp} cwd={logged(pick(_DIRECTORIES))}")
        lines += [f"type=PATH {stamp} {path}" for path in paths]
        lines.append(f"type=PROCTITLE {stamp} proctitle={logged(chr(0).join(words))}")
        if chance.random() < 0.03:
            others = ('OBJ_PID {} opid=1 ocomm="x"', 'KERN_MODULE {} name="x"', "CONTAINER_ID {} op=task contid=x")
            lines.insert(1, "type=" + pick(others).format(stamp))
        text.append("\n".join(lines) + "\n")
    return "".join(text).encode()


def shown(looked: t.Iterable[tuple[int, Looked]]) -> t.Iterator[tuple[int, str]]:
    """Return which rules match, and what they say of which event."""
    for serial, one in looked:
        assert one.views is not None
        for hit in one.hits:
            view = one.views[hit.place]
            seen = [view.get(name) for name in ("Image", "TargetFilename", "DestinationIp", "type", "name", "a0")]
            yield hit.rule, str((serial, hit.subject, hit.message, view.source, seen))


def slowly(rules: t.Mapping[str, t.Any], text: bytes) -> list[tuple[int, str]]:
    """Return what the slow way says that remembers nothing and tries all rules."""
    content = without_prefilter(rules)
    verdicts = Verdicts(RuleSet(content), content, Processes())
    found: list[tuple[int, str]] = []
    for event in Joiner().events(text):
        forget(verdicts)
        found += shown((event.serial, one) for one in verdicts.look(event))
    return found


def quickly(rules: t.Mapping[str, t.Any], text: bytes) -> list[tuple[int, str]]:
    """Return what the reader says."""
    reader = Reader(rules, {})
    found: list[tuple[int, str]] = []
    for chunk in chunks(text, 50_000):
        found += shown((event.serial, one) for event, one in reader._look_at(reader.hosts.own.joiner.found(chunk)))
    return found


def difference(one: t.Iterable[t.Any], other: t.Iterable[t.Any]) -> list[t.Any]:
    before, after = collections.Counter(one), collections.Counter(other)
    return sorted((before - after) + (after - before))


def of_calls(content: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    rules = [entry for entry in content["rules"] if entry["source"] in _SOURCES]
    return {**content, "rules": rules, "correlations": []}


@pytest.mark.parametrize("seed", range(3))
def test_our_rules(seed: int) -> None:
    text, rules = made(seed, 1_000), of_calls(compiled())
    slow = slowly(rules, text)
    assert difference(slow, quickly(rules, text)) == []
    assert len({number for number, _said in slow}) > 40


def test_what_rules_nothing_out_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text, rules = made(1, 1_000), of_calls(compiled())
    asked = []
    may = call_candidates._may
    monkeypatch.setattr(call_candidates, "_may", lambda bound, values: asked.append(bound) or may(bound, values))
    with_all = quickly(rules, text)
    before = len(asked)
    monkeypatch.setattr(call_candidates, "_MOST_IN_VAIN", 2)
    assert difference(with_all, quickly(rules, text)) == []
    assert len(asked) - before < before / 2


def test_hardly_a_call_takes_the_slow_way(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """The first event aside, by which the reader knows when the log begins, and those between two chunks."""
    slow: list[bytes] = []
    look = Verdicts.look

    def looked(self: Verdicts, event: Event) -> t.Sequence[Looked]:
        if event.first == b"SYSCALL" and b"type=EXECVE" not in event.raw:
            slow.append(event.raw)
        return look(self, event)

    monkeypatch.setattr(Verdicts, "look", looked)
    _audit_log.write(tmp_path / "log", 5_000)
    text = (tmp_path / "log").read_bytes()
    assert len(quickly(compiled(), text)) > 10
    assert text.count(b"type=SOCKADDR") + text.count(b"nametype=PARENT") > 200
    assert len(slow) < 10


def of(category: str, **selection: t.Any) -> dict[str, t.Any]:
    """Return a rule for a kind of events: with what it selects, and what must not be as ``no_NAME``."""
    wanted = {name.replace("__", "|"): value for name, value in selection.items() if not name.startswith("no_")}
    unwanted = {name[3:].replace("__", "|"): value for name, value in selection.items() if name.startswith("no_")}
    detection: dict[str, t.Any] = {"a": wanted, "condition": "a and not b" if unwanted else "a"}
    if unwanted:
        detection["b"] = unwanted
    source = {"service": "auditd"} if category == "auditd" else {"category": category}
    return rule(detection, logsource={"product": "linux", **source})


_RULES = [
    of("file_event", ParentImage__endswith="/nginx", Action="create"),
    of("file_event", Action=["write", "create"], no_ParentImage__endswith="/bash"),
    of("file_event", CurrentDirectory="/tmp"),
    of("file_event", AncestorImages__contains="/usr/bin/", TargetFilename__startswith="/"),
    of("file_event", TargetFilename__contains="new", no_Argv__contains="-enc"),
    of("file_event", TargetFilename__re="/new[0-9]+7", no_User="www-data"),
    of("file_event", Mode="4755"),
    of("file_event", Owner="33", CommandLine__contains="a b"),
    of("file_event", SourceFilename__contains="s"),
    of("file_event", OriginalImage__contains="b", LogonId="3"),
    of("file_event", Container="x"),
    of("file_event", no_Exit="EACCES", Terminal="pts0"),
    of("network_connection", DestinationPort="4444"),
    of("network_connection", DestinationIp__cidr="10.0.0.0/28", no_ParentImage__endswith="/nginx"),
    of("network_connection", DestinationIp__cidr="2001:db8::/32"),
    of("network_connection", DestinationPath__contains="docker"),
    of("network_connection", Protocol="netlink", no_ProcessId="900"),
    of("network_connection", Initiated="false"),
    of("network_connection", DestinationPort__gt=400, no_Image__endswith="/wget"),
    of("network_listen", SourcePort="22", no_GrandparentImage__endswith="/nginx"),
    of("network_listen", SourceIp="127.0.0.1"),
    of("network_listen", SourcePath__contains="abstract"),
    of("syscall", Syscall="ptrace", A0="4"),
    of("syscall", Paths__contains="shadow", Success="yes"),
    of("syscall", Syscall="kill", A1="9ed"),
    of("syscall", TargetComm="x"),
    of("syscall", Module="x"),
    of("syscall", no_Syscall__contains="a", EffectiveUser="www-data"),
    of("auditd", type="PATH", name__endswith="passwd", nametype="CREATE"),
    of("auditd", type="PATH", mode="0104755"),
    of("auditd", type="PATH", name__contains="msg"),
    of("auditd", type="SYSCALL", a0="5", comm="bash"),
    of("auditd", type="SYSCALL", a2__contains="24", syscall="openat"),
    of("auditd", type="SYSCALL", exit="EACCES", key="config"),
    of("auditd", type="SYSCALL", a1="9ed", no_exe__endswith="/dpkg"),
    of("auditd", type="SYSCALL", no_uid="0", syscall="connect"),
    of("auditd", syscall="kill", no_ses="3"),
    rule({"k": ["passwd", "wget"], "condition": "k"}, logsource={"product": "linux", "category": "file_event"}),
    rule({"k": ["docker", "a b"], "condition": "k"}, logsource={"product": "linux", "category": "network_connection"}),
    rule({"k": ["odd program"], "condition": "k"}, logsource={"product": "linux", "service": "auditd"}),
    of("auditd", type="SOCKADDR", saddr__startswith="0200"),
    of("auditd", type="CWD", cwd="/tmp"),
    of("auditd", type="PROCTITLE", proctitle__contains="-enc"),
    of("auditd", no_dev="00:00", type="PATH"),
]


@functools.cache
def said() -> tuple[bytes, dict[str, t.Any], list[tuple[int, str]]]:
    """Return events, the rules of users, and what the slow way says of them."""
    text, rules = made(11, 1_300), used(*_RULES)
    return text, rules, slowly(rules, text)


@pytest.mark.parametrize("number", range(len(_RULES)))
def test_a_rule_of_users(number: int) -> None:
    text, rules, slow = said()
    expected = [(0, one) for found, one in slow if found == number]
    assert difference(expected, quickly({**rules, "rules": [rules["rules"][number]]}, text)) == []
    assert expected


@pytest.mark.parametrize("chosen", [len(_RULES), 28, 37])
def test_rules_of_users_together(chosen: int) -> None:
    """With all of them no call takes the quick way."""
    text, rules, slow = said()
    expected = [one for one in slow if one[0] < chosen]
    assert difference(expected, quickly({**rules, "rules": rules["rules"][:chosen]}, text)) == []


def test_what_is_done_to_a_file_is_known_where_it_has_a_label() -> None:
    text = made(11, 700)
    rules = used(of("file_event", Action="create"))
    labels = [event.raw for event in Joiner().events(text) if b" obj=system_u:object_r:etc_t:s0 nametype=" in event.raw]
    without = [raw.replace(b" obj=system_u:object_r:etc_t:s0", b"") for raw in labels]
    assert len(labels) > 100
    assert slowly(rules, b"".join(labels)) == slowly(rules, b"".join(without)) != []


def test_a_file_may_be_called_as_the_message_of_a_program_begins() -> None:
    text = made(11, 700)
    rules = used(of("auditd", type="PATH", name__endswith="msg='x"))
    names = [event.serial for event in Joiner().events(text) if b"/tmp/msg='x" in event.raw]
    assert len(slowly(rules, text)) >= len(names) > 10


@pytest.mark.parametrize(
    ("node", "fields", "values", "possible"),
    [
        (["text", "A", "equals", ["1"]], "A", {"A": "2"}, False),
        (["text", "A", "equals", ["1"]], "B", {"B": "2"}, True),
        (["and", [["text", "A", "equals", ["1"]], ["text", "B", "equals", ["1"]]]], "A", {"A": "2"}, False),
        (["or", [["text", "A", "equals", ["1"]], ["text", "B", "equals", ["1"]]]], "A", {"A": "2"}, True),
        (["not", ["text", "A", "equals", ["1"]]], "A", {"A": "1"}, False),
        (["not", ["and", [["text", "A", "equals", ["1"]], ["text", "B", "equals", ["1"]]]]], "A", {"A": "1"}, True),
        (["not", ["or", [["text", "A", "equals", ["1"]], ["text", "B", "equals", ["1"]]]]], "A", {"A": "1"}, False),
        (["words", [], "contains", ["1"]], "A", {"A": "2"}, True),
        (["listed", 0, ["A"]], "A", {"A": "2"}, True),
        (["same", "A", "B", "equals"], "A", {"A": "2"}, True),
        (["and", []], "A", {}, True),
        (["or", []], "A", {}, False),
    ],
)
def test_what_fields_rule_out(node: t.Any, fields: str, values: dict[str, str], possible: bool) -> None:
    bound = at_most(node, frozenset(fields))
    assert (bound is None or bound(Values(values))) is possible
