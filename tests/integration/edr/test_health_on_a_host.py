# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoint protection of a real host: deployed by a role of the user, switched off, and attacked in its usual ways.

The product is a package with the names of Microsoft Defender's: a daemon that sleeps, and a command that prints what a
file holds. Defender itself is no package that CI could install.
"""

from __future__ import annotations

import json
import pathlib
import shlex
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _scans
from tests.support.controllers import Controller
from tests.unit.plugins.module_utils.edr import outputs

pytestmark = [pytest.mark.requires("root", "fleet"), pytest.mark.xdist_group("fleet")]

DEFENDER = "microsoft_defender"
DAEMON = "/opt/microsoft/mdatp/sbin/wdavdaemon"
HEALTH = "/etc/opt/microsoft/mdatp/health.json"
_BUILD = f"""
set -e
rm -rf /var/tmp/mdatp && mkdir -p /var/tmp/mdatp/DEBIAN /var/tmp/mdatp/usr/bin /var/tmp/mdatp/opt/microsoft/mdatp/sbin
cd /var/tmp/mdatp
printf 'Package: mdatp\\nVersion: 101.25072.0003\\nArchitecture: all\\n' > DEBIAN/control
printf 'Maintainer: T <t@example.org>\\nDescription: t\\n' >> DEBIAN/control
cp "$(readlink -f /usr/bin/sleep)" .{DAEMON}
printf '#!/bin/sh\\ncase "$1" in health) cat {HEALTH};; *) echo "No exclusions";; esac\\n' > usr/bin/mdatp
chmod 755 usr/bin/mdatp .{DAEMON}
md5sum usr/bin/mdatp opt/microsoft/mdatp/sbin/wdavdaemon > DEBIAN/md5sums
dpkg-deb --root-owner-group --build . /var/tmp/mdatp.deb > /dev/null
"""
START = f"{DAEMON} 9999 > /dev/null 2>&1 &"
STOP = "for exe in /proc/[0-9]*/exe; do case $(readlink $exe) in %s*) kill -9 $(echo $exe | cut -d/ -f3);; esac; done"


class Site:
    """A host, and a controller whose user has a role that deploys the product."""

    def __init__(self, host: Host, scanner: _scans.Scanner, directory: pathlib.Path) -> None:
        self.host, self.scanner, self.directory = host, scanner, directory
        self.roles = directory / "roles"
        tasks = self.roles / "deploy_mdatp" / "tasks"
        tasks.mkdir(parents=True)
        install = {"ansible.builtin.command": "dpkg -i /var/tmp/mdatp.deb", "changed_when": True}
        start = {"ansible.builtin.shell": f"{self.health()}; {START}", "changed_when": True}
        (tasks / "main.yml").write_text(json.dumps([install, start]))
        host.shell(_BUILD)

    @staticmethod
    def health(**changes: t.Any) -> str:
        """Return the script that makes the product report this."""
        return f"mkdir -p {pathlib.Path(HEALTH).parent}; echo {shlex.quote(outputs.mdatp(**changes))} > {HEALTH}"

    def protect(self) -> str:
        answer = self._play("bulwark.servers.protect", edr_deploy_role="deploy_mdatp")
        return " ".join(answer.split())

    def scan(self, **variables: t.Any) -> dict[tuple[str, str], str]:
        """Return what is open after a scan."""
        self._play("bulwark.servers.scan", **variables)
        return self.scanner.open()

    def looks(self, *scripts: str) -> list[dict[str, t.Any]]:
        """Run each script on the host and look after it, all in one job; return the results."""
        tasks: list[dict[str, t.Any]] = []
        for number, script in enumerate(scripts):
            tasks.append({"name": f"Do {number}", "ansible.builtin.shell": script, "changed_when": True})
            look = {"expected": [DEFENDER], "content_age": 0, "command_timeout": 2}
            tasks.append({"name": f"Look {number}", "bulwark.servers.edr_info": look, "register": f"look_{number}"})
        result = self.directory / "looks.json"
        content = "{{ [%s] | to_json }}" % ", ".join(f"look_{number}" for number in range(len(scripts)))
        keep = {"content": content, "dest": str(result)}
        tasks.append({"name": "Keep", "ansible.builtin.copy": keep, "delegate_to": "localhost", "become": False})
        play = {"name": "Looks", "hosts": self.host.name, "become": True, "gather_facts": False, "tasks": tasks}
        playbook = self.directory / "looks.yml"
        playbook.write_text(json.dumps([play]))
        self.scanner.play(playbook)
        kept: list[dict[str, t.Any]] = json.loads(result.read_text())
        return kept

    def _play(self, playbook: str, **variables: t.Any) -> str:
        given = {"bulwark_capabilities": "edr", "edr_expected": [DEFENDER], "edr_content_age": 0, **variables}
        environment = {"ANSIBLE_ROLES_PATH": str(self.roles)}
        return self.scanner.play(playbook, environment=environment, **given).stdout


def raised(result: dict[str, t.Any]) -> dict[tuple[str, str], str]:
    """Return the severities of a result's findings by alert and subject."""
    return {
        (finding["unmapped"]["alert"], finding["unmapped"]["subject"]): finding["severity"].lower()
        for finding in result["findings"]
    }


@pytest.fixture
def site(fleet: Fleet, tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]) -> Site:
    (host,) = fleet.start("trixie")
    return Site(host, _scans.Scanner(controller("2.21"), fleet.inventory, tmp_path), tmp_path)


def test_a_product_that_is_missing_is_deployed_by_the_role_of_the_user_and_removed(site: Site) -> None:
    assert site.scan() == {("edr_missing", DEFENDER): "medium"}
    said = site.protect()
    assert f"Protected: Endpoint protection: {DEFENDER} by deploy_mdatp." in said
    assert site.scan() == {}
    site.host.shell(f"{STOP % DAEMON}; dpkg --purge mdatp; rm -rf /opt/microsoft")
    # Nobody named it, and another product would do.
    assert site.scan(edr_expected=[]) == {("edr_removed", DEFENDER): "high"}


def test_a_product_is_switched_off_and_attacked(site: Site) -> None:
    off, healthy = site.health(realTimeProtectionEnabled=False, passiveModeEnabled=True), site.health()
    # Nothing in /dev/shm of a container can be executed.
    fake = "/var/tmp/wdavdaemon"
    stop, stop_fake = STOP % DAEMON, STOP % fake
    steps: list[tuple[str, dict[tuple[str, str], str]]] = [
        (f"dpkg -i /var/tmp/mdatp.deb; {healthy}; {START}", {}),
        (off, {("edr_protection_off", DEFENDER): "high"}),
        # Its command says that all is well while it does not run.
        (f"{healthy}; {stop}", {("edr_stopped", DEFENDER): "high"}),
        ("ln -s /dev/null /etc/systemd/system/mdatp.service", {("edr_masked", DEFENDER): "high"}),
        (f"rm /etc/systemd/system/mdatp.service; {START}", {}),
        (f"rm {DAEMON}", {("edr_program_changed", DEFENDER): "high"}),
        (f"{stop}; dpkg -i /var/tmp/mdatp.deb; {START}", {}),
        # A program that only runs, in the place of the daemon.
        (
            f"{stop}; cp /usr/bin/tail {DAEMON}; {DAEMON} -f /dev/null > /dev/null 2>&1 &",
            {("edr_program_changed", DEFENDER): "high"},
        ),
        (f"{stop}; dpkg -i /var/tmp/mdatp.deb; {START}", {}),
        ("echo 'touch /root/was_run' >> /usr/bin/mdatp", {("edr_command_untrusted", DEFENDER): "high"}),
        (
            f"{stop}; dpkg -i /var/tmp/mdatp.deb; {START} chmod 777 /usr/bin/mdatp",
            {("edr_command_untrusted", DEFENDER): "high"},
        ),
        (
            f"chmod 755 /usr/bin/mdatp; cp /usr/bin/sleep {fake}; {fake} 9999 > /dev/null 2>&1 &",
            {("edr_pretender", fake): "high"},
        ),
        (stop_fake, {}),
    ]
    # What cannot be read is a gap and no finding.
    unread = (f"echo '{{}}' > {HEALTH}", f"rm {HEALTH}; mkfifo {HEALTH}")
    results = site.looks(*(script for script, _expected in steps), *unread)
    assert [raised(result) for result in results] == [*(expected for _script, expected in steps), {}, {}]
    assert site.host.shell("ls /root") == ""
    gaps = results[-len(unread) :]
    assert [result["coverage"][1]["skipped"][0]["reason"] for result in gaps] == [
        "Microsoft Defender for Endpoint: mdatp health has neither appVersion nor healthy",
        "Microsoft Defender for Endpoint: its command failed: /usr/bin/mdatp did not end in time",
    ]
    assert [result["products"][0]["real_time"] for result in gaps] == [None, None]
