# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disposable fleet: hosts that Ansible reaches over real SSH, each with its Python, and fresh again when asked."""

from __future__ import annotations

import subprocess
import typing as t

import pytest

from tests.fleet import images
from tests.fleet.fleet import Fleet
from tests.support import require
from tests.support.controllers import Controller


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
