# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real dpkg installs, upgrades, removes and purges real packages on real hosts, and no scan finds anything in it.

Except for what an attacker does at the same time.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _debs, _scans
from tests.support import require
from tests.support.controllers import Controller

# What is made once for all of them is made in one worker.
pytestmark = pytest.mark.xdist_group("upgrades")

Packages = dict[str, list[pathlib.Path]]

# With alternatives, units, init scripts, cron files, triggers of other packages, compiled modules and libraries.
_UPGRADED = (
    "ca-certificates",
    "cron",
    "cron-daemon-common",
    "less",
    "libpopt0",
    "logrotate",
    "nano",
    "python3-six",
    "sensible-utils",
)
_NEEDED = ("openssl",)
# Nothing of these is on a host before the baseline, and no account comes with them.
_NEW = ("bash-completion", "libyaml-0-2", "rsync", "tree", "vim-common", "vim-tiny")
_REMOVED = ("logrotate", "libyaml-0-2", "bulwark-probe", "nano", "tree")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Return real packages: an older version of some, a newer one of these, and others."""
    require("fleet", "command:apt-get")
    directory = tmp_path_factory.mktemp("packages")
    return {
        "old": _debs.download("bookworm", directory / "old", _UPGRADED),
        "new": _debs.download("trixie", directory / "new", _UPGRADED),
        "others": _debs.download("trixie", directory / "others", (*_NEEDED, *_NEW)),
    }


@pytest.fixture
def scanner(fleet: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path) -> _scans.Scanner:
    return _scans.Scanner(controller("2.21"), fleet.inventory, tmp_path)


def test_packages_come_change_and_go(fleet: Fleet, scanner: _scans.Scanner, packages: Packages) -> None:
    (host,) = fleet.start("trixie")
    others = _debs.put(host, packages["others"])
    needed = [path for path in others if "/openssl_" in path]
    _debs.install(host, [*needed, *_debs.put(host, packages["old"]), _debs.build(host, "1")])
    newer = [*_debs.put(host, packages["new"]), _debs.build(host, "2")]
    scanner.scan()
    assert scanner.open() == {}
    known = _versions(host)

    _debs.install(host, [*newer, *(path for path in others if path not in needed)])
    now = _versions(host)
    changed = {name: version for name, version in now.items() if version != known.get(name)}
    assert set(changed) == {*_UPGRADED, *_NEW, "bulwark-probe"}
    assert host.run("readlink", "-f", "/usr/bin/probe") == "/usr/bin/probe-2"
    _check_that_packages_explain_it(scanner, host, changed)

    host.run("dpkg", "--remove", *_REMOVED[::2])
    host.run("dpkg", "--purge", *_REMOVED)
    removed = {name: now[name] for name in now.keys() - _versions(host).keys()}
    assert set(removed) == set(_REMOVED)
    _check_that_packages_explain_it(scanner, host, removed)


def test_a_trojan_that_arrives_with_an_upgrade_is_found(fleet: Fleet, scanner: _scans.Scanner) -> None:
    (host,) = fleet.start("trixie")
    _debs.install(host, [_debs.build(host, "1")])
    newer = _debs.build(host, "2")
    scanner.scan()

    _debs.install(host, [newer])
    host.shell(
        """
        echo >> /usr/bin/probe-2
        echo 'import os' >> /usr/lib/python3/dist-packages/bulwark_probe.py
        echo '* * * * * root true' >> /etc/cron.d/bulwark-probe
        echo '* * * * * root true' > /etc/cron.d/bulwark-probe-2
        echo true >> /etc/init.d/bulwark-probe
        ln -sfn /tmp/evil.service /etc/systemd/system/multi-user.target.wants/bulwark-probe-2.service
        ln -sfn /tmp/evil /etc/alternatives/probe
        ln -sfn /tmp/evil.so /usr/lib/bulwark-probe/libprobe.so
        chmod u+s /usr/bin/probe-2
        printf '\220\220' | dd of=/usr/bin/ls bs=1 seek=4096 conv=notrunc status=none
        echo 'PermitRootLogin yes' >> /etc/ssh/sshd_config
        """
    )
    scanner.scan()
    assert scanner.open() == {
        ("fim_package_mismatch", "/usr/bin/probe-2"): "critical",
        ("fim_package_mismatch", "/usr/lib/python3/dist-packages/bulwark_probe.py"): "critical",
        ("persistence_cron", "/etc/cron.d/bulwark-probe"): "high",
        ("persistence_cron", "/etc/cron.d/bulwark-probe-2"): "high",
        ("persistence_init_script", "/etc/init.d/bulwark-probe"): "high",
        ("persistence_systemd_unit", "/etc/systemd/system/multi-user.target.wants/bulwark-probe-2.service"): "high",
        ("fim_file_modified", "/etc/alternatives/probe"): "high",
        ("fim_file_modified", "/usr/lib/bulwark-probe/libprobe.so"): "high",
        ("fim_package_mismatch", "/usr/bin/ls"): "critical",
        ("sshd_configuration_changed", "/etc/ssh/sshd_config"): "high",
    }


def _check_that_packages_explain_it(scanner: _scans.Scanner, host: Host, packages: dict[str, str]) -> None:
    """Check that nothing is found, that the packages are named with their versions, and that the baseline moves on."""
    looked = scanner.module("file_integrity_info", host.name)
    assert (looked["findings"], looked["changes"]) == ([], [])
    named = {item["package"]: item["version"] for item in looked["explained"] if item["package"]}
    assert named == packages
    scanner.scan()
    assert scanner.findings() == []
    assert scanner.coverage()[host.name].status == "checked"
    after = scanner.module("file_integrity_info", host.name)
    assert (after["explained"], after["changes"], after["findings"]) == ([], [], [])


def _versions(host: Host) -> dict[str, str]:
    """Return the version of each installed package."""
    listed = host.run("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}|${Package}|${Version}\n")
    rows = [line.split("|") for line in listed.splitlines()]
    return {name: version for status, name, version in rows if status.strip() == "ii"}
