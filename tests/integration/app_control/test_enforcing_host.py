# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of the tests of enforcement boots, enforces, and survives what a daemon in its last state does to it."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t

import pytest

from tests.support import enforcing_host, waiting

# Together, as they share a host.
pytestmark = [pytest.mark.requires(*enforcing_host.NEEDS), pytest.mark.xdist_group("enforcing-host")]

# Everything that is there is trusted, and nothing that comes later.
TRUST_ALL = """
import hashlib, os, stat
with open("/etc/fapolicyd/trust.d/all.trust", "w") as trust:
    for top, _directories, names in os.walk("/usr"):
        for path in (os.path.join(top, name) for name in names):
            status = os.lstat(path)
            wanted = status.st_mode & 0o111 or ".so" in path or path.endswith(".py")
            if stat.S_ISREG(status.st_mode) and wanted and " " not in path:
                digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
                trust.write(f"{path} {status.st_size} {digest}\\n")
"""
RULES = "allow perm=any all : trust=1\ndeny_audit perm=execute all : all\nallow perm=open all : all\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[enforcing_host.Host]:
    with enforcing_host.booted(tmp_path_factory.mktemp("enforcing-host")) as booted:
        booted.run(["python3", "-c", TRUST_ALL])
        booted.path("/etc/fapolicyd/rules.d/10-test.rules").write_text(RULES)
        booted.run("cp /usr/bin/true /root/copy")
        yield booted


@pytest.fixture
def daemon(host: enforcing_host.Host) -> int:
    """Start the daemon, wait until it refuses the copy, and return its number on this machine."""
    host.run("systemctl restart fapolicyd")
    waiting.until(lambda: host.run("/root/copy", check=False).returncode == 126, "the copy runs")
    return host.outside(int(host.run("systemctl show --property=MainPID --value fapolicyd").stdout))


@pytest.mark.usefixtures("daemon")
def test_untrusted_program_is_refused_and_everything_else_works(host: enforcing_host.Host) -> None:
    assert host.ssh("sudo id -un", user="ansible").stdout == "root\n"
    assert host.ssh("./copy", check=False).returncode == 126


def test_killed_daemon_lets_go_of_what_waits_for_it(host: enforcing_host.Host, daemon: int) -> None:
    host.run("mkdir -p /run/systemd/system/fapolicyd.service.d")
    host.run("printf '[Service]\\nRestart=no\\n' >/run/systemd/system/fapolicyd.service.d/test.conf")
    host.run("systemctl daemon-reload")
    os.kill(daemon, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        host.run("true", seconds=1)
    os.kill(daemon, signal.SIGKILL)
    host.run("/root/copy")


def test_frozen_host_can_be_reached_from_outside_and_rebooted(host: enforcing_host.Host, daemon: int) -> None:
    os.kill(daemon, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        host.run("true", seconds=1)
    assert host.path("/root/copy").read_bytes(), "a frozen daemon keeps this machine from reading a file"
    host.reboot()
    assert host.run("systemctl is-active fapolicyd", check=False).stdout == "inactive\n"
    host.run("/root/copy")
