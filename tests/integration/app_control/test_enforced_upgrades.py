# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages change on a host that enforces: they install to the end, and run afterwards what the allowlist has."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.integration.app_control._enforced_host import EnforcedHost
from tests.integration.app_control._local_packages import Package, Repository, build
from tests.support import enforcing_host, waiting

pytestmark = [pytest.mark.requires(*enforcing_host.NEEDS, "command:gpg"), pytest.mark.xdist_group("enforced_upgrades")]

LISTED, UNLISTED = "local-service", "stranger"
UNATTENDED = 'Unattended-Upgrade::Origins-Pattern { "origin=local"; };\n'
KILL = "#!/bin/sh\nset -e\n[ -e /root/killed ] || { touch /root/killed; kill %s; exit 1; }\n/usr/bin/stranger\n"
FILL = """
cp -a /etc/fapolicyd /root/files
mount -t tmpfs -o size=1m none /etc/fapolicyd
cp -a /root/files/. /etc/fapolicyd
dd if=/dev/zero of=/etc/fapolicyd/full 2> /dev/null || true
"""
TRIAL = """
systemd-run --quiet --wait --setenv=PYTHONPATH=/root/collection python3 -c '
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import steps, trial
trial.%s'
"""
RUNS = "#!/bin/sh\nset -e\n/usr/bin/stranger\n"


def stranger(version: int = 1, **scripts: str) -> Package:
    """Return a package that no allowlist has, which runs its program after it is unpacked and before it is removed."""
    scripts = {"postinst": RUNS, "prerm": RUNS, "preinst": "#!/bin/sh\nid > /dev/null\n", **scripts}
    return Package(UNLISTED, str(version), scripts, {"usr/bin/stranger": f"#!/bin/sh\n# version {version}\n"})


class Host(EnforcedHost):
    """A host with a repository and packages that a test makes."""

    def __init__(self, host: enforcing_host.Host, directory: pathlib.Path) -> None:
        super().__init__(host, [LISTED])
        self._directory = directory / "built"
        self._directory.mkdir()
        (directory / "repository").mkdir()
        host.path("/etc/apt/sources.list").write_text("")
        self.repository = Repository(host.path("/"), directory / "repository")

    def build(self, package: Package) -> str:
        """Build a package there and return its path."""
        (self._directory / package.name).mkdir(parents=True, exist_ok=True)
        built = build(package, self._directory / package.name, self.host.path("/root"))
        return f"/root/{built.name}"

    def apt(self, *arguments: str, check: bool = True) -> str:
        """Run apt-get and return all that it writes."""
        command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q", *arguments]
        result = self.host.run(command, check=check, seconds=120)
        return result.stdout + result.stderr

    def state(self, package: str = UNLISTED) -> str:
        """Return what dpkg says of a package, such as "installed"; nothing where it does not know it."""
        command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
        return self.host.run(command, check=False).stdout


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    directory = tmp_path_factory.mktemp("enforced-upgrades")
    with enforcing_host.booted(directory / "host") as booted:
        yield Host(booted, directory)


@pytest.fixture(autouse=True)
def _as_before(host: Host) -> t.Iterator[None]:
    yield
    if host.state():
        host.host.run("dpkg --purge stranger")
    assert host.pending() is None
    assert host.is_enforcing()
    assert "sha256hash" not in host.host.path("/etc/fapolicyd/compiled.rules").read_text()


def test_upgrade_of_a_listed_package_and_a_new_kernel(host: Host) -> None:
    host.apt("update")
    host.apt("install", LISTED)
    assert host.runs("/usr/bin/local-service")
    host.repository.update()
    host.host.path("/etc/apt/apt.conf.d/99local").write_text(UNATTENDED)
    host.apt("update")
    host.host.run("unattended-upgrade", seconds=120)
    assert host.host.run("local-service; dpkg-query -W local-service").stdout.split() == [LISTED, "2"]
    # mkinitramfs copies programs that are trusted, and runs some of them.
    host.apt("install", "linux-image-6.99-local")
    assert host.state("linux-image-6.99-local") == "installed"
    assert host.host.path("/boot/initrd.img-6.99-local").exists()
    host.apt("install", "--allow-downgrades", "/srv/repository/local-service_1_all.deb")
    assert host.runs("/usr/bin/local-service")


def test_package_that_is_not_on_the_list(host: Host) -> None:
    host.apt("install", host.build(stranger()))
    assert host.state() == "installed"
    assert not host.runs("/usr/bin/stranger")
    # Scripts of the old version and of the new one run it.
    host.apt("install", host.build(stranger(2)))
    assert not host.runs("/usr/bin/stranger")
    host.apt("purge", UNLISTED)
    assert host.state() == ""


def test_dpkg_alone(host: Host) -> None:
    path = host.build(stranger())
    host.host.run(f"cd /root; dpkg -i {pathlib.PurePath(path).name}")
    assert host.state() == "installed"
    assert not host.runs("/usr/bin/stranger")
    host.host.run("dpkg --purge stranger")
    assert host.state() == ""


def test_upgrade_that_was_killed_goes_on_after_a_boot(host: Host) -> None:
    path = host.build(stranger(postinst=KILL % "-9 $(cut -d' ' -f4 /proc/$PPID/stat) $PPID"))
    host.host.run("rm -f /root/killed")
    host.apt("install", path, check=False)
    assert host.state() == "half-configured"
    host.host.reboot()
    waiting.until(host.is_enforcing, "the canary runs")
    assert host.pending() is not None
    host.host.run("dpkg --configure -a")
    assert host.state() == "installed"
    assert not host.runs("/usr/bin/stranger")


def test_script_that_fails_once(host: Host) -> None:
    path = host.build(stranger(postinst=KILL % "-l > /dev/null"))
    host.host.run("rm -f /root/killed")
    output = host.apt("install", path, check=False)
    assert "bulwark.servers: what packages brought stays allowed for now: dpkg is not done with stranger" in output
    pending = host.pending()
    assert pending is not None
    assert "stranger" in pending["problem"]
    assert host.runs("/usr/bin/stranger")
    host.apt("-f", "install")
    assert host.state() == "installed"
    assert not host.runs("/usr/bin/stranger")


@pytest.mark.parametrize(
    ("harm", "cure", "sentence"),
    [
        (
            FILL,
            "umount /etc/fapolicyd; rm -r /root/files",
            "the rules for the upgrade can't be written",
        ),
        (
            "mv /run/fapolicyd/fapolicyd.fifo /run/fapolicyd/other; mkfifo /run/fapolicyd/fapolicyd.fifo",
            "systemctl restart fapolicyd",
            "the rules for the upgrade can't be written",
        ),
        (
            TRIAL % 'start(steps.Plan("fapolicyd", 600, ()))',
            TRIAL % 'withdraw("fapolicyd", trial.current("fapolicyd").token)',
            "a policy is on trial on this host",
        ),
    ],
    ids=["full disk", "daemon that does not answer", "trial"],
)
def test_apt_stops_before_it_unpacks(host: Host, harm: str, cure: str, sentence: str) -> None:
    path = host.build(stranger())
    host.host.run(harm)
    try:
        output = host.apt("install", path, check=False)
    finally:
        host.host.run(cure)
    waiting.until(host.is_enforcing, "the canary runs")
    assert f"bulwark.servers: no package was changed: {sentence}" in output
    assert host.state() == ""
    assert not host.host.path("/etc/fapolicyd/rules.d/00-bulwark-upgrade.rules").exists()


def test_packages_change_while_the_daemon_is_stopped(host: Host) -> None:
    host.host.run("systemctl stop fapolicyd")
    try:
        host.apt("install", host.build(stranger()))
        assert host.pending() is None
    finally:
        host.host.run("systemctl start fapolicyd")
    waiting.until(host.is_enforcing, "the canary runs")
    assert host.state() == "installed"
    assert host.host.run("/usr/bin/stranger", check=False).returncode == 126
