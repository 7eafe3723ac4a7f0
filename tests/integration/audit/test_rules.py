# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit rules deployed into the real kernel, compared, rolled back and removed; a real auditd takes the records."""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import apply, options
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink, rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups as content

from tests.support import audit
from tests.support.waiting import until

pytestmark = [pytest.mark.requires("root", "command:auditd", "command:augenrules"), pytest.mark.xdist_group("audit")]

FOREIGN = ["-a always,exit -F arch=b64 -S mkdir -F key=theirs", "-w /etc/hostname -p wa -k theirs"]


class Site:
    """The kernel with a daemon, and a directory in place of /etc/audit and of the state."""

    def __init__(self, directory: pathlib.Path, kernel: audit.Kernel) -> None:
        self.kernel = kernel
        self.configuration = directory / "etc" / "audit"
        self.configuration.mkdir(parents=True)
        self.file = self.configuration / "rules.d" / "70-bulwark.rules"
        self.state = directory / "state"

    def params(self, **changes: t.Any) -> dict[str, t.Any]:
        params = {name: fields.get("default") for name, fields in options.apply_spec().items()}
        chosen = [changes.pop(name, None) for name in ("groups", "extra_groups", "disabled_groups")]
        params["_groups"] = content.chosen_groups(*chosen)
        return {**params, "rules_file": str(self.file), "state_dir": str(self.state), **changes}

    def keep(self, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        return apply.apply(self.params(**changes), check)

    def compare(self, **changes: t.Any) -> dict[tuple[str, str], str | None]:
        """Return what a look at the host finds: alert and subject, with the severity where it isn't the catalogue's."""
        result = self.keep(check=True, **changes)
        assert [entry["status"] for entry in result["coverage"]] == ["checked"]
        return {(found["alert"], found["subject"]): found["severity"] for found in result["detections"]}


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel):
        kernel.add(*FOREIGN)
        yield Site(tmp_path, kernel)


def test_rules_are_deployed_once_and_removed_with_all_that_came_with_them(site: Site) -> None:
    before = site.kernel.status()
    deployed = site.keep()
    assert deployed["changed"]
    assert deployed["rules_count"] == len(deployed["added"]) > 200
    assert len(site.kernel.rules()) == deployed["rules_count"] + len(FOREIGN)
    status = site.kernel.status()
    assert (status["backlog_limit"], status["backlog_wait_time"], status["failure"]) == (16384, 0, 1)
    assert site.compare() == {}

    again = site.keep()
    assert not again["changed"]
    assert (again["added"], again["removed"], again["foreign_count"]) == ([], [], 2)

    removed = site.keep(state="absent")
    assert removed["changed"]
    assert site.kernel.rules() == [
        "-a always,exit -F arch=b64 -S mkdir -F key=theirs",
        "-w /etc/hostname -p wa -k theirs",
    ]
    after = site.kernel.status()
    assert {name: after[name] for name in ("enabled", "failure", "backlog_limit", "backlog_wait_time")} == {
        name: before[name] for name in ("enabled", "failure", "backlog_limit", "backlog_wait_time")
    }
    assert not site.file.exists()
    assert not list((site.state / "audit").glob("*.json"))
    assert not site.keep(state="absent")["changed"]


def test_check_mode_shows_what_would_change_and_changes_nothing(site: Site) -> None:
    result = site.keep(check=True)
    assert result["changed"]
    assert "-F key=bulwark-exec" in result["diff"]["after"]
    assert result["diff"]["before"].splitlines() == ["backlog_limit 64", "backlog_wait_time 15000"]
    assert site.kernel.rules() == site.kernel.rules()[:2]
    assert not site.state.exists()
    assert not site.file.exists()
    assert site.compare() == {("audit_rules_not_deployed", "audit rules"): None}


def test_a_rule_that_the_kernel_refuses_leaves_everything_as_it_was(site: Site) -> None:
    wrong = "-a always,exit -F dir=/nowhere/at/all -F perm=wa -F key=mine"
    with pytest.raises(HostError, match=r"refused the rule '.*dir=/nowhere/at/all.*': No such file.*as it was"):
        site.keep(groups=["exec"], rules=["-a always,exit -F arch=b64 -S sync -F key=mine", wrong])
    assert len(site.kernel.rules()) == len(FOREIGN)
    assert not site.file.exists()
    assert site.compare() == {("audit_rules_not_deployed", "audit rules"): None}

    # Beside what is deployed already, too.
    site.keep(groups=["exec", "ssh"])
    rules, file = site.kernel.rules(), site.file.read_bytes()
    with pytest.raises(HostError, match="as it was"):
        site.keep(groups=["time"], rules=[wrong])
    assert sorted(site.kernel.rules()) == sorted(rules)
    assert site.file.read_bytes() == file
    assert site.compare(groups=["exec", "ssh"]) == {}


def test_a_file_that_cannot_be_written_leaves_everything_as_it_was(site: Site) -> None:
    site.file.mkdir(parents=True)
    with pytest.raises(HostError, match="cannot be written"):
        site.keep(groups=["exec"])
    assert len(site.kernel.rules()) == len(FOREIGN)
    assert not list(site.file.parent.glob(".*"))


def test_a_wrong_rule_of_the_user_is_named_before_anything_is_done(site: Site) -> None:
    with pytest.raises(UsageError, match=r"rules: rule '-a always,exit -S opn': there is no system call 'opn'"):
        site.keep(rules=["-a always,exit -S opn"])
    with pytest.raises(UsageError, match="quotes or control characters"):
        site.keep(rules=["-w /etc/it\\'s -p wa"])
    assert len(site.kernel.rules()) == len(FOREIGN)


def test_the_next_boot_loads_the_same_rules(site: Site) -> None:
    mine = [f"-a always,exit -F arch=b64 -F path=/etc/{name} -F perm=r -F key=mine" for name in ("one", "with\\ space")]
    site.keep(rules=mine)
    (site.file.parent / "10-theirs.rules").write_text("-D\n-b 77\n" + "\n".join(FOREIGN) + "\n")
    (site.configuration / "audit.rules").write_text("")
    deployed = _packed()
    site.kernel.clear()
    script = f"mount --bind '{site.configuration}' /etc/audit && augenrules --load"
    said = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert "error" not in said.stdout + said.stderr
    # auditctl says so of the old style, and ours is none of it.
    assert "slower" not in (said.stdout + said.stderr).replace("Old style watch rules are slower", "", 1)
    assert _packed() == deployed
    assert site.kernel.status()["backlog_limit"] == 16384
    assert site.compare(rules=mine) == {}
    assert not site.keep(rules=mine)["changed"]


def _packed() -> set[bytes]:
    with netlink.connected() as kernel:
        return {loaded.pack() for loaded in kernel.rules()}


def test_rules_that_vanish_are_an_alert_and_are_deployed_again(site: Site) -> None:
    assert site.compare() == {("audit_rules_not_deployed", "audit rules"): None}
    site.keep()
    site.kernel.clear()
    compared = site.compare()
    # A machine that is busy loses records while all rules are loaded, and says so.
    compared.pop(("audit_events_lost", "audit"), None)
    assert compared == {("audit_rules_missing", "audit rules"): None}
    result = site.keep(check=True)
    assert "of the" in result["detections"][0]["message"]
    assert len(result["detections"][0]["evidences"][0]["data"]["missing"]) == 21
    assert site.keep()["changed"]
    assert site.compare() == {}

    site.file.write_text("-D\n")
    assert site.compare() == {("audit_rules_missing", str(site.file)): None}
    assert site.keep()["changed"]
    assert site.compare() == {}


def test_a_directory_that_is_removed_takes_its_rule_along_and_is_no_attack(site: Site, tmp_path: pathlib.Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    rules = [f"-a always,exit -F dir={watched} -F perm=wa -F key=mine"]
    site.keep(groups=["exec"], rules=rules)
    watched.rmdir()
    until(lambda: len(site.kernel.rules()) == len(FOREIGN) + 2)
    watched.mkdir()
    assert site.compare(groups=["exec"], rules=rules) == {("audit_rules_missing", "audit rules"): "low"}


def test_other_options_are_a_recommendation(site: Site) -> None:
    site.keep(groups=["exec"])
    assert site.compare(groups=["exec", "ssh"]) == {("audit_rules_not_deployed", "audit rules"): "low"}
    changed = site.keep(groups=["exec", "ssh"])
    assert changed["added"]
    assert not changed["removed"]
    assert site.compare(groups=["exec", "ssh"]) == {}
    site.keep(groups=["ssh"])
    assert not [line for line in site.kernel.rules() if "bulwark-exec" in line]


def test_a_rule_of_somebody_else_that_is_wanted_stays_theirs(site: Site) -> None:
    site.kernel.add("-a always,exclude -F msgtype=CRYPTO_KEY_USER")
    result = site.keep(groups=["chatter", "exec"])
    assert result["foreign_count"] == 3
    assert not site.keep(groups=["chatter", "exec"])["changed"]
    site.keep(groups=["chatter", "exec"], state="absent")
    assert "-a always,exclude -F msgtype=CRYPTO_KEY_USER" in "\n".join(site.kernel.rules())


@pytest.mark.parametrize(
    ("line", "alert"),
    [
        ("-a never,task", "audit_switched_off"),
        ("-a always,exclude -F msgtype=EXECVE", "audit_rules_conflict"),
        ("-a never,exit -F arch=b64 -S execve", "audit_rules_conflict"),
        ("-a never,user", "audit_rules_conflict"),
        ("-a never,exit -F arch=b64 -S execve -F auid=4711", "audit_rules_conflict"),
        ("-a never,exit -F arch=b64 -F exe=/usr/bin/true", "audit_rules_conflict"),
        ("-a always,exclude -F uid=4711", "audit_rules_conflict"),
    ],
)
def test_a_rule_of_somebody_else_that_hides_events_is_named(site: Site, line: str, alert: str) -> None:
    site.kernel.add(line)
    result = site.keep(groups=["exec", "time"])
    assert [conflict["rule"] for conflict in result["conflicts"]] == [line]
    assert [name for name, subject in site.compare(groups=["exec", "time"]) if subject == line] == [alert]
    assert any(line in warning for warning in result["warnings"])
    assert len(site.kernel.rules()) == result["rules_count"] + len(FOREIGN) + 1


def test_a_narrow_exception_of_somebody_else_is_no_conflict(site: Site) -> None:
    site.kernel.add("-a never,exit -F arch=b64 -S adjtimex -F exe=/usr/bin/true", "-a always,exclude -F msgtype=BPF")
    assert site.keep(groups=["exec", "time"])["conflicts"] == []


def test_a_rule_that_hides_events_under_a_key_of_ours_is_named(site: Site) -> None:
    site.keep(groups=["exec"])
    line = "-a never,exit -F arch=b64 -S execve -F auid=4711 -F key=bulwark-exec"
    site.kernel.add(line)
    assert [subject for name, subject in site.compare(groups=["exec"]) if name == "audit_rules_conflict"] == [line]
    site.keep(groups=["exec"])
    assert "audit_rules_conflict" not in {name for name, _subject in site.compare(groups=["exec"])}


def test_auditing_that_is_switched_off_is_an_alert(site: Site) -> None:
    site.keep(groups=["exec"])
    site.kernel.control("-e", "0")
    assert site.compare(groups=["exec"]) == {("audit_switched_off", "kernel"): None}
    assert site.keep(groups=["exec"])["changed"]
    assert site.compare(groups=["exec"]) == {}


def test_a_daemon_that_hangs_holds_nobody_up_and_what_is_lost_is_said(tmp_path: pathlib.Path) -> None:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel) as daemon:
        site = Site(tmp_path, kernel)
        site.keep(groups=["exec"], backlog_limit=64)
        assert kernel.status()["backlog_limit"] == 64
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            loop = "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done"
            subprocess.run(["sh", "-c", loop], check=True)
            # By itself the kernel lets each wait for up to a minute (backlog_wait_time 15000).
            assert time.monotonic() - began < 30
            status = kernel.status()
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert status["lost"] > 0
        assert status["backlog_wait_time"] == 0
        assert site.compare(groups=["exec"], backlog_limit=64) == {("audit_events_lost", "audit"): None}
        # 64 records are too few for what else runs beside this test, whose loss would be said with reason.
        site.keep(groups=["exec"], backlog_limit=8192)
        kernel.control("--reset-lost")
        assert site.compare(groups=["exec"], backlog_limit=8192) == {}


def test_without_a_daemon_nothing_is_loaded_unless_asked_for(tmp_path: pathlib.Path) -> None:
    with audit.locked() as kernel:
        site = Site(tmp_path, kernel)
        with pytest.raises(HostError, match="No audit daemon"):
            site.keep(groups=["time"])
        assert kernel.rules() == []
        site.keep(groups=["time"], require_daemon=False)
        assert kernel.rules()
        assert site.compare(groups=["time"]) == {("audit_switched_off", "audit daemon"): None}
        site.keep(state="absent")


class Immutable:
    """What a kernel with immutable rules says; only a reboot would make this one mutable again."""

    def __init__(self, kernel: netlink.Kernel) -> None:
        self._kernel = kernel

    def status(self) -> netlink.Status:
        status = self._kernel.status()
        return netlink.Status(**{**vars(status), "enabled": 2})

    def rules(self) -> list[rule.Rule]:
        return self._kernel.rules()

    def add(self, _rule: rule.Rule) -> None:
        raise netlink.KernelError(errno.EPERM)

    delete = add

    def set(self, _name: str, _value: int) -> None:
        raise netlink.KernelError(errno.EPERM)


def test_immutable_rules_are_written_for_the_next_boot(site: Site) -> None:
    site.keep(groups=["exec"])
    params = site.params(groups=["exec", "ssh"])
    loaded = site.kernel.rules()
    directory = apply.StateDirectory.open(str(site.state), "audit", create=True)
    assert directory is not None
    with netlink.connected() as kernel:
        immutable = t.cast("netlink.Kernel", Immutable(kernel))
        result = apply._deploy(params, immutable, directory, False)
        assert (result["changed"], result["reboot_required"]) == (True, True)
        assert any("immutable" in warning for warning in result["warnings"])
        assert {found["alert"] for found in result["detections"]} == {"audit_rules_not_deployed"}
        assert site.kernel.rules() == loaded
        assert b"bulwark-ssh" in site.file.read_bytes()
        again = apply._deploy(params, immutable, directory, False)
        assert (again["changed"], again["reboot_required"]) == (False, True)
    directory.close()
    # The host is booted, and its file loaded.
    site.keep(groups=["exec", "ssh"])
    assert site.compare(groups=["exec", "ssh"]) == {}


class _CutOff(BaseException):
    """The end of the process."""


def test_a_deployment_that_is_cut_off_is_completed_by_the_next(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.keep(groups=["time"])
    add = netlink.Kernel.add
    left = iter(range(5))

    def add_some(self: netlink.Kernel, new: rule.Rule) -> None:
        if next(left, None) is None:
            raise _CutOff
        add(self, new)

    with monkeypatch.context() as patched:
        patched.setattr(netlink.Kernel, "add", add_some)
        with pytest.raises(_CutOff):
            site.keep(groups=["exec", "ssh", "time", "chatter"])
    assert site.compare(groups=["time"]) == {("audit_rules_not_deployed", "audit rules"): "low"}
    site.keep(groups=["exec", "ssh", "time", "chatter"])
    assert site.compare(groups=["exec", "ssh", "time", "chatter"]) == {}
    assert site.keep(state="absent")["changed"]
    assert len(site.kernel.rules()) == len(FOREIGN)


def test_a_path_that_vanishes_while_rules_are_loaded_is_left_out(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    group = [
        {"name": "mine", "rules": ["-a always,exit -S sync", f"-a always,exit -F dir={tmp_path}/there -F perm=wa"]}
    ]
    monkeypatch.setattr(content, "chosen_groups", lambda *_names: group)
    add = netlink.Kernel.add

    def add_after_that(self: netlink.Kernel, new: rule.Rule) -> None:
        if (tmp_path / "there").exists():
            (tmp_path / "there").rmdir()
        add(self, new)

    monkeypatch.setattr(netlink.Kernel, "add", add_after_that)
    # What is left, and the name of what vanished, for both architectures.
    assert site.keep()["rules_count"] == 4
    assert len([line for line in site.kernel.rules() if line.endswith("key=bulwark-appearing")]) == 2
    assert site.compare() == {}


def test_a_note_that_is_damaged_is_said_so(site: Site) -> None:
    site.keep(groups=["exec"])
    (site.state / "audit" / "rules.json").write_text('{"version": 1')
    with pytest.raises(apply._state.StateError, match=r"rules\.json is damaged.*remove it and deploy again"):
        site.keep(groups=["exec"])


def test_a_note_that_is_gone_is_said_so(site: Site) -> None:
    site.keep(groups=["exec"])
    (site.state / "audit" / "rules.json").unlink()
    assert site.compare(groups=["exec"]) == {("audit_rules_not_deployed", "audit rules"): None}
    assert site.keep(groups=["exec"])["changed"]
    assert site.compare(groups=["exec"]) == {}


def test_what_automation_starts_has_a_key_of_its_own_and_quiet_programs_are_left_out(site: Site) -> None:
    result = site.keep(groups=["exec"], automation_users=["daemon", "nobody-there"], exclude_programs=["/usr/bin/true"])
    rules = site.kernel.rules()
    first = next(line for line in rules if "bulwark-exec" in line)
    assert rules.index(first) > rules.index(next(line for line in rules if "auid=1 -F key=bulwark-automation" in line))
    assert [line for line in rules if "never" in line and "exe=/usr/bin/true" in line]
    assert result["not_deployed"] == [{"subject": "nobody-there", "reason": "there is no such account"}]
