# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole looks at real files and a log as the kernel writes it: learned, violated, approved; and what intruders try."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content, look, package_scripts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.options import look_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

from tests.integration._signed_repository import Key, Repository
from tests.integration.package_roots import Deb, DebianRoot

pytestmark = pytest.mark.requires("root", "command:dpkg")

LOADER = "/lib64/ld-linux-x86-64.so.2"


class Host:
    """Programs in a directory that only root can write to, a log of their executions, and looks at both."""

    def __init__(self, directory: pathlib.Path, own: pathlib.Path) -> None:
        self.log = directory / "audit.log"
        self.log.touch()
        self.bin = own
        self._state = directory / "state"
        self._token: str | None = None
        self._serial = 0
        self.result: dict[str, t.Any] = {}

    def program(self, name: str | bytes, text: bytes = b"\x7fELF") -> str:
        """Write a program; return its path."""
        path = os.path.join(os.fsencode(self.bin), os.fsencode(name))
        with open(path, "wb") as stream:
            stream.write(text)
        os.chmod(path, 0o755)  # noqa: S103 - a program
        return os.fsdecode(path)

    def run(self, path: str, script: str | None = None, delay: float = 1.0) -> None:
        """Write to the log that root executed a program, or a script of that interpreter."""
        self._serial += 1
        now = time.time() + delay
        stamp = f"msg=audit({now:.3f}:{self._serial}):"
        names = [script, path, LOADER] if script else [path, LOADER]
        arguments = [path, script] if script else [path]
        words = " ".join(f"a{place}={_quoted(word)}" for place, word in enumerate(arguments))
        call = "arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4"
        who = (
            f"ppid=1 pid={5000 + self._serial} auid=0 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 "
            f'ses=7 comm="x" exe={_quoted(path)} subj=unconfined key="bulwark-exec"'
        )
        records = [
            f"type=SYSCALL {stamp} {call} items={len(names)} {who}",
            f"type=EXECVE {stamp} argc={len(arguments)} {words}",
            f'type=CWD {stamp} cwd="/root"',
            *(f"type=PATH {stamp} item={item} {_item(name)}" for item, name in enumerate(names)),
            f"type=PROCTITLE {stamp} proctitle=78",
        ]
        with self.log.open("a") as stream:
            stream.write("".join(f"{record}\n" for record in records))

    def look(
        self, *rules: Rule, exemptions: t.Sequence[Exemption] = (), judge: bool = True, root: pathlib.Path | None = None
    ) -> list[dict[str, t.Any]]:
        """Look as a recorded run does; return the detections about programs of the test.

        root: whose packages vouch for scripts, this machine's when left out.
        """
        lists = [content.RuleList("web", "", rules)]
        params = {
            **{name: fields.get("default") for name, fields in look_spec().items()},
            "paths": [str(self.log)],
            "state_dir": str(self._state),
            "priority": "normal",
            "_advance": True,
            "_token": self._token,
            "_content": payload.packed(content.as_data(lists, exemptions)) if judge else None,
            "_root": str(root or ""),
        }
        self.result = look.look(params, False)
        self._token = self.result["checkpoint"]["token"]
        return [each for each in self.result["detections"] if each["subject"].startswith((str(self.bin), "/tmp/bw-"))]

    def alerts(self, *rules: Rule, **others: t.Any) -> list[tuple[str, str]]:
        return [(each["alert"], each["subject"]) for each in self.look(*rules, **others)]

    def directory_rule(self) -> Rule:
        return Rule("web", directory=str(self.bin))


def _item(name: str) -> str:
    status = os.stat(name)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    return (
        f"name={_quoted(name)} inode={status.st_ino} dev={device} mode=0100755 ouid=0 ogid=0 rdev=00:00 "
        "nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
    )


def _quoted(text: str) -> str:
    raw = os.fsencode(text)
    return raw.hex().upper() if any(byte < 0x21 or byte > 0x7E or byte == 0x22 for byte in raw) else f'"{text}"'


@pytest.fixture
def host(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/usr/local/lib") as own:
        pathlib.Path(own).chmod(0o755)
        yield Host(tmp_path, pathlib.Path(own))


def test_programs_are_learned_judged_and_approved(host: Host) -> None:
    tool = host.program("tool")
    host.run(tool)
    assert host.alerts(judge=False) == []
    assert [scope["scope"] for scope in host.result["coverage"]] == ["programs", "containers"]
    assert "No allowlist is for this host" in host.result["coverage"][0]["note"]
    (learned,) = [each for each in host.result["programs"] if each["path"] == tool]
    assert (learned["executions"], learned["verification"], learned["writers"]) == (1, "unpackaged", [])

    host.run(tool)
    (found,) = host.look()
    assert (found["alert"], found["subject"]) == ("app_unapproved_program", tool)
    assert found["evidences"][0]["actor"] == {"user": {"name": "root"}}
    assert host.result["program_host"]["roles"] == ["web"]
    # Nothing new: not a second time, and next to nothing to send.
    assert host.alerts() == []
    assert [each for each in host.result["programs"] if each["path"] == tool] == []

    host.run(tool)
    assert host.alerts(exemptions=[Exemption(tool, "Needed", "alice")]) == []
    assert host.result["ended"] == [
        {"alert": "app_unapproved_program", "subject": tool, "reason": "Allowed: exception by alice: Needed"}
    ]
    host.run(tool)
    assert host.alerts(exemptions=[Exemption(tool, "Needed", "alice", until=time.time() - 86_400)]) == [
        ("app_unapproved_program", tool)
    ]


def test_what_cannot_be_seen_counts_only_with_an_allowlist(host: Host) -> None:
    """A team that uses none loses no score."""

    def look(judge: bool) -> tuple[str, str, str]:
        """Look at a log that cannot be understood all; return the status, the reasons and the note."""
        with host.log.open("a") as stream:
            stream.write("type=SYSCALL of another form\n")
        host.run(tool)
        host.look(judge=judge)
        programs, containers = host.result["coverage"][:2]
        assert containers["status"] == "checked"
        reasons = "; ".join(f"{each['subject']}: {each['reason']}" for each in programs["skipped"])
        assert (programs["skipped_count"] == 0) == (reasons == "")
        return programs["status"], reasons, programs["note"]

    tool = host.program("tool")
    status, reasons, _note = look(judge=True)
    assert status == "partial"
    assert "audit log: 1 not understood" in reasons
    status, reasons, note = look(judge=False)
    assert (status, reasons) == ("checked", "")
    assert "Not learned from: audit log (1 not understood" in note


def test_host_without_a_log_is_checked_as_long_as_it_only_learns(host: Host) -> None:
    host.log.unlink()
    for judge, status in ((True, "partial"), (False, "checked")):
        host.look(judge=judge)
        assert host.result["coverage"][0]["status"] == status
    assert "Not learned from: executions (there is no audit log" in host.result["coverage"][0]["note"]


def test_directory_counts_as_long_as_only_root_can_write_there(host: Host) -> None:
    tool = host.program("tool")
    host.run(tool)
    assert host.alerts(host.directory_rule()) == []
    host.bin.chmod(0o777)
    host.run(tool)
    (found,) = host.look(host.directory_rule())
    assert found["subject"] == tool
    assert "everybody can write there" in found["message"]


def test_link_and_copy_of_an_allowed_program_elsewhere(host: Host) -> None:
    tool = host.program("tool")
    outside = pathlib.Path(tempfile.mkdtemp(prefix="bw-", dir="/tmp"))
    try:
        copied = shutil.copy("/usr/bin/true", outside / "renamed")
        shutil.copy(tool, outside / "tool")
        strange = outside / f"x\n{host.bin}"
        strange.mkdir(parents=True)
        lookalike = strange / "tool"
        shutil.copy(tool, lookalike)
        for path in (copied, outside / "tool", lookalike):
            host.run(str(path))
        packages = [Rule("web", package="coreutils", manager="dpkg", allow_unverified=True)]
        assert {subject for _alert, subject in host.alerts(host.directory_rule(), *packages)} == {
            str(copied),
            str(outside / "tool"),
            printable(os.fsencode(lookalike)),
        }
    finally:
        shutil.rmtree(outside)


def test_hard_link_to_an_allowed_program_is_another_program(host: Host) -> None:
    tool = host.program("tool")
    elsewhere = host.bin.parent / f"{host.bin.name}-link"
    os.link(tool, elsewhere)
    try:
        host.run(str(elsewhere))
        assert host.alerts(host.directory_rule()) == [("app_unapproved_program", str(elsewhere))]
    finally:
        elsewhere.unlink()


def test_content_that_a_digest_allows(host: Host) -> None:
    tool = host.program("tool")
    host.run(tool)
    host.look(judge=False)
    (learned,) = [each for each in host.result["programs"] if each["path"] == tool]
    rule = Rule("web", sha256=learned["sha256"], path=tool)
    host.run(tool)
    assert host.alerts(rule) == []
    host.program("tool", b"\x7fELF of an intruder")
    host.run(tool)
    assert host.alerts(rule) == [("app_changed_program", tool)]
    # Exchanged for the time of an execution: the file that is there was written after it.
    host.run(tool, delay=-60)
    host.program("tool")
    (found,) = host.look(rule)
    assert (found["alert"], found["severity"]) == ("app_changed_program", "low")
    # Gone before the look.
    host.run(host.program("dropper"))
    (host.bin / "dropper").unlink()
    assert host.alerts(rule, host.directory_rule()) == [("app_unapproved_program", str(host.bin / "dropper"))]


def test_script_has_an_alert_of_its_own(host: Host) -> None:
    script = host.program("job", b"#!/bin/sh\n")
    host.run("/usr/bin/dash", script=script)
    (found,) = host.look()
    assert (found["alert"], found["subject"]) == ("app_unapproved_script", script)
    assert found["evidences"][0]["process"]["path"] == "/usr/bin/dash"


@pytest.mark.requires("command:dpkg-deb", "command:gpg")
def test_maintainer_script_counts_as_far_as_something_vouches_for_it(host: Host, tmp_path: pathlib.Path) -> None:
    """A root intruder may put scripts there, and name them after packages."""
    name = f"bulwark-test-{os.getpid()}"
    path = f"{package_scripts.INFO}{name}.postinst"
    text = b"#!/bin/sh\nexit 0\n"
    debian = DebianRoot(tmp_path / "root")
    repository = Repository(debian, Key(tmp_path / "gnupg"))
    debian.install(repository.keyring())
    (archive,) = debian.install(Deb(name, scripts={"postinst": text}))
    with open(path, "wb") as stream:
        stream.write(text)
    try:
        host.run("/usr/bin/dash", script=path)
        host.look(root=debian.path)
        found = [each for each in host.result["detections"] if each["subject"] == path]
        assert [(each["alert"], each["severity"]) for each in found] == [("app_unapproved_script", "low")]
        assert [each["path"] for each in host.result["programs"] if each["path"] == path] == [path]

        repository.add(archive, keep=True)
        host.run("/usr/bin/dash", script=path)
        host.look(root=debian.path)
        assert [each for each in host.result["detections"] if each["subject"] == path] == []
        explained = {"by": f"{name} 1.0-1", "count": 1, "examples": [path]}
        assert explained in host.result["coverage"][0]["explained"]
        # No allowlist is about it.
        assert [each for each in host.result["programs"] if each["path"] == path] == []
    finally:
        os.unlink(path)


def test_tampering_with_the_memory_is_reported(host: Host) -> None:
    host.look()
    (saved,) = (host._state / "app_control").glob("app_control-*")
    saved.unlink()
    host.look()
    found = [each for each in host.result["detections"] if each["alert"] == "app_state_tampered"]
    assert [each["subject"] for each in found] == ["checkpoint of app_control"]


def test_content_that_is_none_is_an_error_of_usage(host: Host) -> None:
    params = {name: fields.get("default") for name, fields in look_spec().items()}
    for wrong in ("x", payload.packed({"lists": [{}], "exemptions": []})):
        with pytest.raises(UsageError, match=r"^(the option )?_content"):
            look.look({**params, "paths": [str(host.log)], "state_dir": str(host._state), "_content": wrong}, False)
