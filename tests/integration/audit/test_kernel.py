# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and settings over our own netlink, seen with auditctl's eyes, and the other way round."""

from __future__ import annotations

import errno
import pathlib
import platform
import subprocess
import sys

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink, text, words

from tests.support import audit, paths

pytestmark = [pytest.mark.requires("root", "command:auditctl"), pytest.mark.xdist_group("audit")]

MACHINE = words.native(platform.machine()) or "x86_64"
HOST = text.Host(MACHINE)
RULES = [
    "-a always,exit -F arch=b64 -S execve,execveat -F key=one",
    "-a never,exit -F arch=b32 -S adjtimex -F auid=unset -F exe=/usr/bin/true -F key=two",
    "-a always,exit -F path=/etc/passwd -F perm=wa -F key=three",
    "-a always,exit -F arch=b64 -S open,openat,437 -F dir=/etc/apt -F auid>=1000 -F auid!=unset -F key=four",
    "-a always,exit -F arch=b64 -S clone -F a0&0x7c020000 -F key=five",
    "-a always,exit -F arch=b64 -S connect -F saddr_fam=10 -F key=six",
    "-a always,exit -F arch=b64 -S openat -F exit=-13 -C auid!=obj_uid -F key=seven -F key=eight",
    "-a always,exclude -F msgtype=CRYPTO_KEY_USER",
    "-a always,exit -F path=/etc/with\\ space -F perm=r -F key=nine",
]


def test_a_rule_comes_back_from_the_kernel_as_it_was_sent() -> None:
    with audit.locked() as system, netlink.connected() as kernel:
        rules = [text.parse(line, HOST) for line in RULES]
        for rule in rules:
            kernel.add(rule)
        loaded = kernel.rules()
        assert sorted(loaded, key=lambda rule: rule.pack()) == sorted(rules, key=lambda rule: rule.pack())
        assert len(system.rules()) == len(RULES)
        with pytest.raises(netlink.KernelError) as raised:
            kernel.add(rules[0])
        assert raised.value.number == errno.EEXIST
        for rule in rules:
            kernel.delete(rule)
        assert kernel.rules() == []
        assert system.rules() == []


def test_auditctl_loads_the_lines_that_are_shown_as_the_same_rules(tmp_path: pathlib.Path) -> None:
    with audit.locked() as system, netlink.connected() as kernel:
        rules = [text.parse(line, HOST) for line in RULES]
        file = tmp_path / "rules"
        file.write_text("".join(f"{text.show(rule, MACHINE)}\n" for rule in rules))
        file.chmod(0o600)
        system.control("-R", str(file))
        assert sorted(kernel.rules(), key=lambda rule: rule.pack()) == sorted(rules, key=lambda rule: rule.pack())


def test_settings_are_those_that_auditctl_shows() -> None:
    with audit.locked() as system, netlink.connected() as kernel:
        kernel.set("backlog_limit", 1234)
        kernel.set("backlog_wait_time", 7)
        shown, status = system.status(), kernel.status()
        assert (shown["backlog_limit"], shown["backlog_wait_time"]) == (1234, 7)
        assert (status.backlog_limit, status.backlog_wait_time) == (1234, 7)
        assert (status.enabled, status.failure, status.pid) == (shown["enabled"], shown["failure"], shown["pid"])


def test_a_container_is_told_from_a_host_that_can_be_audited() -> None:
    # A user namespace is what makes a container to the audit system.
    script = "import sys; sys.path.insert(0, sys.argv[1])\n"
    script += "from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink\n"
    script += "with netlink.connected(): pass\n"
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", script, str(paths.COLLECTIONS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "this is a container" in answer.stderr, answer.stderr
