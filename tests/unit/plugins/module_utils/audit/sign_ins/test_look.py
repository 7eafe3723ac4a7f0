# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's logs, run after run: each sign-in exactly once, whatever happens to the files in between."""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import os
import pathlib
import random
import shutil
import struct
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect, liveness
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import utmp


class Host:
    """The logs of a host, and the store's half of the checkpoint."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.log = directory / "auth.log"
        self.token: str | None = None
        self.number = 0
        self.time = time.time() - 7200
        self.places = Places(
            paths=[str(self.log)],
            audit_paths=[str(directory / "audit.log")],
            journal="never",
            # A local connection: what shows that the log is alive is in each of its lines.
            events=list,
            send=lambda: "sshd",
            written=bool,
            **{name: str(directory / name) for name in ("wtmp", "btmp", "lastlog", "wtmpdb", "lastlog2")},
        )

    def fail(self, times: int = 1, path: pathlib.Path | None = None) -> None:
        """Let sshd refuse passwords, each of another account."""
        with (path or self.log).open("a") as stream:
            for _time in range(times):
                stream.write(self.line())

    def line(self) -> str:
        self.number += 1
        self.time += 0.25
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.time))
        return (
            f"{stamp}+00:00 h sshd[{self.number % 30000 + 1}]: Failed password for invalid user u{self.number}"
            f" from 192.0.2.1 port {self.number % 60000 + 1} ssh2\n"
        )

    def look(self, record: bool = True, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """Look, and keep the token as the store does when the result is recorded."""
        params = {name: option.get("default") for name, option in collect_spec().items()}
        params.update(
            {"state_dir": str(self.directory / "state"), "priority": "normal", "_token": self.token, "_advance": True}
        )
        result = collect.collect({**params, **options}, check_mode, self.places)
        if record and "checkpoint" in result:
            self.token = result["checkpoint"]["token"]
        json.dumps(result)
        return result

    def failures(self, **options: t.Any) -> int:
        return int(self.look(**options)["sign_ins"]["failures"])

    def rotate(self, compress: t.Callable[[pathlib.Path, pathlib.Path], None] | None = None) -> None:
        """Do what logrotate does: the oldest is kept, too, so that nothing is lost by it."""
        for number in range(9, 0, -1):
            for end in ("", ".gz", ".xz"):
                old = self.directory / f"auth.log.{number}{end}"
                if old.exists():
                    old.rename(self.directory / f"auth.log.{number + 1}{end}")
        rotated = self.directory / "auth.log.1"
        self.log.rename(rotated)
        if compress is not None:
            compress(rotated, self.directory / "auth.log.1.gz")

    def copytruncate(self) -> None:
        shutil.copy2(self.log, self.directory / "auth.log.1")
        os.truncate(self.log, 0)


def gz(source: pathlib.Path, target: pathlib.Path) -> None:
    with gzip.open(target, "wb") as stream:
        stream.write(source.read_bytes())
    shutil.copystat(source, target)
    source.unlink()


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_PATIENCE", 0.0)


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_new_lines_count_once(host: Host) -> None:
    host.fail(3)
    assert host.failures() == 3
    assert host.failures() == 0
    host.fail(2)
    assert host.failures() == 2


@pytest.mark.parametrize("compress", [None, gz])
def test_rotation_loses_and_doubles_nothing(host: Host, compress: t.Any) -> None:
    host.fail(3)
    assert host.failures() == 3
    host.fail(2)
    host.rotate(compress)
    host.fail(4)
    assert host.failures() == 6
    host.rotate(compress)
    host.rotate(compress) if host.log.exists() else host.fail(1)
    assert host.failures() == 1


def test_a_log_that_is_copied_and_emptied(host: Host) -> None:
    host.fail(3)
    assert host.failures() == 3
    host.fail(2)
    host.copytruncate()
    host.fail(9)
    assert host.failures() == 11


def test_a_line_that_is_only_half_there(host: Host) -> None:
    line = host.line()
    host.log.write_text(line[:50])
    assert host.failures() == 0
    with host.log.open("a") as stream:
        stream.write(line[50:])
    assert host.failures() == 1


def test_what_was_not_recorded_is_read_again(host: Host) -> None:
    host.fail(3)
    assert host.failures(record=False) == 3
    assert host.failures(record=False) == 3
    assert host.failures() == 3
    host.fail(1)
    assert host.failures(check_mode=True) == 1
    assert host.failures(_advance=False) == 1
    assert host.failures() == 1
    assert host.failures() == 0


def test_anything_in_any_order(host: Host) -> None:
    """Runs, some of which are cut off, writes and rotations: nothing is lost, and nothing is counted twice."""
    chance = random.Random(7)  # noqa: S311
    counted = 0
    for _step in range(150):
        choice = chance.random()
        if choice < 0.5:
            host.fail(chance.randrange(1, 5))
        elif choice < 0.75:
            counted += host.failures()
        elif choice < 0.85:
            host.failures(record=False)
        elif host.log.exists() and host.log.stat().st_size:
            # Old ones are kept for as long as nothing in them is new; logrotate removes them later than that.
            host.rotate(chance.choice([None, gz]))
            counted += host.failures()
    assert counted + host.failures() == host.number


def test_an_attempt_whose_lines_are_in_two_runs(host: Host) -> None:
    host.log.write_text("")
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now))
    with host.log.open("a") as stream:
        stream.write(f"{stamp} h sshd[7]: Invalid user bob from 192.0.2.1 port 5\n")
        stream.flush()
        assert host.failures() == 0
        stream.write(f"{stamp} h sshd[7]: Failed password for invalid user bob from 192.0.2.1 port 5 ssh2\n")
    assert host.failures() == 1
    assert host.failures() == 0


def test_a_log_that_was_changed_is_said_and_not_counted_again(host: Host) -> None:
    host.fail(30)
    assert host.failures() == 30
    lines = host.log.read_text().splitlines(keepends=True)
    host.log.write_text("".join(lines[:20] + lines[25:]))
    host.time += 5
    host.fail(1)
    result = host.look()
    assert result["sign_ins"]["failures"] == 1
    assert [(one["alert"], one["subject"]) for one in result["detections"]] == [
        ("sign_in_log_rewritten", str(host.log))
    ]
    assert result["coverage"][0]["status"] == "partial"


def test_a_state_that_was_tampered_with(host: Host) -> None:
    host.fail(3)
    assert host.failures() == 3
    for entry in (host.directory / "state" / "checkpoints").iterdir():
        if entry.name != "lock":
            entry.write_bytes(b"x")
    result = host.look()
    assert result["sign_ins"]["failures"] == 3
    assert [one["alert"] for one in result["detections"]] == ["audit_state_tampered"]
    assert result["coverage"][0]["status"] == "partial"
    assert host.failures() == 0


def test_a_state_of_another_form_is_read_anew(host: Host) -> None:
    host.fail(3)
    saved = Checkpoint.load(str(host.directory / "state"), "sign_ins", None, advance=True).save(
        {"version": 1, "sources": {"texts": {str(host.log): {"positions": [{"x": 1}], "attempts": "?"}}}}
    )
    assert saved is not None
    host.token = saved["token"]
    result = host.look()
    assert result["sign_ins"]["failures"] == 3
    assert result["coverage"][0]["status"] == "partial"
    assert host.failures() == 0


def test_a_time_budget_that_is_used_up_goes_on_in_the_next_run(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with host.log.open("w") as stream:
        for _number in range(900):  # more than what is read at once
            stream.write(host.line() + host.line().partition(" sshd")[0] + " kernel: " + "x" * 10_000 + "\n")
    lines = host.log.read_text().count("Failed password")
    monkeypatch.setattr(collect.Deadline, "passed", lambda _self: True)
    first = host.look(time_budget=1)
    monkeypatch.undo()
    assert 0 < first["sign_ins"]["failures"] < lines
    assert first["coverage"][0]["status"] == "partial"
    assert first["sign_ins"]["failures"] + host.failures() == lines


def test_other_logs_of_the_same_count_once(host: Host) -> None:
    host.fail(1)
    moment = int(host.time)
    with (host.directory / "btmp").open("wb") as stream:
        for user, source in ((b"u1", b"192.0.2.1"), (b"other", b"192.0.2.2")):
            stream.write(utmp.layout().pack(6, 5, b"ssh:notty", b"", user, source, 0, 0, 0, moment, 0, b"\0" * 16, b""))
    (host.directory / "audit.log").write_text(
        f"type=USER_AUTH msg=audit({moment}.100:1): pid=2 uid=0 auid=4294967295 ses=4294967295 msg="
        "'op=PAM:authentication"
        ' grantors=? acct="u1" exe="/usr/sbin/sshd" hostname=192.0.2.1 addr=192.0.2.1 terminal=ssh res=failed'
        "'\n"
    )
    result = host.look()
    assert result["sign_ins"]["failures"] == 2
    assert sorted(one["user"] for one in result["sign_ins"]["users"]) == ["other", "u1"]
    assert host.failures() == 0


_RECORDS = """
USER_AUTH 7 4294967295 PAM:authentication "alice" /usr/sbin/sshd 192.0.2.1 ssh failed
USER_AUTH 7 4294967295 password "alice" /usr/sbin/sshd ? ssh failed
USER_LOGIN 7 4294967295 login "alice" /usr/sbin/sshd 192.0.2.1 ssh failed
USER_AUTH 8 4294967295 PAM:authentication 6120626F62 /usr/sbin/sshd 192.0.2.2 ssh failed
USER_START 9 1000 PAM:session_open "alice" /usr/sbin/sshd 192.0.2.1 ssh success
USER_LOGIN 9 1000 login "alice" /usr/sbin/sshd 192.0.2.1 ssh success
USER_AUTH 10 1000 PAM:authentication "root" /usr/bin/su ? pts/0 failed
USER_START 11 1000 PAM:session_open "root" /usr/bin/su ? pts/0 success
USER_START 12 0 PAM:session_open "root" /usr/sbin/cron ? cron success
"""


def record(number: int, text: str) -> str:
    kind, pid, auid, op, acct, exe, source, terminal, result = text.split()
    return (
        f"type={kind} msg=audit({int(time.time()) - 100 + number}.100:{number}): pid={pid} uid=0 auid={auid} ses=1"
        f" msg='op={op} acct={acct} exe=\"{exe}\" hostname={source} addr={source} terminal={terminal} res={result}'"
        '\x1dUID="root" AUID="alice"\n'
    )


def test_a_host_whose_only_log_is_the_audit_log(host: Host) -> None:
    records = [record(number, text) for number, text in enumerate(_RECORDS.strip().splitlines())]
    (host.directory / "audit.log").write_text("".join(records))
    result = host.look()
    figures = result["sign_ins"]
    assert (figures["failures"], figures["successes"]) == (3, 2)
    assert {one["user"] for one in figures["users"]} == {"alice", "a bob"}
    assert figures["services"] == {"sshd": {"failures": 2, "successes": 1}, "su": {"failures": 1, "successes": 1}}
    assert result["coverage"][0]["status"] == "checked"


@pytest.mark.parametrize("content", [None, b""])
def test_nothing_to_read_is_not_clean(host: Host, content: bytes | None) -> None:
    if content is not None:
        (host.directory / "wtmp").write_bytes(content)
        (host.directory / "btmp").write_bytes(content)
    coverage = host.look()["coverage"][0]
    assert coverage["status"] == "not_checked"
    assert "install rsyslog" in coverage["reason"]


def test_only_binary_logs_are_a_part(host: Host) -> None:
    (host.directory / "btmp").write_bytes(
        utmp.layout().pack(6, 5, b"ssh:notty", b"", b"root", b"192.0.2.1", 0, 0, 0, int(host.time), 0, b"\0" * 16, b"")
    )
    result = host.look()
    assert result["sign_ins"]["failures"] == 1
    assert result["coverage"][0]["status"] == "partial"


def test_a_log_that_is_no_file_is_said(host: Host) -> None:
    os.mkfifo(host.log)
    assert host.look()["coverage"][0]["status"] == "not_checked"
    host.log.unlink()
    host.log.symlink_to("/etc/passwd")
    coverage = host.look()["coverage"][0]
    assert coverage["status"] == "not_checked"
    assert "symbolic link" in coverage["skipped"][0]["reason"]
    assert coverage["reason"].startswith(
        f"the logs of sign-ins cannot be read; {host.log}: it is a symbolic link, which"
    )


def test_damaged_archives_are_said(host: Host) -> None:
    host.fail(2)
    (host.directory / "auth.log.2.gz").write_bytes(gzip.compress(b"x" * 100_000)[:50] + b"\xff" * 50)
    result = host.look()
    assert result["sign_ins"]["failures"] == 2
    assert result["coverage"][0]["skipped"][0]["subject"].endswith("auth.log.2.gz")


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x")[:10] + b"\xff" * 50], ids=["none", "damaged"])
def test_damaged_archives_of_binary_logs_are_said(host: Host, content: bytes) -> None:
    host.fail()
    (host.directory / "wtmp.1.gz").write_bytes(content)
    result = host.look()
    assert result["sign_ins"]["failures"] == 1
    (skipped,) = result["coverage"][0]["skipped"]
    assert skipped["subject"].endswith("wtmp.1.gz")
    assert skipped["reason"].endswith("its name ends in .gz, but it is not compressed or is damaged")


@pytest.mark.requires("root")
@pytest.mark.parametrize("name", ["auth.log", "audit.log", "btmp"])
def test_a_log_that_somebody_else_can_write_is_not_simply_believed(host: Host, name: str) -> None:
    host.fail()
    (host.directory / name).touch()
    assert host.look(record=False)["coverage"][0]["status"] == "checked"
    os.chown(host.directory / name, 65534, 65534)
    entry = host.look(record=False)["coverage"][0]
    assert entry["status"] == "partial"
    reason = "it can be written by nobody, who may have changed its content"
    assert entry["skipped"] == [{"subject": str(host.directory / name), "reason": reason}]


def test_hostile_lines(host: Host) -> None:
    stamp = time.strftime("%b %d %H:%M:%S", time.localtime(host.time)).encode()
    prefix = stamp + b" h sshd[5]: "
    lines = [
        prefix + b"Failed password for invalid user \xff\xfe\x1b[2J from 192.0.2.1 port 5 ssh2",
        prefix + b"A" * (8 << 20),
        prefix + b"Failed password for invalid user " + b"B" * (1 << 20) + b" from 9.9.9.9 port 5 ssh2",
        b"\0" * 1000,
        b"<999999>x",
        stamp + b" h sshd[99999999999999999999]: Failed password for root from 192.0.2.1 port 5 ssh2",
    ]
    host.log.write_bytes(b"\n".join(lines) + b"\n")
    result = host.look()
    assert [one["source"] for one in result["sign_ins"]["sources"]] == ["192.0.2.1"]
    assert "\\xff\\xfe\\x1b[2J" in [one["user"] for one in result["sign_ins"]["users"]]


def test_a_clock_that_was_wrong_is_not_believed(host: Host) -> None:
    host.log.write_text("9999-01-01T00:00:00+00:00 h sshd[5]: Failed password for root from 192.0.2.1 port 5 ssh2\n")
    assert host.look()["sign_ins"]["users"][0]["last"] < "9998"


def test_an_old_log_is_not_news(host: Host) -> None:
    host.time -= 90 * 86_400
    host.fail(5)
    host.time = time.time() - 3600
    host.fail(2)
    assert host.failures() == 2
    assert host.failures() == 0


@pytest.mark.parametrize("years", [-3, -30])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_clock_that_was_set_back_hides_nothing(host: Host, is_known: bool, years: int) -> None:
    host.time -= 90 * 86_400
    host.fail(5)
    host.time = time.time() - 3600
    host.fail(2)
    if is_known:
        assert host.failures() == 2
    host.time += years * 365 * 86_400
    host.fail(4)
    host.time = time.time() - 60
    host.fail(1)
    assert host.failures() == (5 if is_known else 7)
    assert host.failures() == 0


def test_lastlog_counts_what_no_other_log_has(host: Host) -> None:
    form = struct.Struct("=q32s256s" if utmp.layout().size == 400 else "=I32s256s")
    (host.directory / "lastlog").write_bytes(form.pack(int(time.time()) - 60, b"pts/1", b"192.0.2.7"))
    assert host.look()["sign_ins"]["successes"] == 1
    assert host.look()["sign_ins"]["successes"] == 0


def test_memory_is_bounded(host: Host) -> None:
    """As many accounts and sources as an attacker likes."""
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(host.log.open("w"))
        for number in range(30_000):
            stream.write(host.line().replace("192.0.2.1", f"2001:db8::{number >> 8:x}:{number & 255:x}"))
    result = host.look()
    assert result["sign_ins"]["failures"] == 30_000
    assert len(json.dumps(result)) < 200_000
    size = sum(entry.stat().st_size for entry in (host.directory / "state" / "checkpoints").iterdir())
    assert size < 2_000_000


def test_compressed_with_xz_is_said(host: Host) -> None:
    host.fail(2)
    archive = host.directory / "auth.log-20260101.xz"
    archive.write_bytes(lzma.compress(host.line().encode()))
    result = host.look()
    assert result["sign_ins"]["failures"] == 2
    assert [one["subject"] for one in result["coverage"][0]["skipped"]] == [str(archive)]
    # What is compressed later was read before.
    assert host.look()["coverage"][0]["status"] == "checked"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"audit_paths": ["/var/log/a", "audit.log"]}, "audit_paths: 'audit.log' is relative; give an absolute path"),
        ({"state_dir": "state"}, "state_dir: 'state' is relative"),
        ({"max_findings": 0}, "max_findings is 0; use 1 or more"),
        ({"time_budget": -1}, "time_budget is -1; use 0 or more"),
        ({"first_days": -3}, "first_days is -3; use 0 or more"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(host: Host, options: dict[str, t.Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        host.look(**options)
