# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a learned allowlist to one that is enforced, and back, on a host by the playbooks that people run."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import watcher, watchers

from tests.support import enforcing_host, paths, waiting
from tests.support.controllers import Controller, controller

pytestmark = [pytest.mark.requires(*enforcing_host.NEEDS), pytest.mark.xdist_group("enforce")]

_DAYS = 4
# Not where the audit daemon writes: this machine's kernel has one for all, whose rules are another's.
_LOG = "/var/log/executions.log"
# Everything that belongs to fapolicyd, as an administrator sees it: owner, mode, time, content, attributes.
_LISTED = (
    "cd /etc/fapolicyd; find . -type f -printf '%p %m %U:%G %T@ ' -exec sha256sum {} + -exec getfattr -d -m - {} +"
)


class Desk:
    """The host as people run the playbooks for it. lists: the directory with the reviewed allowlists."""

    def __init__(self, ansible: Controller, host: enforcing_host.Host, directory: pathlib.Path) -> None:
        self._ansible, self.host, self._directory = ansible, host, directory
        self.lists = directory / "lists"

    def inventory(self, user: str, pipelining: bool) -> pathlib.Path:
        file = self._directory / f"{user}-{pipelining}.json"
        variables = {**self.host.variables(user), "ansible_pipelining": pipelining}
        file.write_text(json.dumps({"all": {"hosts": {"web": variables}}}))
        return file

    def play(
        self,
        name: str,
        *arguments: str,
        user: str = "root",
        pipelining: bool = True,
        works: bool = True,
        **variables: t.Any,
    ) -> str:
        """Run a playbook and return what it showed, on one line."""
        completed = self._ansible.run_playbook(
            f"bulwark.servers.{name}",
            *arguments,
            inventory=self.inventory(user, pipelining),
            extra_vars=self._given(user, **variables),
            environment={"ANSIBLE_NOCOLOR": "1"},
            check=False,
        )
        output = completed.stdout + completed.stderr
        assert (completed.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())

    def _given(self, user: str, **variables: t.Any) -> dict[str, t.Any]:
        return {
            "bulwark_become": user != "root",
            "bulwark_store": f"sqlite:///{self._directory}/store.db",
            "bulwark_capabilities": "app_control",
            "app_control_allowlists": str(self.lists) if self.lists.exists() else "",
            "app_control_log_paths": [_LOG],
            "app_control_file_systems": ["ext3"],
            "app_control_minimum_days": 0,
            "app_control_confirm_within": 60,
            "app_control_packages": ["bulwark-no-such-package"],
            **variables,
        }

    def protect(self, *arguments: str, mode: str = "enforce", **given: t.Any) -> str:
        return self.play("protect", *arguments, app_control_mode=mode, **given)

    def start_protect(self) -> subprocess.Popen[bytes]:
        """Start the playbook, which has nobody to show anything to."""
        command = [
            *(self._ansible.program("ansible-playbook"), "bulwark.servers.protect"),
            *("--inventory", str(self.inventory("root", pipelining=True))),
            *("--extra-vars", json.dumps(self._given("root", app_control_mode="enforce"))),
        ]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS)}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        return subprocess.Popen(command, env=environment, start_new_session=True, **streams)

    def scan(self, mode: str = "enforce", **given: t.Any) -> str:
        """Scan the host, and return what was shown; every look must have looked."""
        report = str(self._directory / "report.html")
        shown = self.play("scan", bulwark_report_path=report, app_control_mode=mode, **given)
        assert "crashed" not in shown, shown
        assert not re.search(r"(?i)application control (?:not checked|never)", shown), shown
        return shown

    def review(self) -> None:
        """Make reviewed allowlists of the drafts, as people do: all that is of packages is allowed."""
        self.lists.mkdir()
        for draft in (self._directory / "learned" / "app_control").glob("*.yml"):
            content = yaml.safe_load(draft.read_text())
            content["allow"] += [each["rule"] for each in content["review"] if "package" in each["rule"]]
            content["review"] = []
            (self.lists / draft.name).write_text(yaml.safe_dump(content))
        assert list(self.lists.iterdir())

    def learn(self) -> None:
        given = {"bulwark_learn_directory": str(self._directory / "learned"), "app_control_minimum_hosts": 1}
        self.play("learn", app_control_minimum_days=1, **given)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Desk]:
    directory = tmp_path_factory.mktemp("enforce")
    with enforcing_host.booted(directory / "host") as host:
        # What others have: rules, and trust with a mode and an attribute of its own.
        host.run("printf '# ours\\nallow perm=open all : path=/etc/motd\\n' >/etc/fapolicyd/rules.d/50-others.rules")
        host.run("chmod 0600 /etc/fapolicyd/trust.d/fapolicyd.trust")
        host.run("setfattr -n user.others -v kept /etc/fapolicyd/trust.d/fapolicyd.trust")
        host.run("cp /usr/bin/true /root/unknown")
        write_log(host)
        desk = Desk(controller("2.21"), host, directory)
        desk.scan(mode="audit")
        desk.learn()
        desk.review()
        yield desk


def write_log(host: enforcing_host.Host) -> None:
    """Write the log of some days to the host, on which a program was executed each hour, as its kernel would."""
    status = host.path("/usr/bin/id").stat()
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    who = 'ppid=1 pid=5000 auid=0 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=7 comm="id"'
    item = (
        f'item=0 name="/usr/bin/id" inode={status.st_ino} dev={device} mode=0100755 ouid=0 ogid=0 rdev=00:00 '
        "nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
    )
    lines = []
    for serial in range(1, 24 * _DAYS):
        stamp = f"msg=audit({time.time() - 3600 * (24 * _DAYS - serial):.3f}:{serial}):"
        call = "arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=1"
        lines += [
            f'type=SYSCALL {stamp} {call} {who} exe="/usr/bin/id" subj=unconfined key="bulwark-exec"',
            f'type=EXECVE {stamp} argc=1 a0="id"',
            f'type=CWD {stamp} cwd="/root"',
            f"type=PATH {stamp} {item}",
            f"type=PROCTITLE {stamp} proctitle=6964",
        ]
    host.path(_LOG).write_text("".join(f"{line}\n" for line in lines))


def runs(host: enforcing_host.Host, program: str = "/root/unknown") -> bool:
    completed = host.run(program, check=False)
    assert completed.returncode in (0, 126), completed
    return completed.returncode == 0


def started(host: enforcing_host.Host) -> str:
    return host.run("systemctl show --property=MainPID,ActiveState,UnitFileState fapolicyd").stdout


@contextlib.contextmanager
def ends_badly(host: enforcing_host.Host) -> t.Iterator[None]:
    """Have fapolicyd's unit fail whenever it is stopped, as it does now and then on a busy host."""
    directory = "/run/systemd/system/fapolicyd.service.d"
    host.run(f"mkdir -p {directory}; printf '[Service]\\nExecStop=/usr/bin/false\\n' >{directory}/ends-badly.conf")
    host.run("systemctl daemon-reload")
    try:
        yield
    finally:
        host.run(f"rm {directory}/ends-badly.conf; systemctl daemon-reload")


def test_host_that_is_booted_during_a_trial_has_what_it_had_before(desk: Desk) -> None:
    host = desk.host
    before, idle = host.run(_LISTED).stdout, started(host)
    with trial(desk):
        assert not runs(host)
        host.reboot()
    assert (host.run(_LISTED).stdout, started(host)) == (before, idle)
    assert runs(host)


def test_tried_enforced_and_taken_back(desk: Desk) -> None:
    host = desk.host
    before, idle = host.run(_LISTED).stdout, started(host)

    # Check mode says what would come, and starts and mounts nothing.
    shown = desk.protect("--check", "--diff", "-v")
    assert "An allowlist would be in force" in shown
    assert "+rules.d/00-bulwark.rules: deny_audit perm=execute" in shown
    assert (host.run(_LISTED).stdout, started(host)) == (before, idle)

    # A rehearsal decides, logs, and lets everything run.
    assert "in mode rehearse" in desk.protect(mode="rehearse")
    assert runs(host)
    assert "ActiveState=active" in started(host)

    # By root through a pipe, with services that restart.
    services = {"app_control_restart_services": ["ssh.service", "cron.service"], "app_control_watcher": True}
    assert "in mode enforce" in desk.protect(**services)
    assert not runs(host)

    # What is confirmed is in force after a boot, too. The same once more changes nothing, and comes in as files.
    host.reboot()
    waiting.until(lambda: not runs(host), "the canary runs after a boot")
    running = started(host)
    assert "changed=0" in desk.protect(**services, pipelining=False)
    assert host.run(f"systemctl is-active {watcher.UNIT}").stdout == "active\n"
    assert started(host) == running, "fapolicyd was restarted although nothing changed"

    assert os.getxattr(host.path("/etc/fapolicyd/trust.d/fapolicyd.trust"), "user.others") == b"kept"
    with ends_badly(host):
        assert "Taken back: No allowlist is enforced any more." in desk.protect(mode="audit")
    assert (host.run(_LISTED).stdout, started(host)) == (before, idle)
    assert runs(host)
    left = host.run("ls -a /etc /etc/apt/apt.conf.d /etc/dpkg/dpkg.cfg.d /etc/systemd/system").stdout
    assert "bulwark" not in left


def test_account_that_becomes_root_without_pipelining(desk: Desk) -> None:
    way = {"user": "ansible", "pipelining": False}
    assert "in mode enforce" in desk.protect(user="ansible", app_control_watcher=True)
    assert not runs(desk.host)
    # Another account deploys, and the first one still comes in, also from a controller that does not pipeline.
    assert "changed=0" in desk.protect(app_control_watcher=True)
    shown = desk.scan(**way)
    for finding in ("/usr/sbin/fapolicyd", watchers.PROGRAM):
        assert finding not in shown
    desk.protect(mode="audit", **way)
    assert runs(desk.host)


def test_check_mode_does_not_promise_a_package_that_nobody_has(desk: Desk) -> None:
    program, aside = desk.host.path("/usr/sbin/fapolicyd"), desk.host.path("/usr/sbin/fapolicyd-aside")
    program.rename(aside)
    try:
        shown = desk.protect("--check")
    finally:
        aside.rename(program)
    assert "fapolicyd is missing, and check mode can't tell that bulwark-no-such-package can be installed: " in shown
    assert "would be in force" not in shown


@contextlib.contextmanager
def trial(desk: Desk) -> t.Iterator[None]:
    """Have a policy on trial, while the controller that is to confirm it is gone."""
    host = desk.host
    program = desk.start_protect()
    try:
        waiting.until(lambda: host.run("mountpoint -q /etc/fapolicyd", check=False).returncode == 0, "no trial began")
    finally:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
    # Without a terminal, what runs on the host goes on.
    waiting.until(lambda: not runs(host), "nothing is on trial")
    yield
