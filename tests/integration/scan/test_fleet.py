# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disposable fleet: hosts that Ansible reaches over real SSH, each with its Python, and fresh again when asked."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest

from tests.fleet import images, wire
from tests.fleet.fleet import Fleet
from tests.fleet.usage import Usage
from tests.support import require
from tests.support.controllers import Controller

# Waits for sshd's greeting, and prints the seconds that the connection and the greeting took.
_CONNECT = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 22)) as connection:
    assert connection.recv(4) == b"SSH-"
print(time.monotonic() - began)
"""


def _ansible(controller: Controller, fleet: Fleet, *arguments: str) -> str:
    command = [controller.program("ansible"), "--inventory", str(fleet.inventory), "all", "--one-line", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_modules_run_on_every_python(fleet: Fleet, controller: t.Callable[[str], Controller]) -> None:
    require("python:3.8")
    hosts = fleet.start(*images.PYTHONS)
    said = _ansible(controller("2.18"), fleet, "--become", "-m", "setup", "-a", "filter=ansible_python_version")
    for host in hosts:
        line = next(line for line in said.splitlines() if line.startswith(f"{host.name} "))
        assert f'"ansible_python_version": "{images.PYTHONS[host.kind]}.' in line


def test_a_host_is_fresh_again_and_known_by_the_same_key(
    fleet: Fleet, controller: t.Callable[[str], Controller]
) -> None:
    core = controller("2.21")
    (host,) = fleet.start("trixie")
    first = _ansible(core, fleet, "-m", "command", "-a", "cat /etc/ssh/ssh_host_ed25519_key.pub")
    host.write("/etc/left-behind", "by the first host\n")
    fleet.stop()
    (again,) = fleet.start("trixie")
    assert again.name == host.name
    assert again.run("test", "-e", "/etc/left-behind", check=False) == ""
    assert first == _ansible(core, fleet, "-m", "command", "-a", "cat /etc/ssh/ssh_host_ed25519_key.pub")


def test_a_host_with_another_key_is_refused(fleet: Fleet, controller: t.Callable[[str], Controller]) -> None:
    core = controller("2.21")
    (host,) = fleet.start("trixie")
    host.shell("rm /etc/ssh/ssh_host_ed25519_key; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key")
    host.run("pkill", "-HUP", "-o", "sshd")
    command = [core.program("ansible"), "-i", str(fleet.inventory), "all", "-m", "ping"]
    with pytest.raises(AssertionError):
        _ansible(core, fleet, "-m", "ping")
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "Host key verification failed" in said


def test_a_package_is_upgraded_with_apt(fleet: Fleet) -> None:
    (host,) = fleet.start("trixie")
    for version in ("1.0", "1.1"):
        control = (
            f"Package: bulwark-probe\nVersion: {version}\nArchitecture: all\nMaintainer: none\nDescription: probe\n"
        )
        host.shell("rm -rf /tmp/probe && mkdir -p /tmp/probe/DEBIAN /tmp/probe/usr/bin")
        host.write("/tmp/probe/DEBIAN/control", control)
        host.write("/tmp/probe/usr/bin/bulwark-probe", f"#!/bin/sh\necho {version}\n", mode=0o755)
        host.shell("dpkg-deb --build --root-owner-group /tmp/probe /tmp/probe.deb")
        host.run("apt-get", "install", "--yes", "/tmp/probe.deb")
        assert host.run("bulwark-probe") == version


@pytest.mark.requires("command:ip", "command:nsenter")
def test_a_line_to_the_hosts_delays_and_counts(fleet: Fleet) -> None:
    (host,) = fleet.start("trixie")
    with wire.join(fleet) as line:
        command = [*line.command, sys.executable, "-c", _CONNECT, host.address]
        assert float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) > 0
        carried = line.bytes
        assert carried > 400
        line.delay = 0.4
        # TCP's handshake is one round trip, what sshd says another half at least.
        assert float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) >= 0.6
        assert line.bytes >= carried * 1.5
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


def test_a_host_counts_what_its_processes_have_used(fleet: Fleet) -> None:
    one, other = fleet.start("trixie", "trixie")
    usage, beside = Usage(one), Usage(other)
    used, before = usage.seconds(), beside.seconds()
    (process,) = usage.processes().values()
    assert process.startswith("sshd")
    one.run("python3", "-c", "import time\nwhile time.process_time() < 0.5: pass")
    # The engine has used some of it before it put the process into the host's group.
    assert usage.seconds() - used >= 0.4
    assert beside.seconds() - before < 0.2
