# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook protect does with the ways in which variables are given, on a host in a network namespace."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities

from tests.integration.network_hardening._traffic import Site, site
from tests.support import paths
from tests.support.controllers import Controller, controller

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("protect"),
]

PORTS = [{"port": "9999"}]
BLOCKED = ["198.51.100.7", "198.51.100.8"]


# Some take the oldest: how it templates variables that are text, and calls plugins.
_OLDEST = pytest.mark.parametrize("ansible", ["2.18"], indirect=True)


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


class Play:
    """Runs protect on a host without audit rules."""

    def __init__(self, ansible: Controller, site: Site, directory: pathlib.Path) -> None:
        self._ansible, self._site, self._directory = ansible, site, directory

    def __call__(self, *arguments: str, **options: t.Any) -> str:
        """Return what the job printed, on one line. options: of ``printed``."""
        return " ".join(self.printed(*arguments, **options).replace("\\n", " ").split())

    def printed(
        self,
        *arguments: str,
        works: bool = True,
        bare: bool = False,
        hosts: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
        **variables: t.Any,
    ) -> str:
        """Return what the job printed.

        bare: whether the programs of /usr/sbin are hidden from it. hosts: names of the host, each with its variables.
        """
        given = {
            "bulwark_become": False,
            "audit_rules_state": "absent",
            "app_control_state_dir": str(self._site.state),
            "app_control_packages": ["bulwark-no-such-package"],
            "audit_state_dir": str(self._site.state),
            "jit_access_state_dir": str(self._site.state),
            "network_hardening_state_dir": str(self._site.state),
            # Of a name that no repository has: where it is asked for, the job fails.
            "jit_access_packages": ["bulwark-no-such-package"],
            "network_hardening_packages": ["bulwark-no-such-package"],
            **variables,
        }
        inventory = self._directory / "hosts.json"
        local = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
        inventory.write_text(json.dumps({"all": {"hosts": dict(hosts or {"web": {}}), "vars": local}}))
        program = self._ansible.program("ansible-playbook")
        command = [program, "bulwark.servers.protect", "-i", str(inventory), "-e", json.dumps(given), *arguments]
        if bare:
            empty = self._directory / "empty"
            empty.mkdir(exist_ok=True)
            command = ["unshare", "--mount", "sh", "-c", f'mount --bind {empty} /usr/sbin && exec "$@"', "sh", *command]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS), "ANSIBLE_NOCOLOR": "1"}
        with self._site.host.entered():
            answer = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        return output


@pytest.fixture
def play(ansible: Controller, tmp_path: pathlib.Path) -> t.Iterator[Play]:
    with site(tmp_path) as found:
        yield Play(ansible, found, tmp_path)


@_OLDEST
def test_variables_may_be_text(play: Play) -> None:
    text = "jit_access_install=false network_hardening_install=no audit_install=false"
    lists = f"network_hardening_blocked={','.join(BLOCKED)} network_hardening_directions=in,out"
    said = play("--check", "-e", f"{text} {lists} audit_rules_state=present", jit_access_ports=PORTS)
    assert "the ports (none) and 2 blocked sources." in said
    assert "The kernel would record who connects (in and out)." in said
    assert "The port 9999 would be locked until access is granted." in said


def test_nothing_is_installed_where_the_programs_are_there(play: Play) -> None:
    wanted = {"network_hardening_blocked": BLOCKED, "jit_access_ports": PORTS}
    # Four hosts fit on a screen, with a difference for each rule set and not for each host.
    names = ("web", "web2", "web3", "web4")
    hosts: dict[str, dict[str, t.Any]] = {name: {} for name in names}
    printed = play.printed("--check", "--diff", hosts=hosts, **wanted, network_hardening_directions=["in"])
    assert len(printed.splitlines()) <= 60, printed
    assert len(re.findall(r"^web and web2\.\.web4 \(4 hosts\): .* added, 0 removed", printed, re.MULTILINE)) == 3
    said = " ".join(printed.split())
    assert "The kernel would record who connects (in)." in said
    assert "The port 9999 would be locked until access is granted." in said
    said = play(network_hardening_directions=["in"])
    assert "The kernel records who connects (in)." in said


def test_a_preview_says_what_would_be_installed(play: Play) -> None:
    wanted = {"network_hardening_blocked": BLOCKED, "jit_access_ports": PORTS}
    said = play("--check", "--diff", bare=True, **wanted, network_hardening_directions=["in"])
    assert "bulwark-no-such-package would be installed, as nft is missing, and then the kernel would record who" in said
    assert "who connects and network rules would be in force." in said
    assert "as nft is missing, and then the port 9999 would be locked." in said, said
    said = play(bare=True, works=False, jit_access_ports=PORTS)
    assert "bulwark-no-such-package" in said
    assert "would be" not in said


def test_only_the_capabilities_that_are_named_are_deployed(play: Play) -> None:
    given = {"network_hardening_directions": ["in"], "jit_access_ports": PORTS, "audit_rules_state": "present"}
    said = play("--check", **given, bulwark_capabilities="network_hardening, file_integrity")
    assert "Protected: The kernel would record who connects (in)." in said
    assert "locked until" not in said
    assert "audit rules" not in said
    said = play("--check", **given, bulwark_capabilities=["jit_access"])
    assert "Protected: The port 9999 would be locked until access is granted." in said


@pytest.mark.skipif(os.path.exists("/run/systemd/system"), reason="systemd runs this machine")
def test_a_host_that_can_enforce_nothing_stays_in_audit_mode_and_says_so(play: Play) -> None:
    said = play(app_control_mode="enforce", bulwark_capabilities="app_control")
    assert "Not protected: systemd does not run this host, or this is a container: application control stays in" in said
    assert "changed=0" in said
    said = play(app_control_mode="enforce", bulwark_capabilities="app_control", bulwark_strict=True, works=False)
    assert "Fail if a host could not be protected" in said


def test_other_capabilities_are_refused(play: Play) -> None:
    nothing = "bulwark_capabilities selects nothing that can be deployed on hosts"
    wrong: dict[str, tuple[str | list[str], str]] = {
        "misspelt": (
            "jit_acess",
            f"there is no capability 'jit_acess'; the collection has {', '.join(capabilities.load())}",
        ),
        "not_deployed": (
            "file_integrity, memory_scan",
            f"{nothing}; choose from app_control, audit, edr, jit_access",
        ),
        "none": ([], nothing),
    }
    hosts = {host: {"bulwark_capabilities": names} for host, (names, _message) in wrong.items()}
    said = play(works=False, hosts=hosts, jit_access_ports=PORTS)
    for host, (_names, message) in wrong.items():
        (told,) = re.findall(rf"\[{host}\]: FAILED! => (.*?)(?=fatal: |TASK |PLAY )", said)
        assert message in told, said
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}
