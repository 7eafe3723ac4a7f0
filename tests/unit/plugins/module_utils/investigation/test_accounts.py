# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signed in, with logs, keys and accounts on the disk."""

from __future__ import annotations

import ipaddress
import pathlib
import subprocess
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import accounts
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Node
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import utmp

from tests.unit.plugins.module_utils.investigation.roots import Root, budget, ids, links, node, wanted

_NOW = float(int(time.time()))
_PASSWD = "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000::/home/bob:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n"
_PROCESS = Node("process:77@1", "sh", {}, first=_NOW)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Root:
    root = Root(tmp_path)
    root.write("/etc/passwd", _PASSWD)
    root.write("/etc/group", "sudo:x:27:bob,alice\nbob:x:1000:\n")
    root.write("/etc/shadow", "root:*:20000:0:99999:7:::\nbob:$6$salt$hashhashhash:20001:0:99999:7:::\n", mode=0o600)
    return root


def _line(seconds: float, text: str) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds)) + " host " + text + "\n"


def _gather(root: Root, *nodes: Node | str) -> Facts:
    return accounts.gather(root.host(), wanted(*(nodes or (_PROCESS,))), budget())


def test_a_session_has_its_source_its_key_and_its_account(root: Root, tmp_path: pathlib.Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    listed = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True).stdout
    fingerprint = listed.split()[1]
    root.write("/home/bob/.ssh/authorized_keys", key.with_suffix(".pub").read_text(encoding="ascii"))
    root.write(
        "/var/log/auth.log",
        _line(
            _NOW - 9,
            f"sshd-session[41]: Accepted publickey for bob from 203.0.113.9 port 5 ssh2: ED25519 {fingerprint}",
        )
        + _line(
            _NOW - 9, "sshd-session[41]: pam_unix(sshd:session): session opened for user bob(uid=1000) by bob(uid=0)"
        )
        + _line(_NOW - 8, "systemd-logind[3]: New session 17 of user bob."),
    )

    facts = _gather(root)

    session = node(facts, "session:17")
    assert session.facts["source"] == "203.0.113.9"
    assert session.facts["key"] == fingerprint
    assert session.facts["leader"] == 41
    assert links(facts, "signed_in") == {("address:203.0.113.9", "session:17")}
    assert links(facts, "runs_as") == {("session:17", "account:1000")}
    assert links(facts, "mentions") == {("session:17", "startup:/home/bob/.ssh/authorized_keys")}
    assert [event.text for event in facts.events] == [f"bob signed in from 203.0.113.9 with the key {fingerprint}"]


def test_an_open_session_is_known_by_its_leader(root: Root) -> None:
    root.write(
        "/run/systemd/sessions/c4",
        f"UID=1000\nUSER=bob\nREMOTE=1\nREMOTE_HOST=203.0.113.9\nSERVICE=sshd\nLEADER=41\nREALTIME={int(_NOW * 1e6)}\n",
    )
    root.write("/var/log/auth.log", _line(_NOW, "sshd[41]: Accepted password for bob from 203.0.113.9 port 5 ssh2"))

    facts = _gather(root)

    assert ids(facts, "session:") == {"session:c4"}
    assert node(facts, "session:c4").facts["method"] == "password"


def test_a_process_belongs_to_the_session_that_systemd_has_it_in(root: Root) -> None:
    inside = Node("process:77@1", "sh", {"cgroup": "/user.slice/user-1000.slice/session-c4.scope"}, first=_NOW)
    outside = Node("process:78@1", "sh", {"cgroup": "/system.slice/session-x.service"}, first=_NOW)

    assert links(_gather(root, inside, outside), "belongs_to") == {("process:77@1", "session:c4")}


def test_wtmp_and_the_auth_log_have_the_same_sign_in_once(root: Root) -> None:
    form = utmp.layout()
    address = ipaddress.ip_address("203.0.113.9").packed + bytes(12)
    begun = form.pack(7, 43, b"pts/0", b"ts/0", b"bob", b"203.0.113.9", 0, 0, 0, int(_NOW) - 60, 0, address, b"")
    ended = form.pack(8, 43, b"pts/0", b"", b"", b"", 0, 0, 0, int(_NOW) - 10, 0, bytes(16), b"")
    root.write("/var/log/wtmp", begun + ended + b"half a record")
    root.write(
        "/var/log/auth.log", _line(_NOW - 61, "sshd[41]: Accepted password for bob from 203.0.113.9 port 5 ssh2")
    )

    facts = _gather(root)

    (session,) = [each for each in facts.nodes if each.kind == "session"]
    assert session.facts["by"] == ["auth log", "wtmp"]
    assert session.facts["terminal"] == "pts/0"
    assert (session.first, session.last) == (_NOW - 61, _NOW - 10)


@pytest.mark.requires("command:journalctl", "command:systemd-journal-remote")
def test_the_journal_is_believed_only_if_root_wrote_it(root: Root) -> None:
    text = "Accepted password for %s from 203.0.113.9 port 5 ssh2"
    root.journal(
        _NOW,
        {"MESSAGE": text % "bob", "SYSLOG_IDENTIFIER": "sshd", "_PID": "41", "_UID": "0"},
        {"MESSAGE": text % "root", "SYSLOG_IDENTIFIER": "sshd", "_PID": "42", "_UID": "1000"},
        {"MESSAGE": text % "toor", "SYSLOG_IDENTIFIER": "logger", "_PID": "43", "_UID": "0"},
    )

    sessions = [each for each in _gather(root).nodes if each.kind == "session"]

    assert [(each.facts["user"], each.facts["by"]) for each in sessions] == [("bob", ["journal"])]


def test_sessions_of_the_week_before_are_there_and_older_ones_are_not(root: Root) -> None:
    lines = [
        _line(_NOW - days * 86_400, f"sshd[{days}]: Accepted password for bob from 203.0.113.{days} port 5 ssh2")
        for days in (20, 6)
    ]
    root.write("/var/log/auth.log", "".join(lines))

    assert ids(_gather(root), "address:") == {"address:203.0.113.6"}


def test_what_is_read_is_all_of_the_time_once_and_the_most_important_first() -> None:
    week = 7 * 86_400.0
    windows = [(1.0, 2.0), (1_000_000.0, 1_000_100.0), (1_000_500.0, 1_000_600.0)]

    assert accounts.ranges(windows, 1_000_900.0) == [
        (1_000_500.0, 1_000_600.0),
        (1_000_000.0, 1_000_100.0),
        (1.0, 2.0),
        (1_000_600.0, 1_000_900.0),
        (1_000_100.0, 1_000_500.0),
        (1_000_500.0 - week, 1_000_000.0),
    ]


def test_sudo_near_in_time_is_an_event_of_both_accounts(root: Root) -> None:
    command = "bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/mysql --password=abcdefgh"
    root.write("/var/log/auth.log", _line(_NOW - 9_000, "sudo[9]: " + command) + _line(_NOW, "sudo[9]: " + command))

    (event,) = _gather(root).events

    assert event.text == "bob ran as root: /usr/bin/mysql --password=***"
    assert event.nodes == ("account:1000", "account:0", "file:/usr/bin/mysql")


def test_a_command_of_sudo_connects_its_files_with_the_session(root: Root) -> None:
    accepted = "sshd[5]: Accepted publickey for bob from 203.0.113.9 port 5 ssh2"
    # sudo 1.9.16 has no TTY where there is no terminal.
    command = "sudo[9]: bob : PWD=/tmp ; USER=root ; COMMAND=/usr/bin/install -m 644 x.so /usr/lib/x.so"
    enabled = "sudo[9]: bob : PWD=/tmp ; USER=root ; COMMAND=/usr/bin/systemctl enable --now x.timer"
    refused = "sudo[9]: bob : command not allowed ; PWD=/tmp ; USER=root ; COMMAND=/usr/bin/cp /etc/shadow /tmp/s"
    root.write("/var/log/auth.log", "".join(_line(_NOW, text) for text in (accepted, command, enabled, refused)))

    facts = _gather(root)

    links = [link for link in facts.links if link.relation == "mentions"]
    assert {(link.target, link.by) for link in links} == {
        ("file:/usr/lib/x.so", "sudo, auth log"),
        ("file:/etc/systemd/system/timers.target.wants/x.timer", "sudo, auth log"),
    }
    assert {link.source for link in links} <= {node.id for node in facts.nodes}
    assert not [event for event in facts.events if "shadow" in event.text]


def test_failed_sign_ins_are_counted(root: Root) -> None:
    line = _line(_NOW, "sshd[5]: Failed password for bob from 203.0.113.9 port 5 ssh2")
    root.write(
        "/var/log/auth.log", line * 500 + _line(_NOW, "sshd[5]: Accepted password for bob from 203.0.113.9 port 5")
    )

    facts = _gather(root)

    counts = {each.id: each.facts["failed_sign_ins"] for each in facts.nodes if "failed_sign_ins" in each.facts}
    assert counts == {"address:203.0.113.9": 500, "account:1000": 500}


def test_failed_sign_ins_of_btmp_are_counted_once_with_those_of_the_log(root: Root) -> None:
    form = utmp.layout()
    address = ipaddress.ip_address("203.0.113.9").packed + bytes(12)
    record = form.pack(6, 43, b"ssh:notty", b"", b"bob", b"203.0.113.9", 0, 0, 0, int(_NOW), 0, address, b"")
    root.write("/var/log/btmp", record * 7)
    root.write("/var/log/auth.log", _line(_NOW, "sshd[5]: Failed password for bob from 203.0.113.9 port 5 ssh2") * 5)

    facts = _gather(root)

    counts = {each.id: each.facts["failed_sign_ins"] for each in facts.nodes if "failed_sign_ins" in each.facts}
    assert counts == {"address:203.0.113.9": 7, "account:1000": 7}


def test_the_last_sign_in_of_an_account_is_known(root: Root) -> None:
    form = utmp.lastlog_layout()
    root.write("/var/log/lastlog", bytes(1000 * form.size) + form.pack(1_796_000_000, b"pts/3", b"203.0.113.9"))

    facts = _gather(root, "account:1000", "account:0")

    assert node(facts, "account:1000").facts["last_sign_in"] == {
        "time": 1_796_000_000.0,
        "terminal": "pts/3",
        "source": "203.0.113.9",
    }
    assert "last_sign_in" not in node(facts, "account:0").facts


def test_an_account_is_described_without_its_hash(root: Root) -> None:
    facts = _gather(root, "account:1000", "account:0", "account:4711")

    bob = node(facts, "account:1000").facts
    assert (bob["name"], bob["groups"], bob["password"], bob["changed"]) == ("bob", ["sudo"], "set", 20001 * 86_400)
    assert node(facts, "account:0").facts["same_uid"] == ["toor"]
    assert node(facts, "account:4711").facts["unknown"]
    assert "hashhash" not in repr(facts)


def test_hostile_names_and_lines_are_shown_safely(root: Root) -> None:
    root.write(
        "/var/log/auth.log",
        _line(_NOW, "sshd[5]: Accepted password for bob\x1b[2J from 203.0.113.9 port 5 ssh2").encode()
        + b"\xff\xfe\x00Accepted \n"
        + _line(_NOW, "sshd[7]: Accepted password for \u00b2\u00b3 from 203.0.113.7 port 5 ssh2").encode()
        + _line(
            _NOW, "sshd[6]: Failed password for invalid user a from 1.2.3.4 port 1 from 203.0.113.8 port 5"
        ).encode(),
    )

    root.write("/run/systemd/sessions/1", "UID=\u00b2\nREALTIME=\u00b2\nLEADER=\u00b2\nUSER=\u00b2\n")

    facts = _gather(root)

    assert repr(facts).isprintable()
    assert "\\x1b" not in "".join(event.text for event in facts.events if "\x1b" in event.text)


def test_a_flood_of_sign_ins_is_cut(root: Root) -> None:
    lines = [
        _line(_NOW, f"sshd[{number}]: Accepted password for u{number} from 203.0.113.9 port 5 ssh2")
        for number in range(3_000)
    ]
    root.write("/var/log/auth.log", "".join(lines))
    bounded = budget()

    facts = accounts.gather(root.host(), wanted(_PROCESS), bounded)

    assert len(ids(facts, "session:")) == 2_000
    assert [cut[0] for cut in bounded.cuts] == ["events"]
