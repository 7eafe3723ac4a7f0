# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever blinds the audit system of a real kernel is seen by what the kernel recorded, whatever program it was."""

from __future__ import annotations

import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import content as selecting
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.missing import missing
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink, text, words
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups as content

from tests.content.audit import harness
from tests.support import audit, paths
from tests.support.waiting import until

pytestmark = [pytest.mark.requires("root", "command:auditd", "command:unshare"), pytest.mark.xdist_group("audit")]

MACHINE = words.native(platform.machine()) or "x86_64"
GROUPS = ["audit_configuration", "exec", "injection", "logs", "mounts", "signals"]
LOGIN_USER = 54_321
# A log that says who did what, and that hardly any host has.
LOG = pathlib.Path("/var/log/tallylog")
_AS_PERSON = f'echo {LOGIN_USER} > /proc/self/loginuid && exec "$@"'

# Somebody's own program that speaks to the kernel, and not auditctl.
_OWN = """
import sys
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink, text
with netlink.connected() as kernel:
    for step in sys.argv[2:]:
        word, _space, value = step.partition(" ")
        if word in ("add", "delete"):
            getattr(kernel, word)(text.parse(value, text.Host(sys.argv[1])))
        else:
            kernel.set(word, int(value))
"""
_EXCLUDE = "-a always,exclude -F msgtype=EXECVE"
_UNCHANGED = "-a always,exclude -F msgtype=CONFIG_CHANGE"
_NEVER = "-a never,exit -F arch=b64 -S execve -F auid=1234"


def _own(*steps: str) -> list[str]:
    return [sys.executable, "-c", _OWN, MACHINE, *steps]


def _auditctl(*arguments: str) -> list[str]:
    return ["auditctl", *arguments]


def _acts(pid: int, exec_rule: str, backlog: int) -> dict[str, tuple[list[str], str, str]]:
    """Return what is done, and the alert and the severity that it raises. Each takes back what it did."""
    stop = f"import ctypes, os; ctypes.CDLL(None).syscall({{}}); os.kill({pid}, {int(signal.SIGCONT)})"
    tgkill = {"x86_64": 234, "aarch64": 131}.get(platform.machine(), 0)
    high, medium = ("audit_disabled", "high"), ("audit_configuration_written", "medium")
    undone = ["-d", "always,exclude", "-F", "msgtype=EXECVE"]
    return {
        "a kind of record is dropped": (_own(f"add {_EXCLUDE}", f"delete {_EXCLUDE}"), *high),
        "changes are dropped first": (
            _own(f"add {_UNCHANGED}", "enabled 0", f"delete {_UNCHANGED}", "enabled 1"),
            "audit_system_reached",
            "low" if os.path.realpath(sys.executable).startswith("/usr/") else "medium",
        ),
        "the same with auditctl": (["sh", "-c", f"auditctl {_EXCLUDE}; auditctl {' '.join(undone)}"], *high),
        "an account is left out": (_own(f"add {_NEVER}"), *medium),
        "a rule is removed": (_own(f"delete {_NEVER}"), *high),
        "a rule of ours is removed for a moment": (_own(f"delete {exec_rule}", f"add {exec_rule}"), *high),
        "auditing is off for a moment": (_own("enabled 0", "enabled 1"), *high),
        "records are limited": (_own("rate_limit 1000000", "rate_limit 0"), *high),
        "no room for records": (_own("backlog_limit 50", f"backlog_limit {backlog}"), *high),
        "loss is silent": (_own("failure 0", "failure 1"), *high),
        "SIGSTOP": (["sh", "-c", f"kill -STOP {pid}; kill -CONT {pid}"], *high),
        "SIGSTOP to a thread": (
            [sys.executable, "-c", stop.format(f"{tgkill}, {pid}, {pid}, {int(signal.SIGSTOP)}")],
            *high,
        ),
        "SIGHUP": (["sh", "-c", f"kill -HUP {pid}"], *medium),
        "a log is emptied": (["truncate", "-s", "0", str(LOG)], "log_edited", "high"),
        "a process is hidden": (
            ["unshare", "--mount", "sh", "-c", "mount --bind / /proc/$PPID"],
            "rootkit_suspected",
            "high",
        ),
        "other rules are shown to the daemon": (
            ["unshare", "--mount", "sh", "-c", "mount --bind / /etc/audit"],
            "watched_place_changed_indirectly",
            "medium",
        ),
    }


def _as_person(command: t.Sequence[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    subprocess.run(["sh", "-c", _AS_PERSON, "sh", *command], env=environment, check=True)


def _raised(log: str) -> set[tuple[str, str]]:
    reader = Reader(harness.rules().payload, {})
    reader.read(log.encode("utf-8", "surrogateescape"))
    reader.finish(time.time() + 600)
    return {(one["alert"], one["severity"]) for one in reader.tally.detections(1000)[0]}


def _load(kernel: netlink.Kernel) -> str:
    """Load the rules of the groups as protect does; return the one for programs that are started."""
    groups = [(group["name"], group["rules"]) for group in content.chosen_groups(GROUPS, None, None)]
    selection = selecting.select(selecting.Wish(groups, [], [], []), text.Host(MACHINE), True)
    for rule in selection.rules:
        kernel.add(rule)
    native = [rule for rule in selection.rules if "bulwark-exec" in rule.keys]
    return text.show(native[0], MACHINE)


def test_whoever_blinds_the_audit_system_is_seen(tmp_path: pathlib.Path) -> None:
    existed = LOG.exists()
    LOG.touch()
    try:
        with audit.locked() as system, netlink.connected() as kernel:
            kernel.set("backlog_limit", 16_384)
            with audit.daemon(tmp_path, system) as daemon:
                acts = _acts(daemon.pid, _load(kernel), 16_384)
                missed = {}
                for name, (command, alert, severity) in acts.items():
                    daemon.settle()
                    begin = len(daemon.text())
                    _as_person(command)
                    if name == "SIGHUP":
                        # The daemon reads its configuration when it gets to it.
                        until(lambda: "type=DAEMON_CONFIG" in daemon.text()[begin:])  # noqa: B023 - runs at once
                    daemon.settle()
                    raised = _raised(daemon.text()[begin:])
                    if (alert, severity) not in raised:
                        missed[name] = raised
                assert missed == {}
    finally:
        if not existed:
            LOG.unlink()


def test_a_daemon_that_was_killed_is_no_restart(tmp_path: pathlib.Path) -> None:
    """SIGKILL from a service leaves no record of the signal: what is missing since is an alert."""
    with audit.locked() as system, netlink.connected() as kernel:
        kernel.set("backlog_limit", 16_384)
        _load(kernel)
        with audit.daemon(tmp_path, system) as daemon:
            daemon.settle()
            os.kill(daemon.pid, signal.SIGKILL)
            for _round in range(20):
                subprocess.run(["/bin/true"], check=True)
        with audit.daemon(tmp_path, system) as daemon:
            subprocess.run(["/bin/true"], check=True)
            daemon.settle()
            log = daemon.text()
    reader = Reader(harness.rules().payload, {})
    reader.read(log.encode("utf-8", "surrogateescape"))
    reader.finish(time.time() + 600)
    lost = reader.hosts.own.joiner.serials.lost
    assert missing(lost, reader.events, None).events > 0, lost
